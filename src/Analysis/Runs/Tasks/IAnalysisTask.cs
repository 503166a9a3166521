using System.Text.Json;

namespace Analysis.Runs.Tasks;

/// <summary>
/// Something that people ask for beside a finished analysis: a comparison of methods, a concept image, a decomposition of a
/// concept. Runs in the engine worker after the same rules as a run: synchronous, resumable where it is long, the same
/// parameters on the same analysis give the same bytes. Stateless; one instance serves every request of its kind.
/// </summary>
public interface IAnalysisTask
{
    /// <summary>Stable lower-case name, for example <c>compare</c>.</summary>
    string Kind { get; }

    /// <summary>Version of its results; raised when the same parameters would give other bytes, so that stored ones are made again.</summary>
    int Version { get; }

    /// <summary>
    /// Checks the parameters without touching data, and fills in defaults, so that equal wishes have equal texts and one
    /// result serves them all.
    /// </summary>
    /// <param name="parameters">JSON object as the caller sent it.</param>
    /// <returns>The complete parameters as canonical JSON.</returns>
    /// <exception cref="AnalysisException">A parameter is unknown or out of range; names it and the remedy.</exception>
    string Normalise(JsonElement parameters);

    /// <summary>Does the work.</summary>
    /// <param name="context">The analysis, opened.</param>
    /// <param name="parameters">What <see cref="Normalise"/> gave.</param>
    /// <param name="folder">Empty or half-filled folder of its own; what it leaves there is the result. <c>result.json</c> is written last.</param>
    /// <param name="observer">Receives progress.</param>
    /// <param name="cancellation">Honoured within a second.</param>
    /// <exception cref="AnalysisException">Nothing sensible can be computed; says why and what to do.</exception>
    void Run(TaskContext context, string parameters, string folder, ITaskObserver observer, CancellationToken cancellation);
}

/// <summary>Progress of a task.</summary>
/// <param name="Done">Items finished.</param>
/// <param name="Total">Items in all; 0 while unknown.</param>
/// <param name="Doing">What is being done, for people: <c>NMF with 20 concepts</c>.</param>
/// <param name="Preview">Name of a file in the task's folder that shows the state of things (a picture, a JSON text); null for none.</param>
public sealed record TaskProgress(long Done, long Total, string Doing, string? Preview = null);

/// <summary>Receives what a task reports. Called often; implementations throttle by themselves and never block or throw.</summary>
public interface ITaskObserver
{
    /// <summary>Progress changed.</summary>
    void OnProgress(TaskProgress progress);
}
