using System.Text.Json;
using Analysis.Numerics;

namespace Analysis.Runs.Tasks;

/// <summary>Runs a task beside a finished analysis, once: a result that is there already stays.</summary>
public static class TaskRunner
{
    /// <summary>Name of the file that is written last: where it is, the result is complete.</summary>
    public const string ResultFile = "result.json";

    /// <summary>Content address of a task's result.</summary>
    /// <param name="task">Kind of task.</param>
    /// <param name="parameters">What <see cref="IAnalysisTask.Normalise"/> gave.</param>
    /// <param name="analysisKeys">Artefact keys of the analysis by stage.</param>
    public static string Key(IAnalysisTask task, string parameters, IReadOnlyDictionary<string, string> analysisKeys) => ArtifactKey.Of(
        FormattableString.Invariant($"task/{task.Kind}/{task.Version}"), parameters, analysisKeys.OrderBy(k => k.Key, StringComparer.Ordinal).Select(k => $"{k.Key}:{k.Value}"));

    /// <summary>Runs it; returns at once where its result is there.</summary>
    /// <param name="kind">Kind of task.</param>
    /// <param name="parameters">What <see cref="IAnalysisTask.Normalise"/> gave.</param>
    /// <param name="request">The analysis's request.</param>
    /// <param name="storeFolder">Where artefacts are kept.</param>
    /// <param name="resultFolder">The analysis's result folder.</param>
    /// <param name="folder">The task's own folder; created.</param>
    /// <param name="observer">Receives progress.</param>
    /// <param name="cancellation">Honoured within a second.</param>
    /// <exception cref="AnalysisException">Nothing sensible can be computed; says why and what to do.</exception>
    public static void Run(
        string kind, string parameters, AnalysisRequest request, string storeFolder, string resultFolder, string folder, ITaskObserver observer, CancellationToken cancellation)
    {
        var task = TaskCatalogue.Get(kind);
        var result = Path.Combine(folder, ResultFile);
        if (File.Exists(result))
        {
            return;
        }

        try
        {
            Directory.CreateDirectory(folder);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.Explain(folder, failure);
        }

        using var trims = NativeHeap.TrimRegularly();
        using var context = new TaskContext(request, storeFolder, resultFolder, cancellation);
        CheckUnchanged(context);
        task.Run(context, parameters, folder, observer, cancellation);
        if (!File.Exists(result))
        {
            throw new InvalidOperationException($"The task {kind} ended without {ResultFile}.");
        }
    }

    /// <summary>Images or weights that changed since the run would silently give a result about something else.</summary>
    private static void CheckUnchanged(TaskContext context)
    {
        Manifest? manifest;
        try
        {
            manifest = JsonSerializer.Deserialize<Manifest>(File.ReadAllBytes(Path.Combine(context.ResultFolder, "manifest.json")), AnalysisJson.Options);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new AnalysisException($"The recipe of the analysis in {context.ResultFolder} cannot be read: {failure.Message}", "Start the analysis again.", failure);
        }

        if (manifest is not null && manifest.Network.Sha256 != context.Plan.Network.Sha256)
        {
            throw new AnalysisException($"The weights {context.Request.Network} changed since the analysis.", "Put the file back that was analysed, or start a new analysis.");
        }

        if (manifest is not null && manifest.Dataset.Fingerprint != context.Plan.Dataset.Fingerprint)
        {
            throw new AnalysisException($"The data set {context.Request.Dataset} changed since the analysis.", "Put the files back that were analysed, or start a new analysis.");
        }
    }
}
