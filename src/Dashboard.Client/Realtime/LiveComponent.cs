using Dashboard.Client.Contracts;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Realtime;

/// <summary>
/// A component that follows the progress of one analysis, or of all. Prerendering follows nothing; stale and repeated
/// messages are dropped; what a handler throws reaches the component's circuit.
/// </summary>
public abstract class LiveComponent : ComponentBase, IDisposable
{
    private readonly Dictionary<string, long> _seen = [];
    private readonly CancellationTokenSource _lifetime = new();
    private IDisposable? _subscription;
    private string? _followed;
    private bool _disposed;

    /// <summary>The feed.</summary>
    [Inject]
    protected IProgressFeed Feed { get; set; } = default!;

    /// <summary>Cancelled when the component goes away.</summary>
    protected CancellationToken Lifetime => _lifetime.Token;

    /// <summary>Follows one analysis (null: all) instead of what was followed before.</summary>
    protected void Follow(string? analysisId)
    {
        if (!RendererInfo.IsInteractive || _disposed || (_subscription is not null && _followed == analysisId))
        {
            return;
        }

        _subscription?.Dispose();
        _seen.Clear();
        _followed = analysisId;
        _subscription = analysisId is null ? Feed.SubscribeAll(Receive) : Feed.Subscribe(analysisId, Receive);
    }

    /// <summary>Called on the circuit with each newer state; the component renders afterwards where true comes back.</summary>
    protected abstract Task<bool> OnProgressAsync(AnalysisProgress progress);

    private void Receive(AnalysisProgress progress)
    {
        if (_disposed)
        {
            return;
        }

        _ = InvokeAsync(async () =>
        {
            if (_disposed || (_seen.TryGetValue(progress.AnalysisId, out var last) && last >= progress.Sequence))
            {
                return;
            }

            _seen[progress.AnalysisId] = progress.Sequence;
            try
            {
                if (await OnProgressAsync(progress) && !_disposed)
                {
                    StateHasChanged();
                }
            }
            catch (OperationCanceledException) when (_disposed)
            {
                // The page was left meanwhile.
            }
            catch (Exception exception)
            {
                await DispatchExceptionAsync(exception);
            }
        });
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Stops following.</summary>
    protected virtual void Dispose(bool disposing)
    {
        if (_disposed)
        {
            return;
        }

        _disposed = true;
        _subscription?.Dispose();
        _lifetime.Cancel();
        _lifetime.Dispose();
    }
}
