using System.Text.Json;
using Analysis.Datasets.Sample;
using Analysis.Imaging;
using Analysis.Labels;
using Analysis.Runs;

namespace Analysis.Atlas;

/// <summary>Size of a generated atlas.</summary>
public sealed record GeneratedAtlasOptions
{
    /// <summary>Classes, 1 to 10,000.</summary>
    public int Classes { get; init; } = 1000;

    /// <summary>Images of each class, 8 to 10,000.</summary>
    public int Samples { get; init; } = 1300;

    /// <summary>Concepts of each class, 1 to 100.</summary>
    public int Concepts { get; init; } = 20;

    /// <summary>Seed of every number.</summary>
    public int Seed { get; init; }

    /// <exception cref="AnalysisException">A size is out of its range.</exception>
    public void Validate()
    {
        Within("classes", Classes, 1, GeneratedDataset.Most);
        Within("samples of a class", Samples, 8, GeneratedDataset.Most);
        Within("concepts of a class", Concepts, 1, ConceptOptions.MostOfClass);
    }

    private static void Within(string what, int value, int least, int most)
    {
        if (value < least || value > most)
        {
            throw new AnalysisException(FormattableString.Invariant($"{value} {what} were asked for."), FormattableString.Invariant($"Choose {least} to {most}."));
        }
    }
}

/// <summary>
/// Writes the result folder of an atlas that was never computed: its structure is that of a real one of any size, its numbers
/// come from a generator, and every class says so. It shows how the pages behave at ImageNet's size without ImageNet.
/// Concepts are planted: classes of one shape form a group, and prototypes inside a group are shared between its classes.
/// </summary>
public static class GeneratedAtlas
{
    /// <summary>Key of the manifest that marks a generated atlas: there is nothing behind it to compute on.</summary>
    public const string ManifestKey = "generated";

    /// <summary>What every class of it says.</summary>
    public const string Notice = "This atlas is generated: its numbers and images are synthetic, and no network was analysed.";

    /// <summary>Writes everything but the images, which the data set draws when they are looked at.</summary>
    /// <param name="folder">Result folder, empty or missing.</param>
    /// <param name="dataset">The data set that <see cref="GeneratedDataset.Create"/> made with the same sizes.</param>
    /// <param name="options">Sizes and seed.</param>
    /// <param name="name">Name for display.</param>
    /// <param name="progress">Told the classes done.</param>
    /// <param name="cancellation">Checked after each class.</param>
    /// <exception cref="AnalysisException">A size is out of its range, or the folder cannot be written.</exception>
    public static Manifest Write(
        string folder, GeneratedDataset dataset, GeneratedAtlasOptions options, string name, IProgress<int>? progress = null, CancellationToken cancellation = default)
    {
        options.Validate();
        Directory.CreateDirectory(Path.Combine(folder, "atlas", "classes"));
        var world = new GeneratedWorld(options);
        var names = Enumerable.Range(0, options.Classes).Select(GeneratedDataset.NameOf).ToArray();
        var classes = new GeneratedClass[options.Classes];
        var done = 0;
        Parallel.For(0, options.Classes, new ParallelOptions { CancellationToken = cancellation, MaxDegreeOfParallelism = Environment.ProcessorCount }, index =>
        {
            classes[index] = GeneratedClass.Write(folder, world, index, names);
            progress?.Report(Interlocked.Increment(ref done));
        });

        var order = Enumerable.Range(0, options.Classes * options.Samples).ToArray();
        var score = new float[order.Length];
        for (var index = 0; index < classes.Length; index++)
        {
            classes[index].Score.CopyTo(score, index * options.Samples);
        }

        Array.Sort(score.Select(static s => -s).ToArray(), order);
        var rank = new int[order.Length];
        for (var place = 0; place < order.Length; place++)
        {
            rank[order[place]] = place + 1;
        }

        GeneratedActivations.Write(folder, options, cancellation);
        ResultTables.Write(folder, "samples", "parquet", Rows(classes, options, rank, cancellation));
        var ids = Enumerable.Range(0, options.Classes * options.Concepts).ToArray();
        ConceptMapFile.Write(folder, ids, [.. classes.SelectMany(static c => c.Places)]);
        return WriteManifest(folder, dataset, options, name, names, classes, score);
    }

    /// <summary>Labels of the generated concepts in the form of the task <c>label</c>: formulas of what the images show.</summary>
    public static LabelReport Labels(GeneratedAtlasOptions options)
    {
        options.Validate();
        string[] words = [.. SampleClasses.Shapes, .. SampleClasses.Textures, .. SampleClasses.Colours, .. SampleClasses.Backgrounds];
        var place = words.Select((word, at) => (word, at)).ToDictionary(static w => w.word, static w => w.at, StringComparer.Ordinal);
        var world = new GeneratedWorld(options);
        var total = options.Classes * options.Samples;
        return new LabelReport
        {
            Request = new LabelRequest(),
            Layer = GeneratedWorld.Layer.Name,
            Samples = total,
            Concepts = [.. words.Select(word => new LabelConceptEntry(word, "attribute", total / 5, Artefact: false))],
            Units = [.. Enumerable.Range(0, options.Classes).SelectMany(index => GeneratedClass.Labels(world, index, place))],
            Notes = [Notice],
        };
    }

    private static IEnumerable<SampleRow> Rows(GeneratedClass[] classes, GeneratedAtlasOptions options, int[] rank, CancellationToken cancellation)
    {
        for (var index = 0; index < classes.Length; index++)
        {
            cancellation.ThrowIfCancellationRequested();
            var made = classes[index];
            for (var i = 0; i < options.Samples; i++)
            {
                var row = (index * options.Samples) + i;
                yield return new SampleRow
                {
                    Index = row,
                    Path = GeneratedDataset.PathOf(index, i),
                    Class = GeneratedDataset.FolderOf(index),
                    Label = index,
                    Predicted = made.Predicted[i],
                    Confidence = made.Confidence[i],
                    Logit = made.Logit[i],
                    Strategy = made.Strategy[i],
                    X = made.Layout[2 * i],
                    Y = made.Layout[(2 * i) + 1],
                    OutlierScore = made.Score[i],
                    OutlierRank = rank[row],
                    OutlierKind = made.Kind[i],
                    OutlierReason = made.Kind[i].Length > 0 ? $"generated as {made.Kind[i]}" : "",
                };
            }
        }
    }

    private static Manifest WriteManifest(
        string folder, GeneratedDataset dataset, GeneratedAtlasOptions options, string name, string[] names, GeneratedClass[] classes, float[] score)
    {
        var network = new ManifestNetwork("no network (generated)", "", "generated", names);
        AtomicFile.WriteText(RunDescription.PathOf(folder), JsonSerializer.Serialize(
            new RunDescription
            {
                DatasetRoot = dataset.Root,
                DatasetFormat = dataset.Format,
                DatasetName = dataset.Name,
                DatasetFingerprint = dataset.Fingerprint,
                Images = score.Length,
                Classes = [.. names.Select((display, index) => new ClassDescription(index, GeneratedDataset.FolderOf(index), display, index, options.Samples))],
                Network = network,
                Layer = GeneratedWorld.Layer,
                Preprocessing = new Preprocessing(SampleImageSide, SampleImageSide, [0.5f, 0.5f, 0.5f], [0.5f, 0.5f, 0.5f], ResizeMode.Stretch),
                Device = "none",
            },
            AnalysisJson.Options));
        var key = ArtifactKey.Of("generated/2", dataset.Fingerprint, options.Classes, options.Samples, options.Concepts, options.Seed);
        var manifest = new Manifest
        {
            Id = key,
            Created = DateTimeOffset.UtcNow,
            Engine = "generated atlas",
            Request = new AnalysisRequest { Dataset = dataset.Root, Concepts = options.Concepts, Seed = options.Seed, Name = name },
            Keys = new SortedDictionary<string, string>(StringComparer.Ordinal) { [ManifestKey] = key },
            Dataset = new ManifestDataset(dataset.Name, dataset.Fingerprint, score.Length, dataset.Classes),
            Network = network,
            Layer = GeneratedWorld.Layer,
            Device = "none",
            Stages = [],
            Skipped = [],
            Metrics = new SortedDictionary<string, double>(StringComparer.Ordinal)
            {
                ["accuracy"] = classes.Average(static c => c.Accuracy),
                ["classes"] = options.Classes,
                ["concepts"] = options.Classes * options.Concepts,
            },
        };
        AtomicFile.WriteText(Path.Combine(folder, "manifest.json"), JsonSerializer.Serialize(manifest, AnalysisJson.Options));
        return manifest;
    }

    private const int SampleImageSide = 64;
}
