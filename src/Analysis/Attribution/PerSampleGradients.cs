using Analysis.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Attribution;

/// <summary>
/// Each sample's gradient with respect to each parameter, put together from the layer inputs and output gradients that one backward
/// pass left on a tape (METHODS 4.3). With δₙ the gradient of sample n's result: linear δₙxₙᵀ, convolution δₙ·unfold(xₙ)ᵀ in each
/// group, factor of a normalisation Σ δₙ·x̂ₙ over positions; bias and offset Σ δₙ.
/// </summary>
public static class PerSampleGradients
{
    /// <summary>Calls back with every parameter's gradients, N×size row-major; a parameter that is used twice comes twice, to be summed.</summary>
    /// <param name="tape">After <see cref="ParameterTape.Backward"/>.</param>
    /// <param name="visit">Receives the parameter's name and its gradients, which are disposed afterwards.</param>
    public static void Visit(ParameterTape tape, Action<string, Tensor> visit)
    {
        foreach (var use in tape.Uses)
        {
            VisitUse(use, visit);
        }
    }

    /// <summary>The same for one use.</summary>
    public static void VisitUse(ParameterUse use, Action<string, Tensor> visit)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var delta = Delta(use);
        visit(use.Weight, OfWeight(use, delta));
        if (use.BiasSize > 0)
        {
            visit(use.Bias, OfBias(use, delta));
        }
    }

    /// <summary>All gradients side by side, N×P, parameters in the order of their first use.</summary>
    /// <param name="tape">After <see cref="ParameterTape.Backward"/>.</param>
    /// <returns>The gradients, and name and size of each parameter.</returns>
    public static (Tensor Gradients, IReadOnlyList<(string Name, long Size)> Parameters) Concatenate(ParameterTape tape)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var order = new List<string>();
        var sums = new Dictionary<string, Tensor>(StringComparer.Ordinal);
        Visit(tape, (name, gradient) =>
        {
            if (sums.TryGetValue(name, out var sum))
            {
                sum.add_(gradient, Numerics.Scalars.One);
            }
            else
            {
                order.Add(name);
                sums.Add(name, gradient.clone().MoveToOuterDisposeScope());
            }
        });
        return (cat([.. order.Select(n => sums[n])], 1).MoveToOuterDisposeScope(), [.. order.Select(n => (n, sums[n].shape[1]))]);
    }

    /// <summary>Names and sizes of the parameters on a tape, in the order of their first use.</summary>
    public static IReadOnlyList<(string Name, long Size)> Parameters(ParameterTape tape)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var result = new List<(string, long)>();
        foreach (var use in tape.Uses)
        {
            if (seen.Add(use.Weight))
            {
                result.Add((use.Weight, use.WeightSize));
            }

            if (use.BiasSize > 0 && seen.Add(use.Bias))
            {
                result.Add((use.Bias, use.BiasSize));
            }
        }

        return result;
    }

    /// <summary>δ of a use: the gradient that arrived at its result.</summary>
    internal static Tensor Delta(ParameterUse use) => use.Tap.grad?.detach()
        // A result that nothing depends on.
        ?? zeros_like(use.Tap).detach();

    /// <summary>N×size of the weight.</summary>
    internal static Tensor OfWeight(ParameterUse use, Tensor delta)
    {
        var n = delta.shape[0];
        switch (use.Kind)
        {
            case ParameterUseKind.Convolution:
            {
                var (kernelHeight, kernelWidth) = (use.Shape[2], use.Shape[3]);
                var point = kernelHeight == 1 && kernelWidth == 1 && use is { Stride: 1, Padding: 0 };
                var columns = point
                    ? use.Input!.flatten(2)
                    : nn.functional.unfold(use.Input!, (kernelHeight, kernelWidth), (use.Dilation, use.Dilation), (use.Padding, use.Padding), (use.Stride, use.Stride));
                var positions = columns.shape[2];
                // Groups are neighbouring channels, both of input and result.
                var inputs = columns.reshape(n * use.Groups, columns.shape[1] / use.Groups, positions);
                var outputs = delta.reshape(n * use.Groups, delta.shape[1] / use.Groups, positions);
                return outputs.bmm(inputs.transpose(1, 2)).reshape(n, -1);
            }

            case ParameterUseKind.Linear:
            {
                var outputs = delta.reshape(n, -1, delta.shape[^1]);
                var inputs = use.Input!.reshape(n, -1, use.Input.shape[^1]);
                return outputs.transpose(1, 2).bmm(inputs).reshape(n, -1);
            }

            case ParameterUseKind.Affine:
                return OverPositions(delta * use.Input!, use.ChannelDimension);
            default:
                return delta.reshape(n, -1);
        }
    }

    /// <summary>N×size of the bias.</summary>
    internal static Tensor OfBias(ParameterUse use, Tensor delta) =>
        OverPositions(delta, use.Kind switch { ParameterUseKind.Convolution => 1, ParameterUseKind.Linear => (int)delta.dim() - 1, _ => use.ChannelDimension });

    private static Tensor OverPositions(Tensor values, int channelDimension)
    {
        var others = Enumerable.Range(1, (int)values.dim() - 1).Where(d => d != channelDimension).Select(d => (long)d).ToArray();
        return others.Length == 0 ? values : values.sum(others);
    }
}
