using Analysis.Probes;

namespace Analysis.Attribution;

/// <summary>Parameters of the task <c>attribute</c>.</summary>
public sealed record AttributionRequest
{
    /// <summary><c>concept</c> (a probe of a concept), <c>class</c> (the logit margin of a class) or <c>sample</c> (of one image).</summary>
    public string Target { get; init; } = "concept";

    /// <summary><c>concept</c>: the concept whose probe is attributed.</summary>
    public ConceptDefinition? Concept { get; init; }

    /// <summary><c>class</c>: index of the class in the analysis.</summary>
    public int? Class { get; init; }

    /// <summary><c>sample</c>: row of the sample in the analysis.</summary>
    public int? Sample { get; init; }

    /// <summary><c>sample</c>: <c>predicted</c> or <c>label</c>, the output whose margin is attributed.</summary>
    public string Output { get; init; } = "predicted";

    /// <summary>
    /// <c>concept</c>: <c>representation</c> (which training images of the network shaped what the probe reads, TRAK) or <c>probe</c>
    /// (which images the probe itself was shaped by, exact).
    /// </summary>
    public string Variant { get; init; } = "representation";

    /// <summary><c>concept</c>: layer of the probe; null for the analysis's.</summary>
    public string? Layer { get; init; }

    /// <summary>Data set that the network was trained on; null for the analysis's own.</summary>
    public string? Dataset { get; init; }

    /// <summary>Weights of more networks of the same recipe; scores are averaged over them and the analysis's.</summary>
    public IReadOnlyList<string> Networks { get; init; } = [];

    /// <summary><c>dense</c>, <c>factorised</c>, or <c>auto</c>: dense up to 300,000 parameters.</summary>
    public string Projection { get; init; } = "auto";

    /// <summary>Number of features k.</summary>
    public int Dimensions { get; init; } = 512;

    /// <summary><c>rademacher</c> or <c>normal</c>.</summary>
    public string Entries { get; init; } = "rademacher";

    /// <summary>λ as a multiple of the mean eigenvalue of ΦᵀΦ; null for what suits the target, 10 for a concept and 0.3 for a class or a sample.</summary>
    public double? Lambda { get; init; }

    /// <summary><see cref="Lambda"/>, or what suits the target.</summary>
    internal double Ridge => Lambda ?? (Target == "concept" ? TrakScores.ProbeLambda : TrakScores.MarginLambda);

    /// <summary>Share of the scores that the soft threshold makes 0; 0 for none.</summary>
    public double Threshold { get; init; }

    /// <summary>Only parameters behind this layer; null for all.</summary>
    public string? From { get; init; }

    /// <summary>Use this many training images, spread evenly over the classes; null for all.</summary>
    public int? Limit { get; init; }

    /// <summary>Most images that a concept or class is represented by.</summary>
    public int Targets { get; init; } = 64;

    /// <summary>Seed of projections, of the choice of images and of the probe.</summary>
    public int Seed { get; init; }
}

/// <summary>Which training images taught it: <c>result.json</c> of the task <c>attribute</c> (docs/file-formats.md).</summary>
public sealed record AttributionReport
{
    /// <summary>What was asked for.</summary>
    public required AttributionRequest Request { get; init; }

    /// <summary>What is attributed.</summary>
    public required AttributedTarget Target { get; init; }

    /// <summary>The training images.</summary>
    public required TrainingSet Training { get; init; }

    /// <summary>The networks.</summary>
    public required IReadOnlyList<AttributedCheckpoint> Checkpoints { get; init; }

    /// <summary>Parameters whose gradients were taken; of the probe itself for the variant <c>probe</c>.</summary>
    public long Parameters { get; init; }

    /// <summary><c>dense</c>, <c>factorised</c>, or <c>none</c> where no projection was needed.</summary>
    public string Projection { get; init; } = "none";

    /// <summary>Images with the highest scores, highest first.</summary>
    public required IReadOnlyList<AttributedImage> Top { get; init; }

    /// <summary>Images with the lowest scores, lowest first.</summary>
    public required IReadOnlyList<AttributedImage> Bottom { get; init; }

    /// <summary>How widely scores are spread.</summary>
    public required Diffuseness Diffuseness { get; init; }

    /// <summary>Classes of the training images, largest share of the top images first.</summary>
    public required IReadOnlyList<AttributedClass> Classes { get; init; }

    /// <summary>Number of images that <see cref="AttributedClass.Top"/> counts.</summary>
    public int TopCount { get; init; }

    /// <summary>Agreement of the networks; null for a single one.</summary>
    public AttributionAgreement? Agreement { get; init; }

    /// <summary>Whether projections keep what they should; null where there is none.</summary>
    public ProjectionCheck? Check { get; init; }

    /// <summary>For the variant <c>probe</c>: Spearman's correlation of TRAK with the exact influence.</summary>
    public double? TrakAgainstExact { get; init; }

    /// <summary>Doubts and assumptions, in words.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

/// <summary>What is attributed.</summary>
/// <param name="Kind">concept, class or sample.</param>
/// <param name="Name">Name, for people.</param>
/// <param name="Layer">Layer of the probe; null for an output of the network.</param>
/// <param name="Samples">Rows of the analysis's images that stand for it.</param>
/// <param name="ProbeScore">Held-out score of the probe of the analysis's network; null where there is no probe.</param>
/// <param name="ProbeAuc">Held-out AUC of the same.</param>
public sealed record AttributedTarget(string Kind, string Name, string? Layer, IReadOnlyList<int> Samples, double? ProbeScore, double? ProbeAuc);

/// <summary>The training images.</summary>
/// <param name="Name">Name of the data set.</param>
/// <param name="Images">Images that have a score.</param>
/// <param name="SameAsAnalysis">True where it is the analysis's own data set.</param>
/// <param name="Skipped">Images that could not be read.</param>
/// <param name="Unlabelled">Images whose class is no output of the network.</param>
public sealed record TrainingSet(string Name, int Images, bool SameAsAnalysis, int Skipped, int Unlabelled);

/// <summary>A network that took part.</summary>
/// <param name="Name">File name.</param>
/// <param name="Sha256">Hash of its weights.</param>
/// <param name="ProbeScore">Held-out score of the probe on it.</param>
/// <param name="MeanOneMinusP">Mean of 1 − p over the training images: how unsure it is of them; null where only the probe was asked for.</param>
public sealed record AttributedCheckpoint(string Name, string Sha256, double? ProbeScore, double? MeanOneMinusP);

/// <summary>A training image with its score.</summary>
/// <param name="Row">Row in scores.safetensors and training.csv.</param>
/// <param name="Sample">Its row in the analysis; null where it is not one of its images.</param>
/// <param name="Path">Path in the training data set.</param>
/// <param name="Class">Class folder.</param>
/// <param name="Score">Score.</param>
/// <param name="Picture">Thumbnail in the task's folder; null where <see cref="Sample"/> is known.</param>
public sealed record AttributedImage(int Row, int? Sample, string Path, string Class, double Score, string? Picture);

/// <summary>A class among the training images.</summary>
/// <param name="Name">Class folder.</param>
/// <param name="DisplayName">Name for people.</param>
/// <param name="Images">Its images.</param>
/// <param name="Top">How many of the top images are its.</param>
/// <param name="MeanScore">Mean score.</param>
/// <param name="Share">Its part of the sum of all positive scores.</param>
public sealed record AttributedClass(string Name, string DisplayName, int Images, int Top, double MeanScore, double Share);

/// <summary>Agreement of scores that single networks give.</summary>
/// <param name="MeanSpearman">Mean of Spearman's correlation over pairs.</param>
/// <param name="TopOverlap">Mean share of the top 5% that pairs have in common.</param>
/// <param name="Pairs">Number of pairs.</param>
public sealed record AttributionAgreement(double MeanSpearman, double TopOverlap, int Pairs);

/// <summary>Projected against exact inner products of some training gradients.</summary>
/// <param name="Images">Images compared.</param>
/// <param name="Correlation">Pearson's correlation of projected with exact cosines between different images.</param>
/// <param name="Error">Root mean square difference of these cosines.</param>
/// <param name="Expected">The same of an ideal dense projection, 1/√k.</param>
/// <param name="Rank">Dimensions that the features fill: (Σ eigenvalues)² / Σ eigenvalues².</param>
/// <param name="Halves">Spearman's correlation of the scores from either half of the features.</param>
/// <param name="Good">True where the projection can be trusted.</param>
public sealed record ProjectionCheck(int Images, double Correlation, double Error, double Expected, double Rank, double Halves, bool Good);
