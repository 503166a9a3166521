using System.Text.Json.Serialization;
using Analysis.Runs;
using Analysis.Runs.Tasks;

namespace Dashboard.Server.Jobs;

/// <summary>One piece of work for the engine: an analysis, or a task beside a finished one.</summary>
/// <param name="AnalysisId">The analysis.</param>
/// <param name="Attempt">Number of the attempt; reports of an older attempt are ignored.</param>
/// <param name="Request">What to run, or what was run.</param>
/// <param name="RunFolder">Folder that the run writes to; a task only reads it.</param>
/// <param name="StoreFolder">Folder of the shared shards.</param>
/// <param name="Task">The task; null to run the analysis itself.</param>
public sealed record WorkItem(string AnalysisId, int Attempt, AnalysisRequest Request, string RunFolder, string StoreFolder, TaskItem? Task = null)
{
    /// <summary>What reports are about: the task, or the analysis.</summary>
    [JsonIgnore]
    public string JobId => Task?.Id ?? AnalysisId;
}

/// <summary>A task for the engine.</summary>
/// <param name="Id">The task.</param>
/// <param name="Kind">Its kind.</param>
/// <param name="Parameters">Its complete parameters as JSON.</param>
/// <param name="Folder">Folder of its own that it writes to.</param>
public sealed record TaskItem(string Id, string Kind, string Parameters, string Folder);

/// <summary>How a piece of work ended in the engine.</summary>
public enum WorkOutcome
{
    /// <summary>Everything is written.</summary>
    Finished,

    /// <summary>Stopped on request.</summary>
    Cancelled,

    /// <summary>Ended with a message; trying again would not help.</summary>
    Failed,

    /// <summary>Ended with an exception that nobody foresaw: treated as a death of the engine, and so tried once more in a new process.</summary>
    Faulted,
}

/// <summary>What the host calls on the engine worker.</summary>
public interface IWorkerClient
{
    /// <summary>Starts a piece of work; one at a time.</summary>
    Task Run(WorkItem item);

    /// <summary>Asks an analysis or task to stop.</summary>
    Task Cancel(string jobId);
}

/// <summary>What the engine worker calls on the host at <c>/hubs/worker</c>, in the order in which things happen.</summary>
public interface IWorkerHub
{
    /// <summary>Announces the worker after each connection, with the analysis or task that it is at; null when idle.</summary>
    Task Hello(string? jobId);

    /// <summary>Progress of an analysis.</summary>
    Task Progress(string jobId, int attempt, RunProgress progress);

    /// <summary>Progress of a task.</summary>
    Task TaskProgress(string jobId, int attempt, TaskProgress progress);

    /// <summary>Data set, network, layer and classes are described in the run folder.</summary>
    Task Described(string jobId, int attempt);

    /// <summary>The samples are listed in the run folder.</summary>
    Task SamplesListed(string jobId, int attempt, int count);

    /// <summary>A class is complete in the run folder. Repeated after a retry.</summary>
    Task ClassReady(string jobId, int attempt, int classIndex);

    /// <summary>A line for the log.</summary>
    Task Log(string jobId, int attempt, string line);

    /// <summary>The work ended.</summary>
    Task Ended(string jobId, int attempt, WorkOutcome outcome, string message);
}

/// <summary>How the host and the worker that it starts recognise each other.</summary>
internal static class WorkerIdentity
{
    /// <summary>Path of the hub.</summary>
    public const string HubPath = "/hubs/worker";

    /// <summary>Header that carries the secret.</summary>
    public const string SecretHeader = "X-Worker-Secret";

    /// <summary>Environment variable that carries the secret from the host to the worker.</summary>
    public const string SecretVariable = "CONCEPT_ATLAS_WORKER_SECRET";

    /// <summary>Environment variable with the host's process id.</summary>
    public const string ParentVariable = "CONCEPT_ATLAS_WORKER_PARENT";
}
