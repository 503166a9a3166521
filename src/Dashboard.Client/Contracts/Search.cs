namespace Dashboard.Client.Contracts;

/// <summary>Something that a search leads to.</summary>
/// <param name="Kind">analysis, class, concept, probe, strategy or label.</param>
/// <param name="Title">What it is called.</param>
/// <param name="Detail">Where it belongs.</param>
/// <param name="Url">Address of its page.</param>
/// <param name="Picture">Address of a small picture; null where it has none.</param>
/// <param name="Concept">The concept itself, or that a label is of; null for other hits.</param>
public sealed record SearchHit(string Kind, string Title, string Detail, string Url, string? Picture = null, int? Concept = null);

/// <summary>Finds analyses, classes, concepts, defined concepts, strategies and labels by the words in their names.</summary>
public interface ISearchService
{
    /// <summary>Hits that contain every word, in any case; analyses first, then classes, concepts, defined concepts, strategies and labels.</summary>
    /// <param name="analysisId">Searches this analysis, and the names of all; null searches all.</param>
    /// <param name="text">Words; none finds nothing.</param>
    /// <param name="take">Most hits of one kind, 1 to 50.</param>
    /// <param name="cancellation">Gives the search up.</param>
    Task<IReadOnlyList<SearchHit>> FindAsync(string? analysisId, string text, int take = 6, CancellationToken cancellation = default);
}
