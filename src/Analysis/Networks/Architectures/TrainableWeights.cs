using Analysis.Numerics;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Analysis.Networks.Architectures;

/// <summary>
/// The parameters of a network that is being trained: leaves that take gradients, and batch norms of their own, which use and
/// update the statistics of the batch while <see cref="Training"/> is on (momentum 0.1) and the running ones otherwise.
/// </summary>
internal sealed class TrainableWeights : NetworkWeights
{
    private const double Momentum = 0.1;
    private readonly Dictionary<string, Tensor> _tensors;
    private readonly Dictionary<string, ConvolutionNames> _convolutions;
    private readonly double _epsilon;

    private TrainableWeights(Blueprint blueprint, double epsilon, Dictionary<string, Tensor> tensors)
        : base(blueprint.Classifier, tensors[$"{blueprint.Classifier}.weight"], tensors[$"{blueprint.Classifier}.bias"])
    {
        _tensors = tensors;
        _convolutions = blueprint.Convolutions.ToDictionary(c => c.Name, StringComparer.Ordinal);
        _epsilon = epsilon;
        foreach (var name in blueprint.Parameters)
        {
            Add(name, tensors[name]);
        }

        Learnt = [.. blueprint.Tensors.Select(t => tensors[t.Name]).Where(t => t.requires_grad)];
    }

    /// <summary>True while batch norms use the statistics of the batch.</summary>
    public bool Training { get; set; }

    /// <summary>All tensors by name in the architecture's order, running statistics included.</summary>
    public IReadOnlyDictionary<string, Tensor> Tensors => _tensors;

    /// <summary>The tensors that take gradients, in the architecture's order.</summary>
    public Tensor[] Learnt { get; }

    /// <summary>Weights of the architecture's shapes; all values are drawn from the seed.</summary>
    /// <param name="blueprint">Names and shapes.</param>
    /// <param name="epsilon">Epsilon of the batch norms.</param>
    /// <param name="seed">Equal seeds give equal values, whatever the device.</param>
    /// <param name="device">Where they shall be.</param>
    public static TrainableWeights Create(Blueprint blueprint, double epsilon, int seed, Device device)
    {
        var random = new SplitMix64((ulong)(uint)seed ^ 0x1717_0000_0000UL);
        var tensors = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        foreach (var (name, shape) in blueprint.Tensors)
        {
            var running = name.EndsWith(".running_mean", StringComparison.Ordinal) || name.EndsWith(".running_var", StringComparison.Ordinal);
            var values = Initial(name, shape, name == $"{blueprint.Classifier}.weight", ref random);
            tensors.Add(name, tensor(values, shape, device: device, requires_grad: !running).DetachFromDisposeScope());
        }

        return new TrainableWeights(blueprint, epsilon, tensors);
    }

    /// <inheritdoc/>
    public override Tensor Convolve(string name, Tensor input, long stride, long padding, long groups = 1)
    {
        var names = _convolutions[name];
        var result = functional.conv2d(
            input, _tensors[$"{name}.weight"], names.Bias ? _tensors[$"{name}.bias"] : null, strides: [stride, stride], padding: [padding, padding], dilation: [1, 1], groups: groups);
        if (names.BatchNorm.Length == 0)
        {
            return result;
        }

        using var raw = result;
        var norm = names.BatchNorm;
        return functional.batch_norm(
            raw, _tensors[$"{norm}.running_mean"], _tensors[$"{norm}.running_var"], _tensors[$"{norm}.weight"], _tensors[$"{norm}.bias"], Training, Momentum, _epsilon);
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        foreach (var tensor in _tensors.Values)
        {
            tensor.Dispose();
        }
    }

    /// <summary>
    /// Kernels and matrices: normal with variance 2 / fan-in (He et al. 2015, arXiv 1502.01852), 1 / fan-in for the classifier;
    /// scales of normalisations 1; positions 0.02; biases and tokens 0.
    /// </summary>
    private static float[] Initial(string name, long[] shape, bool classifier, ref SplitMix64 random)
    {
        var values = new float[shape.Aggregate(1L, static (product, size) => checked(product * size))];
        var weight = name.EndsWith("weight", StringComparison.Ordinal);
        if (shape.Length == 1)
        {
            Array.Fill(values, weight || name.EndsWith(".running_var", StringComparison.Ordinal) ? 1f : 0f);
            return values;
        }

        if (!weight && !name.EndsWith("pos_embedding", StringComparison.Ordinal))
        {
            return values;
        }

        var inputs = values.Length / (double)Math.Max(1, shape[0]);
        var scale = !weight ? 0.02 : Math.Sqrt((classifier ? 1 : 2) / inputs);
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = (float)(scale * random.NextNormal());
        }

        return values;
    }
}
