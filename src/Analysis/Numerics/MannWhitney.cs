namespace Analysis.Numerics;

/// <summary>Outcome of a Mann-Whitney test of the positives against the rest.</summary>
/// <param name="Auc">P(positive above negative) + ½ P(tie); NaN where one side is empty.</param>
/// <param name="StrictAuc">P(positive above negative): ties count nothing.</param>
/// <param name="U">Auc × n₁ × n₀.</param>
/// <param name="TwoSided">p by the normal approximation with tie-corrected variance and continuity correction ½.</param>
/// <param name="Greater">One-sided p: positives larger.</param>
/// <param name="Less">One-sided p: positives smaller.</param>
/// <param name="TwoSidedUncorrected">Two-sided p without continuity correction.</param>
/// <param name="Log10Greater">log10 of <paramref name="Greater"/>, exact where that is too small for a double.</param>
/// <param name="Log10Less">log10 of <paramref name="Less"/>, likewise.</param>
public readonly record struct MannWhitneyResult(
    double Auc,
    double StrictAuc,
    double U,
    double TwoSided,
    double Greater,
    double Less,
    double TwoSidedUncorrected,
    double Log10Greater = 0,
    double Log10Less = 0);

/// <summary>Area under the ROC curve and its significance.</summary>
public static class MannWhitney
{
    /// <summary>Area under the ROC curve with ties counted ½; NaN where one side is empty.</summary>
    /// <param name="scores">Larger for the positives; no NaN.</param>
    /// <param name="positive">Which entries are positive.</param>
    public static double Auc(ReadOnlySpan<double> scores, ReadOnlySpan<bool> positive) => AucFromRanks(Ranks.Average(scores), positive);

    /// <summary>As <see cref="Auc"/>, with average ranks computed once for many masks.</summary>
    /// <param name="ranks">From <see cref="Ranks.Average"/>.</param>
    /// <param name="positive">Which entries are positive.</param>
    public static double AucFromRanks(ReadOnlySpan<double> ranks, ReadOnlySpan<bool> positive)
    {
        double sum = 0;
        double n1 = 0;
        for (var i = 0; i < ranks.Length; i++)
        {
            if (positive[i])
            {
                sum += ranks[i];
                n1++;
            }
        }

        var n0 = ranks.Length - n1;
        return n1 == 0 || n0 == 0 ? double.NaN : (sum - (n1 * (n1 + 1) / 2)) / (n1 * n0);
    }

    /// <summary>Mean precision at the positives' positions in descending order; equal scores are one step.</summary>
    /// <param name="scores">Larger for the positives; no NaN.</param>
    /// <param name="positive">Which entries are positive.</param>
    public static double AveragePrecision(ReadOnlySpan<double> scores, ReadOnlySpan<bool> positive)
    {
        var order = Ranks.Descending(scores);
        double found = 0, sum = 0;
        for (var start = 0; start < order.Length;)
        {
            var end = start;
            double step = 0;
            while (end < order.Length && scores[order[end]] == scores[order[start]])
            {
                step += positive[order[end]] ? 1 : 0;
                end++;
            }

            found += step;
            sum += step * found / end;
            start = end;
        }

        return sum / found;
    }

    /// <summary>The test of one mask.</summary>
    /// <param name="scores">No NaN.</param>
    /// <param name="positive">Which entries are positive.</param>
    public static MannWhitneyResult Test(ReadOnlySpan<double> scores, ReadOnlySpan<bool> positive)
    {
        var n = scores.Length;
        var sorted = scores.ToArray();
        var mask = positive.ToArray();
        Array.Sort(sorted, mask);
        double ties = 0, tiedPairs = 0, rankSum = 0, n1 = 0;
        for (var start = 0; start < n;)
        {
            var end = start;
            double hits = 0;
            while (end < n && sorted[end] == sorted[start])
            {
                hits += mask[end] ? 1 : 0;
                end++;
            }

            double t = end - start;
            ties += (t * t * t) - t;
            tiedPairs += hits * (t - hits);
            rankSum += hits * (start + end + 1) / 2.0;
            n1 += hits;
            start = end;
        }

        var n0 = n - n1;
        if (n1 == 0 || n0 == 0)
        {
            return new MannWhitneyResult(double.NaN, double.NaN, double.NaN, 1, 1, 1, 1);
        }

        var u = rankSum - (n1 * (n1 + 1) / 2);
        var mean = n1 * n0 / 2;
        var deviation = Math.Sqrt(n1 * n0 / 12 * (n + 1 - (ties / ((double)n * (n - 1)))));
        if (RobustStatistics.IsDegenerate(deviation, mean))
        {
            return new MannWhitneyResult(u / (n1 * n0), (u - (tiedPairs / 2)) / (n1 * n0), u, 1, 1, 1, 1);
        }

        return new MannWhitneyResult(
            u / (n1 * n0),
            (u - (tiedPairs / 2)) / (n1 * n0),
            u,
            Math.Min(1, 2 * UpperTail((Math.Abs(u - mean) - 0.5) / deviation)),
            UpperTail((u - mean - 0.5) / deviation),
            UpperTail((mean - u - 0.5) / deviation),
            Math.Min(1, 2 * UpperTail(Math.Abs(u - mean) / deviation)),
            SpecialFunctions.Log10UpperTail((u - mean - 0.5) / deviation),
            SpecialFunctions.Log10UpperTail((mean - u - 0.5) / deviation));
    }

    /// <summary>Exact two-sided p for scores without ties, by counting the arrangements.</summary>
    /// <param name="scores">No two equal; at most 60 entries.</param>
    /// <param name="positive">Which entries are positive; both kinds occur.</param>
    /// <exception cref="ArgumentException">Scores tie, or there are too many.</exception>
    public static double ExactTwoSided(ReadOnlySpan<double> scores, ReadOnlySpan<bool> positive)
    {
        var n = scores.Length;
        ArgumentOutOfRangeException.ThrowIfGreaterThan(n, 60);
        var n1 = 0;
        foreach (var p in positive)
        {
            n1 += p ? 1 : 0;
        }

        var n0 = n - n1;
        var ranks = Ranks.Average(scores);
        if (ranks.Any(r => r != Math.Floor(r)) || ranks.Distinct().Count() != n)
        {
            throw new ArgumentException("The exact test needs scores without ties.", nameof(scores));
        }

        var u = AucFromRanks(ranks, positive) * n1 * n0;

        // ways[j, s]: subsets of size j of the ranks seen so far with statistic s.
        var ways = new double[n1 + 1, (n1 * n0) + 1];
        ways[0, 0] = 1;
        for (var seen = 0; seen < n; seen++)
        {
            for (var j = Math.Min(seen, n1 - 1); j >= 0; j--)
            {
                // A positive placed here outranks the seen − j negatives before it.
                var gain = seen - j;
                for (var s = (n1 * n0) - gain; s >= 0 && gain <= n0; s--)
                {
                    ways[j + 1, s + gain] += ways[j, s];
                }
            }
        }

        var extreme = (int)Math.Round(Math.Max(u, ((double)n1 * n0) - u));
        double total = 0, tail = 0;
        for (var s = 0; s <= n1 * n0; s++)
        {
            total += ways[n1, s];
            tail += s >= extreme ? ways[n1, s] : 0;
        }

        return Math.Min(1, 2 * tail / total);
    }

    private static double UpperTail(double z) => 0.5 * SpecialFunctions.Erfc(z / Math.Sqrt(2));
}

/// <summary>Corrections of p-values for many tests.</summary>
public static class MultipleTesting
{
    /// <summary>Holm's step-down adjustment: controls the chance of any false rejection.</summary>
    public static double[] Holm(ReadOnlySpan<double> p)
    {
        var order = Ranks.Ascending(p);
        var adjusted = new double[p.Length];
        double running = 0;
        for (var i = 0; i < order.Length; i++)
        {
            running = Math.Max(running, Math.Min(1, (p.Length - i) * p[order[i]]));
            adjusted[order[i]] = running;
        }

        return adjusted;
    }

    /// <summary>Benjamini and Hochberg's step-up adjustment: controls the false discovery rate.</summary>
    public static double[] BenjaminiHochberg(ReadOnlySpan<double> p)
    {
        var order = Ranks.Ascending(p);
        var adjusted = new double[p.Length];
        double running = 1;
        for (var i = order.Length - 1; i >= 0; i--)
        {
            running = Math.Min(running, p[order[i]] * p.Length / (i + 1));
            adjusted[order[i]] = running;
        }

        return adjusted;
    }
}

/// <summary>Functions that the framework lacks.</summary>
public static class SpecialFunctions
{
    /// <summary>From here on the tail of the normal distribution is taken from its asymptotic series.</summary>
    private const double FarOut = 30;

    /// <summary>log10 of the upper tail of the standard normal distribution, also where the tail is smaller than any double.</summary>
    public static double Log10UpperTail(double z)
    {
        if (z <= FarOut)
        {
            return Math.Log10(0.5 * Erfc(z / Math.Sqrt(2)));
        }

        // Q(z) = φ(z)/z (1 − 1/z² + 3/z⁴ − …)
        var square = z * z;
        return ((-square / 2) - Math.Log(z * Math.Sqrt(2 * Math.PI)) + Math.Log(1 - (1 / square) + (3 / (square * square)))) / Math.Log(10);
    }

    /// <summary>Complementary error function, relative error below 1e-12: a series near zero, a continued fraction beyond.</summary>
    public static double Erfc(double x)
    {
        var z = Math.Abs(x);
        double result;
        if (z < 2.5)
        {
            // erf(z) = 2/√π e^(−z²) Σ 2ⁿ z^(2n+1) / (2n+1)!!, all terms positive.
            double term = z, sum = z;
            for (var n = 1; term > sum * 1e-18; n++)
            {
                term *= 2 * z * z / ((2 * n) + 1);
                sum += term;
            }

            result = 1 - (2 / Math.Sqrt(Math.PI) * Math.Exp(-z * z) * sum);
        }
        else
        {
            // Continued fraction z + (1/2)/(z + 1/(z + (3/2)/(z + …))), evaluated from the tail.
            var fraction = z;
            for (var n = 120; n >= 1; n--)
            {
                fraction = z + (n / 2.0 / fraction);
            }

            result = Math.Exp(-z * z) / (Math.Sqrt(Math.PI) * fraction);
        }

        return x >= 0 ? result : 2 - result;
    }
}
