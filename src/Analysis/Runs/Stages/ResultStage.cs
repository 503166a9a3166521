using System.Reflection;
using System.Text.Json;
using Analysis.Activations;
using Analysis.Atlas;
using Analysis.Concepts;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Strategies;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Runs.Stages;

/// <summary>Writes the result folder, version 1 (docs/file-formats.md), from the artefacts of the stages before.</summary>
internal static class ResultStage
{
    /// <summary>Cosine from which concepts of different classes are one shared concept (METHODS 1.5).</summary>
    public const double SharedCosine = 0.9;

    private const int Part = 2048;
    private const int FewestMapped = 16;
    private const int MostMapped = 8000;

    /// <summary>Everything that the result is made of.</summary>
    public sealed record Inputs(
        RunPlan Plan,
        ActivationStore Store,
        IReadOnlyList<ClassRows> Classes,
        SingularDirections Directions,
        Tensor Mean,
        SampleRow[] Samples,
        IReadOnlyList<OutlierRow> Outliers,
        IReadOnlyList<ManifestSkipped> Skipped);

    /// <summary>Writes tables, tensors and last the manifest.</summary>
    public static Manifest Run(Inputs inputs, string folder, IReadOnlyList<StageProgress> stages, Action<int> progress, CancellationToken cancellation)
    {
        var request = inputs.Plan.Request;
        var atlases = inputs.Classes
            .Select(c => JsonSerializer.Deserialize<ClassAtlas>(File.ReadAllText(ClassArraysFile.AtlasPathOf(folder, c.Description.Index)), AnalysisJson.Line)!)
            .ToList();
        progress(1);
        Complete(inputs, folder);
        progress(2);
        cancellation.ThrowIfCancellationRequested();

        var concepts = atlases.SelectMany(a => a.Concepts.Select(c => (Atlas: a, Concept: c))).OrderBy(c => c.Concept.Id).ToList();
        var vectors = ReadVectors(inputs, folder, concepts.Count);
        // A data set's dictionary says by itself which concepts are the same.
        var shared = request.Scope == "dataset"
            ? [.. concepts.Select(c => c.Concept.Shared)]
            : ConceptMatching.Groups(vectors, [.. concepts.Select(c => c.Atlas.Class)], SharedCosine);
        // Each is a file of its own.
        Background.All(
            request.Threads,
            () => ResultTables.Write(folder, "samples", request.Tables, inputs.Samples),
            () => WriteShared(atlases, concepts.Select((c, i) => (c.Concept.Id, shared[i])).ToDictionary(c => c.Id, c => c.Item2), folder),
            () => ResultTables.Write(folder, ResultTables.Concepts, request.Tables, concepts.Select((c, i) => new ConceptRow
            {
                Id = c.Concept.Id,
                Class = c.Atlas.Name,
                Rank = c.Concept.Rank,
                Shared = shared[i],
                Direction = c.Concept.Direction,
                Cluster = c.Concept.Cluster,
                Importance = c.Concept.Importance,
                Prevalence = c.Concept.Prevalence,
                Reliability = c.Concept.Reliability,
                Relevance = c.Concept.Relevance,
                Stability = c.Concept.Stability,
            })),
            () => ResultTables.Write(folder, "exemplars", request.Tables, concepts.SelectMany(c => c.Concept.Exemplars.Select(e => new ExemplarRow
            {
                Concept = c.Concept.Id,
                Sample = e.Sample,
                Score = e.Score,
                Left = e.Left,
                Top = e.Top,
                Width = e.Width,
                Height = e.Height,
            }))),
            () => WriteTensors(inputs, folder, vectors, cancellation));
        WriteMap(concepts.ConvertAll(c => c.Concept.Id), vectors, request.Seed, folder, cancellation);
        progress(4);
        var manifest = CreateManifest(inputs, atlases, stages);
        AtomicFile.WriteText(Path.Combine(folder, "manifest.json"), JsonSerializer.Serialize(manifest, AnalysisJson.Options));
        progress(5);
        return manifest;
    }

    /// <summary>
    /// Lays out the concepts of all classes on one map: unit vectors, so that what is alike in direction lies together. More than
    /// <see cref="MostMapped"/> are left to the pages, which project them: the neighbours of so many take longer than the run.
    /// </summary>
    private static void WriteMap(List<int> ids, DenseMatrix vectors, int seed, string folder, CancellationToken cancellation)
    {
        File.Delete(ConceptMapFile.PathOf(folder));
        if (ids.Count is < FewestMapped or > MostMapped)
        {
            return;
        }

        var unit = vectors.Clone();
        for (var i = 0; i < unit.Rows; i++)
        {
            var length = Math.Sqrt(Vectors.Dot(unit.Row(i), unit.Row(i)));
            Vectors.Scale(unit.Row(i), length > 0 ? 1 / length : 0);
        }

        ConceptMapFile.Write(folder, [.. ids], UmapLayout.Fit(unit, new UmapOptions { Seed = seed }, cancellation));
    }

    /// <summary>Completes the class files: which concepts are shared is known only once all classes are there.</summary>
    private static void WriteShared(List<ClassAtlas> atlases, Dictionary<int, int?> shared, string folder)
    {
        foreach (var atlas in atlases.Where(a => a.Concepts.Any(c => shared[c.Id] is not null)))
        {
            var complete = atlas with { Concepts = [.. atlas.Concepts.Select(c => c with { Shared = shared[c.Id] })] };
            AtomicFile.WriteText(ClassArraysFile.AtlasPathOf(folder, atlas.Class), JsonSerializer.Serialize(complete, AnalysisJson.Line));
        }
    }

    private static void Complete(Inputs inputs, string folder)
    {
        foreach (var row in inputs.Outliers)
        {
            var sample = inputs.Samples[row.Index];
            (sample.OutlierScore, sample.OutlierRank, sample.OutlierKind, sample.OutlierReason) = (row.Score, row.Rank, row.Kind, row.Reason);
        }

        foreach (var members in inputs.Classes.Where(c => c.Rows.Length > 0))
        {
            using var file = SafetensorsFile.Open(ClassArraysFile.PathOf(folder, members.Description.Index));
            var layout = file.Span<float>("layout");
            var strategy = file.Span<int>("strategy");
            for (var i = 0; i < members.Rows.Length; i++)
            {
                var sample = inputs.Samples[members.Rows[i]];
                (sample.Strategy, sample.X, sample.Y) = (strategy[i], layout[2 * i], layout[(2 * i) + 1]);
            }
        }
    }

    private static DenseMatrix ReadVectors(Inputs inputs, string folder, int concepts)
    {
        var channels = inputs.Plan.Layer.Channels;
        var vectors = new DenseMatrix(concepts, channels);
        var row = 0;
        foreach (var members in inputs.Classes)
        {
            using var file = SafetensorsFile.Open(ClassArraysFile.PathOf(folder, members.Description.Index));
            foreach (var value in file.Span<float>("concept_vectors"))
            {
                vectors.Values[row++] = value;
            }
        }

        return vectors;
    }

    private static void WriteTensors(Inputs inputs, string folder, DenseMatrix vectors, CancellationToken cancellation)
    {
        var (store, channels) = (inputs.Store, inputs.Plan.Layer.Channels);
        var headers = new List<(string, TensorHeader)>
        {
            ("mean", new TensorHeader(ElementType.Float64, [channels])),
            ("singular_values", new TensorHeader(ElementType.Float64, [inputs.Directions.Rank])),
            ("singular_vectors", new TensorHeader(ElementType.Float64, [inputs.Directions.Rank, channels])),
            ("concept_vectors", new TensorHeader(ElementType.Float32, [vectors.Rows, channels])),
            ("logits", new TensorHeader(ElementType.Float32, [store.Rows, inputs.Plan.Network.Outputs])),
            ("pooled", new TensorHeader(ElementType.Float32, [store.Rows, channels])),
        };
        foreach (var (kind, source) in new[] { ("coefficients", "coefficients"), ("importance", "contributions") })
        {
            foreach (var members in inputs.Classes)
            {
                using var file = SafetensorsFile.Open(ClassArraysFile.PathOf(folder, members.Description.Index));
                headers.Add(($"{kind}/{members.Description.Name}", new TensorHeader(ElementType.Float32, file.Entry(source).Shape)));
            }
        }

        var path = Path.Combine(folder, "tensors.safetensors");
        try
        {
            using var writer = SafetensorsWriter.Create(path, headers);
            writer.Write("mean", inputs.Mean);
            writer.Write("singular_values", inputs.Directions.Values);
            writer.Write("singular_vectors", inputs.Directions.Vectors);
            writer.Write<float>("concept_vectors", Array.ConvertAll(vectors.Values, v => (float)v));
            foreach (var (name, source) in new[] { ("logits", "logits"), ("pooled", "pooled.0") })
            {
                for (var start = 0; start < store.Rows; start += Part)
                {
                    cancellation.ThrowIfCancellationRequested();
                    var rows = Enumerable.Range(start, Math.Min(Part, store.Rows - start)).ToArray();
                    writer.Write<float>(name, store.Gather<float>(source, rows));
                }
            }

            foreach (var (kind, source) in new[] { ("coefficients", "coefficients"), ("importance", "contributions") })
            {
                foreach (var members in inputs.Classes)
                {
                    using var file = SafetensorsFile.Open(ClassArraysFile.PathOf(folder, members.Description.Index));
                    writer.Write($"{kind}/{members.Description.Name}", file.Span<float>(source));
                }
            }

            writer.Complete();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.Explain(path, failure);
        }
    }

    private static Dictionary<string, string> Keys(RunPlan plan)
    {
        var keys = new Dictionary<string, string> { ["activations"] = plan.ActivationsKey, ["directions"] = plan.DirectionsKey };
        if (plan.FactorsKey is null)
        {
            keys["relevance"] = plan.RelevanceKey;
        }
        else
        {
            if (plan.CropsKey is { } crops)
            {
                keys["crops"] = crops;
            }

            keys["factors"] = plan.FactorsKey;
        }

        keys["concepts"] = plan.ConceptsKey;
        keys["outliers"] = plan.OutliersKey;
        return keys;
    }

    private static Manifest CreateManifest(Inputs inputs, List<ClassAtlas> atlases, IReadOnlyList<StageProgress> stages)
    {
        var plan = inputs.Plan;
        var labelled = inputs.Samples.Count(s => s.Label is not null);
        var metrics = new Dictionary<string, double>
        {
            ["images"] = inputs.Samples.Length,
            ["classes"] = inputs.Classes.Count,
            ["concepts"] = atlases.Sum(a => a.Concepts.Count),
            ["outliers"] = inputs.Samples.Count(s => s.OutlierKind.Length > 0),
        };
        foreach (var group in atlases.SelectMany(a => a.Metrics).GroupBy(m => m.Key))
        {
            metrics[group.Key] = group.Average(m => m.Value);
        }

        if (labelled > 0 && !plan.ClassesArePredictions)
        {
            metrics["accuracy"] = inputs.Samples.Count(s => s.Label == s.Predicted) / (double)labelled;
        }

        var version = typeof(ResultStage).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "";
        return new Manifest
        {
            Id = plan.OutliersKey,
            Created = DateTimeOffset.UtcNow,
            Engine = $"Concept Atlas {version}",
            Request = plan.Request,
            Keys = Keys(plan),
            Dataset = new ManifestDataset(plan.Description.DatasetName, plan.Description.DatasetFingerprint, inputs.Samples.Length, [.. inputs.Classes.Select(c => c.Description.Name)]),
            Network = plan.Description.Network,
            Layer = plan.Description.Layer,
            Device = plan.Request.Device ?? "cpu",
            Stages = [.. stages.Select(s => new ManifestStage(s.Name, Math.Round(s.Seconds, 3), s.Total))],
            Skipped = inputs.Skipped,
            Metrics = metrics,
        };
    }
}
