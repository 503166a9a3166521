using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Pages.Concepts;

/// <summary>The concept image of one concept: asked for, watched while it is made, and kept.</summary>
public sealed partial class ConceptImageCard
{
    private static readonly (string Method, string Title, string Why)[] Methods =
    [
        ("maco", "Natural", "As much of each fineness of detail as in the data set's own images; only where things lie is free (MACO)"),
        ("fourier", "Free", "Strength of details is free too: more vivid, and further from any photograph (Fourier)"),
    ];

    private ConceptImageResult? _result;
    private string _method = "maco";
    private bool _only;

    /// <summary>The analysis.</summary>
    [Parameter, EditorRequired]
    public string AnalysisId { get; set; } = "";

    /// <summary>Class of the concept.</summary>
    [Parameter, EditorRequired]
    public int ClassIndex { get; set; }

    /// <summary>The concept.</summary>
    [Parameter, EditorRequired]
    public int ConceptId { get; set; }

    /// <summary>Its name.</summary>
    [Parameter, EditorRequired]
    public string Name { get; set; } = "";

    [Inject]
    private ITaskService Tasks { get; set; } = default!;

    private async Task LoadAsync(TaskView task) =>
        _result = task.State == AnalysisState.Completed ? ConceptImageResult.Parse(await Tasks.ResultAsync(AnalysisId, task.Id)) : null;
}
