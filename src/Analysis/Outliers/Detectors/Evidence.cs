using Analysis.Numerics;

namespace Analysis.Outliers.Detectors;

/// <summary>
/// Raw scores to comparable evidence: log-odds that a sample is odd, 0 at the threshold. Everything is calibrated on the data
/// set itself by its median and a quantile that a few percent of outliers do not move.
/// </summary>
internal static class Evidence
{
    /// <summary>Log-odds of a detector that has nothing to say.</summary>
    public const double Absent = -20;

    /// <summary>Fewest samples that a calibration makes sense for.</summary>
    public const int FewestSamples = 20;

    // Standard normal quantile at 0.9.
    private const double NormalNinety = 1.2815515655446004;

    public static double Logistic(double x) => 1 / (1 + Math.Exp(-Math.Clamp(x, -40, 40)));

    public static double LogOdds(double p) => Math.Log(p / (1 - p));

    /// <summary>
    /// (x − median) / ((90th percentile − median) / 1.2816): the upper half's own spread, so that a long lower tail does not
    /// hide the upper one. 0 for entries that are not finite and where there are too few.
    /// </summary>
    /// <param name="values">One a sample.</param>
    /// <param name="upper">False to measure towards small values, so that small ones score high.</param>
    /// <param name="smallestSpread">The spread is at least this.</param>
    public static double[] Standardise(ReadOnlySpan<double> values, bool upper = true, double smallestSpread = 1e-9)
    {
        var result = new double[values.Length];
        var finite = Finite(values);
        if (finite.Length < FewestSamples)
            return result;
        Array.Sort(finite);
        var median = RobustStatistics.PercentileOfSorted(finite, 50);
        var spread = upper
            ? RobustStatistics.PercentileOfSorted(finite, 90) - median
            : median - RobustStatistics.PercentileOfSorted(finite, 10);
        spread = Math.Max(spread / NormalNinety, smallestSpread);
        for (var i = 0; i < values.Length; i++)
        {
            if (double.IsFinite(values[i]))
                result[i] = (upper ? values[i] - median : median - values[i]) / spread;
        }

        return result;
    }

    /// <summary>Share of the finite values that are smaller, in [0, 1].</summary>
    public static double[] Percentiles(ReadOnlySpan<double> values)
    {
        var sorted = Finite(values);
        Array.Sort(sorted);
        var result = new double[values.Length];
        for (var i = 0; i < values.Length; i++)
        {
            if (!double.IsFinite(values[i]))
                continue;
            int low = 0, high = sorted.Length;
            while (low < high)
            {
                var middle = (low + high) / 2;
                if (sorted[middle] < values[i])
                    low = middle + 1;
                else
                    high = middle;
            }

            result[i] = (double)low / sorted.Length;
        }

        return result;
    }

    private static double[] Finite(ReadOnlySpan<double> values)
    {
        var finite = new List<double>(values.Length);
        foreach (var value in values)
        {
            if (double.IsFinite(value))
                finite.Add(value);
        }

        return [.. finite];
    }
}
