using Analysis.Numerics;

namespace Analysis.Strategies;

/// <summary>The images that a strategy's own page shows.</summary>
/// <param name="Typical">Rows of the points: the prototype, then those nearest to the mean profile, nearest first.</param>
/// <param name="Borderline">Rows of the points with the smallest margin to another strategy, smallest first; empty for a single strategy.</param>
/// <param name="Next">The strategy that comes next for each of <paramref name="Borderline"/>.</param>
public sealed record StrategyImages(IReadOnlyList<int> Typical, IReadOnlyList<int> Borderline, IReadOnlyList<int> Next)
{
    /// <summary>Images of a kind shown at most.</summary>
    public const int Most = 24;

    /// <summary>
    /// Chooses them by distance to the mean profiles: typical is near the own one; borderline has a small margin
    /// m = d(nearest other) − d(own). Ties go to the lower row.
    /// </summary>
    /// <param name="points">Contributions, n×k.</param>
    /// <param name="partition">Their strategies.</param>
    /// <param name="strategy">The strategy asked about.</param>
    public static StrategyImages Choose(DenseMatrix points, StrategyPartition partition, int strategy)
    {
        var own = partition.Strategies[strategy];
        var members = Enumerable.Range(0, points.Rows).Where(i => partition.Labels[i] == strategy).ToArray();
        var distance = Array.ConvertAll(members, i => Distance(points, i, own));
        var typical = Enumerable.Range(0, members.Length).OrderBy(m => distance[m]).Select(m => members[m]).Where(i => i != own.Prototype);
        var others = partition.Strategies.Where(s => s.Index != strategy).ToArray();
        var borderline = others.Length == 0
            ? []
            : Enumerable.Range(0, members.Length)
                .Select(m =>
                {
                    var next = others.MinBy(s => Distance(points, members[m], s))!;
                    return (Row: members[m], Next: next.Index, Margin: Distance(points, members[m], next) - distance[m]);
                })
                .OrderBy(b => b.Margin)
                .Take(Math.Min(Most, (members.Length + 1) / 2))
                .ToArray();
        return new StrategyImages(
            [own.Prototype, .. typical.Take(Most - 1)], Array.ConvertAll(borderline, b => b.Row), Array.ConvertAll(borderline, b => b.Next));
    }

    private static double Distance(DenseMatrix points, int row, Strategy strategy) => Math.Sqrt(Vectors.SquaredDistance(points.Row(row), strategy.Profile));
}
