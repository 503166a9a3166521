using Analysis.Atlas;
using Analysis.Importance;
using static TorchSharp.torch;

namespace Analysis.Concepts;

/// <summary>A concept of a class, with where it comes from.</summary>
/// <param name="Vector">Unit vector. Length C.</param>
public sealed record FoundConcept(double[] Vector)
{
    /// <summary>Singular direction it was refined from; null where the method has none.</summary>
    public int? Direction { get; init; }

    /// <summary>Cluster on that direction.</summary>
    public int? Cluster { get; init; }

    /// <summary>z score of the direction for the class.</summary>
    public double? Relevance { get; init; }

    /// <summary>Cosine between two halves; null where unknown.</summary>
    public double? Stability { get; init; }

    /// <summary>Component of the factorisation; null for a method without one.</summary>
    public int? Component { get; init; }

    /// <summary>Number shared with other classes, where that is known from the start (a data set's dictionary).</summary>
    public int? Shared { get; init; }

    /// <summary>Doubts to show, in words.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

/// <summary>The concepts of a class, strongest first, with what they are on its images. Owns the encoder.</summary>
/// <param name="Concepts">k concepts.</param>
/// <param name="Encoder">Their vectors, in the same order.</param>
/// <param name="Encoded">Coefficients and contributions on the images, in the same order.</param>
public sealed record FoundConcepts(IReadOnlyList<FoundConcept> Concepts, ConceptEncoder Encoder, ContributionResult Encoded) : IDisposable
{
    /// <summary>Figures of the fit that they come from, by name; empty for a method without a fit.</summary>
    public IReadOnlyDictionary<string, double> FitMetrics { get; init; } = new Dictionary<string, double>();

    /// <summary>Crops that concepts were found on; null where the method saw whole images.</summary>
    public CropCodes? Crops { get; init; }

    /// <inheritdoc/>
    public void Dispose() => Encoder.Dispose();
}

/// <summary>Finds the concepts of one class and weighs them: what methods differ in. Everything after it is the same for all.</summary>
public interface IConceptFinder
{
    /// <summary>True where finding runs the network, which serves one thread.</summary>
    bool NeedsNetwork { get; }

    /// <summary>Finds the concepts of a class. Keeps the caller's dispose scope.</summary>
    /// <param name="members">The class; has images.</param>
    /// <param name="pooled">Their pooled activations, n×C float64 on the network's device.</param>
    /// <param name="outputs">What the network says of them.</param>
    /// <param name="notes">Doubts about the class are added, in words.</param>
    /// <param name="cancellation">Honoured between parts.</param>
    FoundConcepts Find(ClassRows members, Tensor pooled, ImageOutputs outputs, List<string> notes, CancellationToken cancellation);
}
