using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Attribution;

/// <summary>What TRAK needs of one model.</summary>
/// <param name="Train">Φ, n×k.</param>
/// <param name="OneMinusP">1 − p of each training sample. Length n.</param>
/// <param name="Targets">Features of the targets, T×k.</param>
public sealed record TrakModel(IFeatureRows Train, double[] OneMinusP, Tensor Targets);

/// <summary>
/// TRAK (Park et al. 2023, arXiv 2303.14186) in the form of the paper (METHODS 4.2):
/// τ(z) = [ 1/M Σₘ Φₘ (ΦₘᵀΦₘ + λI)⁻¹ φₘ(z) ] · [ 1/M Σₘ (1 − pₘ) ], the second product elementwise over training samples. Positive:
/// without the sample, f(z) is predicted to be lower. In float64, by Cholesky.
/// </summary>
public static class TrakScores
{
    /// <summary>
    /// λ for the margins of classes and samples, as a multiple of the mean eigenvalue of ΦᵀΦ, where nobody chose one. Their gradients are
    /// of the same function as the training features; chosen on planted stamps, see docs/methods/training-data-attribution.md.
    /// </summary>
    public const double MarginLambda = 0.3;

    /// <summary>
    /// The same for the logit of a probe, whose gradient lies partly outside of what the training gradients span: a small λ then mostly
    /// amplifies the chance of the projection.
    /// </summary>
    public const double ProbeLambda = 10;

    private const int Part = 4096;

    /// <summary>Computes τ.</summary>
    /// <param name="models">One for each checkpoint, all of the same n and T.</param>
    /// <param name="lambda">λ of each model from its ΦᵀΦ (k×k float64).</param>
    /// <param name="divideByKernel">True to divide each model's inverse by the mean absolute value of its entries before averaging, as the authors' program does and the paper does not.</param>
    /// <returns>n×T.</returns>
    /// <exception cref="AnalysisException">ΦᵀΦ + λI is not positive definite.</exception>
    public static DenseMatrix Compute(IReadOnlyList<TrakModel> models, Func<Tensor, double> lambda, bool divideByKernel = false)
    {
        ArgumentOutOfRangeException.ThrowIfZero(models.Count);
        return Combine([.. models.Select(m => Unweighted(m, lambda, divideByKernel))], [.. models.Select(m => m.OneMinusP)]);
    }

    /// <summary>Both means over the models, then their product: τ from each model's part.</summary>
    /// <param name="unweighted">What <see cref="Unweighted"/> gave for each model, n×T.</param>
    /// <param name="oneMinusP">1 − p of each model. Length n.</param>
    public static DenseMatrix Combine(IReadOnlyList<DenseMatrix> unweighted, IReadOnlyList<double[]> oneMinusP)
    {
        var sum = unweighted[0].Clone();
        var weights = (double[])oneMinusP[0].Clone();
        for (var m = 1; m < unweighted.Count; m++)
        {
            Vectors.Add(sum.Values, unweighted[m].Values);
            Vectors.Add(weights, oneMinusP[m]);
        }

        var scale = 1.0 / ((double)unweighted.Count * unweighted.Count);
        for (var i = 0; i < sum.Rows; i++)
        {
            Vectors.Scale(sum.Row(i), weights[i] * scale);
        }

        return sum;
    }

    /// <summary>Φ (ΦᵀΦ + λI)⁻¹ φ(z) of one model, n×T.</summary>
    public static DenseMatrix Unweighted(TrakModel model, Func<Tensor, double> lambda, bool divideByKernel = false)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var gram = Gram(model.Train);
        var k = gram.shape[0];
        var ridge = lambda(gram);
        var regularised = gram.add(eye(k, dtype: ScalarType.Float64, device: gram.device) * Scalars.Of(ridge), Scalars.One);
        var targets = model.Targets.to(ScalarType.Float64).cpu().t();
        var solved = Solve(regularised, targets, ridge);
        if (divideByKernel)
        {
            var inverse = Solve(regularised, eye(k, dtype: ScalarType.Float64, device: gram.device), ridge);
            solved = solved / inverse.abs().mean();
        }

        var result = new DenseMatrix(model.Train.Count, (int)solved.shape[1]);
        for (var start = 0; start < result.Rows; start += Part)
        {
            using var inner = NewDisposeScope();
            var rows = Math.Min(Part, result.Rows - start);
            var part = model.Train.Read(start, rows).mm(solved).contiguous();
            part.data<double>().ToArray().CopyTo(result.Values.AsSpan(start * result.Columns));
        }

        return result;
    }

    /// <summary>λ as a share of the mean eigenvalue: <paramref name="relative"/> · trace(ΦᵀΦ) / k.</summary>
    public static Func<Tensor, double> Relative(double relative) => gram =>
    {
        using var scope = NewDisposeScope();
        return relative * gram.trace().item<double>() / gram.shape[0];
    };

    /// <summary>A fixed λ.</summary>
    public static Func<Tensor, double> Absolute(double lambda) => _ => lambda;

    /// <summary>
    /// The paper's optional soft threshold: values move towards 0 by the quantile <paramref name="share"/> of their absolute values,
    /// so that this share of them becomes exactly 0.
    /// </summary>
    /// <param name="scores">Changed in place.</param>
    /// <param name="share">In [0, 1); 0 changes nothing.</param>
    public static void SoftThreshold(Span<double> scores, double share)
    {
        if (share <= 0 || scores.Length == 0)
        {
            return;
        }

        var threshold = RobustStatistics.Percentile(scores.ToArray().Select(Math.Abs).ToArray(), 100 * share);
        foreach (ref var score in scores)
        {
            score = Math.Sign(score) * Math.Max(0, Math.Abs(score) - threshold);
        }
    }

    /// <summary>ΦᵀΦ in float64, summed part by part.</summary>
    public static Tensor Gram(IFeatureRows features)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var k = features.Dimensions;
        var gram = zeros([k, k], ScalarType.Float64);
        for (var start = 0; start < features.Count; start += Part)
        {
            using var inner = NewDisposeScope();
            var part = features.Read(start, Math.Min(Part, features.Count - start));
            gram.add_(part.t().mm(part), Scalars.One);
        }

        return gram.MoveToOuterDisposeScope();
    }

    private static Tensor Solve(Tensor regularised, Tensor right, double ridge)
    {
        var (factor, info) = linalg.cholesky_ex(regularised);
        if (info.item<int>() != 0)
        {
            throw new AnalysisException(
                $"The training images give features that do not fill their {regularised.shape[0]} dimensions, so that they cannot be inverted (λ is {ridge:G3}).",
                "Choose a larger lambda, fewer dimensions, or more training images.");
        }

        return right.cholesky_solve(factor);
    }
}
