using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Importance;

/// <summary>Importance of concepts over all images of a class.</summary>
/// <param name="MostImportant">Concept with the largest contribution of each image, the first on ties; −1 where every contribution is 0.</param>
/// <param name="Counts">Images for which each concept is the most important.</param>
/// <param name="IsImportant">Counts at or above the limit.</param>
/// <param name="MeanContribution">Mean contribution of each concept.</param>
/// <param name="Share">Mean contribution over the sum of the mean contributions, signed; NaN where that sum is 0.</param>
/// <param name="AbsoluteShare">|mean contribution| over the sum of these.</param>
/// <param name="LeftOut">Images whose most important concept is not an important one.</param>
public sealed record ImportanceSummary(
    int[] MostImportant,
    int[] Counts,
    bool[] IsImportant,
    double[] MeanContribution,
    double[] Share,
    double[] AbsoluteShare,
    int LeftOut);

/// <summary>
/// Exact importance of concepts where the head is linear: logit(u) = u·g + b with g = V w, so that concept i contributes uᵢgᵢ
/// and all common estimators have a closed form (Fel et al. 2023, arXiv 2306.07304; METHODS 2.5). Gradient × input, occlusion,
/// Shapley values and integrated gradients from zero all equal the contribution. Matrices are n×k, images × concepts.
/// </summary>
public static class LinearHeadImportance
{
    /// <summary>
    /// Contributions to one output's logit per image, and what no concept explains in the last column: a row sums to the logit
    /// minus the bias.
    /// </summary>
    /// <param name="codes">Coefficients u, n×k.</param>
    /// <param name="reliability">Effect of one unit of each concept on each output, k×K.</param>
    /// <param name="logits">The network's logits, n×K.</param>
    /// <param name="bias">b. Length K.</param>
    /// <param name="output">Output to explain for each image. Length n.</param>
    /// <returns>n×(k+1).</returns>
    public static DenseMatrix Contributions(
        DenseMatrix codes, DenseMatrix reliability, DenseMatrix logits, ReadOnlySpan<double> bias, int[] output)
    {
        var parts = GradientTimesInput(codes, Effects(reliability, output));
        var result = new DenseMatrix(codes.Rows, codes.Columns + 1);
        for (var i = 0; i < codes.Rows; i++)
        {
            parts.Row(i).CopyTo(result.Row(i));
            var left = logits[i, output[i]] - bias[output[i]];
            foreach (var part in parts.Row(i))
            {
                left -= part;
            }

            result[i, codes.Columns] = left;
        }

        return result;
    }

    /// <summary>Effect of one unit of each concept on each output's logit, V Wᵀ, k×K.</summary>
    /// <param name="vectors">k×C.</param>
    /// <param name="headWeights">K×C.</param>
    public static DenseMatrix Reliability(Tensor vectors, Tensor headWeights)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        return DenseMatrix.FromTensor(vectors.to(ScalarType.Float64).mm(headWeights.to(ScalarType.Float64).to(vectors.device).t()));
    }

    /// <summary>g of each image: the effects on its own output, n×k.</summary>
    /// <param name="reliability">k×K.</param>
    /// <param name="output">Output of each image. Length n.</param>
    public static DenseMatrix Effects(DenseMatrix reliability, ReadOnlySpan<int> output)
    {
        var result = new DenseMatrix(output.Length, reliability.Rows);
        for (var i = 0; i < output.Length; i++)
        {
            for (var j = 0; j < reliability.Rows; j++)
            {
                result[i, j] = reliability[j, output[i]];
            }
        }

        return result;
    }

    /// <summary>Cosine of each concept with each output's weights, k×K.</summary>
    /// <param name="vectors">k×C.</param>
    /// <param name="headWeights">K×C.</param>
    public static DenseMatrix Alignment(DenseMatrix vectors, DenseMatrix headWeights) => Concepts.ConceptMatching.Cosines(vectors, headWeights);

    /// <summary>The contributions c = u∘g.</summary>
    /// <param name="codes">n×k.</param>
    /// <param name="effects">g of each image, n×k.</param>
    public static DenseMatrix GradientTimesInput(DenseMatrix codes, DenseMatrix effects)
    {
        var result = new DenseMatrix(codes.Rows, codes.Columns);
        for (var i = 0; i < result.Values.Length; i++)
        {
            result.Values[i] = codes.Values[i] * effects.Values[i];
        }

        return result;
    }

    /// <summary>Total Sobol' index for independent uniform masks, cᵢ² / Σc²; zeros for an image without contributions.</summary>
    /// <param name="contributions">c, n×k.</param>
    public static DenseMatrix SobolTotal(DenseMatrix contributions)
    {
        var result = contributions.Clone();
        for (var i = 0; i < result.Rows; i++)
        {
            var row = result.Row(i);
            var sum = Vectors.Dot(row, row);
            for (var j = 0; j < row.Length; j++)
            {
                row[j] = sum > 0 ? row[j] * row[j] / sum : 0;
            }
        }

        return result;
    }

    /// <summary>RISE: expected logit when concept i is kept and each other one with a probability, pΣc + (1 − p)cᵢ + b.</summary>
    /// <param name="contributions">c, n×k.</param>
    /// <param name="constant">Logit without any concept. Length n.</param>
    /// <param name="probability">p.</param>
    public static DenseMatrix Rise(DenseMatrix contributions, ReadOnlySpan<double> constant, double probability = 0.5)
    {
        var result = contributions.Clone();
        for (var i = 0; i < result.Rows; i++)
        {
            var row = result.Row(i);
            double sum = 0;
            foreach (var c in row)
            {
                sum += c;
            }

            for (var j = 0; j < row.Length; j++)
            {
                row[j] = (probability * sum) + ((1 - probability) * row[j]) + constant[i];
            }
        }

        return result;
    }

    /// <summary>Summarises contributions over images.</summary>
    /// <param name="contributions">n×k, without the unexplained column.</param>
    /// <param name="importantFrom">Images a concept must lead to count as important.</param>
    public static ImportanceSummary Summarize(DenseMatrix contributions, int importantFrom = 10)
    {
        var k = contributions.Columns;
        var most = new int[contributions.Rows];
        var counts = new int[k];
        for (var i = 0; i < most.Length; i++)
        {
            var row = contributions.Row(i);
            most[i] = -1;
            if (row.ContainsAnyExcept(0.0))
            {
                most[i] = 0;
                for (var j = 1; j < k; j++)
                {
                    most[i] = row[j] > row[most[i]] ? j : most[i];
                }

                counts[most[i]]++;
            }
        }

        var mean = contributions.ColumnMeans();
        var sum = mean.Sum();
        var absolute = mean.Sum(Math.Abs);
        var important = Array.ConvertAll(counts, c => c >= importantFrom);
        return new ImportanceSummary(
            most,
            counts,
            important,
            mean,
            Array.ConvertAll(mean, m => sum == 0 ? double.NaN : m / sum),
            Array.ConvertAll(mean, m => absolute == 0 ? double.NaN : Math.Abs(m) / absolute),
            most.Count(m => m < 0 || !important[m]));
    }
}
