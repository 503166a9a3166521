using System.Diagnostics;
using System.Globalization;
using Analysis.Activations;
using Analysis.Atlas;
using Analysis.Datasets;
using Analysis.Datasets.Recorded;
using Analysis.Imaging;
using Analysis.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Runs;

/// <summary>What was recognised in a network file, with a short trial on a data set.</summary>
public sealed record NetworkReport
{
    /// <summary>Full path of the weights file.</summary>
    public required string Path { get; init; }

    /// <summary>Display name.</summary>
    public required string Name { get; init; }

    /// <summary>Architecture.</summary>
    public required string Architecture { get; init; }

    /// <summary>Number of outputs.</summary>
    public required int Outputs { get; init; }

    /// <summary>Names of the first outputs (at most 20).</summary>
    public required IReadOnlyList<string> ClassNames { get; init; }

    /// <summary>Folders of the data set that map to an output.</summary>
    public int MappedClasses { get; init; }

    /// <summary>Folders that map to none.</summary>
    public IReadOnlyList<string> UnmappedClasses { get; init; } = [];

    /// <summary>Layers in order.</summary>
    public required IReadOnlyList<LayerInfo> Layers { get; init; }

    /// <summary>How images are prepared.</summary>
    public required Preprocessing Preprocessing { get; init; }

    /// <summary>The same in words.</summary>
    public required string PreprocessingText { get; init; }

    /// <summary>Images tried.</summary>
    public int Tried { get; init; }

    /// <summary>Share of them predicted as labelled; null where nothing maps.</summary>
    public double? Accuracy { get; init; }

    /// <summary>Remark on the accuracy; may be empty.</summary>
    public string AccuracyNote { get; init; } = "";

    /// <summary>Images per second of the trial, decoding, forward and head gradient together.</summary>
    public double ImagesPerSecond { get; init; }

    /// <summary>Devices that can be chosen.</summary>
    public required IReadOnlyList<string> Devices { get; init; }

    /// <summary>Doubts, in words.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

/// <summary>Recognises a network, lists its layers and tries it.</summary>
public static class NetworkInspector
{
    private const int ShownNames = 20;

    /// <summary>Inspects a network.</summary>
    /// <param name="network">Path of the weights; empty for a data set of activations.</param>
    /// <param name="dataset">Path of a data set to try it on; null for none.</param>
    /// <param name="architecture">Architecture; null to recognise it.</param>
    /// <param name="images">Images to try.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    public static NetworkReport Inspect(string network, string? dataset, string? architecture, int images, CancellationToken cancellation)
    {
        var device = ComputeDevice.Choose(null);
        if (network.Length == 0)
        {
            return InspectRecorded(dataset, device);
        }

        var description = NetworkLoader.Inspect(network, architecture);
        using var loaded = NetworkLoader.Load(network, architecture, device);
        var report = new NetworkReport
        {
            Path = network,
            Name = loaded.Name,
            Architecture = loaded.Architecture,
            Outputs = loaded.Outputs,
            ClassNames = loaded.Classes.Count == 0 ? [] : [.. OutputNames.All(loaded).Take(ShownNames)],
            Layers = loaded.Layers,
            Preprocessing = loaded.Preprocessing,
            PreprocessingText = Describe(loaded.Preprocessing),
            Devices = device.type == DeviceType.CUDA ? ["cuda", "cpu"] : ["cpu"],
            Notes = description.Notes,
        };
        return dataset is null ? report : Try(report, loaded, DatasetLoader.Open(dataset), images, description.Accuracy, cancellation);
    }

    private static NetworkReport InspectRecorded(string? dataset, Device device)
    {
        if (dataset is null || DatasetLoader.Open(dataset) is not IRecordedActivations recorded)
        {
            throw new AnalysisException("No network was named.", "Give its weights, or a file of precomputed activations as the data set.");
        }

        using var loaded = RecordedNetwork.Create(recorded, device);
        var labels = ClassMapping.Map(recorded.Classes, loaded.Classes);
        return new NetworkReport
        {
            Path = "",
            Name = loaded.Name,
            Architecture = loaded.Architecture,
            Outputs = loaded.Outputs,
            ClassNames = loaded.Classes.Count == 0 ? [] : [.. OutputNames.All(loaded).Take(ShownNames)],
            MappedClasses = labels.Count(l => l >= 0),
            UnmappedClasses = [.. recorded.Classes.Where((_, i) => labels[i] < 0)],
            Layers = loaded.Layers,
            Preprocessing = loaded.Preprocessing,
            PreprocessingText = "none: the activations come from the file",
            ImagesPerSecond = 20_000,
            Devices = device.type == DeviceType.CUDA ? ["cuda", "cpu"] : ["cpu"],
            Notes = loaded.Notes,
        };
    }

    private static NetworkReport Try(NetworkReport report, INetwork network, IDataset dataset, int images, double? stated, CancellationToken cancellation)
    {
        var labels = ClassMapping.Map(dataset.Classes, network.Classes);
        var byName = dataset.Classes.Select((name, i) => (name, labels[i])).ToDictionary(p => p.name, p => p.Item2);
        var step = Math.Max(1, dataset.Samples.Count / Math.Max(1, images));
        var chosen = Enumerable.Range(0, dataset.Samples.Count).Where(i => i % step == 0).Take(images).ToArray();
        var layer = (network.Layers.FirstOrDefault(l => l.Suggested) ?? network.Layers[^1]).Name;
        var (tried, labelled, right) = (0, 0, 0);
        var clock = Stopwatch.StartNew();
        var warm = 0;
        TimeSpan? began = null;
        foreach (var loaded in new BatchLoader(dataset, network.Preprocessing).Load(chosen, 32, cancellation))
        {
            using var batch = loaded;
            if (batch.Rows.Count == 0)
            {
                continue;
            }

            var predicted = Predict(network, layer, batch);
            // The first batch pays for loading the library and compiling; it would spoil the estimate.
            if (began is null)
            {
                began = clock.Elapsed;
                warm = batch.Rows.Count;
            }

            tried += batch.Rows.Count;
            for (var i = 0; i < predicted.Length; i++)
            {
                if (byName.TryGetValue(dataset.Samples[batch.Rows[i]].ClassName, out var label) && label >= 0)
                {
                    labelled++;
                    right += label == predicted[i] ? 1 : 0;
                }
            }
        }

        var accuracy = labelled > 0 ? right / (double)labelled : (double?)null;
        var seconds = (clock.Elapsed - (began ?? TimeSpan.Zero)).TotalSeconds;
        return report with
        {
            MappedClasses = labels.Count(l => l >= 0),
            UnmappedClasses = [.. dataset.Classes.Where((_, i) => labels[i] < 0)],
            Tried = tried,
            Accuracy = accuracy,
            AccuracyNote = Remark(accuracy, stated, labelled),
            ImagesPerSecond = tried > warm && seconds > 0 ? (tried - warm) / seconds : tried / Math.Max(1e-3, clock.Elapsed.TotalSeconds),
        };
    }

    private static int[] Predict(INetwork network, string layer, ImageBatch batch)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var input = tensor(batch.Values.ToArray(), [batch.Rows.Count, 3, network.Preprocessing.Height, network.Preprocessing.Width]).to(network.Device);
        var (activations, logits) = network.Forward(input, [layer]);
        var predicted = logits.argmax(1);
        HeadGradient.Compute(network, layer, activations[0], predicted);
        return Array.ConvertAll(predicted.cpu().data<long>().ToArray(), v => (int)v);
    }

    private static string Remark(double? accuracy, double? stated, int labelled)
    {
        if (accuracy is not { } measured || labelled == 0)
        {
            return "";
        }

        if (stated is not { } expected)
        {
            return "";
        }

        // Three standard errors of a proportion from this many images.
        var margin = 3 * Math.Sqrt(Math.Max(0.0025, expected * (1 - expected)) / labelled);
        return Math.Abs(measured - expected) <= margin
            ? string.Create(CultureInfo.InvariantCulture, $"matches its sidecar ({100 * expected:0.0}%)")
            : string.Create(CultureInfo.InvariantCulture, $"its sidecar says {100 * expected:0.0}%, perhaps on other images or with another preprocessing");
    }

    private static string Describe(Preprocessing preprocessing)
    {
        var size = FormattableString.Invariant($"{preprocessing.Width}×{preprocessing.Height}");
        var resize = preprocessing.Resize == ResizeMode.Stretch ? $"resized to {size}" : $"shorter side resized, then the centre {size}";
        return FormattableString.Invariant(
            $"RGB, {resize}; mean {string.Join(" ", preprocessing.Mean.Select(m => m.ToString("0.###", CultureInfo.InvariantCulture)))}, standard deviation {string.Join(" ", preprocessing.Std.Select(m => m.ToString("0.###", CultureInfo.InvariantCulture)))}");
    }
}
