using System.Collections.Concurrent;
using Dashboard.Client.Contracts;

namespace Dashboard.Server.Jobs;

/// <summary>
/// The one source of progress for pages, the hub and the API. Keeps the latest state of each analysis and hands it to
/// subscribers at most every <see cref="Interval"/>; a state is complete in itself, so that what falls between two calls
/// loses nothing, and the last state always arrives.
/// </summary>
internal sealed class ProgressStore(ILogger<ProgressStore> logger) : IProgressFeed
{
    /// <summary>Least time between two calls of one subscriber about one analysis.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    private readonly ConcurrentDictionary<string, AnalysisProgress> _current = new();
    private readonly Lock _gate = new();
    private readonly List<Subscription> _all = [];
    private readonly Dictionary<string, List<Subscription>> _byAnalysis = [];

    public AnalysisProgress? Current(string analysisId) => _current.GetValueOrDefault(analysisId);

    public IDisposable Subscribe(string analysisId, Action<AnalysisProgress> handler) => Add(analysisId, handler);

    public IDisposable SubscribeAll(Action<AnalysisProgress> handler) => Add(null, handler);

    /// <summary>Replaces the state of an analysis and tells the subscribers. The sequence number is set here.</summary>
    public AnalysisProgress Publish(string analysisId, Func<AnalysisProgress, AnalysisProgress> change)
    {
        lock (_gate)
        {
            var old = _current.GetValueOrDefault(analysisId)
                ?? new AnalysisProgress { AnalysisId = analysisId, Sequence = 0, State = AnalysisState.Queued };
            var next = change(old) with { AnalysisId = analysisId, Sequence = old.Sequence + 1 };
            _current[analysisId] = next;
            foreach (var subscription in _all)
            {
                subscription.Offer(next);
            }

            if (_byAnalysis.TryGetValue(analysisId, out var subscriptions))
            {
                foreach (var subscription in subscriptions)
                {
                    subscription.Offer(next);
                }
            }

            return next;
        }
    }

    /// <summary>Takes over a state kept from before the start.</summary>
    public void Restore(AnalysisProgress progress) => _current[progress.AnalysisId] = progress;

    /// <summary>Forgets a deleted analysis.</summary>
    public void Remove(string analysisId) => _current.TryRemove(analysisId, out _);

    private Subscription Add(string? analysisId, Action<AnalysisProgress> handler)
    {
        var subscription = new Subscription(this, analysisId, handler);
        lock (_gate)
        {
            var list = _all;
            if (analysisId is not null && !_byAnalysis.TryGetValue(analysisId, out list))
            {
                _byAnalysis[analysisId] = list = [];
            }

            list!.Add(subscription);
            foreach (var progress in _current.Values)
            {
                if (analysisId is null || progress.AnalysisId == analysisId)
                {
                    subscription.Offer(progress);
                }
            }
        }

        return subscription;
    }

    private void Drop(Subscription subscription, string? analysisId)
    {
        lock (_gate)
        {
            if (analysisId is null)
            {
                _all.Remove(subscription);
            }
            else if (_byAnalysis.TryGetValue(analysisId, out var list) && list.Remove(subscription) && list.Count == 0)
            {
                _byAnalysis.Remove(analysisId);
            }
        }
    }

    /// <summary>One subscriber: calls its handler one at a time, with the latest state of each analysis that changed.</summary>
    private sealed class Subscription(ProgressStore store, string? analysisId, Action<AnalysisProgress> handler) : IDisposable
    {
        private readonly Dictionary<string, AnalysisProgress> _pending = [];
        private readonly Lock _gate = new();
        private bool _running;
        private volatile bool _disposed;

        public void Offer(AnalysisProgress progress)
        {
            lock (_gate)
            {
                _pending[progress.AnalysisId] = progress;
                if (_running || _disposed)
                {
                    return;
                }

                _running = true;
            }

            _ = Task.Run(DeliverAsync);
        }

        private async Task DeliverAsync()
        {
            while (true)
            {
                AnalysisProgress[] batch;
                lock (_gate)
                {
                    if (_pending.Count == 0 || _disposed)
                    {
                        _running = false;
                        return;
                    }

                    batch = [.. _pending.Values];
                    _pending.Clear();
                }

                foreach (var progress in batch)
                {
                    if (_disposed)
                    {
                        return;
                    }

                    try
                    {
                        handler(progress);
                    }
                    catch (Exception fault)
                    {
                        store.LogFault(fault);
                    }
                }

                await Task.Delay(Interval);
            }
        }

        public void Dispose()
        {
            _disposed = true;
            store.Drop(this, analysisId);
        }
    }

    private void LogFault(Exception fault) => logger.LogWarning(fault, "A listener to progress failed");
}
