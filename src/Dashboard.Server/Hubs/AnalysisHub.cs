using System.Collections.Concurrent;
using Dashboard.Client.Contracts;
using Dashboard.Server.Jobs;
using Microsoft.AspNetCore.SignalR;

namespace Dashboard.Server.Hubs;

/// <summary>Sends the progress of analyses and of tasks beside them to scripts, the command line and other programs; pages get the same in process.</summary>
internal sealed class AnalysisHub(HubSubscriptions subscriptions, IProgressFeed feed) : Hub<IAnalysisHubClient>, IAnalysisHub
{
    public Task Subscribe(string analysisId)
    {
        if (analysisId is not { Length: 12 } || feed.Current(analysisId) is null)
        {
            throw new HubException("There is no such analysis. GET /api/analyses lists them.");
        }

        subscriptions.Add(Context.ConnectionId, analysisId);
        return Task.CompletedTask;
    }

    public Task Unsubscribe(string analysisId)
    {
        subscriptions.Remove(Context.ConnectionId, analysisId);
        return Task.CompletedTask;
    }

    public Task SubscribeTask(string taskId)
    {
        if (taskId is not { Length: 12 } || feed.CurrentTask(taskId) is null)
        {
            throw new HubException("There is no such task. GET /api/analyses/{id}/tasks lists them.");
        }

        subscriptions.AddTask(Context.ConnectionId, taskId);
        return Task.CompletedTask;
    }

    public Task UnsubscribeTask(string taskId)
    {
        subscriptions.RemoveTask(Context.ConnectionId, taskId);
        return Task.CompletedTask;
    }

    public override Task OnDisconnectedAsync(Exception? exception)
    {
        subscriptions.RemoveAll(Context.ConnectionId);
        return base.OnDisconnectedAsync(exception);
    }
}

/// <summary>
/// Turns the states of the progress feed into messages of the hub, one subscription for each connection and analysis.
/// What changed between two states (a stage, a class, the end) is told after the state itself.
/// </summary>
internal sealed class HubSubscriptions(IProgressFeed feed, IHubContext<AnalysisHub, IAnalysisHubClient> hub) : IDisposable
{
    private const int MostPerConnection = 200;
    private const string TaskPrefix = "task/";
    private readonly ConcurrentDictionary<string, ConcurrentDictionary<string, IDisposable>> _connections = new();

    public void Add(string connectionId, string analysisId) => Listen(connectionId, analysisId, () =>
    {
        var relay = new Relay(hub.Clients.Client(connectionId));
        return feed.Subscribe(analysisId, relay.Send);
    });

    public void Remove(string connectionId, string analysisId) => Drop(connectionId, analysisId);

    public void AddTask(string connectionId, string taskId) => Listen(connectionId, TaskPrefix + taskId, () =>
    {
        var client = hub.Clients.Client(connectionId);
        var tail = Task.CompletedTask;
        // The feed calls with one state at a time; sending goes on in order behind it.
        return feed.SubscribeTask(taskId, task => tail = SendAfterAsync(tail, client, task));
    });

    public void RemoveTask(string connectionId, string taskId) => Drop(connectionId, TaskPrefix + taskId);

    private static async Task SendAfterAsync(Task before, IAnalysisHubClient client, TaskView task)
    {
        await before.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await client.TaskProgress(task);
    }

    private void Listen(string connectionId, string key, Func<IDisposable> subscribe)
    {
        var subscriptions = _connections.GetOrAdd(connectionId, _ => new());
        if (subscriptions.Count >= MostPerConnection)
        {
            throw new HubException($"One connection listens to at most {MostPerConnection} analyses and tasks. Unsubscribe from some.");
        }

        Drop(connectionId, key);
        subscriptions[key] = subscribe();
    }

    private void Drop(string connectionId, string key)
    {
        if (_connections.TryGetValue(connectionId, out var subscriptions) && subscriptions.TryRemove(key, out var old))
        {
            old.Dispose();
        }
    }

    public void RemoveAll(string connectionId)
    {
        if (_connections.TryRemove(connectionId, out var subscriptions))
        {
            foreach (var subscription in subscriptions.Values)
            {
                subscription.Dispose();
            }
        }
    }

    public void Dispose()
    {
        foreach (var connection in _connections.Keys)
        {
            RemoveAll(connection);
        }
    }

    /// <summary>One listener. The feed calls it with one state at a time; sending goes on in order behind it.</summary>
    private sealed class Relay(IAnalysisHubClient client)
    {
        private AnalysisProgress? _last;
        private Task _tail = Task.CompletedTask;

        public void Send(AnalysisProgress progress)
        {
            var last = _last;
            _last = progress;
            _tail = SendAfterAsync(_tail, last, progress);
        }

        private async Task SendAfterAsync(Task before, AnalysisProgress? last, AnalysisProgress progress)
        {
            await before.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await client.Progress(progress);
            if (last is null)
            {
                return;
            }

            foreach (var stage in progress.Stages)
            {
                if (last.Stages.FirstOrDefault(known => known.Name == stage.Name)?.Status != stage.Status && stage.Status != StageStatus.Waiting)
                {
                    await client.Stage(progress.AnalysisId, stage);
                }
            }

            foreach (var ready in progress.ReadyClasses.Except(last.ReadyClasses))
            {
                await client.ClassReady(progress.AnalysisId, ready);
            }

            if (progress.State == last.State)
            {
                return;
            }

            if (progress.State == AnalysisState.Completed)
            {
                await client.Finished(progress.AnalysisId);
            }
            else if (progress.State is AnalysisState.Failed or AnalysisState.Cancelled)
            {
                await client.Failed(progress.AnalysisId, progress.Message ?? "");
            }
        }
    }
}
