using Analysis.Numerics;

namespace Analysis.Attribution.Retraining;

/// <summary>How well attribution scores predict what networks do that were trained on other subsets.</summary>
/// <param name="Score">Mean over the targets of Spearman's correlation between predicted and true output; 1 is perfect, 0 chance.</param>
/// <param name="Low">Lower end of its 95% interval, from a bootstrap over subsets and targets.</param>
/// <param name="High">Upper end.</param>
/// <param name="PerTarget">The correlation of each target.</param>
/// <param name="Subsets">Subsets that were trained on.</param>
public sealed record DatamodelScore(double Score, double Low, double High, IReadOnlyList<double> PerTarget, int Subsets);

/// <summary>
/// The linear datamodelling score (Park et al. 2023, arXiv 2303.14186, §2; METHODS 4.4): networks are trained on random halves of
/// the training images; for a target z the sum of the scores τ(i, z) over a half predicts the output f(z) of the network trained
/// on it, and the score is the rank correlation of the two over the halves.
/// </summary>
public static class LinearDatamodel
{
    private const int Replicates = 1000;
    private const double Level = 0.95;

    /// <summary>Random halves of the training images.</summary>
    /// <param name="images">Number of training images n.</param>
    /// <param name="count">Number of halves.</param>
    /// <param name="seed">Equal seeds give equal halves; the first ones do not depend on their number.</param>
    /// <returns>For each half n/2 indices, ascending.</returns>
    public static int[][] Halves(int images, int count, int seed)
    {
        var result = new int[count][];
        for (var s = 0; s < count; s++)
        {
            var random = new SplitMix64(((ulong)(uint)seed << 32) | (uint)s);
            int[] order = [.. Enumerable.Range(0, images)];
            random.Shuffle(order);
            Array.Resize(ref order, images / 2);
            Array.Sort(order);
            result[s] = order;
        }

        return result;
    }

    /// <summary>Compares predictions with what retrained networks did.</summary>
    /// <param name="scores">τ, training images × targets.</param>
    /// <param name="subsets">Indices of the training images of each subset.</param>
    /// <param name="outputs">f(z) of the network trained on each subset, subsets × targets.</param>
    /// <param name="seed">Seed of the bootstrap.</param>
    /// <exception cref="ArgumentException">The sizes do not fit, or there are fewer than three subsets.</exception>
    public static DatamodelScore Score(DenseMatrix scores, IReadOnlyList<int[]> subsets, DenseMatrix outputs, int seed = 0)
    {
        if (subsets.Count < 3 || outputs.Rows != subsets.Count || outputs.Columns != scores.Columns || scores.Columns == 0)
        {
            throw new ArgumentException($"{scores.Columns} targets and {subsets.Count} subsets do not fit outputs of {outputs.Rows}×{outputs.Columns}.", nameof(outputs));
        }

        var (count, targets) = (subsets.Count, scores.Columns);
        var predicted = new double[targets][];
        var measured = new double[targets][];
        for (var t = 0; t < targets; t++)
        {
            predicted[t] = [.. subsets.Select(rows => rows.Sum(i => scores[i, t]))];
            measured[t] = outputs.Column(t);
        }

        double[] each = [.. Enumerable.Range(0, targets).Select(t => Ranks.Spearman(predicted[t], measured[t]))];
        var random = new SplitMix64((ulong)(uint)seed);
        var means = new double[Replicates];
        var (a, b) = (new double[count], new double[count]);
        var rows = new int[count];
        for (var r = 0; r < Replicates; r++)
        {
            for (var s = 0; s < count; s++)
            {
                rows[s] = random.NextInt(count);
            }

            double sum = 0;
            for (var t = 0; t < targets; t++)
            {
                var target = random.NextInt(targets);
                for (var s = 0; s < count; s++)
                {
                    (a[s], b[s]) = (predicted[target][rows[s]], measured[target][rows[s]]);
                }

                sum += Ranks.Spearman(a, b);
            }

            means[r] = sum / targets;
        }

        return new DatamodelScore(
            each.Average(), RobustStatistics.Percentile(means, 50 * (1 - Level)), RobustStatistics.Percentile(means, 50 * (1 + Level)), each, count);
    }

    /// <summary>Margin of an output: its logit less the log-sum-exp of the others, in float64.</summary>
    /// <param name="logits">K ≥ 2 logits.</param>
    /// <param name="output">The output.</param>
    public static double Margin(ReadOnlySpan<float> logits, int output)
    {
        var largest = double.NegativeInfinity;
        for (var k = 0; k < logits.Length; k++)
        {
            largest = k == output ? largest : Math.Max(largest, logits[k]);
        }

        double sum = 0;
        for (var k = 0; k < logits.Length; k++)
        {
            sum += k == output ? 0 : Math.Exp(logits[k] - largest);
        }

        return logits[output] - largest - Math.Log(sum);
    }
}
