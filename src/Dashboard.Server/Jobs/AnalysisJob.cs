using System.Text.Json;
using Analysis;
using Analysis.Runs;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Jobs;

/// <summary>The queue of analyses.</summary>
internal sealed class AnalysisQueue(
    IDbContextFactory<DashboardDbContext> databases, DataFolders folders, ProgressStore progress, AtlasIngestion ingestion, ILogger<AnalysisQueue> logger)
{
    /// <summary>The analysis that is next; null where none waits.</summary>
    public async Task<AnalysisJob?> NextAsync(int attempt, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var row = await database.Analyses.AsNoTracking()
            .Where(row => row.State == AnalysisState.Queued)
            .OrderBy(row => row.QueueOrder)
            .FirstOrDefaultAsync(cancellation);
        return row is null ? null : new AnalysisJob(row, attempt, databases, folders, progress, ingestion, logger);
    }

    /// <summary>Stops an analysis that waits; does nothing in other states.</summary>
    public async Task CancelQueuedAsync(string analysisId, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var changed = await database.Analyses
            .Where(row => row.Id == analysisId && row.State == AnalysisState.Queued)
            .ExecuteUpdateAsync(
                set => set.SetProperty(row => row.State, AnalysisState.Cancelled)
                    .SetProperty(row => row.Message, AnalysisJob.Stopped)
                    .SetProperty(row => row.Ended, DateTimeOffset.UtcNow),
                cancellation);
        if (changed > 0)
        {
            progress.Publish(analysisId, old => old with { State = AnalysisState.Cancelled, Message = AnalysisJob.Stopped, SecondsLeft = null });
        }
    }
}

/// <summary>One attempt at an analysis. Only this class changes the state of one that runs.</summary>
internal sealed class AnalysisJob(
    AnalysisEntity analysis,
    int attempt,
    IDbContextFactory<DashboardDbContext> databases,
    DataFolders folders,
    ProgressStore progress,
    AtlasIngestion ingestion,
    ILogger logger) : EngineJob(analysis.Id, attempt)
{
    /// <summary>What a stopped analysis says.</summary>
    public const string Stopped = "Stopped. What is done is kept; resume to go on.";

    private static readonly TimeSpan SaveInterval = TimeSpan.FromSeconds(2);
    private readonly string _runFolder = folders.Run(analysis.Id);
    private long _saved;
    private volatile bool _recording;

    public override (int Failures, int Mark) Past => (analysis.Failures, analysis.FailureMark);

    public override IReadOnlyCollection<string> StoreKeys => [];

    public override string StoppedMessage => Stopped;

    public override string GiveUpAdvice => "What is done is kept: look at the log, try a smaller image limit or another layer, or resume.";

    // Recorded activations are kept shard by shard; in other stages all since the last one would be lost.
    public override bool CanGiveWay => _recording;

    public override async Task<bool> TakeAsync(CancellationToken cancellation)
    {
        await using (var database = await databases.CreateDbContextAsync(cancellation))
        {
            // A cancel may have come since the row was read.
            var taken = await database.Analyses
                .Where(row => row.Key == analysis.Key && row.State == AnalysisState.Queued)
                .ExecuteUpdateAsync(
                    set => set.SetProperty(row => row.State, AnalysisState.Running)
                        .SetProperty(row => row.Started, DateTimeOffset.UtcNow)
                        .SetProperty(row => row.Ended, (DateTimeOffset?)null),
                    cancellation);
            if (taken == 0)
            {
                return false;
            }
        }

        progress.Publish(Id, old => old with { State = AnalysisState.Running });
        Directory.CreateDirectory(_runFolder);
        return true;
    }

    public override WorkItem Item() => new(
        Id,
        Attempt,
        JsonSerializer.Deserialize<AnalysisRequest>(analysis.Request, Json.Options)
            ?? throw new AnalysisException($"The request of analysis {Id} is empty.", "Delete the analysis and start a new one."),
        _runFolder,
        folders.Store);

    public override async Task FinishAsync(CancellationToken cancellation)
    {
        await ingestion.FinishAsync(analysis.Key, _runFolder, cancellation);
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var ready = await database.Classes.Where(row => row.AnalysisKey == analysis.Key && row.Ready).Select(row => row.Index).Order().ToListAsync(cancellation);
        progress.Publish(Id, old => old with { ReadyClasses = ready, Share = 1 });
        await EndAsync(AnalysisState.Completed, null, cancellation);
    }

    public override async Task EndAsync(AnalysisState state, string? message, CancellationToken cancellation)
    {
        Log(message ?? $"The run is {state.ToString().ToLowerInvariant()}.");
        var last = Ended(progress.Current(Id) ?? new AnalysisProgress { AnalysisId = Id, Sequence = 0, State = state });
        try
        {
            await using var database = await databases.CreateDbContextAsync(cancellation);
            await database.Analyses.Where(row => row.Key == analysis.Key).ExecuteUpdateAsync(
                set => set.SetProperty(row => row.State, state)
                    .SetProperty(row => row.Message, message)
                    .SetProperty(row => row.Ended, DateTimeOffset.UtcNow)
                    .SetProperty(row => row.Share, last.Share)
                    .SetProperty(row => row.Progress, JsonSerializer.Serialize(last, Json.Options)),
                cancellation);
        }
        finally
        {
            // Told once it is written: who hears of the end may act on it at once. Told also where the catalogue fails.
            progress.Publish(Id, Ended);
        }

        AnalysisProgress Ended(AnalysisProgress old) => old with
        {
            State = state,
            Message = message,
            SecondsLeft = null,
            Stages = state == AnalysisState.Completed ? old.Stages : [.. old.Stages.Select(stage => stage with { ItemsPerSecond = 0 })],
        };
    }

    public override async Task RequeueAsync(string remark, int failures, int mark, CancellationToken cancellation)
    {
        Log(remark);
        await using (var database = await databases.CreateDbContextAsync(cancellation))
        {
            await database.Analyses.Where(row => row.Key == analysis.Key).ExecuteUpdateAsync(
                set => set.SetProperty(row => row.State, AnalysisState.Queued)
                    .SetProperty(row => row.Failures, failures)
                    .SetProperty(row => row.FailureMark, mark),
                cancellation);
        }

        progress.Publish(Id, old => old with { Message = remark, SecondsLeft = null });
    }

    public override void Log(string line) => RunLog.Append(_runFolder, line);

    public override void OnProgress(RunProgress report)
    {
        if (CancelRequested)
        {
            return;
        }

        Mark = Math.Max(Mark, report.Stages.Count(stage => stage.State is StageState.Done or StageState.Reused));
        _recording = report.Stages.Any(stage => stage.Name == "activations" && stage.State == StageState.Running);
        var next = progress.Publish(Id, old => Map(report, old));
        if (Environment.TickCount64 - _saved > SaveInterval.TotalMilliseconds)
        {
            _saved = Environment.TickCount64;
            Work.Writer.TryWrite(token => SaveAsync(next, token));
        }
    }

    public override void OnDescribed() => Work.Writer.TryWrite(token => ingestion.DescriptionAsync(analysis.Key, _runFolder, token));

    public override void OnSamplesListed() => Work.Writer.TryWrite(token => ingestion.SamplesAsync(analysis.Key, _runFolder, token));

    public override void OnClassReady(int classIndex) => Work.Writer.TryWrite(async token =>
    {
        await ingestion.ClassAsync(analysis.Key, _runFolder, classIndex, token);
        progress.Publish(Id, old => old with { ReadyClasses = [.. old.ReadyClasses.Append(classIndex).Distinct().Order()] });
    });

    private async Task SaveAsync(AnalysisProgress state, CancellationToken cancellation)
    {
        try
        {
            await using var database = await databases.CreateDbContextAsync(cancellation);
            var json = JsonSerializer.Serialize(state, Json.Options);
            await database.Analyses.Where(row => row.Id == state.AnalysisId).ExecuteUpdateAsync(
                set => set.SetProperty(row => row.Progress, json).SetProperty(row => row.Share, state.Share), cancellation);
        }
        catch (DbUpdateException fault)
        {
            // The next state is saved in two seconds; only a restart would show the older one.
            logger.LogWarning(fault, "The progress of analysis {Analysis} could not be saved", Id);
        }
    }

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
}
