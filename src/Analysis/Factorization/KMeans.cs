using System.Numerics;
using Analysis.Numerics;

namespace Analysis.Factorization;

/// <summary>A partition by nearest centroid.</summary>
/// <param name="Centroids">k×d.</param>
/// <param name="Labels">Cluster of each row.</param>
/// <param name="SquaredDistances">Of each row to its centroid.</param>
/// <param name="Inertia">Their sum.</param>
/// <param name="Iterations">Lloyd steps taken.</param>
public sealed record KMeansResult(DenseMatrix Centroids, int[] Labels, double[] SquaredDistances, double Inertia, int Iterations);

/// <summary>k-means by Lloyd's algorithm (Lloyd 1982), seeded by k-means++ (Arthur and Vassilvitskii 2007).</summary>
public static unsafe class KMeans
{
    /// <summary>The best of several seeded starts.</summary>
    /// <param name="rows">n×d.</param>
    /// <param name="clusters">1 to n.</param>
    /// <param name="seed">Equal seeds give equal results.</param>
    /// <param name="restarts">Number of starts; the smallest inertia wins, the first on ties.</param>
    /// <param name="maximumIterations">Limit of each start.</param>
    /// <param name="tolerance">As in <see cref="Lloyd"/>.</param>
    public static KMeansResult Fit(
        DenseMatrix rows, int clusters, int seed = 0, int restarts = 5, int maximumIterations = 300, double tolerance = 1e-4)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(clusters, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(clusters, rows.Rows);
        var random = new SplitMix64(unchecked((ulong)seed));
        KMeansResult? best = null;
        for (var start = 0; start < Math.Max(1, clusters == 1 ? 1 : restarts); start++)
        {
            var result = Lloyd(rows, PlusPlus(rows, clusters, ref random), maximumIterations, tolerance);
            if (best is null || result.Inertia < best.Inertia)
            {
                best = result;
            }
        }

        return best!;
    }

    /// <summary>
    /// Lloyd's algorithm from given centroids. Stops when no label changes, or when the summed squared shift of the centroids
    /// is at most <paramref name="tolerance"/> × mean feature variance; labels and inertia belong to the returned centroids. An
    /// empty cluster moves to the point farthest from its own centroid.
    /// </summary>
    /// <param name="rows">n×d.</param>
    /// <param name="initial">k×d; not changed.</param>
    /// <param name="maximumIterations">At least 1.</param>
    /// <param name="tolerance">0 to run to a fixed point.</param>
    public static KMeansResult Lloyd(DenseMatrix rows, DenseMatrix initial, int maximumIterations = 300, double tolerance = 1e-4)
    {
        fixed (double* x = rows.Values)
        {
            return Lloyd(x, rows.Rows, initial, maximumIterations, tolerance, null, default);
        }
    }

    /// <summary>The same for rows in memory that does not move.</summary>
    internal static KMeansResult Lloyd<T>(
        T* rows, int n, DenseMatrix initial, int maximumIterations, double tolerance, Action<double>? progress, CancellationToken cancellation)
        where T : unmanaged, IFloatingPointIeee754<T>
    {
        var lloyd = new BoundedLloyd<T>(rows, n, initial);
        var threshold = tolerance <= 0 ? 0 : tolerance * lloyd.MeanVariance();
        var iterations = 0;
        while (iterations < maximumIterations)
        {
            cancellation.ThrowIfCancellationRequested();
            iterations++;
            var changed = lloyd.Assign();
            var shift = lloyd.Update();
            progress?.Invoke((double)iterations / maximumIterations);
            if (changed == 0 || shift <= threshold)
            {
                break;
            }
        }

        lloyd.Assign();
        var squared = lloyd.SquaredDistances();
        return new KMeansResult(lloyd.Centroids, lloyd.Labels, squared, squared.Sum(), iterations);
    }

    /// <summary>Nearest centroid of each row, the first on ties.</summary>
    /// <param name="rows">n×d.</param>
    /// <param name="centroids">k×d.</param>
    /// <param name="labels">Receives n clusters.</param>
    /// <param name="squared">Receives n squared distances.</param>
    public static void Assign(DenseMatrix rows, DenseMatrix centroids, Span<int> labels, Span<double> squared)
    {
        for (var i = 0; i < rows.Rows; i++)
        {
            var row = rows.Row(i);
            var best = double.PositiveInfinity;
            var label = 0;
            for (var c = 0; c < centroids.Rows; c++)
            {
                var d = Vectors.SquaredDistance(row, centroids.Row(c));
                if (d < best)
                {
                    best = d;
                    label = c;
                }
            }

            labels[i] = label;
            squared[i] = best;
        }
    }

    private static DenseMatrix PlusPlus(DenseMatrix rows, int clusters, ref SplitMix64 random)
    {
        var n = rows.Rows;
        var chosen = new int[clusters];
        chosen[0] = random.NextInt(n);
        var nearest = new double[n];
        Array.Fill(nearest, double.PositiveInfinity);
        for (var c = 1; c < clusters; c++)
        {
            double total = 0;
            for (var i = 0; i < n; i++)
            {
                nearest[i] = Math.Min(nearest[i], Vectors.SquaredDistance(rows.Row(i), rows.Row(chosen[c - 1])));
                total += nearest[i];
            }

            var left = random.NextDouble() * total;
            var pick = -1;
            for (var i = 0; i < n && pick < 0; i++)
            {
                left -= nearest[i];
                pick = left < 0 && nearest[i] > 0 ? i : -1;
            }

            // All points equal a centroid already: any of them will do.
            chosen[c] = pick >= 0 ? pick : random.NextInt(n);
        }

        return rows.Take(chosen);
    }
}
