using Analysis.Runs;

namespace Dashboard.Server.Jobs;

/// <summary>Runs an analysis in this process.</summary>
internal static class AnalysisEngine
{
    /// <summary>Runs until the end; called on one dedicated thread.</summary>
    public static void Run(WorkItem item, IRunObserver observer, CancellationToken cancellation) =>
        new AnalysisRunner(item.StoreFolder).Run(item.Request, item.RunFolder, observer, cancellation);
}
