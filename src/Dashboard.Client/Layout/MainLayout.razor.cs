using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Routing;
using Microsoft.AspNetCore.Components.Web;

namespace Dashboard.Client.Layout;

/// <summary>The frame of every page: a slim bar, the content, and what the component kit needs once.</summary>
public sealed partial class MainLayout : LayoutComponentBase, IDisposable
{
    private readonly ThemeState _theme = new();
    private ErrorBoundary? _boundary;

    [Inject]
    private NavigationManager Navigation { get; set; } = default!;

    private string SkipTarget
    {
        get
        {
            var uri = new Uri(Navigation.Uri);
            return uri.PathAndQuery + "#content";
        }
    }

    /// <inheritdoc/>
    protected override void OnInitialized()
    {
        _theme.Changed += OnThemeChanged;
        Navigation.LocationChanged += OnLocationChanged;
    }

    /// <inheritdoc/>
    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (firstRender)
        {
            await _theme.AttachAsync(Js);
        }
    }

    private void OnThemeChanged() => _ = InvokeAsync(StateHasChanged);

    // Leaving a broken page must show the next one; the skip link follows the address.
    private void OnLocationChanged(object? sender, LocationChangedEventArgs e)
    {
        _boundary?.Recover();
        _ = InvokeAsync(StateHasChanged);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _theme.Changed -= OnThemeChanged;
        Navigation.LocationChanged -= OnLocationChanged;
        _ = _theme.DisposeAsync().AsTask();
    }
}
