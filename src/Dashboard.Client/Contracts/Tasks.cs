using System.Text.Json;

namespace Dashboard.Client.Contracts;

/// <summary>
/// Something asked for beside a finished analysis (a comparison, a concept image, …) at one moment; complete in itself, so
/// that the API, the hub and pages all show the same.
/// </summary>
public sealed record TaskView
{
    /// <summary>Identifier: 12 lower-case hex digits.</summary>
    public required string Id { get; init; }

    /// <summary>The analysis it belongs to.</summary>
    public required string AnalysisId { get; init; }

    /// <summary>Kind, for example <c>concept-image</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>All parameters with their defaults filled in, a JSON object.</summary>
    public required JsonElement Parameters { get; init; }

    /// <summary>Where it stands.</summary>
    public required AnalysisState State { get; init; }

    /// <summary>Counts up; a message with a lower number than one already seen is stale.</summary>
    public long Sequence { get; init; }

    /// <summary>Why it failed or was stopped, with the remedy; or a remark on a retry.</summary>
    public string? Message { get; init; }

    /// <summary>Items finished.</summary>
    public long Done { get; init; }

    /// <summary>Items in all; 0 while unknown.</summary>
    public long Total { get; init; }

    /// <summary>What is being done, for people.</summary>
    public string Doing { get; init; } = "";

    /// <summary>Name of a file that shows the state of things; its address is <see cref="Urls.ApiUrls.TaskFile"/>. Null for none.</summary>
    public string? Preview { get; init; }

    /// <summary>Items in a second; 0 while unknown.</summary>
    public double ItemsPerSecond { get; init; }

    /// <summary>Estimated seconds left; null while unknown.</summary>
    public double? SecondsLeft { get; init; }

    /// <summary>When it was asked for (UTC).</summary>
    public DateTimeOffset Created { get; init; }

    /// <summary>When the engine took it up last (UTC).</summary>
    public DateTimeOffset? Started { get; init; }

    /// <summary>When it ended (UTC).</summary>
    public DateTimeOffset? Ended { get; init; }

    /// <summary>Share done in [0, 1].</summary>
    public double Share => State == AnalysisState.Completed ? 1 : Total > 0 ? Math.Clamp((double)Done / Total, 0, 1) : 0;

    /// <summary>True while it waits or runs.</summary>
    public bool AtWork => State is AnalysisState.Queued or AnalysisState.Running;
}

/// <summary>What POST /api/analyses/{id}/tasks takes.</summary>
/// <param name="Kind">Kind of task.</param>
/// <param name="Parameters">Its parameters, a JSON object; what is left out takes its default.</param>
public sealed record NewTask(string Kind, JsonElement? Parameters = null);

/// <summary>Starts and steers what is asked for beside a finished analysis.</summary>
public interface ITaskService
{
    /// <summary>
    /// Asks for a task. An equal wish that is stored, waiting or running already is answered by that one; a stopped or
    /// failed one goes on from what it left.
    /// </summary>
    /// <param name="analysisId">The analysis; it must be complete.</param>
    /// <param name="kind">Kind of task.</param>
    /// <param name="parameters">A JSON object; null for all defaults.</param>
    /// <param name="cancellation">Stops waiting, not the task.</param>
    /// <exception cref="ServiceException">The wish cannot be fulfilled; says why and what to do.</exception>
    Task<TaskView> StartAsync(string analysisId, string kind, JsonElement? parameters, CancellationToken cancellation = default);

    /// <summary>The task of an equal wish, without starting one; null if there is none.</summary>
    /// <exception cref="ServiceException">The parameters are not possible.</exception>
    Task<TaskView?> FindAsync(string analysisId, string kind, JsonElement? parameters, CancellationToken cancellation = default);

    /// <summary>One task; null if the analysis has none of this identifier.</summary>
    Task<TaskView?> GetAsync(string analysisId, string taskId, CancellationToken cancellation = default);

    /// <summary>Tasks of an analysis, newest first.</summary>
    /// <param name="analysisId">The analysis.</param>
    /// <param name="kind">Only this kind; null for all.</param>
    /// <param name="cancellation">Stops reading.</param>
    Task<IReadOnlyList<TaskView>> ListAsync(string analysisId, string? kind = null, CancellationToken cancellation = default);

    /// <summary>The result's JSON text; null until the task is complete.</summary>
    Task<string?> ResultAsync(string analysisId, string taskId, CancellationToken cancellation = default);

    /// <summary>Labels that a task found; null until it is complete. Large and never changed: the host reads each once and lends it to all pages.</summary>
    async Task<LabelView?> LabelsAsync(string analysisId, string taskId, CancellationToken cancellation = default) =>
        LabelView.Parse(await ResultAsync(analysisId, taskId, cancellation));

    /// <summary>Text of a JSON file that a task has written so far, such as its preview; null where there is none.</summary>
    Task<string?> TextAsync(string analysisId, string taskId, string name, CancellationToken cancellation = default) => Task.FromResult<string?>(null);

    /// <summary>Stops a queued or running task within a second; what it has written is kept for the next try.</summary>
    /// <exception cref="ServiceException">There is no such task, or it has ended.</exception>
    Task CancelAsync(string analysisId, string taskId, CancellationToken cancellation = default);

    /// <summary>Stops a task where it is at work, and deletes it with its files.</summary>
    Task DeleteAsync(string analysisId, string taskId, CancellationToken cancellation = default);
}

/// <summary>Shorter ways to ask.</summary>
public static class TaskServiceExtensions
{
    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web);

    /// <summary>Parameters from an object's public properties, in camel case.</summary>
    /// <param name="parameters">For example <c>new { concept = 4, size = 96 }</c>; null for all defaults.</param>
    public static JsonElement? ToParameters(object? parameters) =>
        parameters switch
        {
            null => null,
            JsonElement json => json,
            _ => JsonSerializer.SerializeToElement(parameters, Options),
        };

    /// <summary>Asks for a task with parameters from an object.</summary>
    public static Task<TaskView> StartAsync(this ITaskService tasks, string analysisId, string kind, object? parameters, CancellationToken cancellation = default) =>
        tasks.StartAsync(analysisId, kind, ToParameters(parameters), cancellation);

    /// <summary>The task of an equal wish with parameters from an object; null if there is none.</summary>
    public static Task<TaskView?> FindAsync(this ITaskService tasks, string analysisId, string kind, object? parameters, CancellationToken cancellation = default) =>
        tasks.FindAsync(analysisId, kind, ToParameters(parameters), cancellation);
}
