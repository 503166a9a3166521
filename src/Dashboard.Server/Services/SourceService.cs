using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text.Json;
using Analysis;
using Analysis.Datasets;
using Analysis.Datasets.Recorded;
using Analysis.Imaging;
using Analysis.Networks;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Dashboard.Server.Images;
using Dashboard.Server.Jobs;
using Microsoft.Extensions.Options;

namespace Dashboard.Server.Services;

/// <summary>
/// Looks at data sets and networks before a run. Networks are inspected in a process of their own: a wrong call inside the
/// tensor library would end it, and not the site.
/// </summary>
internal sealed class SourceService(AllowedRoots roots, OpenDatasets datasets, DataFolders folders, IOptions<DashboardOptions> options) : ISourceService
{
    private const int MostEntries = 5000;
    private const int MostSkipped = 200;
    private const int MostPreviews = 100;
    private const int Examples = 12;
    private const int MostEarlierRuns = 24;
    private const long MostManifestBytes = 4 << 20;
    private readonly ConcurrentDictionary<string, (string Dataset, DateTimeOffset Made)> _previews = new();
    private readonly ConcurrentDictionary<string, Preprocessing> _preprocessing = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _inspections = new(1);

    public Task<FolderListing> ListAsync(string path, CancellationToken cancellation = default)
    {
        if (string.IsNullOrWhiteSpace(path))
        {
            var all = roots.Roots.Append(folders.Sample).Append(AllowedRoots.SampleNetworkFolder).Where(Directory.Exists).Distinct();
            return Task.FromResult(new FolderListing("", null, [.. all.Select(root => new FolderEntry(Path.GetFileName(root) is { Length: > 0 } name ? name : root, root, true, 0))]));
        }

        return Task.Run(() => List(roots.Require(path), path), cancellation);
    }

    public async Task<DatasetPreview> PreviewDatasetAsync(string path, CancellationToken cancellation = default)
    {
        var real = roots.Require(path);
        datasets.Forget(real);
        IDataset dataset;
        try
        {
            dataset = await datasets.GetAsync(real, cancellation);
        }
        catch (AnalysisException fault)
        {
            throw new ServiceException(fault.Message);
        }

        var token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        _previews[token] = (real, DateTimeOffset.UtcNow);
        while (_previews.Count > MostPreviews)
        {
            _previews.TryRemove(_previews.MinBy(pair => pair.Value.Made).Key, out _);
        }

        var counts = dataset.Samples.GroupBy(sample => sample.ClassName).ToDictionary(group => group.Key, group => group.Count());
        var total = dataset.Samples.Count;
        return new DatasetPreview
        {
            Path = real,
            Name = dataset.Name,
            Format = dataset.Format,
            Images = total,
            Classes = [.. dataset.Classes.Select(name => (name, counts.GetValueOrDefault(name)))],
            Skipped = [.. dataset.Skipped.Take(MostSkipped).Select(file => (file.Path, file.Reason))],
            SkippedTotal = dataset.Skipped.Count,
            Examples = [.. Enumerable.Range(0, Math.Min(Examples, total)).Select(position => (int)((long)position * total / Math.Min(Examples, total)))],
            PreviewToken = token,
            HoldsActivations = dataset is IRecordedActivations,
        };
    }

    public async Task<NetworkPreview> PreviewNetworkAsync(string path, string dataset, string? architecture, CancellationToken cancellation = default)
    {
        var recorded = string.IsNullOrWhiteSpace(path) && !string.IsNullOrWhiteSpace(dataset) && DatasetLoader.HoldsActivations(roots.Require(dataset));
        var network = recorded ? "" : roots.Require(path);
        if (!recorded && !File.Exists(network))
        {
            throw new ServiceException($"'{path}' is not a file. Give the file with the network's weights.");
        }

        var arguments = new List<string> { "inspect" };
        if (!recorded)
        {
            arguments.AddRange(["--network", network]);
        }

        if (!string.IsNullOrWhiteSpace(dataset))
        {
            arguments.AddRange(["--dataset", roots.Require(dataset)]);
        }

        if (!string.IsNullOrWhiteSpace(architecture))
        {
            // In one piece: whatever a person gives stays a value, and is never an option of its own.
            arguments.Add("--architecture=" + architecture);
        }

        await _inspections.WaitAsync(cancellation);
        Report report;
        try
        {
            var answer = await ChildProcess.RunAsync(arguments, TimeSpan.FromSeconds(options.Value.InspectSeconds), cancellation);
            if (answer.ExitCode != 0)
            {
                throw new ServiceException(answer.ExitCode == ChildProcess.TimedOut
                    ? $"'{Path.GetFileName(recorded ? dataset : path)}' was not inspected within {options.Value.InspectSeconds:0} seconds. Try it on a smaller data set, or raise Dashboard:InspectSeconds."
                    : answer.Error.Length > 0
                        ? answer.Error
                        : $"The inspection of '{Path.GetFileName(recorded ? dataset : path)}' ended with code {answer.ExitCode}: the file may be damaged or too large for the memory.");
            }

            report = JsonSerializer.Deserialize<Report>(answer.Output, Json.Options) ?? throw new JsonException("it is empty");
        }
        catch (JsonException fault)
        {
            throw new ServiceException($"The inspection gave no readable answer: {fault.Message}");
        }
        finally
        {
            _inspections.Release();
        }

        _preprocessing[network] = report.Preprocessing;
        return new NetworkPreview
        {
            Path = network,
            Name = report.Name,
            Architecture = report.Architecture,
            Outputs = report.Outputs,
            ClassNames = report.ClassNames,
            MappedClasses = report.MappedClasses,
            UnmappedClasses = report.UnmappedClasses,
            Layers =
            [
                .. report.Layers.Select(layer => new LayerView(
                    layer.Name, layer.Channels, layer.Height, layer.Width, layer.Sign == ActivationSign.NonNegative, layer.LinearHead, layer.Suggested, layer.Note)),
            ],
            PreprocessingText = report.PreprocessingText,
            Tried = report.Tried,
            Accuracy = report.Accuracy,
            AccuracyNote = report.AccuracyNote,
            ImagesPerSecond = report.ImagesPerSecond,
            Devices = report.Devices,
            Notes = report.Notes,
        };
    }

    public async Task<CostEstimate> EstimateAsync(NewAnalysis request, DatasetPreview dataset, NetworkPreview network, CancellationToken cancellation = default)
    {
        var images = request.Limit is { } limit ? Math.Min(limit, dataset.Images) : dataset.Images;
        if (request.Classes is { Count: > 0 } chosen)
        {
            var named = chosen.ToHashSet(StringComparer.Ordinal);
            images = Math.Min(images, dataset.Classes.Where(entry => named.Contains(entry.Name)).Sum(entry => entry.Images));
        }

        var layer = network.Layers.FirstOrDefault(entry => entry.Name == request.Layer)
            ?? network.Layers.FirstOrDefault(entry => entry.Suggested) ?? network.Layers[^1];
        var classes = Math.Max(1, request.Classes is { Count: > 0 } ? request.Classes.Count : dataset.Classes.Count);
        long channels = layer.Channels, cells = (long)layer.Height * layer.Width;
        var run = new RunTime
        {
            Images = images,
            Classes = classes,
            Channels = channels,
            Cells = Math.Max(1, cells),
            Method = request.Method,
            Granularity = request.Granularity,
            Scope = request.Scope,
            Concepts = request.Concepts,
        };
        var seconds = run.Seconds(network.ImagesPerSecond, await Task.Run(() => RunTime.Factor(EarlierRuns()), cancellation));
        var atOnce = request.Scope == "dataset" ? run.Rows : run.Rows / classes;
        var fitMemory = request.Method == Analysis.Runs.AnalysisRequest.UniqueMethod ? 0 : (long)Math.Min(atOnce * channels * 8, 2L << 30);
        // Maps in half precision unless they would exceed 4 GiB, pooled activations and gradients, logits, coarse grids at several
        // depths, and one byte for each cell of each concept map.
        var maps = images * channels * cells * 2;
        var disk = (maps > 4L << 30 ? 0 : maps) + (images * ((channels * 12) + (network.Outputs * 4L) + 100_000 + (cells * request.Concepts)));
        // Libraries and weights, a batch with its activations, second moments, and one class's maps.
        var memory = (700L << 20) + fitMemory + (64 * channels * cells * 4 * 8) + (channels * channels * 8 * 6) + (images / classes * channels * cells * 2);
        var free = Disk.FreeBytes(folders.Root);
        var warnings = new List<string>();
        if (free > 0 && disk > free)
        {
            warnings.Add($"The disk has {free / 1e9:0.0} GB free; the run needs about {disk / 1e9:0.0} GB. Use fewer images or another data directory.");
        }

        var available = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        if (memory > available)
        {
            warnings.Add($"The run needs about {memory / 1e9:0.0} GB of memory; this machine has {available / 1e9:0.0} GB. Choose a layer with fewer channels or positions.");
        }

        if (dataset.Classes.Count > 0 && images / classes < 20)
        {
            warnings.Add($"About {images / classes} images a class are few: concepts from less than 20 images are seldom stable.");
        }

        if (network.UnmappedClasses.Count > 0)
        {
            warnings.Add($"{network.UnmappedClasses.Count:N0} folders match no output of the network; their images have no label.");
        }

        return new CostEstimate(seconds, memory, disk, free, warnings);
    }

    /// <summary>Recipes of the runs that were finished here, the latest first; a few, as they are asked for.</summary>
    private IEnumerable<Analysis.Runs.Manifest> EarlierRuns() => !Directory.Exists(folders.Runs) ? [] : new DirectoryInfo(folders.Runs).EnumerateDirectories()
        .Select(folder => new FileInfo(Path.Combine(folder.FullName, "manifest.json"))).Where(file => file.Exists && file.Length < MostManifestBytes)
        .OrderByDescending(file => file.LastWriteTimeUtc).Take(MostEarlierRuns)
        .Select(file => RunFiles.Manifest(file.DirectoryName!)).OfType<Analysis.Runs.Manifest>();

    /// <summary>What a preview token stands for; null where it is unknown. The network's preparation is known once it was inspected.</summary>
    public (string Dataset, Preprocessing? Preprocessing)? PreviewPlace(string token, string? network)
    {
        if (!_previews.TryGetValue(token, out var preview))
        {
            return null;
        }

        Preprocessing? preprocessing = null;
        if (!string.IsNullOrEmpty(network))
        {
            try
            {
                _preprocessing.TryGetValue(roots.Require(network), out preprocessing);
            }
            catch (ServiceException)
            {
                return null;
            }
        }

        return (preview.Dataset, preprocessing);
    }

    private FolderListing List(string real, string asked)
    {
        if (!Directory.Exists(real))
        {
            throw new ServiceException($"'{asked}' is a file, not a folder.");
        }

        var entries = new List<FolderEntry>();
        try
        {
            foreach (var entry in new DirectoryInfo(real).EnumerateFileSystemInfos("*", new EnumerationOptions { AttributesToSkip = FileAttributes.None, IgnoreInaccessible = true }))
            {
                if (entry.Name.StartsWith('.') || entries.Count >= MostEntries)
                {
                    continue;
                }

                // A link counts as what it leads to, and only where that may be read.
                var target = entry.LinkTarget is null ? entry.FullName : AllowedRoots.Resolve(entry.FullName);
                if (target is null || !roots.IsBelow(target))
                {
                    continue;
                }

                var isFolder = Directory.Exists(target);
                if (isFolder || File.Exists(target))
                {
                    entries.Add(new FolderEntry(entry.Name, target, isFolder, isFolder ? 0 : new FileInfo(target).Length));
                }
            }
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new ServiceException($"The folder '{asked}' cannot be read: {fault.Message} Give this user the right to read it.");
        }

        var parent = roots.Roots.Contains(real) || Path.GetDirectoryName(real) is not { } above || !roots.IsBelow(above) ? null : above;
        return new FolderListing(
            real, parent, [.. entries.OrderByDescending(entry => entry.IsFolder).ThenBy(entry => entry.Name, StringComparer.OrdinalIgnoreCase)]);
    }

    /// <summary>What <c>inspect</c> prints.</summary>
    private sealed record Report
    {
        public required string Name { get; init; }

        public required string Architecture { get; init; }

        public required int Outputs { get; init; }

        public IReadOnlyList<string> ClassNames { get; init; } = [];

        public int MappedClasses { get; init; }

        public IReadOnlyList<string> UnmappedClasses { get; init; } = [];

        public required IReadOnlyList<LayerInfo> Layers { get; init; }

        public required Preprocessing Preprocessing { get; init; }

        public string PreprocessingText { get; init; } = "";

        public int Tried { get; init; }

        public double? Accuracy { get; init; }

        public string AccuracyNote { get; init; } = "";

        public double ImagesPerSecond { get; init; }

        public IReadOnlyList<string> Devices { get; init; } = ["cpu"];

        public IReadOnlyList<string> Notes { get; init; } = [];
    }
}
