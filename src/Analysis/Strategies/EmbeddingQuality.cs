using Analysis.Numerics;

namespace Analysis.Strategies;

/// <summary>How well an embedding keeps neighbourhoods (Venna and Kaski 2001). O(n²) time, O(n) memory.</summary>
public static class EmbeddingQuality
{
    /// <summary>1 where every neighbour in the embedding is a neighbour among the points; about ½ for a random one.</summary>
    /// <param name="points">n×d.</param>
    /// <param name="embedding">n×2 or any width.</param>
    /// <param name="neighbours">Fewer than n / 2.</param>
    /// <returns>NaN for too few points.</returns>
    public static double Trustworthiness(DenseMatrix points, DenseMatrix embedding, int neighbours)
    {
        var n = points.Rows;
        var k = neighbours;
        if (k < 1 || 2 * k >= n)
        {
            return double.NaN;
        }

        double penalty = 0;
        var original = new double[n];
        var low = new double[n];
        var index = new int[n];
        for (var i = 0; i < n; i++)
        {
            for (var j = 0; j < n; j++)
            {
                original[j] = Vectors.SquaredDistance(points.Row(i), points.Row(j));
                low[j] = Vectors.SquaredDistance(embedding.Row(i), embedding.Row(j));
                index[j] = j;
            }

            low[i] = double.PositiveInfinity;
            original[i] = double.PositiveInfinity;
            foreach (var j in Smallest(low, index, k))
            {
                // Rank among the points: one more than how many are nearer; equal ones in the order of the index.
                var rank = 1;
                var distance = original[j];
                for (var m = 0; m < n; m++)
                {
                    rank += original[m] < distance || (original[m] == distance && m < j) ? 1 : 0;
                }

                penalty += Math.Max(0, rank - k);
            }
        }

        return 1 - (penalty * 2 / ((double)n * k * ((2.0 * n) - (3.0 * k) - 1)));
    }

    /// <summary>1 where every neighbour among the points stays a neighbour in the embedding.</summary>
    /// <param name="points">n×d.</param>
    /// <param name="embedding">n×2 or any width.</param>
    /// <param name="neighbours">Fewer than n / 2.</param>
    public static double Continuity(DenseMatrix points, DenseMatrix embedding, int neighbours) =>
        Trustworthiness(embedding, points, neighbours);

    private static int[] Smallest(double[] values, int[] index, int k)
    {
        // A short sorted list: k is small beside n, and most values fail the first comparison.
        var best = new int[k];
        var count = 0;
        foreach (var j in index)
        {
            if (count == k && values[j] >= values[best[k - 1]])
            {
                continue;
            }

            var at = count < k ? count++ : k - 1;
            while (at > 0 && values[best[at - 1]] > values[j])
            {
                best[at] = best[at - 1];
                at--;
            }

            best[at] = j;
        }

        return best;
    }
}
