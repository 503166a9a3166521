using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;
using Microsoft.JSInterop;

namespace Dashboard.Client.Pages.Atlas;

/// <summary>All classes of an analysis as tiles, the map of all concepts, the concepts that classes share, and a summary of outliers.</summary>
public sealed partial class AtlasPage : IAsyncDisposable
{
    private readonly List<AtlasQuery> _asked = [];
    private AtlasQuery _query = new();
    private IReadOnlyList<ClassTile> _shown = [];
    private List<ClassTile[]> _rows = [];
    private ElementReference _page;
    private IJSObjectReference? _module;
    private IJSObjectReference? _observer;
    private DotNetObjectReference<AtlasPage>? _self;
    private int _columns = 4;
    private int _readyShown;

    /// <summary>classes, map, shared or outliers.</summary>
    [SupplyParameterFromQuery]
    public string? Tab { get; set; }

    /// <summary>Search words.</summary>
    [SupplyParameterFromQuery]
    public string? Search { get; set; }

    /// <summary>Order.</summary>
    [SupplyParameterFromQuery]
    public string? Sort { get; set; }

    /// <summary>Filter.</summary>
    [SupplyParameterFromQuery]
    public string? Show { get; set; }

    /// <summary>Colouring of the map.</summary>
    [SupplyParameterFromQuery]
    public string? Colour { get; set; }

    /// <summary>Group of classes that stands out on the map.</summary>
    [SupplyParameterFromQuery]
    public int? Group { get; set; }

    /// <summary>Outline of a lasso on the map.</summary>
    [SupplyParameterFromQuery]
    public string? Lasso { get; set; }

    /// <summary>Shared concept that is shown whole.</summary>
    [SupplyParameterFromQuery(Name = "shared")]
    public int? Number { get; set; }

    /// <summary>First class of a pair whose shared concepts are listed.</summary>
    [SupplyParameterFromQuery]
    public int? A { get; set; }

    /// <summary>Second class of the pair.</summary>
    [SupplyParameterFromQuery]
    public int? B { get; set; }

    /// <summary>Search among shared concepts.</summary>
    [SupplyParameterFromQuery]
    public string? Q { get; set; }

    [Inject]
    private IJSRuntime Js { get; set; } = default!;

    private string Current => Tab is "map" or "shared" or "outliers" ? Tab : "classes";

    /// <inheritdoc/>
    protected override string Key => "";

    /// <inheritdoc/>
    protected override Task<AtlasView?> ReadAsync(CancellationToken cancellation) => Atlas.AtlasAsync(Id, cancellation);

    /// <inheritdoc/>
    protected override void OnAddress()
    {
        var query = new AtlasQuery(Search ?? "", Sort ?? "name", Show ?? "all");
        var known = _asked.IndexOf(query);
        _asked.RemoveRange(0, known + 1);
        if (known >= 0 && _asked.Count > 0)
        {
            // The address of an earlier letter: what was typed since is shown already, and its address follows.
            query = _query;
        }

        _query = query;
        Arrange();
    }

    /// <inheritdoc/>
    protected override bool IsStale(AnalysisProgress progress)
    {
        if (View is not null && View.Analysis.State == progress.State && _readyShown == progress.ReadyClasses.Count)
        {
            return false;
        }

        _readyShown = progress.ReadyClasses.Count;
        return true;
    }

    /// <inheritdoc/>
    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (firstRender)
        {
            _module = await Js.InvokeAsync<IJSObjectReference>("import", "./_content/Dashboard.Client/Pages/Atlas/AtlasPage.razor.js");
            _self = DotNetObjectReference.Create(this);
            _observer = await _module.InvokeAsync<IJSObjectReference>("observe", _page, _self);
        }
    }

    /// <summary>Called by the browser when the number of tiles that fit side by side changes.</summary>
    [JSInvokable]
    public Task Columns(int columns) => InvokeAsync(() =>
    {
        _columns = Math.Clamp(columns, 1, 12);
        Arrange();
        StateHasChanged();
    });

    private void Arrange()
    {
        _shown = View is null ? [] : _query.Apply(View.Classes);
        _rows = [.. _shown.Chunk(_columns)];
    }

    private void Change(AtlasQuery query)
    {
        if (query == _query)
        {
            return;
        }

        // Shown at once; the address follows a round trip later.
        _query = query;
        _asked.Add(query);
        Arrange();
        Select(
            ("search", query.Search.Length == 0 ? null : query.Search),
            ("sort", query.Sort == "name" ? null : query.Sort),
            ("show", query.Filter == "all" ? null : query.Filter));
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        Dispose();
        Browser.Release(_observer, _module, _self);
        return ValueTask.CompletedTask;
    }
}
