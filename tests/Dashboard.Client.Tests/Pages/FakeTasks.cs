using System.Text.Json;
using Dashboard.Client.Contracts;

namespace Dashboard.Client.Tests.Pages;

/// <summary>Tasks that end at once, with a result given beforehand; answers equal wishes with the stored one.</summary>
internal sealed class FakeTasks : ITaskService
{
    private readonly List<TaskView> _stored = [];
    private readonly Dictionary<string, string> _results = [];

    /// <summary>Result of tasks that are started.</summary>
    public string Result { get; set; } = "{}";

    /// <summary>Results read so far.</summary>
    public int Reads { get; private set; }

    public IEnumerable<string> Wishes => _stored.Select(t => t.Parameters.GetRawText());

    public TaskView Store(string kind, string parameters, string result, AnalysisState state = AnalysisState.Completed)
    {
        var id = $"{_stored.Count + 1:x12}";
        _results[id] = result;
        var task = new TaskView { Id = id, AnalysisId = "0123456789ab", Kind = kind, Parameters = JsonDocument.Parse(parameters).RootElement, State = state };
        _stored.Insert(0, task);
        return task;
    }

    public Task<TaskView> StartAsync(string analysisId, string kind, JsonElement? parameters, CancellationToken cancellation = default) =>
        Task.FromResult(Store(kind, parameters?.GetRawText() ?? "{}", Result));

    public Task<TaskView?> FindAsync(string analysisId, string kind, JsonElement? parameters, CancellationToken cancellation = default) =>
        Task.FromResult(_stored.Find(t => t.Kind == kind && t.Parameters.GetRawText() == (parameters?.GetRawText() ?? "{}")));

    public Task<TaskView?> GetAsync(string analysisId, string taskId, CancellationToken cancellation = default) => Task.FromResult(_stored.Find(t => t.Id == taskId));

    public Task<IReadOnlyList<TaskView>> ListAsync(string analysisId, string? kind = null, CancellationToken cancellation = default) =>
        Task.FromResult<IReadOnlyList<TaskView>>([.. _stored.Where(t => kind is null || t.Kind == kind)]);

    public Task<string?> ResultAsync(string analysisId, string taskId, CancellationToken cancellation = default)
    {
        Reads++;
        return Task.FromResult(_results.GetValueOrDefault(taskId));
    }

    public Task CancelAsync(string analysisId, string taskId, CancellationToken cancellation = default) => throw new NotSupportedException();

    public Task DeleteAsync(string analysisId, string taskId, CancellationToken cancellation = default) => throw new NotSupportedException();
}
