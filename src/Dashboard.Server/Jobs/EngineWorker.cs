using System.Diagnostics;
using System.Threading.Channels;
using Analysis;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Microsoft.AspNetCore.Http.Connections;
using Microsoft.AspNetCore.SignalR.Client;

namespace Dashboard.Server.Jobs;

/// <summary>Receives what an analysis or a task reports.</summary>
internal interface IWorkObserver : IRunObserver, ITaskObserver;

/// <summary>Runs an analysis or a task; blocks until it ends. Called on one dedicated thread.</summary>
internal delegate void Engine(WorkItem item, IWorkObserver observer, CancellationToken cancellation);

/// <summary>
/// The engine's side of the connection to the host: takes one piece of work at a time and reports. Ends when the host is gone, so
/// that no engine is left behind.
/// </summary>
internal sealed class EngineWorker(string host, string secret, Engine engine)
{
    private static readonly TimeSpan[] Reconnects =
        [TimeSpan.Zero, TimeSpan.FromSeconds(0.5), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(2)];

    private readonly TaskCompletionSource _hostGone = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private Execution? _current;

    /// <summary>Connects and serves until the host goes away or <paramref name="cancellation"/> is requested.</summary>
    public async Task ServeAsync(CancellationToken cancellation)
    {
        await using var connection = new HubConnectionBuilder()
            .WithUrl(host.TrimEnd('/') + WorkerIdentity.HubPath, options =>
            {
                options.Headers[WorkerIdentity.SecretHeader] = secret;
                options.Transports = HttpTransportType.WebSockets;
                options.SkipNegotiation = true;
            })
            .AddJsonProtocol(options => Json.Configure(options.PayloadSerializerOptions))
            .WithAutomaticReconnect(Reconnects)
            .Build();
        connection.On<WorkItem>(nameof(IWorkerClient.Run), item => Begin(connection, item));
        connection.On<string>(nameof(IWorkerClient.Cancel), Cancel);
        connection.Reconnected += _ => connection.InvokeAsync(nameof(IWorkerHub.Hello), CurrentId());
        connection.Closed += _ =>
        {
            _hostGone.TrySetResult();
            return Task.CompletedTask;
        };
        await connection.StartAsync(cancellation);
        await connection.InvokeAsync(nameof(IWorkerHub.Hello), CurrentId(), cancellation);
        await Task.WhenAny(_hostGone.Task, Task.Delay(Timeout.Infinite, cancellation));
        Cancel(CurrentId());
    }

    private string? CurrentId()
    {
        lock (_gate)
        {
            return _current?.Item.JobId;
        }
    }

    private void Cancel(string? jobId)
    {
        lock (_gate)
        {
            if (_current is { } current && current.Item.JobId == jobId)
            {
                current.Cancellation.Cancel();
            }
        }
    }

    private void Begin(HubConnection connection, WorkItem item)
    {
        var execution = new Execution(item);
        lock (_gate)
        {
            if (_current is not null)
            {
                execution.Reports.TryWrite(hub => hub.InvokeAsync(
                    nameof(IWorkerHub.Ended), item.JobId, item.Attempt, WorkOutcome.Failed, "The engine is busy with other work."));
                execution.Reports.TryComplete();
                _ = PumpAsync(connection, execution);
                return;
            }

            _current = execution;
        }

        // Tensor work keeps to one thread: scopes and gradient modes of the library are thread-local.
        new Thread(() => Compute(execution), maxStackSize: 16 << 20) { IsBackground = true, Name = "engine" }.Start();
        _ = FinishAsync(connection, execution);
    }

    private async Task FinishAsync(HubConnection connection, Execution execution)
    {
        await PumpAsync(connection, execution);
        lock (_gate)
        {
            _current = null;
        }

        var (outcome, message) = await execution.Outcome.Task;
        try
        {
            await connection.InvokeAsync(
                nameof(IWorkerHub.Ended), execution.Item.JobId, execution.Item.Attempt, outcome, message);
        }
        catch (Exception)
        {
            // A host that did not hear the end takes the run up again from its checkpoints, all of them finished.
            _hostGone.TrySetResult();
        }
    }

    private void Compute(Execution execution)
    {
        try
        {
            engine(execution.Item, execution, execution.Cancellation.Token);
            execution.End(WorkOutcome.Finished, "");
        }
        catch (OperationCanceledException)
        {
            execution.End(WorkOutcome.Cancelled, "");
        }
        catch (AnalysisException fault)
        {
            execution.OnLog(fault.ToString());
            execution.End(WorkOutcome.Failed, fault.Message);
        }
        catch (Exception fault)
        {
            execution.OnLog(fault.ToString());
            if (Disk.IsFull(fault))
            {
                execution.End(WorkOutcome.Failed, "The disk is full. What is done is kept: free some space and resume.");
            }
            else
            {
                execution.End(WorkOutcome.Faulted, $"The engine met an unexpected fault: {fault.Message} The log has the details.");
            }
        }
    }

    /// <summary>Sends reports in order. Progress is complete in itself, so only the latest is sent.</summary>
    private async Task PumpAsync(HubConnection connection, Execution execution)
    {
        await foreach (var report in execution.Reports.Reader.ReadAllAsync())
        {
            for (var attempt = 0; ; attempt++)
            {
                try
                {
                    await report(connection);
                    break;
                }
                catch (Exception) when (attempt < 40 && connection.State != HubConnectionState.Disconnected)
                {
                    await Task.Delay(250);
                }
                catch (Exception)
                {
                    _hostGone.TrySetResult();
                    return;
                }
            }
        }
    }

    /// <summary>One piece of work with what it has to report.</summary>
    private sealed class Execution(WorkItem item) : IWorkObserver
    {
        private readonly Channel<Func<HubConnection, Task>> _reports = Channel.CreateUnbounded<Func<HubConnection, Task>>();
        private object? _latest;
        private long _sent;

        public WorkItem Item { get; } = item;

        public CancellationTokenSource Cancellation { get; } = new();

        public TaskCompletionSource<(WorkOutcome Outcome, string Message)> Outcome { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public ReportQueue Reports => new(_reports);

        public void OnProgress(RunProgress progress) => Report(progress);

        public void OnProgress(TaskProgress progress) => Report(progress);

        private void Report(object progress)
        {
            if (Interlocked.Exchange(ref _latest, progress) is null)
            {
                _reports.Writer.TryWrite(SendProgressAsync);
            }
        }

        public void OnDescribed() => _reports.Writer.TryWrite(
            hub => hub.InvokeAsync(nameof(IWorkerHub.Described), Item.JobId, Item.Attempt));

        public void OnSamplesListed(int count) => _reports.Writer.TryWrite(
            hub => hub.InvokeAsync(nameof(IWorkerHub.SamplesListed), Item.JobId, Item.Attempt, count));

        public void OnClassReady(int classIndex) => _reports.Writer.TryWrite(
            hub => hub.InvokeAsync(nameof(IWorkerHub.ClassReady), Item.JobId, Item.Attempt, classIndex));

        public void OnLog(string line) => _reports.Writer.TryWrite(
            hub => hub.InvokeAsync(nameof(IWorkerHub.Log), Item.JobId, Item.Attempt, line));

        public void End(WorkOutcome outcome, string message)
        {
            Outcome.TrySetResult((outcome, message));
            _reports.Writer.TryComplete();
        }

        private async Task SendProgressAsync(HubConnection hub)
        {
            // The host passes on at most ten states a second; more than twenty only cost time.
            var wait = 50 - (Environment.TickCount64 - _sent);
            if (wait > 0 && !Outcome.Task.IsCompleted)
            {
                await Task.WhenAny(Task.Delay((int)wait), Outcome.Task);
            }

            if (Interlocked.Exchange(ref _latest, null) is { } progress)
            {
                _sent = Environment.TickCount64;
                await hub.InvokeAsync(
                    progress is TaskProgress ? nameof(IWorkerHub.TaskProgress) : nameof(IWorkerHub.Progress), Item.JobId, Item.Attempt, progress);
            }
        }
    }

    /// <summary>Both ends of the queue of reports.</summary>
    private readonly struct ReportQueue(Channel<Func<HubConnection, Task>> channel)
    {
        public ChannelReader<Func<HubConnection, Task>> Reader => channel.Reader;

        public void TryWrite(Func<HubConnection, Task> report) => channel.Writer.TryWrite(report);

        public void TryComplete() => channel.Writer.TryComplete();
    }

    /// <summary>Ends this process when the process with the given id ends, however it ends.</summary>
    public static void FollowParent(int parent)
    {
        _ = Task.Run(async () =>
        {
            try
            {
                using var process = Process.GetProcessById(parent);
                await process.WaitForExitAsync();
            }
            catch (ArgumentException)
            {
                // Already gone.
            }

            Environment.Exit(0);
        });
    }
}
