using Dashboard.Client.State;
using Dashboard.Client.Urls;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Charts;

/// <summary>What a person drew around on a graph.</summary>
/// <param name="Rows">Rows of the samples inside, ascending; empty when nothing is selected.</param>
/// <param name="Outline">The line drawn, for addresses; null when nothing is selected.</param>
public sealed record LassoSelection(IReadOnlyList<int> Rows, string? Outline);

/// <summary>
/// The strategic cluster graph. Points come from the server once, as columns; colours, hovering, the lasso and pictures at
/// zoom are the browser's work. What comes back over the circuit is an opened sample or the rows inside a lasso.
/// </summary>
public sealed partial class PointCloud
{
    /// <summary>Colourings that can be chosen.</summary>
    public static IReadOnlyList<(string Value, string Text)> Modes { get; } =
        [("concept", "strongest concept"), ("strategy", "strategy"), ("correct", "right or wrong"), ("outlier", "outlier score")];

    /// <summary>The analysis.</summary>
    [Parameter, EditorRequired]
    public string AnalysisId { get; set; } = "";

    /// <summary>The class.</summary>
    [Parameter, EditorRequired]
    public int ClassIndex { get; set; }

    /// <summary>concept, strategy, correct or outlier.</summary>
    [Parameter]
    public string Mode { get; set; } = "concept";

    /// <summary>Raised when another colouring is chosen.</summary>
    [Parameter]
    public EventCallback<string?> ModeChanged { get; set; }

    /// <summary>Names of the concepts by rank.</summary>
    [Parameter]
    public IReadOnlyList<string> Concepts { get; set; } = [];

    /// <summary>The concept that stands for each in lists, by rank; −1 for one that was put away, whose points are grey.</summary>
    [Parameter]
    public IReadOnlyList<int> StandIns { get; set; } = [];

    /// <summary>Strategies by index: what they are called, and the sample that stands for them.</summary>
    [Parameter]
    public IReadOnlyList<(string Name, int Prototype)> Strategies { get; set; } = [];

    /// <summary>Strategy that stands out; all alike where null.</summary>
    [Parameter]
    public int? Strategy { get; set; }

    /// <summary>Concept whose points stand out, by rank; all alike where null.</summary>
    [Parameter]
    public int? Concept { get; set; }

    /// <summary>Height in pixels.</summary>
    [Parameter]
    public int Height { get; set; } = 440;

    /// <summary>What the plot shows, for screen readers.</summary>
    [Parameter, EditorRequired]
    public string Label { get; set; } = "";

    /// <summary>The lasso, as <see cref="LassoSelection.Outline"/>; none where null.</summary>
    [Parameter]
    public string? Lasso { get; set; }

    /// <summary>What lies inside the lasso; nothing when the selection is cleared.</summary>
    [Parameter]
    public EventCallback<LassoSelection> OnSelected { get; set; }

    private IEnumerable<(string Colour, string Text, string Title)> Legend => Mode switch
    {
        "strategy" => Strategies.Select((s, i) => (ConceptPalette.ForStrategy(i), ConceptPalette.StrategyLetter(i), s.Name)).Take(8)
            .Append((ConceptPalette.Grey, "none", "Images in no strategy")),
        "correct" => [("#0f7ac2", "predicted as labelled", ""), ("#d55e00", "predicted as something else", ""), (ConceptPalette.Grey, "no label", "")],
        "outlier" => [("var(--scale-low)", "ordinary", "Outlier score near 0"), ("var(--scale-middle)", "unusual", "Outlier score near 0.5"), ("var(--scale-high)", "most unusual", "Outlier score near 1")],
        _ => Concepts.Take(ConceptPalette.Colours.Count).Select((name, i) => (Rank: i, Name: name)).Where(c => c.Rank >= StandIns.Count || StandIns[c.Rank] == c.Rank)
            .Select(c => (ConceptPalette.ForRank(c.Rank), c.Name, c.Name))
            .Append((ConceptPalette.Grey, "others", "Concepts that are strongest for few images, and images without a strong one")),
    };

    /// <inheritdoc/>
    protected override object Options => new
    {
        url = ApiUrls.ClassPoints(AnalysisId, ClassIndex),
        picture = Template(sample => ApiUrls.Thumbnail(AnalysisId, sample, 96)),
        preview = Template(sample => ApiUrls.Thumbnail(AnalysisId, sample, 192)),
        mode = Mode,
        conceptColours = ConceptPalette.Colours,
        strategyColours = ConceptPalette.StrategyColours,
        grey = ConceptPalette.Grey,
        concepts = Concepts,
        standIns = StandIns,
        strategies = Strategies.Select((_, i) => ConceptPalette.StrategyLetter(i)).ToArray(),
        anchors = Strategies.Select(s => s.Prototype).ToArray(),
        kinds = Names.Kinds.Select(Names.Kind).Prepend("").ToArray(),
        lasso = Lasso,
        strategy = Strategy,
        concept = Concept,
    };

    /// <inheritdoc/>
    protected override string Signature => FormattableString.Invariant($"{AnalysisId}/{ClassIndex}/{Mode}/{Strategy}/{Concept}/{Lasso}/{string.Join('|', Concepts)}/{string.Join('|', StandIns)}/{Strategies.Count}");

    /// <inheritdoc/>
    protected override string AddressOf(int point) => PageUrls.Sample(AnalysisId, point);

    /// <inheritdoc/>
    protected override Task SelectAsync(IReadOnlyList<int> points, string? outline) => OnSelected.InvokeAsync(new LassoSelection(points, outline));
}
