namespace Dashboard.Client.Contracts;

/// <summary>Finished analyses side by side.</summary>
/// <param name="Runs">In the order asked for.</param>
/// <param name="Unfinished">Analyses that were asked for and have not finished.</param>
/// <param name="Unknown">Identifiers of which there is no analysis.</param>
public sealed record RunComparison(IReadOnlyList<RunFigures> Runs, IReadOnlyList<AnalysisSummary> Unfinished, IReadOnlyList<string> Unknown);

/// <summary>Figures of one finished analysis.</summary>
public sealed record RunFigures
{
    /// <summary>The analysis.</summary>
    public required AnalysisSummary Analysis { get; init; }

    /// <summary>Mean relative error of the pooled activations described by the class's concepts; null where unknown.</summary>
    public double? RelativeError { get; init; }

    /// <summary>Mean stability of concepts; null where unknown.</summary>
    public double? Stability { get; init; }

    /// <summary>Groups of concepts that several classes share.</summary>
    public int Shared { get; init; }

    /// <summary>Strategies over all classes.</summary>
    public int Strategies { get; init; }

    /// <summary>Flagged outliers.</summary>
    public int Outliers { get; init; }

    /// <summary>Seconds of all stages; null where unknown.</summary>
    public double? Seconds { get; init; }
}

/// <summary>By what concepts of two analyses are matched.</summary>
public enum MatchMeasure
{
    /// <summary>By the cosine of their vectors: both analyses look at the same layer of the same network by the same method.</summary>
    Cosine,

    /// <summary>By the correlation of their coefficients over the images of the class that both analyses saw.</summary>
    Correlation,
}

/// <summary>Two finished analyses, class by class: which concepts are in both.</summary>
public sealed record PairView
{
    /// <summary>The first analysis, whose concepts are looked for in the second.</summary>
    public required AnalysisSummary First { get; init; }

    /// <summary>The second analysis.</summary>
    public required AnalysisSummary Second { get; init; }

    /// <summary>Why they cannot be compared, with a remedy; empty where they can.</summary>
    public string Problem { get; init; } = "";

    /// <summary>How concepts are matched.</summary>
    public MatchMeasure Measure { get; init; }

    /// <summary>In what they differ so that vectors cannot be compared: networks, layers or methods; empty where they can.</summary>
    public string Apart { get; init; } = "";

    /// <summary>Least similarity at which two concepts count as the same.</summary>
    public double Least { get; init; }

    /// <summary>True where the sign of a concept is arbitrary in one of the two methods, and is ignored.</summary>
    public bool SignIgnored { get; init; }

    /// <summary>Images that both saw, known by their paths.</summary>
    public int Common { get; init; }

    /// <summary>Figures of the first over the images that both saw.</summary>
    public PairSide FirstSide { get; init; } = new(null, 0);

    /// <summary>Figures of the second over the images that both saw.</summary>
    public PairSide SecondSide { get; init; } = new(null, 0);

    /// <summary>Images with another prediction in the second.</summary>
    public int Changed { get; init; }

    /// <summary>Of these, wrong in the first and right in the second.</summary>
    public int Mended { get; init; }

    /// <summary>Of these, right in the first and wrong in the second.</summary>
    public int Broken { get; init; }

    /// <summary>Classes that both have.</summary>
    public IReadOnlyList<PairedClass> Classes { get; init; } = [];

    /// <summary>Display names of classes that only the first has.</summary>
    public IReadOnlyList<string> OnlyFirst { get; init; } = [];

    /// <summary>Display names of classes that only the second has.</summary>
    public IReadOnlyList<string> OnlySecond { get; init; } = [];
}

/// <summary>One of two analyses over the images that both saw.</summary>
/// <param name="Accuracy">Share predicted as labelled; null without labels.</param>
/// <param name="Outliers">Flagged outliers.</param>
public sealed record PairSide(double? Accuracy, int Outliers);

/// <summary>A class of two analyses.</summary>
public sealed record PairedClass
{
    /// <summary>Name of the folder or output, by which the two are one class.</summary>
    public required string Name { get; init; }

    /// <summary>Name for display.</summary>
    public required string DisplayName { get; init; }

    /// <summary>Index of the class in the first analysis.</summary>
    public int First { get; init; }

    /// <summary>Index in the second.</summary>
    public int Second { get; init; }

    /// <summary>Concepts in the first.</summary>
    public int FirstConcepts { get; init; }

    /// <summary>Concepts in the second.</summary>
    public int SecondConcepts { get; init; }

    /// <summary>Concepts that are in both.</summary>
    public int Matched { get; init; }

    /// <summary>Concepts of the first that the second lacks.</summary>
    public int Lost => FirstConcepts - Matched;

    /// <summary>Concepts of the second that the first lacks.</summary>
    public int Gained => SecondConcepts - Matched;

    /// <summary>The most important concept of both is the same; null where one side has none.</summary>
    public bool? SameStrongest { get; init; }

    /// <summary>Mean similarity of the matched concepts; null where there are none.</summary>
    public double? Similarity { get; init; }

    /// <summary>Share of the importance that lies elsewhere, in [0, 1]; null where unknown.</summary>
    public double? Shift { get; init; }

    /// <summary>Least similarity in this class: higher than elsewhere where few images are in common.</summary>
    public double Least { get; init; }

    /// <summary>Images of the class that both saw.</summary>
    public int Common { get; init; }

    /// <summary>Of these, those with another prediction.</summary>
    public int Changed { get; init; }

    /// <summary>Figures of the first over the common images.</summary>
    public PairSide FirstSide { get; init; } = new(null, 0);

    /// <summary>Figures of the second over the common images.</summary>
    public PairSide SecondSide { get; init; } = new(null, 0);

    /// <summary>Why its concepts could not be matched; empty where they could.</summary>
    public string Problem { get; init; } = "";
}

/// <summary>One class of two analyses, concept by concept.</summary>
public sealed record ClassPairView
{
    /// <summary>The class's row of the comparison.</summary>
    public required PairedClass Class { get; init; }

    /// <summary>The class in the first analysis.</summary>
    public required ClassView First { get; init; }

    /// <summary>The class in the second.</summary>
    public required ClassView Second { get; init; }

    /// <summary>Concepts that are in both, most important in the first ahead.</summary>
    public IReadOnlyList<PairedConcept> Pairs { get; init; } = [];

    /// <summary>How many of the common images that show a concept most are looked at; 0 where too few are in common.</summary>
    public int Top { get; init; }

    /// <summary>Concepts of the first without a counterpart, most important ahead.</summary>
    public IReadOnlyList<LoneConcept> Lost { get; init; } = [];

    /// <summary>Concepts of the second without a counterpart, most important ahead.</summary>
    public IReadOnlyList<LoneConcept> Gained { get; init; } = [];

    /// <summary>Agreement of the two divisions into strategies over the common images: adjusted Rand index, 1 for the same; null where unknown.</summary>
    public double? StrategyAgreement { get; init; }

    /// <summary>Outliers among the common images that only the first flags.</summary>
    public required Paged<SampleTile> OutliersOnlyFirst { get; init; }

    /// <summary>Outliers among the common images that only the second flags.</summary>
    public required Paged<SampleTile> OutliersOnlySecond { get; init; }
}

/// <summary>Two concepts that are the same.</summary>
/// <param name="First">Rank in the first analysis.</param>
/// <param name="Second">Rank in the second.</param>
/// <param name="Similarity">Signed similarity.</param>
/// <param name="SharedTop">Of the <see cref="ClassPairView.Top"/> common images that show each of the two most, those that are the same.</param>
public sealed record PairedConcept(int First, int Second, double Similarity, int SharedTop = 0);

/// <summary>A concept without a counterpart.</summary>
/// <param name="Rank">Its rank in its own analysis.</param>
/// <param name="Nearest">Rank of the concept of the other analysis that is most like it; null where there is none.</param>
/// <param name="Similarity">Their signed similarity.</param>
public sealed record LoneConcept(int Rank, int? Nearest, double Similarity);

/// <summary>An image that two analyses predict differently.</summary>
/// <param name="First">As the first sees it.</param>
/// <param name="Second">As the second sees it.</param>
public sealed record ChangedSample(SampleTile First, SampleTile Second);

/// <summary>Puts finished analyses side by side.</summary>
public interface IComparisonService
{
    /// <summary>Most analyses side by side.</summary>
    const int MostRuns = 6;

    /// <summary>Figures of analyses; those that do not exist or have not finished are named apart.</summary>
    Task<RunComparison> RunsAsync(IReadOnlyList<string> analysisIds, CancellationToken cancellation = default);

    /// <summary>Two analyses class by class; null where one does not exist or has not finished.</summary>
    /// <param name="first">The analysis whose concepts are looked for.</param>
    /// <param name="second">The analysis in which they are looked for.</param>
    /// <param name="least">Least similarity of two concepts that are the same, above 0 and at most 1; null for the usual one.</param>
    /// <param name="cancellation">Gives it up.</param>
    Task<PairView?> PairAsync(string first, string second, double? least = null, CancellationToken cancellation = default);

    /// <summary>How many classes of two analyses have been compared, while <see cref="PairAsync"/> is at it; null otherwise.</summary>
    (int Done, int Total)? Reading(string first, string second);

    /// <summary>One class of two analyses, concept by concept; null where it is not in both.</summary>
    /// <param name="first">The first analysis.</param>
    /// <param name="second">The second.</param>
    /// <param name="name">Folder name of the class.</param>
    /// <param name="least">As in <see cref="PairAsync"/>.</param>
    /// <param name="cancellation">Gives it up.</param>
    Task<ClassPairView?> ClassPairAsync(string first, string second, string name, double? least = null, CancellationToken cancellation = default);

    /// <summary>Images that both saw and predict differently, by class and row of the first.</summary>
    /// <param name="first">The first analysis.</param>
    /// <param name="second">The second.</param>
    /// <param name="name">Folder name of a class; null for all classes.</param>
    /// <param name="skip">Images to leave out.</param>
    /// <param name="take">Most images to give.</param>
    /// <param name="cancellation">Gives it up.</param>
    Task<Paged<ChangedSample>> ChangedAsync(string first, string second, string? name, int skip, int take, CancellationToken cancellation = default);
}
