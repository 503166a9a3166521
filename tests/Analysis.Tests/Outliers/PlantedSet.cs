using System.Text.Json;
using Analysis.Datasets;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Outliers;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Tests.Outliers;

/// <summary>A data set with planted outliers, read and judged as the engine does it, and compared with its truth.</summary>
internal sealed class PlantedSet
{
    private static readonly Dictionary<string, OutlierKind> KindOfTruth = new(StringComparer.Ordinal)
    {
        ["mislabelled"] = OutlierKind.Mislabelled,
        ["watermark"] = OutlierKind.Confounded,
        ["corrupted"] = OutlierKind.Corrupted,
        ["ood"] = OutlierKind.Foreign,
        ["duplicate"] = OutlierKind.Duplicate,
    };

    private PlantedSet(OutlierResult result, OutlierKind[] truth, string[] folder, double seconds)
    {
        Result = result;
        Truth = truth;
        Folder = folder;
        DetectorSeconds = seconds;
    }

    public OutlierResult Result { get; }

    /// <summary>Planted kind per sample; None for clean ones.</summary>
    public OutlierKind[] Truth { get; }

    /// <summary>Class folder per sample.</summary>
    public string[] Folder { get; }

    public double DetectorSeconds { get; }

    /// <summary>Runs the network over the images and the detectors over what it gave.</summary>
    /// <param name="images">Class folders.</param>
    /// <param name="truthFile">truth.json; null where nothing is planted.</param>
    /// <param name="weights">Weights file with a sidecar.</param>
    /// <param name="hasLabels">False to hide the classes from the detectors.</param>
    public static PlantedSet Judge(string images, string? truthFile, string weights, bool hasLabels = true)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var network = NetworkLoader.Load(weights, null, CPU);
        var dataset = DatasetLoader.Open(images);
        var layer = network.Layers.Single(l => l.Suggested).Name;
        var depths = OutlierDepths.Choose(network.Layers);
        var logits = new List<Tensor>();
        var pooled = new List<Tensor>();
        var grids = depths.Select(_ => new List<Tensor>()).ToArray();
        var statistics = new List<float>();
        var hashes = new List<string>();
        string[] layers = [layer, .. depths.Select(depth => depth.Layer)];
        foreach (var batch in new BatchLoader(dataset, network.Preprocessing).Load(Enumerable.Range(0, dataset.Samples.Count).ToArray(), 64))
        {
            using (batch)
            using (var inner = NewDisposeScope())
            {
                var input = tensor(batch.Values.ToArray(), [batch.Rows.Count, 3, network.Preprocessing.Height, network.Preprocessing.Width]);
                var (activations, output) = network.Forward(input, layers.Distinct().ToArray());
                var byName = layers.Distinct().Zip(activations).ToDictionary(pair => pair.First, pair => pair.Second);
                logits.Add(output.MoveToOuterDisposeScope());
                pooled.Add(byName[layer].mean([2, 3]).MoveToOuterDisposeScope());
                for (var i = 0; i < depths.Count; i++)
                    grids[i].Add(nn.functional.adaptive_avg_pool2d(byName[depths[i].Layer], [depths[i].Grid, depths[i].Grid]).to(ScalarType.Float16).MoveToOuterDisposeScope());
                statistics.AddRange(batch.Statistics.SelectMany(s => s));
                hashes.AddRange(batch.ContentHash);
            }
        }

        var classIndex = dataset.Classes.Select((name, i) => (name, i)).ToDictionary(pair => pair.name, pair => pair.i, StringComparer.Ordinal);
        var outputs = ClassMapping.Map(dataset.Classes, network.Classes);
        var classes = dataset.Samples.Select(s => hasLabels ? classIndex[s.ClassName] : -1).ToArray();
        var n = classes.Length;
        var watch = System.Diagnostics.Stopwatch.StartNew();
        var result = OutlierDetector.Detect(new OutlierInput
        {
            Class = classes,
            ClassNames = dataset.Classes,
            Label = [.. classes.Select(c => c < 0 ? -1 : outputs[c])],
            OutputNames = [.. network.Classes.Select(c => c.Name)],
            Logits = cat(logits, 0),
            Pooled = cat(pooled, 0),
            Residual = Enumerable.Repeat(double.NaN, n).ToArray(),
            Grids = [.. depths.Select((depth, i) => Feature(depth, cat(grids[i], 0)))],
            PixelStatistics = tensor(statistics.ToArray(), [n, PixelStatistics.Names.Count]),
            PixelStatisticNames = PixelStatistics.Names,
            ContentHash = hashes,
        });
        var planted = truthFile is null ? [] : ReadTruth(truthFile);
        return new PlantedSet(result, [.. dataset.Samples.Select(s => planted.GetValueOrDefault(s.Path, OutlierKind.None))], [.. dataset.Samples.Select(s => s.ClassName)], watch.Elapsed.TotalSeconds);
    }

    public static GridFeature Feature(OutlierDepth depth, Tensor values) =>
        new(depth.Layer, (int)values.shape[1], depth.Grid, rows =>
        {
            using var index = tensor(rows.Select(r => (long)r).ToArray());
            using var chosen = values.index_select(0, index);
            using var single = chosen.to(ScalarType.Float32, copy: true);
            return single.data<float>().ToArray();
        });

    /// <summary>Area under the ROC curve of the score: one kind (None: all planted) against the clean samples.</summary>
    public double Auc(OutlierKind kind)
    {
        var rows = Enumerable.Range(0, Truth.Length).Where(i => Truth[i] == OutlierKind.None || kind == OutlierKind.None || Truth[i] == kind).ToArray();
        return MannWhitney.Auc(
            rows.Select(i => Result.Samples[i].Score).ToArray(),
            rows.Select(i => Truth[i] != OutlierKind.None).ToArray());
    }

    /// <summary>Planted samples of the kind (None: any) among the first by rank, and how many of them have the right kind.</summary>
    public (int Right, int Found) RightIn(int first, OutlierKind kind = OutlierKind.None)
    {
        var found = Enumerable.Range(0, Truth.Length)
            .Where(i => Result.Samples[i].Rank <= first && Truth[i] != OutlierKind.None && (kind == OutlierKind.None || Truth[i] == kind))
            .ToArray();
        return (found.Count(i => Result.Samples[i].Kind == Truth[i]), found.Length);
    }

    /// <summary>Share of the clean samples that got the kind (None: any kind).</summary>
    public double FalseFlags(OutlierKind kind = OutlierKind.None)
    {
        var clean = Enumerable.Range(0, Truth.Length).Where(i => Truth[i] == OutlierKind.None).ToArray();
        return (double)clean.Count(i => kind == OutlierKind.None ? Result.Samples[i].Kind != OutlierKind.None : Result.Samples[i].Kind == kind) / clean.Length;
    }

    private static Dictionary<string, OutlierKind> ReadTruth(string file)
    {
        using var document = JsonDocument.Parse(File.ReadAllBytes(file));
        return document.RootElement.GetProperty("planted").EnumerateArray().ToDictionary(
            entry => entry.GetProperty("file").GetString()!,
            entry => KindOfTruth[entry.GetProperty("type").GetString()!],
            StringComparer.Ordinal);
    }
}
