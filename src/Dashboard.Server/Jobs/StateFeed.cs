namespace Dashboard.Server.Jobs;

/// <summary>
/// Keeps the latest state of each thing and hands it to subscribers at most every <see cref="Interval"/>; a state is complete
/// in itself, so that what falls between two calls loses nothing, and the last state always arrives.
/// </summary>
/// <typeparam name="TState">State; immutable.</typeparam>
internal sealed class StateFeed<TState>(Func<TState, string> idOf, ILogger logger)
    where TState : class
{
    /// <summary>Least time between two calls of one subscriber about one thing.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(100);

    private readonly Dictionary<string, TState> _current = [];
    private readonly Lock _gate = new();
    private readonly List<Subscription> _all = [];
    private readonly Dictionary<string, List<Subscription>> _byId = [];

    public TState? Current(string id)
    {
        lock (_gate)
        {
            return _current.GetValueOrDefault(id);
        }
    }

    /// <summary>Replaces the state of a thing and tells the subscribers.</summary>
    /// <param name="id">The thing.</param>
    /// <param name="change">Makes the next state from the last one (null: there is none); no state leaves things as they are.</param>
    /// <returns>The state afterwards.</returns>
    public TState? Publish(string id, Func<TState?, TState?> change)
    {
        lock (_gate)
        {
            var old = _current.GetValueOrDefault(id);
            if (change(old) is not { } next)
            {
                return old;
            }

            _current[id] = next;
            foreach (var subscription in _all)
            {
                subscription.Offer(next);
            }

            if (_byId.TryGetValue(id, out var subscriptions))
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
    public void Restore(TState state)
    {
        lock (_gate)
        {
            _current[idOf(state)] = state;
        }
    }

    /// <summary>Forgets what was deleted.</summary>
    public void Remove(string id)
    {
        lock (_gate)
        {
            _current.Remove(id);
        }
    }

    /// <summary>Listens to one thing (null: to all), the current state first. Dispose to stop.</summary>
    public IDisposable Subscribe(string? id, Action<TState> handler)
    {
        var subscription = new Subscription(this, id, handler);
        lock (_gate)
        {
            var list = _all;
            if (id is not null && !_byId.TryGetValue(id, out list))
            {
                _byId[id] = list = [];
            }

            list!.Add(subscription);
            if (id is null)
            {
                foreach (var state in _current.Values)
                {
                    subscription.Offer(state);
                }
            }
            else if (_current.TryGetValue(id, out var state))
            {
                subscription.Offer(state);
            }
        }

        return subscription;
    }

    private void Drop(Subscription subscription, string? id)
    {
        lock (_gate)
        {
            if (id is null)
            {
                _all.Remove(subscription);
            }
            else if (_byId.TryGetValue(id, out var list) && list.Remove(subscription) && list.Count == 0)
            {
                _byId.Remove(id);
            }
        }
    }

    /// <summary>One subscriber: calls its handler one at a time, with the latest state of each thing that changed.</summary>
    private sealed class Subscription(StateFeed<TState> feed, string? id, Action<TState> handler) : IDisposable
    {
        private readonly Dictionary<string, TState> _pending = [];
        private readonly Lock _gate = new();
        private bool _running;
        private volatile bool _disposed;

        public void Offer(TState state)
        {
            lock (_gate)
            {
                _pending[feed.IdOf(state)] = state;
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
                TState[] batch;
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

                foreach (var state in batch)
                {
                    if (_disposed)
                    {
                        return;
                    }

                    try
                    {
                        handler(state);
                    }
                    catch (Exception fault)
                    {
                        feed.LogFault(fault);
                    }
                }

                await Task.Delay(Interval);
            }
        }

        public void Dispose()
        {
            _disposed = true;
            feed.Drop(this, id);
        }
    }

    private string IdOf(TState state) => idOf(state);

    private void LogFault(Exception fault) => logger.LogWarning(fault, "A listener to progress failed");
}
