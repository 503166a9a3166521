using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>A number that a method can be tuned by.</summary>
/// <param name="Name">Lower-case name, as on the command line.</param>
/// <param name="Default">Value where none is given.</param>
/// <param name="Minimum">Smallest value that is accepted.</param>
/// <param name="Maximum">Largest value that is accepted.</param>
/// <param name="Explanation">In one sentence, for people: what a larger value does.</param>
public sealed record MethodParameter(string Name, double Default, double Minimum, double Maximum, string Explanation);

/// <summary>What a method is, for people who choose one and for code that prepares its input.</summary>
public sealed record MethodInfo
{
    /// <summary>Lower-case name, as in <c>--method</c>.</summary>
    public required string Name { get; init; }

    /// <summary>Name for display.</summary>
    public required string Title { get; init; }

    /// <summary>One plain sentence: what kind of concepts it finds and when to choose it.</summary>
    public required string Summary { get; init; }

    /// <summary>Constraint on the coefficients U (n×k).</summary>
    public required string CodesConstraint { get; init; }

    /// <summary>Constraint on the concept vectors V (k×p).</summary>
    public required string VectorsConstraint { get; init; }

    /// <summary>Time and memory in n (rows), p (columns), k (components) and the number of iterations.</summary>
    public required string Cost { get; init; }

    /// <summary>Paper or standard work that defines it.</summary>
    public required string Source { get; init; }

    /// <summary>True where every entry of the rows must be at least 0; others are refused, never clipped.</summary>
    public bool NeedsNonNegative { get; init; }

    /// <summary>True where the sign of a concept vector is arbitrary, so that runs are compared by |cosine|.</summary>
    public bool SignIsArbitrary { get; init; }

    /// <summary>True where k may exceed min(n, p).</summary>
    public bool AllowsOvercomplete { get; init; }

    /// <summary>What it can be tuned by.</summary>
    public IReadOnlyList<MethodParameter> Parameters { get; init; } = [];
}

/// <summary>How a factorisation is fitted.</summary>
public sealed record FactorizationOptions
{
    /// <summary>Number of concept vectors k.</summary>
    public required int Components { get; init; }

    /// <summary>Equal seeds give equal results on the same device with the same number of threads.</summary>
    public int Seed { get; init; }

    /// <summary>Limit of iterations (sweeps, epochs); 0 for the method's own.</summary>
    public int MaximumIterations { get; init; }

    /// <summary>Values of <see cref="MethodInfo.Parameters"/> by name; the others keep their defaults.</summary>
    public IReadOnlyDictionary<string, double> Parameters { get; init; } = new Dictionary<string, double>();
}

/// <summary>
/// A way to find concepts: A ≈ U V (+ offset) for rows A (n×p) of activations, under constraints on the coefficients U (n×k)
/// and the concept vectors V (k×p) (the unifying framework, Fel et al. 2023, arXiv 2306.07304, section 3).
/// Stateless and safe for concurrent use.
/// </summary>
public interface IFactorizationMethod
{
    /// <summary>Name, constraints, cost, parameters.</summary>
    MethodInfo Info { get; }

    /// <summary>Finds the concept vectors of some rows. Keeps the caller's dispose scope; the result belongs to the caller.</summary>
    /// <param name="rows">A, n×p, float32 or float64, on any device; not changed and not kept.</param>
    /// <param name="options">Number of components, seed, parameters.</param>
    /// <param name="progress">Called with the share of the work that is done, in [0, 1]; null for none.</param>
    /// <param name="cancellation">Honoured between iterations.</param>
    /// <exception cref="AnalysisException">The rows cannot be factorised in this way (negative entries, k too large, NaN): names the value and the remedy.</exception>
    Factors Fit(Tensor rows, FactorizationOptions options, Action<double>? progress = null, CancellationToken cancellation = default);

    /// <summary>Restores factors from what <see cref="Factors.State"/> gave. The tensors become the result's.</summary>
    /// <param name="state">Tensors by name.</param>
    Factors Restore(IReadOnlyDictionary<string, Tensor> state);
}
