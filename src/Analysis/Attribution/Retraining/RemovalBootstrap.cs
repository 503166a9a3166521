using Analysis.Numerics;

namespace Analysis.Attribution.Retraining;

/// <summary>
/// Intervals of differences between conditions: networks (paired by seed, since equal seeds start from equal weights) and held-out
/// images (those that show the concept and those that do not by themselves) are drawn with replacement, 1,000 times; percentiles.
/// With three networks the spread between networks is itself known only roughly.
/// </summary>
internal sealed class RemovalBootstrap
{
    private const int Replicates = 1000;
    private readonly int[][] _networks;
    private readonly double[][] _weights;

    /// <summary>Draws once for all conditions and layers, so that all differences are of the same draws.</summary>
    /// <param name="positive">Held-out images: true where the concept is shown.</param>
    /// <param name="networks">Networks of a condition.</param>
    /// <param name="seed">Seed.</param>
    public RemovalBootstrap(bool[] positive, int networks, int seed)
    {
        var random = new SplitMix64((ulong)(uint)seed + 0x5EED);
        int[] yes = [.. Enumerable.Range(0, positive.Length).Where(i => positive[i])];
        int[] no = [.. Enumerable.Range(0, positive.Length).Where(i => !positive[i])];
        _networks = new int[Replicates][];
        _weights = new double[Replicates][];
        for (var r = 0; r < Replicates; r++)
        {
            _networks[r] = new int[networks];
            for (var j = 0; j < networks; j++)
            {
                _networks[r][j] = random.NextInt(networks);
            }

            // Half the weight on each side: the sum over right answers is the balanced accuracy.
            _weights[r] = new double[positive.Length];
            foreach (var side in (int[][])[yes, no])
            {
                for (var i = 0; i < side.Length; i++)
                {
                    _weights[r][side[random.NextInt(side.Length)]] += 0.5 / side.Length;
                }
            }
        }
    }

    /// <summary>Balanced accuracy of a condition in every draw.</summary>
    /// <param name="right">For each network and held-out image 1 where the probe is right, else 0.</param>
    public double[] Draws(IReadOnlyList<double[]> right)
    {
        var result = new double[Replicates];
        var each = new double[right.Count];
        for (var r = 0; r < Replicates; r++)
        {
            for (var j = 0; j < each.Length; j++)
            {
                each[j] = Vectors.Dot(right[j], _weights[r]);
            }

            foreach (var j in _networks[r])
            {
                result[r] += each[j] / _networks[r].Length;
            }
        }

        return result;
    }

    /// <summary>The difference of two conditions.</summary>
    public static EffectInterval Difference(double value, double[] draws, double[] others)
    {
        var differences = new double[draws.Length];
        for (var r = 0; r < draws.Length; r++)
        {
            differences[r] = draws[r] - others[r];
        }

        return new EffectInterval(value, RobustStatistics.Percentile(differences, 2.5), RobustStatistics.Percentile(differences, 97.5));
    }
}
