using Dashboard.Client.Charts;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Client.Urls;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Pages.Probes;

/// <summary>One concept that a person defined: its probe at every layer, the neurons that carry it, and what it does to the classes.</summary>
public sealed partial class ProbePage
{
    private UserConcept? _concept;
    private ConceptPreview? _preview;
    private ProbeView? _probe;
    private IReadOnlyList<CurveChart.Curve> _curves = [];
    private IReadOnlyDictionary<int, ShortLabel> _neurons = new Dictionary<int, ShortLabel>();
    private SharedMember? _source;
    private object? _parameters;
    private string? _error;
    private bool _deleting;

    /// <summary>The concept.</summary>
    [Parameter]
    public string ConceptId { get; set; } = "";

    /// <summary>The layer whose neurons are shown; the location where null.</summary>
    [SupplyParameterFromQuery]
    public string? Layer { get; set; }

    /// <summary>Figure of the curve.</summary>
    [SupplyParameterFromQuery]
    public string? Figure { get; set; }

    /// <inheritdoc/>
    protected override string Key => ConceptId;

    [Inject]
    private IUserConceptService Concepts { get; set; } = default!;

    [Inject]
    private ITaskService Tasks { get; set; } = default!;

    private string CurrentLayer => _probe?.Layer(Layer)?.Layer ?? _probe?.Location.Layer ?? "";

    private string CurrentFigure => _probe is { Continuous: true } ? "r2" : ProbeSentences.Figures.Any(f => f.Value == Figure) ? Figure! : "balancedAccuracy";

    private string FigureText => ProbeSentences.Figures.FirstOrDefault(f => f.Value == CurrentFigure).Text ?? "R²";

    private double? Reference => _probe is null || _probe.Continuous ? null : CurrentFigure == "accuracy" ? _probe.Majority?.Mean : 0.5;

    private string ReferenceText => CurrentFigure == "accuracy" ? "always the more frequent answer" : CurrentFigure == "auc" ? "chance" : "always the more frequent answer, and chance";

    /// <inheritdoc/>
    protected override async Task<AtlasView?> ReadAsync(CancellationToken cancellation)
    {
        var view = await Atlas.AtlasAsync(Id, cancellation);
        var concept = view is null ? null : await Concepts.GetAsync(Id, ConceptId, cancellation);
        if (concept is null)
        {
            return null;
        }

        (_concept, _parameters) = (concept, new { concept = concept.Definition });
        _source = concept.Definition is { Source: "concept", Unit: { } unit } ? (await Atlas.ConceptTilesAsync(Id, [unit], cancellation)).FirstOrDefault() : null;
        _neurons = concept.Definition is { Source: "neuron", Unit: { } channel } ? await Atlas.NeuronLabelsAsync(Id, [channel], cancellation) : new Dictionary<int, ShortLabel>();
        if (RendererInfo.IsInteractive)
        {
            try
            {
                _preview = await Concepts.PreviewAsync(Id, concept.Definition, cancellation);
            }
            catch (ServiceException fault)
            {
                // What the concept names is gone since, for example a class.
                _error = fault.Message;
            }
        }

        return view;
    }

    /// <inheritdoc/>
    protected override void OnLeaving() => (_concept, _preview, _probe, _source, _error, _deleting) = (null, null, null, null, null, false);

    /// <inheritdoc/>
    protected override void OnAddress() => Draw();

    private async Task OnTask(TaskView task)
    {
        _probe = task.State == AnalysisState.Completed ? ProbeView.Parse(await Tasks.ResultAsync(Id, task.Id, Lifetime)) : null;
        if (_probe?.Layers.FirstOrDefault(l => l.Analysed) is { } analysed)
        {
            _neurons = await Atlas.NeuronLabelsAsync(Id, [.. analysed.Strongest.Select(n => n.Channel), .. _concept?.Definition is { Source: "neuron", Unit: { } unit } ? [unit] : Array.Empty<int>()], Lifetime);
        }

        Draw();
    }

    private void Draw()
    {
        if (_probe is not { } probe)
        {
            return;
        }

        var curves = new List<CurveChart.Curve>
        {
            new("probe", 0, [.. probe.Layers.Select(l => l.Scores.Of(CurrentFigure)?.Mean)], [.. probe.Layers.Select(l => l.Scores.Of(CurrentFigure)?.Deviation ?? 0)]),
            new("shuffled labels", -1, [.. probe.Layers.Select(l => l.Control.Of(CurrentFigure)?.Mean)], [.. probe.Layers.Select(l => l.Control.Of(CurrentFigure)?.Deviation ?? 0)]),
        };
        if (Reference is { } reference)
        {
            curves.Add(new CurveChart.Curve(ReferenceText, -2, [.. probe.Layers.Select(_ => (double?)reference)], []));
        }

        _curves = curves;
    }

    private int? Place(string layer) => _probe!.Layers.Select((l, i) => (l.Layer, i)).Where(l => l.Layer == layer).Select(l => (int?)l.i).FirstOrDefault();

    private void Choose(int place)
    {
        if (_probe is not null && place >= 0 && place < _probe.Layers.Count)
        {
            ChooseLayer(_probe.Layers[place].Layer);
        }
    }

    private void ChooseLayer(string layer) => Select(("layer", layer == _probe!.Location.Layer ? null : layer));

    private static string Spread(ProbeView probe, SpreadView? figure) => figure is null ? "–" : probe.Continuous ? Format.Number(figure.Deviation) : Format.Percent(figure.Deviation, 1);

    private async Task RenameAsync(string? name) => _concept = await Concepts.RenameAsync(Id, ConceptId, name ?? "", Lifetime);

    private async Task DeleteAsync()
    {
        try
        {
            await Concepts.DeleteAsync(Id, ConceptId, Lifetime);
            Navigation.NavigateTo(PageUrls.Probes(Id));
        }
        catch (ServiceException fault)
        {
            (_error, _deleting) = (fault.Message, false);
        }
    }

    private RenderFragment Wall(string title, IReadOnlyList<ProbeExampleView> examples) => builder =>
    {
        if (examples.Count == 0)
        {
            return;
        }

        builder.OpenComponent<ProbeWall>(0);
        builder.AddComponentParameter(1, nameof(ProbeWall.AnalysisId), Id);
        builder.AddComponentParameter(2, nameof(ProbeWall.Title), title);
        builder.AddComponentParameter(3, nameof(ProbeWall.Examples), examples);
        builder.AddComponentParameter(4, nameof(ProbeWall.Continuous), _probe!.Continuous);
        builder.CloseComponent();
    };
}
