using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Importance.Estimators;

/// <summary>∂f/∂uᵢ: the effect of one unit more of a concept, at all positions at once.</summary>
public sealed class GradientEstimator : IImportanceEstimator
{
    /// <inheritdoc/>
    public EstimatorInfo Info { get; } = new(
        "gradient", "Gradient", "How much one unit more of the concept would change the logit; says nothing about how much of it an image has.",
        "φᵢ = ∂f/∂uᵢ", Signed: true, "1 backward pass", "Simonyan, Vedaldi, Zisserman 2014 (arXiv 1312.6034)", InLogitUnits: false);

    /// <inheritdoc/>
    public Tensor Estimate(IConceptModel model, Tensor codes, EstimatorOptions options, CancellationToken cancellation = default)
    {
        using var scope = NewDisposeScope();
        return ConceptGradients.OverPositions(Local(model, codes, options, cancellation)).MoveToOuterDisposeScope();
    }

    internal static Tensor Local(IConceptModel model, Tensor codes, EstimatorOptions options, CancellationToken cancellation) =>
        ConceptGradients.Mean(model, codes.to(ScalarType.Float64), [1], (part, _) => part.unsqueeze(1), options.BatchRows, cancellation);
}

/// <summary>uᵢ ∂f/∂uᵢ: the first-order estimate of a concept's contribution; exact for a linear head.</summary>
public sealed class GradientInputEstimator : IImportanceEstimator
{
    /// <inheritdoc/>
    public EstimatorInfo Info { get; } = new(
        "gradient-input", "Gradient × input", "First-order estimate of what a concept contributes to the logit; cheap, exact for a linear head.",
        "φᵢ = uᵢ ∂f/∂uᵢ", Signed: true, "1 backward pass", "Shrikumar et al. 2016 (arXiv 1605.01713)", InLogitUnits: true);

    /// <inheritdoc/>
    public Tensor Estimate(IConceptModel model, Tensor codes, EstimatorOptions options, CancellationToken cancellation = default)
    {
        using var scope = NewDisposeScope();
        var gradient = GradientEstimator.Local(model, codes, options, cancellation);
        return ConceptGradients.OverPositions(codes.to(ScalarType.Float64) * gradient).MoveToOuterDisposeScope();
    }
}

/// <summary>
/// (uᵢ − u⁰ᵢ) times the mean gradient on the straight way from a baseline u⁰ to u, by the trapezoidal rule on points that
/// include both ends. The sum over concepts is f(u) − f(u⁰) up to the rule's error.
/// </summary>
public sealed class IntegratedGradientsEstimator : IImportanceEstimator
{
    /// <summary>Points of the path where none are asked for.</summary>
    public const int DefaultPoints = 50;

    /// <inheritdoc/>
    public EstimatorInfo Info { get; } = new(
        "integrated-gradients", "Integrated gradients", "Adds up the gradient while the concepts are faded in; the contributions sum to the logit. A good choice for any head.",
        "φᵢ = uᵢ ∫₀¹ ∂f/∂uᵢ(αu) dα, 50 points", Signed: true, "50 backward passes", "Sundararajan, Taly, Yan 2017 (arXiv 1703.01365)", InLogitUnits: true);

    /// <inheritdoc/>
    public Tensor Estimate(IConceptModel model, Tensor codes, EstimatorOptions options, CancellationToken cancellation = default) =>
        Estimate(model, codes, baseline: null, options, cancellation);

    /// <summary>The same from a baseline; one other than zero is not optimal for deletion (METHODS 2.5).</summary>
    /// <param name="model">f.</param>
    /// <param name="codes">n×k or n×P×k.</param>
    /// <param name="baseline">u⁰, of a shape that broadcasts to the codes; null for zero.</param>
    /// <param name="options">Draws are the points.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    public static Tensor Estimate(IConceptModel model, Tensor codes, Tensor? baseline, EstimatorOptions options, CancellationToken cancellation = default)
    {
        using var scope = NewDisposeScope();
        var points = Math.Max(2, options.Draws > 0 ? options.Draws : DefaultPoints);
        var step = 1.0 / (points - 1);
        var weights = Enumerable.Range(0, points).Select(j => j == 0 || j == points - 1 ? step / 2 : step).ToArray();
        var wide = codes.to(ScalarType.Float64);
        var origin = baseline is null ? zeros_like(wide) : baseline.to(ScalarType.Float64).to(wide.device).expand_as(wide).contiguous();
        var way = wide - origin;

        // Codes and origin are cut into the same parts: both travel side by side in one tensor.
        var both = stack([origin, way], dim: 1);
        var mean = ConceptGradients.Mean(
            model,
            both,
            weights,
            (part, range) =>
            {
                var alpha = Enumerable.Range(range.Start.Value, range.End.Value - range.Start.Value).Select(j => j * step).ToArray();
                long[] shape = [1, alpha.Length, .. Enumerable.Repeat(1L, (int)part.dim() - 2)];
                return part.narrow(1, 0, 1).add((part.narrow(1, 1, 1) * tensor(alpha, shape, ScalarType.Float64, part.device)), Scalars.One);
            },
            options.BatchRows,
            cancellation);
        return ConceptGradients.OverPositions(way * mean).MoveToOuterDisposeScope();
    }
}

/// <summary>Mean gradient in a cloud of normal noise around the coefficients.</summary>
public sealed class SmoothGradEstimator : IImportanceEstimator
{
    /// <summary>Draws where none are asked for.</summary>
    public const int DefaultDraws = 50;

    /// <summary>Standard deviation of the noise, in units of the coefficients.</summary>
    public const double Deviation = 0.2;

    /// <inheritdoc/>
    public EstimatorInfo Info { get; } = new(
        "smoothgrad", "SmoothGrad", "The gradient, averaged over slightly changed coefficients: steadier for heads that bend sharply.",
        "φᵢ = mean ∂f/∂uᵢ(u + N(0, 0.2²)), 50 draws", Signed: true, "50 backward passes", "Smilkov et al. 2017 (arXiv 1706.03825)", InLogitUnits: false);

    /// <inheritdoc/>
    public Tensor Estimate(IConceptModel model, Tensor codes, EstimatorOptions options, CancellationToken cancellation = default)
    {
        using var scope = NewDisposeScope();
        var random = new SplitMix64(unchecked((ulong)options.Seed));
        var each = codes.shape.Skip(1).Aggregate(1L, (a, b) => a * b);
        var values = new double[checked((options.Draws > 0 ? options.Draws : DefaultDraws) * each)];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = Deviation * random.NextNormal();
        }

        var noise = tensor(values, [values.Length / each, .. codes.shape.Skip(1)], ScalarType.Float64, codes.device);
        return Estimate(model, codes, noise, options, cancellation).MoveToOuterDisposeScope();
    }

    /// <summary>The same with given noise.</summary>
    /// <param name="model">f.</param>
    /// <param name="codes">n×k or n×P×k.</param>
    /// <param name="noise">Added to the codes of every image, draws×k or draws×P×k.</param>
    /// <param name="options">Batch.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    public static Tensor Estimate(IConceptModel model, Tensor codes, Tensor noise, EstimatorOptions options, CancellationToken cancellation = default)
    {
        using var scope = NewDisposeScope();
        var draws = (int)noise.shape[0];
        var weights = new double[draws];
        Array.Fill(weights, 1.0 / draws);
        var mean = ConceptGradients.Mean(
            model,
            codes.to(ScalarType.Float64),
            weights,
            (part, range) => part.unsqueeze(1).add(noise.narrow(0, range.Start.Value, range.End.Value - range.Start.Value).unsqueeze(0), Scalars.One),
            options.BatchRows,
            cancellation);
        return ConceptGradients.OverPositions(mean).MoveToOuterDisposeScope();
    }
}

/// <summary>
/// Whether the logit rises along the concept, 1 or 0 for each image; the mean over images is the TCAV score. For the score
/// with its significance see <see cref="Tcav"/>.
/// </summary>
public sealed class TcavEstimator : IImportanceEstimator
{
    /// <inheritdoc/>
    public EstimatorInfo Info { get; } = new(
        "tcav", "TCAV sign", "Whether the logit rises along the concept at all; its mean over images is the TCAV score. Ignores by how much.",
        "φᵢ = 1[∂f/∂uᵢ > 0]", Signed: false, "1 backward pass", "Kim et al. 2018 (arXiv 1711.11279)", InLogitUnits: false);

    /// <inheritdoc/>
    public Tensor Estimate(IConceptModel model, Tensor codes, EstimatorOptions options, CancellationToken cancellation = default)
    {
        using var scope = NewDisposeScope();
        var gradient = ConceptGradients.OverPositions(GradientEstimator.Local(model, codes, options, cancellation));
        return (gradient > Scalars.Of(0)).to(ScalarType.Float64).MoveToOuterDisposeScope();
    }
}
