using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>A figure by which methods are compared.</summary>
/// <param name="Key">Term of the glossary.</param>
/// <param name="Title">Title of chart and column.</param>
/// <param name="Higher">True where higher is better.</param>
/// <param name="IsShare">Shown in percent.</param>
/// <param name="Of">Reads it.</param>
/// <param name="Ideal">The value that nothing betters, where both sides of it are worse; null where there is none.</param>
public sealed record ComparisonMetric(string Key, string Title, bool Higher, bool IsShare, Func<ExtractionFiguresView, double?> Of, double? Ideal = null)
{
    // Figures closer than this count as equal: neither is marked.
    private const double Tie = 1e-9;

    /// <summary>The figures in the order of the charts.</summary>
    public static IReadOnlyList<ComparisonMetric> All { get; } =
    [
        new("relative error", "Relative error", false, false, f => f.RelativeError),
        new("variance explained", "Variance explained", true, true, f => f.RSquared),
        new("sparsity", "Sparsity", true, false, f => f.Hoyer),
        new("fold stability", "Stability", true, false, f => f.Stability),
        new("fréchet distance", "Fréchet distance", false, false, f => f.Frechet),
        new("ood score", "OOD score", false, false, f => f.OutOfDistribution, Ideal: 1),
    ];

    /// <summary>"higher is better", "lower is better" or "nearest to 1 is best".</summary>
    public string Direction => Ideal is { } ideal ? $"nearest to {MethodRules.Number(ideal)} is best" : Higher ? "higher is better" : "lower is better";

    /// <summary>Positions of the best among values of this figure; empty where fewer than two are known or all are equal.</summary>
    public IReadOnlyList<int> Best(IReadOnlyList<double?> values) =>
        Ideal is { } ideal ? Best([.. values.Select(v => v is { } number ? Math.Abs(number - ideal) : (double?)null)], false) : Best(values, Higher);

    /// <summary>A value as people read it.</summary>
    public string Text(double value) => IsShare ? Format.Percent(value, 1) : Format.Number(value);

    /// <summary>Positions of the best among values; empty where fewer than two are known or all are equal.</summary>
    public static IReadOnlyList<int> Best(IReadOnlyList<double?> values, bool higher)
    {
        var known = values.Where(v => v is { } number && double.IsFinite(number)).Select(v => v!.Value).ToList();
        if (known.Count < 2 || known.Max() - known.Min() <= Tie)
        {
            return [];
        }

        var best = higher ? known.Max() : known.Min();
        return [.. Enumerable.Range(0, values.Count).Where(i => values[i] is { } v && Math.Abs(v - best) <= Tie)];
    }
}
