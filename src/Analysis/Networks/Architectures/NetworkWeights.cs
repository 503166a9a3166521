using Analysis.Networks.Files;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Analysis.Networks.Architectures;

/// <summary>
/// The parameters of a network on its device: per convolution one kernel and one bias, in which the batch norm of evaluation
/// mode is folded: w' = w·γ/√(σ²+ε), b' = β + (b − μ)·γ/√(σ²+ε), computed in float64 and kept in float32; others as they stand.
/// </summary>
internal class NetworkWeights : IDisposable
{
    private readonly Dictionary<string, (Tensor Weight, Tensor Bias)> _convolutions = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Tensor> _parameters = new(StringComparer.Ordinal);

    protected NetworkWeights(Tensor classifierWeight, Tensor classifierBias)
    {
        ClassifierWeight = classifierWeight;
        ClassifierBias = classifierBias;
    }

    /// <summary>K×C.</summary>
    public Tensor ClassifierWeight { get; }

    /// <summary>K.</summary>
    public Tensor ClassifierBias { get; }

    /// <summary>Reads, checks and folds the tensors of a blueprint, whose names and shapes have been checked.</summary>
    /// <exception cref="AnalysisException">A tensor holds NaN or infinity, or a variance is negative.</exception>
    public static NetworkWeights Load(ITensorFile file, Blueprint blueprint, double epsilon, Device device)
    {
        var shapes = blueprint.Tensors.ToDictionary(t => t.Name, t => t.Shape, StringComparer.Ordinal);
        var weights = new NetworkWeights(
            ToDevice(Finite(file, $"{blueprint.Classifier}.weight"), shapes[$"{blueprint.Classifier}.weight"], device),
            ToDevice(Finite(file, $"{blueprint.Classifier}.bias"), shapes[$"{blueprint.Classifier}.bias"], device));
        try
        {
            foreach (var name in blueprint.Parameters)
            {
                weights._parameters.Add(name, ToDevice(Finite(file, name), shapes[name], device));
            }

            foreach (var (name, batchNorm, biased) in blueprint.Convolutions)
            {
                var kernel = Finite(file, $"{name}.weight");
                var own = biased ? Finite(file, $"{name}.bias") : null;
                if (batchNorm.Length == 0)
                {
                    var shift = own ?? new float[shapes[$"{name}.weight"][0]];
                    weights._convolutions.Add(name, (ToDevice(kernel, shapes[$"{name}.weight"], device), ToDevice(shift, [shift.Length], device)));
                    continue;
                }

                var gamma = Finite(file, $"{batchNorm}.weight");
                var beta = Finite(file, $"{batchNorm}.bias");
                var mean = Finite(file, $"{batchNorm}.running_mean");
                var variance = Finite(file, $"{batchNorm}.running_var");
                var bias = new float[gamma.Length];
                var perChannel = kernel.Length / gamma.Length;
                for (var c = 0; c < gamma.Length; c++)
                {
                    if (variance[c] < 0)
                    {
                        throw new AnalysisException(
                            $"{file.FileName}: tensor '{batchNorm}.running_var' holds the negative variance {variance[c]} for channel {c}; the network cannot give meaningful results.",
                            "Use an undamaged copy of the weights.");
                    }

                    var scale = gamma[c] / Math.Sqrt(variance[c] + epsilon);
                    bias[c] = (float)(beta[c] + (((own?[c] ?? 0) - mean[c]) * scale));
                    foreach (ref var value in kernel.AsSpan(c * perChannel, perChannel))
                    {
                        value = (float)(value * scale);
                    }
                }

                weights._convolutions.Add(name, (ToDevice(kernel, shapes[$"{name}.weight"], device), ToDevice(bias, [bias.Length], device)));
            }
        }
        catch
        {
            weights.Dispose();
            throw;
        }

        return weights;
    }

    /// <summary>Convolution with its batch norm. The result is fresh, so that a caller may rectify it in place.</summary>
    public virtual Tensor Convolve(string name, Tensor input, long stride, long padding, long groups = 1)
    {
        var (weight, bias) = _convolutions[name];
        return functional.conv2d(input, weight, bias, strides: [stride, stride], padding: [padding, padding], dilation: [1, 1], groups: groups);
    }

    /// <summary>A parameter as it stands in the file.</summary>
    public Tensor this[string name] => _parameters[name];

    /// <inheritdoc/>
    public virtual void Dispose()
    {
        foreach (var parameter in _parameters.Values)
        {
            parameter.Dispose();
        }

        ClassifierWeight.Dispose();
        ClassifierBias.Dispose();
        foreach (var (weight, bias) in _convolutions.Values)
        {
            weight.Dispose();
            bias.Dispose();
        }
    }

    /// <summary>Takes over a parameter that is used as it stands.</summary>
    protected void Add(string name, Tensor parameter) => _parameters.Add(name, parameter);

    private static float[] Finite(ITensorFile file, string name)
    {
        var values = file.ReadFloats(name);
        var bad = 0;
        var first = 0f;
        foreach (var value in values)
        {
            if (!float.IsFinite(value))
            {
                first = bad++ == 0 ? value : first;
            }
        }

        return bad == 0
            ? values
            : throw new AnalysisException(
                $"{file.FileName}: tensor '{name}' holds {bad} values that are NaN or infinite (the first is {first}); the network cannot give meaningful results.",
                "Use an undamaged copy of the weights.");
    }

    /// <summary>The weights outlive every dispose scope of the caller, hence the detachment.</summary>
    private static Tensor ToDevice(float[] values, long[] shape, Device device) =>
        tensor(values, shape, device: device).DetachFromDisposeScope();
}
