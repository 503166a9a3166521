using System.Globalization;
using Dashboard.Client.Charts;
using Dashboard.Client.Components;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Client.Urls;
using Microsoft.AspNetCore.Components;
using MudBlazor;

namespace Dashboard.Client.Pages.Classes;

/// <summary>A class: its concepts, the strategic cluster graph, strategies and the images behind them. The selection is in the address.</summary>
public sealed partial class ClassPage
{
    private const string DefaultColour = "concept";

    // The pictures of further concepts come once the page answers, which they would hold up.
    private const int FirstScreen = 6;

    private PointCloud? _cloud;
    private ConceptCard? _concept;
    private IReadOnlyList<int> _lasso = [];
    private IReadOnlyDictionary<int, string> _images = new Dictionary<int, string>();
    private IReadOnlyList<string> _conceptNames = [];
    private IReadOnlyList<ConceptCard> _listed = [];
    private IReadOnlyList<string> _listedNames = [];
    private IReadOnlyList<string> _listedTitles = [];
    private IReadOnlyList<int> _standIns = [];
    private IReadOnlyList<string> _colours = [];
    private IReadOnlyList<(string Name, int Prototype)> _strategies = [];
    private double _from;
    private double _to = 1;
    private int _lassoNumber;

    /// <summary>The class.</summary>
    [Parameter]
    public int Index { get; set; }

    /// <summary>Selected strategy.</summary>
    [SupplyParameterFromQuery]
    public int? Strategy { get; set; }

    /// <summary>Selected concept.</summary>
    [SupplyParameterFromQuery]
    public int? Concept { get; set; }

    /// <summary>Colouring of the graph.</summary>
    [SupplyParameterFromQuery]
    public string? Colour { get; set; }

    /// <summary>Line drawn around points of the graph.</summary>
    [SupplyParameterFromQuery]
    public string? Lasso { get; set; }

    /// <summary>Concept maps over the pictures.</summary>
    [SupplyParameterFromQuery]
    public bool? Maps { get; set; }

    [Inject]
    private ITaskService Tasks { get; set; } = default!;

    [Inject]
    private IDialogService Dialogs { get; set; } = default!;

    private string ColourMode => PointCloud.Modes.Any(m => m.Value == Colour) ? Colour! : DefaultColour;

    private int ChartHeight => Math.Clamp(_listed.Count * 26 + 70, 200, 420);

    private bool HasSelection => _lasso.Count > 0 || Strategy is not null || _concept is not null;

    private string SelectionKey => FormattableString.Invariant($"{Index}/{Strategy}/{_concept?.Id}/{(_lasso.Count > 0 ? _lassoNumber : 0)}");

    /// <inheritdoc/>
    protected override string Key => Index.ToString(CultureInfo.InvariantCulture);

    /// <inheritdoc/>
    protected override async Task<ClassView?> ReadAsync(CancellationToken cancellation)
    {
        _images = ConceptImages.ByConcept(await Tasks.ListAsync(Id, ConceptImages.Kind, cancellation), Index);
        return await Atlas.ClassAsync(Id, Index, cancellation);
    }

    /// <inheritdoc/>
    protected override void OnLeaving() => _lasso = [];

    /// <inheritdoc/>
    protected override void OnRead()
    {
        if (View is null)
        {
            return;
        }

        _conceptNames = [.. View.Concepts.Select(Names.Whole)];
        _listed = ListedConcepts.Of(View);
        _standIns = ListedConcepts.StandIns(View);
        _listedNames = [.. _listed.Select(Names.Concept)];
        _listedTitles = [.. _listed.Select(Names.Whole)];
        _colours = [.. _listed.Select(c => ConceptPalette.ForRank(c.Rank))];
        _strategies = [.. View.Strategies.Select(s => ($"{Names.StrategyTitle(s)}: {s.Summary}", s.Prototype))];
        _from = Math.Min(0, _listed.Count == 0 ? 0 : _listed.Min(c => ListedConcepts.Share(c) - (ListedConcepts.Spread(c) ?? 0)));
        _to = Math.Max(0.05, _listed.Count == 0 ? 1 : _listed.Max(c => ListedConcepts.Share(c) + (ListedConcepts.Spread(c) ?? 0)));
    }

    /// <inheritdoc/>
    protected override void OnAddress() => _concept = View?.Concepts.FirstOrDefault(c => c.Id == Concept);

    // A page opened while the run goes on learns of its class, then of what later stages add.
    /// <inheritdoc/>
    protected override bool IsStale(AnalysisProgress progress) =>
        View is null ? progress.ReadyClasses.Contains(Index) : View.Analysis.State != progress.State;

    private async Task<Paged<SampleTile>> SamplesAsync(int skip, int take, CancellationToken cancellation)
    {
        if (_lasso.Count > 0)
        {
            return new Paged<SampleTile>(await Atlas.SamplesAsync(Id, [.. _lasso.Skip(skip).Take(take)], cancellation), _lasso.Count);
        }

        if (_concept is not null)
        {
            int[] rows = [.. _concept.Exemplars.Where(e => e.Band != "counter").Select(e => e.Sample).Distinct()];
            return new Paged<SampleTile>(await Atlas.SamplesAsync(Id, [.. rows.Skip(skip).Take(take)], cancellation), rows.Length);
        }

        return await Atlas.ClassSamplesAsync(Id, Index, Strategy, skip, take, cancellation);
    }

    private string SelectionTitle(ClassView view)
    {
        if (_lasso.Count > 0)
        {
            return $"Selection: {Format.Count(_lasso.Count, "image")} inside the lasso";
        }

        if (_concept is not null)
        {
            return $"Selection: images that show {Names.Labelled(_concept)}, from strong to weak";
        }

        return Strategy is { } index && view.Strategies.FirstOrDefault(s => s.Index == index) is { } strategy
            ? $"Selection: {Format.Count(strategy.Size, "image")} of {Names.Strategy(strategy)}"
            : $"All {Format.Count(view.Images, "image")}";
    }

    private static string GraphNote(ClassView view)
    {
        var parts = new List<string>(3);
        if (view.Embedding.Length > 0)
        {
            parts.Add(view.Embedding);
        }

        if (view.Trustworthiness is { } trust)
        {
            parts.Add($"trustworthiness {Format.Number(trust)}");
        }

        if (view.LeftOut > 0)
        {
            parts.Add($"{Format.Count(view.LeftOut)} drawn grey");
        }

        return string.Join(" · ", parts);
    }

    private void Toggle(int strategy) => SetQuery(nameof(Strategy), Strategy == strategy ? null : strategy);

    private void Lassoed(LassoSelection selection)
    {
        _lasso = selection.Rows;
        _lassoNumber++;
        Select(("lasso", selection.Outline));
    }

    private async Task ClearAsync()
    {
        _lasso = [];
        if (_cloud is not null)
        {
            await _cloud.ClearAsync();
        }

        if (Strategy is not null || Concept is not null || Lasso is not null)
        {
            Select(("strategy", null), ("concept", null), ("lasso", null));
        }
    }

    // A strategy and a concept are one selection: choosing either lets go of the other and of the lasso.
    private void SetQuery(string name, object? value)
    {
        var change = (name.ToLowerInvariant(), value);
        if (name is not (nameof(Strategy) or nameof(Concept)))
        {
            Select(change);
            return;
        }

        if (_lasso.Count > 0)
        {
            _lasso = [];
            _ = _cloud?.ClearAsync();
        }

        Select(change, (name == nameof(Strategy) ? "concept" : "strategy", null), ("lasso", null));
    }

    private void OpenConcept(int position)
    {
        if (position >= 0 && position < _listed.Count)
        {
            Navigation.NavigateTo(PageUrls.Concept(Id, _listed[position].Id));
        }
    }

    private Task ShareAsync() => ShareDialog.OpenAsync(Dialogs, Id, $"“{View?.DisplayName}”", s => s.ShareClassAsync(Id, Index));
}
