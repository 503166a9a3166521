using System.Text.Json;
using System.Threading.Channels;
using Analysis;
using Analysis.Runs;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Dashboard.Server.Hubs;
using Microsoft.AspNetCore.SignalR;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace Dashboard.Server.Jobs;

/// <summary>
/// Hands queued analyses to one engine worker, one after the other, and supervises it: starts it, follows its reports,
/// ends it where it must, and takes a run up again from its checkpoints when the worker dies. Only this class changes the
/// state of an analysis that is queued or running.
/// </summary>
internal sealed class JobCoordinator(
    IDbContextFactory<DashboardDbContext> databases,
    DataFolders folders,
    ProgressStore progress,
    AtlasIngestion ingestion,
    StoreCleaner cleaner,
    HostAddress address,
    IHubContext<WorkerHub, IWorkerClient> hub,
    IOptions<DashboardOptions> options,
    ILogger<JobCoordinator> logger) : BackgroundService
{
    /// <summary>Deaths of the engine in a row, without another stage finished, after which a run fails.</summary>
    private const int MostFailures = 2;

    private static readonly TimeSpan CancelGrace = TimeSpan.FromMilliseconds(400);
    private static readonly TimeSpan LostConnectionGrace = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan SaveInterval = TimeSpan.FromSeconds(2);

    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly Lock _gate = new();
    private WorkerProcess? _worker;
    private ActiveRun? _active;
    private int _attempts;

    /// <summary>Process id of the worker; null while none runs.</summary>
    public int? WorkerProcessId
    {
        get
        {
            lock (_gate)
            {
                return _worker is { Exited.IsCompleted: false } worker ? worker.Id : null;
            }
        }
    }

    /// <summary>Looks at the queue again.</summary>
    public void Wake() => _wake.Writer.TryWrite(true);

    /// <summary>Stops a queued or running analysis; returns when it has stopped. Does nothing in other states.</summary>
    public async Task CancelAsync(string analysisId, CancellationToken cancellation)
    {
        const string message = "Stopped. What is done is kept; resume to go on.";
        ActiveRun? active;
        WorkerProcess? worker;
        lock (_gate)
        {
            active = _active is { } run && run.Id == analysisId ? run : null;
            worker = _worker;
            active?.CancelRequested = true;
        }

        if (active is null)
        {
            await using var database = await databases.CreateDbContextAsync(cancellation);
            var changed = await database.Analyses
                .Where(row => row.Id == analysisId && row.State == AnalysisState.Queued)
                .ExecuteUpdateAsync(
                    set => set.SetProperty(row => row.State, AnalysisState.Cancelled)
                        .SetProperty(row => row.Message, message)
                        .SetProperty(row => row.Ended, DateTimeOffset.UtcNow),
                    cancellation);
            if (changed > 0)
            {
                progress.Publish(analysisId, old => old with { State = AnalysisState.Cancelled, Message = message, SecondsLeft = null });
            }

            return;
        }

        active.Stop.TrySetResult();
        if (worker is { ConnectionId: { } connection, Exited.IsCompleted: false })
        {
            try
            {
                await hub.Clients.Client(connection).Cancel(analysisId);
            }
            catch (Exception fault) when (fault is not OutOfMemoryException)
            {
                logger.LogWarning(fault, "The engine could not be asked to stop");
            }
        }

        await Task.WhenAny(active.Reported.Task, Task.Delay(CancelGrace, cancellation));
        if (!active.Reported.Task.IsCompleted)
        {
            Abandon(worker);
            active.Abandoned.TrySetResult();
        }

        await active.Done.Task.WaitAsync(TimeSpan.FromSeconds(10), cancellation);
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

    public void OnProgress(string analysisId, int attempt, RunProgress report)
    {
        if (Active(analysisId, attempt) is not { } active || active.CancelRequested)
        {
            return;
        }

        active.StagesDone = Math.Max(active.StagesDone, report.Stages.Count(stage => stage.State is StageState.Done or StageState.Reused));
        var next = progress.Publish(analysisId, old => Map(report, old));
        if (Environment.TickCount64 - active.Saved > SaveInterval.TotalMilliseconds)
        {
            active.Saved = Environment.TickCount64;
            active.Work.Writer.TryWrite(token => SaveAsync(next, token));
        }
    }

    public void OnDescribed(string analysisId, int attempt)
    {
        if (Active(analysisId, attempt) is { } active)
        {
            active.Work.Writer.TryWrite(token => ingestion.DescriptionAsync(active.Key, active.RunFolder, token));
        }
    }

    public void OnSamplesListed(string analysisId, int attempt)
    {
        if (Active(analysisId, attempt) is { } active)
        {
            active.Work.Writer.TryWrite(token => ingestion.SamplesAsync(active.Key, active.RunFolder, token));
        }
    }

    public void OnClassReady(string analysisId, int attempt, int classIndex)
    {
        if (Active(analysisId, attempt) is { } active)
        {
            active.Work.Writer.TryWrite(async token =>
            {
                await ingestion.ClassAsync(active.Key, active.RunFolder, classIndex, token);
                progress.Publish(analysisId, old => old with { ReadyClasses = [.. old.ReadyClasses.Append(classIndex).Distinct().Order()] });
            });
        }
    }

    public void OnLog(string analysisId, int attempt, string line)
    {
        if (Active(analysisId, attempt) is { } active)
        {
            RunLog.Append(active.RunFolder, line);
        }
    }

    public void OnEnded(string analysisId, int attempt, WorkOutcome outcome, string message) =>
        Active(analysisId, attempt)?.Reported.TrySetResult((outcome, message));

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await address.Known.WaitAsync(stoppingToken);
            while (!stoppingToken.IsCancellationRequested)
            {
                AnalysisEntity? next = null;
                try
                {
                    next = await TakeAsync(stoppingToken);
                    if (next is null)
                    {
                        await _wake.Reader.ReadAsync(stoppingToken);
                        continue;
                    }

                    await RunAsync(next, stoppingToken);
                }
                catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
                {
                    break;
                }
                catch (Exception fault)
                {
                    logger.LogError(fault, "The queue met a fault");
                    if (next is not null)
                    {
                        await TryEndAsync(next, AnalysisState.Failed, Explain(fault));
                    }

                    await Task.Delay(TimeSpan.FromSeconds(1), stoppingToken);
                }
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The site stops.
        }
        finally
        {
            WorkerProcess? worker;
            lock (_gate)
            {
                worker = _worker;
                _worker = null;
            }

            if (worker is not null)
            {
                // Checkpoints keep what is done; the next start goes on from them.
                worker.Kill();
                await worker.Exited;
                worker.Dispose();
            }
        }
    }

    private async Task<AnalysisEntity?> TakeAsync(CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        return await database.Analyses.AsNoTracking()
            .Where(row => row.State == AnalysisState.Queued)
            .OrderBy(row => row.QueueOrder)
            .FirstOrDefaultAsync(cancellation);
    }

    private async Task RunAsync(AnalysisEntity analysis, CancellationToken stopping)
    {
        var active = new ActiveRun(analysis.Id, analysis.Key, Interlocked.Increment(ref _attempts), folders.Run(analysis.Id));
        lock (_gate)
        {
            _active = active;
        }

        try
        {
            await using (var database = await databases.CreateDbContextAsync(stopping))
            {
                // A cancel may have come between taking the row and announcing the run.
                var taken = await database.Analyses
                    .Where(row => row.Key == analysis.Key && row.State == AnalysisState.Queued)
                    .ExecuteUpdateAsync(
                        set => set.SetProperty(row => row.State, AnalysisState.Running)
                            .SetProperty(row => row.Started, DateTimeOffset.UtcNow)
                            .SetProperty(row => row.Ended, (DateTimeOffset?)null),
                        stopping);
                if (taken == 0)
                {
                    return;
                }
            }

            progress.Publish(analysis.Id, old => old with { State = AnalysisState.Running });
            Directory.CreateDirectory(active.RunFolder);
            await cleaner.MakeRoomAsync(stopping);
            var outcome = await WorkAsync(analysis, active, stopping);
            switch (outcome)
            {
                case { Outcome: WorkOutcome.Finished }:
                    await FinishAsync(analysis, active, stopping);
                    break;
                case { Outcome: WorkOutcome.Cancelled }:
                    await EndAsync(analysis, AnalysisState.Cancelled, "Stopped. What is done is kept; resume to go on.", stopping);
                    break;
                case { Outcome: WorkOutcome.Failed }:
                    await EndAsync(analysis, AnalysisState.Failed, outcome.Message, stopping);
                    break;
                default:
                    await RetryOrFailAsync(analysis, active, outcome.Message, stopping);
                    break;
            }
        }
        finally
        {
            active.Work.Writer.TryComplete();
            lock (_gate)
            {
                _active = null;
                _worker?.Output = null;
            }

            active.Done.TrySetResult();
        }
    }

    /// <summary>Gives the run to the worker and waits for its end; no outcome means that the worker died.</summary>
    private async Task<(WorkOutcome? Outcome, string Message)> WorkAsync(AnalysisEntity analysis, ActiveRun active, CancellationToken stopping)
    {
        var request = JsonSerializer.Deserialize<AnalysisRequest>(analysis.Request, Json.Options)
            ?? throw new AnalysisException($"The request of analysis {analysis.Id} is empty.", "Delete the analysis and start a new one.");
        var (worker, deathOnStart) = await ReadyWorkerAsync(active, stopping);
        if (active.CancelRequested)
        {
            return (WorkOutcome.Cancelled, "");
        }

        if (worker?.ConnectionId is not { } connection)
        {
            return (null, deathOnStart ?? "The engine did not start.");
        }

        worker.Output = line => RunLog.Append(active.RunFolder, line);
        var ingesting = IngestAsync(active, stopping);
        RunLog.Append(active.RunFolder, $"The run starts in engine process {worker.Id}.");
        await hub.Clients.Client(connection).Run(new WorkItem(analysis.Id, active.Attempt, request, active.RunFolder, folders.Store));
        var ended = await Task.WhenAny(active.Reported.Task, active.Abandoned.Task, worker.Exited, ingesting).WaitAsync(stopping);
        if (ended == ingesting && ingesting.IsFaulted && !active.Reported.Task.IsCompleted && !worker.Exited.IsCompleted)
        {
            // The catalogue cannot take the results: the engine's work would be for nothing.
            worker.Kill();
            await ingesting;
        }

        await Task.WhenAny(active.Reported.Task, active.Abandoned.Task, worker.Exited).WaitAsync(stopping);
        if (active.Abandoned.Task.IsCompleted && !active.Reported.Task.IsCompleted)
        {
            RunLog.Append(active.RunFolder, $"Engine process {worker.Id} was ended.");
            return (WorkOutcome.Cancelled, "");
        }

        if (!active.Reported.Task.IsCompleted)
        {
            var code = await worker.Exited.WaitAsync(stopping);
            RunLog.Append(active.RunFolder, $"Engine process {worker.Id} ended with code {code}.");
            active.Work.Writer.TryComplete();
            if (active.CancelRequested)
            {
                return (WorkOutcome.Cancelled, "");
            }

            await ingesting.WaitAsync(stopping);
            return (null, DeathMessage(code));
        }

        var (outcome, message) = await active.Reported.Task;
        active.Work.Writer.TryComplete();
        if (outcome != WorkOutcome.Cancelled)
        {
            await ingesting.WaitAsync(stopping);
        }

        return (outcome, message);
    }

    private static string DeathMessage(int code) => code switch
    {
        137 => "The engine was killed (signal 9), by a person or because memory ran out.",
        134 => "The engine aborted inside its native library.",
        139 => "The engine crashed inside its native library.",
        _ => $"The engine ended unexpectedly with code {code}.",
    };

    private static async Task IngestAsync(ActiveRun active, CancellationToken stopping)
    {
        await foreach (var step in active.Work.Reader.ReadAllAsync(stopping))
        {
            if (active.CancelRequested)
            {
                return;
            }

            await step(stopping);
        }
    }

    private async Task FinishAsync(AnalysisEntity analysis, ActiveRun active, CancellationToken stopping)
    {
        await ingestion.FinishAsync(active.Key, active.RunFolder, stopping);
        await using var database = await databases.CreateDbContextAsync(stopping);
        var ready = await database.Classes.Where(row => row.AnalysisKey == active.Key && row.Ready).Select(row => row.Index).Order().ToListAsync(stopping);
        progress.Publish(analysis.Id, old => old with { ReadyClasses = ready, Share = 1 });
        await EndAsync(analysis, AnalysisState.Completed, null, stopping);
    }

    private async Task RetryOrFailAsync(AnalysisEntity analysis, ActiveRun active, string message, CancellationToken stopping)
    {
        // A death counts against the run only while it gets no further: each further stage is a new chance.
        var failures = active.StagesDone > analysis.FailureMark ? 1 : analysis.Failures + 1;
        await using (var database = await databases.CreateDbContextAsync(stopping))
        {
            await database.Analyses.Where(row => row.Key == analysis.Key).ExecuteUpdateAsync(
                set => set.SetProperty(row => row.Failures, failures).SetProperty(row => row.FailureMark, Math.Max(active.StagesDone, analysis.FailureMark)),
                stopping);
        }

        if (failures >= MostFailures)
        {
            await EndAsync(
                analysis,
                AnalysisState.Failed,
                $"{message} It happened again at the same place after a retry, so the run was given up. What is done is kept: look at the log, try a smaller image limit or another layer, or resume.",
                stopping);
            return;
        }

        RunLog.Append(active.RunFolder, message + " The run is taken up again from its checkpoints.");
        await using (var database = await databases.CreateDbContextAsync(stopping))
        {
            await database.Analyses.Where(row => row.Key == analysis.Key)
                .ExecuteUpdateAsync(set => set.SetProperty(row => row.State, AnalysisState.Queued), stopping);
        }

        progress.Publish(analysis.Id, old => old with { Message = message + " The run goes on from its checkpoints.", SecondsLeft = null });
        Wake();
    }

    private async Task EndAsync(AnalysisEntity analysis, AnalysisState state, string? message, CancellationToken stopping)
    {
        RunLog.Append(folders.Run(analysis.Id), message is null ? $"The run is {state.ToString().ToLowerInvariant()}." : message);
        var last = progress.Publish(analysis.Id, old => old with
        {
            State = state,
            Message = message,
            SecondsLeft = null,
            Stages = state == AnalysisState.Completed ? old.Stages : [.. old.Stages.Select(stage => stage with { ItemsPerSecond = 0 })],
        });
        await using var database = await databases.CreateDbContextAsync(stopping);
        await database.Analyses.Where(row => row.Key == analysis.Key).ExecuteUpdateAsync(
            set => set.SetProperty(row => row.State, state)
                .SetProperty(row => row.Message, message)
                .SetProperty(row => row.Ended, DateTimeOffset.UtcNow)
                .SetProperty(row => row.Share, last.Share)
                .SetProperty(row => row.Progress, JsonSerializer.Serialize(last, Json.Options)),
            stopping);
    }

    private async Task TryEndAsync(AnalysisEntity analysis, AnalysisState state, string message)
    {
        try
        {
            await EndAsync(analysis, state, message, CancellationToken.None);
        }
        catch (Exception fault)
        {
            // The state in memory is right already; after a restart the run is queued again.
            logger.LogError(fault, "The end of analysis {Analysis} could not be written", analysis.Id);
        }
    }

    private async Task SaveAsync(AnalysisProgress state, CancellationToken stopping)
    {
        await using var database = await databases.CreateDbContextAsync(stopping);
        var json = JsonSerializer.Serialize(state, Json.Options);
        await database.Analyses.Where(row => row.Id == state.AnalysisId).ExecuteUpdateAsync(
            set => set.SetProperty(row => row.Progress, json).SetProperty(row => row.Share, state.Share), stopping);
    }

    /// <summary>The running worker, or a new one that has announced itself; null where it does not come, with the reason.</summary>
    private async Task<(WorkerProcess? Worker, string? Fault)> ReadyWorkerAsync(ActiveRun active, CancellationToken stopping)
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
            worker.Output = line => RunLog.Append(active.RunFolder, line);
        }

        var limit = Task.Delay(TimeSpan.FromSeconds(options.Value.WorkerStartSeconds), stopping);
        var first = await Task.WhenAny(worker.Connected.Task, worker.Exited, active.Stop.Task, limit);
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

    /// <summary>Ends a worker without waiting for it; the next run gets a new one.</summary>
    private void Abandon(WorkerProcess? worker)
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

    private async Task KillUnlessBackAsync(WorkerProcess worker)
    {
        await Task.WhenAny(worker.Exited, Task.Delay(LostConnectionGrace));
        if (worker.ConnectionId is null)
        {
            worker.Kill();
        }
    }

    private ActiveRun? Active(string analysisId, int attempt)
    {
        lock (_gate)
        {
            return _active is { } active && active.Id == analysisId && active.Attempt == attempt ? active : null;
        }
    }

    private static string Explain(Exception fault) => fault switch
    {
        AnalysisException known => known.Message,
        _ when Disk.IsFull(fault) => "The disk is full. What is done is kept: free some space and resume.",
        _ => $"The results could not be taken into the catalogue: {fault.Message} What is done is kept; resume to try again.",
    };

    private static AnalysisProgress Map(RunProgress report, AnalysisProgress old) => old with
    {
        State = AnalysisState.Running,
        Stages = [.. report.Stages.Select(stage => new StageView(
            stage.Name, stage.Title, (StageStatus)(int)stage.State, stage.Done, stage.Total, stage.Unit, stage.ItemsPerSecond, stage.Seconds))],
        SecondsLeft = report.SecondsLeft,
        Device = report.Device,
        MemoryBytes = report.MemoryBytes,
        Skipped = report.Skipped,
        Share = Math.Max(old.Share, ShareOf(report.Stages)),
    };

    /// <summary>Share done: the extraction of activations weighs as much as all other stages together.</summary>
    private static double ShareOf(IReadOnlyList<StageProgress> stages)
    {
        double done = 0, all = 0;
        foreach (var stage in stages)
        {
            var weight = stage.Name == "activations" ? Math.Max(1, stages.Count - 1) : 1;
            all += weight;
            done += weight * (stage.State is StageState.Done or StageState.Reused ? 1 : stage.Total > 0 ? Math.Clamp((double)stage.Done / stage.Total, 0, 1) : 0);
        }

        return all > 0 ? done / all : 0;
    }

    /// <summary>The analysis that the worker is at.</summary>
    private sealed class ActiveRun(string id, int key, int attempt, string runFolder)
    {
        public string Id { get; } = id;

        public int Key { get; } = key;

        public int Attempt { get; } = attempt;

        public string RunFolder { get; } = runFolder;

        public volatile bool CancelRequested;

        /// <summary>What to take into the catalogue, in order.</summary>
        public Channel<Func<CancellationToken, Task>> Work { get; } = Channel.CreateUnbounded<Func<CancellationToken, Task>>();

        /// <summary>The worker's own word on the end.</summary>
        public TaskCompletionSource<(WorkOutcome Outcome, string Message)> Reported { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>A person wants it to stop.</summary>
        public TaskCompletionSource Stop { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>The worker did not stop in time and was ended.</summary>
        public TaskCompletionSource Abandoned { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>Everything about this attempt is over.</summary>
        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public int StagesDone { get; set; }

        public long Saved { get; set; }
    }
}
