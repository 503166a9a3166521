using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Importance.Estimators;

/// <summary>Kernel on the masks.</summary>
public enum MaskKernel
{
    /// <summary>0.5 − (x − x')², for masks of zeros and ones.</summary>
    Binary,

    /// <summary>exp(−(x − x')² / (2 · 0.5²)).</summary>
    Gaussian,

    /// <summary>B₂(|x − x'|)/2 + (|x| − ½)(|x'| − ½), B₂(t) = t² − t + 1/6.</summary>
    Sobolev,
}

/// <summary>
/// Dependence between keeping a concept and the logit, by the Hilbert-Schmidt independence criterion over random binary masks
/// (Novello, Fel, Vigouroux 2022), normalised to [0, 1] per image so that images can be averaged.
/// </summary>
public sealed class HsicEstimator : IImportanceEstimator
{
    /// <summary>Masks where none are asked for; all 2^k where they are fewer.</summary>
    public const int DefaultMasks = 500;

    /// <summary>Most masks: every two of them are compared, and the table of these comparisons is held in memory.</summary>
    public const int MostMasks = 5_000;

    /// <inheritdoc/>
    public EstimatorInfo Info { get; } = new(
        "hsic", "HSIC", "How strongly the logit depends on whether the concept is there, in any way at all; loses the sign.",
        "φᵢ = HSIC(mᵢ, f(u∘m)) / √(HSIC(mᵢ, mᵢ) HSIC(f, f)), 500 masks", Signed: false, "500 evaluations", "Novello, Fel, Vigouroux 2022 (arXiv 2206.06219)", InLogitUnits: false);

    /// <inheritdoc/>
    /// <exception cref="AnalysisException">More than <see cref="MostMasks"/> draws are asked for.</exception>
    public Tensor Estimate(IConceptModel model, Tensor codes, EstimatorOptions options, CancellationToken cancellation = default)
    {
        if (options.Draws > MostMasks)
        {
            throw new AnalysisException($"HSIC compares every two masks and cannot hold {options.Draws} of them.", $"Ask for at most {MostMasks} draws, or choose another estimator.");
        }

        var masks = BinaryMasks.Create(model.Concepts, options.Draws > 0 ? options.Draws : DefaultMasks, options.Seed);
        var scores = MaskedScores.Shared(model, codes, masks, options.BatchRows, cancellation);
        var result = new DenseMatrix(scores.Rows, model.Concepts);
        for (var n = 0; n < result.Rows; n++)
        {
            cancellation.ThrowIfCancellationRequested();
            Score(masks, scores.Row(n), MedianDistance(scores.Row(n)), MaskKernel.Binary, normalise: true).CopyTo(result.Row(n));
        }

        return result.ToTensor(codes.device);
    }

    /// <summary>Σ (HKᵢH)∘(HLH) / M with L the Gaussian kernel of the outputs; zeros where the outputs do not vary.</summary>
    /// <param name="masks">M×k.</param>
    /// <param name="outputs">f under each mask. Length M.</param>
    /// <param name="width">Width of the kernel of the outputs.</param>
    /// <param name="kernel">Kernel of the masks.</param>
    /// <param name="normalise">Divide by √(HSIC(mᵢ, mᵢ) HSIC(y, y)).</param>
    /// <returns>One score a concept.</returns>
    public static double[] Score(DenseMatrix masks, ReadOnlySpan<double> outputs, double width, MaskKernel kernel, bool normalise)
    {
        var m = masks.Rows;
        var result = new double[masks.Columns];
        if (!(Math.Abs(width) > 1e-12))
        {
            return result;
        }

        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var y = tensor(outputs.ToArray(), [m, 1], ScalarType.Float64);
        var l = Centre((y - y.t()).pow(Scalars.Of(2)).div_(Scalars.Of(-2 * width * width)).exp_());
        var own = normalise ? l.pow(Scalars.Of(2)).sum().item<double>() / m : 1;
        var x = masks.ToTensor();
        if (kernel == MaskKernel.Binary)
        {
            // For entries of 0 and 1 the centred kernel is 2 (Hx)(Hx)ᵀ: one product serves all concepts.
            var centred = x - x.mean([0L], keepdim: true);
            var scores = (centred * l.mm(centred)).sum([0L]) * Scalars.Of(2.0 / m);
            var self = centred.pow(Scalars.Of(2)).sum([0L]).pow(Scalars.Of(2)) * Scalars.Of(4.0 / m);
            return DenseMatrix.FromTensor((normalise ? Ratio(scores, self * Scalars.Of(own)) : scores).unsqueeze(0)).Values;
        }

        for (var i = 0; i < result.Length; i++)
        {
            using var inner = NewDisposeScope();
            var column = x.narrow(1, i, 1);
            var k = Centre(Kernel(column, kernel));
            var score = (k * l).sum() / Scalars.Of(m);
            result[i] = (normalise ? Ratio(score, k.pow(Scalars.Of(2)).sum() / Scalars.Of(m) * Scalars.Of(own)) : score).item<double>();
        }

        return result;
    }

    /// <summary>Median |y − y'| over pairs of outputs that differ; 0 where all are equal. The published code takes the median of y itself, which may be 0.</summary>
    public static double MedianDistance(ReadOnlySpan<double> outputs)
    {
        var distances = new List<double>(outputs.Length * (outputs.Length - 1) / 2);
        for (var i = 0; i < outputs.Length; i++)
        {
            for (var j = i + 1; j < outputs.Length; j++)
            {
                distances.Add(Math.Abs(outputs[i] - outputs[j]));
            }
        }

        var median = RobustStatistics.Percentile(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(distances), 50);
        if (median > 0 || distances.Count == 0)
        {
            return double.IsNaN(median) ? 0 : median;
        }

        // More than half of the pairs are equal: a concept that most images lack. The rest still has a scale.
        distances.RemoveAll(d => d == 0);
        return distances.Count == 0 ? 0 : RobustStatistics.Percentile(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(distances), 50);
    }

    private static Tensor Ratio(Tensor score, Tensor product)
    {
        var root = product.sqrt();
        return where(root > Scalars.Of(0), score / root.clamp_min(Scalars.Of(double.Epsilon)), zeros_like(score));
    }

    private static Tensor Kernel(Tensor x, MaskKernel kernel)
    {
        var difference = x - x.t();
        if (kernel == MaskKernel.Gaussian)
        {
            return difference.pow(Scalars.Of(2)).div_(Scalars.Of(-0.5)).exp_();
        }

        var distance = difference.abs();
        var offset = x.abs() - Scalars.Of(0.5);
        return (((distance.pow(Scalars.Of(2)) - distance).add(Scalars.Of(1.0 / 6), Scalars.One)) / Scalars.Of(2)).add(offset * offset.t(), Scalars.One);
    }

    private static Tensor Centre(Tensor kernel) =>
        (kernel - kernel.mean([0L], keepdim: true) - kernel.mean([1L], keepdim: true)).add(kernel.mean(), Scalars.One);
}
