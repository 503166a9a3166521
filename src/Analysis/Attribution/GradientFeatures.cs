using System.Globalization;
using System.Text.Json;
using Analysis.Datasets;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Attribution;

/// <summary>Which gradients are taken, and how they become features.</summary>
public sealed record FeatureOptions
{
    /// <summary>How gradients are projected.</summary>
    public ProjectionKind Projection { get; init; }

    /// <summary>Number of features k.</summary>
    public int Dimensions { get; init; } = 512;

    /// <summary>Entries of the random matrices.</summary>
    public ProjectionEntries Entries { get; init; }

    /// <summary>Seed of the random matrices.</summary>
    public long Seed { get; init; }

    /// <summary>Parameters up to and with this layer; null for all.</summary>
    public string? Through { get; init; }

    /// <summary>Only parameters behind this layer; null for all.</summary>
    public string? From { get; init; }

    /// <summary>Images that go through the network together.</summary>
    public int BatchSize { get; init; } = 32;

    /// <summary>Most bytes of gradients held at a time.</summary>
    public long MemoryLimit { get; init; } = 384L << 20;
}

/// <summary>Rows of features that are read part by part.</summary>
public interface IFeatureRows
{
    /// <summary>Number of rows n.</summary>
    int Count { get; }

    /// <summary>Number of features k.</summary>
    int Dimensions { get; }

    /// <summary>Consecutive rows, float64; belongs to the caller.</summary>
    Tensor Read(int start, int count);
}

/// <summary>Rows of a tensor.</summary>
/// <param name="values">n×k, any real dtype; not owned.</param>
public sealed class TensorRows(Tensor values) : IFeatureRows
{
    /// <inheritdoc/>
    public int Count => (int)values.shape[0];

    /// <inheritdoc/>
    public int Dimensions => (int)values.shape[1];

    /// <inheritdoc/>
    public Tensor Read(int start, int count)
    {
        using var part = values.narrow(0, start, count);
        return part.to(ScalarType.Float64).alias();
    }
}

/// <summary>Makes TRAK's features, Pᵀ∇f/√p with p parameters, of single images or of a data set (METHODS 4.2).</summary>
public static class GradientFeatures
{
    /// <summary>Images of a shard, which is a checkpoint.</summary>
    public const int ShardSize = 256;

    /// <summary>Gradients of some images in one go.</summary>
    /// <param name="network">The network.</param>
    /// <param name="images">N×3×H×W on its device.</param>
    /// <param name="output">f of each image from the logits, or from the activation where the network stops at a layer.</param>
    /// <param name="stop">Layer to stop at; null for the logits.</param>
    /// <param name="options">Which gradients.</param>
    /// <param name="use">Receives the tape after the backward pass.</param>
    /// <returns>f, N float64 on the CPU.</returns>
    public static double[] Backward(GradientNetwork network, Tensor images, Func<Tensor, Tensor> output, string? stop, FeatureOptions options, Action<ParameterTape> use)
    {
        using var scope = NewDisposeScope();
        using var grad = enable_grad();
        using var tape = new ParameterTape();
        var result = network.Run(images, tape, stop, options.From, options.Through);
        var values = output(result);
        tape.Backward(values);
        use(tape);
        return values.detach().to(ScalarType.Float64).cpu().data<double>().ToArray();
    }

    /// <summary>Number of parameters p that take part.</summary>
    public static long ParameterCount(GradientNetwork network, FeatureOptions options)
    {
        using var scope = NewDisposeScope();
        using var grad = enable_grad();
        using var tape = new ParameterTape();
        var shape = network.Preprocessing;
        using var result = network.Run(zeros([1, 3, shape.Height, shape.Width], ScalarType.Float32, network.Device), tape, options.Through, options.From);
        return PerSampleGradients.Parameters(tape).Sum(p => p.Size);
    }

    /// <summary>Features of some images that fit into memory.</summary>
    /// <param name="network">The network.</param>
    /// <param name="images">N×3×H×W.</param>
    /// <param name="output">f of each image from the logits (or the layer's activation) and the images' numbers (int64).</param>
    /// <param name="stop">Layer to stop at; null for the logits.</param>
    /// <param name="options">Which gradients.</param>
    /// <returns>N×k float32 on the CPU, belongs to the caller; and f.</returns>
    public static (Tensor Features, double[] Values) Of(GradientNetwork network, Tensor images, Func<Tensor, Tensor, Tensor> output, string? stop, FeatureOptions options)
    {
        var count = ParameterCount(network, options);
        var projector = GradientProjector.Create(options.Projection, options.Dimensions, options.Entries, options.Seed);
        var values = new List<double>();
        var parts = new List<Tensor>();
        var pass = RowsOfPass(projector, count, options);
        for (var start = 0; start < images.shape[0]; start += pass)
        {
            var rows = (int)Math.Min(pass, images.shape[0] - start);
            projector.Begin(rows, images.dtype, network.Device);
            for (var first = 0; first < rows; first += options.BatchSize)
            {
                using var scope = NewDisposeScope();
                var size = Math.Min(options.BatchSize, rows - first);
                var batch = images.narrow(0, start + first, size).to(network.Device);
                var at = first;
                var index = arange(Scalars.Of(start + first), Scalars.Of(start + first + size), Scalars.One, ScalarType.Int64, network.Device);
                values.AddRange(Backward(network, batch, result => output(result, index), stop, options, tape => projector.Add(tape, at)));
            }

            parts.Add(Scaled(projector, count));
        }

        var all = cat(parts, 0);
        parts.ForEach(p => p.Dispose());
        return (all, [.. values]);
    }

    /// <summary>Path of a shard.</summary>
    public static string ShardPath(string folder, int shard) =>
        Path.Combine(folder, "shard-" + shard.ToString("00000", CultureInfo.InvariantCulture) + ".safetensors");

    /// <summary>Content address of the features of a data set.</summary>
    /// <param name="network">The network.</param>
    /// <param name="dataset">The data set.</param>
    /// <param name="samples">Indices of its samples that take part.</param>
    /// <param name="labels">Output of each.</param>
    /// <param name="options">Which gradients.</param>
    public static string Key(GradientNetwork network, IDataset dataset, IReadOnlyList<int> samples, IReadOnlyList<int> labels, FeatureOptions options) => ArtifactKey.Of(
        "gradient-features/1",
        dataset.Fingerprint,
        samples.Zip(labels, (s, l) => FormattableString.Invariant($"{s}:{l}")),
        network.Sha256,
        network.Architecture,
        network.Preprocessing.Height,
        network.Preprocessing.Width,
        string.Join(',', network.Preprocessing.Mean),
        string.Join(',', network.Preprocessing.Std),
        network.Preprocessing.Resize,
        network.Preprocessing.ResizeTo,
        network.Device.type,
        get_num_threads(),
        options.Projection,
        options.Dimensions,
        options.Entries,
        options.Seed,
        options.Through ?? "",
        options.From ?? "",
        options.BatchSize);

    /// <summary>
    /// Features of the task margin of every image of a data set, in shards below a folder. A shard that is there is not made again, and
    /// batches never cross shards, so that an interrupted pass goes on and gives the same bytes. Memory is bounded by a shard.
    /// </summary>
    /// <param name="network">The network.</param>
    /// <param name="dataset">The data set.</param>
    /// <param name="samples">Indices of its samples, in the order of the rows.</param>
    /// <param name="labels">Output whose margin is taken for each; −1 for the predicted one.</param>
    /// <param name="options">Which gradients.</param>
    /// <param name="folder">The artefact's folder.</param>
    /// <param name="progress">Called with the number of samples done.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    /// <returns>The features; belongs to the caller.</returns>
    /// <exception cref="AnalysisException">Gradients are not finite, no image can be read, or the disk is full.</exception>
    public static FeatureStore Extract(
        GradientNetwork network, IDataset dataset, IReadOnlyList<int> samples, IReadOnlyList<int> labels, FeatureOptions options, string folder, Action<int> progress, CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder);
        var shards = (samples.Count + ShardSize - 1) / ShardSize;
        var count = ParameterCount(network, options);
        var projector = GradientProjector.Create(options.Projection, options.Dimensions, options.Entries, options.Seed);
        var loader = new BatchLoader(dataset, network.Preprocessing);
        for (var shard = 0; shard < shards; shard++)
        {
            var start = shard * ShardSize;
            var size = Math.Min(ShardSize, samples.Count - start);
            if (!File.Exists(ShardPath(folder, shard)))
            {
                ExtractShard(network, loader, dataset, samples, labels, options, projector, count, start, size, ShardPath(folder, shard), progress, cancellation);
            }

            progress(start + size);
        }

        return new FeatureStore(folder, shards);
    }

    private static void ExtractShard(
        GradientNetwork network, BatchLoader loader, IDataset dataset, IReadOnlyList<int> samples, IReadOnlyList<int> labels, FeatureOptions options, GradientProjector projector, long parameters,
        int start, int size, string path, Action<int> progress, CancellationToken cancellation)
    {
        var (positions, margins, hashes, skipped) = (new List<long>(), new List<double>(), new List<byte>(), new List<SkippedFile>());
        var parts = new List<Tensor>();
        var pass = RowsOfPass(projector, parameters, options);
        var indices = Enumerable.Range(start, size).Select(p => samples[p]).ToArray();
        try
        {
            for (var first = 0; first < size; first += pass)
            {
                var wanted = indices.AsSpan(first, Math.Min(pass, size - first)).ToArray();
                var rows = 0;
                projector.Begin(wanted.Length, ScalarType.Float32, network.Device);
                foreach (var loaded in loader.Load(wanted, options.BatchSize, cancellation))
                {
                    using var batch = loaded;
                    using var scope = NewDisposeScope();
                    cancellation.ThrowIfCancellationRequested();
                    skipped.AddRange(batch.Skipped);
                    if (batch.Rows.Count == 0)
                    {
                        continue;
                    }

                    var at = Places(wanted, batch).Select(p => start + first + p).ToArray();
                    var input = network.Preprocessing;
                    var images = tensor(batch.Values.ToArray(), [batch.Rows.Count, 3, input.Height, input.Width]).to(network.Device);
                    var chosen = tensor(at.Select(p => (long)labels[p]).ToArray(), device: network.Device);
                    var row = rows;
                    margins.AddRange(Backward(
                        network,
                        images,
                        logits =>
                        {
                            using var inner = NewDisposeScope();
                            return ModelOutputs.Margin(logits, where(chosen.lt(Scalars.Of(0)), logits.argmax(1), chosen)).MoveToOuterDisposeScope();
                        },
                        null,
                        options,
                        tape => projector.Add(tape, row)));
                    positions.AddRange(at.Select(p => (long)p));
                    hashes.AddRange(batch.ContentHash.SelectMany(Convert.FromHexString));
                    rows += batch.Rows.Count;
                    progress(start + first + batch.First + batch.Count);
                }

                using var features = Scaled(projector, parameters);
                using var filled = features.narrow(0, 0, rows);
                parts.Add(filled.clone());
            }

            Write(path, parts, positions, margins, hashes, skipped, parameters, dataset);
        }
        finally
        {
            parts.ForEach(p => p.Dispose());
        }
    }

    private static void Write(
        string path, List<Tensor> parts, List<long> positions, List<double> margins, List<byte> hashes, List<SkippedFile> skipped, long parameters, IDataset dataset)
    {
        using var scope = NewDisposeScope();
        var features = cat(parts, 0);
        var finite = features.isfinite().all(1).data<bool>().ToArray();
        if (Array.IndexOf(finite, false) is >= 0 and var bad)
        {
            throw new AnalysisException($"The gradients of image {positions[bad]} of {dataset.Name} hold NaN or infinite values.", "Use undamaged weights, or leave the image out.");
        }

        var margin = tensor(margins.ToArray());
        try
        {
            SafetensorsTensors.Save(
                path,
                [
                    ("row", tensor(positions.ToArray())),
                    ("features", features),
                    ("margin", margin),
                    ("one_minus_p", ModelOutputs.OneMinusP(margin)),
                    ("hash", tensor(hashes.ToArray(), [positions.Count, 8], dtype: ScalarType.Byte)),
                ],
                new Dictionary<string, string>
                {
                    ["parameters"] = parameters.ToString(CultureInfo.InvariantCulture),
                    ["skipped"] = JsonSerializer.Serialize(skipped, AnalysisJson.Line),
                });
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.Explain(path, failure);
        }
    }

    /// <summary>Places of a batch's readable images among those that were asked for.</summary>
    private static IEnumerable<int> Places(int[] wanted, ImageBatch batch)
    {
        var next = 0;
        for (var place = batch.First; place < batch.First + batch.Count && next < batch.Rows.Count; place++)
        {
            if (wanted[place] == batch.Rows[next])
            {
                next++;
                yield return place;
            }
        }
    }

    private static int RowsOfPass(GradientProjector projector, long parameters, FeatureOptions options)
    {
        if (!projector.HoldsGradients)
        {
            return ShardSize;
        }

        // Random numbers are made once a pass: as many rows as memory allows.
        var rows = (int)Math.Clamp(options.MemoryLimit / Math.Max(1, parameters * sizeof(float)), 1, ShardSize);
        return rows >= options.BatchSize ? rows / options.BatchSize * options.BatchSize : rows;
    }

    private static Tensor Scaled(GradientProjector projector, long parameters)
    {
        using var raw = projector.Finish();
        using var quiet = no_grad();
        using var scaled = raw * Scalars.Of(1 / Math.Sqrt(parameters));
        return scaled.cpu().alias();
    }
}
