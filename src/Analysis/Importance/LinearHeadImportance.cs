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
/// Exact importance of concepts where the head is linear: logit(u) = u·g + b with g = V w, so concept i contributes uᵢgᵢ and all
/// common estimators have a closed form (Fel et al. 2023). Matrices are n×k, images × concepts.
/// </summary>
public static class LinearHeadImportance
{
    /// <summary>
    /// Contributions to one output's logit per image, and what no concept explains in the last column: a row sums to the logit
    /// minus the bias.
    /// </summary>
    /// <param name="activations">Pooled activations a, n×C.</param>
    /// <param name="codes">Coefficients u, n×k.</param>
    /// <param name="vectors">Concept vectors V, k×C.</param>
    /// <param name="headWeights">W, K×C.</param>
    /// <param name="output">Output to explain for each image. Length n.</param>
    /// <returns>n×(k+1).</returns>
    public static DenseMatrix Contributions(
        Tensor activations, DenseMatrix codes, Tensor vectors, Tensor headWeights, ReadOnlySpan<int> output)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var w = headWeights.to(ScalarType.Float64).to(activations.device);
        var gradients = Reliability(vectors, headWeights);
        var index = torch.tensor(Array.ConvertAll(output.ToArray(), o => (long)o), ScalarType.Int64, device: activations.device);
        var total = new double[codes.Rows];
        const int Chunk = 4096;
        for (var start = 0; start < codes.Rows; start += Chunk)
        {
            using var inner = torch.NewDisposeScope();
            var rows = Math.Min(Chunk, codes.Rows - start);
            var a = activations.narrow(0, start, rows).to(ScalarType.Float64);
            var logit = (a * w.index_select(0, index.narrow(0, start, rows))).sum(1);
            logit.cpu().data<double>().CopyTo(total.AsSpan(start));
        }

        var result = new DenseMatrix(codes.Rows, codes.Columns + 1);
        for (var i = 0; i < codes.Rows; i++)
        {
            var left = total[i];
            for (var j = 0; j < codes.Columns; j++)
            {
                var c = codes[i, j] * gradients[j, output[i]];
                result[i, j] = c;
                left -= c;
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

    /// <summary>Cosine of each concept with each output's weights, k×K.</summary>
    /// <param name="vectors">k×C.</param>
    /// <param name="headWeights">K×C.</param>
    public static DenseMatrix Alignment(DenseMatrix vectors, DenseMatrix headWeights) => Concepts.ConceptMatching.Cosines(vectors, headWeights);

    /// <summary>d logit / du: the same for every image. Equals SmoothGrad.</summary>
    public static DenseMatrix Gradient(DenseMatrix codes, ReadOnlySpan<double> gradient) => Fill(codes, gradient, (_, g, _) => g);

    /// <summary>uᵢgᵢ: gradient × input, which equals occlusion, the Shapley value and integrated gradients from 0.</summary>
    public static DenseMatrix GradientTimesInput(DenseMatrix codes, ReadOnlySpan<double> gradient) => Fill(codes, gradient, (u, g, _) => u * g);

    /// <summary>(uᵢ − u⁰ᵢ)gᵢ for a baseline u⁰.</summary>
    public static DenseMatrix IntegratedGradients(DenseMatrix codes, ReadOnlySpan<double> gradient, IReadOnlyList<double> baseline) =>
        Fill(codes, gradient, (u, g, j) => (u - baseline[j]) * g);

    /// <summary>Total Sobol index for independent uniform masks, cᵢ² / Σc²; zeros for an image without contributions.</summary>
    public static DenseMatrix SobolTotal(DenseMatrix codes, ReadOnlySpan<double> gradient)
    {
        var result = GradientTimesInput(codes, gradient);
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
    public static DenseMatrix Rise(DenseMatrix codes, ReadOnlySpan<double> gradient, double bias, double probability = 0.5)
    {
        var result = GradientTimesInput(codes, gradient);
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
                row[j] = (probability * sum) + ((1 - probability) * row[j]) + bias;
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

    private static DenseMatrix Fill(DenseMatrix codes, ReadOnlySpan<double> gradient, Func<double, double, int, double> value)
    {
        var result = new DenseMatrix(codes.Rows, codes.Columns);
        for (var i = 0; i < codes.Rows; i++)
        {
            for (var j = 0; j < codes.Columns; j++)
            {
                result[i, j] = value(codes[i, j], gradient[j], j);
            }
        }

        return result;
    }
}
