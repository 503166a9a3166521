using System.Globalization;

namespace Analysis.Evaluation.Comparison;

/// <summary>Says in plain sentences what a comparison found.</summary>
internal static class ComparisonVerdict
{
    /// <summary>Variance that a method may explain less than the best one and still be suggested.</summary>
    public const double NearBest = 0.1;

    private const double Alike = 0.02;

    /// <summary>Suggests a number of concepts for one method by its curve.</summary>
    public static ComparedMethod Suggest(ComparedMethod method)
    {
        var curve = method.Cells.Where(c => c.Figures is not null).Select(c => new ComponentPoint(
            c.Components, c.Figures!.RSquared ?? double.NaN, c.Figures.RelativeError ?? double.NaN, c.Figures.Stability ?? double.NaN)).ToArray();
        if (curve.Length == 0)
        {
            return method with { Suggestion = "It could not be fitted." };
        }

        var suggestion = SuggestedComponents.Choose(curve);
        return method with { SuggestedComponents = suggestion.Components, Suggestion = suggestion.Verdict };
    }

    /// <summary>
    /// Suggests a method. Side by side with the middle one of the numbers that the methods' own curves suggest: of those that
    /// explain nearly as much as the best one, the sparsest that is stable, else the most stable.
    /// </summary>
    public static (string? Method, int? Components, IReadOnlyList<string> Sentences) Of(
        IReadOnlyList<ComparedMethod> methods, FaithfulnessComparison? faithfulness, bool linearHead)
    {
        var sentences = new List<string>();
        var numbers = methods.Select(m => m.SuggestedComponents).OfType<int>().Order().ToArray();
        var common = numbers.Length == 0 ? 0 : numbers[(numbers.Length - 1) / 2];
        var able = methods
            .Select(m => (Method: m, Cell: m.Cells.FirstOrDefault(c => c.Components == common)?.Figures))
            .Where(m => m.Cell is not null).Select(m => (m.Method, Cell: m.Cell!)).ToArray();
        var chosen = Choose(able);
        if (chosen is { } pick)
        {
            var (method, cell) = pick;
            sentences.Add($"{method.Title}: {method.Suggestion}");
            if (able.Length > 1)
            {
                var best = able.MaxBy(m => m.Cell.RSquared ?? double.NegativeInfinity);
                var compromise = best.Method.Name == method.Name || !(cell.RSquared < best.Cell.RSquared - Alike)
                    ? $"explains as much as any method here ({Percent(cell.RSquared)} of the variance)"
                    : $"explains nearly as much as {best.Method.Title} ({Percent(cell.RSquared)} against {Percent(best.Cell.RSquared)} of the variance)";
                var how = cell.ActiveShare is { } active ? $" and uses {Percent(active)} of its concepts for a row" : "";
                sentences.Add($"Side by side with {common} concept{(common == 1 ? "" : "s")}, {method.Title} {compromise}{how}.");
            }
        }

        foreach (var (method, cell) in able.Where(m => m.Cell.Stability < SuggestedComponents.StableFrom))
        {
            sentences.Add($"With k = {common} {method.Title} does not quite find the same concepts again in repeated fits (matched cosine {Cosine(cell.Stability!.Value)}; 0.9 counts as stable).");
        }

        foreach (var method in methods.Where(m => m.Cells.All(c => c.Figures is null)))
        {
            sentences.Add($"{method.Title} could not be used: {method.Cells.FirstOrDefault(c => c.Problem is not null)?.Problem}");
        }

        Faithful(faithfulness, linearHead, sentences);
        return (chosen?.Method.Name, chosen?.Method.SuggestedComponents, sentences);
    }

    private static (ComparedMethod Method, ExtractionFigures Cell)? Choose((ComparedMethod Method, ExtractionFigures Cell)[] able)
    {
        var most = able.Max(m => m.Cell.RSquared);
        var near = able.Where(m => most is null || m.Cell.RSquared >= most - NearBest).ToArray();
        if (near.Length == 0)
        {
            return null;
        }

        var stable = near.Where(m => m.Cell.Stability is null or >= SuggestedComponents.StableFrom).ToArray();
        return stable.Length > 0
            ? stable.MaxBy(m => m.Cell.Hoyer ?? double.NegativeInfinity)
            : near.MaxBy(m => m.Cell.Stability ?? double.NegativeInfinity);
    }

    private static void Faithful(FaithfulnessComparison? faithfulness, bool linearHead, List<string> sentences)
    {
        if (faithfulness is null)
        {
            return;
        }

        var judged = faithfulness.Estimators.Where(e => e is { Reference: false, Problem: null, DeletionQuality: not null, InsertionQuality: not null })
            .Select(e => (e.Title, Quality: (e.DeletionQuality!.Value + e.InsertionQuality!.Value) / 2)).OrderByDescending(e => e.Quality).ToArray();
        if (judged.Length == 0)
        {
            return;
        }

        var (top, worst) = (judged[0], judged[^1]);
        var equal = judged.Where(e => top.Quality - e.Quality < Alike).Select(e => e.Title).ToArray();
        var scale = "on a scale from 0 (random order) to 100 (best order)";
        sentences.Add(string.Create(
            CultureInfo.InvariantCulture,
            $"Importance: {List(equal)} {(equal.Length == 1 ? "tells" : "tell")} best which concepts the logit rests on, {100 * top.Quality:0} {scale}{(worst.Quality < top.Quality - Alike ? $"; {worst.Title} reaches {100 * worst.Quality:0}" : "")}."));
        if (linearHead)
        {
            sentences.Add("The rest of the network is linear here: the exact contribution is known and costs nothing, and no order of concepts is better.");
        }
    }

    private static string List(string[] names) => names.Length switch
    {
        1 => names[0],
        _ => $"{string.Join(", ", names[..^1])} and {names[^1]}",
    };

    private static string Percent(double? share) => share is { } value ? string.Create(CultureInfo.InvariantCulture, $"{100 * value:0}%") : "–";

    private static string Cosine(double value) => value.ToString("0.00", CultureInfo.InvariantCulture);
}
