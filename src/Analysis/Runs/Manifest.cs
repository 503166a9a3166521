namespace Analysis.Runs;

/// <summary>The recipe and summary of a finished run: <c>manifest.json</c> (docs/file-formats.md, result folder, version 1).</summary>
public sealed record Manifest
{
    /// <summary>Version of the result folder.</summary>
    public int FormatVersion { get; init; } = 1;

    /// <summary>Identity of the run: the key of its last stage.</summary>
    public required string Id { get; init; }

    /// <summary>When it was finished (UTC).</summary>
    public required DateTimeOffset Created { get; init; }

    /// <summary>Engine's name and version.</summary>
    public required string Engine { get; init; }

    /// <summary>The request, with every default filled in.</summary>
    public required AnalysisRequest Request { get; init; }

    /// <summary>Artefact keys by stage.</summary>
    public required IReadOnlyDictionary<string, string> Keys { get; init; }

    /// <summary>The data set.</summary>
    public required ManifestDataset Dataset { get; init; }

    /// <summary>The network.</summary>
    public required ManifestNetwork Network { get; init; }

    /// <summary>The layer.</summary>
    public required ManifestLayer Layer { get; init; }

    /// <summary>Device, for example <c>cpu</c>.</summary>
    public required string Device { get; init; }

    /// <summary>Stages with their time in this run.</summary>
    public required IReadOnlyList<ManifestStage> Stages { get; init; }

    /// <summary>Files left out.</summary>
    public required IReadOnlyList<ManifestSkipped> Skipped { get; init; }

    /// <summary>Figures: accuracy, concepts, classes, outliers, …</summary>
    public required IReadOnlyDictionary<string, double> Metrics { get; init; }
}

/// <summary>Data set of a manifest.</summary>
/// <param name="Name">Short name.</param>
/// <param name="Fingerprint">Identity of the content.</param>
/// <param name="Images">Images used.</param>
/// <param name="Classes">Class names in order.</param>
public sealed record ManifestDataset(string Name, string Fingerprint, int Images, IReadOnlyList<string> Classes);

/// <summary>Network of a manifest.</summary>
/// <param name="Name">Display name.</param>
/// <param name="Sha256">SHA-256 of the weights file.</param>
/// <param name="Architecture">Architecture.</param>
/// <param name="Outputs">Names of the outputs in order; empty where unknown.</param>
public sealed record ManifestNetwork(string Name, string Sha256, string Architecture, IReadOnlyList<string> Outputs);

/// <summary>Layer of a manifest.</summary>
/// <param name="Name">Layer name.</param>
/// <param name="Channels">Channels.</param>
/// <param name="Height">Height.</param>
/// <param name="Width">Width.</param>
public sealed record ManifestLayer(string Name, int Channels, int Height, int Width);

/// <summary>A stage of a manifest.</summary>
/// <param name="Name">Stage.</param>
/// <param name="Seconds">Seconds in the run that finished it.</param>
/// <param name="Items">Items.</param>
public sealed record ManifestStage(string Name, double Seconds, long Items);

/// <summary>A file that was left out.</summary>
/// <param name="Path">Path below the root.</param>
/// <param name="Reason">Why.</param>
public sealed record ManifestSkipped(string Path, string Reason);
