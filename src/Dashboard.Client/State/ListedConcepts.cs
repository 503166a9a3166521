using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>The concepts of a class as people want them listed: without those put away, and those held to be the same as one.</summary>
public static class ListedConcepts
{
    /// <summary>Those that stand for themselves, strongest first.</summary>
    public static IReadOnlyList<ConceptCard> Of(ClassView view)
    {
        List<ConceptCard> listed = [.. view.Concepts.Where(concept => concept is { Hidden: false, Into: null })];
        // Together several may carry more than the strongest alone.
        return listed.Exists(concept => concept.Merged is not null) ? [.. listed.OrderByDescending(Share)] : listed;
    }

    /// <summary>Share of the score that a listed concept carries, with those listed under it.</summary>
    public static double Share(ConceptCard concept) => concept.Merged?.Importance ?? concept.Importance;

    /// <summary>Standard deviation of that share between images; null where it is not known.</summary>
    public static double? Spread(ConceptCard concept) => concept.Merged is { } merged ? merged.ImportanceSpread : concept.ImportanceSpread;

    /// <summary>The share with its spread: "12% ± 3%".</summary>
    public static string ShareText(ConceptCard concept) =>
        Spread(concept) is { } spread ? $"{Format.Percent(Share(concept), 1)} ± {Format.Percent(spread, 1)}" : Format.Percent(Share(concept), 1);
}
