namespace Analysis.Numerics;

/// <summary>Order statistics and spreads. Percentiles interpolate linearly between order statistics everywhere.</summary>
public static class RobustStatistics
{
    /// <summary>Makes the median absolute deviation estimate the standard deviation of a normal distribution.</summary>
    public const double NormalConsistency = 1.4826;

    /// <summary>The q-th percentile.</summary>
    /// <param name="values">At least one value; not changed.</param>
    /// <param name="q">0 to 100.</param>
    /// <returns>NaN for no values or where a value is NaN.</returns>
    public static double Percentile(ReadOnlySpan<double> values, double q)
    {
        if (values.Length == 0)
        {
            return double.NaN;
        }

        var sorted = values.ToArray();
        Array.Sort(sorted);
        return PercentileOfSorted(sorted, q);
    }

    /// <summary>The q-th percentile of values in ascending order.</summary>
    /// <param name="sorted">Ascending; NaN first, as Array.Sort leaves them.</param>
    /// <param name="q">0 to 100.</param>
    public static double PercentileOfSorted(ReadOnlySpan<double> sorted, double q)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(q is >= 0 and <= 100, true, nameof(q));
        if (sorted.Length == 0 || double.IsNaN(sorted[0]))
        {
            return double.NaN;
        }

        var position = q / 100 * (sorted.Length - 1);
        var low = (int)Math.Floor(position);
        var high = Math.Min(low + 1, sorted.Length - 1);
        var share = position - low;

        // From the nearer end, so that both ends are met exactly.
        var difference = sorted[high] - sorted[low];
        return share < 0.5 ? sorted[low] + (difference * share) : sorted[high] - (difference * (1 - share));
    }

    /// <summary>
    /// A percentile near the top: the few values above it are kept in a heap, which costs next to nothing where a sort of all of
    /// them would take most of the time.
    /// </summary>
    /// <param name="values">Finite; not changed.</param>
    /// <param name="q">50 to 100.</param>
    /// <returns>NaN for no values.</returns>
    public static double UpperPercentile(ReadOnlySpan<float> values, double q)
    {
        if (values.Length == 0)
        {
            return double.NaN;
        }

        var position = q / 100 * (values.Length - 1);
        var low = (int)Math.Floor(position);
        var kept = values.Length - low;
        var heap = new PriorityQueue<float, float>(kept);
        var smallest = float.PositiveInfinity;
        foreach (var value in values)
        {
            if (heap.Count < kept)
            {
                heap.Enqueue(value, value);
            }
            else if (value > smallest)
            {
                heap.DequeueEnqueue(value, value);
            }
            else
            {
                continue;
            }

            smallest = heap.Peek();
        }

        // The heap's smallest is the order statistic below the position, the next one that above it.
        double below = heap.Dequeue();
        double above = heap.Count > 0 ? heap.Peek() : below;
        var share = position - low;
        return share < 0.5 ? below + ((above - below) * share) : above - ((above - below) * (1 - share));
    }

    /// <summary>The middle value, or the mean of the two middle ones; NaN for none.</summary>
    public static double Median(ReadOnlySpan<double> values) => Percentile(values, 50);

    /// <summary>Median of |x − median|, not scaled.</summary>
    public static double MedianAbsoluteDeviation(ReadOnlySpan<double> values)
    {
        var median = Median(values);
        var deviations = new double[values.Length];
        for (var i = 0; i < values.Length; i++)
        {
            deviations[i] = Math.Abs(values[i] - median);
        }

        return Median(deviations);
    }

    /// <summary>Arithmetic mean; NaN for none.</summary>
    public static double Mean(ReadOnlySpan<double> values)
    {
        double sum = 0;
        foreach (var v in values)
        {
            sum += v;
        }

        return sum / values.Length;
    }

    /// <summary>Population standard deviation (divisor n).</summary>
    public static double StandardDeviation(ReadOnlySpan<double> values)
    {
        var mean = Mean(values);
        double sum = 0;
        foreach (var v in values)
        {
            sum += (v - mean) * (v - mean);
        }

        return Math.Sqrt(sum / values.Length);
    }

    /// <summary>Whether a spread is too small to divide by: at most 1e-12 × max(1, |mean|), or undefined.</summary>
    /// <param name="spread">A standard deviation or similar.</param>
    /// <param name="mean">The scale of the values.</param>
    public static bool IsDegenerate(double spread, double mean) => !(spread > 1e-12 * Math.Max(1, Math.Abs(mean)));
}
