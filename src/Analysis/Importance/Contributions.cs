using Analysis.Activations;
using Analysis.Networks;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Importance;

/// <summary>Coefficients and contributions of concepts on the images of a class.</summary>
/// <param name="Coefficients">U ≥ 0, n×k; the mean over positions for a head that is not linear.</param>
/// <param name="Contributions">n×(k+1): contribution of each concept to the target's logit; the last column is what is left of the logit without its bias.</param>
/// <param name="Against">The same for the runner-up's logit.</param>
/// <param name="Effect">Effect of one unit of each concept on the target's logit, mean over images. Length k.</param>
/// <param name="Residual">||(a − m) − uV|| / ||a|| of the pooled activation, NaN where a is zero. Length n.</param>
public sealed record ContributionResult(
    DenseMatrix Coefficients, DenseMatrix Contributions, DenseMatrix Against, double[] Effect, double[] Residual)
{
    /// <summary>The same with the concepts in another order.</summary>
    /// <param name="order">New concept i is the old concept order[i].</param>
    public ContributionResult Reorder(int[] order) => new(
        Columns(Coefficients, order, keepLast: false),
        Columns(Contributions, order, keepLast: true),
        Columns(Against, order, keepLast: true),
        [.. order.Select(i => Effect[i])],
        Residual);

    private static DenseMatrix Columns(DenseMatrix source, int[] order, bool keepLast)
    {
        var result = new DenseMatrix(source.Rows, source.Columns);
        for (var row = 0; row < source.Rows; row++)
        {
            for (var i = 0; i < order.Length; i++)
            {
                result[row, i] = source[row, order[i]];
            }

            if (keepLast)
            {
                result[row, order.Length] = source[row, order.Length];
            }
        }

        return result;
    }
}

/// <summary>
/// Importance of concepts for single images. Images are encoded as a ≈ m + uV with u ≥ 0 (m the mean of the data set).
/// Behind a linear head the contribution is exact: c_i = u_i (v_i · w), and a row sums to the logit minus the bias
/// (METHODS 2.5). Otherwise gradient × input in concept space: codes at every position, c_i = Σ_hw u_i(h,w) (v_i · g(h,w))
/// with g the gradient of the logit at the layer; the last column is the rest of the logit.
/// </summary>
public abstract class Contributions
{
    private protected Contributions(Tensor mean)
    {
        Mean = mean;
    }

    /// <summary>Mean pooled activation m, C float64 on the CPU.</summary>
    protected Tensor Mean { get; }

    /// <summary>Chooses the closed form where the head is linear.</summary>
    /// <param name="network">The network.</param>
    /// <param name="layer">Analysed layer.</param>
    /// <param name="mean">Mean pooled activation, C float64 on the CPU; not owned.</param>
    /// <param name="spatial">Spatial activations, for heads that are not linear.</param>
    public static Contributions Create(INetwork network, string layer, Tensor mean, SpatialActivations spatial) =>
        network.LinearHead(layer) is { } head
            ? new LinearContributions(mean, head.Weight, head.Bias)
            : new GradientContributions(mean, network, layer, spatial);

    /// <summary>Encodes images and weighs the concepts.</summary>
    /// <param name="pooled">n×C float64 on the network's device.</param>
    /// <param name="vectors">Concept vectors V, k×C float64 on the same device.</param>
    /// <param name="rows">Rows of the images in the store. Length n.</param>
    /// <param name="outputs">Logits and targets of the images.</param>
    /// <param name="cancellation">Honoured between parts.</param>
    public abstract ContributionResult Compute(Tensor pooled, Tensor vectors, int[] rows, ImageOutputs outputs, CancellationToken cancellation);

    /// <summary>Pooled codes and residual relative to the length of a.</summary>
    private protected (DenseMatrix Codes, double[] Residual) Encode(Tensor pooled, Tensor vectors)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var centred = pooled - Mean.to(pooled.device);
        var codes = NonNegativeEncoding.Encode(centred, vectors).Codes;
        var left = (centred - codes.ToTensor(pooled.device).mm(vectors)).pow(2).sum([1L]).sqrt();
        var residual = DenseMatrix.FromTensor((left / pooled.pow(2).sum([1L]).sqrt()).unsqueeze(0)).Row(0).ToArray();
        return (codes, residual);
    }
}

/// <summary>The closed form for global average pooling followed by one linear map.</summary>
internal sealed class LinearContributions(Tensor mean, Tensor weight, Tensor bias) : Contributions(mean)
{
    /// <inheritdoc/>
    public override ContributionResult Compute(Tensor pooled, Tensor vectors, int[] rows, ImageOutputs outputs, CancellationToken cancellation)
    {
        var (codes, residual) = Encode(pooled, vectors);
        var k = codes.Columns;
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var effects = DenseMatrix.FromTensor(weight.to(ScalarType.Float64).to(vectors.device).mm(vectors.t()));
        var offsets = DenseMatrix.FromTensor(bias.to(ScalarType.Float64).unsqueeze(0)).Row(0).ToArray();
        var effect = new double[k];
        for (var row = 0; row < codes.Rows; row++)
        {
            for (var i = 0; i < k; i++)
            {
                effect[i] += effects[outputs.Target[row], i] / codes.Rows;
            }
        }

        return new ContributionResult(codes, Of(outputs.Target), Of(outputs.RunnerUp), effect, residual);

        DenseMatrix Of(int[] output)
        {
            var result = new DenseMatrix(codes.Rows, k + 1);
            for (var row = 0; row < codes.Rows; row++)
            {
                var rest = outputs.Logits[row, output[row]] - offsets[output[row]];
                for (var i = 0; i < k; i++)
                {
                    result[row, i] = codes[row, i] * effects[output[row], i];
                    rest -= result[row, i];
                }

                result[row, k] = rest;
            }

            return result;
        }
    }
}

/// <summary>Gradient × input in concept space, for heads that are not linear.</summary>
internal sealed class GradientContributions(Tensor mean, INetwork network, string layer, SpatialActivations spatial) : Contributions(mean)
{
    private const int Part = 32;

    /// <inheritdoc/>
    public override ContributionResult Compute(Tensor pooled, Tensor vectors, int[] rows, ImageOutputs outputs, CancellationToken cancellation)
    {
        var (_, residual) = Encode(pooled, vectors);
        var (n, k) = (rows.Length, (int)vectors.shape[0]);
        var codes = new DenseMatrix(n, k);
        var toTarget = new DenseMatrix(n, k + 1);
        var toRunnerUp = new DenseMatrix(n, k + 1);
        foreach (var (start, activation) in spatial.Read(rows, Part, cancellation))
        {
            using (activation)
            {
                Add(start, activation, vectors, outputs, codes, toTarget, toRunnerUp);
            }
        }

        var effect = new double[k];
        for (var i = 0; i < k; i++)
        {
            double contribution = 0, coefficient = 0;
            for (var row = 0; row < n; row++)
            {
                contribution += toTarget[row, i];
                coefficient += codes[row, i];
            }

            effect[i] = coefficient > 0 ? contribution / coefficient : 0;
        }

        return new ContributionResult(codes, toTarget, toRunnerUp, effect, residual);
    }

    private void Add(
        int start, Tensor activation, Tensor vectors, ImageOutputs outputs, DenseMatrix codes, DenseMatrix toTarget, DenseMatrix toRunnerUp)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var (b, c) = ((int)activation.shape[0], activation.shape[1]);
        var positions = activation.shape[2] * activation.shape[3];
        var k = codes.Columns;
        var flat = activation.to(ScalarType.Float64).permute(0, 2, 3, 1).reshape(-1, c) - Mean.to(activation.device);
        var u = NonNegativeEncoding.Encode(flat, vectors).Codes.ToTensor(activation.device).reshape(b, positions, k);
        var pooled = DenseMatrix.FromTensor(u.mean([1L]));
        pooled.Values.CopyTo(codes.Values, start * k);
        Contribute(outputs.Target, toTarget);
        Contribute(outputs.RunnerUp, toRunnerUp);

        void Contribute(int[] output, DenseMatrix result)
        {
            var target = tensor(output.AsSpan(start, b).ToArray(), ScalarType.Int64, activation.device);
            var gradient = HeadGradient.Compute(network, layer, activation, target);
            var effects = gradient.to(ScalarType.Float64).permute(0, 2, 3, 1).reshape(-1, c).mm(vectors.t()).reshape(b, positions, k);
            var contributions = DenseMatrix.FromTensor((u * effects).sum([1L]));
            for (var row = 0; row < b; row++)
            {
                var rest = outputs.Logits[start + row, output[start + row]];
                for (var i = 0; i < k; i++)
                {
                    result[start + row, i] = contributions[row, i];
                    rest -= contributions[row, i];
                }

                result[start + row, k] = rest;
            }
        }
    }
}
