using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Outliers;

/// <summary>
/// Scores from nearest neighbours; larger is more outlying. A neighbourhood must be larger than any group that is sought:
/// members of a group of equal watermarks are each other's neighbours and hide themselves from a small k.
/// </summary>
public static class NeighbourScores
{
    /// <summary>Neighbourhood for groups: max(20, 6% of the samples).</summary>
    public static int GroupNeighbours(int samples) => Math.Max(20, (int)Math.Ceiling(0.06 * samples));

    /// <summary>Distance to the k-th neighbour.</summary>
    /// <param name="table">Neighbours without the sample itself.</param>
    /// <param name="k">1-based; clipped to the table's width.</param>
    public static double[] Kth(NeighbourTable table, int k)
    {
        var column = Math.Min(k, table.K) - 1;
        return PerSample(table, i => table.Distances[((long)i * table.K) + column]);
    }

    /// <summary>Mean distance to the k nearest.</summary>
    /// <param name="table">Neighbours without the sample itself.</param>
    /// <param name="k">Clipped to the table's width.</param>
    public static double[] Mean(NeighbourTable table, int k)
    {
        var width = Math.Min(k, table.K);
        return PerSample(table, i => RobustStatistics.Mean(table.DistancesOf(i)[..width]));
    }

    /// <summary>Share of the k nearest with another label: finds mislabelled samples.</summary>
    /// <param name="table">Neighbours without the sample itself.</param>
    /// <param name="labels">Label of each sample.</param>
    /// <param name="k">Clipped to the table's width.</param>
    public static double[] LabelDisagreement(NeighbourTable table, IReadOnlyList<int> labels, int k)
    {
        var width = Math.Min(k, table.K);
        return PerSample(table, i =>
        {
            var other = 0;
            foreach (var j in table.IndicesOf(i)[..width])
            {
                other += labels[j] == labels[i] ? 0 : 1;
            }

            return (double)other / width;
        });
    }

    /// <summary>
    /// Local outlier factor (Breunig et al. 2000): density of the neighbours over the sample's own; about 1 inside a cluster.
    /// Remove exact duplicates first: their zero distances make densities without meaning.
    /// </summary>
    /// <param name="table">Neighbours without the sample itself, among the same samples.</param>
    public static double[] LocalOutlierFactor(NeighbourTable table)
    {
        var edge = Kth(table, table.K);
        var density = PerSample(table, i =>
        {
            var indices = table.IndicesOf(i);
            var distances = table.DistancesOf(i);
            double reach = 0;
            for (var j = 0; j < indices.Length; j++)
            {
                reach += Math.Max(edge[indices[j]], distances[j]);
            }

            return 1 / ((reach / indices.Length) + 1e-10);
        });
        return PerSample(table, i =>
        {
            double sum = 0;
            foreach (var j in table.IndicesOf(i))
            {
                sum += density[j];
            }

            return sum / table.K / density[i];
        });
    }

    /// <summary>Distance to the k-th neighbour of the same class; NaN for a class with fewer than 3 samples.</summary>
    /// <param name="rows">n×d, float32 or float64.</param>
    /// <param name="labels">Class of each sample.</param>
    /// <param name="k">Neighbours, or null for <see cref="GroupNeighbours"/> of the class's size; clipped to its size − 1.</param>
    public static double[] WithinClass(Tensor rows, IReadOnlyList<int> labels, int? k = null)
    {
        var result = new double[labels.Count];
        Array.Fill(result, double.NaN);
        foreach (var (_, members) in ClassMembers.Of(labels))
        {
            if (members.Length >= 3)
            {
                using var index = torch.tensor(Array.ConvertAll(members, i => (long)i), ScalarType.Int64, device: rows.device);
                using var own = rows.index_select(0, index);
                var neighbours = k ?? GroupNeighbours(members.Length);
                var scores = Kth(NearestNeighbours.Within(own, neighbours), neighbours);
                for (var i = 0; i < members.Length; i++)
                {
                    result[members[i]] = scores[i];
                }
            }
        }

        return result;
    }

    private static double[] PerSample(NeighbourTable table, Func<int, double> score)
    {
        var result = new double[table.Count];
        for (var i = 0; i < result.Length; i++)
        {
            result[i] = score(i);
        }

        return result;
    }
}

/// <summary>Samples of each class.</summary>
internal static class ClassMembers
{
    /// <summary>Classes ascending, members ascending.</summary>
    public static IEnumerable<(int Class, int[] Members)> Of(IReadOnlyList<int> labels) =>
        Enumerable.Range(0, labels.Count).GroupBy(i => labels[i]).OrderBy(g => g.Key).Select(g => (g.Key, g.ToArray()));
}
