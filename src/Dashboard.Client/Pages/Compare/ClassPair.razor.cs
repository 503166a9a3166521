using Dashboard.Client.Contracts;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Pages.Compare;

/// <summary>One class of two analyses, concept by concept.</summary>
public sealed partial class ClassPair : IDisposable
{
    private readonly CancellationTokenSource _lifetime = new();
    private ClassPairView? _view;
    private ElementReference _title;
    private IReadOnlyList<(ConceptCard First, ConceptCard Second, double Similarity, int Top)> _pairs = [];
    private IReadOnlyList<(ConceptCard Concept, ConceptCard? Nearest, double Similarity)> _lost = [];
    private IReadOnlyList<(ConceptCard Concept, ConceptCard? Nearest, double Similarity)> _gained = [];
    private double _from;
    private double _to;
    private int _putAway;
    private string? _read;
    private bool _missing;

    /// <summary>The first analysis.</summary>
    [Parameter, EditorRequired]
    public string First { get; set; } = "";

    /// <summary>The second.</summary>
    [Parameter, EditorRequired]
    public string Second { get; set; } = "";

    /// <summary>Folder name of the class.</summary>
    [Parameter, EditorRequired]
    public string Name { get; set; } = "";

    /// <summary>Least similarity; null for the usual one.</summary>
    [Parameter]
    public double? Least { get; set; }

    /// <summary>By what concepts are matched.</summary>
    [Parameter]
    public MatchMeasure Measure { get; set; }

    [Inject]
    private IComparisonService Comparisons { get; set; } = default!;

    /// <summary>Brings its heading into view, for those who have just chosen the class.</summary>
    public ValueTask FocusAsync() => _title.FocusAsync();

    /// <inheritdoc/>
    public void Dispose()
    {
        _lifetime.Cancel();
        _lifetime.Dispose();
    }

    /// <inheritdoc/>
    protected override async Task OnParametersSetAsync()
    {
        var key = FormattableString.Invariant($"{First}/{Second}/{Least}/{Name}");
        if (_read == key)
        {
            return;
        }

        _read = key;
        try
        {
            var view = await Comparisons.ClassPairAsync(First, Second, Name, Least, _lifetime.Token);
            if (_read == key)
            {
                _view = view;
                _missing = view is null;
                Arrange();
            }
        }
        catch (OperationCanceledException) when (_lifetime.IsCancellationRequested)
        {
            // The page was left.
        }
    }

    private void Arrange()
    {
        if (_view is not { } view)
        {
            return;
        }

        var first = view.First.Concepts.ToDictionary(concept => concept.Rank);
        var second = view.Second.Concepts.ToDictionary(concept => concept.Rank);
        var pairs = view.Pairs.Where(pair => first.ContainsKey(pair.First) && second.ContainsKey(pair.Second)).Select(pair => (First: first[pair.First], Second: second[pair.Second], pair.Similarity, Top: pair.SharedTop)).ToList();
        _pairs = [.. pairs.Where(pair => !pair.First.Hidden || !pair.Second.Hidden)];
        _lost = Alone(view.Lost, first, second);
        _gained = Alone(view.Gained, second, first);
        _putAway = (2 * (pairs.Count - _pairs.Count)) + (view.Lost.Count - _lost.Count) + (view.Gained.Count - _gained.Count);
        var shares = _pairs.SelectMany(pair => new[] { pair.First.Importance, pair.Second.Importance }).Append(0).ToList();
        (_from, _to) = (shares.Min(), Math.Max(shares.Max(), 0.01));
    }

    private static List<(ConceptCard Concept, ConceptCard? Nearest, double Similarity)> Alone(
        IReadOnlyList<LoneConcept> lone, Dictionary<int, ConceptCard> own, Dictionary<int, ConceptCard> others) =>
        [.. lone.Where(entry => own.TryGetValue(entry.Rank, out var concept) && !concept.Hidden)
            .Select(entry => (own[entry.Rank], entry.Nearest is { } nearest ? others.GetValueOrDefault(nearest) : null, entry.Similarity))];
}
