namespace Analysis.Search;

/// <summary>How scores are spread in a class: quantiles with linear interpolation between neighbours.</summary>
/// <param name="Class">Class.</param>
/// <param name="Samples">Samples with a score.</param>
/// <param name="Low">5th percentile.</param>
/// <param name="LowerQuarter">25th percentile.</param>
/// <param name="Median">50th percentile.</param>
/// <param name="UpperQuarter">75th percentile.</param>
/// <param name="High">95th percentile.</param>
public sealed record ClassSpread(int Class, int Samples, double Low, double LowerQuarter, double Median, double UpperQuarter, double High);

/// <summary>Scores of all samples, class by class.</summary>
public static class ClassSpreads
{
    /// <summary>Quantiles of the scores in every class that has any, by class. Sorts each class once: O(N log n).</summary>
    /// <param name="scores">Length N; NaN is left out.</param>
    /// <param name="classOf">Class of each sample, in [0, classes); others belong to none. Length N.</param>
    /// <param name="classes">Number of classes.</param>
    public static IReadOnlyList<ClassSpread> Of(ReadOnlySpan<float> scores, ReadOnlySpan<int> classOf, int classes)
    {
        var (sorted, starts) = ByClass(scores, classOf, classes);
        var spreads = new List<ClassSpread>(classes);
        for (var index = 0; index < classes; index++)
        {
            var own = sorted.AsSpan(starts[index]..starts[index + 1]);
            if (own.Length > 0)
            {
                own.Sort();
                spreads.Add(new ClassSpread(index, own.Length, Quantile(own, 0.05), Quantile(own, 0.25), Quantile(own, 0.5), Quantile(own, 0.75), Quantile(own, 0.95)));
            }
        }

        return spreads;
    }

    /// <summary>
    /// How often a sample of a class scores higher than one of another class, ties counted ½: the area under the ROC curve. O(N log n).
    /// </summary>
    /// <param name="scores">Length N; NaN is left out.</param>
    /// <param name="classOf">Class of each sample. Length N.</param>
    /// <param name="class">The class.</param>
    /// <returns>In [0, 1]; NaN where the class, or the rest, is empty.</returns>
    public static double Auc(ReadOnlySpan<float> scores, ReadOnlySpan<int> classOf, int @class)
    {
        var own = new List<float>();
        for (var i = 0; i < scores.Length; i++)
        {
            if (classOf[i] == @class && !float.IsNaN(scores[i]))
            {
                own.Add(scores[i]);
            }
        }

        own.Sort();
        var sorted = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(own);
        var (higher, others) = (0.0, 0L);
        for (var i = 0; i < scores.Length; i++)
        {
            if (classOf[i] != @class && !float.IsNaN(scores[i]))
            {
                var (notAbove, below) = (First(sorted, scores[i], orEqual: false), First(sorted, scores[i], orEqual: true));
                higher += sorted.Length - notAbove + (0.5 * (notAbove - below));
                others++;
            }
        }

        return own.Count == 0 || others == 0 ? double.NaN : higher / others / own.Count;
    }

    /// <summary>Number of sorted values below a value, or at most it.</summary>
    private static int First(ReadOnlySpan<float> sorted, float value, bool orEqual)
    {
        var (from, to) = (0, sorted.Length);
        while (from < to)
        {
            var middle = (from + to) >>> 1;
            if (orEqual ? sorted[middle] < value : sorted[middle] <= value)
            {
                from = middle + 1;
            }
            else
            {
                to = middle;
            }
        }

        return from;
    }

    private static (float[] Values, int[] Starts) ByClass(ReadOnlySpan<float> scores, ReadOnlySpan<int> classOf, int classes)
    {
        var starts = new int[classes + 1];
        for (var i = 0; i < scores.Length; i++)
        {
            if ((uint)classOf[i] < (uint)classes && !float.IsNaN(scores[i]))
            {
                starts[classOf[i] + 1]++;
            }
        }

        for (var index = 0; index < classes; index++)
        {
            starts[index + 1] += starts[index];
        }

        var (values, next) = (new float[starts[classes]], starts[..classes]);
        for (var i = 0; i < scores.Length; i++)
        {
            if ((uint)classOf[i] < (uint)classes && !float.IsNaN(scores[i]))
            {
                values[next[classOf[i]]++] = scores[i];
            }
        }

        return (values, starts);
    }

    private static double Quantile(ReadOnlySpan<float> sorted, double share)
    {
        var place = share * (sorted.Length - 1);
        var below = (int)place;
        return below + 1 < sorted.Length ? double.Lerp(sorted[below], sorted[below + 1], place - below) : sorted[below];
    }
}
