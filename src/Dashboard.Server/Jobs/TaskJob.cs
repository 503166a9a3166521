using System.Diagnostics;
using System.Text.Json;
using Analysis;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Dashboard.Server.Services;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Jobs;

/// <summary>The queue of tasks beside finished analyses; they go before queued analyses.</summary>
internal sealed class TaskQueue(IDbContextFactory<DashboardDbContext> databases, DataFolders folders, ProgressStore progress)
{
    private volatile bool _waiting;

    /// <summary>True where a task may be waiting: a running analysis should give way.</summary>
    public bool Waiting => _waiting;

    /// <summary>Tells that a task was queued.</summary>
    public void Announce() => _waiting = true;

    /// <summary>The task that is next; null where none waits.</summary>
    public async Task<TaskJob?> NextAsync(int attempt, CancellationToken cancellation)
    {
        // Cleared before looking: one that is queued meanwhile sets it again.
        _waiting = false;
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var found = await database.Tasks.AsNoTracking()
            .Where(row => row.State == AnalysisState.Queued)
            .OrderBy(row => row.QueueOrder)
            .Join(database.Analyses, task => task.AnalysisKey, analysis => analysis.Key, (task, analysis) => new { Task = task, analysis.Id, analysis.Request })
            .FirstOrDefaultAsync(cancellation);
        return found is null ? null : new TaskJob(found.Task, found.Id, found.Request, attempt, databases, folders, progress);
    }

    /// <summary>Stops a task that waits; does nothing in other states.</summary>
    public async Task CancelQueuedAsync(string taskId, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var changed = await database.Tasks
            .Where(row => row.Id == taskId && row.State == AnalysisState.Queued)
            .ExecuteUpdateAsync(
                set => set.SetProperty(row => row.State, AnalysisState.Cancelled)
                    .SetProperty(row => row.Message, TaskJob.Stopped)
                    .SetProperty(row => row.Ended, DateTimeOffset.UtcNow),
                cancellation);
        if (changed > 0)
        {
            progress.PublishTask(taskId, old => old with { State = AnalysisState.Cancelled, Message = TaskJob.Stopped, SecondsLeft = null, Ended = DateTimeOffset.UtcNow });
        }
    }
}

/// <summary>One attempt at a task beside a finished analysis. Only this class changes the state of one that runs.</summary>
internal sealed class TaskJob(
    TaskEntity task,
    string analysisId,
    string request,
    int attempt,
    IDbContextFactory<DashboardDbContext> databases,
    DataFolders folders,
    ProgressStore progress) : EngineJob(task.Id, attempt)
{
    /// <summary>What a stopped task says.</summary>
    public const string Stopped = "Stopped. What is done is kept; ask again to go on.";

    private readonly string _runFolder = folders.Run(analysisId);
    private readonly Stopwatch _watch = new();
    private long _first;

    public override (int Failures, int Mark) Past => (task.Failures, task.FailureMark);

    public override IReadOnlyCollection<string> StoreKeys => RunFiles.Keys(_runFolder)?.Values.ToArray() ?? [];

    public override string StoppedMessage => Stopped;

    public override string GiveUpAdvice => "What is done is kept: look at the log of the analysis, ask for less (fewer methods, a smaller size), or ask again.";

    public override async Task<bool> TakeAsync(CancellationToken cancellation)
    {
        var now = DateTimeOffset.UtcNow;
        await using (var database = await databases.CreateDbContextAsync(cancellation))
        {
            var taken = await database.Tasks
                .Where(row => row.Key == task.Key && row.State == AnalysisState.Queued)
                .ExecuteUpdateAsync(
                    set => set.SetProperty(row => row.State, AnalysisState.Running)
                        .SetProperty(row => row.Started, now)
                        .SetProperty(row => row.Ended, (DateTimeOffset?)null),
                    cancellation);
            if (taken == 0)
            {
                return false;
            }
        }

        progress.PublishTask(Id, old => old with { State = AnalysisState.Running, Started = now, Ended = null });
        return true;
    }

    public override WorkItem Item() => new(
        analysisId,
        Attempt,
        // The finished run's own request has every default of its time filled in, such as the number of threads.
        RunFiles.Manifest(_runFolder)?.Request ?? JsonSerializer.Deserialize<AnalysisRequest>(request, Json.Options)
            ?? throw new AnalysisException($"The request of analysis {analysisId} is empty.", "Delete the analysis and start a new one."),
        _runFolder,
        folders.Store,
        new TaskItem(Id, task.Kind, task.Parameters, folders.Task(analysisId, task.TaskKey)));

    public override Task FinishAsync(CancellationToken cancellation) => EndAsync(AnalysisState.Completed, null, cancellation);

    public override async Task EndAsync(AnalysisState state, string? message, CancellationToken cancellation)
    {
        Log(message ?? $"The task is {state.ToString().ToLowerInvariant()}.");
        var now = DateTimeOffset.UtcNow;
        var last = progress.CurrentTask(Id);
        try
        {
            await using var database = await databases.CreateDbContextAsync(cancellation);
            await database.Tasks.Where(row => row.Key == task.Key).ExecuteUpdateAsync(
                set => set.SetProperty(row => row.State, state)
                    .SetProperty(row => row.Message, message)
                    .SetProperty(row => row.Ended, now)
                    .SetProperty(row => row.Done, last == null ? 0 : last.Done)
                    .SetProperty(row => row.Total, last == null ? 0 : last.Total),
                cancellation);
        }
        finally
        {
            // Told once it is written: who hears of the end may act on it at once. Told also where the catalogue fails.
            progress.PublishTask(Id, old => old with
            {
                State = state,
                Message = message,
                SecondsLeft = null,
                ItemsPerSecond = 0,
                Preview = state == AnalysisState.Completed ? null : old.Preview,
                Ended = now,
            });
        }
    }

    public override async Task RequeueAsync(string remark, int failures, int mark, CancellationToken cancellation)
    {
        Log(remark);
        await using (var database = await databases.CreateDbContextAsync(cancellation))
        {
            await database.Tasks.Where(row => row.Key == task.Key).ExecuteUpdateAsync(
                set => set.SetProperty(row => row.State, AnalysisState.Queued)
                    .SetProperty(row => row.Failures, failures)
                    .SetProperty(row => row.FailureMark, mark),
                cancellation);
        }

        progress.PublishTask(Id, old => old with { State = AnalysisState.Queued, Message = remark, SecondsLeft = null });
    }

    public override void Log(string line) => RunLog.Append(_runFolder, $"[{task.Kind} {Id}] {line}");

    public override void OnTaskProgress(TaskProgress report)
    {
        if (CancelRequested)
        {
            return;
        }

        if (!_watch.IsRunning)
        {
            // What an earlier attempt left is done at once and says nothing about the pace.
            _watch.Start();
            _first = report.Done;
        }

        Mark = Math.Max(Mark, report.Total > 0 ? (int)(10 * Math.Clamp((double)report.Done / report.Total, 0, 1)) : 0);
        var seconds = _watch.Elapsed.TotalSeconds;
        var rate = seconds > 0.2 && report.Done > _first ? (report.Done - _first) / seconds : 0;
        progress.PublishTask(Id, old => old with
        {
            State = AnalysisState.Running,
            Done = report.Done,
            Total = report.Total,
            Doing = report.Doing,
            Preview = report.Preview,
            ItemsPerSecond = rate,
            SecondsLeft = rate > 0 && report.Total >= report.Done ? (report.Total - report.Done) / rate : null,
        });
    }
}
