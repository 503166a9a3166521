using Analysis.Runs;

namespace Dashboard.Server.Jobs;

/// <summary>One run for the engine.</summary>
/// <param name="AnalysisId">The analysis.</param>
/// <param name="Attempt">Counts the attempts at this analysis; reports of an older attempt are ignored.</param>
/// <param name="Request">What to run.</param>
/// <param name="RunFolder">Folder that the run writes to.</param>
/// <param name="StoreFolder">Folder of the shared shards.</param>
public sealed record WorkItem(string AnalysisId, int Attempt, AnalysisRequest Request, string RunFolder, string StoreFolder);

/// <summary>How a run ended in the engine.</summary>
public enum WorkOutcome
{
    /// <summary>Everything is written.</summary>
    Finished,

    /// <summary>Stopped on request.</summary>
    Cancelled,

    /// <summary>Ended with a message; trying again would not help.</summary>
    Failed,
}

/// <summary>What the host calls on the engine worker.</summary>
public interface IWorkerClient
{
    /// <summary>Starts a run; one at a time.</summary>
    Task Run(WorkItem item);

    /// <summary>Asks the run to stop.</summary>
    Task Cancel(string analysisId);
}

/// <summary>What the engine worker calls on the host at <c>/hubs/worker</c>, in the order in which things happen.</summary>
public interface IWorkerHub
{
    /// <summary>Announces the worker after each connection, with the run that it is at; null when idle.</summary>
    Task Hello(string? analysisId);

    /// <summary>Progress of the run.</summary>
    Task Progress(string analysisId, int attempt, RunProgress progress);

    /// <summary>Data set, network, layer and classes are described in the run folder.</summary>
    Task Described(string analysisId, int attempt);

    /// <summary>The samples are listed in the run folder.</summary>
    Task SamplesListed(string analysisId, int attempt, int count);

    /// <summary>A class is complete in the run folder. Repeated after a retry.</summary>
    Task ClassReady(string analysisId, int attempt, int classIndex);

    /// <summary>A line for the log.</summary>
    Task Log(string analysisId, int attempt, string line);

    /// <summary>The run ended.</summary>
    Task Ended(string analysisId, int attempt, WorkOutcome outcome, string message);
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
