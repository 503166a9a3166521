using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Importance.Estimators;

/// <summary>uᵢgᵢ, the exact contribution behind a linear head (METHODS 2.5). Needs a <see cref="LinearConceptModel"/>.</summary>
public sealed class ClosedFormEstimator : IImportanceEstimator
{
    /// <summary>Its name.</summary>
    public const string Name = "closed-form";

    /// <inheritdoc/>
    public EstimatorInfo Info { get; } = new(
        Name, "Exact contribution", "What the concept adds to the logit, exactly; only where the rest of the network is linear.",
        "φᵢ = uᵢ gᵢ, g = V w", Signed: true, "none", "Fel et al. 2023 (arXiv 2306.07304), section 3.2", InLogitUnits: true);

    /// <inheritdoc/>
    /// <exception cref="AnalysisException">The model is not linear.</exception>
    public Tensor Estimate(IConceptModel model, Tensor codes, EstimatorOptions options, CancellationToken cancellation = default)
    {
        if (model is not LinearConceptModel linear)
        {
            throw NotLinear();
        }

        return Contributions(linear, codes).ToTensor(codes.device);
    }

    internal static AnalysisException NotLinear() => new(
        $"The importance estimator '{Name}' needs a layer that is followed by average pooling and one linear map only.",
        "Choose 'integrated-gradients' or 'occlusion', or analyse the last layer before the classifier.");

    internal static DenseMatrix Contributions(LinearConceptModel model, Tensor codes)
    {
        using var scope = NewDisposeScope();
        return LinearHeadImportance.GradientTimesInput(DenseMatrix.FromTensor(LinearConceptModel.Pooled(codes)), DenseMatrix.FromTensor(model.Effects));
    }
}
