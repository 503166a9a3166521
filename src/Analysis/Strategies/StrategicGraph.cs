using Analysis.Atlas;
using Analysis.Importance;
using Analysis.Numerics;

namespace Analysis.Strategies;

/// <summary>
/// The strategic cluster graph of a class (METHODS 2.7): images laid out by the contributions of their concepts, coloured by
/// the strongest, grouped into strategies.
/// </summary>
/// <param name="Layout">x and y interleaved. Length 2n.</param>
/// <param name="Assignment">Strategy of each image. Length n.</param>
/// <param name="Strongest">Strongest concept of each image; −1 where none contributes. Length n.</param>
/// <param name="Strategies">Largest first.</param>
/// <param name="Embedding">How the points were laid out, in words.</param>
/// <param name="Trustworthiness">Of the layout, in [0, 1]; null for too few points.</param>
/// <param name="ImportantFrom">A concept is important when it is the strongest for at least so many images.</param>
/// <param name="LeftOut">Images whose strongest concept is not important.</param>
public sealed record StrategicGraph(
    float[] Layout,
    int[] Assignment,
    int[] Strongest,
    IReadOnlyList<StrategyEntry> Strategies,
    string Embedding,
    double? Trustworthiness,
    int ImportantFrom,
    int LeftOut)
{
    private const int Neighbours = 15;
    private const int PublishedThreshold = 10;

    /// <summary>Trustworthiness is quadratic in the number of points; beyond this it is left out.</summary>
    private const int MostForQuality = 3000;

    /// <summary>Builds the graph.</summary>
    /// <param name="contributions">n×(k+1); the last column, what no concept explains, is left aside.</param>
    /// <param name="concepts">k.</param>
    /// <param name="shares">Shares of the class, for the scale of the profiles.</param>
    /// <param name="outputs">Predictions, for the accuracy inside strategies.</param>
    /// <param name="label">The class's output; null for none.</param>
    /// <param name="seed">Seed of layout and clustering.</param>
    /// <param name="cancellation">Honoured inside the layout.</param>
    public static StrategicGraph Build(
        DenseMatrix contributions, int concepts, Shares shares, ImageOutputs outputs, int? label, int seed, CancellationToken cancellation)
    {
        var n = contributions.Rows;
        var points = Take(contributions, concepts);
        var strongest = new int[n];
        for (var i = 0; i < n; i++)
        {
            strongest[i] = Largest(points.Row(i));
        }

        // Both are single-threaded and independent of each other; the clusters need no tensors, so they may have another thread.
        var clusters = Task.Run(() => StrategyClusters.Build(points, new StrategyOptions { Seed = seed }), CancellationToken.None);
        var layout = UmapLayout.Fit(points, new UmapOptions { Neighbours = Neighbours, Seed = seed }, cancellation);
        var partition = clusters.GetAwaiter().GetResult();
        var quality = Math.Min(5, (n / 2) - 1);
        double? trustworthiness = quality >= 2 && n <= MostForQuality
            ? EmbeddingQuality.Trustworthiness(points, new DenseMatrix(n, 2, Array.ConvertAll(layout, v => (double)v)), quality)
            : null;

        // Ten images of hundreds as published; a tenth of a small class.
        var importantFrom = Math.Clamp(n / 10, 2, PublishedThreshold);
        var count = new int[concepts];
        foreach (var s in strongest.Where(s => s >= 0))
        {
            count[s]++;
        }

        return new StrategicGraph(
            layout,
            partition.Labels,
            strongest,
            [.. partition.Strategies.Select(s => Describe(s, partition, points, shares, outputs, label))],
            n < 4 ? "too few images for a layout" : $"UMAP of concept contributions, {Math.Min(Neighbours, n)} neighbours",
            trustworthiness,
            importantFrom,
            strongest.Count(s => s < 0 || count[s] < importantFrom));
    }

    private static StrategyEntry Describe(Strategy strategy, StrategyPartition partition, DenseMatrix points, Shares shares, ImageOutputs outputs, int? label)
    {
        var labels = partition.Labels;
        var images = StrategyImages.Choose(points, partition, strategy.Index);
        var profile = Array.ConvertAll(strategy.Profile, p => p / shares.Scale);
        double? accuracy = label is { } own
            ? Enumerable.Range(0, labels.Length).Where(i => labels[i] == strategy.Index).Average(i => outputs.Predicted[i] == own ? 1.0 : 0.0)
            : null;
        var total = profile.Sum(Math.Abs);
        var leading = Ranks.Descending(profile).Take(2).Where(i => profile[i] > 0.15 * total).ToArray();
        var summary = leading.Length switch
        {
            0 => "no concept stands out",
            1 => FormattableString.Invariant($"mainly c{leading[0]} ({100 * profile[leading[0]] / total:0}%)"),
            _ => FormattableString.Invariant($"c{leading[0]} ({100 * profile[leading[0]] / total:0}%) with c{leading[1]} ({100 * profile[leading[1]] / total:0}%)"),
        };
        return new StrategyEntry(strategy.Index, strategy.Size, accuracy, outputs.Rows[strategy.Prototype], profile, summary)
        {
            Typical = [.. images.Typical.Select(i => outputs.Rows[i])],
            Borderline = [.. images.Borderline.Select(i => outputs.Rows[i])],
            BorderlineNext = images.Next,
        };
    }

    private static DenseMatrix Take(DenseMatrix contributions, int concepts)
    {
        var points = new DenseMatrix(contributions.Rows, concepts);
        for (var i = 0; i < contributions.Rows; i++)
        {
            contributions.Row(i)[..concepts].CopyTo(points.Row(i));
        }

        return points;
    }

    private static int Largest(ReadOnlySpan<double> row)
    {
        var best = -1;
        for (var i = 0; i < row.Length; i++)
        {
            if (row[i] > 0 && (best < 0 || row[i] > row[best]))
            {
                best = i;
            }
        }

        return best;
    }
}
