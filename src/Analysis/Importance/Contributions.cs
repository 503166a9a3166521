using Analysis.Activations;
using Analysis.Concepts;
using Analysis.Networks;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Importance;

/// <summary>Coefficients and contributions of concepts on the images of a class.</summary>
/// <param name="Coefficients">U, n×k; the mean over positions for a head that is not linear, or where the encoder works by positions.</param>
/// <param name="Contributions">n×(k+1): contribution of each concept to the target's logit; the last column is what is left of the logit without its bias.</param>
/// <param name="Against">The same for the runner-up's logit.</param>
/// <param name="Effect">Effect of one unit of each concept on the target's logit, mean over images. Length k.</param>
/// <param name="Residual">||(a − o) − uV|| / ||a|| of the pooled activation with o the offset of the encoder, NaN where a is zero. Length n.</param>
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

    /// <summary>Concepts by mean |contribution|, descending, ties by number.</summary>
    public int[] ByStrength() => Ranks.Descending(Strength());

    /// <summary>Σ over images of |contribution|. Length k.</summary>
    public double[] Strength()
    {
        var strength = new double[Coefficients.Columns];
        for (var i = 0; i < strength.Length; i++)
        {
            for (var row = 0; row < Contributions.Rows; row++)
            {
                strength[i] += Math.Abs(Contributions[row, i]);
            }
        }

        return strength;
    }

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
/// Importance of concepts for single images, encoded as a ≈ o + uV (o the offset of the encoder).
/// Behind a linear head the contribution is exact: c_i = u_i (v_i · w), and a row sums to the logit minus the bias
/// (METHODS 2.5); the offset's part of the logit belongs to what no concept explains. Otherwise gradient × input in concept
/// space: codes at every position, c_i = Σ_hw u_i(h,w) (v_i · g(h,w)) with g the gradient of the logit at the layer; the last
/// column is the rest of the logit.
/// </summary>
public abstract class Contributions
{
    private protected Contributions(SpatialActivations spatial)
    {
        Spatial = spatial;
    }

    private protected const int Part = 32;

    private protected SpatialActivations Spatial { get; }

    /// <summary>Chooses the closed form where the head is linear.</summary>
    /// <param name="network">The network.</param>
    /// <param name="layer">Analysed layer.</param>
    /// <param name="spatial">Spatial activations, for heads that are not linear and encoders that work by positions.</param>
    public static Contributions Create(INetwork network, string layer, SpatialActivations spatial) =>
        network.LinearHead(layer) is { } head
            ? new LinearContributions(head.Weight, head.Bias, spatial)
            : new GradientContributions(network, layer, spatial);

    /// <summary>Encodes images and weighs the concepts.</summary>
    /// <param name="pooled">n×C float64 on the network's device.</param>
    /// <param name="encoder">Concept vectors and the way to encode by them, on the same device.</param>
    /// <param name="rows">Rows of the images in the store. Length n.</param>
    /// <param name="outputs">Logits and targets of the images.</param>
    /// <param name="cancellation">Honoured between parts.</param>
    public abstract ContributionResult Compute(Tensor pooled, ConceptEncoder encoder, int[] rows, ImageOutputs outputs, CancellationToken cancellation);

    /// <summary>Residual relative to the length of a.</summary>
    private protected static double[] Residual(Tensor pooled, ConceptEncoder encoder, Tensor codes)
    {
        var left = (encoder.Centre(pooled) - codes.mm(encoder.Vectors)).pow(2).sum([1L]).sqrt();
        return DenseMatrix.FromTensor((left / pooled.pow(2).sum([1L]).sqrt()).unsqueeze(0)).Row(0).ToArray();
    }

    /// <summary>Coefficients at every position, (images · positions)×k.</summary>
    private protected static Tensor EncodePositions(Tensor activation, ConceptEncoder encoder) =>
        encoder.Encode(activation.to(ScalarType.Float64).permute(0, 2, 3, 1).reshape(-1, activation.shape[1]));
}

/// <summary>The closed form for global average pooling followed by one linear map.</summary>
internal sealed class LinearContributions(Tensor weight, Tensor bias, SpatialActivations spatial) : Contributions(spatial)
{
    /// <inheritdoc/>
    public override ContributionResult Compute(Tensor pooled, ConceptEncoder encoder, int[] rows, ImageOutputs outputs, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var u = encoder.ByPositions ? Pool(encoder, rows, cancellation) : encoder.Encode(pooled);
        var residual = Residual(pooled, encoder, u);
        var codes = DenseMatrix.FromTensor(u);
        var k = codes.Columns;
        var effects = DenseMatrix.FromTensor(weight.to(ScalarType.Float64).to(encoder.Vectors.device).mm(encoder.Vectors.t()));
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

    /// <summary>Mean over positions of the positions' coefficients: since pooling and head are linear, contributions stay exact.</summary>
    private Tensor Pool(ConceptEncoder encoder, int[] rows, CancellationToken cancellation)
    {
        var parts = new List<Tensor>();
        foreach (var (_, activation) in Spatial.Read(rows, Part, cancellation))
        {
            using (activation)
            {
                using var inner = NewDisposeScope();
                var u = EncodePositions(activation, encoder);
                parts.Add(u.reshape(activation.shape[0], -1, u.shape[1]).mean([1L]).MoveToOuterDisposeScope());
            }
        }

        return cat(parts, 0);
    }
}

/// <summary>Gradient × input in concept space, for heads that are not linear.</summary>
internal sealed class GradientContributions(INetwork network, string layer, SpatialActivations spatial) : Contributions(spatial)
{
    /// <inheritdoc/>
    public override ContributionResult Compute(Tensor pooled, ConceptEncoder encoder, int[] rows, ImageOutputs outputs, CancellationToken cancellation)
    {
        using var outer = NewDisposeScope();
        using var guard = no_grad();
        var (n, k) = (rows.Length, (int)encoder.Vectors.shape[0]);
        var codes = new DenseMatrix(n, k);
        var toTarget = new DenseMatrix(n, k + 1);
        var toRunnerUp = new DenseMatrix(n, k + 1);
        foreach (var (start, activation) in Spatial.Read(rows, Part, cancellation))
        {
            using (activation)
            {
                Add(start, activation, encoder, outputs, codes, toTarget, toRunnerUp);
            }
        }

        var residual = Residual(pooled, encoder, encoder.ByPositions ? codes.ToTensor(pooled.device) : encoder.Encode(pooled));
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
        int start, Tensor activation, ConceptEncoder encoder, ImageOutputs outputs, DenseMatrix codes, DenseMatrix toTarget, DenseMatrix toRunnerUp)
    {
        using var scope = NewDisposeScope();
        var (b, c) = ((int)activation.shape[0], activation.shape[1]);
        var positions = activation.shape[2] * activation.shape[3];
        var k = codes.Columns;
        var u = EncodePositions(activation, encoder).reshape(b, positions, k);
        var pooled = DenseMatrix.FromTensor(u.mean([1L]));
        pooled.Values.CopyTo(codes.Values, start * k);
        Contribute(outputs.Target, toTarget);
        Contribute(outputs.RunnerUp, toRunnerUp);

        void Contribute(int[] output, DenseMatrix result)
        {
            var target = tensor(output.AsSpan(start, b).ToArray(), ScalarType.Int64, activation.device);
            var gradient = HeadGradient.Compute(network, layer, activation, target);
            var effects = gradient.to(ScalarType.Float64).permute(0, 2, 3, 1).reshape(-1, c).mm(encoder.Vectors.t()).reshape(b, positions, k);
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
