using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Importance.Estimators;

/// <summary>
/// Mean logit over random masks that keep the concept. An offset that is the same for all concepts of an image stays in it;
/// orders within an image are not touched by it. Exact, ½Σc + ½cᵢ + b, for a linear model.
/// </summary>
public sealed class RiseEstimator : IImportanceEstimator
{
    /// <summary>Masks where none are asked for; all 2^k where they are fewer.</summary>
    public const int DefaultMasks = 4000;

    private const double Stabiliser = 1e-4;

    /// <inheritdoc/>
    public EstimatorInfo Info { get; } = new(
        "rise", "RISE", "The mean logit when the concept is kept and each other one is kept or dropped by a coin; compare concepts of one image only.",
        "φᵢ = Σ f(u∘m) mᵢ / Σ mᵢ, 4000 masks", Signed: true, "4000 evaluations; exact and free for a linear head", "Petsiuk, Das, Saenko 2018 (arXiv 1806.07421)", InLogitUnits: false);

    /// <inheritdoc/>
    public Tensor Estimate(IConceptModel model, Tensor codes, EstimatorOptions options, CancellationToken cancellation = default)
    {
        if (model is LinearConceptModel linear)
        {
            var constant = DenseMatrix.FromTensor(linear.Constant).Values;
            return LinearHeadImportance.Rise(ClosedFormEstimator.Contributions(linear, codes), constant).ToTensor(codes.device);
        }

        var count = options.Draws > 0 ? options.Draws : DefaultMasks;
        return Estimate(model, codes, BinaryMasks.Create(model.Concepts, count, options.Seed), options, cancellation);
    }

    /// <summary>The estimate by given masks.</summary>
    /// <param name="model">f.</param>
    /// <param name="codes">n×k or n×P×k.</param>
    /// <param name="masks">M×k, for all images.</param>
    /// <param name="options">Batch.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    public static Tensor Estimate(IConceptModel model, Tensor codes, DenseMatrix masks, EstimatorOptions options, CancellationToken cancellation = default)
    {
        var scores = MaskedScores.Shared(model, codes, masks, options.BatchRows, cancellation);
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var m = masks.ToTensor(codes.device);
        return (scores.ToTensor(codes.device).mm(m) / m.sum([0L]).add(Scalars.Of(Stabiliser), Scalars.One)).MoveToOuterDisposeScope();
    }
}
