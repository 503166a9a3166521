using Analysis.Activations;
using Analysis.Concepts;
using Analysis.Importance.Estimators;
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
/// column is the rest of the logit. Any estimator of the catalogue can take their place.
/// </summary>
public abstract class Contributions
{
    private protected Contributions(ISpatialActivations spatial)
    {
        Spatial = spatial;
    }

    private protected const int Part = 32;

    private protected ISpatialActivations Spatial { get; }

    /// <summary>Name for: the closed form where the head is linear, gradient × input otherwise.</summary>
    public const string Automatic = "auto";

    /// <summary>Chooses how concepts are weighed.</summary>
    /// <param name="network">The network.</param>
    /// <param name="layer">Analysed layer.</param>
    /// <param name="spatial">Spatial activations, for heads that are not linear and encoders that work by positions.</param>
    /// <param name="importance"><see cref="Automatic"/>, or a name in <see cref="ImportanceCatalogue"/>.</param>
    /// <param name="seed">Seed of the stochastic estimators.</param>
    /// <exception cref="AnalysisException">The estimator is not known, or needs a linear head where there is none.</exception>
    public static Contributions Create(INetwork network, string layer, ISpatialActivations spatial, string importance = Automatic, int seed = 0)
    {
        Validate(network, layer, importance);
        return (importance, network.LinearHead(layer)) switch
        {
            (Automatic or ClosedFormEstimator.Name, { } head) => new LinearContributions(head.Weight, head.Bias, spatial),
            (Automatic, null) => new GradientContributions(network, layer, spatial),
            var (_, head) => new EstimatorContributions(ImportanceCatalogue.Get(importance), network, layer, head?.Bias, spatial, seed),
        };
    }

    /// <summary>Checks that a way to weigh concepts exists and suits the layer.</summary>
    /// <param name="network">The network.</param>
    /// <param name="layer">Analysed layer.</param>
    /// <param name="importance"><see cref="Automatic"/>, or a name in <see cref="ImportanceCatalogue"/>.</param>
    /// <exception cref="AnalysisException">It does not; names the remedy.</exception>
    public static void Validate(INetwork network, string layer, string importance)
    {
        if (importance != Automatic && ImportanceCatalogue.Get(importance) is ClosedFormEstimator && network.LinearHead(layer) is null)
        {
            throw ClosedFormEstimator.NotLinear();
        }
    }

    /// <summary>Encodes images and weighs the concepts.</summary>
    /// <param name="pooled">n×C float64 on the network's device.</param>
    /// <param name="encoder">Concept vectors and the way to encode by them, on the same device.</param>
    /// <param name="rows">Rows of the images in the store. Length n.</param>
    /// <param name="outputs">Logits and targets of the images.</param>
    /// <param name="cancellation">Honoured between parts.</param>
    /// <param name="codes">
    /// The images' coefficients where they are known already, n×k float64 on the device of <paramref name="pooled"/>; null to compute them. Without
    /// effect where those of every position are needed.
    /// </param>
    public abstract ContributionResult Compute(
        Tensor pooled, ConceptEncoder encoder, int[] rows, ImageOutputs outputs, CancellationToken cancellation, Tensor? codes = null);

    /// <summary>
    /// Effect of one unit of each concept: Σ contributions / Σ coefficients, so that it times the mean coefficient is the mean
    /// contribution. Coefficients with a sign may add up to nothing while the concept matters; for them it is the slope of the
    /// contribution in the coefficient, Σ cu / Σ u². 0 where the concept has no coefficient.
    /// </summary>
    /// <param name="codes">n×k.</param>
    /// <param name="contributions">n×(k+1).</param>
    internal static double[] EffectOf(DenseMatrix codes, DenseMatrix contributions)
    {
        var effect = new double[codes.Columns];
        for (var i = 0; i < effect.Length; i++)
        {
            double contribution = 0, coefficient = 0, product = 0, square = 0;
            var signed = false;
            for (var row = 0; row < codes.Rows; row++)
            {
                var (u, c) = (codes[row, i], contributions[row, i]);
                contribution += c;
                coefficient += u;
                product += u * c;
                square += u * u;
                signed |= u < 0;
            }

            effect[i] = signed ? product / square : coefficient > 0 ? contribution / coefficient : 0;
        }

        return effect;
    }

    /// <summary>Residual relative to the length of a.</summary>
    private protected static double[] Residual(Tensor pooled, ConceptEncoder encoder, Tensor codes)
    {
        var left = (encoder.Centre(pooled) - codes.mm(encoder.Vectors)).pow(Scalars.Of(2)).sum([1L]).sqrt();
        return DenseMatrix.FromTensor((left / pooled.pow(Scalars.Of(2)).sum([1L]).sqrt()).unsqueeze(0)).Row(0).ToArray();
    }

    /// <summary>Mean over positions of the positions' coefficients: since pooling and head are linear, contributions stay exact.</summary>
    private protected Tensor Pool(ConceptEncoder encoder, int[] rows, CancellationToken cancellation)
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

    /// <summary>Coefficients at every position, (images · positions)×k.</summary>
    private protected static Tensor EncodePositions(Tensor activation, ConceptEncoder encoder) =>
        encoder.Encode(activation.to(ScalarType.Float64).permute(0, 2, 3, 1).reshape(-1, activation.shape[1]));
}

/// <summary>The closed form for global average pooling followed by one linear map.</summary>
internal sealed class LinearContributions(Tensor weight, Tensor bias, ISpatialActivations spatial) : Contributions(spatial)
{
    /// <inheritdoc/>
    public override ContributionResult Compute(
        Tensor pooled, ConceptEncoder encoder, int[] rows, ImageOutputs outputs, CancellationToken cancellation, Tensor? codes = null)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var u = codes ?? (encoder.ByPositions ? Pool(encoder, rows, cancellation) : encoder.Encode(pooled));
        var residual = Residual(pooled, encoder, u);
        var coefficients = DenseMatrix.FromTensor(u);
        var reliability = LinearHeadImportance.Reliability(encoder.Vectors, weight);
        var constants = DenseMatrix.FromTensor(bias).Values;
        return new ContributionResult(
            coefficients,
            LinearHeadImportance.Contributions(coefficients, reliability, outputs.Logits, constants, outputs.Target),
            LinearHeadImportance.Contributions(coefficients, reliability, outputs.Logits, constants, outputs.RunnerUp),
            LinearHeadImportance.Effects(reliability, outputs.Target).ColumnMeans(),
            residual);
    }
}

/// <summary>Gradient × input in concept space, for heads that are not linear.</summary>
internal sealed class GradientContributions(INetwork network, string layer, ISpatialActivations spatial) : Contributions(spatial)
{
    /// <inheritdoc/>
    public override ContributionResult Compute(
        Tensor pooled, ConceptEncoder encoder, int[] rows, ImageOutputs outputs, CancellationToken cancellation, Tensor? codes = null)
    {
        using var outer = NewDisposeScope();
        using var guard = no_grad();
        var (n, k) = (rows.Length, (int)encoder.Vectors.shape[0]);
        var coefficients = new DenseMatrix(n, k);
        var toTarget = new DenseMatrix(n, k + 1);
        var toRunnerUp = new DenseMatrix(n, k + 1);
        foreach (var (start, activation) in Spatial.Read(rows, Part, cancellation))
        {
            using (activation)
            {
                Add(start, activation, encoder, outputs, coefficients, toTarget, toRunnerUp);
            }
        }

        var residual = Residual(pooled, encoder, encoder.ByPositions ? coefficients.ToTensor(pooled.device) : encoder.Encode(pooled));
        return new ContributionResult(coefficients, toTarget, toRunnerUp, EffectOf(coefficients, toTarget), residual);
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

/// <summary>
/// Importance by an estimator of the catalogue. The last column is what the values leave of the logit without its bias where
/// they are parts of it, and zero where they are indices or slopes.
/// </summary>
internal sealed class EstimatorContributions(
    IImportanceEstimator estimator, INetwork network, string layer, Tensor? bias, ISpatialActivations spatial, int seed) : Contributions(spatial)
{
    /// <inheritdoc/>
    public override ContributionResult Compute(
        Tensor pooled, ConceptEncoder encoder, int[] rows, ImageOutputs outputs, CancellationToken cancellation, Tensor? codes = null)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var (n, k) = (rows.Length, (int)encoder.Vectors.shape[0]);
        var coefficients = new DenseMatrix(n, k);
        var toTarget = new DenseMatrix(n, k + 1);
        var toRunnerUp = new DenseMatrix(n, k + 1);
        var constants = bias is null ? new double[outputs.Logits.Columns] : DenseMatrix.FromTensor(bias).Values;
        if (bias is not null)
        {
            var u = codes ?? (encoder.ByPositions ? Pool(encoder, rows, cancellation) : encoder.Encode(pooled));
            DenseMatrix.FromTensor(u).Values.CopyTo(coefficients.Values, 0);
            Weigh(0, u);
        }
        else
        {
            foreach (var (start, activation) in Spatial.Read(rows, Part, cancellation))
            {
                using (activation)
                {
                    using var inner = NewDisposeScope();
                    var u = EncodePositions(activation, encoder).reshape(activation.shape[0], -1, k);
                    DenseMatrix.FromTensor(u.mean([1L])).Values.CopyTo(coefficients.Values, start * k);
                    Weigh(start, u);
                }
            }
        }

        var residual = Residual(pooled, encoder, bias is not null || encoder.ByPositions ? coefficients.ToTensor(pooled.device) : encoder.Encode(pooled));
        return new ContributionResult(coefficients, toTarget, toRunnerUp, EffectOf(coefficients, toTarget), residual);

        void Weigh(int start, Tensor u)
        {
            To(outputs.Target, toTarget);
            To(outputs.RunnerUp, toRunnerUp);

            void To(int[] output, DenseMatrix result)
            {
                var phi = DenseMatrix.FromTensor(ConceptModels.Estimate(
                    estimator.Info.Name, network, layer, encoder.Vectors, encoder.Offset, u, output[start..(start + (int)u.shape[0])], seed, 0, cancellation));
                for (var row = 0; row < phi.Rows; row++)
                {
                    var rest = estimator.Info.InLogitUnits ? outputs.Logits[start + row, output[start + row]] - constants[output[start + row]] : 0;
                    for (var i = 0; i < k; i++)
                    {
                        result[start + row, i] = phi[row, i];
                        rest -= estimator.Info.InLogitUnits ? phi[row, i] : 0;
                    }

                    result[start + row, k] = rest;
                }
            }
        }
    }
}
