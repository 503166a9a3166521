using System.Numerics;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Importance.Estimators;

/// <summary>Two designs of masks in [0, 1], the raw material of Sobol' indices.</summary>
/// <param name="A">N×k.</param>
/// <param name="B">N×k.</param>
public sealed record SobolDesign(DenseMatrix A, DenseMatrix B)
{
    /// <summary>Scrambled Sobol' points in 2k dimensions.</summary>
    /// <param name="concepts">k.</param>
    /// <param name="count">N; a power of two is best.</param>
    /// <param name="seed">Seed of the scrambling.</param>
    public static SobolDesign Scrambled(int concepts, int count, int seed) => Split(SobolSequence.Points(count, 2 * concepts, seed));

    /// <summary>
    /// Plain Halton points in 2k dimensions, as in the published code (there N = 32). To reproduce only: in many dimensions its
    /// columns are nearly collinear, so that the index of a concept decides its rank.
    /// </summary>
    /// <param name="concepts">k.</param>
    /// <param name="count">N.</param>
    public static SobolDesign Halton(int concepts, int count) => Split(HaltonSequence.Points(count, 2 * concepts));

    /// <summary>The masks to evaluate: A, then for each concept A with that column from B; N(k + 1) rows.</summary>
    public DenseMatrix Masks()
    {
        var (n, k) = (A.Rows, A.Columns);
        var masks = new DenseMatrix(n * (k + 1), k);
        for (var block = 0; block <= k; block++)
        {
            for (var i = 0; i < n; i++)
            {
                var row = masks.Row((block * n) + i);
                A.Row(i).CopyTo(row);
                if (block > 0)
                {
                    row[block - 1] = B[i, block - 1];
                }
            }
        }

        return masks;
    }

    private static SobolDesign Split(DenseMatrix points)
    {
        var k = points.Columns / 2;
        var (a, b) = (new DenseMatrix(points.Rows, k), new DenseMatrix(points.Rows, k));
        for (var i = 0; i < points.Rows; i++)
        {
            points.Row(i)[..k].CopyTo(a.Row(i));
            points.Row(i)[k..].CopyTo(b.Row(i));
        }

        return new SobolDesign(a, b);
    }
}

/// <summary>
/// Total Sobol' index of each concept under independent uniform masks: the share of the logit's variance in which the concept
/// takes part, by Jansen's (1999) estimator. Exact, cᵢ²/Σc², for a linear model.
/// </summary>
public sealed class SobolTotalEstimator : IImportanceEstimator
{
    /// <summary>Points where none are asked for; other numbers are rounded up to a power of two.</summary>
    public const int DefaultPoints = 128;

    /// <inheritdoc/>
    public EstimatorInfo Info { get; } = new(
        "sobol", "Sobol total index", "The share of the logit's variance that vanishes with the concept when all are dimmed at random; sees interactions, loses the sign.",
        "φᵢ = Σ(f(A) − f(Cᵢ))² / (2N Var f(A))", Signed: false, "128 (k + 1) evaluations; exact and free for a linear head", "Jansen 1999; Fel et al. 2021 (arXiv 2111.04138)", InLogitUnits: false);

    /// <inheritdoc/>
    public Tensor Estimate(IConceptModel model, Tensor codes, EstimatorOptions options, CancellationToken cancellation = default)
    {
        if (model is LinearConceptModel linear)
        {
            return LinearHeadImportance.SobolTotal(ClosedFormEstimator.Contributions(linear, codes)).ToTensor(codes.device);
        }

        var count = (int)BitOperations.RoundUpToPowerOf2((uint)(options.Draws > 0 ? options.Draws : DefaultPoints));
        return Estimate(model, codes, SobolDesign.Scrambled(model.Concepts, count, options.Seed), options, cancellation);
    }

    /// <summary>The estimate by a given design.</summary>
    /// <param name="model">f.</param>
    /// <param name="codes">n×k or n×P×k.</param>
    /// <param name="design">Masks for all images.</param>
    /// <param name="options">Batch.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    public static Tensor Estimate(IConceptModel model, Tensor codes, SobolDesign design, EstimatorOptions options, CancellationToken cancellation = default)
    {
        var scores = MaskedScores.Shared(model, codes, design.Masks(), options.BatchRows, cancellation);
        var result = new DenseMatrix(scores.Rows, model.Concepts);
        for (var n = 0; n < result.Rows; n++)
        {
            Jansen(scores.Row(n), design.A.Rows).CopyTo(result.Row(n));
        }

        return result.ToTensor(codes.device);
    }

    /// <summary>Jansen's estimator of the total indices; zeros where f(A) does not vary.</summary>
    /// <param name="scores">f at the rows of <see cref="SobolDesign.Masks"/>, length N(k + 1).</param>
    /// <param name="points">N.</param>
    public static double[] Jansen(ReadOnlySpan<double> scores, int points)
    {
        var plain = scores[..points];
        var mean = RobustStatistics.Mean(plain);
        double variance = 0;
        foreach (var value in plain)
        {
            variance += (value - mean) * (value - mean) / (points - 1);
        }

        var result = new double[(scores.Length / points) - 1];
        if (RobustStatistics.IsDegenerate(Math.Sqrt(variance), mean))
        {
            return result;
        }

        for (var i = 0; i < result.Length; i++)
        {
            result[i] = Vectors.SquaredDistance(plain, scores.Slice((i + 1) * points, points)) / (2 * points * variance);
        }

        return result;
    }
}
