using System.Text.Json.Serialization;

namespace Dashboard.Client.Contracts;

/// <summary>State of an analysis or of a task beside one.</summary>
[JsonConverter(typeof(LowerCaseEnum<AnalysisState>))]
public enum AnalysisState
{
    /// <summary>Waits for the engine.</summary>
    Queued,

    /// <summary>The engine is at work.</summary>
    Running,

    /// <summary>Finished; everything can be browsed.</summary>
    Completed,

    /// <summary>Ended with a message.</summary>
    Failed,

    /// <summary>Stopped by a person; what is done is kept and can be resumed.</summary>
    Cancelled,
}

/// <summary>Where a stage stands: waiting, running, done, reused (taken whole from an earlier run).</summary>
[JsonConverter(typeof(LowerCaseEnum<StageStatus>))]
public enum StageStatus
{
    /// <summary>Not begun.</summary>
    Waiting,

    /// <summary>At work.</summary>
    Running,

    /// <summary>Finished.</summary>
    Done,

    /// <summary>Taken whole from an earlier run with the same key.</summary>
    Reused,
}

/// <summary>Progress of one stage.</summary>
/// <param name="Name">Stable name.</param>
/// <param name="Title">What it does, for people.</param>
/// <param name="Status">Where it stands.</param>
/// <param name="Done">Items finished.</param>
/// <param name="Total">Items in all; 0 while unknown.</param>
/// <param name="Unit">What an item is.</param>
/// <param name="ItemsPerSecond">Rate; 0 while unknown.</param>
/// <param name="Seconds">Seconds spent.</param>
public sealed record StageView(
    string Name, string Title, StageStatus Status, long Done, long Total, string Unit, double ItemsPerSecond, double Seconds);

/// <summary>The whole state of an analysis at one moment; complete in itself.</summary>
public sealed record AnalysisProgress
{
    /// <summary>The analysis.</summary>
    public required string AnalysisId { get; init; }

    /// <summary>Counts up; a message with a lower number than one already seen is stale.</summary>
    public required long Sequence { get; init; }

    /// <summary>State of the analysis.</summary>
    public required AnalysisState State { get; init; }

    /// <summary>Stages in order; empty while queued.</summary>
    public IReadOnlyList<StageView> Stages { get; init; } = [];

    /// <summary>Estimated seconds left; null while unknown.</summary>
    public double? SecondsLeft { get; init; }

    /// <summary>Device at work.</summary>
    public string Device { get; init; } = "";

    /// <summary>Resident memory of the engine in bytes.</summary>
    public long MemoryBytes { get; init; }

    /// <summary>Samples left out so far.</summary>
    public int Skipped { get; init; }

    /// <summary>Indices of the classes that can be browsed.</summary>
    public IReadOnlyList<int> ReadyClasses { get; init; } = [];

    /// <summary>Why it failed or was cancelled, with the remedy; or a remark such as "retrying after the engine stopped".</summary>
    public string? Message { get; init; }

    /// <summary>Share done in [0, 1], over all stages.</summary>
    public double Share { get; init; }
}

/// <summary>What the hub calls on browsers and other listeners.</summary>
public interface IAnalysisHubClient
{
    /// <summary>The current state; sent first to every new subscriber and at most every 100 ms while at work.</summary>
    Task Progress(AnalysisProgress progress);

    /// <summary>A stage began or ended.</summary>
    Task Stage(string analysisId, StageView stage);

    /// <summary>A class can be browsed.</summary>
    Task ClassReady(string analysisId, int classIndex);

    /// <summary>The analysis is complete.</summary>
    Task Finished(string analysisId);

    /// <summary>The analysis failed or was cancelled; the message says why and what to do.</summary>
    Task Failed(string analysisId, string message);

    /// <summary>The current state of a task; sent first to every new subscriber and at most every 100 ms while at work.</summary>
    Task TaskProgress(TaskView task);
}

/// <summary>What listeners call on the hub at <c>/hubs/analyses</c>.</summary>
public interface IAnalysisHub
{
    /// <summary>Starts sending messages about the analysis, the current state first.</summary>
    Task Subscribe(string analysisId);

    /// <summary>Stops them.</summary>
    Task Unsubscribe(string analysisId);

    /// <summary>Starts sending messages about a task beside an analysis, the current state first.</summary>
    Task SubscribeTask(string taskId);

    /// <summary>Stops them.</summary>
    Task UnsubscribeTask(string taskId);
}

/// <summary>
/// The same messages for components rendered on the server, in process. The handler is called with the current state at
/// once, then with each change, on any thread and one call at a time; it must not block. Dispose to stop.
/// </summary>
public interface IProgressFeed
{
    /// <summary>Listens to one analysis.</summary>
    IDisposable Subscribe(string analysisId, Action<AnalysisProgress> handler);

    /// <summary>Listens to the progress of every analysis.</summary>
    IDisposable SubscribeAll(Action<AnalysisProgress> handler);

    /// <summary>The current state; null for an unknown analysis.</summary>
    AnalysisProgress? Current(string analysisId);

    /// <summary>Listens to one task beside an analysis.</summary>
    IDisposable SubscribeTask(string taskId, Action<TaskView> handler);

    /// <summary>The current state of a task; null for an unknown one.</summary>
    TaskView? CurrentTask(string taskId);
}
