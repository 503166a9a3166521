using Analysis.Numerics;

namespace Analysis.Attribution;

/// <summary>Scores of training images from their influence on single targets.</summary>
internal static class AttributionScores
{
    /// <summary>Share of the images that count as the top.</summary>
    public const double TopShare = 0.05;

    /// <summary>Mean of τ over the targets, without those that are the training image itself; NaN where none is left.</summary>
    public static double[] MeanOverOthers(DenseMatrix tau, string[] hashes, string[] targets)
    {
        var places = targets.Select((h, t) => (h, t)).GroupBy(p => p.h, StringComparer.Ordinal).ToDictionary(g => g.Key, g => g.Select(p => p.t).ToHashSet(), StringComparer.Ordinal);
        var scores = new double[tau.Rows];
        for (var i = 0; i < tau.Rows; i++)
        {
            var own = places.GetValueOrDefault(hashes[i]);
            var (sum, count) = (0.0, 0);
            var row = tau.Row(i);
            for (var t = 0; t < row.Length; t++)
            {
                if (own is null || !own.Contains(t))
                {
                    sum += row[t];
                    count++;
                }
            }

            scores[i] = count > 0 ? sum / count : double.NaN;
        }

        return scores;
    }

    /// <summary>Agreement of the scores that single networks give; null for fewer than two.</summary>
    public static AttributionAgreement? Agreement(List<double[]> single)
    {
        if (single.Count < 2)
        {
            return null;
        }

        int[] known = [.. Enumerable.Range(0, single[0].Length).Where(i => single.TrueForAll(s => double.IsFinite(s[i])))];
        var top = Math.Max(1, (int)(TopShare * known.Length));
        var (correlations, overlaps) = (new List<double>(), new List<double>());
        for (var a = 0; a < single.Count; a++)
        {
            for (var b = 0; b < a; b++)
            {
                var (x, y) = (Array.ConvertAll(known, i => single[a][i]), Array.ConvertAll(known, i => single[b][i]));
                correlations.Add(Ranks.Spearman(x, y));
                overlaps.Add(Ranks.Descending(x).Take(top).Intersect(Ranks.Descending(y).Take(top)).Count() / (double)top);
            }
        }

        return new AttributionAgreement(Rounding.Significant(correlations.Average()), Rounding.Significant(overlaps.Average()), correlations.Count);
    }
}
