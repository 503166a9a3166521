namespace Analysis.Runs.Tasks;

/// <summary>All kinds of tasks by name.</summary>
public static class TaskCatalogue
{
    /// <summary>The kinds.</summary>
    public static IReadOnlyList<IAnalysisTask> All { get; } =
    [
        new CompareTask(),
        new ConceptImageTask(),
        new DecomposeTask(),
        new AttributionMapTask(),
        new LabelTask(),
        new ProbeTask(),
        new BackpropagateTask(),
        new RetrainTask(),
        new AttributeTask(),
        new ExplainTask(),
    ];

    /// <summary>A kind by its name.</summary>
    /// <exception cref="AnalysisException">There is none of this name; lists those there are.</exception>
    public static IAnalysisTask Get(string kind) =>
        All.FirstOrDefault(t => t.Kind == kind)
        ?? throw new AnalysisException($"The task '{kind}' is not known.", $"Choose one of: {string.Join(", ", All.Select(t => t.Kind))}.");
}
