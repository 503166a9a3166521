using Analysis.Numerics;

namespace Analysis.Importance;

/// <summary>Contributions of a class as shares of the logit (METHODS 2.7, step 3), signed.</summary>
/// <param name="Share">Mean contribution / Σ_j |mean contribution_j|; equal to the published share where all are positive. Length k.</param>
/// <param name="Spread">Population standard deviation of the per-image contribution over the same denominator. Length k.</param>
/// <param name="Unexplained">|mean of the last column| / (that + Σ_j |mean contribution_j|), in [0, 1].</param>
/// <param name="Scale">The denominator Σ_j |mean contribution_j|; 1 where it is zero.</param>
public sealed record Shares(double[] Share, double[] Spread, double Unexplained, double Scale)
{
    /// <summary>Computes the shares.</summary>
    /// <param name="contributions">n×(k+1).</param>
    /// <param name="concepts">k.</param>
    public static Shares Of(DenseMatrix contributions, int concepts)
    {
        var mean = new double[concepts + 1];
        var spread = new double[concepts];
        for (var i = 0; i <= concepts; i++)
        {
            var column = contributions.Column(i);
            mean[i] = RobustStatistics.Mean(column);
            if (i < concepts)
            {
                spread[i] = RobustStatistics.StandardDeviation(column);
            }
        }

        var sum = mean.Take(concepts).Sum(Math.Abs);
        var scale = sum > 0 ? sum : 1;
        var rest = Math.Abs(mean[concepts]);
        return new Shares(
            [.. mean.Take(concepts).Select(m => m / scale)], [.. spread.Select(s => s / scale)], rest + sum > 0 ? rest / (rest + sum) : 0, scale);
    }

    /// <summary>
    /// Spread of several concepts taken as one: population standard deviation over images of the sum of their contributions, over
    /// the denominator of <see cref="Of"/>. It lies below the sum of their spreads where they take turns.
    /// </summary>
    /// <param name="contributions">n×(k+1) row by row, as stored with a class.</param>
    /// <param name="concepts">k.</param>
    /// <param name="together">Ranks of the concepts, each once.</param>
    public static double JointSpread(ReadOnlySpan<float> contributions, int concepts, IReadOnlyList<int> together)
    {
        var (width, n) = (concepts + 1, contributions.Length / (concepts + 1));
        if (n == 0)
        {
            return 0;
        }

        var sums = new double[concepts];
        var joint = new double[n];
        for (var row = 0; row < n; row++)
        {
            var values = contributions.Slice(row * width, width);
            for (var i = 0; i < concepts; i++)
            {
                sums[i] += values[i];
            }

            foreach (var rank in together)
            {
                joint[row] += values[rank];
            }
        }

        var scale = sums.Sum(sum => Math.Abs(sum / n));
        return RobustStatistics.StandardDeviation(joint) / (scale > 0 ? scale : 1);
    }
}
