using Analysis.Factorization;
using Analysis.Numerics;

namespace Analysis.Strategies;

/// <summary>How contributions are grouped into strategies.</summary>
public sealed record StrategyOptions
{
    /// <summary>Most strategies considered.</summary>
    public int Maximum { get; init; } = 6;

    /// <summary>All images stay one strategy unless some split reaches this mean silhouette.</summary>
    public double SilhouetteThreshold { get; init; } = 0.25;

    /// <summary>A split with a group smaller than this share of the images (and than 3) is not considered: a few odd images are no strategy.</summary>
    public double SmallestShare { get; init; } = 0.02;

    /// <summary>Starts of k-means.</summary>
    public int Restarts { get; init; } = 5;

    /// <summary>Seed of k-means.</summary>
    public int Seed { get; init; }
}

/// <summary>Images recognised in the same way.</summary>
/// <param name="Index">0-based, largest first.</param>
/// <param name="Size">Images in it.</param>
/// <param name="Prototype">Row of the medoid: least summed distance to the others.</param>
/// <param name="Profile">Mean contribution of each concept.</param>
/// <param name="Share">Mean contribution over the sum of the mean contributions of all columns; NaN where that sum is 0.</param>
public sealed record Strategy(int Index, int Size, int Prototype, double[] Profile, double[] Share);

/// <summary>The strategies of a class.</summary>
/// <param name="Labels">Strategy of each image.</param>
/// <param name="Strategies">Largest first; equal sizes in the order of the prototype's row.</param>
/// <param name="Silhouette">Mean silhouette of the split; NaN for a single strategy.</param>
public sealed record StrategyPartition(int[] Labels, IReadOnlyList<Strategy> Strategies, double Silhouette);

/// <summary>Groups images by which concepts made the network decide: k-means on contributions, the number of groups by silhouette.</summary>
public static class StrategyClusters
{
    /// <summary>Images that the silhouette, quadratic in their number, is computed on at most.</summary>
    private const int SilhouetteRows = 1000;

    /// <summary>Images that the medoid is searched among at most: those nearest to the centroid.</summary>
    private const int MedoidRows = 500;

    /// <summary>Clusters the rows of a contribution matrix.</summary>
    /// <param name="contributions">n×k.</param>
    /// <param name="options">Null for the defaults.</param>
    public static StrategyPartition Build(DenseMatrix contributions, StrategyOptions? options = null)
    {
        options ??= new StrategyOptions();
        var n = contributions.Rows;
        if (n == 0)
        {
            return new StrategyPartition([], [], double.NaN);
        }

        var step = (n + SilhouetteRows - 1) / SilhouetteRows;
        var sample = Enumerable.Range(0, (n + step - 1) / step).Select(i => i * step).ToArray();
        var distances = Distances.Pairwise(contributions.Take(sample));
        var smallest = Math.Max(3, (int)Math.Ceiling(options.SmallestShare * n));
        var best = KMeans.Fit(contributions, 1);
        var bestValue = double.NaN;
        for (var k = 2; k <= Math.Min(options.Maximum, n / smallest); k++)
        {
            var fit = KMeans.Fit(contributions, k, options.Seed, options.Restarts);
            var size = new int[k];
            foreach (var label in fit.Labels)
            {
                size[label]++;
            }

            var labels = Array.ConvertAll(sample, i => fit.Labels[i]);
            if (size.Min() < smallest || labels.Distinct().Count() < 2)
            {
                continue;
            }

            var value = RobustStatistics.Mean(ClusterAgreement.Silhouette(distances, labels));
            if (value >= options.SilhouetteThreshold && (double.IsNaN(bestValue) || value > bestValue))
            {
                (best, bestValue) = (fit, value);
            }
        }

        return Describe(contributions, best, bestValue);
    }

    private static StrategyPartition Describe(DenseMatrix contributions, KMeansResult fit, double silhouette)
    {
        var groups = Enumerable.Range(0, contributions.Rows)
            .GroupBy(i => fit.Labels[i])
            .Select(g => (Members: g.ToArray(), Medoid: Medoid(contributions, [.. g], fit)))
            .OrderByDescending(g => g.Members.Length)
            .ThenBy(g => g.Medoid)
            .ToArray();
        var labels = new int[contributions.Rows];
        var strategies = new List<Strategy>(groups.Length);
        for (var index = 0; index < groups.Length; index++)
        {
            foreach (var i in groups[index].Members)
            {
                labels[i] = index;
            }

            var profile = contributions.Take(groups[index].Members).ColumnMeans();
            var sum = profile.Sum();
            strategies.Add(new Strategy(
                index,
                groups[index].Members.Length,
                groups[index].Medoid,
                profile,
                Array.ConvertAll(profile, p => sum == 0 ? double.NaN : p / sum)));
        }

        return new StrategyPartition(labels, strategies, silhouette);
    }

    private static int Medoid(DenseMatrix rows, int[] members, KMeansResult fit)
    {
        var near = members.OrderBy(i => fit.SquaredDistances[i]).Take(MedoidRows).ToArray();
        var best = near[0];
        var bestSum = double.PositiveInfinity;
        foreach (var i in near)
        {
            double sum = 0;
            foreach (var j in members)
            {
                sum += Math.Sqrt(Vectors.SquaredDistance(rows.Row(i), rows.Row(j)));
            }

            if (sum < bestSum)
            {
                (best, bestSum) = (i, sum);
            }
        }

        return best;
    }
}
