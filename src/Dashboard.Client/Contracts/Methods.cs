namespace Dashboard.Client.Contracts;

/// <summary>A number that a method can be tuned by.</summary>
/// <param name="Name">Lower-case name.</param>
/// <param name="Default">Value where none is given.</param>
/// <param name="Minimum">Smallest value.</param>
/// <param name="Maximum">Largest value.</param>
/// <param name="Explanation">In one sentence: what a larger value does.</param>
public sealed record MethodParameterView(string Name, double Default, double Minimum, double Maximum, string Explanation);

/// <summary>A way to find concepts.</summary>
public sealed record MethodView
{
    /// <summary>Lower-case name.</summary>
    public required string Name { get; init; }

    /// <summary>Name for display.</summary>
    public required string Title { get; init; }

    /// <summary>One plain sentence: what kind of concepts it finds and when to choose it.</summary>
    public required string Summary { get; init; }

    /// <summary>Constraint on the coefficients.</summary>
    public required string CodesConstraint { get; init; }

    /// <summary>Constraint on the concept vectors.</summary>
    public required string VectorsConstraint { get; init; }

    /// <summary>Time and memory in n (rows), p (channels), k (concepts).</summary>
    public required string Cost { get; init; }

    /// <summary>Paper or standard work that defines it.</summary>
    public required string Source { get; init; }

    /// <summary>True where the layer must not have negative values.</summary>
    public bool NeedsNonNegative { get; init; }

    /// <summary>True where there may be more concepts than channels.</summary>
    public bool AllowsOvercomplete { get; init; }

    /// <summary>True for unique concepts, which know neither positions nor one dictionary for the data set.</summary>
    public bool IsUnique { get; init; }

    /// <summary>What it can be tuned by.</summary>
    public IReadOnlyList<MethodParameterView> Parameters { get; init; } = [];
}

/// <summary>A way to weigh concepts.</summary>
/// <param name="Name">Lower-case name.</param>
/// <param name="Title">Name for display.</param>
/// <param name="Summary">One plain sentence: what it measures and when to choose it.</param>
/// <param name="Formula">The formula in one line; empty for none.</param>
/// <param name="Cost">Passes an image; empty for none.</param>
/// <param name="Source">Paper that defines it; empty for none.</param>
public sealed record EstimatorView(string Name, string Title, string Summary, string Formula, string Cost, string Source);

/// <summary>Everything that can be chosen for an analysis or a comparison.</summary>
public sealed record MethodCatalogueView
{
    /// <summary>Methods in the order in which people choose them, unique concepts first.</summary>
    public required IReadOnlyList<MethodView> Methods { get; init; }

    /// <summary>Ways to weigh concepts, in the same order.</summary>
    public required IReadOnlyList<EstimatorView> Estimators { get; init; }

    /// <summary>What <see cref="NewAnalysis.Importance"/> accepts.</summary>
    public required IReadOnlyList<string> Importances { get; init; }

    /// <summary>Most concepts of a class.</summary>
    public int MostOfClass { get; init; } = 100;

    /// <summary>Most concepts of a data set's dictionary.</summary>
    public int MostOfDataset { get; init; } = 2000;

    /// <summary>A method by its name; null where there is none.</summary>
    public MethodView? Method(string name) => Methods.FirstOrDefault(m => m.Name == name);

    /// <summary>Display name of a method or of an estimator; the name itself where it is not known.</summary>
    public string TitleOf(string name) => Method(name)?.Title ?? Estimators.FirstOrDefault(e => e.Name == name)?.Title ?? name;
}

/// <summary>Tells what can be chosen.</summary>
public interface IMethodService
{
    /// <summary>Methods, estimators and their bounds.</summary>
    MethodCatalogueView Catalogue { get; }
}
