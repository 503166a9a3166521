namespace Analysis.Numerics;

/// <summary>Ranks and orders.</summary>
public static class Ranks
{
    /// <summary>Ranks from 1 for the smallest; equal values share the mean of their ranks.</summary>
    /// <exception cref="ArgumentException">A value is NaN.</exception>
    public static double[] Average(ReadOnlySpan<double> values)
    {
        var sorted = values.ToArray();
        var order = Identity(values.Length);
        Array.Sort(sorted, order);
        if (sorted.Length > 0 && double.IsNaN(sorted[0]))
        {
            throw new ArgumentException("NaN has no rank.", nameof(values));
        }

        var ranks = new double[values.Length];
        for (var start = 0; start < sorted.Length;)
        {
            var end = start + 1;
            while (end < sorted.Length && sorted[end] == sorted[start])
            {
                end++;
            }

            var rank = (start + end + 1) / 2.0;
            for (var i = start; i < end; i++)
            {
                ranks[order[i]] = rank;
            }

            start = end;
        }

        return ranks;
    }

    /// <summary>Indices by descending value: stable, NaN last.</summary>
    public static int[] Descending(ReadOnlySpan<double> values) => Order(values, descending: true);

    /// <summary>Indices by ascending value: stable, NaN last.</summary>
    public static int[] Ascending(ReadOnlySpan<double> values) => Order(values, descending: false);

    /// <summary>Spearman's correlation: Pearson's on average ranks; 0 where one side is constant.</summary>
    public static double Spearman(ReadOnlySpan<double> a, ReadOnlySpan<double> b) => Pearson(Average(a), Average(b));

    /// <summary>Pearson's correlation; 0 where one side is constant.</summary>
    public static double Pearson(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        var meanA = RobustStatistics.Mean(a);
        var meanB = RobustStatistics.Mean(b);
        double ab = 0, aa = 0, bb = 0;
        for (var i = 0; i < a.Length; i++)
        {
            ab += (a[i] - meanA) * (b[i] - meanB);
            aa += (a[i] - meanA) * (a[i] - meanA);
            bb += (b[i] - meanB) * (b[i] - meanB);
        }

        return RobustStatistics.IsDegenerate(Math.Sqrt(aa / a.Length), meanA) || RobustStatistics.IsDegenerate(Math.Sqrt(bb / b.Length), meanB)
            ? 0
            : ab / Math.Sqrt(aa * bb);
    }

    private static int[] Order(ReadOnlySpan<double> values, bool descending)
    {
        var keys = values.ToArray();
        var order = Identity(values.Length);
        Array.Sort(order, (a, b) =>
        {
            var x = keys[a];
            var y = keys[b];
            if (double.IsNaN(x) || double.IsNaN(y))
            {
                var nan = double.IsNaN(x).CompareTo(double.IsNaN(y));
                return nan != 0 ? nan : a.CompareTo(b);
            }

            var c = descending ? y.CompareTo(x) : x.CompareTo(y);
            return c != 0 ? c : a.CompareTo(b);
        });
        return order;
    }

    private static int[] Identity(int n)
    {
        var order = new int[n];
        for (var i = 0; i < n; i++)
        {
            order[i] = i;
        }

        return order;
    }
}
