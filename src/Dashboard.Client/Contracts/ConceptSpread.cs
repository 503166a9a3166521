namespace Dashboard.Client.Contracts;

/// <summary>How strongly the images of a class show a concept: quantiles of its activation, where 0 is the average image of the data set.</summary>
/// <param name="Class">Class index.</param>
/// <param name="Name">Name for display.</param>
/// <param name="Place">Place of the class by its median: 0 for the highest.</param>
/// <param name="Images">Its images.</param>
/// <param name="Low">5th percentile.</param>
/// <param name="LowerQuarter">25th percentile.</param>
/// <param name="Median">50th percentile.</param>
/// <param name="UpperQuarter">75th percentile.</param>
/// <param name="High">95th percentile.</param>
public sealed record ConceptInClass(int Class, string Name, int Place, int Images, double Low, double LowerQuarter, double Median, double UpperQuarter, double High);

/// <summary>How the activation of a concept is spread over the classes.</summary>
public sealed record ConceptSpread
{
    /// <summary>The concept.</summary>
    public required int Concept { get; init; }

    /// <summary>The class it belongs to.</summary>
    public required int Class { get; init; }

    /// <summary>Classes with images.</summary>
    public int Classes { get; init; }

    /// <summary>How often an image of its class shows more of it than one of another class, in [0, 1]; null where there is no other.</summary>
    public double? Auc { get; init; }

    /// <summary>The classes that show it most, by their medians, and always its own.</summary>
    public IReadOnlyList<ConceptInClass> Shown { get; init; } = [];

    /// <summary>Why it is not known, in words; null where it is.</summary>
    public string? Problem { get; init; }
}

/// <summary>Tells how concepts are spread over classes.</summary>
public interface IConceptSpreadService
{
    /// <summary>The spread of a concept's activation over all classes; null where there is no such concept.</summary>
    /// <param name="analysisId">The analysis.</param>
    /// <param name="conceptId">The concept.</param>
    /// <param name="cancellation">Gives it up.</param>
    Task<ConceptSpread?> SpreadAsync(string analysisId, int conceptId, CancellationToken cancellation = default);
}
