using Dashboard.Server.Configuration;
using Microsoft.Extensions.Options;

namespace Dashboard.Server.Jobs;

/// <summary>Starts the one engine worker, knows its connection, and ends it where it must.</summary>
internal sealed class WorkerSupervisor(HostAddress address, IOptions<DashboardOptions> options)
{
    private static readonly TimeSpan LostConnectionGrace = TimeSpan.FromSeconds(15);

    private readonly Lock _gate = new();
    private WorkerProcess? _worker;

    /// <summary>Process id of the worker; null while none runs.</summary>
    public int? ProcessId
    {
        get
        {
            lock (_gate)
            {
                return _worker is { Exited.IsCompleted: false } worker ? worker.Id : null;
            }
        }
    }

    /// <summary>The worker that was started last; null for none.</summary>
    public WorkerProcess? Current
    {
        get
        {
            lock (_gate)
            {
                return _worker;
            }
        }
    }

    /// <summary>Accepts the connection of the worker that was started last.</summary>
    public bool Attach(string connectionId, string secret)
    {
        lock (_gate)
        {
            if (_worker is null || !_worker.Knows(secret))
            {
                return false;
            }

            _worker.ConnectionId = connectionId;
            return true;
        }
    }

    /// <summary>True for the secret of the worker that was started last.</summary>
    public bool Knows(string secret)
    {
        lock (_gate)
        {
            return _worker is not null && _worker.Knows(secret);
        }
    }

    /// <summary>The worker has announced itself.</summary>
    public void Greet(string connectionId)
    {
        lock (_gate)
        {
            if (_worker is { } worker && worker.ConnectionId == connectionId)
            {
                worker.Connected.TrySetResult();
            }
        }
    }

    /// <summary>A connection was lost; the worker is ended unless it comes back.</summary>
    public void Detach(string connectionId)
    {
        WorkerProcess? worker;
        lock (_gate)
        {
            worker = _worker;
            if (worker is null || worker.ConnectionId != connectionId)
            {
                return;
            }

            worker.ConnectionId = null;
        }

        _ = KillUnlessBackAsync(worker);
    }

    /// <summary>The running worker, or a new one that has announced itself; null where it does not come, with the reason.</summary>
    /// <param name="output">Receives what a new process prints until it has announced itself.</param>
    /// <param name="stop">Ends the waiting.</param>
    /// <param name="stopping">The site stops.</param>
    public async Task<(WorkerProcess? Worker, string? Fault)> ReadyAsync(Action<string> output, Task stop, CancellationToken stopping)
    {
        WorkerProcess worker;
        lock (_gate)
        {
            if (_worker is { Exited.IsCompleted: false, ConnectionId: not null } running)
            {
                return (running, null);
            }

            _worker?.Kill();
            _worker?.Dispose();
            _worker = worker = WorkerProcess.Start(address.ForWorker);
            worker.Output = output;
        }

        var limit = Task.Delay(TimeSpan.FromSeconds(options.Value.WorkerStartSeconds), stopping);
        var first = await Task.WhenAny(worker.Connected.Task, worker.Exited, stop, limit);
        stopping.ThrowIfCancellationRequested();
        if (first == limit)
        {
            worker.Kill();
            return (null, $"The engine did not report within {options.Value.WorkerStartSeconds:0} seconds.");
        }

        return first == worker.Connected.Task ? (worker, null)
            : first == worker.Exited ? (null, DeathMessage(await worker.Exited))
            : (null, null);
    }

    /// <summary>Nobody listens to what the worker prints any more.</summary>
    public void Mute()
    {
        lock (_gate)
        {
            _worker?.Output = null;
        }
    }

    /// <summary>Ends a worker without waiting for it; the next piece of work gets a new one.</summary>
    public void Abandon(WorkerProcess? worker)
    {
        if (worker is null)
        {
            return;
        }

        worker.Kill();
        lock (_gate)
        {
            if (_worker == worker)
            {
                _worker = null;
            }
        }

        _ = worker.Exited.ContinueWith(_ => worker.Dispose(), TaskScheduler.Default);
    }

    /// <summary>Ends the worker when the site stops. Checkpoints keep what is done; the next start goes on from them.</summary>
    public async Task EndAsync()
    {
        WorkerProcess? worker;
        lock (_gate)
        {
            worker = _worker;
            _worker = null;
        }

        if (worker is not null)
        {
            worker.Kill();
            await worker.Exited;
            worker.Dispose();
        }
    }

    /// <summary>What an exit code means, for people.</summary>
    public static string DeathMessage(int code) => code switch
    {
        137 => "The engine was killed (signal 9), by a person or because memory ran out.",
        134 => "The engine aborted inside its native library.",
        139 => "The engine crashed inside its native library.",
        _ => $"The engine ended unexpectedly with code {code}.",
    };

    private static async Task KillUnlessBackAsync(WorkerProcess worker)
    {
        await Task.WhenAny(worker.Exited, Task.Delay(LostConnectionGrace));
        if (worker.ConnectionId is null)
        {
            worker.Kill();
        }
    }
}
