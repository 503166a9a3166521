using Microsoft.JSInterop;

namespace Dashboard.Client.State;

/// <summary>What components hold in the browser.</summary>
internal static class Browser
{
    /// <summary>
    /// Lets go of what a component holds there, without waiting: a browser that has left the page answers no more, and whoever
    /// waited for it would keep the circuit, and the request that ends it, for a minute.
    /// </summary>
    /// <param name="part">Has a function <c>dispose</c>, which takes its listeners away; null where it was never made.</param>
    /// <param name="module">The script module.</param>
    /// <param name="self">What the browser calls; disposed once it calls no more.</param>
    public static void Release(IJSObjectReference? part, IJSObjectReference? module, IDisposable? self = null) => _ = ReleaseAsync(part, module, self);

    private static async Task ReleaseAsync(IJSObjectReference? part, IJSObjectReference? module, IDisposable? self)
    {
        try
        {
            if (part is not null)
            {
                await part.InvokeVoidAsync("dispose");
                await part.DisposeAsync();
            }

            if (module is not null)
            {
                await module.DisposeAsync();
            }
        }
        catch (Exception fault) when (fault is JSDisconnectedException or OperationCanceledException or ObjectDisposedException)
        {
            // The browser is gone, and what it held with it.
        }
        finally
        {
            self?.Dispose();
        }
    }
}
