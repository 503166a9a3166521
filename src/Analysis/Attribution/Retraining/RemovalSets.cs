using Analysis.Numerics;

namespace Analysis.Attribution.Retraining;

/// <summary>Which training images a network goes without.</summary>
/// <param name="Set"><c>full</c> (none), <c>top</c>, <c>bottom</c>, <c>random</c> or <c>labelled</c>.</param>
/// <param name="Share">Share of the training images, in (0, 0.5]; 0 for <c>full</c>.</param>
public sealed record RemovalCondition(string Set, double Share);

/// <summary>Chooses the training images that are removed (METHODS 4.4).</summary>
public static class RemovalSets
{
    /// <summary>The sets beside <c>full</c>, in the order in which they are trained.</summary>
    public static IReadOnlyList<string> All { get; } = ["top", "random", "bottom", "labelled"];

    /// <summary>Number of images that a share of the training images is; at least 1.</summary>
    public static int Count(int training, double share) => Math.Max(1, (int)Math.Round(training * share));

    /// <summary>The images to remove.</summary>
    /// <param name="condition">Which.</param>
    /// <param name="training">Rows that are trained on.</param>
    /// <param name="scores">Score of every row; higher counts as teaching the concept more. Rows with equal scores follow their number.</param>
    /// <param name="labels">Output of every row: <c>random</c> takes as many of each output as <c>top</c> does.</param>
    /// <param name="shows">True for the rows that show the concept.</param>
    /// <param name="seed">Seed of <c>random</c>, and of <c>labelled</c> where more rows show the concept than are removed.</param>
    /// <returns>Rows, ascending; for <c>labelled</c> fewer where fewer show the concept.</returns>
    public static int[] Choose(
        RemovalCondition condition, IReadOnlyList<int> training, ReadOnlySpan<double> scores, IReadOnlyList<int> labels, Func<int, bool> shows, int seed)
    {
        if (condition.Set == "full")
        {
            return [];
        }

        var count = Count(training.Count, condition.Share);
        var random = new SplitMix64(((ulong)(uint)seed << 32) ^ (ulong)BitConverter.DoubleToInt64Bits(condition.Share));
        int[] chosen = condition.Set switch
        {
            "top" => Ranked(training, scores, highest: true, count),
            "bottom" => Ranked(training, scores, highest: false, count),
            "labelled" => Drawn([.. training.Where(shows)], count, ref random),
            "random" => Matched(training, labels, Ranked(training, scores, highest: true, count), ref random),
            _ => throw new ArgumentException($"The set '{condition.Set}' is not known.", nameof(condition)),
        };
        Array.Sort(chosen);
        return chosen;
    }

    private static int[] Ranked(IReadOnlyList<int> training, ReadOnlySpan<double> scores, bool highest, int count)
    {
        var values = new double[training.Count];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = scores[training[i]];
        }

        return [.. (highest ? Ranks.Descending(values) : Ranks.Ascending(values)).Take(count).Select(i => training[i])];
    }

    private static int[] Matched(IReadOnlyList<int> training, IReadOnlyList<int> labels, int[] top, ref SplitMix64 random)
    {
        var result = new List<int>();
        foreach (var (label, count) in top.CountBy(row => labels[row]).OrderBy(c => c.Key))
        {
            result.AddRange(Drawn([.. training.Where(row => labels[row] == label)], count, ref random));
        }

        return [.. result];
    }

    private static int[] Drawn(int[] rows, int count, ref SplitMix64 random)
    {
        random.Shuffle(rows);
        return rows.Length <= count ? rows : rows[..count];
    }
}
