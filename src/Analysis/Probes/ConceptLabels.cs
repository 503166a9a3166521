namespace Analysis.Probes;

/// <summary>A <see cref="ConceptDefinition"/> resolved on the samples of an analysis.</summary>
public sealed record ConceptLabels
{
    /// <summary>For each sample: 1 shows the concept, 0 does not; a number where <see cref="Continuous"/>; NaN takes no part.</summary>
    public required double[] Targets { get; init; }

    /// <summary>True for the samples that are kept for testing; duplicates by content are on one side.</summary>
    public required bool[] HeldOut { get; init; }

    /// <summary>True where targets are numbers instead of yes and no.</summary>
    public bool Continuous { get; init; }

    /// <summary>Places of the samples that show the concept, by row; null where it is not said by places.</summary>
    public IReadOnlyDictionary<int, ConceptRegion[]>? Places { get; init; }

    /// <summary>Samples that show the concept.</summary>
    public int Positives => Continuous ? 0 : Targets.Count(t => t == 1);

    /// <summary>Samples that do not.</summary>
    public int Negatives => Continuous ? 0 : Targets.Count(t => t == 0);
}
