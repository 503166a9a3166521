using Dashboard.Client.Contracts;

namespace Dashboard.Client.Tests;

/// <summary>Small pieces of an atlas, made by hand.</summary>
internal static class Samples
{
    public static AnalysisSummary Analysis(AnalysisState state = AnalysisState.Completed) =>
        new() { Id = "0123456789ab", Name = "Shapes", State = state, NetworkName = "net", DatasetName = "data", Images = 200, Classes = 3, Concepts = 12 };

    public static ConceptTile Tile(int id, double share, string? name = null) => new(id, name ?? $"c{id}", id, share);

    public static ClassTile Class(int index, string name, double? accuracy = 0.9, int outliers = 0, int confounded = 0, int strategies = 1, int images = 50, params ConceptTile[] strongest) => new()
    {
        Index = index, Name = name, DisplayName = name, Accuracy = accuracy, Outliers = outliers, Confounded = confounded,
        Strategies = strategies, Images = images, Concepts = strongest.Length, Strongest = strongest, Ready = true,
    };

    public static ConceptCard Card(int rank, double importance, string? name = null, double? stability = 0.95) =>
        new() { Id = rank, Rank = rank, Importance = importance, Name = name, Stability = stability };

    public static StrategyCard Strategy(int index, int size, params double[] profile) => new(index, size, 0.9, 0, profile, "");

    /// <summary>The second of two strategies: 20 of 100 images, with more of c1 than the class.</summary>
    public static StrategyView StrategyView() => new()
    {
        Analysis = Analysis(), Class = 4, ClassName = "zucchini", ClassImages = 100, ClassAccuracy = 0.95,
        Strategy = Strategy(1, 20, 0.2, 0.6) with { Accuracy = 0.8, Summary = "c1 (75%) with c0 (25%)" },
        Strategies = [Strategy(0, 80, 0.7, 0.1), Strategy(1, 20, 0.2, 0.6)],
        Concepts = [new StrategyConcept(Tile(0, 0.6), 0.2, 0.05), new StrategyConcept(Tile(1, 0.2), 0.6, 0.1)],
        Typical = [Sample(7), Sample(8)],
        Borderline = [new BorderlineSample(Sample(9), 0)],
        Confusions = [new ConfusionView("cucumber", 4, 2)],
    };

    public static ClassView ClassView(IReadOnlyList<ConceptCard> concepts, IReadOnlyList<StrategyCard> strategies, params ConfusionView[] confusions) => new()
    {
        Analysis = Analysis(), Index = 0, Name = "zucchini", DisplayName = "zucchini", Images = 100,
        Concepts = concepts, Strategies = strategies, Confusions = confusions,
    };

    public static SampleTile Sample(int index, string kind = "", int cls = 0, double score = 0.5, string? verdict = null) =>
        new() { Index = index, Path = $"a/{index}.png", Class = cls, ClassName = $"class {cls}", OutlierKind = kind, OutlierScore = score, Verdict = verdict };

    public static MethodCatalogueView Catalogue { get; } = new()
    {
        Methods =
        [
            Method("unique", "Unique concepts") with { IsUnique = true, AllowsOvercomplete = true },
            Method("nmf", "NMF") with { NeedsNonNegative = true, AllowsOvercomplete = true, Parameters = [new MethodParameterView("alpha", 0, 0, 10, "Larger values give sparser coefficients.")] },
            Method("pca", "PCA"),
        ],
        Estimators = [new EstimatorView("sobol", "Sobol", "Share of the variance of the score.", "", "", "")],
        Importances = ["auto", "sobol"],
    };

    public static MethodView Method(string name, string title) =>
        new() { Name = name, Title = title, Summary = $"{title} finds concepts.", CodesConstraint = "", VectorsConstraint = "", Cost = "", Source = "" };

    public static LayerView Layer(string name, bool suggested = false) => new(name, 64, 8, 8, true, true, suggested, "");

    public static DatasetPreview Dataset(int images = 10) => new()
    {
        Path = "/d", Name = "d", Format = "Class folders", Images = images, Classes = [("a", 4), ("b", 6)], Skipped = [], Examples = [], PreviewToken = "t",
    };

    public static NetworkPreview Network(params LayerView[] layers) =>
        new() { Path = "/n", Name = "n", Architecture = "ResNet-20", Outputs = 10, Layers = layers, PreprocessingText = "" };
}
