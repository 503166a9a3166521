namespace Dashboard.Client.Contracts;

/// <summary>An image that a person brought to an analysis.</summary>
/// <param name="Hash">Its name: SHA-256 of the file, 64 hex digits.</param>
/// <param name="Width">Width in pixels.</param>
/// <param name="Height">Height in pixels.</param>
/// <param name="Task">The task that explains it.</param>
public sealed record OwnImage(string Hash, int Width, int Height, TaskView Task);

/// <summary>The page of an image that a person brought.</summary>
public sealed record OwnImageView : IAnalysisView
{
    /// <summary>Kind of the task that explains an image.</summary>
    public const string TaskKind = "explain";

    /// <inheritdoc/>
    public required AnalysisSummary Analysis { get; init; }

    /// <summary>Why this analysis can look at no image, in words; null where it can.</summary>
    public string? Problem { get; init; }

    /// <summary>Name of the image; null where none is chosen.</summary>
    public string? Hash { get; init; }

    /// <summary>Whether the image itself is still kept.</summary>
    public bool Kept { get; init; }

    /// <summary>The same as the page of a sample shows; its row is −1. Null until the image is explained.</summary>
    public SampleView? Sample { get; init; }

    /// <summary>The task that explained it.</summary>
    public string? TaskId { get; init; }

    /// <summary>Concepts whose maps are there, by identifier, with the file in the task's folder.</summary>
    public IReadOnlyDictionary<int, string> Maps { get; init; } = new Dictionary<int, string>();

    /// <summary>Share of its strategy's images that lie further from the middle; null where it has none.</summary>
    public double? StrategyFit { get; init; }

    /// <summary>Share of the activation's length that the concepts leave out; null where unknown.</summary>
    public double? Residual { get; init; }

    /// <summary>Doubts, in words.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Classes whose concepts can explain it.</summary>
    public IReadOnlyList<(int Index, string Name)> Classes { get; init; } = [];

    /// <summary>Parameters of the task for an image and a class.</summary>
    /// <param name="hash">The image.</param>
    /// <param name="classIndex">Class whose concepts are used; null for that of the prediction.</param>
    public static object Parameters(string hash, int? classIndex) => new { image = hash, @class = classIndex };
}

/// <summary>Takes images that people bring and shows what the network makes of them.</summary>
public interface IOwnImageService
{
    /// <summary>Keeps an image and has it explained.</summary>
    /// <param name="analysisId">The analysis.</param>
    /// <param name="file">The whole file; decoded here, whatever it is called.</param>
    /// <param name="cancellation">Stops waiting.</param>
    /// <exception cref="ServiceException">Not an image, damaged, too large, or the analysis has no network; says what to do.</exception>
    Task<OwnImage> BringAsync(string analysisId, byte[] file, CancellationToken cancellation = default);

    /// <summary>The page of an image, or of none; null where there is no such analysis.</summary>
    /// <param name="analysisId">The analysis.</param>
    /// <param name="hash">The image; null for none.</param>
    /// <param name="classIndex">Class whose concepts explain it; null for that of the prediction.</param>
    /// <param name="cancellation">Stops reading.</param>
    Task<OwnImageView?> GetAsync(string analysisId, string? hash, int? classIndex = null, CancellationToken cancellation = default);

    /// <summary>Forgets an image with everything that was computed of it; false where there was none.</summary>
    Task<bool> DeleteAsync(string analysisId, string hash, CancellationToken cancellation = default);
}
