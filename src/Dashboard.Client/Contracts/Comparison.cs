namespace Dashboard.Client.Contracts;

/// <summary>What a finished task <c>compare</c> gives: how well methods find concepts for different numbers of them, and how faithful estimators of importance are.</summary>
public sealed record ComparisonView
{
    /// <summary>Kind of the task.</summary>
    public const string Kind = "compare";

    /// <summary>Analysed layer.</summary>
    public string Layer { get; init; } = "";

    /// <summary>Channels of the layer.</summary>
    public int Channels { get; init; }

    /// <summary>True where importance has an exact value.</summary>
    public bool LinearHead { get; init; }

    /// <summary>Classes that were compared.</summary>
    public IReadOnlyList<ComparedClassView> Classes { get; init; } = [];

    /// <summary>How they were chosen.</summary>
    public string ClassNote { get; init; } = "";

    /// <summary>Methods with their curves over k.</summary>
    public IReadOnlyList<ComparedMethodView> Methods { get; init; } = [];

    /// <summary>Faithfulness of the estimators; null where none was judged.</summary>
    public FaithfulnessView? Faithfulness { get; init; }

    /// <summary>Method that stands out; null where none does.</summary>
    public string? SuggestedMethod { get; init; }

    /// <summary>Number of concepts to choose with it; null where nothing can be said.</summary>
    public int? SuggestedComponents { get; init; }

    /// <summary>The outcome in plain sentences, most important first.</summary>
    public IReadOnlyList<string> Verdict { get; init; } = [];

    /// <summary>What to know about single figures.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

/// <summary>A class of a comparison.</summary>
/// <param name="Index">Index in the analysis.</param>
/// <param name="DisplayName">Name for display.</param>
/// <param name="Images">Its images.</param>
/// <param name="Rows">Rows that methods were fitted to.</param>
public sealed record ComparedClassView(int Index, string DisplayName, int Images, int Rows);

/// <summary>A method with its curve.</summary>
public sealed record ComparedMethodView
{
    /// <summary>Name.</summary>
    public string Name { get; init; } = "";

    /// <summary>Name for display.</summary>
    public string Title { get; init; } = "";

    /// <summary>One plain sentence about it.</summary>
    public string Summary { get; init; } = "";

    /// <summary>One entry for each number of concepts, ascending.</summary>
    public IReadOnlyList<ComparisonCellView> Cells { get; init; } = [];

    /// <summary>Suggested number of concepts; null where nothing can be said.</summary>
    public int? SuggestedComponents { get; init; }

    /// <summary>Why, in one sentence.</summary>
    public string Suggestion { get; init; } = "";
}

/// <summary>A method with one number of concepts.</summary>
public sealed record ComparisonCellView
{
    /// <summary>Number of concepts asked for.</summary>
    public int Components { get; init; }

    /// <summary>Means over the classes; null where it could be fitted in none.</summary>
    public ExtractionFiguresView? Figures { get; init; }

    /// <summary>Why it could not be fitted in some class; null where it could in all.</summary>
    public string? Problem { get; init; }
}

/// <summary>How well concepts stand for activations; null where a figure is undefined or was not asked for.</summary>
public sealed record ExtractionFiguresView
{
    /// <summary>Concept vectors that the method gave.</summary>
    public double Components { get; init; }

    /// <summary>Mean relative error of a row.</summary>
    public double? RelativeError { get; init; }

    /// <summary>Share of the variance that is explained.</summary>
    public double? RSquared { get; init; }

    /// <summary>The same for rows left out of the fit.</summary>
    public double? HeldOutRSquared { get; init; }

    /// <summary>Hoyer sparsity in [0, 1].</summary>
    public double? Hoyer { get; init; }

    /// <summary>Share of concepts that no row uses.</summary>
    public double? DeadShare { get; init; }

    /// <summary>Mean matched cosine over pairs of folds.</summary>
    public double? Stability { get; init; }

    /// <summary>Fréchet distance between activations and reconstructions.</summary>
    public double? Frechet { get; init; }

    /// <summary>Distance of reconstructions to real activations, relative to that among real ones.</summary>
    public double? OutOfDistribution { get; init; }
}

/// <summary>How faithful estimators are for one set of concepts.</summary>
public sealed record FaithfulnessView
{
    /// <summary>Method whose concepts were weighed.</summary>
    public string Method { get; init; } = "";

    /// <summary>Number of concepts.</summary>
    public int Components { get; init; }

    /// <summary>Images judged.</summary>
    public int Images { get; init; }

    /// <summary>What the curves show.</summary>
    public string Score { get; init; } = "";

    /// <summary>The estimators, then the two references.</summary>
    public IReadOnlyList<EstimatorFiguresView> Estimators { get; init; } = [];
}

/// <summary>Faithfulness of one estimator.</summary>
public sealed record EstimatorFiguresView
{
    /// <summary>Name.</summary>
    public string Name { get; init; } = "";

    /// <summary>Name for display.</summary>
    public string Title { get; init; } = "";

    /// <summary>True for random orders and the oracle.</summary>
    public bool Reference { get; init; }

    /// <summary>Area under the deletion curve.</summary>
    public double? Deletion { get; init; }

    /// <summary>Area under the insertion curve.</summary>
    public double? Insertion { get; init; }

    /// <summary>C-µFidelity in [−1, 1].</summary>
    public double? MuFidelity { get; init; }

    /// <summary>Deletion from 0 (random order) to 1 (oracle).</summary>
    public double? DeletionQuality { get; init; }

    /// <summary>Insertion on the same scale.</summary>
    public double? InsertionQuality { get; init; }

    /// <summary>Mean score after 0 to k concepts are removed.</summary>
    public IReadOnlyList<double> DeletionCurve { get; init; } = [];

    /// <summary>Mean score after 0 to k concepts are inserted.</summary>
    public IReadOnlyList<double> InsertionCurve { get; init; } = [];

    /// <summary>Why it could not be computed; null where it could.</summary>
    public string? Problem { get; init; }
}
