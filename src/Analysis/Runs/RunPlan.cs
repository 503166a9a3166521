using Analysis.Activations;
using Analysis.Atlas;
using Analysis.Datasets;
using Analysis.Importance;
using Analysis.Datasets.Recorded;
using Analysis.Networks;
using Analysis.Outliers;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Runs;

/// <summary>
/// A request with everything resolved: the data set opened, the network loaded, the layer chosen, the samples listed, and the
/// keys of the stages. Disposing it frees the network.
/// </summary>
public sealed class RunPlan : IDisposable
{
    /// <summary>Disk space below which spatial activations are kept: they then serve maps without a second forward pass.</summary>
    public const long KeptMapsLimit = 4L << 30;

    private const int ShardImages = 256;
    private const int RecordedShardRows = 4096;

    private static readonly HashSet<string> GenericNames = new(StringComparer.OrdinalIgnoreCase) { "images", "train", "test", "val", "validation", "data", "jpg", "img" };

    private RunPlan(AnalysisRequest request, IDataset dataset, INetwork network, LayerInfo layer, IReadOnlyList<int> samples, RunDescription description, ExtractionSpec spec)
    {
        Request = request;
        Dataset = dataset;
        Network = network;
        Layer = layer;
        Samples = samples;
        Description = description;
        Extraction = spec;
        var scan = ArtifactKey.Of("scan/1", dataset.Fingerprint, request.Classes, request.Limit);
        ActivationsKey = ArtifactKey.Of(
            "activations/1",
            scan,
            network.Sha256,
            network.Architecture,
            network.Preprocessing.Height,
            network.Preprocessing.Width,
            string.Join(',', network.Preprocessing.Mean),
            string.Join(',', network.Preprocessing.Std),
            network.Preprocessing.Resize,
            network.Preprocessing.ResizeTo,
            spec.Layers,
            spec.Depths.Select(d => $"{d.Layer}:{d.Grid}"),
            spec.KeepMaps,
            spec.BatchSize,
            spec.ShardSize,
            network.Device.type,
            request.Threads);
        DirectionsKey = ArtifactKey.Of("directions/1", ActivationsKey);
        RelevanceKey = ArtifactKey.Of("relevance/1", DirectionsKey, request.Relevance);
        var mapping = description.Classes.Select(c => $"{c.Name}:{c.Label}");
        var names = network.Classes.Select(c => c.Name);
        if (request.Method == AnalysisRequest.UniqueMethod)
        {
            ConceptsKey = request.Importance == Contributions.Automatic
                ? ArtifactKey.Of("concepts/8", RelevanceKey, request.Method, request.Concepts, request.Seed, mapping, names)
                : ArtifactKey.Of("concepts/8", RelevanceKey, request.Method, request.Concepts, request.Seed, mapping, names, request.Importance);
        }
        else
        {
            CropsKey = request.Granularity == "crops" ? ArtifactKey.Of("crops/1", ActivationsKey, description.Classes.Select(c => c.Name)) : null;
            FactorsKey = ArtifactKey.Of(
                // 2: more centroids than channels.
                request.Method == "kmeans" ? "factors/2" : "factors/1",
                CropsKey ?? ActivationsKey,
                request.Method,
                request.Parameters.OrderBy(p => p.Key, StringComparer.Ordinal).Select(p => FormattableString.Invariant($"{p.Key}={p.Value:R}")),
                request.Concepts,
                request.Granularity,
                request.Scope,
                request.Seed,
                description.Classes.Select(c => c.Name));
            // 4: effect of a unit of a signed coefficient.
            ConceptsKey = ArtifactKey.Of("factor-concepts/4", FactorsKey, request.MostPerClass, request.Importance, mapping, names);
        }

        OutliersKey = ArtifactKey.Of("outliers/3", ConceptsKey);
    }

    /// <summary>The request with its defaults filled in.</summary>
    public AnalysisRequest Request { get; }

    /// <summary>The data set.</summary>
    public IDataset Dataset { get; }

    /// <summary>The network.</summary>
    public INetwork Network { get; }

    /// <summary>The layer to analyse.</summary>
    public LayerInfo Layer { get; }

    /// <summary>Indices into the data set's samples that will be read, ascending.</summary>
    public IReadOnlyList<int> Samples { get; }

    /// <summary>What pages show before the first image is seen.</summary>
    public RunDescription Description { get; }

    /// <summary>What the pass over the data set records.</summary>
    public ExtractionSpec Extraction { get; }

    /// <summary>Key of the recorded activations.</summary>
    public string ActivationsKey { get; }

    /// <summary>Key of the singular directions.</summary>
    public string DirectionsKey { get; }

    /// <summary>Key of the relevance of directions.</summary>
    public string RelevanceKey { get; }

    /// <summary>Key of the recorded crops; null for another granularity.</summary>
    public string? CropsKey { get; }

    /// <summary>Key of the factorisation; null for unique concepts.</summary>
    public string? FactorsKey { get; }

    /// <summary>Key of the classes' concepts.</summary>
    public string ConceptsKey { get; }

    /// <summary>Key of the outlier scores.</summary>
    public string OutliersKey { get; }

    /// <summary>True where the data set has no class folders: classes are then the predicted outputs.</summary>
    public bool ClassesArePredictions => Dataset.Classes.Count == 0;

    /// <summary>Resolves a request.</summary>
    /// <param name="request">What is asked for.</param>
    /// <param name="layers">Layers to record, the first to analyse; null for the request's layer.</param>
    /// <param name="instrument">Wraps the loaded network; null to use it as it is.</param>
    /// <exception cref="AnalysisException">Something in the request cannot be used; names it and the remedy.</exception>
    public static RunPlan Create(AnalysisRequest request, IReadOnlyList<string>? layers = null, Func<INetwork, INetwork>? instrument = null)
    {
        Validate(request);
        // Loading and testing libtorch takes as long as listing a data set.
        TorchRuntime.Prepare();
        var opening = Task.Run(() => DatasetLoader.Open(request.Dataset));
        var device = ComputeDevice.Choose(request.Device);
        // Results depend on the number of threads in the last bits, so that it belongs to the request.
        var threads = request.Threads > 0 ? request.Threads : Environment.ProcessorCount;
        set_num_threads(threads);
        var dataset = opening.GetAwaiter().GetResult();
        var network = Open(request, dataset, device);
        network = instrument?.Invoke(network) ?? network;
        try
        {
            var layer = ChooseLayer(network, layers?[0] ?? request.Layer);
            var others = layers?.Skip(1).Select(l => ChooseLayer(network, l).Name) ?? [];
            var samples = ChooseSamples(dataset, request);
            ConceptOptions.Refuse(request, network, layer);
            var batch = request.BatchSize > 0 ? request.BatchSize : BatchSizeFor(network);
            var bytes = 2L * samples.Count * layer.Channels * layer.Height * layer.Width;
            var spec = new ExtractionSpec
            {
                Layers = [layer.Name, .. others],
                Depths = OutlierDepths.Choose(network.Layers),
                // Recorded activations are read from their file; keeping them again would serve nothing.
                KeepMaps = dataset is not IRecordedActivations && bytes <= KeptMapsLimit,
                BatchSize = batch,
                ShardSize = Math.Max(1, (dataset is IRecordedActivations ? RecordedShardRows : ShardImages) / batch) * batch,
            };
            var resolved = request with
            {
                Architecture = network.Architecture,
                Layer = layer.Name,
                Device = device.type == DeviceType.CUDA ? "cuda" : "cpu",
                Threads = threads,
                BatchSize = batch,
                PerClass = request.Scope == "dataset" ? request.MostPerClass : 0,
                Parameters = ConceptOptions.Complete(request),
            };
            return new RunPlan(resolved, dataset, network, layer, samples, Describe(dataset, network, layer, samples, resolved), spec);
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Network.Dispose();

    /// <summary>The network of a request; for a data set of activations the head that belongs to them.</summary>
    /// <exception cref="AnalysisException">There is none to load, or one too many.</exception>
    public static INetwork Open(AnalysisRequest request, IDataset dataset, Device device) => (dataset, request.Network) switch
    {
        (IRecordedActivations recorded, "") => RecordedNetwork.Create(recorded, device),
        (IRecordedActivations, _) => throw new AnalysisException(
            $"{dataset.Name} holds activations, so that the network {Path.GetFileName(request.Network)} has nothing to look at.", "Leave out the network, or give images as the data set."),
        (_, "") => throw new AnalysisException(
            "No network was named.", "Give its weights with --network, or a file of precomputed activations (.npz or .safetensors) as the data set."),
        _ => NetworkLoader.Load(request.Network, request.Architecture, device),
    };

    private static void Validate(AnalysisRequest request)
    {
        ConceptOptions.Validate(request);
        if (request.Limit is < 1)
        {
            throw new AnalysisException($"A limit of {request.Limit} images leaves nothing to analyse.", "Choose at least 1, or leave it out for all.");
        }

        if (request.Relevance is not ("directional" or "projected" or "official"))
        {
            throw new AnalysisException($"The relevance score '{request.Relevance}' is not known.", "Choose directional, projected or official.");
        }

        if (request.BatchSize is < 0 or > 4096 || request.Threads is < 0 or > 1024)
        {
            throw new AnalysisException($"A batch of {request.BatchSize} images on {request.Threads} threads is not possible.", "Use 0 for the defaults.");
        }
    }

    private static LayerInfo ChooseLayer(INetwork network, string? name)
    {
        if (network.Layers.Count == 0)
        {
            throw new AnalysisException($"{network.Name} shows no layer whose activations can be read.", "Use weights as safetensors or .pth with a supported architecture.");
        }

        return name is null
            ? network.Layers.FirstOrDefault(l => l.Suggested) ?? network.Layers[^1]
            : network.Layers.FirstOrDefault(l => l.Name == name)
                ?? throw new AnalysisException($"{network.Name} has no layer '{name}'.", $"Choose one of: {string.Join(", ", network.Layers.Select(l => l.Name))}.");
    }

    private static int BatchSizeFor(INetwork network)
    {
        if (network is RecordedNetwork)
        {
            // Nothing is decoded and no backbone runs: large parts, as long as spatial extents allow.
            return Math.Clamp(1024 / (network.Layers[0].Height * network.Layers[0].Width), 16, 1024);
        }

        var pixels = network.Preprocessing.Height * network.Preprocessing.Width;
        return pixels <= 64 * 64 ? 64 : pixels <= 160 * 160 ? 32 : 16;
    }

    private static IReadOnlyList<int> ChooseSamples(IDataset dataset, AnalysisRequest request)
    {
        var wanted = request.Classes is { Count: > 0 } classes ? new HashSet<string>(classes, StringComparer.Ordinal) : null;
        if (wanted is not null && wanted.Except(dataset.Classes).FirstOrDefault() is { } unknown)
        {
            throw new AnalysisException(
                $"The data set {dataset.Name} has no class '{unknown}'.",
                dataset.Classes.Count == 0 ? "It has no class folders." : $"It has: {string.Join(", ", dataset.Classes.Take(20))}{(dataset.Classes.Count > 20 ? ", …" : "")}.");
        }

        var all = Enumerable.Range(0, dataset.Samples.Count).Where(i => wanted is null || wanted.Contains(dataset.Samples[i].ClassName)).ToArray();
        if (all.Length == 0)
        {
            throw new AnalysisException($"The data set {dataset.Root} has no images to analyse.", "Give a folder with one folder of images per class, a folder of images, or CIFAR binary files.");
        }

        return request.Limit is not { } limit || limit >= all.Length ? all : Spread(dataset, all, limit);
    }

    /// <summary>The first images of every class, as many of each as the limit allows, in order.</summary>
    private static int[] Spread(IDataset dataset, int[] all, int limit)
    {
        var groups = all.GroupBy(i => dataset.Samples[i].ClassName).Select(g => g.ToArray()).ToArray();
        var taken = new List<int>(limit);
        for (var round = 0; taken.Count < limit; round++)
        {
            foreach (var group in groups)
            {
                if (round < group.Length && taken.Count < limit)
                {
                    taken.Add(group[round]);
                }
            }
        }

        taken.Sort();
        return [.. taken];
    }

    /// <summary>"cifar10/test" says more than "test".</summary>
    private static string NameOf(IDataset dataset) =>
        GenericNames.Contains(dataset.Name) && Path.GetFileName(Path.GetDirectoryName(dataset.Root)) is { Length: > 0 } parent ? $"{parent}/{dataset.Name}" : dataset.Name;

    private static RunDescription Describe(IDataset dataset, INetwork network, LayerInfo layer, IReadOnlyList<int> samples, AnalysisRequest request)
    {
        IReadOnlyList<ClassDescription> classes;
        if (dataset.Classes.Count == 0)
        {
            classes = [.. OutputNames.All(network).Select((name, i) => new ClassDescription(i, name, name, i, 0))];
        }
        else
        {
            var images = samples.GroupBy(i => dataset.Samples[i].ClassName).ToDictionary(g => g.Key, g => g.Count());
            var names = dataset.Classes.Where(images.ContainsKey).ToList();
            var outputs = ClassMapping.Map(names, network.Classes);
            classes = [.. names.Select((name, i) => new ClassDescription(
                i, name, outputs[i] >= 0 ? network.Classes[outputs[i]].Name : name, outputs[i] >= 0 ? outputs[i] : null, images[name]))];
        }

        return new RunDescription
        {
            DatasetRoot = dataset.Root,
            DatasetFormat = dataset.Format,
            DatasetName = NameOf(dataset),
            DatasetFingerprint = dataset.Fingerprint,
            Images = samples.Count,
            Classes = classes,
            Network = new ManifestNetwork(network.Name, network.Sha256, network.Architecture, network.Classes.Count == 0 ? [] : OutputNames.All(network)),
            Layer = new ManifestLayer(layer.Name, layer.Channels, layer.Height, layer.Width),
            Preprocessing = network.Preprocessing,
            Device = request.Device == "cuda" ? "cuda" : FormattableString.Invariant($"cpu ({request.Threads} threads)"),
        };
    }
}
