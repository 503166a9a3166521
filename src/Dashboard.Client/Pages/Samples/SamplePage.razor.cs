using System.Globalization;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Client.Urls;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Pages.Samples;

/// <summary>A sample: why the network says what it says, what stands out, and what is like it.</summary>
public sealed partial class SamplePage
{
    /// <summary>The sample's row.</summary>
    [Parameter]
    public int Row { get; set; }

    /// <summary>Concept whose map lies over the image.</summary>
    [SupplyParameterFromQuery]
    public int? Map { get; set; }

    /// <summary>Concept whose attribution map is asked for.</summary>
    [SupplyParameterFromQuery]
    public int? Attribution { get; set; }

    /// <summary>Whether a place is being marked.</summary>
    [SupplyParameterFromQuery]
    public bool? Mark { get; set; }

    /// <summary>How it is computed: exact or fast.</summary>
    [SupplyParameterFromQuery]
    public string? Way { get; set; }

    // The chosen one, else that of the concept map, else the strongest; maps are made beside complete analyses only.
    private ConceptCard? Attributed => View is { Analysis: { State: AnalysisState.Completed, HasNetwork: true }, Sample.Class: >= 0, Concepts: { Count: > 0 } concepts }
        ? concepts.FirstOrDefault(c => c.Id == Attribution) ?? Shown ?? concepts[0]
        : null;

    private ConceptCard? Shown => View is { HasMaps: true } view ? view.Concepts.FirstOrDefault(c => c.Id == Map) : null;

    private string FileName => View is null ? "" : View.Sample.Path[(View.Sample.Path.LastIndexOf('/') + 1)..];

    private IEnumerable<(string, string?)> ClassStep => View is { Sample.Class: >= 0 } view ? [(view.Sample.ClassName, PageUrls.Class(Id, view.Sample.Class))] : [];

    /// <inheritdoc/>
    protected override string Key => Row.ToString(CultureInfo.InvariantCulture);

    /// <inheritdoc/>
    protected override Task<SampleView?> ReadAsync(CancellationToken cancellation) => Atlas.SampleAsync(Id, Row, cancellation);

    private void Choose(int? concept) => Select(("map", concept));
}
