using System.Text.Json.Serialization;
using Analysis.Activations;
using Analysis.Atlas;
using Analysis.Imaging;
using Analysis.Networks.Files;
using Analysis.Outliers;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Runs.Stages;

/// <summary>One row of the stage's own table.</summary>
public sealed class OutlierRow
{
    /// <summary>Row of the sample.</summary>
    [JsonPropertyName("index"), JsonPropertyOrder(0)]
    public int Index { get; set; }

    /// <summary>Score in [0, 1].</summary>
    [JsonPropertyName("score"), JsonPropertyOrder(1)]
    public double Score { get; set; }

    /// <summary>1 for the most odd.</summary>
    [JsonPropertyName("rank"), JsonPropertyOrder(2)]
    public int Rank { get; set; }

    /// <summary>Kind in lower case; empty for none.</summary>
    [JsonPropertyName("kind"), JsonPropertyOrder(3)]
    public string Kind { get; set; } = "";

    /// <summary>Why, in words.</summary>
    [JsonPropertyName("reason"), JsonPropertyOrder(4)]
    public string Reason { get; set; } = "";
}

/// <summary>Scores every sample for being odd (METHODS 6).</summary>
internal static class OutliersStage
{
    private const string Table = "outliers";

    /// <summary>Path of the detector scores below the result folder.</summary>
    public static string DetectorsPath(string resultFolder) => Path.Combine(resultFolder, "atlas", "outliers.safetensors");

    /// <summary>Runs the detectors, or reads their result where it is there.</summary>
    public static (IReadOnlyList<OutlierRow> Rows, bool Reused) Run(
        RunPlan plan,
        ActivationStore store,
        IReadOnlyList<ClassRows> classes,
        string folder,
        string resultFolder,
        Action<double> progress,
        CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder);
        var detectors = Path.Combine(folder, "detectors.safetensors");
        var reused = File.Exists(detectors) && File.Exists(Path.Combine(folder, Table + ".parquet"));
        if (!reused)
        {
            var result = Detect(plan, store, classes, resultFolder, progress, cancellation);
            ResultTables.Write(folder, Table, "parquet", result.Samples.Select((s, i) => new OutlierRow
            {
                Index = i,
                Score = s.Score,
                Rank = s.Rank,
                Kind = s.Kind == OutlierKind.None ? "" : s.Kind.ToString().ToLowerInvariant(),
                Reason = s.Reason,
            }));
            using var scope = NewDisposeScope();
            var scores = tensor(result.Samples.SelectMany(s => s.Detectors).ToArray(), [result.Samples.Count, result.DetectorNames.Count]);
            SafetensorsTensors.Save(detectors, [("detectors", scores)], new Dictionary<string, string> { ["names"] = string.Join('\n', result.DetectorNames) });
        }

        File.Copy(detectors, DetectorsPath(resultFolder), overwrite: true);
        return (ResultTables.Read<OutlierRow>(folder, Table), reused);
    }

    private static OutlierResult Detect(
        RunPlan plan, ActivationStore store, IReadOnlyList<ClassRows> classes, string resultFolder, Action<double> progress, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        var n = store.Rows;
        var classOf = new int[n];
        var label = new int[n];
        var residual = new double[n];
        Array.Fill(classOf, -1);
        Array.Fill(label, -1);
        foreach (var members in classes.Where(c => c.Rows.Length > 0))
        {
            using var file = SafetensorsFile.Open(ClassArraysFile.PathOf(resultFolder, members.Description.Index));
            var own = file.Span<float>("residual");
            for (var i = 0; i < members.Rows.Length; i++)
            {
                // Where classes are predictions there is no label to doubt.
                classOf[members.Rows[i]] = plan.ClassesArePredictions ? -1 : members.Description.Index;
                label[members.Rows[i]] = plan.ClassesArePredictions ? -1 : members.Description.Label ?? -1;
                residual[members.Rows[i]] = own[i];
            }
        }

        var all = Enumerable.Range(0, n).ToArray();
        var statistics = store.GatherTensor("statistics", all);
        // Samples without a picture have none; where no sample has one there is nothing to look for.
        var pictures = statistics.isfinite().all(1);
        var seen = pictures.any().item<bool>();
        if (seen && !pictures.all().item<bool>())
        {
            var usual = statistics.index_select(0, pictures.nonzero().flatten()).quantile(0.5, 0);
            statistics = statistics.where(statistics.isfinite(), usual.unsqueeze(0));
        }

        return OutlierDetector.Detect(
            new OutlierInput
            {
                Class = classOf,
                ClassNames = [.. plan.Description.Classes.Select(c => c.DisplayName)],
                Label = label,
                OutputNames = plan.Network.Classes.Count == 0 ? [] : OutputNames.All(plan.Network),
                Logits = store.GatherTensor("logits", all),
                Pooled = store.GatherTensor("pooled.0", all),
                Residual = residual,
                Grids = [.. plan.Extraction.Depths.Select((d, i) => new GridFeature(
                    d.Layer, (int)store.RowShape($"grid.{i}")[0], d.Grid, rows => store.GatherSingle($"grid.{i}", rows)))],
                PixelStatistics = statistics,
                PixelStatisticNames = seen ? PixelStatistics.Names : [],
                ContentHash = [.. store.Gather<byte>("hash", all).Chunk(8).Select(Convert.ToHexStringLower)],
                Seed = plan.Request.Seed,
            },
            progress,
            cancellation);
    }
}
