using Analysis.Atlas;
using Analysis.Networks;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Probes.Backpropagation;

/// <summary>What a network and probes at a layer of it say of inputs: pictures from 0 to 1 (N×3×H×W float32), or columns (N×C float64) of recorded activations.</summary>
/// <param name="network">The network.</param>
/// <param name="layer">Layer of the probes.</param>
internal sealed class ProbedNetwork(INetwork network, string layer)
{
    /// <summary>Pixels that the network sees as one batch at most: bounds the memory of the backward pass.</summary>
    private const int BatchPixels = 32 * 64 * 64;
    private const int FewestRows = 4;

    /// <summary>The layer.</summary>
    public string Layer => layer;

    /// <summary>True where inputs are columns instead of pictures.</summary>
    public bool Columns { get; } = network is RecordedNetwork;

    /// <summary>Names of the outputs.</summary>
    public IReadOnlyList<string> OutputNames { get; } = Atlas.OutputNames.All(network);

    /// <summary>Width of a picture in pixels.</summary>
    public int Width => network.Preprocessing.Width;

    /// <summary>Height of a picture in pixels.</summary>
    public int Height => network.Preprocessing.Height;

    /// <summary>Rows that are differentiated together.</summary>
    public int Batch => Columns ? 256 : PictureBatch;

    private int PictureBatch => Math.Max(FewestRows, BatchPixels / (Height * Width));

    /// <summary>Mean and deviation that the network's preprocessing takes away, 1×3×1×1 float32 each.</summary>
    public (Tensor Mean, Tensor Std) Normalisation() => (
        tensor(network.Preprocessing.Mean.ToArray(), device: network.Device).view(1, 3, 1, 1), tensor(network.Preprocessing.Std.ToArray(), device: network.Device).view(1, 3, 1, 1));

    /// <summary>Activation averaged over positions, differentiable in the inputs, N×C.</summary>
    /// <param name="inputs">Inputs.</param>
    public Tensor Pooled(Tensor inputs)
    {
        if (Columns)
        {
            return inputs;
        }

        var activation = Activation(inputs);
        return activation.dim() == 4 ? activation.mean([2L, 3L]) : activation.flatten(1);
    }

    /// <summary>Logits of probes, and logits of the network.</summary>
    public (List<(double[] Logits, double[] Answers)> Answers, DenseMatrix Outputs) Look(Tensor inputs, IReadOnlyList<FittedProbe> probes)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var outputs = new List<Tensor>();
        var pooled = new List<Tensor>();
        var part = Columns ? 1024 : PictureBatch;
        for (var first = 0L; first < inputs.shape[0]; first += part)
        {
            var rows = inputs.narrow(0, first, Math.Min(part, inputs.shape[0] - first));
            var activation = Columns ? rows.to(ScalarType.Float32).view(rows.shape[0], -1, 1, 1) : Activation(rows);
            pooled.Add(activation.dim() == 4 ? activation.mean([2L, 3L]) : activation.flatten(1));
            outputs.Add(network.Head(layer, activation));
        }

        var matrix = DenseMatrix.FromTensor(cat(pooled, 0));
        var answers = new List<(double[] Logits, double[] Answers)>();
        for (var i = 0; i < matrix.Rows; i++)
        {
            var logits = new double[probes.Count];
            for (var p = 0; p < probes.Count; p++)
            {
                var (weights, bias) = probes[p].Probe.Raw();
                logits[p] = Vectors.Dot(matrix.Row(i), weights) + bias;
            }

            answers.Add((logits, [.. logits.Select((l, p) => probes[p].Probe.Continuous ? l : LinearBackpropagation.Logistic(l))]));
        }

        return (answers, DenseMatrix.FromTensor(cat(outputs, 0)));
    }

    private Tensor Activation(Tensor inputs)
    {
        var (mean, std) = Normalisation();
        return network.Backbone((inputs - mean) / std, layer);
    }
}
