namespace Analysis.Probes;

/// <summary>
/// A concept that a person means, said so that it can be stored, sent and resolved again: the parameter <c>concept</c> of the
/// tasks <c>probe</c>, <c>backpropagate</c> and <c>attribute</c>. Which fields count depends on <see cref="Source"/>; the
/// others stay empty.
/// </summary>
public sealed record ConceptDefinition
{
    /// <summary>Name, for people.</summary>
    public required string Name { get; init; }

    /// <summary>
    /// How it is said: <c>classes</c> (the images of some classes), <c>samples</c> (tagged images), <c>attribute</c> (a column
    /// of the data set's attributes.csv), <c>region</c> (tagged images with the place where the concept is), <c>concept</c>
    /// (a discovered concept vector) or <c>neuron</c> (a channel of the analysis's layer).
    /// </summary>
    public required string Source { get; init; }

    /// <summary><c>classes</c>: folder names of the classes whose images show it.</summary>
    public IReadOnlyList<string> Classes { get; init; } = [];

    /// <summary><c>samples</c>: paths of images that show it, relative to the data set's root.</summary>
    public IReadOnlyList<string> Positives { get; init; } = [];

    /// <summary><c>samples</c>, <c>region</c>: paths of images that do not show it; empty for every image that is not tagged.</summary>
    public IReadOnlyList<string> Negatives { get; init; } = [];

    /// <summary><c>attribute</c>: name of the column.</summary>
    public string? Attribute { get; init; }

    /// <summary><c>attribute</c>: value that means the concept; null for a column of yes and no, or of numbers (a continuous concept).</summary>
    public string? Value { get; init; }

    /// <summary><c>region</c>: images that show it, each with the place.</summary>
    public IReadOnlyList<ConceptRegion> Regions { get; init; } = [];

    /// <summary><c>concept</c>: identifier of the discovered concept; <c>neuron</c>: the channel.</summary>
    public int? Unit { get; init; }

    /// <summary><c>concept</c>, <c>neuron</c>: share of the images with the largest activation that count as showing it, in (0, 0.5].</summary>
    public double Share { get; init; } = 0.05;
}

/// <summary>Where an image shows a concept.</summary>
/// <param name="Path">Path relative to the data set's root.</param>
/// <param name="Left">Left edge as a share of the width, in [0, 1].</param>
/// <param name="Top">Top edge as a share of the height, in [0, 1].</param>
/// <param name="Width">Width as a share of the image's, in (0, 1].</param>
/// <param name="Height">Height as a share of the image's, in (0, 1].</param>
public sealed record ConceptRegion(string Path, double Left, double Top, double Width, double Height);
