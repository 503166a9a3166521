using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Pages.Labels;

/// <summary>Labels of neurons and concepts: which formula of known concepts each one follows, how surely, and the images behind it.</summary>
public sealed partial class LabelsPage
{
    private LabelQuery _query = new();
    private LabelView? _labels;
    private List<UnitView> _rows = [];
    private IReadOnlyList<(LabelSource Concept, int Used)> _uses = [];
    private IReadOnlyList<UserConcept> _defined = [];
    private UnitView? _selected;

    /// <summary>Sources, separated by commas; null for all.</summary>
    [SupplyParameterFromQuery]
    public string? Sources { get; set; }

    /// <summary>Longest formula.</summary>
    [SupplyParameterFromQuery]
    public int? Length { get; set; }

    /// <summary>Whether what units are low on is labelled.</summary>
    [SupplyParameterFromQuery]
    public bool? Negative { get; set; }

    /// <summary>Search words.</summary>
    [SupplyParameterFromQuery]
    public string? Q { get; set; }

    /// <summary>Which units are shown.</summary>
    [SupplyParameterFromQuery]
    public string? Show { get; set; }

    /// <summary>The unit whose evidence is shown.</summary>
    [SupplyParameterFromQuery]
    public string? Unit { get; set; }

    /// <summary>units, circuits or concepts.</summary>
    [SupplyParameterFromQuery]
    public string? Tab { get; set; }

    /// <inheritdoc/>
    protected override string Key => "";

    [Inject]
    private ITaskService Tasks { get; set; } = default!;

    [Inject]
    private IUserConceptService Defined { get; set; } = default!;

    private string CurrentTab => Tab is "circuits" or "concepts" ? Tab : "units";

    /// <inheritdoc/>
    protected override async Task<AtlasView?> ReadAsync(CancellationToken cancellation)
    {
        var view = await Atlas.AtlasAsync(Id, cancellation);
        _defined = view is null ? [] : (await Defined.ListAsync(Id, cancellation: cancellation)).Items;
        return view;
    }

    /// <inheritdoc/>
    protected override void OnAddress()
    {
        var query = LabelQuery.From(Sources, Length, Negative);
        if (query != _query)
        {
            (_query, _labels) = (query, null);
        }

        Arrange();
    }

    private async Task OnTask(TaskView task)
    {
        // All viewers look at the same labels; names are of this moment.
        _labels = task.State == AnalysisState.Completed && await Tasks.LabelsAsync(Id, task.Id, Lifetime) is { } labels
            ? labels.Named(await Atlas.ConceptNamesAsync(Id, Lifetime))
            : null;
        Arrange();
    }

    private void Arrange()
    {
        if (_labels is null)
        {
            return;
        }

        _rows = [.. LabelQuery.Filter(_labels.Units, Q, Show)];

        _selected = _labels.Units.FirstOrDefault(u => u.Key == Unit) ?? (_rows.Count > 0 ? _rows[0] : null);
        _uses = LabelQuery.Uses(_labels);
    }

    private void ToggleSource(string source)
    {
        var sources = (_query with { Source = Selected("sources") ?? new LabelQuery().Source }).Toggle(source);
        if (sources.Count > 0)
        {
            Select(("sources", string.Join(',', sources) is var chosen && chosen == new LabelQuery().Source ? null : chosen));
        }
    }

    private string Address(params (string Name, object? Value)[] changes) => Navigation.GetUriWithQueryParameters(changes.ToDictionary(c => c.Name, c => c.Value));
}
