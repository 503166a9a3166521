using Dashboard.Client.Contracts;

namespace Dashboard.Server.Jobs;

/// <summary>The one source of progress for pages, the hub and the API: of analyses, and of the tasks beside them.</summary>
internal sealed class ProgressStore(ILogger<ProgressStore> logger) : IProgressFeed
{
    private readonly StateFeed<AnalysisProgress> _analyses = new(state => state.AnalysisId, logger);
    private readonly StateFeed<TaskView> _tasks = new(state => state.Id, logger);

    public AnalysisProgress? Current(string analysisId) => _analyses.Current(analysisId);

    public IDisposable Subscribe(string analysisId, Action<AnalysisProgress> handler) => _analyses.Subscribe(analysisId, handler);

    public IDisposable SubscribeAll(Action<AnalysisProgress> handler) => _analyses.Subscribe(null, handler);

    public TaskView? CurrentTask(string taskId) => _tasks.Current(taskId);

    public IDisposable SubscribeTask(string taskId, Action<TaskView> handler) => _tasks.Subscribe(taskId, handler);

    /// <summary>Replaces the state of an analysis and tells the subscribers. The sequence number is set here.</summary>
    public AnalysisProgress Publish(string analysisId, Func<AnalysisProgress, AnalysisProgress> change) => _analyses.Publish(analysisId, known =>
    {
        var old = known ?? new AnalysisProgress { AnalysisId = analysisId, Sequence = 0, State = AnalysisState.Queued };
        return change(old) with { AnalysisId = analysisId, Sequence = old.Sequence + 1 };
    })!;

    /// <summary>Takes over a state kept from before the start.</summary>
    public void Restore(AnalysisProgress progress) => _analyses.Restore(progress);

    /// <summary>Forgets a deleted analysis.</summary>
    public void Remove(string analysisId) => _analyses.Remove(analysisId);

    /// <summary>Replaces the state of a known task and tells the subscribers. The sequence number is set here.</summary>
    public TaskView? PublishTask(string taskId, Func<TaskView, TaskView> change) =>
        _tasks.Publish(taskId, old => old is null ? null : change(old) with { Sequence = old.Sequence + 1 });

    /// <summary>Takes over a new task, or one kept from before the start.</summary>
    public void RestoreTask(TaskView task) => _tasks.Restore(task);

    /// <summary>Forgets a deleted task.</summary>
    public void RemoveTask(string taskId) => _tasks.Remove(taskId);
}
