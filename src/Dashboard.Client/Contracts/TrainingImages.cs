using System.Text.Json;
using System.Text.Json.Serialization;

namespace Dashboard.Client.Contracts;

/// <summary>Which training images taught it, as the task <c>attribute</c> writes it (docs/file-formats.md).</summary>
public sealed record TrainingImagesView
{
    /// <summary>Kind of the task.</summary>
    public const string TaskKind = "attribute";

    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web) { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals };

    /// <summary>What is attributed.</summary>
    public AttributedTargetView Target { get; init; } = new("", "", null, [], null, null);

    /// <summary>The training images.</summary>
    public TrainingSetView Training { get; init; } = new("", 0, true, 0, 0);

    /// <summary>The networks.</summary>
    public IReadOnlyList<AttributedCheckpointView> Checkpoints { get; init; } = [];

    /// <summary>Parameters whose gradients were taken.</summary>
    public long Parameters { get; init; }

    /// <summary>dense, factorised or none.</summary>
    public string Projection { get; init; } = "";

    /// <summary>Highest scores.</summary>
    public IReadOnlyList<AttributedImageView> Top { get; init; } = [];

    /// <summary>Lowest scores.</summary>
    public IReadOnlyList<AttributedImageView> Bottom { get; init; } = [];

    /// <summary>How widely scores are spread.</summary>
    public DiffusenessView Diffuseness { get; init; } = new(0, 0, 0, 0, 0, 0, []);

    /// <summary>Classes, largest part of the top images first.</summary>
    public IReadOnlyList<AttributedClassView> Classes { get; init; } = [];

    /// <summary>How many images are counted as top.</summary>
    public int TopCount { get; init; }

    /// <summary>Agreement of networks; null for a single one.</summary>
    public AgreementView? Agreement { get; init; }

    /// <summary>Whether the projection keeps what it should; null where there is none.</summary>
    public ProjectionCheckView? Check { get; init; }

    /// <summary>Correlation of the estimate with the exact influence, where both were made.</summary>
    public double? TrakAgainstExact { get; init; }

    /// <summary>Doubts, in words.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Reads a result; null where it is none.</summary>
    public static TrainingImagesView? Parse(string? json)
    {
        try
        {
            return json is null ? null : JsonSerializer.Deserialize<TrainingImagesView>(json, Options);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>What is attributed.</summary>
/// <param name="Kind">concept, class or sample.</param>
/// <param name="Name">Name.</param>
/// <param name="Layer">Layer of the probe; null for an output.</param>
/// <param name="Samples">Rows of the images that stand for it.</param>
/// <param name="ProbeScore">Held-out score of the probe.</param>
/// <param name="ProbeAuc">Held-out AUC of the probe.</param>
public sealed record AttributedTargetView(string Kind, string Name, string? Layer, IReadOnlyList<int> Samples, double? ProbeScore, double? ProbeAuc);

/// <summary>The training images.</summary>
/// <param name="Name">Name of the data set.</param>
/// <param name="Images">Images with a score.</param>
/// <param name="SameAsAnalysis">True where it is the analysis's own data set.</param>
/// <param name="Skipped">Images that could not be read.</param>
/// <param name="Unlabelled">Images whose class is no output.</param>
public sealed record TrainingSetView(string Name, int Images, bool SameAsAnalysis, int Skipped, int Unlabelled);

/// <summary>A network that took part.</summary>
/// <param name="Name">File name.</param>
/// <param name="Sha256">Hash of its weights.</param>
/// <param name="ProbeScore">Held-out score of the probe on it.</param>
/// <param name="MeanOneMinusP">How unsure it is of the training images, on average.</param>
public sealed record AttributedCheckpointView(string Name, string Sha256, double? ProbeScore, double? MeanOneMinusP);

/// <summary>A training image.</summary>
/// <param name="Row">Row in the table of scores.</param>
/// <param name="Sample">Its row in the analysis; null where it is not one of its images.</param>
/// <param name="Path">Path in the training data set.</param>
/// <param name="Class">Class folder.</param>
/// <param name="Score">Score.</param>
/// <param name="Picture">Thumbnail among the task's files; null where <paramref name="Sample"/> is known.</param>
public sealed record AttributedImageView(int Row, int? Sample, string Path, string Class, double Score, string? Picture);

/// <summary>How widely scores are spread.</summary>
/// <param name="EffectiveNumber">As many images as would carry it if all carried alike.</param>
/// <param name="EffectiveShare">The same as a share of all.</param>
/// <param name="Gini">0 where all have the same, near 1 where a few have it all.</param>
/// <param name="TopShare">Share of all scores that the top hundredth holds.</param>
/// <param name="HistogramFrom">Lower end.</param>
/// <param name="HistogramTo">Upper end.</param>
/// <param name="Histogram">Images in each bin.</param>
public sealed record DiffusenessView(double EffectiveNumber, double EffectiveShare, double Gini, double TopShare, double HistogramFrom, double HistogramTo, IReadOnlyList<int> Histogram);

/// <summary>A class among the training images.</summary>
/// <param name="Name">Class folder.</param>
/// <param name="DisplayName">Name for people.</param>
/// <param name="Images">Its images.</param>
/// <param name="Top">How many of the top images are its.</param>
/// <param name="MeanScore">Mean score.</param>
/// <param name="Share">Its part of all positive scores.</param>
public sealed record AttributedClassView(string Name, string DisplayName, int Images, int Top, double MeanScore, double Share);

/// <summary>Agreement of networks.</summary>
/// <param name="MeanSpearman">Mean rank correlation of pairs.</param>
/// <param name="TopOverlap">Mean share of the top images that pairs have in common.</param>
/// <param name="Pairs">Pairs.</param>
public sealed record AgreementView(double MeanSpearman, double TopOverlap, int Pairs);

/// <summary>Projected against exact gradients.</summary>
/// <param name="Images">Images compared.</param>
/// <param name="Correlation">Correlation of cosines.</param>
/// <param name="Error">How far cosines are off.</param>
/// <param name="Expected">The same of an ideal projection.</param>
/// <param name="Rank">Dimensions that the features fill.</param>
/// <param name="Halves">Rank correlation of scores from either half of the features.</param>
/// <param name="Good">True where the projection can be trusted.</param>
public sealed record ProjectionCheckView(int Images, double Correlation, double Error, double Expected, double Rank, double Halves, bool Good);
