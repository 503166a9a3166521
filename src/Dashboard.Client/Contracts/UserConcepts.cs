namespace Dashboard.Client.Contracts;

/// <summary>
/// A concept as a person says it, stored or not. Which fields count depends on <see cref="Source"/>; the others stay empty.
/// The parameter <c>concept</c> of the tasks <c>probe</c>, <c>backpropagate</c> and <c>attribute</c> has the same form.
/// </summary>
public sealed record ConceptDraft
{
    /// <summary>Name, for people.</summary>
    public string Name { get; init; } = "";

    /// <summary>classes, samples, attribute, region, concept or neuron.</summary>
    public string Source { get; init; } = "";

    /// <summary><c>classes</c>: folder names of the classes whose images show it.</summary>
    public IReadOnlyList<string> Classes { get; init; } = [];

    /// <summary><c>samples</c>: paths of images that show it.</summary>
    public IReadOnlyList<string> Positives { get; init; } = [];

    /// <summary><c>samples</c>, <c>region</c>: paths of images that do not; empty for every image that is not tagged.</summary>
    public IReadOnlyList<string> Negatives { get; init; } = [];

    /// <summary><c>attribute</c>: name of the column of attributes.csv.</summary>
    public string? Attribute { get; init; }

    /// <summary><c>attribute</c>: value that means the concept; null for a column of yes and no, or of numbers.</summary>
    public string? Value { get; init; }

    /// <summary><c>region</c>: images that show it, each with the place.</summary>
    public IReadOnlyList<DraftRegion> Regions { get; init; } = [];

    /// <summary><c>concept</c>: identifier of the discovered concept; <c>neuron</c>: the channel.</summary>
    public int? Unit { get; init; }

    /// <summary><c>concept</c>, <c>neuron</c>: share of the images with the largest activation that count as showing it, in (0, 0.5].</summary>
    public double Share { get; init; } = 0.05;
}

/// <summary>Where an image shows a concept, in shares of the image.</summary>
/// <param name="Path">Path below the data set's root.</param>
/// <param name="Left">Left edge in [0, 1].</param>
/// <param name="Top">Top edge in [0, 1].</param>
/// <param name="Width">Width in (0, 1].</param>
/// <param name="Height">Height in (0, 1].</param>
public sealed record DraftRegion(string Path, double Left, double Top, double Width, double Height);

/// <summary>The part of an image that its square picture shows, in shares of the image: what the network sees of it.</summary>
/// <param name="Left">Left edge in [0, 1].</param>
/// <param name="Top">Top edge in [0, 1].</param>
/// <param name="Width">Width in (0, 1].</param>
/// <param name="Height">Height in (0, 1].</param>
public sealed record PictureFrame(double Left, double Top, double Width, double Height);

/// <summary>A concept that a person defined and keeps.</summary>
public sealed record UserConcept
{
    /// <summary>Identifier: 12 lower-case hex digits.</summary>
    public required string Id { get; init; }

    /// <summary>Name.</summary>
    public required string Name { get; init; }

    /// <summary>
    /// What it means, as tasks take it. Its name is the one it was first given: results are found by it, and renaming must
    /// not lose them.
    /// </summary>
    public required ConceptDraft Definition { get; init; }

    /// <summary>When it was defined (UTC).</summary>
    public DateTimeOffset Created { get; init; }
}

/// <summary>Which images a draft means, before it is kept.</summary>
public sealed record ConceptPreview
{
    /// <summary>Images that show it; 0 for a concept of numbers.</summary>
    public int Positives { get; init; }

    /// <summary>Images that do not.</summary>
    public int Negatives { get; init; }

    /// <summary>Images that take no part.</summary>
    public int Unused { get; init; }

    /// <summary>Of the images that show it, those kept for testing.</summary>
    public int HeldOutPositives { get; init; }

    /// <summary>Of the images that do not, those kept for testing.</summary>
    public int HeldOutNegatives { get; init; }

    /// <summary>True where images have a number instead of yes and no; <see cref="Known"/> of them.</summary>
    public bool Continuous { get; init; }

    /// <summary>Images that take part.</summary>
    public int Known { get; init; }

    /// <summary>Rows of images that show it, at most 48; of numbers, the largest.</summary>
    public IReadOnlyList<int> PositiveExamples { get; init; } = [];

    /// <summary>Rows of images that do not, at most 48; of numbers, the smallest.</summary>
    public IReadOnlyList<int> NegativeExamples { get; init; } = [];

    /// <summary>Paths of the draft that the analysis does not have.</summary>
    public int Missing { get; init; }

    /// <summary>What stands in the way of a probe, with the remedy; null where nothing does.</summary>
    public string? Problem { get; init; }

    /// <summary>Doubts, in words.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Share of the larger side among the images that take part; null for a concept of numbers or where none take part.</summary>
    public double? Majority => Continuous || Positives + Negatives == 0 ? null : (double)Math.Max(Positives, Negatives) / (Positives + Negatives);
}

/// <summary>A column of attributes.csv that a concept can be made of.</summary>
/// <param name="Name">Name of the column.</param>
/// <param name="Kind">yesno, words or numbers.</param>
/// <param name="Known">Images with a value.</param>
/// <param name="Values">Values that can be named, most frequent first: of words, or of at most ten different numbers.</param>
public sealed record AttributeColumn(string Name, string Kind, int Known, IReadOnlyList<AttributeValue> Values);

/// <summary>A value of a column.</summary>
/// <param name="Value">The value.</param>
/// <param name="Images">Images that have it.</param>
public sealed record AttributeValue(string Value, int Images);

/// <summary>What the data set's attributes.csv offers.</summary>
/// <param name="Columns">Its columns; empty where there is no such file.</param>
/// <param name="Message">Why there are none, with the remedy; null where there are.</param>
public sealed record AttributesView(IReadOnlyList<AttributeColumn> Columns, string? Message);

/// <summary>Keeps the concepts that people define for an analysis; they survive a run that is repeated.</summary>
public interface IUserConceptService
{
    /// <summary>Concepts of an analysis, newest first.</summary>
    Task<Paged<UserConcept>> ListAsync(string analysisId, int skip = 0, int take = 500, CancellationToken cancellation = default);

    /// <summary>One concept; null if the analysis has none of this identifier.</summary>
    Task<UserConcept?> GetAsync(string analysisId, string conceptId, CancellationToken cancellation = default);

    /// <summary>Which images a draft means. Its name may be empty.</summary>
    /// <exception cref="ServiceException">The draft says nothing that can be resolved.</exception>
    Task<ConceptPreview> PreviewAsync(string analysisId, ConceptDraft draft, CancellationToken cancellation = default);

    /// <summary>Keeps a concept.</summary>
    /// <exception cref="ServiceException">It has no name or a name that is taken, or no image on one of its sides; says what to do.</exception>
    Task<UserConcept> CreateAsync(string analysisId, ConceptDraft draft, CancellationToken cancellation = default);

    /// <summary>Gives a concept another name.</summary>
    /// <exception cref="ServiceException">There is no such concept, or the name is empty, too long or taken.</exception>
    Task<UserConcept> RenameAsync(string analysisId, string conceptId, string name, CancellationToken cancellation = default);

    /// <summary>Deletes a concept; probes that were trained for it stay stored as tasks.</summary>
    /// <exception cref="ServiceException">There is no such concept.</exception>
    Task DeleteAsync(string analysisId, string conceptId, CancellationToken cancellation = default);

    /// <summary>The part of an image that its square picture shows; null where the image is gone or there is none.</summary>
    Task<PictureFrame?> FrameAsync(string analysisId, int sample, CancellationToken cancellation = default);

    /// <summary>Columns of the data set's attributes.csv with their values.</summary>
    Task<AttributesView> AttributesAsync(string analysisId, CancellationToken cancellation = default);
}
