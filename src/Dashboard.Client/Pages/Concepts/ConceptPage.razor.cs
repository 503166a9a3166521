using System.Globalization;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Pages.Concepts;

/// <summary>A concept: exemplars in four bands, its numbers, where else it occurs, and what people say of it.</summary>
public sealed partial class ConceptPage
{
    private static readonly (string Band, string Title, string Text)[] Bands =
    [
        ("top", "Strongest", "where it is clearest"),
        ("median", "Typical", "an ordinary amount of it"),
        ("edge", "Weakest that still count", "just enough of it"),
        ("counter", "Look-alikes without it", "similar images that lack it"),
    ];


    /// <summary>The concept.</summary>
    [Parameter]
    public int ConceptId { get; set; }

    /// <summary>Concept maps over whole images instead of crops.</summary>
    [SupplyParameterFromQuery]
    public bool? Maps { get; set; }

    [Inject]
    private IAnnotationService Annotations { get; set; } = default!;

    private static string Coefficients(List<ExemplarView> exemplars)
    {
        string least = Format.Number(exemplars.Min(e => e.Score)), most = Format.Number(exemplars.Max(e => e.Score));
        return least == most ? least : $"{least} to {most}";
    }

    /// <inheritdoc/>
    protected override string Key => ConceptId.ToString(CultureInfo.InvariantCulture);

    /// <inheritdoc/>
    protected override Task<ConceptView?> ReadAsync(CancellationToken cancellation) => Atlas.ConceptAsync(Id, ConceptId, cancellation);

    // The lower end of each bin.
    private static string[] BinNames(ConceptCard concept)
    {
        var width = (concept.HistogramTo - concept.HistogramFrom) / concept.Histogram.Count;
        return [.. concept.Histogram.Select((_, i) => Format.Number(concept.HistogramFrom + i * width))];
    }

    private async Task NameAsync(string? name)
    {
        await Annotations.NameConceptAsync(Id, ConceptId, name, Lifetime);
        View = View! with { Concept = View.Concept with { Name = name } };
    }

    private async Task NoteAsync(string? note)
    {
        await Annotations.NoteConceptAsync(Id, ConceptId, note, Lifetime);
        View = View! with { Note = note };
    }
}
