using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;
using Microsoft.JSInterop;

namespace Dashboard.Client.Layout;

/// <summary>Finds pages and actions at once, and what the catalogue holds a moment later; of two searches only the later one counts.</summary>
public sealed partial class CommandPalette
{
    private ElementReference _palette;
    private ElementReference _help;
    private IJSObjectReference? _module;
    private IJSObjectReference? _keys;
    private CancellationTokenSource? _asking;
    private IReadOnlyList<SearchHit> _items = [];

    // The text that the list answers completely; the browser opens nothing by Enter before it is what stands in the field.
    private string? _answered;
    private bool _disposed;

    [CascadingParameter]
    private ThemeState? Theme { get; set; }

    [Inject]
    private IJSRuntime Js { get; set; } = default!;

    [Inject]
    private NavigationManager Navigation { get; set; } = default!;

    [Inject]
    private ISearchService Search { get; set; } = default!;

    private string Status => _answered is null ? "Searching" : _items.Count == 0 ? "Nothing found" : Format.Count(_items.Count, "result");

    /// <inheritdoc/>
    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (!firstRender)
        {
            return;
        }

        _module = await Js.InvokeAsync<IJSObjectReference>("import", "./_content/Dashboard.Client/Layout/CommandPalette.razor.js");
        if (!_disposed)
        {
            _keys = await _module.InvokeAsync<IJSObjectReference>("attach", _palette, _help);
        }
    }

    private static string Sign(string kind) => kind switch
    {
        "action" => "play",
        "analysis" => "log",
        "class" => "map",
        "label" => "file",
        "strategy" => "compare",
        _ => "right",
    };

    private async Task AskAsync(string text)
    {
        _asking?.Cancel();
        var asking = _asking = new CancellationTokenSource();
        var id = Commands.AnalysisOf(Navigation.ToBaseRelativePath(Navigation.Uri));
        var found = Commands.Find(text, id).ToLookup(command => Commands.IsNamed(command, text), command => new SearchHit(command.Kind, command.Title, "", command.Target));
        (_items, _answered) = ([.. found[true], .. found[false]], string.IsNullOrWhiteSpace(text) ? text : null);
        if (_answered is not null)
        {
            return;
        }

        StateHasChanged();
        try
        {
            var hits = await Search.FindAsync(id, text, cancellation: asking.Token);
            if (asking == _asking)
            {
                (_items, _answered) = ([.. found[true], .. hits, .. found[false]], text);
            }
        }
        catch (OperationCanceledException) when (asking.IsCancellationRequested)
        {
            // More was typed.
        }
        catch (ServiceException) when (asking == _asking)
        {
            _answered = text;
        }
    }

    private async Task ChooseAsync(SearchHit item)
    {
        if (item.Kind != "action")
        {
            Navigation.NavigateTo(item.Url);
        }
        else if (item.Url.StartsWith(Commands.Colours, StringComparison.Ordinal))
        {
            await (Theme?.ChooseAsync(item.Url[Commands.Colours.Length..]) ?? Task.CompletedTask);
        }
        else if (_keys is not null)
        {
            await _keys.InvokeVoidAsync(item.Url);
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _disposed = true;
        _asking?.Cancel();
        Browser.Release(_keys, _module);
        return ValueTask.CompletedTask;
    }
}
