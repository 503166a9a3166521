using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Analysis.Networks;

/// <summary>What a parametrised operation does with its parameters.</summary>
public enum ParameterUseKind
{
    /// <summary>Convolution: weight Cout×Cin/g×kh×kw, input N×Cin×H×W.</summary>
    Convolution,

    /// <summary>Linear map of the last dimension: weight out×in, input N×…×in.</summary>
    Linear,

    /// <summary>Factor and offset of each channel behind a normalisation: weight C, input the normalised values.</summary>
    Affine,

    /// <summary>A parameter that enters as it stands, repeated for each sample.</summary>
    Constant,
}

/// <summary>One use of parameters in a forward pass: what is needed to find each sample's gradient with respect to them.</summary>
public sealed class ParameterUse
{
    internal ParameterUse(ParameterUseKind kind, string weight, string bias, long[] shape, Tensor? input, Tensor tap)
    {
        Kind = kind;
        Weight = weight;
        Bias = bias;
        Shape = shape;
        Input = input;
        Tap = tap;
    }

    /// <summary>What the operation does.</summary>
    public ParameterUseKind Kind { get; }

    /// <summary>Name of the weight as in the file.</summary>
    public string Weight { get; }

    /// <summary>Name of the bias; empty where there is none.</summary>
    public string Bias { get; }

    /// <summary>Shape of the weight.</summary>
    public IReadOnlyList<long> Shape { get; }

    /// <summary>What the weight is applied to, detached; null for a constant.</summary>
    public Tensor? Input { get; }

    /// <summary>Zeros added to the result: after the backward pass their gradient is δ, that of the result.</summary>
    public Tensor Tap { get; }

    /// <summary>Stride of a convolution.</summary>
    public long Stride { get; init; } = 1;

    /// <summary>Padding of a convolution.</summary>
    public long Padding { get; init; }

    /// <summary>Dilation of a convolution.</summary>
    public long Dilation { get; init; } = 1;

    /// <summary>Groups of a convolution.</summary>
    public long Groups { get; init; } = 1;

    /// <summary>Dimension of the result that holds the channels of an affine map.</summary>
    public int ChannelDimension { get; init; } = 1;

    /// <summary>Number of entries of the weight.</summary>
    public long WeightSize => Shape.Aggregate(1L, (product, size) => product * size);

    /// <summary>Number of entries of the bias; 0 where there is none.</summary>
    public long BiasSize => Bias.Length > 0 ? Shape[0] : 0;
}

/// <summary>
/// Runs parametrised operations and notes their inputs. Each result gets a tap, a tensor of zeros that requires a gradient; one
/// backward pass with respect to all taps then gives what every sample's gradient is made of (METHODS 4.3), since samples do not
/// interact in evaluation mode. Parameters themselves never require gradients. Works in the dtype of its inputs; for one thread.
/// </summary>
public sealed class ParameterTape : IDisposable
{
    private readonly List<ParameterUse> _uses = [];

    /// <summary>The uses so far, in the order of the forward pass; shared parameters occur more than once.</summary>
    public IReadOnlyList<ParameterUse> Uses => _uses;

    /// <summary>Convolution; the names tell its parameters apart.</summary>
    /// <param name="name">Name before <c>.weight</c> and <c>.bias</c>.</param>
    /// <param name="input">N×Cin×H×W; must not be changed in place afterwards.</param>
    /// <param name="weight">Cout×Cin/g×kh×kw.</param>
    /// <param name="bias">Cout; null for none.</param>
    /// <param name="stride">Stride in both directions.</param>
    /// <param name="padding">Zeros on all sides.</param>
    /// <param name="dilation">Dilation in both directions.</param>
    /// <param name="groups">Groups.</param>
    /// <returns>N×Cout×H'×W', fresh.</returns>
    public Tensor Convolution(string name, Tensor input, Tensor weight, Tensor? bias, long stride, long padding, long dilation, long groups)
    {
        using var plain = functional.conv2d(input, weight, bias, strides: [stride, stride], padding: [padding, padding], dilation: [dilation, dilation], groups: groups);
        var tap = Tap(plain);
        _uses.Add(new ParameterUse(ParameterUseKind.Convolution, $"{name}.weight", bias is null ? "" : $"{name}.bias", weight.shape, input.detach(), tap)
        {
            Stride = stride,
            Padding = padding,
            Dilation = dilation,
            Groups = groups,
        });
        return plain.add(tap, Scalars.One);
    }

    /// <summary>Linear map of the last dimension.</summary>
    /// <param name="weightName">Name of the weight.</param>
    /// <param name="biasName">Name of the bias; empty for none.</param>
    /// <param name="input">N×…×in.</param>
    /// <param name="weight">out×in.</param>
    /// <param name="bias">out; null for none.</param>
    public Tensor Linear(string weightName, string biasName, Tensor input, Tensor weight, Tensor? bias)
    {
        using var plain = functional.linear(input, weight, bias);
        var tap = Tap(plain);
        _uses.Add(new ParameterUse(ParameterUseKind.Linear, weightName, bias is null ? "" : biasName, weight.shape, input.detach(), tap));
        return plain.add(tap, Scalars.One);
    }

    /// <summary>γ·x + β along one dimension of values that are normalised already.</summary>
    /// <param name="name">Name before <c>.weight</c> and <c>.bias</c>.</param>
    /// <param name="normalised">The normalised values.</param>
    /// <param name="gamma">C.</param>
    /// <param name="beta">C.</param>
    /// <param name="dimension">Dimension of the channels.</param>
    public Tensor Affine(string name, Tensor normalised, Tensor gamma, Tensor beta, int dimension)
    {
        var shape = new long[normalised.dim()];
        Array.Fill(shape, 1);
        shape[dimension] = gamma.shape[0];
        using var factor = gamma.view(shape);
        using var offset = beta.view(shape);
        using var scaled = normalised * factor;
        using var plain = scaled.add(offset, Scalars.One);
        var tap = Tap(plain);
        _uses.Add(new ParameterUse(ParameterUseKind.Affine, $"{name}.weight", $"{name}.bias", gamma.shape, normalised.detach(), tap) { ChannelDimension = dimension });
        return plain.add(tap, Scalars.One);
    }

    /// <summary>A parameter repeated for each sample: N× its shape, without a leading dimension of 1.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="parameter">1×….</param>
    /// <param name="samples">N.</param>
    public Tensor Constant(string name, Tensor parameter, long samples)
    {
        long[] shape = [samples, .. parameter.shape.Skip(1)];
        using var plain = parameter.expand(shape);
        var tap = Tap(plain);
        _uses.Add(new ParameterUse(ParameterUseKind.Constant, name, "", parameter.shape, null, tap));
        return plain.add(tap, Scalars.One);
    }

    /// <summary>One backward pass of Σₙ fₙ to all taps.</summary>
    /// <param name="outputs">f, one number for each sample; made from results of this tape.</param>
    public void Backward(Tensor outputs)
    {
        using var sum = outputs.sum();
        // autograd.grad would abort the process on an error; backward with named inputs throws.
        autograd.backward([sum], inputs: [.. _uses.Select(u => u.Tap)]);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var use in _uses)
        {
            use.Input?.Dispose();
            use.Tap.Dispose();
        }

        _uses.Clear();
    }

    private static Tensor Tap(Tensor result)
    {
        using var quiet = no_grad();
        return zeros(result.shape, result.dtype, result.device).requires_grad_(true);
    }
}
