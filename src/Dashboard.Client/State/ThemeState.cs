using Microsoft.JSInterop;

namespace Dashboard.Client.State;

/// <summary>The person's choice of light, dark or the system's, kept in the browser and known to charts drawn from the server.</summary>
public sealed class ThemeState : IAsyncDisposable
{
    private IJSRuntime? _js;
    private DotNetObjectReference<ThemeState>? _self;
    private int _listener;

    /// <summary>light, dark or system.</summary>
    public string Choice { get; private set; } = "system";

    /// <summary>Whether dark colours are shown now.</summary>
    public bool IsDark { get; private set; }

    /// <summary>Raised on the circuit when either changes.</summary>
    public event Action? Changed;

    /// <summary>Reads the choice and listens to the browser; call once, after the first render.</summary>
    public async Task AttachAsync(IJSRuntime js)
    {
        _js = js;
        var now = await js.InvokeAsync<BrowserTheme>("atlasTheme.get");
        _self = DotNetObjectReference.Create(this);
        _listener = await js.InvokeAsync<int>("atlasTheme.listen", _self);
        OnThemeChanged(now.Choice, now.Dark);
    }

    /// <summary>Chooses light, dark or system.</summary>
    public async Task ChooseAsync(string choice)
    {
        if (_js is not null)
        {
            await _js.InvokeVoidAsync("atlasTheme.set", choice);
        }
    }

    /// <summary>Called by js/theme.js.</summary>
    [JSInvokable]
    public void OnThemeChanged(string choice, bool dark)
    {
        if (choice == Choice && dark == IsDark)
        {
            return;
        }

        (Choice, IsDark) = (choice, dark);
        Changed?.Invoke();
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_js is not null && _listener != 0)
        {
            try
            {
                await _js.InvokeVoidAsync("atlasTheme.unlisten", _listener);
            }
            catch (Exception exception) when (exception is JSDisconnectedException or OperationCanceledException or InvalidOperationException)
            {
                // The browser is gone, and the listener with it.
            }
        }

        _self?.Dispose();
    }

    private sealed record BrowserTheme(string Choice, bool Dark);
}
