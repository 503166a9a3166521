namespace Dashboard.Client.Contracts;

/// <summary>A page of a list.</summary>
/// <typeparam name="T">Item.</typeparam>
/// <param name="Items">The items from skip on, at most take.</param>
/// <param name="Total">Number of items in all.</param>
public sealed record Paged<T>(IReadOnlyList<T> Items, int Total);

/// <summary>One row of the list of analyses.</summary>
public sealed record AnalysisSummary
{
    /// <summary>Identifier: 12 lower-case hex digits.</summary>
    public required string Id { get; init; }

    /// <summary>Name for display.</summary>
    public required string Name { get; init; }

    /// <summary>State.</summary>
    public required AnalysisState State { get; init; }

    /// <summary>Network's name.</summary>
    public string NetworkName { get; init; } = "";

    /// <summary>False for recorded activations: what runs, changes or trains a network cannot be asked for.</summary>
    public bool HasNetwork { get; init; } = true;

    /// <summary>Analysed layer; empty while unknown.</summary>
    public string Layer { get; init; } = "";

    /// <summary>Data set's name.</summary>
    public string DatasetName { get; init; } = "";

    /// <summary>Extraction method.</summary>
    public string Method { get; init; } = "";

    /// <summary>The method with its parameters, in words; empty while unknown.</summary>
    public string MethodText { get; init; } = "";

    /// <summary>Images used; 0 while unknown.</summary>
    public int Images { get; init; }

    /// <summary>Classes; 0 while unknown.</summary>
    public int Classes { get; init; }

    /// <summary>Concepts found so far.</summary>
    public int Concepts { get; init; }

    /// <summary>Share of images predicted as their label; null where unknown.</summary>
    public double? Accuracy { get; init; }

    /// <summary>When it was asked for (UTC).</summary>
    public DateTimeOffset Created { get; init; }

    /// <summary>When it ended (UTC).</summary>
    public DateTimeOffset? Ended { get; init; }

    /// <summary>Message of a failed or cancelled analysis.</summary>
    public string? Message { get; init; }

    /// <summary>True for the built-in sample.</summary>
    public bool IsSample { get; init; }

    /// <summary>Share done in [0, 1].</summary>
    public double Share { get; init; }
}

/// <summary>What a person asks for in "New analysis", and what POST /api/analyses takes.</summary>
public sealed record NewAnalysis
{
    /// <summary>Path of the data set, below an allowed root.</summary>
    public string Dataset { get; init; } = "";

    /// <summary>Path of the weights file, below an allowed root.</summary>
    public string Network { get; init; } = "";

    /// <summary>Architecture; null to recognise it.</summary>
    public string? Architecture { get; init; }

    /// <summary>Layer; null for the suggested one.</summary>
    public string? Layer { get; init; }

    /// <summary>Class folders; null for all.</summary>
    public IReadOnlyList<string>? Classes { get; init; }

    /// <summary>Extraction method.</summary>
    public string Method { get; init; } = "unique";

    /// <summary>Largest number of concepts per class, or concepts of the whole data set's dictionary.</summary>
    public int Concepts { get; init; } = 10;

    /// <summary>What a row is: pooled, positions or crops.</summary>
    public string Granularity { get; init; } = "pooled";

    /// <summary>class or dataset: what is factorised at a time.</summary>
    public string Scope { get; init; } = "class";

    /// <summary>Concepts that each class keeps of the data set's; 0 for the usual number.</summary>
    public int PerClass { get; init; }

    /// <summary>How concepts are weighed: auto, or the name of an estimator.</summary>
    public string Importance { get; init; } = "auto";

    /// <summary>Parameters of the method by name; those left out keep their defaults.</summary>
    public IReadOnlyDictionary<string, double> Parameters { get; init; } = System.Collections.ObjectModel.ReadOnlyDictionary<string, double>.Empty;

    /// <summary>Relevance score: directional, projected or official.</summary>
    public string Relevance { get; init; } = "directional";

    /// <summary>cpu, cuda or null for the best.</summary>
    public string? Device { get; init; }

    /// <summary>Seed.</summary>
    public int Seed { get; init; }

    /// <summary>Use this many images only; null for all.</summary>
    public int? Limit { get; init; }

    /// <summary>Name for display; null for "network · data set".</summary>
    public string? Name { get; init; }
}

/// <summary>A file or folder in the path picker.</summary>
/// <param name="Name">Last segment.</param>
/// <param name="Path">Full path.</param>
/// <param name="IsFolder">Folder or file.</param>
/// <param name="Bytes">Size of a file.</param>
public sealed record FolderEntry(string Name, string Path, bool IsFolder, long Bytes);

/// <summary>A listing of one folder below an allowed root.</summary>
/// <param name="Path">The folder; empty for the list of roots.</param>
/// <param name="Parent">Its parent, null at a root.</param>
/// <param name="Entries">Folders first, then files, by name.</param>
public sealed record FolderListing(string Path, string? Parent, IReadOnlyList<FolderEntry> Entries);

/// <summary>What was recognised at a data set's path.</summary>
public sealed record DatasetPreview
{
    /// <summary>Full path.</summary>
    public required string Path { get; init; }

    /// <summary>Short name.</summary>
    public required string Name { get; init; }

    /// <summary>Recognised format.</summary>
    public required string Format { get; init; }

    /// <summary>Images found.</summary>
    public required int Images { get; init; }

    /// <summary>Class folders with their number of images.</summary>
    public required IReadOnlyList<(string Name, int Images)> Classes { get; init; }

    /// <summary>Files left out, with reasons (at most 200).</summary>
    public required IReadOnlyList<(string Path, string Reason)> Skipped { get; init; }

    /// <summary>Number of files left out in all.</summary>
    public int SkippedTotal { get; init; }

    /// <summary>Twelve sample indices spread over the data set, for pictures.</summary>
    public required IReadOnlyList<int> Examples { get; init; }

    /// <summary>Token under which the preview pictures are served.</summary>
    public required string PreviewToken { get; init; }

    /// <summary>True where it holds activations instead of images: no network is needed.</summary>
    public bool HoldsActivations { get; init; }
}

/// <summary>A layer that can be analysed.</summary>
/// <param name="Name">Layer name.</param>
/// <param name="Channels">Channels.</param>
/// <param name="Height">Height.</param>
/// <param name="Width">Width.</param>
/// <param name="NonNegative">No negative values.</param>
/// <param name="LinearHead">Importance has a closed form.</param>
/// <param name="Suggested">The suggested one.</param>
/// <param name="Note">Reason or remark.</param>
public sealed record LayerView(string Name, int Channels, int Height, int Width, bool NonNegative, bool LinearHead, bool Suggested, string Note);

/// <summary>What was recognised in a network file, with a short test on the data set.</summary>
public sealed record NetworkPreview
{
    /// <summary>Full path of the weights file.</summary>
    public required string Path { get; init; }

    /// <summary>Display name.</summary>
    public required string Name { get; init; }

    /// <summary>Architecture.</summary>
    public required string Architecture { get; init; }

    /// <summary>Number of outputs.</summary>
    public required int Outputs { get; init; }

    /// <summary>First class names (at most 20).</summary>
    public IReadOnlyList<string> ClassNames { get; init; } = [];

    /// <summary>Folders of the data set that map to an output.</summary>
    public int MappedClasses { get; init; }

    /// <summary>Folders of the data set that map to no output.</summary>
    public IReadOnlyList<string> UnmappedClasses { get; init; } = [];

    /// <summary>Layers in order.</summary>
    public required IReadOnlyList<LayerView> Layers { get; init; }

    /// <summary>How images are prepared, in words.</summary>
    public required string PreprocessingText { get; init; }

    /// <summary>Images tried.</summary>
    public int Tried { get; init; }

    /// <summary>Share of them predicted as labelled; null where nothing maps.</summary>
    public double? Accuracy { get; init; }

    /// <summary>Remark on the accuracy against the sidecar's; may be empty.</summary>
    public string AccuracyNote { get; init; } = "";

    /// <summary>Images per second of the trial, forward and head gradient together.</summary>
    public double ImagesPerSecond { get; init; }

    /// <summary>Devices that can be chosen.</summary>
    public IReadOnlyList<string> Devices { get; init; } = ["cpu"];

    /// <summary>Doubts and problems, in words.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

/// <summary>What a run will cost.</summary>
/// <param name="Seconds">Estimated time.</param>
/// <param name="MemoryBytes">Estimated peak memory.</param>
/// <param name="DiskBytes">Estimated disk use.</param>
/// <param name="FreeDiskBytes">Free disk space where the data directory lies.</param>
/// <param name="Warnings">What to know before the start.</param>
public sealed record CostEstimate(double Seconds, long MemoryBytes, long DiskBytes, long FreeDiskBytes, IReadOnlyList<string> Warnings);

/// <summary>A problem that a person can solve; the message says what is wrong and what to do.</summary>
public sealed class ServiceException(string message) : Exception(message);

/// <summary>Starts and steers analyses.</summary>
public interface IAnalysisService
{
    /// <summary>Analyses, newest first.</summary>
    Task<Paged<AnalysisSummary>> ListAsync(int skip = 0, int take = 50, CancellationToken cancellation = default);

    /// <summary>One analysis; null if there is none.</summary>
    Task<AnalysisSummary?> GetAsync(string id, CancellationToken cancellation = default);

    /// <summary>Queues an analysis.</summary>
    /// <exception cref="ServiceException">The request cannot be run; says why.</exception>
    Task<AnalysisSummary> StartAsync(NewAnalysis request, CancellationToken cancellation = default);

    /// <summary>What was asked for; null if there is no such analysis.</summary>
    Task<NewAnalysis?> RequestAsync(string id, CancellationToken cancellation = default);

    /// <summary>Stops a queued or running analysis within a second; what is done is kept.</summary>
    Task CancelAsync(string id, CancellationToken cancellation = default);

    /// <summary>Queues a cancelled or failed analysis again; it goes on from its checkpoints.</summary>
    Task ResumeAsync(string id, CancellationToken cancellation = default);

    /// <summary>Deletes an analysis and its files.</summary>
    Task DeleteAsync(string id, CancellationToken cancellation = default);

    /// <summary>The last lines of the run's log.</summary>
    Task<IReadOnlyList<string>> LogAsync(string id, int lines = 200, CancellationToken cancellation = default);

    /// <summary>Files that were left out, with reasons.</summary>
    Task<IReadOnlyList<SkippedView>> SkippedAsync(string id, CancellationToken cancellation = default);

    /// <summary>The recipe of the run as JSON: the manifest once finished, the request before.</summary>
    Task<string> ManifestAsync(string id, CancellationToken cancellation = default);
}

/// <summary>A file that was left out.</summary>
/// <param name="Path">Path below the data set's root.</param>
/// <param name="Reason">Why.</param>
public sealed record SkippedView(string Path, string Reason);

/// <summary>Looks at data sets and networks before a run.</summary>
public interface ISourceService
{
    /// <summary>Lists a folder below the allowed roots; an empty path lists the roots.</summary>
    Task<FolderListing> ListAsync(string path, CancellationToken cancellation = default);

    /// <summary>Recognises a data set.</summary>
    Task<DatasetPreview> PreviewDatasetAsync(string path, CancellationToken cancellation = default);

    /// <summary>Recognises a network and tries it on up to 200 images of the data set.</summary>
    Task<NetworkPreview> PreviewNetworkAsync(string path, string dataset, string? architecture, CancellationToken cancellation = default);

    /// <summary>Estimates the cost of a run.</summary>
    Task<CostEstimate> EstimateAsync(NewAnalysis request, DatasetPreview dataset, NetworkPreview network, CancellationToken cancellation = default);
}
