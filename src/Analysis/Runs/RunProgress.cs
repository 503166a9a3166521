namespace Analysis.Runs;

/// <summary>Where a stage stands.</summary>
public enum StageState
{
    /// <summary>Not begun.</summary>
    Waiting,

    /// <summary>At work.</summary>
    Running,

    /// <summary>Finished in this run.</summary>
    Done,

    /// <summary>Taken whole from an earlier run with the same key.</summary>
    Reused,
}

/// <summary>Progress of one stage.</summary>
/// <param name="Name">Stable name: scan, activations, directions, relevance, bank, concepts, outliers, atlas.</param>
/// <param name="Title">What it does, for people.</param>
/// <param name="State">Where it stands.</param>
/// <param name="Done">Items finished, those taken from a checkpoint included.</param>
/// <param name="Total">Items in all; 0 while unknown.</param>
/// <param name="Unit">What an item is: images, directions, classes.</param>
/// <param name="ItemsPerSecond">Rate over the last seconds; 0 while unknown.</param>
/// <param name="Seconds">Seconds spent in this run.</param>
public sealed record StageProgress(
    string Name, string Title, StageState State, long Done, long Total, string Unit, double ItemsPerSecond, double Seconds);

/// <summary>A snapshot of a run, complete in itself: a late listener needs no earlier one.</summary>
public sealed record RunProgress
{
    /// <summary>Counts up by one with each snapshot of a run.</summary>
    public required long Sequence { get; init; }

    /// <summary>All stages in order.</summary>
    public required IReadOnlyList<StageProgress> Stages { get; init; }

    /// <summary>Estimated seconds left; null while unknown.</summary>
    public double? SecondsLeft { get; init; }

    /// <summary>Device at work, for example <c>cpu (2 threads)</c>.</summary>
    public string Device { get; init; } = "";

    /// <summary>Resident memory of the engine's process in bytes.</summary>
    public long MemoryBytes { get; init; }

    /// <summary>Samples left out so far.</summary>
    public int Skipped { get; init; }

    /// <summary>Indices of the classes that can be browsed.</summary>
    public IReadOnlyList<int> ReadyClasses { get; init; } = [];
}

/// <summary>
/// Receives what a run reports. Called from the engine's thread, often; implementations throttle by themselves and never
/// block or throw.
/// </summary>
public interface IRunObserver
{
    /// <summary>Progress changed.</summary>
    void OnProgress(RunProgress progress);

    /// <summary>Classes, network and layer are known: <c>atlas/run.json</c> (<see cref="Atlas.RunDescription"/>) is complete on disk.</summary>
    void OnDescribed()
    {
    }

    /// <summary>The samples are known, with predictions but without outlier scores: <c>atlas/samples.parquet</c> (<see cref="SampleRow"/>) is complete on disk.</summary>
    void OnSamplesListed(int count);

    /// <summary>A class is finished and its file <c>atlas/classes/NNNN.json</c> is complete on disk.</summary>
    void OnClassReady(int classIndex);

    /// <summary>A line for the run's log.</summary>
    void OnLog(string line);
}
