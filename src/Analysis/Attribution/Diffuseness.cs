using Analysis.Numerics;

namespace Analysis.Attribution;

/// <summary>How widely scores are spread over training images (METHODS 4).</summary>
/// <param name="EffectiveNumber">(Σ|t|)² / Σt²: 1 where one image has it all, n where all have the same.</param>
/// <param name="EffectiveShare">The same divided by n.</param>
/// <param name="Gini">Gini coefficient of |t|: 0 where all are the same, near 1 where a few have it all.</param>
/// <param name="TopShare">Share of Σ|t| that the top hundredth of the images (at least one) holds.</param>
/// <param name="HistogramFrom">Lower end of the histogram.</param>
/// <param name="HistogramTo">Upper end.</param>
/// <param name="Histogram">Number of images in each of equally wide bins of the signed score.</param>
public sealed record Diffuseness(
    double EffectiveNumber, double EffectiveShare, double Gini, double TopShare, double HistogramFrom, double HistogramTo, IReadOnlyList<int> Histogram)
{
    private const int Bins = 40;

    /// <summary>Measures scores; all zero counts as evenly spread.</summary>
    public static Diffuseness Of(ReadOnlySpan<double> scores)
    {
        var sizes = scores.ToArray().Select(Math.Abs).Order().ToArray();
        var n = sizes.Length;
        var (sum, squares, weighted) = (0.0, 0.0, 0.0);
        for (var i = 0; i < n; i++)
        {
            sum += sizes[i];
            squares += sizes[i] * sizes[i];
            weighted += (i + 1.0) * sizes[i];
        }

        var effective = squares > 0 ? sum * sum / squares : n;
        var gini = sum > 0 ? ((2 * weighted / (n * sum)) - ((n + 1.0) / n)) : 0;
        var top = sum > 0 ? sizes[^Math.Max(1, n / 100)..].Sum() / sum : Math.Max(1, n / 100) / (double)n;
        var (from, to) = (double.PositiveInfinity, double.NegativeInfinity);
        foreach (var score in scores)
        {
            (from, to) = (Math.Min(from, score), Math.Max(to, score));
        }

        var histogram = new int[Bins];
        foreach (var score in scores)
        {
            histogram[to > from ? Math.Min(Bins - 1, (int)((score - from) / (to - from) * Bins)) : 0]++;
        }

        return new Diffuseness(effective, effective / n, gini, top, from, to, histogram);
    }
}
