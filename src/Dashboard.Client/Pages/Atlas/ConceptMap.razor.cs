using Dashboard.Client.Charts;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Client.Urls;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Web.Virtualization;
using Microsoft.JSInterop;

namespace Dashboard.Client.Pages.Atlas;

/// <summary>The map of all concepts of all classes. Points travel over HTTP; over the circuit come the identifiers inside a lasso.</summary>
public sealed partial class ConceptMap : IAsyncDisposable
{
    private const long LargestSelectionBytes = 8_000_000;

    private static readonly (string Value, string Text)[] Modes = [("group", "group of like classes"), ("importance", "importance"), ("shared", "shared or a class's own")];

    private ElementReference _root;
    private IJSObjectReference? _module;
    private IJSObjectReference? _plot;
    private DotNetObjectReference<ConceptMap>? _self;
    private Virtualize<SharedMember>? _rows;
    private IReadOnlyList<int> _selected = [];
    private string? _sent;
    private string? _failure;
    private bool _lasso;
    private bool _disposed;

    /// <summary>The analysis.</summary>
    [Parameter, EditorRequired]
    public string AnalysisId { get; set; } = "";

    /// <summary>Number of concepts.</summary>
    [Parameter]
    public int Concepts { get; set; }

    /// <summary>All classes.</summary>
    [Parameter, EditorRequired]
    public IReadOnlyList<ClassTile> Classes { get; set; } = [];

    /// <summary>Groups of like classes.</summary>
    [Parameter]
    public IReadOnlyList<ClassGroup> Groups { get; set; } = [];

    /// <summary>group, importance or shared.</summary>
    [Parameter]
    public string Mode { get; set; } = "group";

    /// <summary>Group that stands out; all alike where null.</summary>
    [Parameter]
    public int? Group { get; set; }

    /// <summary>Asks for another address: names of the query with values, null to remove.</summary>
    [Parameter]
    public EventCallback<(string Name, object? Value)[]> Changed { get; set; }

    [Inject]
    private IJSRuntime Js { get; set; } = default!;

    [Inject]
    private NavigationManager Navigation { get; set; } = default!;

    [Inject]
    private IAtlasService Atlas { get; set; } = default!;

    private object Options => new
    {
        url = ApiUrls.ConceptPoints(AnalysisId),
        picture = Template(id => ApiUrls.Crop(AnalysisId, id, 0, 96)),
        preview = Template(id => ApiUrls.Crop(AnalysisId, id, 0, 192)),
        detail = Template(id => ApiUrls.ConceptTile(AnalysisId, id)),
        noun = "concepts",
        mode = Modes.Any(m => m.Value == Mode) ? Mode : "group",
        group = Group,
        groups = Groups.Select(g => g.Name).ToArray(),
        groupColours = ConceptPalette.Colours,
        grey = ConceptPalette.Grey,
    };

    private string Signature => FormattableString.Invariant($"{AnalysisId}/{Mode}/{Group}");

    /// <inheritdoc/>
    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (firstRender)
        {
            _module = await Js.InvokeAsync<IJSObjectReference>("import", "./_content/Dashboard.Client/Charts/PointCloud.razor.js");
            if (_disposed)
            {
                return;
            }

            _self = DotNetObjectReference.Create(this);
            _sent = Signature;
            _plot = await _module.InvokeAsync<IJSObjectReference>("create", _root, _self, Options);
        }
        else if (_plot is not null && _sent != Signature)
        {
            _sent = Signature;
            await _plot.InvokeVoidAsync("update", Options);
        }
    }

    /// <summary>Called by the browser when a point is opened.</summary>
    [JSInvokable]
    public void Open(int concept) => Navigation.NavigateTo(PageUrls.Concept(AnalysisId, concept));

    /// <summary>Called by the browser with the concepts inside the lasso, as little-endian int32; null when cleared.</summary>
    /// <param name="concepts">Identifiers.</param>
    /// <param name="outline">The lasso's outline, which the strategic cluster graph keeps in its address; not used here.</param>
    [JSInvokable]
    public async Task Selected(IJSStreamReference? concepts, string? outline)
    {
        IReadOnlyList<int> selected = [];
        if (concepts is not null)
        {
            await using var stream = await concepts.OpenReadStreamAsync(LargestSelectionBytes);
            using var buffer = new MemoryStream();
            await stream.CopyToAsync(buffer);
            selected = PointCloud.Decode(buffer.GetBuffer().AsSpan(0, (int)buffer.Length));
        }

        await InvokeAsync(async () =>
        {
            _selected = selected;
            StateHasChanged();
            if (_rows is not null)
            {
                await _rows.RefreshDataAsync();
            }
        });
    }

    /// <summary>Called by the browser when the points could not be read; null when they could.</summary>
    [JSInvokable]
    public Task Failed(string? message) => InvokeAsync(() =>
    {
        _failure = message;
        StateHasChanged();
    });

    private static string Template(Func<int, string> address) =>
        address(int.MaxValue).Replace(FormattableString.Invariant($"{int.MaxValue}"), "{sample}", StringComparison.Ordinal);

    private async ValueTask<ItemsProviderResult<SharedMember>> RowsAsync(ItemsProviderRequest request)
    {
        var part = _selected.Skip(request.StartIndex).Take(request.Count).ToList();
        return new ItemsProviderResult<SharedMember>(await Atlas.ConceptTilesAsync(AnalysisId, part, request.CancellationToken), _selected.Count);
    }

    private async Task ToggleLassoAsync()
    {
        _lasso = !_lasso;
        if (_plot is not null)
        {
            await _plot.InvokeVoidAsync("lasso", _lasso);
        }
    }

    private async Task ResetAsync()
    {
        if (_plot is not null)
        {
            await _plot.InvokeVoidAsync("reset");
        }
    }

    private async Task ClearAsync()
    {
        _selected = [];
        if (_plot is not null)
        {
            await _plot.InvokeVoidAsync("clear");
        }
    }

    private async Task ReloadAsync()
    {
        _failure = null;
        if (_plot is not null)
        {
            await _plot.InvokeVoidAsync("reload");
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _disposed = true;
        try
        {
            if (_plot is not null)
            {
                await _plot.InvokeVoidAsync("dispose");
                await _plot.DisposeAsync();
            }

            if (_module is not null)
            {
                await _module.DisposeAsync();
            }
        }
        catch (JSDisconnectedException)
        {
            // The browser is gone, and the plot with it.
        }

        _self?.Dispose();
    }
}
