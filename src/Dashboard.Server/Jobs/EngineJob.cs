using System.Threading.Channels;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using Dashboard.Client.Contracts;

namespace Dashboard.Server.Jobs;

/// <summary>One attempt of the engine at one piece of work: an analysis, or a task beside one.</summary>
internal abstract class EngineJob(string id, int attempt)
{
    /// <summary>The analysis or task.</summary>
    public string Id { get; } = id;

    /// <summary>Counts the attempts of all jobs; reports of an older one are ignored.</summary>
    public int Attempt { get; } = attempt;

    /// <summary>A person wants it to stop.</summary>
    public volatile bool CancelRequested;

    /// <summary>It stops in favour of a task, and goes on after it.</summary>
    public volatile bool GivesWay;

    /// <summary>What to take into the catalogue, in order.</summary>
    public Channel<Func<CancellationToken, Task>> Work { get; } = Channel.CreateUnbounded<Func<CancellationToken, Task>>();

    /// <summary>The worker's own word on the end.</summary>
    public TaskCompletionSource<(WorkOutcome Outcome, string Message)> Reported { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Set with <see cref="CancelRequested"/>.</summary>
    public TaskCompletionSource Stop { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The worker did not stop in time and was ended.</summary>
    public TaskCompletionSource Abandoned { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Everything about this attempt is over.</summary>
    public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>How far this attempt has got; a death of the engine counts only where it got no further than the last.</summary>
    public int Mark { get; protected set; }

    /// <summary>Deaths so far without getting further, and how far it got before the last.</summary>
    public abstract (int Failures, int Mark) Past { get; }

    /// <summary>Artefacts of the store that it will read, which must not be cleaned away; empty for none known.</summary>
    public abstract IReadOnlyCollection<string> StoreKeys { get; }

    /// <summary>What is said when it was stopped.</summary>
    public abstract string StoppedMessage { get; }

    /// <summary>What to do where the engine keeps dying, for people.</summary>
    public abstract string GiveUpAdvice { get; }

    /// <summary>Marks it as running; false where it is no longer queued.</summary>
    public abstract Task<bool> TakeAsync(CancellationToken cancellation);

    /// <summary>What the worker gets.</summary>
    public abstract WorkItem Item();

    /// <summary>Takes over the results after the worker has finished, and ends it as completed.</summary>
    public abstract Task FinishAsync(CancellationToken cancellation);

    /// <summary>Ends it.</summary>
    public abstract Task EndAsync(AnalysisState state, string? message, CancellationToken cancellation);

    /// <summary>Queues it again.</summary>
    /// <param name="remark">Why, for people.</param>
    /// <param name="failures">Deaths without getting further.</param>
    /// <param name="mark">How far it got.</param>
    /// <param name="cancellation">The site stops.</param>
    public abstract Task RequeueAsync(string remark, int failures, int mark, CancellationToken cancellation);

    /// <summary>Writes a line to the log of the run.</summary>
    public abstract void Log(string line);

    /// <summary>Progress of an analysis.</summary>
    public virtual void OnProgress(RunProgress report)
    {
    }

    /// <summary>Progress of a task.</summary>
    public virtual void OnTaskProgress(TaskProgress report)
    {
    }

    /// <summary>Data set, network, layer and classes are described.</summary>
    public virtual void OnDescribed()
    {
    }

    /// <summary>The samples are listed.</summary>
    public virtual void OnSamplesListed()
    {
    }

    /// <summary>A class is complete.</summary>
    public virtual void OnClassReady(int classIndex)
    {
    }

    /// <summary>True where stopping now loses next to nothing, so that it can give way to a task.</summary>
    public virtual bool CanGiveWay => false;
}
