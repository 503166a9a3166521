using Analysis.Imaging;
using Analysis.Runs;

namespace Analysis.Atlas;

/// <summary>
/// What is known of a run before the network has seen an image: <c>atlas/run.json</c>. Pages show the classes from it while
/// they wait.
/// </summary>
public sealed record RunDescription
{
    /// <summary>Full path of the data set.</summary>
    public required string DatasetRoot { get; init; }

    /// <summary>Recognised format.</summary>
    public required string DatasetFormat { get; init; }

    /// <summary>Short name of the data set.</summary>
    public required string DatasetName { get; init; }

    /// <summary>Identity of the data set's content.</summary>
    public required string DatasetFingerprint { get; init; }

    /// <summary>Images that will be read.</summary>
    public required int Images { get; init; }

    /// <summary>Classes in order.</summary>
    public required IReadOnlyList<ClassDescription> Classes { get; init; }

    /// <summary>The network.</summary>
    public required ManifestNetwork Network { get; init; }

    /// <summary>The analysed layer.</summary>
    public required ManifestLayer Layer { get; init; }

    /// <summary>How images are prepared; pictures, crops and maps all refer to the part of the image that the network sees.</summary>
    public required Preprocessing Preprocessing { get; init; }

    /// <summary>Device at work.</summary>
    public required string Device { get; init; }

    /// <summary>Path below the result folder.</summary>
    public static string PathOf(string resultFolder) => Path.Combine(resultFolder, "atlas", "run.json");
}

/// <summary>A class before it is analysed.</summary>
/// <param name="Index">0-based.</param>
/// <param name="Name">Folder name; for a data set without classes the predicted output's name.</param>
/// <param name="DisplayName">Name for display.</param>
/// <param name="Label">Output that it maps to; null where there is none.</param>
/// <param name="Images">Images listed.</param>
public sealed record ClassDescription(int Index, string Name, string DisplayName, int? Label, int Images);
