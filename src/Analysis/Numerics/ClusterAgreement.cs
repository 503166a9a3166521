namespace Analysis.Numerics;

/// <summary>How well a clustering separates points, and how well two clusterings agree.</summary>
public static class ClusterAgreement
{
    /// <summary>Silhouette of each point: (b − a) / max(a, b), a the mean distance within its cluster, b to the nearest other one; 0 for a cluster of one.</summary>
    /// <param name="distances">n×n.</param>
    /// <param name="labels">Cluster of each point.</param>
    /// <exception cref="ArgumentException">Fewer than two clusters.</exception>
    public static double[] Silhouette(DenseMatrix distances, ReadOnlySpan<int> labels)
    {
        var cluster = Compact(labels, out var count);
        if (count < 2)
        {
            throw new ArgumentException("The silhouette needs two clusters or more.", nameof(labels));
        }

        var size = new int[count];
        foreach (var c in cluster)
        {
            size[c]++;
        }

        var result = new double[cluster.Length];
        var sum = new double[count];
        for (var i = 0; i < cluster.Length; i++)
        {
            var own = cluster[i];
            if (size[own] == 1)
            {
                continue;
            }

            Array.Clear(sum);
            var row = distances.Row(i);
            for (var j = 0; j < row.Length; j++)
            {
                sum[cluster[j]] += row[j];
            }

            var inside = sum[own] / (size[own] - 1);
            var outside = double.PositiveInfinity;
            for (var c = 0; c < count; c++)
            {
                if (c != own)
                {
                    outside = Math.Min(outside, sum[c] / size[c]);
                }
            }

            var larger = Math.Max(inside, outside);
            result[i] = larger > 0 ? (outside - inside) / larger : 0;
        }

        return result;
    }

    /// <summary>Rand index adjusted for chance (Hubert and Arabie 1985): 1 for equal partitions, about 0 for independent ones.</summary>
    public static double AdjustedRand(ReadOnlySpan<int> a, ReadOnlySpan<int> b)
    {
        var table = Contingency(a, b);
        double both = 0, inA = 0, inB = 0;
        foreach (var v in table.Values)
        {
            both += Pairs(v);
        }

        var rows = RowSums(table);
        var columns = table.ColumnMeans();
        Vectors.Scale(columns, table.Rows);
        foreach (var v in rows)
        {
            inA += Pairs(v);
        }

        foreach (var v in columns)
        {
            inB += Pairs(Math.Round(v));
        }

        var all = Pairs(a.Length);
        var expected = inA * inB / all;
        var maximum = (inA + inB) / 2;
        return maximum - expected == 0 ? 1 : (both - expected) / (maximum - expected);
    }

    /// <summary>Mutual information divided by the mean of the two entropies; 1 where both have one cluster.</summary>
    public static double NormalizedMutualInformation(ReadOnlySpan<int> a, ReadOnlySpan<int> b)
    {
        var table = Contingency(a, b);
        var rows = RowSums(table);
        var columns = table.ColumnMeans();
        Vectors.Scale(columns, table.Rows);
        double n = a.Length, information = 0;
        for (var i = 0; i < table.Rows; i++)
        {
            for (var j = 0; j < table.Columns; j++)
            {
                var v = table[i, j];
                information += v > 0 ? v / n * Math.Log(v * n / (rows[i] * columns[j])) : 0;
            }
        }

        var entropy = (Entropy(rows, n) + Entropy(columns, n)) / 2;
        return entropy <= 0 ? 1 : Math.Max(0, information) / entropy;
    }

    private static double Pairs(double n) => n * (n - 1) / 2;

    private static double Entropy(double[] sizes, double n)
    {
        double sum = 0;
        foreach (var s in sizes)
        {
            sum -= s > 0 ? s / n * Math.Log(s / n) : 0;
        }

        return sum;
    }

    private static double[] RowSums(DenseMatrix table)
    {
        var sums = new double[table.Rows];
        for (var i = 0; i < table.Rows; i++)
        {
            foreach (var v in table.Row(i))
            {
                sums[i] += v;
            }
        }

        return sums;
    }

    private static DenseMatrix Contingency(ReadOnlySpan<int> a, ReadOnlySpan<int> b)
    {
        if (a.Length != b.Length || a.Length == 0)
        {
            throw new ArgumentException("Two labellings of the same points are needed.", nameof(b));
        }

        var x = Compact(a, out var rows);
        var y = Compact(b, out var columns);
        var table = new DenseMatrix(rows, columns);
        for (var i = 0; i < x.Length; i++)
        {
            table[x[i], y[i]]++;
        }

        return table;
    }

    private static int[] Compact(ReadOnlySpan<int> labels, out int count)
    {
        var numbers = new Dictionary<int, int>();
        var result = new int[labels.Length];
        for (var i = 0; i < labels.Length; i++)
        {
            if (!numbers.TryGetValue(labels[i], out var number))
            {
                number = numbers.Count;
                numbers.Add(labels[i], number);
            }

            result[i] = number;
        }

        count = numbers.Count;
        return result;
    }
}
