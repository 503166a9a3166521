using System.Threading.Channels;
using Analysis;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Hubs;
using Microsoft.AspNetCore.SignalR;

namespace Dashboard.Server.Jobs;

/// <summary>
/// Hands queued work to the one engine worker, one piece after the other: tasks beside finished analyses first, then
/// analyses. Follows the worker's reports, stops work on request, and takes it up again from its checkpoints when the worker
/// dies. An analysis that is recording activations, which may take hours, gives way to a task and goes on after it.
/// </summary>
internal sealed class JobCoordinator(
    AnalysisQueue analyses,
    TaskQueue tasks,
    WorkerSupervisor supervisor,
    StoreCleaner cleaner,
    HostAddress address,
    IHubContext<WorkerHub, IWorkerClient> hub,
    ILogger<JobCoordinator> logger) : BackgroundService
{
    /// <summary>Deaths of the engine in a row, without getting further, after which a piece of work fails.</summary>
    private const int MostFailures = 2;

    private static readonly TimeSpan CancelGrace = TimeSpan.FromMilliseconds(400);

    /// <summary>Results of a large class may be on their way into the catalogue when a stop is asked for.</summary>
    private static readonly TimeSpan CancelLimit = TimeSpan.FromSeconds(10);

    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(
        new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    private readonly Lock _gate = new();
    private EngineJob? _active;
    private int _attempts;

    /// <summary>Process id of the worker; null while none runs.</summary>
    public int? WorkerProcessId => supervisor.ProcessId;

    /// <summary>Looks at the queues again.</summary>
    public void Wake() => _wake.Writer.TryWrite(true);

    /// <summary>Looks at the queue of tasks again; an analysis that can stop without loss gives way.</summary>
    public void WakeForTask()
    {
        tasks.Announce();
        Wake();
        GiveWay(Active(null));
    }

    /// <summary>Stops a queued or running analysis; returns when it has stopped. Does nothing in other states.</summary>
    public Task CancelAsync(string analysisId, CancellationToken cancellation) =>
        CancelAsync(analysisId, () => analyses.CancelQueuedAsync(analysisId, cancellation), cancellation);

    /// <summary>Stops a queued or running task; returns when it has stopped. Does nothing in other states.</summary>
    public Task CancelTaskAsync(string taskId, CancellationToken cancellation) =>
        CancelAsync(taskId, () => tasks.CancelQueuedAsync(taskId, cancellation), cancellation);

    public void OnProgress(string jobId, int attempt, RunProgress report)
    {
        if (Active(jobId, attempt) is { } active)
        {
            active.OnProgress(report);
            GiveWay(active);
        }
    }

    public void OnTaskProgress(string jobId, int attempt, TaskProgress report) => Active(jobId, attempt)?.OnTaskProgress(report);

    public void OnDescribed(string jobId, int attempt) => Active(jobId, attempt)?.OnDescribed();

    public void OnSamplesListed(string jobId, int attempt) => Active(jobId, attempt)?.OnSamplesListed();

    public void OnClassReady(string jobId, int attempt, int classIndex) => Active(jobId, attempt)?.OnClassReady(classIndex);

    public void OnLog(string jobId, int attempt, string line) => Active(jobId, attempt)?.Log(line);

    public void OnEnded(string jobId, int attempt, WorkOutcome outcome, string message) =>
        Active(jobId, attempt)?.Reported.TrySetResult((outcome, message));

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await address.Known.WaitAsync(stoppingToken);
            while (!stoppingToken.IsCancellationRequested)
            {
                EngineJob? next = null;
                try
                {
                    var attempt = Interlocked.Increment(ref _attempts);
                    next = await tasks.NextAsync(attempt, stoppingToken) ?? (EngineJob?)await analyses.NextAsync(attempt, stoppingToken);
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
                        await TryFailAsync(next, Explain(fault));
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
            await supervisor.EndAsync();
        }
    }

    private async Task CancelAsync(string jobId, Func<Task> cancelQueued, CancellationToken cancellation)
    {
        EngineJob? active;
        lock (_gate)
        {
            active = _active is { } job && job.Id == jobId ? job : null;
            active?.CancelRequested = true;
        }

        if (active is null)
        {
            await cancelQueued();
            return;
        }

        active.Stop.TrySetResult();
        await AskToStopAsync(active);
        await Task.WhenAny(active.Reported.Task, Task.Delay(CancelGrace, cancellation));
        // Where it is over already, the engine may be at work for somebody else.
        if (!active.Reported.Task.IsCompleted && !active.Done.Task.IsCompleted)
        {
            supervisor.Abandon(supervisor.Current);
            active.Abandoned.TrySetResult();
        }

        try
        {
            await active.Done.Task.WaitAsync(CancelLimit, cancellation);
        }
        catch (TimeoutException)
        {
            throw new ServiceException("It has been told to stop, and its last results are still being taken into the catalogue. Try again in a moment.");
        }

        // It may have been queued again, or not have been taken at all, in the moment of the request.
        await cancelQueued();
    }

    private async Task AskToStopAsync(EngineJob job)
    {
        if (supervisor.Current is { ConnectionId: { } connection, Exited.IsCompleted: false })
        {
            try
            {
                await hub.Clients.Client(connection).Cancel(job.Id);
            }
            catch (Exception fault) when (fault is not OutOfMemoryException)
            {
                logger.LogWarning(fault, "The engine could not be asked to stop");
            }
        }
    }

    private void GiveWay(EngineJob? active)
    {
        if (active is { CanGiveWay: true, GivesWay: false, CancelRequested: false } && tasks.Waiting)
        {
            active.GivesWay = true;
            _ = AskToStopAsync(active);
        }
    }

    private async Task RunAsync(EngineJob job, CancellationToken stopping)
    {
        lock (_gate)
        {
            _active = job;
        }

        try
        {
            if (!await job.TakeAsync(stopping))
            {
                return;
            }

            await cleaner.MakeRoomAsync(job.StoreKeys, stopping);
            switch (await WorkAsync(job, stopping))
            {
                case { Outcome: WorkOutcome.Finished }:
                    await job.FinishAsync(stopping);
                    break;
                case { Outcome: WorkOutcome.Cancelled } when job is { GivesWay: true, CancelRequested: false }:
                    var (failures, mark) = job.Past;
                    await job.RequeueAsync("Waits for a task that was asked for, then goes on.", failures, mark, stopping);
                    break;
                case { Outcome: WorkOutcome.Cancelled }:
                    await job.EndAsync(AnalysisState.Cancelled, job.StoppedMessage, stopping);
                    break;
                case { Outcome: WorkOutcome.Failed, Message: var message }:
                    await job.EndAsync(AnalysisState.Failed, message, stopping);
                    break;
                case { Outcome: WorkOutcome.Faulted, Message: var fault }:
                    // What the fault left behind in the process is unknown.
                    supervisor.Abandon(supervisor.Current);
                    await RetryOrFailAsync(job, fault, stopping);
                    break;
                case { Message: var death }:
                    await RetryOrFailAsync(job, death, stopping);
                    break;
            }
        }
        finally
        {
            job.Work.Writer.TryComplete();
            lock (_gate)
            {
                _active = null;
            }

            supervisor.Mute();
            job.Done.TrySetResult();
        }
    }

    /// <summary>Gives the job to the worker and waits for its end; no outcome means that the worker died.</summary>
    private async Task<(WorkOutcome? Outcome, string Message)> WorkAsync(EngineJob job, CancellationToken stopping)
    {
        var item = job.Item();
        var (worker, deathOnStart) = await supervisor.ReadyAsync(job.Log, job.Stop.Task, stopping);
        if (job.CancelRequested)
        {
            return (WorkOutcome.Cancelled, "");
        }

        if (worker?.ConnectionId is not { } connection)
        {
            return (null, deathOnStart ?? "The engine did not start.");
        }

        worker.Output = job.Log;
        var ingesting = IngestAsync(job, stopping);
        job.Log($"The work starts in engine process {worker.Id}.");
        await hub.Clients.Client(connection).Run(item);
        var ended = await Task.WhenAny(job.Reported.Task, job.Abandoned.Task, worker.Exited, ingesting).WaitAsync(stopping);
        if (ended == ingesting && ingesting.IsFaulted && !job.Reported.Task.IsCompleted && !worker.Exited.IsCompleted)
        {
            // The catalogue cannot take the results: the engine's work would be for nothing.
            worker.Kill();
            await ingesting;
        }

        await Task.WhenAny(job.Reported.Task, job.Abandoned.Task, worker.Exited).WaitAsync(stopping);
        if (job.Abandoned.Task.IsCompleted && !job.Reported.Task.IsCompleted)
        {
            job.Log($"Engine process {worker.Id} was ended.");
            return (WorkOutcome.Cancelled, "");
        }

        if (!job.Reported.Task.IsCompleted)
        {
            var code = await worker.Exited.WaitAsync(stopping);
            job.Log($"Engine process {worker.Id} ended with code {code}.");
            job.Work.Writer.TryComplete();
            if (job.CancelRequested)
            {
                return (WorkOutcome.Cancelled, "");
            }

            await ingesting.WaitAsync(stopping);
            return (null, WorkerSupervisor.DeathMessage(code));
        }

        var (outcome, message) = await job.Reported.Task;
        job.Work.Writer.TryComplete();
        if (outcome != WorkOutcome.Cancelled || job.GivesWay)
        {
            await ingesting.WaitAsync(stopping);
        }

        return (outcome, message);
    }

    private static async Task IngestAsync(EngineJob job, CancellationToken stopping)
    {
        await foreach (var step in job.Work.Reader.ReadAllAsync(stopping))
        {
            if (job.CancelRequested)
            {
                return;
            }

            await step(stopping);
        }
    }

    private async Task RetryOrFailAsync(EngineJob job, string message, CancellationToken stopping)
    {
        // A death counts against the work only while it gets no further: each further part is a new chance.
        var past = job.Past;
        var failures = job.Mark > past.Mark ? 1 : past.Failures + 1;
        if (failures >= MostFailures)
        {
            await job.EndAsync(
                AnalysisState.Failed, $"{message} It happened again at the same place after a retry, so it was given up. {job.GiveUpAdvice}", stopping);
            return;
        }

        await job.RequeueAsync(message + " The work goes on from its checkpoints.", failures, Math.Max(job.Mark, past.Mark), stopping);
    }

    private async Task TryFailAsync(EngineJob job, string message)
    {
        try
        {
            await job.EndAsync(AnalysisState.Failed, message, CancellationToken.None);
        }
        catch (Exception fault)
        {
            // The state in memory is right already; after a restart it is queued again.
            logger.LogError(fault, "The end of {Job} could not be written", job.Id);
        }
    }

    private EngineJob? Active(string? jobId, int attempt = 0)
    {
        lock (_gate)
        {
            return _active is { } active && (jobId is null || (active.Id == jobId && active.Attempt == attempt)) ? active : null;
        }
    }

    private static string Explain(Exception fault) => fault switch
    {
        AnalysisException known => known.Message,
        _ when Disk.IsFull(fault) => "The disk is full. What is done is kept: free some space and resume.",
        _ => $"The results could not be taken into the catalogue: {fault.Message} What is done is kept; resume to try again.",
    };
}
