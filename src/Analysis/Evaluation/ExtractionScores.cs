namespace Analysis.Evaluation;

/// <summary>How well concept vectors stand for a set of rows. Undefined values are NaN: show a dash, and leave them out of rankings.</summary>
public sealed record ExtractionScores
{
    /// <summary>Number of concept vectors k.</summary>
    public required int Components { get; init; }

    /// <summary>Number of rows that were scored.</summary>
    public required long Rows { get; init; }

    /// <summary>Rows that are all zeros: they have no direction and no relative error, and are left out of the means over rows.</summary>
    public required long ZeroRows { get; init; }

    /// <summary>Mean over rows of ||a − â|| / (||a|| + 1e-6), at least 0. Lower is better.</summary>
    public required double RelativeError { get; init; }

    /// <summary>||A − Â|| / ||A||, Frobenius, at least 0. Lower is better.</summary>
    public required double FrobeniusError { get; init; }

    /// <summary>1 − SSE / SST with column means, at most 1; negative where the mean alone does better. Higher is better.</summary>
    public required double RSquared { get; init; }

    /// <summary>Share of coefficients with |u| &gt; 1e-6, in [0, 1]. Lower is sparser: fewer concepts to look at for an image.</summary>
    public required double ActiveShare { get; init; }

    /// <summary>Mean Hoyer sparsity of the codes, 0 (all equal) to 1 (one alone). Higher is sparser.</summary>
    public required double Hoyer { get; init; }

    /// <summary>Mean of Σu⁴ / (Σu²)², 1/k (all equal) to 1 (one alone). Higher is sparser.</summary>
    public required double Kappa4 { get; init; }

    /// <summary>Share of concepts that no row uses, in [0, 1]. Lower is better.</summary>
    public required double DeadShare { get; init; }

    /// <summary>Fréchet distance between rows and reconstructions (squared activation units), at least 0. Lower is better.</summary>
    public double Frechet { get; init; } = double.NaN;

    /// <summary>
    /// Mean distance of reconstructed rows to their 5th nearest real row, by direction, relative to that of real rows: 1 where
    /// reconstructions lie among the real rows as real rows do. Above 1 they leave the data; below 1 they lose variety.
    /// Compare by |log|: nearer to 1 is better.
    /// </summary>
    public double OutOfDistribution { get; init; } = double.NaN;

    /// <summary>Mean matched cosine over pairs of fits, in [−1, 1]. Higher is better; 0.9 and more counts as stable.</summary>
    public double Stability { get; init; } = double.NaN;

    /// <summary>The least of these over pairs. Higher is better.</summary>
    public double WorstStability { get; init; } = double.NaN;
}
