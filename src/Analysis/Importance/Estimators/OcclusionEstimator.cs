using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Importance.Estimators;

/// <summary>f(u) − f(u with uᵢ = 0): what the logit loses without the concept.</summary>
public sealed class OcclusionEstimator : IImportanceEstimator
{
    /// <inheritdoc/>
    public EstimatorInfo Info { get; } = new(
        "occlusion", "Occlusion", "What the logit loses when the concept alone is removed. Simple and faithful; blind to concepts that stand in for one another.",
        "φᵢ = f(u) − f(u with uᵢ = 0)", Signed: true, "k + 1 evaluations", "Zeiler and Fergus 2014 (arXiv 1311.2901)", InLogitUnits: true);

    /// <inheritdoc/>
    public Tensor Estimate(IConceptModel model, Tensor codes, EstimatorOptions options, CancellationToken cancellation = default)
    {
        var k = model.Concepts;
        var masks = new DenseMatrix(k + 1, k);
        Array.Fill(masks.Values, 1);
        for (var i = 0; i < k; i++)
        {
            masks[i + 1, i] = 0;
        }

        var scores = MaskedScores.Shared(model, codes, masks, options.BatchRows, cancellation);
        var result = new DenseMatrix(scores.Rows, k);
        for (var n = 0; n < result.Rows; n++)
        {
            for (var i = 0; i < k; i++)
            {
                result[n, i] = scores[n, 0] - scores[n, i + 1];
            }
        }

        return result.ToTensor(codes.device);
    }
}
