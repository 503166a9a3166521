using Analysis.Imaging;
using Analysis.Networks.Architectures;
using static TorchSharp.torch;

namespace Analysis.Networks;

/// <summary>A network whose architecture is built in: its steps run one after the other, so any layer can be read or fed.</summary>
internal sealed class NativeNetwork : INetwork
{
    private readonly NetworkWeights _weights;
    private readonly IReadOnlyList<NetworkStep> _steps;
    private readonly Blueprint _blueprint;
    private readonly Dictionary<string, int> _stepByName = new(StringComparer.Ordinal);

    public NativeNetwork(NetworkDescription description, Blueprint blueprint, NetworkWeights weights, Device device)
    {
        Name = description.Name;
        Architecture = description.Architecture;
        Sha256 = description.Sha256;
        Preprocessing = description.Preprocessing;
        Classes = description.Classes;
        Layers = description.Layers;
        Notes = description.Notes;
        Outputs = blueprint.Outputs;
        Device = device;
        _weights = weights;
        _blueprint = blueprint;
        _steps = blueprint.Steps;
        for (var i = 0; i < _steps.Count; i++)
        {
            _stepByName.Add(_steps[i].Name, i);
            if (_steps[i].Alias.Length > 0)
            {
                _stepByName.Add(_steps[i].Alias, i);
            }
        }
    }

    public string Name { get; }

    public string Architecture { get; }

    public string Sha256 { get; }

    public Preprocessing Preprocessing { get; }

    public IReadOnlyList<NetworkClass> Classes { get; }

    public int Outputs { get; }

    public IReadOnlyList<LayerInfo> Layers { get; }

    public IReadOnlyList<string> Notes { get; }

    public Device Device { get; }

    public (IReadOnlyList<Tensor> Activations, Tensor Logits) Forward(Tensor batch, IReadOnlyList<string> layers)
    {
        var wanted = new int[layers.Count];
        for (var i = 0; i < wanted.Length; i++)
        {
            wanted[i] = StepOf(layers[i]);
        }

        using var quiet = no_grad();
        var activations = new Tensor[wanted.Length];
        var current = batch;
        var kept = true;
        for (var step = 0; step < _steps.Count; step++)
        {
            var next = _steps[step].Run(_weights, current);
            if (!kept)
            {
                current.Dispose();
            }

            (current, kept) = (next, false);
            for (var i = 0; i < wanted.Length; i++)
            {
                if (wanted[i] == step)
                {
                    // A layer asked for twice gets two handles, so that each can be disposed.
                    activations[i] = kept ? current.alias() : current;
                    kept = true;
                }
            }
        }

        var logits = current.flatten(1);
        if (!kept)
        {
            current.Dispose();
        }

        return (activations, logits);
    }

    public Tensor Backbone(Tensor batch, string layer)
    {
        var current = batch;
        for (var step = 0; step <= StepOf(layer); step++)
        {
            var next = _steps[step].Run(_weights, current);
            if (!ReferenceEquals(current, batch))
            {
                // Only the handle goes: what the backward pass needs is held by the graph.
                current.Dispose();
            }

            current = next;
        }

        return current;
    }

    public Tensor Head(string layer, Tensor activation)
    {
        var current = activation;
        for (var step = StepOf(layer) + 1; step < _steps.Count; step++)
        {
            var next = _steps[step].Run(_weights, current);
            if (!ReferenceEquals(current, activation))
            {
                current.Dispose();
            }

            current = next;
        }

        var logits = current.flatten(1);
        if (!ReferenceEquals(current, activation))
        {
            current.Dispose();
        }

        return logits;
    }

    public (Tensor Weight, Tensor Bias)? LinearHead(string layer)
    {
        var step = StepOf(layer);
        return _blueprint.IsLinear(step) ? (_weights.ClassifierWeight, _weights.ClassifierBias) : null;
    }

    public void Dispose() => _weights.Dispose();

    private int StepOf(string layer) => _stepByName.TryGetValue(layer, out var step) ? step : throw UnknownLayer(layer, Layers);

    internal static AnalysisException UnknownLayer(string layer, IReadOnlyList<LayerInfo> layers) => new(
        $"The network has no layer '{Files.FileFault.Short(layer)}'.", $"Choose one of: {string.Join(", ", layers.Select(l => l.Name))}.");
}
