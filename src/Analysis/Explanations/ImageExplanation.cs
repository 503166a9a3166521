namespace Analysis.Explanations;

/// <summary>What the network says of an image that belongs to no data set, and why: content of <c>result.json</c> of the task <c>explain</c>.</summary>
public sealed record ImageExplanation
{
    /// <summary>Name of the image: SHA-256 of its file.</summary>
    public required string Image { get; init; }

    /// <summary>Width of the image in pixels.</summary>
    public required int Width { get; init; }

    /// <summary>Height of the image in pixels.</summary>
    public required int Height { get; init; }

    /// <summary>Best five outputs, with probability.</summary>
    public required IReadOnlyList<OutputProbability> Top { get; init; }

    /// <summary>Class whose concepts the rest is about.</summary>
    public required int Class { get; init; }

    /// <summary>Output that the contributions add up to.</summary>
    public required int Target { get; init; }

    /// <summary>Its name.</summary>
    public required string TargetName { get; init; }

    /// <summary>Best output other than the target.</summary>
    public required int RunnerUp { get; init; }

    /// <summary>Logit of the target.</summary>
    public required double Logit { get; init; }

    /// <summary>Coefficients of the class's concepts by rank. Length k.</summary>
    public required IReadOnlyList<double> Coefficients { get; init; }

    /// <summary>Contributions to the target's logit by rank; the last is what no concept explains. Length k + 1.</summary>
    public required IReadOnlyList<double> Contributions { get; init; }

    /// <summary>Contributions to the runner-up's logit, as <see cref="Contributions"/>.</summary>
    public required IReadOnlyList<double> Against { get; init; }

    /// <summary>||(a − o) − uV|| / ||a||; null where a is zero.</summary>
    public double? Residual { get; init; }

    /// <summary>Ranks of the concepts whose maps are kept as <c>map-RANK.webp</c>, strongest first; empty where the layer has no spatial extent.</summary>
    public IReadOnlyList<int> Maps { get; init; } = [];

    /// <summary>Nearest strategy of the class; null where it has none.</summary>
    public int? Strategy { get; init; }

    /// <summary>Share of the strategy's images that lie further from its middle than this image, in [0, 1]; 0 is further than all.</summary>
    public double? StrategyFit { get; init; }

    /// <summary>Images of the class with the most similar contributions, nearest first.</summary>
    public IReadOnlyList<NearSample> Nearest { get; init; } = [];

    /// <summary>Doubts to show, in words.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

/// <summary>An output with its softmax probability.</summary>
/// <param name="Output">Output index.</param>
/// <param name="Name">Its name.</param>
/// <param name="Probability">In [0, 1].</param>
public sealed record OutputProbability(int Output, string Name, double Probability);

/// <summary>A sample and how far it is.</summary>
/// <param name="Sample">Row of samples.parquet.</param>
/// <param name="Distance">Euclidean distance of the contributions, the unexplained part included.</param>
public sealed record NearSample(int Sample, double Distance);
