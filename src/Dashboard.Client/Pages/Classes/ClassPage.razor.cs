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
    private ClassView? _view;
    private PointCloud? _cloud;
    private ConceptCard? _concept;
    private IReadOnlyList<int> _lasso = [];
    private IReadOnlyList<string> _conceptNames = [];
    private IReadOnlyList<string> _colours = [];
    private IReadOnlyList<(string Name, int Prototype)> _strategies = [];
    private string? _loaded;
    private double _from;
    private double _to = 1;
    private int _lassoNumber;
    private bool _missing;

    /// <summary>The analysis.</summary>
    [Parameter]
    public string Id { get; set; } = "";

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

    /// <summary>Concept maps over the pictures.</summary>
    [SupplyParameterFromQuery]
    public bool? Maps { get; set; }

    [Inject]
    private IAtlasService Atlas { get; set; } = default!;

    [Inject]
    private IDialogService Dialogs { get; set; } = default!;

    [Inject]
    private NavigationManager Navigation { get; set; } = default!;

    private string ColourMode => PointCloud.Modes.Any(m => m.Value == Colour) ? Colour! : DefaultColour;

    private int ChartHeight => Math.Clamp(_conceptNames.Count * 26 + 70, 200, 420);

    private bool HasSelection => _lasso.Count > 0 || Strategy is not null || _concept is not null;

    private string SelectionKey => FormattableString.Invariant($"{Index}/{Strategy}/{_concept?.Id}/{(_lasso.Count > 0 ? _lassoNumber : 0)}");

    /// <inheritdoc/>
    protected override async Task OnParametersSetAsync()
    {
        var key = FormattableString.Invariant($"{Id}/{Index}");
        if (_loaded != key)
        {
            _loaded = key;
            (_missing, _lasso) = (false, []);
            await LoadAsync();
            Follow(Id);
        }

        _concept = _view?.Concepts.FirstOrDefault(c => c.Id == Concept);
    }

    /// <inheritdoc/>
    protected override async Task<bool> OnProgressAsync(AnalysisProgress progress)
    {
        // A page opened while the run goes on learns of its class, then of what later stages add.
        if ((_view is null && progress.ReadyClasses.Contains(Index)) || (_view is not null && _view.Analysis.State != progress.State))
        {
            await LoadAsync();
            return true;
        }

        return false;
    }

    private async Task LoadAsync()
    {
        _view = await Atlas.ClassAsync(Id, Index, Lifetime);
        _missing = _view is null;
        if (_view is null)
        {
            return;
        }

        _conceptNames = [.. _view.Concepts.Select(Names.Concept)];
        _colours = [.. _view.Concepts.Select(c => ConceptPalette.ForRank(c.Rank))];
        _strategies = [.. _view.Strategies.Select(s => ($"Strategy {ConceptPalette.StrategyLetter(s.Index)}: {s.Summary}", s.Prototype))];
        _from = Math.Min(0, _view.Concepts.Count == 0 ? 0 : _view.Concepts.Min(c => c.Importance - c.ImportanceSpread));
        _to = Math.Max(0.05, _view.Concepts.Count == 0 ? 1 : _view.Concepts.Max(c => c.Importance + c.ImportanceSpread));
        _concept = _view.Concepts.FirstOrDefault(c => c.Id == Concept);
    }

    private async Task<Paged<SampleTile>> ReadAsync(int skip, int take, CancellationToken cancellation)
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
            return $"Selection: images that show {Names.Concept(_concept)}, from strong to weak";
        }

        return Strategy is { } index && view.Strategies.FirstOrDefault(s => s.Index == index) is { } strategy
            ? $"Selection: {Format.Count(strategy.Size, "image")} of {Names.Strategy(index)}"
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

    private static IEnumerable<(double Share, int Rank)> Profile(StrategyView strategy) =>
        strategy.Profile.Select((share, rank) => (Share: Math.Abs(share), Rank: rank)).Where(p => p.Share > 0.005);

    private void Toggle(int strategy) => SetQuery(nameof(Strategy), Strategy == strategy ? null : strategy);

    private void Lassoed(IReadOnlyList<int> rows)
    {
        _lasso = rows;
        _lassoNumber++;
    }

    private async Task ClearAsync()
    {
        _lasso = [];
        if (_cloud is not null)
        {
            await _cloud.ClearAsync();
        }

        if (Strategy is not null || Concept is not null)
        {
            Navigation.NavigateTo(Navigation.GetUriWithQueryParameters(new Dictionary<string, object?> { ["strategy"] = null, ["concept"] = null }), replace: true);
        }
    }

    // A strategy and a concept are one selection: choosing either lets go of the other and of the lasso.
    private void SetQuery(string name, object? value)
    {
        var changes = new Dictionary<string, object?> { [name.ToLowerInvariant()] = value };
        if (name is nameof(Strategy) or nameof(Concept))
        {
            changes[name == nameof(Strategy) ? "concept" : "strategy"] = null;
            if (_lasso.Count > 0)
            {
                _lasso = [];
                _ = _cloud?.ClearAsync();
            }
        }

        Navigation.NavigateTo(Navigation.GetUriWithQueryParameters(changes), replace: true);
    }

    private void OpenConcept(int position)
    {
        if (_view is not null && position >= 0 && position < _view.Concepts.Count)
        {
            Navigation.NavigateTo(PageUrls.Concept(Id, _view.Concepts[position].Id));
        }
    }

    private void TurnAsync(string key)
    {
        if ((key == "ArrowLeft" ? _view?.Previous : _view?.Next) is { } other)
        {
            Navigation.NavigateTo(PageUrls.Class(Id, other));
        }
    }

    private Task ShareAsync() => ShareDialog.OpenAsync(Dialogs, Id, $"“{_view?.DisplayName}”", s => s.ShareClassAsync(Id, Index));
}
