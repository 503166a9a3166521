using Analysis.Runs;
using Analysis.Runs.Tasks;

namespace Dashboard.Server.Jobs;

/// <summary>Runs an analysis, or a task beside a finished one, in this process.</summary>
internal static class AnalysisEngine
{
    /// <summary>Runs until the end; called on one dedicated thread.</summary>
    public static void Run(WorkItem item, IWorkObserver observer, CancellationToken cancellation)
    {
        if (item.Task is { } task)
        {
            TaskRunner.Run(task.Kind, task.Parameters, item.Request, item.StoreFolder, item.RunFolder, task.Folder, observer, cancellation);
            return;
        }

        new AnalysisRunner(item.StoreFolder).Run(item.Request, item.RunFolder, observer, cancellation);
    }
}
