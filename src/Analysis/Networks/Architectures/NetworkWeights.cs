using Analysis.Networks.Files;
using Analysis.Numerics;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Analysis.Networks.Architectures;

/// <summary>
/// The parameters of a network on its device: per convolution one kernel and one bias, in which the batch norm of evaluation
/// mode is folded: w' = w·γ/√(σ²+ε), b' = β + (b − μ)·γ/√(σ²+ε), computed in float64 and kept in float32; others as they stand.
/// Not folded on request, for gradients with respect to the parameters as they were trained.
/// </summary>
internal class NetworkWeights : IDisposable
{
    private readonly Dictionary<string, (Tensor Weight, Tensor Bias)> _convolutions = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Tensor> _parameters = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Norm> _norms = new(StringComparer.Ordinal);
    private readonly HashSet<string> _unbiased = new(StringComparer.Ordinal);
    private readonly string _classifier;

    protected NetworkWeights(string classifier, Tensor classifierWeight, Tensor classifierBias)
    {
        _classifier = classifier;
        ClassifierWeight = classifierWeight;
        ClassifierBias = classifierBias;
    }

    /// <summary>K×C.</summary>
    public Tensor ClassifierWeight { get; }

    /// <summary>K.</summary>
    public Tensor ClassifierBias { get; }

    /// <summary>Notes what parameters are used for; null for a plain forward pass. Only of weights that are not folded.</summary>
    public ParameterTape? Tape { get; set; }

    /// <summary>Reads, checks and folds the tensors of a blueprint, whose names and shapes have been checked.</summary>
    /// <param name="file">The weights.</param>
    /// <param name="blueprint">What they are for.</param>
    /// <param name="epsilon">ε of the batch norms.</param>
    /// <param name="device">Where they are kept.</param>
    /// <param name="fold">False to keep batch norms as operations of their own.</param>
    /// <exception cref="AnalysisException">A tensor holds NaN or infinity, or a variance is negative.</exception>
    public static NetworkWeights Load(ITensorFile file, Blueprint blueprint, double epsilon, Device device, bool fold = true)
    {
        var shapes = blueprint.Tensors.ToDictionary(t => t.Name, t => t.Shape, StringComparer.Ordinal);
        var weights = new NetworkWeights(
            blueprint.Classifier,
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
                    if (own is null)
                    {
                        weights._unbiased.Add(name);
                    }

                    continue;
                }

                var gamma = Finite(file, $"{batchNorm}.weight");
                var beta = Finite(file, $"{batchNorm}.bias");
                var mean = Finite(file, $"{batchNorm}.running_mean");
                var variance = Finite(file, $"{batchNorm}.running_var");
                var bias = new float[gamma.Length];
                var inverse = new float[gamma.Length];
                var perChannel = kernel.Length / gamma.Length;
                for (var c = 0; c < gamma.Length; c++)
                {
                    if (variance[c] < 0)
                    {
                        throw new AnalysisException(
                            $"{file.FileName}: tensor '{batchNorm}.running_var' holds the negative variance {variance[c]} for channel {c}; the network cannot give meaningful results.",
                            "Use an undamaged copy of the weights.");
                    }

                    inverse[c] = (float)(1 / Math.Sqrt(variance[c] + epsilon));
                    if (!fold)
                    {
                        bias[c] = own?[c] ?? 0;
                        continue;
                    }

                    var scale = gamma[c] / Math.Sqrt(variance[c] + epsilon);
                    bias[c] = (float)(beta[c] + (((own?[c] ?? 0) - mean[c]) * scale));
                    foreach (ref var value in kernel.AsSpan(c * perChannel, perChannel))
                    {
                        value = (float)(value * scale);
                    }
                }

                weights._convolutions.Add(name, (ToDevice(kernel, shapes[$"{name}.weight"], device), ToDevice(bias, [bias.Length], device)));
                if (!fold)
                {
                    long[] channels = [1, gamma.Length, 1, 1];
                    weights._norms.Add(name, new Norm(
                        batchNorm, ToDevice(gamma, [gamma.Length], device), ToDevice(beta, [beta.Length], device), ToDevice(mean, channels, device), ToDevice(inverse, channels, device)));
                    if (own is null)
                    {
                        weights._unbiased.Add(name);
                    }
                }
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
        var result = Tape is null
            ? functional.conv2d(input, weight, bias, strides: [stride, stride], padding: [padding, padding], dilation: [1, 1], groups: groups)
            : Tape.Convolution(name, input, weight, _unbiased.Contains(name) ? null : bias, stride, padding, 1, groups);
        if (!_norms.TryGetValue(name, out var norm))
        {
            return result;
        }

        using var before = result;
        using var centred = before - norm.Mean;
        using var normalised = centred * norm.Inverse;
        if (Tape is not null)
        {
            return Tape.Affine(norm.Name, normalised, norm.Gamma, norm.Beta, 1);
        }

        using var gamma = norm.Gamma.view(1, -1, 1, 1);
        using var beta = norm.Beta.view(1, -1, 1, 1);
        using var scaled = normalised * gamma;
        return scaled.add(beta, Scalars.One);
    }

    /// <summary>The linear classifier on N×C.</summary>
    public Tensor Classify(Tensor input) => Tape is null
        ? functional.linear(input, ClassifierWeight, ClassifierBias)
        : Tape.Linear($"{_classifier}.weight", $"{_classifier}.bias", input, ClassifierWeight, ClassifierBias);

    /// <summary>A linear map of the last dimension by two parameters of the file.</summary>
    public Tensor Linear(string weight, string bias, Tensor input) => Tape is null
        ? functional.linear(input, _parameters[weight], _parameters[bias])
        : Tape.Linear(weight, bias, input, _parameters[weight], _parameters[bias]);

    /// <summary>Layer normalisation of the last dimension.</summary>
    public Tensor Normalise(string name, Tensor input, double epsilon)
    {
        var (gamma, beta) = (_parameters[$"{name}.weight"], _parameters[$"{name}.bias"]);
        if (Tape is null)
        {
            return functional.layer_norm(input, [input.shape[^1]], gamma, beta, epsilon);
        }

        using var normalised = functional.layer_norm(input, [input.shape[^1]], null, null, epsilon);
        return Tape.Affine(name, normalised, gamma, beta, (int)input.dim() - 1);
    }

    /// <summary>A parameter of shape 1×… repeated for each sample; belongs to the caller.</summary>
    public Tensor Repeated(string name, long samples)
    {
        var parameter = _parameters[name];
        return Tape is null ? parameter.expand([samples, .. parameter.shape.Skip(1)]) : Tape.Constant(name, parameter, samples);
    }

    /// <inheritdoc/>
    public virtual void Dispose()
    {
        foreach (var parameter in _parameters.Values)
        {
            parameter.Dispose();
        }

        foreach (var norm in _norms.Values)
        {
            norm.Gamma.Dispose();
            norm.Beta.Dispose();
            norm.Mean.Dispose();
            norm.Inverse.Dispose();
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

    /// <summary>A batch norm of evaluation mode: γ, β (C), μ, 1/√(σ²+ε) (1×C×1×1).</summary>
    private sealed record Norm(string Name, Tensor Gamma, Tensor Beta, Tensor Mean, Tensor Inverse);
}
