using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Routing;
using Microsoft.JSInterop;

namespace Dashboard.Client.Components;

/// <summary>
/// The bar of what is tagged. Once for the whole site: it also listens to the keys p and n on every picture, and lets the browser's
/// tab keep the tags, so that loading a page again loses none.
/// </summary>
public sealed partial class TaggingBar
{
    private const int Shown = 6;
    private IJSObjectReference? _module;
    private IJSObjectReference? _listener;
    private DotNetObjectReference<TaggingBar>? _self;
    private bool _full;
    private bool _disposed;

    [Inject]
    private TagBasket Basket { get; set; } = default!;

    [Inject]
    private NavigationManager Navigation { get; set; } = default!;

    [Inject]
    private IJSRuntime Js { get; set; } = default!;

    // The analysis of the page, by its address.
    private string? AnalysisId
    {
        get
        {
            var parts = new Uri(Navigation.Uri).AbsolutePath.Split('/', StringSplitOptions.RemoveEmptyEntries);
            return parts.Length > 1 && parts[0] == "analyses" ? parts[1] : null;
        }
    }

    // Where the concept is defined the tags are shown anyway, and the bar would cover the button.
    private bool IsDefining => new Uri(Navigation.Uri).AbsolutePath.EndsWith("/probes/new", StringComparison.Ordinal);

    /// <inheritdoc/>
    protected override void OnInitialized()
    {
        Basket.Changed += OnChanged;
        Navigation.LocationChanged += OnLocation;
    }

    /// <inheritdoc/>
    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (firstRender)
        {
            _module = await Js.InvokeAsync<IJSObjectReference>("import", "./_content/Dashboard.Client/Components/TaggingBar.razor.js");
            _self = DotNetObjectReference.Create(this);
            _listener = await _module.InvokeAsync<IJSObjectReference>("listen", _self);
            Basket.Restore(await _module.InvokeAsync<string?>("kept"));
        }
    }

    /// <summary>Called by the browser: the key was pressed on a picture.</summary>
    [JSInvokable]
    public Task Tagged(int sample, string key) => InvokeAsync(() =>
    {
        if (AnalysisId is { } id && Basket.IsOn(id))
        {
            _full = !Basket.Toggle(id, sample, key == "p");
        }
    });

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _disposed = true;
        Basket.Changed -= OnChanged;
        Navigation.LocationChanged -= OnLocation;
        Browser.Release(_listener, _module, _self);
        return ValueTask.CompletedTask;
    }

    private string Text(string id)
    {
        var (yes, no) = (Basket.Rows(id, true).Count, Basket.Rows(id, false).Count);
        return yes + no == 0 ? "Nothing tagged yet" : $"{Format.Count(yes)} {(yes == 1 ? "shows" : "show")} it, {Format.Count(no)} {(no == 1 ? "does" : "do")} not";
    }

    private IEnumerable<KeyValuePair<int, SampleTag>> Last(string id) => Basket.Tags(id).TakeLast(Shown);

    private void OnLocation(object? sender, LocationChangedEventArgs e) => _ = InvokeAsync(StateHasChanged);

    private void OnChanged() => _ = InvokeAsync(async () =>
    {
        if (_disposed)
        {
            return;
        }

        StateHasChanged();
        if (_module is not null)
        {
            try
            {
                await _module.InvokeVoidAsync("keep", Basket.Save());
            }
            catch (Exception fault) when (fault is JSDisconnectedException or TaskCanceledException)
            {
                // Kept until the circuit ends.
            }
        }
    });
}
