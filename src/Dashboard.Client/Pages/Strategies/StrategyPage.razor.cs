using Dashboard.Client.Charts;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Client.Urls;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Pages.Strategies;

/// <summary>A strategy: which concepts decide in it, its typical and borderline images, and what goes wrong there.</summary>
public sealed partial class StrategyPage
{
    private const string DefaultColour = "strategy";
    private const int Shown = 8;
    private IReadOnlyList<string> _conceptNames = [];
    private IReadOnlyList<StrategyConcept> _listed = [];
    private IReadOnlyList<int> _standIns = [];
    private IReadOnlyList<(string Name, int Prototype)> _strategies = [];
    private double _from;
    private double _to = 1;
    private bool _all;

    /// <summary>The class.</summary>
    [Parameter]
    public int Index { get; set; }

    /// <summary>The strategy in its class.</summary>
    [Parameter]
    public int Strategy { get; set; }

    /// <summary>Colouring of the graph.</summary>
    [SupplyParameterFromQuery]
    public string? Colour { get; set; }

    /// <inheritdoc/>
    protected override string Key => FormattableString.Invariant($"{Index}/{Strategy}");

    [Inject]
    private IAnnotationService Annotations { get; set; } = default!;

    private string ColourMode => PointCloud.Modes.Any(m => m.Value == Colour) ? Colour! : DefaultColour;

    // Strongest here first, whatever their order in the class.
    private IEnumerable<StrategyConcept> Ordered => _listed.OrderByDescending(c => Math.Abs(c.Share)).Take(_all ? int.MaxValue : Shown);

    /// <inheritdoc/>
    protected override Task<StrategyView?> ReadAsync(CancellationToken cancellation) => Atlas.StrategyAsync(Id, Index, Strategy, cancellation);

    /// <inheritdoc/>
    protected override void OnLeaving() => _all = false;

    /// <inheritdoc/>
    protected override void OnRead()
    {
        if (View is null)
        {
            return;
        }

        _conceptNames = [.. View.Concepts.Select(c => Names.Whole(c.Concept))];
        _listed = ListedConcepts.Of(View);
        _standIns = ListedConcepts.StandIns(View);
        _strategies = [.. View.Strategies.Select(s => ($"{Names.StrategyTitle(s)}: {s.Summary}", s.Prototype))];
        _from = _listed.Select(c => Math.Min(c.Share - c.Spread, c.Concept.Share)).Append(0).Min();
        _to = _listed.Select(c => Math.Max(c.Share + c.Spread, c.Concept.Share)).Append(0.05).Max();
    }

    private string Same(StrategyConcept concept) => string.Join(", ", View!.Concepts.Where(c => c.Into == concept.Concept.Id).Select(c => Names.Labelled(c.Concept)));

    private string? Neighbour(int step) =>
        View!.Strategies.Any(s => s.Index == Strategy + step) ? PageUrls.Strategy(Id, Index, Strategy + step) : null;

    private async Task NameAsync(string? name)
    {
        await Annotations.NameStrategyAsync(Id, Index, Strategy, name, Lifetime);

        // Other strategies and the graph's legend carry the name too.
        await LoadAsync();
    }

    private async Task NoteAsync(string? note)
    {
        await Annotations.NoteStrategyAsync(Id, Index, Strategy, note, Lifetime);
        View = View! with { Note = note };
    }
}
