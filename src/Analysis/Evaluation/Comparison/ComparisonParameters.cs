namespace Analysis.Evaluation.Comparison;

/// <summary>What a comparison compares: parameters of the task <c>compare</c>, every default filled in.</summary>
public sealed record ComparisonParameters
{
    /// <summary>Extraction methods by name; <c>unique</c> stands for the unique concept vectors of the finished analysis.</summary>
    public IReadOnlyList<string> Methods { get; init; } = ["unique", "nmf", "kmeans", "pca"];

    /// <summary>Numbers of concepts k, ascending.</summary>
    public IReadOnlyList<int> Components { get; init; } = [2, 5, 10, 15, 20, 25];

    /// <summary>What a row is: <c>pooled</c> (an image) or <c>positions</c> (a place of an image).</summary>
    public string Granularity { get; init; } = "pooled";

    /// <summary>Class names; null for classes spread evenly over all that have enough images.</summary>
    public IReadOnlyList<string>? Classes { get; init; }

    /// <summary>Number of classes where none are named.</summary>
    public int ClassLimit { get; init; } = 5;

    /// <summary>Rows of a class that are used at most, spread evenly.</summary>
    public int RowLimit { get; init; } = 4096;

    /// <summary>Fits for the stability, each leaving out another fold of the rows; 0 for none.</summary>
    public int Folds { get; init; } = 3;

    /// <summary>Estimators of importance by name; empty for none.</summary>
    public IReadOnlyList<string> Importance { get; init; } =
        ["gradient", "gradient-input", "integrated-gradients", "occlusion", "sobol", "tcav"];

    /// <summary>Method whose concepts the estimators weigh; null for the first of <see cref="Methods"/>.</summary>
    public string? ImportanceMethod { get; init; }

    /// <summary>Number of concepts that the estimators weigh; null for 10, or the nearest of <see cref="Components"/>.</summary>
    public int? ImportanceComponents { get; init; }

    /// <summary>Images of a class on which estimators are judged at most, spread evenly.</summary>
    public int ImageLimit { get; init; } = 100;

    /// <summary>Draws of the stochastic estimators; 0 for each one's own.</summary>
    public int Draws { get; init; }

    /// <summary>Random subsets of C-µFidelity.</summary>
    public int Subsets { get; init; } = 200;

    /// <summary>Seed of every stochastic step.</summary>
    public int Seed { get; init; }
}
