using System.Globalization;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Pages.Retraining;

/// <summary>Remove and retrain: a plan with its cost, the experiment while it runs, and what it found.</summary>
public sealed partial class RetrainingPage
{

    private RetrainQuery _query = new();
    private IReadOnlyList<ConceptChoice> _choices = [];
    private ConceptChoice? _chosen;
    private object? _parameters;
    private object? _measure;
    private RetrainCostView? _cost;
    private RetrainView? _result;
    private string? _asked;
    private string? _measured;

    /// <summary>Code of the concept.</summary>
    [SupplyParameterFromQuery]
    public string? Concept { get; set; }

    /// <summary>How images are ranked.</summary>
    [SupplyParameterFromQuery]
    public string? Ranking { get; set; }

    /// <summary>Sets, separated by commas.</summary>
    [SupplyParameterFromQuery]
    public string? Sets { get; set; }

    /// <summary>Shares, separated by commas.</summary>
    [SupplyParameterFromQuery]
    public string? Shares { get; set; }

    /// <summary>Networks a condition.</summary>
    [SupplyParameterFromQuery]
    public int? Networks { get; set; }

    /// <summary>Epochs of each training.</summary>
    [SupplyParameterFromQuery]
    public int? Epochs { get; set; }

    /// <summary>Layer whose probes are shown.</summary>
    [SupplyParameterFromQuery]
    public string? Layer { get; set; }

    [Inject]
    private IUserConceptService Concepts { get; set; } = default!;

    [Inject]
    private ITaskService Tasks { get; set; } = default!;

    /// <inheritdoc/>
    protected override string Key => Concept ?? "";

    /// <inheritdoc/>
    protected override async Task<AtlasView?> ReadAsync(CancellationToken cancellation)
    {
        var view = await Atlas.AtlasAsync(Id, cancellation);
        _choices = view is null ? [] : await ConceptChoice.ListAsync(Atlas, Concepts, view, [Concept], sample: null, numbers: false, cancellation);
        return view;
    }

    /// <inheritdoc/>
    protected override void OnAddress()
    {
        _query = RetrainQuery.From(Concept, Ranking, Sets, Shares, Networks, Epochs);
        _chosen = _choices.FirstOrDefault(c => c.Code == _query.Concept);
        (_measure, _parameters) = _chosen is null ? (null, null) : (RetrainQuery.MeasureParameters(_chosen.Definition), _query.Parameters(_chosen.Definition));
        var measured = TaskServiceExtensions.ToParameters(_measure)?.GetRawText();
        if (measured != _measured)
        {
            (_measured, _cost) = (measured, null);
        }

        var asked = TaskServiceExtensions.ToParameters(_parameters)?.GetRawText();
        if (asked != _asked)
        {
            (_asked, _result) = (asked, null);
        }
    }

    // What the address will be once the browser has answered.
    private RetrainQuery Latest => RetrainQuery.From(Concept, Ranking, Selected("sets"), Selected("shares"), Networks, Epochs);

    private static int? Number(ChangeEventArgs change) => int.TryParse(change.Value?.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    private async Task OnMeasured(TaskView task)
    {
        _cost = task.State == AnalysisState.Completed ? RetrainView.Parse(await Tasks.ResultAsync(Id, task.Id, Lifetime))?.Cost : null;
    }

    private async Task OnTask(TaskView task)
    {
        _result = task.State == AnalysisState.Completed ? RetrainView.Parse(await Tasks.ResultAsync(Id, task.Id, Lifetime)) : null;
    }
}
