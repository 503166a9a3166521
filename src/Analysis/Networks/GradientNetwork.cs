using Analysis.Imaging;
using Analysis.Networks.Architectures;
using static TorchSharp.torch;

namespace Analysis.Networks;

/// <summary>
/// A network of a built-in architecture with its parameters as they were trained: batch norms are operations of their own, so
/// that gradients with respect to every parameter of the file can be found. Evaluation mode. For one thread.
/// </summary>
public sealed class GradientNetwork : IDisposable
{
    private readonly NetworkWeights _weights;
    private readonly Blueprint _blueprint;
    private readonly NetworkDescription _description;

    internal GradientNetwork(NetworkDescription description, Blueprint blueprint, NetworkWeights weights, Device device)
    {
        _description = description;
        _blueprint = blueprint;
        _weights = weights;
        Device = device;
    }

    /// <summary>Display name.</summary>
    public string Name => _description.Name;

    /// <summary>Recognised architecture.</summary>
    public string Architecture => _description.Architecture;

    /// <summary>SHA-256 of the weights file, 64 hex digits.</summary>
    public string Sha256 => _description.Sha256;

    /// <summary>How images are prepared for it.</summary>
    public Preprocessing Preprocessing => _description.Preprocessing;

    /// <summary>Number of logits K.</summary>
    public int Outputs => _blueprint.Outputs;

    /// <summary>Outputs in order; empty where no sidecar names them.</summary>
    public IReadOnlyList<NetworkClass> Classes => _description.Classes;

    /// <summary>Layers in the order of the forward pass.</summary>
    public IReadOnlyList<LayerInfo> Layers => _description.Layers;

    /// <summary>Device that holds the weights.</summary>
    public Device Device { get; }

    /// <summary>Loads a network.</summary>
    /// <param name="path">Weights file.</param>
    /// <param name="architecture">Architecture; null to take the sidecar's or to recognise it from the tensors.</param>
    /// <param name="device">Where it shall run.</param>
    /// <exception cref="AnalysisException">The file does not fit, or it is a TorchScript program, whose parameters cannot be told apart.</exception>
    public static GradientNetwork Load(string path, string? architecture, Device device) => NetworkLoader.LoadForGradients(path, architecture, device);

    /// <summary>One forward pass.</summary>
    /// <param name="batch">Preprocessed images, N×3×H×W; not changed.</param>
    /// <param name="tape">Notes the parameters in use; null for none.</param>
    /// <param name="stop">Last layer to run; null for the logits.</param>
    /// <param name="from">Only parameters behind this layer are noted; null for all.</param>
    /// <param name="through">Only parameters up to and with this layer are noted; null for all.</param>
    /// <returns>The layer's activation, N×C×H×W, or the logits, N×K. Differentiable to the tape's taps.</returns>
    /// <exception cref="AnalysisException">There is no layer of that name.</exception>
    public Tensor Run(Tensor batch, ParameterTape? tape, string? stop = null, string? from = null, string? through = null)
    {
        var last = stop is null ? _blueprint.Steps.Count - 1 : StepOf(stop);
        var first = from is null ? 0 : StepOf(from) + 1;
        var noted = through is null ? last : Math.Min(last, StepOf(through));
        if (tape is not null && first > noted)
        {
            throw new AnalysisException($"No parameters lie between the layers {from} and {through ?? stop ?? "of the logits"}.", "Choose an earlier layer to start from.");
        }

        var current = batch;
        try
        {
            for (var step = 0; step <= last; step++)
            {
                _weights.Tape = step >= first && step <= noted ? tape : null;
                var next = _blueprint.Steps[step].Run(_weights, current);
                if (!ReferenceEquals(current, batch))
                {
                    current.Dispose();
                }

                current = next;
            }
        }
        finally
        {
            _weights.Tape = null;
        }

        if (stop is not null)
        {
            return current;
        }

        using (current)
        {
            return current.flatten(1);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _weights.Dispose();

    private int StepOf(string layer)
    {
        for (var i = 0; i < _blueprint.Steps.Count; i++)
        {
            if (_blueprint.Steps[i].Name == layer || _blueprint.Steps[i].Alias == layer)
            {
                return i;
            }
        }

        throw NativeNetwork.UnknownLayer(layer, Layers);
    }
}
