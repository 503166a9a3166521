using System.Globalization;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Pages.Search;

/// <summary>Search over all images of an analysis by the concepts that they show, and by what they are like; the whole search is in the address.</summary>
public sealed partial class SearchPage
{
    private SampleQuery _query = new();
    private string? _fault;
    private (SampleSearchView? View, SampleQuery Asked, string? Fault) _found = (null, new(), null);

    /// <summary>Concepts that must be present, separated by commas.</summary>
    [SupplyParameterFromQuery]
    public string? With { get; set; }

    /// <summary>Concepts that must be absent, separated by commas.</summary>
    [SupplyParameterFromQuery]
    public string? Without { get; set; }

    /// <summary>Percentage of the strongest images that show a concept.</summary>
    [SupplyParameterFromQuery]
    public int? Top { get; set; }

    /// <summary>Percentage of the strongest images outside which a concept is not shown.</summary>
    [SupplyParameterFromQuery]
    public int? Rest { get; set; }

    /// <summary>Only this class.</summary>
    [SupplyParameterFromQuery(Name = "class")]
    public int? Of { get; set; }

    /// <summary>Sample whose likes are sought.</summary>
    [SupplyParameterFromQuery]
    public int? Like { get; set; }

    /// <summary>Image of one's own whose likes are sought.</summary>
    [SupplyParameterFromQuery]
    public string? Image { get; set; }

    /// <summary>Images that are shown.</summary>
    [SupplyParameterFromQuery]
    public int? Show { get; set; }

    [Inject]
    private ISampleSearchService Search { get; set; } = default!;

    /// <inheritdoc/>
    protected override string Key => Asked.Address("");

    private SampleQuery Asked => SampleQuery.From(With, Without, Top, Rest, Of, Like, Show, Image);

    // The next larger share, where a larger one could help.
    private SampleQuery? Wider => _query.With.Count > 0 && SampleQuery.Tops.FirstOrDefault(top => top > _query.Top) is > 0 and var top ? _query with { Top = top } : null;

    /// <inheritdoc/>
    protected override async Task<SampleSearchView?> ReadAsync(CancellationToken cancellation)
    {
        var asked = Asked;
        try
        {
            var view = await Search.FindAsync(Id, asked.Search, 0, asked.Show, cancellation);
            _found = (view, asked, null);
            return view;
        }
        catch (ServiceException fault)
        {
            var view = await Search.FindAsync(Id, new SampleSearch(), 0, 0, cancellation);
            _found = (view, asked, fault.Message);
            return view;
        }
    }

    // Of two readings that overlap one is dropped: what was asked belongs to the one that is kept.
    /// <inheritdoc/>
    protected override void OnRead()
    {
        if (ReferenceEquals(View, _found.View))
        {
            (_query, _fault) = (_found.Asked, _found.Fault);
        }
    }

    // What the search will be once the browser has answered: what is chosen next comes on top of it.
    private SampleQuery Latest => SampleQuery.From(
        Selected("with"), Selected("without"), Number(Selected("top")), Number(Selected("rest")), Number(Selected("class")), Number(Selected("like")), Number(Selected("show")), Selected("image"));

    private void Go(SampleQuery query) => GoTo(query.Address(Id));

    private static int? Number(string? text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    private static int Number(ChangeEventArgs change) => int.TryParse(change.Value?.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;

    private string Title(FoundSample found)
    {
        var places = View!.Concepts.Select((concept, at) => $"{SearchSentences.Name(concept)}: {SearchSentences.Place(found.Above[at], View.Samples)}");
        return string.Join("; ", new[] { Sentences.Tile(found.Sample) }.Concat(places));
    }
}
