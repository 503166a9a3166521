using System.Text.Json;
using Analysis.Datasets.Sample;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Probes.Backpropagation;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using Analysis.Tests.Runs;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Probes;

/// <summary>Concept backpropagation on the built-in sample, against what was planted, and on recorded activations.</summary>
public sealed class BackpropagateTaskTests(SampleRun run) : IClassFixture<SampleRun>
{
    /// <summary>Where the watermark is painted, with a pixel of margin: 64 × 64 pixels, centre 57, reach 5.2.</summary>
    private const string Badge = """{"left":0.796875,"top":0.796875,"width":0.1953125,"height":0.1953125}""";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public void TakingTheWatermarkAwayChangesTheWatermarkOnly()
    {
        using var folder = new TemporaryFolder();
        using var context = new TaskContext(run.Request, run.Store, run.Result, Stop);
        var plan = SamplePlan.Create(new SampleOptions());
        var marked = plan.Where(i => i.Attributes.Watermark).Select(i => i.Path).ToList();
        // Against images of the same class without it: a probe against everything else would also read the stars.
        var others = plan.Where(i => i.FolderClass == SampleClasses.WatermarkClass && !i.Attributes.Watermark).Select(i => i.Path).ToList();
        var rows = context.Samples.Where(s => marked.Contains(s.Path)).Select(s => s.Index).Take(3).ToList();
        var observer = new Observer();
        var parameters = $$"""
            {"concept":{"name":"watermark","source":"samples","positives":{{JsonSerializer.Serialize(marked)}},"negatives":{{JsonSerializer.Serialize(others)}}},
             "others":[{"name":"star","source":"attribute","attribute":"shape","value":"star"}],
             "samples":[{{string.Join(',', rows)}}],"layer":"layer2","probe":"l1","direction":"no","l1":1,"totalVariation":1,"concentrations":2,"starts":1,"steps":300,"randomProbes":1,"region":{{Badge}} }
            """;
        var report = Ask(context, folder["task"], parameters, observer);
        TestContext.Current.TestOutputHelper?.WriteLine(JsonSerializer.Serialize(report.Summary));

        Assert.Equal((3, 3), (report.Summary.Wishes, report.Summary.Reached));
        Assert.InRange(report.Summary.Inside!.Value, 0.9, 1);
        foreach (var sample in report.Samples)
        {
            Assert.Equal((ChangeOutcome.Changed, false, "plain star"), (sample.Outcome, sample.Yes, sample.Class));
            Assert.InRange(sample.Before[0], 0.5, 1);
            Assert.InRange(sample.After[0], 0, 0.1);
            Assert.True(sample.Size.Share < 0.1, "few pixels change");
            Assert.InRange(sample.RegionArea!.Value, 0.03, 0.06);
            // The way from next to nothing to more than needed passes through the chosen change.
            Assert.Equal(1, sample.Frames.Count(f => f.Chosen));
            Assert.True(sample.Frames[0].L1 < sample.Frames[^1].L1);
            foreach (var name in sample.Frames.SelectMany(f => new[] { f.Picture!, f.Difference! }).Concat([sample.Pictures!.Original, sample.Pictures.Changed, sample.Pictures.Difference]))
            {
                Assert.True(File.Exists(Path.Combine(folder["task"], name)), name);
            }
        }

        Assert.Equal(["watermark", "star"], report.Entanglement!.Names);
        Assert.Equal(1, report.Entanglement.Ratio[0][0]);
        Assert.Equal(1, report.Entanglement.Cosine[1][1], 1e-6);
        Assert.NotNull(report.Control);
        Assert.Equal(3, report.Control.Wishes);

        // Shown while it is at work, and never less than before.
        Assert.Contains(observer.Seen, p => p.Preview == "preview.png");
        Assert.True(observer.Seen.Zip(observer.Seen.Skip(1)).All(p => p.Second.Done >= p.First.Done));

        // Equal wishes give equal bytes.
        Ask(context, folder["again"], parameters, new Observer());
        Assert.Equal(File.ReadAllBytes(Path.Combine(folder["task"], "result.json")), File.ReadAllBytes(Path.Combine(folder["again"], "result.json")));
    }

    [Fact]
    public void ColumnsChangeInsideTheirRangesAndSomeNotAtAll()
    {
        using var folder = new TemporaryFolder();
        const int Count = 400;
        using (var scope = NewDisposeScope())
        {
            using var random = new Generator(2);
            var x = randn([Count, 5], generator: random);
            // The class is the sum of columns 1 and 3, whose unit is a hundred times smaller.
            var sum = x.select(1, 1).add(x.select(1, 3), Scalars.One);
            x.select(1, 3).mul_(Scalars.Of(100f));
            SafetensorsTensors.Save(folder["rows.safetensors"], [("activations", x)], new Dictionary<string, string>
            {
                ["labels"] = JsonSerializer.Serialize(sum.data<float>().ToArray().Select(v => v > 0 ? "high" : "low")),
            });
        }

        var request = new AnalysisRequest { Dataset = folder["rows.safetensors"], Network = "", Threads = 1, Tables = "csv" };
        SampleRun.Run(request, folder["result"], folder["store"]);
        using var context = new TaskContext(request, folder["store"], folder["result"], Stop);
        var low = context.Samples.First(s => s.Class == "low").Index;
        const string Concept = """{"name":"high","source":"classes","classes":["high"]}""";
        var free = Ask(context, folder["free"], $$"""{"concept":{{Concept}},"samples":[{{low}}],"direction":"yes","l1":0,"l2":1,"randomProbes":0}""").Samples[0];
        Assert.Equal((ChangeOutcome.Changed, "low", true), (free.Outcome, free.PredictedBefore, free.Yes));
        Assert.InRange(free.After[0], 0.8999, 0.95);
        Assert.Equal([1, 3], free.Columns.Take(2).Select(c => c.Column).Order());
        // A change of one deviation costs the same in both columns.
        Assert.InRange(free.Columns[0].Deviations / free.Columns[1].Deviations, 0.8, 1.25);
        Assert.Null(free.Pictures);

        var held = Ask(context, folder["held"], $$"""{"concept":{{Concept}},"samples":[{{low}}],"direction":"yes","l1":1,"immutable":[3],"ranges":[{"column":1,"maximum":1.5}],"randomProbes":0,"lambda":0.0001}""").Samples[0];
        Assert.DoesNotContain(held.Columns, c => c.Column == 3);
        Assert.All(held.Columns.Where(c => c.Column == 1), c => Assert.InRange(c.After, -10, 1.5 + 1e-6));

        var stuck = Ask(context, folder["stuck"], $$"""{"concept":{{Concept}},"samples":[{{low}}],"direction":"yes","immutable":[0,1,2,3,4],"randomProbes":0}""");
        Assert.Equal(ChangeOutcome.Unreachable, stuck.Samples[0].Outcome);
        Assert.Empty(stuck.Samples[0].Columns);
        Assert.Equal(0, stuck.Summary.Reached);
    }

    [Theory]
    [InlineData("""{}""", "concept")]
    [InlineData("""{"concept":{"name":"a","source":"neuron","unit":0}}""", "samples")]
    [InlineData("""{"concept":{"name":"a","source":"neuron","unit":0},"samples":[1],"spaces":"pixels"}""", "spaces")]
    [InlineData("""{"concept":{"name":"a","source":"neuron","unit":0},"samples":[1],"space":"audio"}""", "space")]
    [InlineData("""{"concept":{"name":"a","source":"neuron","unit":0},"samples":[1],"l1":0}""", "l1")]
    [InlineData("""{"concept":{"name":"a","source":"neuron","unit":0},"samples":[1],"threshold":0.4}""", "threshold")]
    [InlineData("""{"concept":{"name":"a","source":"neuron","unit":0},"samples":[1],"region":{"left":0.9,"top":0,"width":0.5,"height":1}}""", "region")]
    [InlineData("""{"concept":{"name":"a","source":"neuron","unit":0},"samples":[1],"space":"fourier","concentrations":1}""", "concentrations")]
    [InlineData("""{"concept":{"name":"a","source":"nothing"},"samples":[1]}""", "nothing")]
    [InlineData("""[1]""", "object")]
    public void WishesThatMakeNoSenseAreRefused(string parameters, string named)
    {
        using var json = JsonDocument.Parse(parameters);
        var fault = Assert.Throws<AnalysisException>(() => TaskCatalogue.Get("backpropagate").Normalise(json.RootElement));
        Assert.Contains(named, fault.Message, StringComparison.Ordinal);
    }

    private static BackpropagationReport Ask(TaskContext context, string folder, string parameters, ITaskObserver? observer = null)
    {
        var task = TaskCatalogue.Get("backpropagate");
        Directory.CreateDirectory(folder);
        using var json = JsonDocument.Parse(parameters);
        task.Run(context, task.Normalise(json.RootElement), folder, observer ?? new Observer(), Stop);
        return JsonSerializer.Deserialize<BackpropagationReport>(File.ReadAllText(Path.Combine(folder, TaskRunner.ResultFile)), AnalysisJson.Line)!;
    }

    private sealed class Observer : ITaskObserver
    {
        public List<TaskProgress> Seen { get; } = [];

        public void OnProgress(TaskProgress progress) => Seen.Add(progress);
    }
}
