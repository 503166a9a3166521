namespace Dashboard.Client.Contracts;

/// <summary>Which samples are sought: by concepts that they show or do not show, by what they are like, or both.</summary>
public sealed record SampleSearch
{
    /// <summary>Most concepts in one search.</summary>
    public const int MostConcepts = 12;

    /// <summary>Concepts that must be present, by identifier.</summary>
    public IReadOnlyList<int> With { get; init; } = [];

    /// <summary>Concepts that must be absent, by identifier.</summary>
    public IReadOnlyList<int> Without { get; init; } = [];

    /// <summary>A sample shows a concept where it is among this share of all samples, in (0, 1].</summary>
    public double Strongest { get; init; } = 0.05;

    /// <summary>A sample does not show a concept where it is outside this strongest share, in [0, 1).</summary>
    public double Outside { get; init; } = 0.5;

    /// <summary>Only samples of this class; null for all.</summary>
    public int? Class { get; init; }

    /// <summary>Sample whose likes are sought, by row; they come most alike first. Null for none.</summary>
    public int? Like { get; init; }

    /// <summary>Image of one's own whose likes are sought, by its name; counts where <see cref="Like"/> is null.</summary>
    public string? Image { get; init; }

    /// <summary>True where nothing is asked for.</summary>
    public bool IsEmpty => With.Count + Without.Count == 0 && Like is null && Image is null;
}

/// <summary>A concept of a search.</summary>
/// <param name="Concept">The concept with its class.</param>
/// <param name="Present">Whether it must be present; else it must be absent.</param>
/// <param name="Alone">Samples that meet this one condition, of any class.</param>
public sealed record SoughtConcept(SharedMember Concept, bool Present, int Alone);

/// <summary>A sample that was found.</summary>
/// <param name="Sample">The sample.</param>
/// <param name="Above">For each concept of the search, the share of all samples that show it more strongly, in [0, 1): 0 is the strongest.</param>
/// <param name="Likeness">Cosine with the image that it is to be like; null where there is none.</param>
public sealed record FoundSample(SampleTile Sample, IReadOnlyList<double> Above, double? Likeness);

/// <summary>How many matches a class has.</summary>
/// <param name="Class">Class index; −1 for samples without a class.</param>
/// <param name="Name">Name for display.</param>
/// <param name="Matches">Its matches.</param>
/// <param name="Images">Its samples.</param>
public sealed record ClassMatches(int Class, string Name, int Matches, int Images);

/// <summary>The page of a search.</summary>
public sealed record SampleSearchView : IAnalysisView
{
    /// <inheritdoc/>
    public required AnalysisSummary Analysis { get; init; }

    /// <summary>Why this analysis cannot be searched, in words; null where it can.</summary>
    public string? Problem { get; init; }

    /// <summary>Samples searched.</summary>
    public int Samples { get; init; }

    /// <summary>The concepts: those that must be present, then those that must be absent; unknown ones are left out.</summary>
    public IReadOnlyList<SoughtConcept> Concepts { get; init; } = [];

    /// <summary>Where nothing is sought, concepts to begin with: the strongest of the classes that rest most on one; else empty.</summary>
    public IReadOnlyList<SharedMember> Starters { get; init; } = [];

    /// <summary>The sample whose likes are sought; null for none.</summary>
    public SampleTile? Like { get; init; }

    /// <summary>Image of one's own whose likes are sought; null for none.</summary>
    public string? Image { get; init; }

    /// <summary>Name of the class that is searched; null for all.</summary>
    public string? ClassName { get; init; }

    /// <summary>Samples that meet every condition.</summary>
    public int Matches { get; init; }

    /// <summary>Samples of all classes that would meet every condition if these had nothing to do with each other.</summary>
    public double Expected { get; init; }

    /// <summary>Classes of the matches, most first.</summary>
    public IReadOnlyList<ClassMatches> Classes { get; init; } = [];

    /// <summary>The best matches, best first.</summary>
    public IReadOnlyList<FoundSample> Found { get; init; } = [];
}

/// <summary>Searches all samples of an analysis by what they show and by what they are like.</summary>
public interface ISampleSearchService
{
    /// <summary>Samples that meet every condition, best first; null where there is no such analysis.</summary>
    /// <param name="analysisId">The analysis.</param>
    /// <param name="wanted">What is sought; nothing finds nothing.</param>
    /// <param name="skip">Matches to leave out at the start.</param>
    /// <param name="take">Most matches to give; skip and take together at most 2,000.</param>
    /// <param name="cancellation">Gives the search up.</param>
    /// <exception cref="ServiceException">A share, a class or the number of concepts is out of range; says which.</exception>
    Task<SampleSearchView?> FindAsync(string analysisId, SampleSearch wanted, int skip = 0, int take = 60, CancellationToken cancellation = default);
}
