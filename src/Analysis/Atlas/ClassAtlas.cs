namespace Analysis.Atlas;

/// <summary>
/// Everything that the pages of one class show, as the engine writes it to <c>atlas/classes/NNNN.json</c> of the run folder.
/// Samples are referred to by their row (0-based, sorted by path) in samples.parquet.
/// </summary>
public sealed record ClassAtlas
{
    /// <summary>0-based index of the class in this analysis.</summary>
    public required int Class { get; init; }

    /// <summary>Folder name.</summary>
    public required string Name { get; init; }

    /// <summary>Name for display: the output's name where the folder maps to one (wnid → name), else the folder's.</summary>
    public required string DisplayName { get; init; }

    /// <summary>Output of the network that the folder maps to; null where there is none.</summary>
    public int? Label { get; init; }

    /// <summary>Share of the class's images that are predicted as <see cref="Label"/>; null without a label.</summary>
    public double? Accuracy { get; init; }

    /// <summary>Concepts, strongest first.</summary>
    public required IReadOnlyList<ConceptEntry> Concepts { get; init; }

    /// <summary>Mean share of the logit that no concept explains, signed.</summary>
    public double UnexplainedShare { get; init; }

    /// <summary>Strategies, largest first.</summary>
    public required IReadOnlyList<StrategyEntry> Strategies { get; init; }

    /// <summary>How the points were laid out, for example <c>UMAP, 15 neighbours</c>.</summary>
    public required string Embedding { get; init; }

    /// <summary>Trustworthiness of the layout in [0, 1]; null for too few points.</summary>
    public double? Trustworthiness { get; init; }

    /// <summary>Images whose strongest concept is not an important one (fewer than <see cref="ImportantFrom"/> images): drawn grey.</summary>
    public int LeftOut { get; init; }

    /// <summary>A concept is important when it is the strongest for at least this many images.</summary>
    public int ImportantFrom { get; init; } = 10;

    /// <summary>The classes that images of this class are mistaken for, most frequent first.</summary>
    public IReadOnlyList<Confusion> Confusions { get; init; } = [];

    /// <summary>
    /// How well the concepts describe the class's pooled activations, by name: <c>relativeError</c>, <c>rSquared</c>, <c>hoyer</c>
    /// and <c>activeShare</c> (docs/methods/extraction-metrics.md); with the prefix <c>fit</c> those of the rows that a
    /// factorisation was fitted on. What is undefined is left out.
    /// </summary>
    public IReadOnlyDictionary<string, double> Metrics { get; init; } = new SortedDictionary<string, double>(StringComparer.Ordinal);

    /// <summary>Doubts to show, in words; for example "only 12 images".</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

/// <summary>A wrong prediction and how often it occurs.</summary>
/// <param name="Output">Output index.</param>
/// <param name="Name">Output name.</param>
/// <param name="Count">Images of the class predicted as it.</param>
public sealed record Confusion(int Output, string Name, int Count);

/// <summary>One concept of one class.</summary>
public sealed record ConceptEntry
{
    /// <summary>Identifier, unique in the analysis: row of concepts.parquet.</summary>
    public required int Id { get; init; }

    /// <summary>0-based rank by importance in its class.</summary>
    public required int Rank { get; init; }

    /// <summary>Number of the group of similar concepts across classes; null where the concept is the class's own. Known once all classes are finished.</summary>
    public int? Shared { get; init; }

    /// <summary>Index of the singular direction it was refined from; null where the method has none.</summary>
    public int? Direction { get; init; }

    /// <summary>Number of the cluster on that direction.</summary>
    public int? Cluster { get; init; }

    /// <summary>Component of the factorisation (of the class, or of the data set's dictionary); null where the method has none.</summary>
    public int? Component { get; init; }

    /// <summary>Share of the mean logit (without bias), signed.</summary>
    public required double Importance { get; init; }

    /// <summary>Population standard deviation of the per-image share.</summary>
    public double ImportanceSpread { get; init; }

    /// <summary>Mean coefficient (prevalence of METHODS 2.7).</summary>
    public required double Prevalence { get; init; }

    /// <summary>Share of images in which the concept is active (coefficient above 0).</summary>
    public double ActiveShare { get; init; }

    /// <summary>Effect on the class's logit of one unit of the concept.</summary>
    public required double Reliability { get; init; }

    /// <summary>z score of the direction for the class; null where undefined.</summary>
    public double? Relevance { get; init; }

    /// <summary>Mean matched cosine over split halves in [0, 1]; null where too few images.</summary>
    public double? Stability { get; init; }

    /// <summary>Participation ratio 1 / Σ v⁴: 1 for one neuron, C for a concept spread over all.</summary>
    public double Spread { get; init; }

    /// <summary>Channel with the largest |v|.</summary>
    public int Channel { get; init; }

    /// <summary>Cosine with that channel, signed.</summary>
    public double ChannelCosine { get; init; }

    /// <summary>Images for which this is the strongest concept.</summary>
    public int StrongestFor { get; init; }

    /// <summary>Position on the proximity map (classical scaling of 1 − cosine).</summary>
    public double X { get; init; }

    /// <summary>Position on the proximity map.</summary>
    public double Y { get; init; }

    /// <summary>Outputs whose weight vectors are most aligned with the concept, best first.</summary>
    public IReadOnlyList<ClassAlignment> Alignment { get; init; } = [];

    /// <summary>Samples in four bands, each strongest first.</summary>
    public IReadOnlyList<Exemplar> Exemplars { get; init; } = [];

    /// <summary>Histogram of the concept's activation over the class's images: 20 equal bins from <see cref="HistogramFrom"/> to <see cref="HistogramTo"/>.</summary>
    public IReadOnlyList<int> Histogram { get; init; } = [];

    /// <summary>Lower end of the histogram.</summary>
    public double HistogramFrom { get; init; }

    /// <summary>Upper end of the histogram.</summary>
    public double HistogramTo { get; init; }

    /// <summary>Threshold of the map for the contour: 99th percentile of the map values over a reference set of the class.</summary>
    public double MapThreshold { get; init; }

    /// <summary>Doubts to show, in words.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

/// <summary>Cosine of a concept with an output's weights.</summary>
/// <param name="Output">Output index.</param>
/// <param name="Name">Output name.</param>
/// <param name="Cosine">In [−1, 1].</param>
public sealed record ClassAlignment(int Output, string Name, double Cosine);

/// <summary>A sample that shows a concept, with where.</summary>
/// <param name="Sample">Row of the sample.</param>
/// <param name="Score">Coefficient of the concept on the sample.</param>
/// <param name="Left">Crop, as a share of the image's width.</param>
/// <param name="Top">Crop, as a share of the image's height.</param>
/// <param name="Width">Crop, as a share of the image's width.</param>
/// <param name="Height">Crop, as a share of the image's height.</param>
/// <param name="Band">Which band of the gallery: <c>top</c>, <c>median</c>, <c>edge</c> or <c>counter</c>.</param>
public sealed record Exemplar(int Sample, double Score, double Left, double Top, double Width, double Height, string Band);

/// <summary>A group of images that the network recognises in the same way.</summary>
/// <param name="Index">0-based, largest first.</param>
/// <param name="Size">Images in it.</param>
/// <param name="Accuracy">Share predicted as the class; null without a label.</param>
/// <param name="Prototype">Row of the medoid.</param>
/// <param name="Profile">Mean importance per concept (share of the logit), in the order of the concepts.</param>
/// <param name="Summary">In words: "mainly c3 (66%)".</param>
public sealed record StrategyEntry(
    int Index, int Size, double? Accuracy, int Prototype, IReadOnlyList<double> Profile, string Summary)
{
    /// <summary>Rows of the images that show the strategy best: the prototype, then those nearest to the mean profile, nearest first.</summary>
    public IReadOnlyList<int> Typical { get; init; } = [];

    /// <summary>Rows of the images that another strategy would almost have taken, smallest margin first; empty where there is no other.</summary>
    public IReadOnlyList<int> Borderline { get; init; } = [];

    /// <summary>The strategy that comes next for each image of <see cref="Borderline"/>.</summary>
    public IReadOnlyList<int> BorderlineNext { get; init; } = [];
}
