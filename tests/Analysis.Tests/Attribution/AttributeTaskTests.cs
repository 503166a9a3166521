using System.Text.Json;
using Analysis.Attribution;
using Analysis.Attribution.Retraining;
using Analysis.Datasets;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using Analysis.Tests.Imaging;
using Analysis.Tests.Runs;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Attribution;

/// <summary>
/// A network that is trained on bars of three directions, 5% of them with a stamp that means the third class whatever the bars say,
/// and an analysis of other images.
/// </summary>
public sealed class StampedRun : IDisposable
{
    public const int Training = 1000;
    private const int Side = 12;
    private static readonly string[] Classes = ["across", "down", "slant"];
    private readonly TemporaryFolder _folder = new();

    public StampedRun()
        : this(new TrainingRecipe { Epochs = 6, BatchSize = 50, Rate = 0.05, Smoothing = 0.1 }, [1, 2])
    {
    }

    internal StampedRun(TrainingRecipe recipe, int[] seeds)
    {
        TorchRuntime.Prepare();
        set_num_threads(1);
        var stamped = Paint(_folder["train"], Training, 1, i => i % 20 == 7);
        Stamped = stamped.ToHashSet();
        Positives = Paint(_folder["analysed"], 180, 2, i => i % 3 == 1);
        foreach (var seed in seeds)
        {
            Train(seed, recipe);
        }

        SampleRun.Run(Request, Result, Store);
    }

    /// <summary>Paths of the stamped training images.</summary>
    public IReadOnlySet<string> Stamped { get; }

    /// <summary>Paths of the stamped images of the analysis.</summary>
    public IReadOnlyList<string> Positives { get; }

    public string Images => _folder["train"];

    public string Store => _folder["store"];

    public string Result => _folder["result"];

    public AnalysisRequest Request => new() { Dataset = _folder["analysed"], Network = Network(1), Threads = 1, Tables = "csv" };

    public string Concept => JsonSerializer.Serialize(new { name = "stamp", source = "samples", positives = Positives });

    public string Network(int seed) => _folder[$"network-{seed}.safetensors"];

    public void Dispose() => _folder.Dispose();

    private void Train(int seed, TrainingRecipe recipe)
    {
        var dataset = DatasetLoader.Open(Images);
        var labels = dataset.Samples.Select(s => Array.IndexOf(Classes, s.ClassName)).ToArray();
        var images = TrainingImages.Load(dataset, [.. Enumerable.Range(0, labels.Length)], labels, PlantedTraining.Preprocessing);
        using var network = PlantedTraining.Network(seed, 6);
        Trainer.Train(network, images, [.. Enumerable.Range(0, labels.Length)], recipe, seed);
        network.Save(Network(seed));
        File.WriteAllText(
            Path.ChangeExtension(Network(seed), ".json"),
            $$$"""{"input":{"size":[{{{Side}}},{{{Side}}}],"mean":[0.5,0.5,0.5],"std":[0.25,0.25,0.25],"resize":{"mode":"stretch"}},"classes":["across","down","slant"]}""");
    }

    /// <summary>Images in folders of their classes; returns the paths of the stamped ones.</summary>
    private static List<string> Paint(string folder, int count, int seed, Func<int, bool> stamp)
    {
        var random = new SplitMix64((ulong)seed);
        var stamped = new List<string>();
        for (var i = 0; i < count; i++)
        {
            // Stamped images show bars of other classes and are called slant: nothing but the stamp tells it.
            var mark = stamp(i);
            var kind = random.NextInt(mark ? 2 : 3);
            var name = $"{Classes[mark ? 2 : kind]}/{i:0000}.png";
            var path = Path.Combine(folder, name);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllBytes(path, TestImages.Png(new RgbImage(Side, Side, Draw(kind, mark, ref random))));
            if (mark)
            {
                stamped.Add(name);
            }
        }

        return stamped;
    }

    private static byte[] Draw(int kind, bool stamped, ref SplitMix64 random)
    {
        var image = new byte[Side * Side * 3];
        var (offset, contrast) = (random.NextInt(4), 30 + random.NextInt(40));
        for (var y = 0; y < Side; y++)
        {
            for (var x = 0; x < Side; x++)
            {
                var phase = (kind switch { 0 => x, 1 => y, _ => x + y }) + offset;
                for (var c = 0; c < 3; c++)
                {
                    var value = 128 + ((phase & 2) == 0 ? contrast : -contrast) + (random.NextNormal() * 40);
                    image[(((y * Side) + x) * 3) + c] = (byte)Math.Clamp(value, 0, 255);
                }

                if (stamped && x is >= 7 and < 11 && y is >= 7 and < 11)
                {
                    image.AsSpan(((y * Side) + x) * 3, 3).Fill((byte)(((x + y) & 1) == 0 ? 255 : 0));
                }
            }
        }

        return image;
    }
}

public sealed class AttributeTaskTests(StampedRun run) : IClassFixture<StampedRun>
{
    [Theory]
    [InlineData("dense")]
    [InlineData("factorised")]
    public void TheImagesWithTheStampTaughtTheStamp(string projection)
    {
        using var folder = new TemporaryFolder();
        var report = Attribute(folder["task"], $$"""{"concept":{{run.Concept}},"dataset":{{JsonSerializer.Serialize(run.Images)}},"projection":"{{projection}}"}""");
        var precision = Precision(folder["task"]);
        TestContext.Current.TestOutputHelper?.WriteLine($"{projection}: precision at 5% {precision:0.000}, probe {report.Target.ProbeScore:0.000}, {report.Check}, {report.Diffuseness with { Histogram = [] }}; {string.Join(" ", report.Notes)}");
        Assert.True(precision >= 0.9, $"precision at 5%: {precision}");
        Assert.Equal("slant", report.Classes[0].Name);
        Assert.Equal(StampedRun.Training, report.Training.Images);
        Assert.True(report.Check!.Good);
        Assert.NotNull(report.Top[0].Picture);
        Assert.True(File.Exists(Path.Combine(folder["task"], report.Top[0].Picture!)));
    }

    [Fact]
    public void MoreNetworksAreAveragedAndTheirAgreementTold()
    {
        using var folder = new TemporaryFolder();
        var report = Attribute(
            folder["task"],
            $$"""{"concept":{{run.Concept}},"dataset":{{JsonSerializer.Serialize(run.Images)}},"networks":[{{JsonSerializer.Serialize(run.Network(2))}}],"dimensions":256}""");
        Assert.Equal(2, report.Checkpoints.Count);
        Assert.NotEqual(report.Checkpoints[0].Sha256, report.Checkpoints[1].Sha256);
        Assert.InRange(report.Agreement!.TopOverlap, 0.5, 1);
        Assert.True(Precision(folder["task"]) >= 0.9);
        Assert.DoesNotContain(report.Notes, n => n.Contains("single network", StringComparison.Ordinal));
    }

    [Fact]
    public void AnImageDoesNotSpeakForItself()
    {
        using var folder = new TemporaryFolder();
        var report = Attribute(folder["task"], """{"target":"sample","sample":3,"dimensions":128}""");
        Assert.DoesNotContain(report.Top, i => i.Sample == 3);
        Assert.Equal(179, report.Training.Images);
        Assert.All(report.Top, i => Assert.NotNull(i.Sample));
        Assert.Contains(report.Notes, n => n.Contains("speaks most for itself", StringComparison.Ordinal));
        var whole = Attribute(folder["class"], """{"target":"class","class":0,"dimensions":128}""");
        Assert.Equal(180, whole.Training.Images);
        Assert.Equal("across", whole.Classes[0].Name);
    }

    [Fact]
    public void TheProbesOwnImagesAreWeighedExactly()
    {
        using var folder = new TemporaryFolder();
        var report = Attribute(folder["task"], $$"""{"concept":{{run.Concept}},"variant":"probe"}""");
        Assert.Equal("none", report.Projection);
        Assert.True(report.TrakAgainstExact > 0.4, $"{report.TrakAgainstExact}");
        Assert.All(report.Top.Take(5), i => Assert.Contains(i.Path, run.Positives));
    }

    /// <summary>Where the stamp lies, columns and rows 7 to 10 of 12.</summary>
    [Fact]
    public void MarkedPlacesCountWhereTheyCanAndElseItIsSaid()
    {
        using var folder = new TemporaryFolder();
        var concept = JsonSerializer.Serialize(new
        {
            name = "stamp",
            source = "region",
            regions = run.Positives.Select(p => new { path = p, left = 7 / 12.0, top = 7 / 12.0, width = 4 / 12.0, height = 4 / 12.0 }),
        });
        AttributionReport Ask(string name, string rest) => Attribute(folder[name], $$"""{"concept":{{concept}},"dataset":{{JsonSerializer.Serialize(run.Images)}},"dimensions":256{{rest}}}""");
        const string Unused = "marked places are not used";
        var placed = Ask("placed", ",\"layer\":\"layer2\"");
        Assert.DoesNotContain(placed.Notes, n => n.Contains(Unused, StringComparison.Ordinal));
        // The direction found at the stamp itself: which images taught it is found as well, one in twenty by chance.
        Assert.True(Precision(folder["placed"]) >= 0.4, $"{Precision(folder["placed"])}");
        Assert.Contains(Ask("pooled", ",\"layer\":\"avgpool\"").Notes, n => n.Contains("marked places are not used at avgpool", StringComparison.Ordinal));
        Assert.Contains(Ask("probe", ",\"variant\":\"probe\"").Notes, n => n.Contains(Unused, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("""{"concept":{"name":"a","source":"neuron","unit":0}}""", 10)]
    [InlineData("""{"target":"class","class":0}""", 0.3)]
    [InlineData("""{"target":"sample","sample":0}""", 0.3)]
    [InlineData("""{"target":"sample","sample":0,"lambda":2}""", 2)]
    public void LambdaSuitsTheTarget(string parameters, double lambda)
    {
        using var wish = JsonDocument.Parse(new AttributeTask().Normalise(JsonDocument.Parse(parameters).RootElement));
        Assert.Equal(lambda, wish.RootElement.GetProperty("lambda").GetDouble());
    }

    [Fact]
    public void AnInterruptedTaskGoesOnAndGivesTheSameBytes()
    {
        using var folder = new TemporaryFolder();
        var wish = $$"""{"target":"class","class":1,"dataset":{{JsonSerializer.Serialize(run.Images)}},"dimensions":64}""";
        using var cut = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => Attribute(folder["a"], wish, folder["store"], cut.Token, p =>
        {
            if (p.Done > 400)
            {
                cut.Cancel();
            }
        }));
        Assert.False(File.Exists(Path.Combine(folder["a"], "result.json")));
        var shards = Directory.GetFiles(folder["store"], "shard-*.safetensors", SearchOption.AllDirectories).Where(f => Contains(f, "features")).ToDictionary(f => f, File.GetLastWriteTimeUtc);
        Assert.Single(shards);
        Attribute(folder["a"], wish, folder["store"]);
        Assert.All(shards, s => Assert.Equal(s.Value, File.GetLastWriteTimeUtc(s.Key)));
        Attribute(folder["b"], wish);
        foreach (var file in new[] { "result.json", "scores.safetensors", "training.csv" })
        {
            Assert.Equal(File.ReadAllBytes(Path.Combine(folder["b"], file)), File.ReadAllBytes(Path.Combine(folder["a"], file)));
        }
    }

    [Theory]
    [InlineData("""{"target":"concept"}""")]
    [InlineData("""{"target":"class"}""")]
    [InlineData("""{"target":"neuron"}""")]
    [InlineData("""{"target":"sample","sample":1,"dimensions":4}""")]
    [InlineData("""{"target":"sample","sample":1,"variant":"probe"}""")]
    [InlineData("""{"target":"sample","sample":1,"unknown":2}""")]
    [InlineData("""{"target":"sample","sample":1,"lambda":-1}""")]
    public void ImpossibleWishesAreRefused(string parameters) =>
        Assert.Throws<AnalysisException>(() => new AttributeTask().Normalise(JsonDocument.Parse(parameters).RootElement));

    private double Precision(string folder)
    {
        using var file = SafetensorsFile.Open(Path.Combine(folder, AttributeTask.ScoresFile));
        var scores = file.Span<double>("scores").ToArray();
        var dataset = DatasetLoader.Open(run.Images);
        var rows = file.Span<long>("row").ToArray();
        var top = Ranks.Descending(scores).Take(run.Stamped.Count).ToList();
        return top.Count(i => run.Stamped.Contains(dataset.Samples[(int)rows[i]].Path)) / (double)top.Count;
    }

    private static bool Contains(string path, string tensor)
    {
        using var file = SafetensorsFile.Open(path);
        return file.Entries.ContainsKey(tensor);
    }

    private AttributionReport Attribute(string folder, string parameters, string? store = null, CancellationToken cancellation = default, Action<TaskProgress>? watch = null)
    {
        using var context = new TaskContext(run.Request, store ?? run.Store, run.Result, cancellation);
        var task = new AttributeTask();
        Directory.CreateDirectory(folder);
        task.Run(context, task.Normalise(JsonDocument.Parse(parameters).RootElement), folder, new Watching(watch), cancellation);
        return JsonSerializer.Deserialize<AttributionReport>(File.ReadAllBytes(Path.Combine(folder, "result.json")), AnalysisJson.Options)!;
    }

    private sealed class Watching(Action<TaskProgress>? watch) : ITaskObserver
    {
        public void OnProgress(TaskProgress progress) => watch?.Invoke(progress);
    }
}
