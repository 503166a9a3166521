namespace Analysis.Probes.Backpropagation;

/// <summary>A rectangle of an image in shares of its width and height.</summary>
/// <param name="Left">Left edge, in [0, 1].</param>
/// <param name="Top">Top edge, in [0, 1].</param>
/// <param name="Width">Width, in (0, 1].</param>
/// <param name="Height">Height, in (0, 1].</param>
public sealed record BackpropagationRegion(double Left, double Top, double Width, double Height);

/// <summary>Range of a column of measurements.</summary>
/// <param name="Column">The column, from 0.</param>
/// <param name="Minimum">Least value; null for the least that occurs.</param>
/// <param name="Maximum">Largest value; null for the largest that occurs.</param>
public sealed record ColumnRange(int Column, double? Minimum, double? Maximum);

/// <summary>What the task <c>backpropagate</c> is asked for.</summary>
public sealed record BackpropagationRequest
{
    /// <summary>The concept.</summary>
    public required ConceptDefinition Concept { get; init; }

    /// <summary>Concepts whose probes are watched, and changed for in turn: rows and columns of the entanglement.</summary>
    public IReadOnlyList<ConceptDefinition> Others { get; init; } = [];

    /// <summary>Rows of the samples to change.</summary>
    public IReadOnlyList<int> Samples { get; init; } = [];

    /// <summary>Layer of the probes; null for the analysis's.</summary>
    public string? Layer { get; init; }

    /// <summary>Penalty of the probes: <c>l2</c> for all channels a little, <c>l1</c> for few channels.</summary>
    public string Probe { get; init; } = "l2";

    /// <summary><c>yes</c>, <c>no</c>, or <c>flip</c> for the opposite of what the probe says of each sample.</summary>
    public string Direction { get; init; } = "flip";

    /// <summary>Wanted value of a continuous concept; null for the largest (yes) or smallest (no) that occurs.</summary>
    public double? Goal { get; init; }

    /// <summary>What is varied: <c>pixels</c>, <c>fourier</c> or <c>latent</c>; recorded activations always vary their columns.</summary>
    public string Space { get; init; } = "pixels";

    /// <summary>Weight of the sum of magnitudes in the cost of a change.</summary>
    public double L1 { get; init; } = 1;

    /// <summary>Weight of the sum of squares.</summary>
    public double L2 { get; init; }

    /// <summary>Weight of the total variation.</summary>
    public double TotalVariation { get; init; }

    /// <summary>Times that the search is done again with changes costing less where the last one is concentrated; for pixels.</summary>
    public int Concentrations { get; init; }

    /// <summary>λ; null to look for the largest that still reaches the threshold.</summary>
    public double? Lambda { get; init; }

    /// <summary>Probability of the wanted answer that counts as reached.</summary>
    public double Threshold { get; init; } = 0.9;

    /// <summary>Starts of the optimiser.</summary>
    public int Starts { get; init; } = 5;

    /// <summary>Most steps for each λ.</summary>
    public int Steps { get; init; } = 500;

    /// <summary>Probes of shuffled labels that serve as control.</summary>
    public int RandomProbes { get; init; } = 5;

    /// <summary>Where the change is expected: its share inside is told. Null for the concept's own region, or none.</summary>
    public BackpropagationRegion? Region { get; init; }

    /// <summary>Ranges of columns, for recorded activations.</summary>
    public IReadOnlyList<ColumnRange> Ranges { get; init; } = [];

    /// <summary>Columns that may not change, for recorded activations.</summary>
    public IReadOnlyList<int> Immutable { get; init; } = [];

    /// <summary>Seed of the split, the starts and the shuffled labels.</summary>
    public int Seed { get; init; }
}
