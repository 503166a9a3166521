using System.Text.Json;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Probes;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using Analysis.Tests.Runs;
using Xunit;

namespace Analysis.Tests.Probes;

/// <summary>The task <c>probe</c> on the built-in sample, against what was planted.</summary>
public sealed class ProbeTaskTests(SampleRun run) : IClassFixture<SampleRun>
{
    private static readonly object Watermark = new { name = "watermark", source = "attribute", attribute = "artefact: watermark" };
    private static readonly object Disc = new { name = "disc", source = "attribute", attribute = "shape", value = "disc" };

    [Theory]
    [InlineData("shape", "disc", 0.97, 0.1)]
    [InlineData("texture", "striped", 0.95, 0.2)]
    [InlineData("colour", "red", 0.97, 0.04)]
    [InlineData("artefact: watermark", null, 0.98, 0.2)]
    public void PlantedAttributesAreReadBetterTheDeeperAndControlsAreNot(string attribute, string? value, double least, double rise)
    {
        var report = Probe(new { concept = new { name = attribute, source = "attribute", attribute, value }, tcav = false, sparsity = false }, out _);
        foreach (var layer in report.Layers.Where(l => l.SameAs is null))
        {
            TestContext.Current.TestOutputHelper?.WriteLine(FormattableString.Invariant(
                $"{attribute} {value} {layer.Layer}: {layer.Scores.Score!.Mean:0.000} ± {layer.Scores.Score.Deviation:0.000}, AUC {layer.Scores.Auc!.Mean:0.000}, control {layer.Control.Score!.Mean:0.000} ± {layer.Control.Score.Deviation:0.000}"));
        }

        Assert.True(report.Location.Score >= least, $"{report.Location}");
        Assert.True(report.Location.Readable);
        Assert.Equal("layer3", report.Location.Layer);
        Assert.True(report.Layers[0].Scores.Score!.Mean < report.Location.Score - rise, $"{report.Layers[0].Scores.Score!.Mean} against {report.Location.Score}");
        Assert.All(report.Layers, l => Assert.InRange(l.Control.Score!.Mean, 0.35, 0.65));
        Assert.All(report.Layers, l => Assert.Equal(l.Scores.Score!.Mean - l.Control.Score!.Mean, l.Selectivity!.Mean, 1e-9));
        Assert.Equal(report.Samples, report.Positives + report.Negatives + report.LeftOut);
    }

    [Fact]
    public void ANeuronIsReadFromItself()
    {
        var report = Probe(new { concept = new { name = "n", source = "neuron", unit = 7, share = 0.2 }, layers = new[] { "conv1", "layer3" }, tcav = false }, out _);
        var own = report.Layers.Single(l => l.Layer == "layer3");
        Assert.Equal("layer3", report.Location.Layer);
        Assert.Equal(7, own.Strongest[0].Channel);
        Assert.True(own.Strongest[0].Weight > 0);
        Assert.True(own.Sparsity!.Strongest[0].Score.Mean > 0.97, $"{own.Sparsity.Strongest[0]}");
        Assert.InRange(own.Sparsity.NonZeros!.Mean, 1, 2);
        // Weights come in as the penalty falls.
        Assert.True(own.Sparsity.Path[0].NonZeros <= own.Sparsity.Path[^1].NonZeros);
        Assert.Equal([1, 2, 4, 8, 16, 32, 64], own.Sparsity.Strongest.Select(s => s.Neurons));
    }

    [Fact]
    public void WhatManyNeuronsShareNeedsMany()
    {
        var report = Probe(new { concept = Disc, layers = new[] { "layer3" }, tcav = false }, out _);
        var strongest = report.Layers[0].Sparsity!.Strongest;
        Assert.True(strongest[0].Score.Mean < 0.75, $"one neuron reads it with {strongest[0].Score.Mean}");
        Assert.True(strongest[^1].Score.Mean > 0.95);
    }

    [Fact]
    public void TheWatermarkRaisesItsClass()
    {
        var report = Probe(new { concept = Watermark, layers = new[] { "layer2", "layer3" }, sparsity = false }, out _);
        var classes = report.Tcav!.Classes;
        foreach (var entry in classes)
        {
            TestContext.Current.TestOutputHelper?.WriteLine(FormattableString.Invariant(
                $"{report.Tcav.Layer} {entry.Name}: {entry.Score.Mean:0.00} ({entry.Control.Mean:0.00}), derivative {entry.Derivative.Mean:0.00} ± {entry.Derivative.Deviation:0.00}, corrected p {entry.PCorrected:0.0000} {entry.Significant}"));
        }

        var strongest = classes.MaxBy(c => c.Derivative.Mean)!;
        Assert.Equal("plain star", strongest.Name);
        Assert.True(strongest.Significant);
        Assert.Equal(1, strongest.Score.Mean);
        // Where refits disagree whether the logit rises, nothing is claimed, however small p is.
        Assert.All(classes.Where(c => c.Score.Mean is > 0.2 and < 0.8), c => Assert.False(c.Significant));
        Assert.Contains(classes, c => c.Score.Mean is > 0.2 and < 0.8);
        Assert.True(strongest.Derivative.Mean > 2 * classes.Where(c => c != strongest).Max(c => c.Derivative.Mean));
    }

    [Fact]
    public void AtADeeperLayerGradientsOfTheHeadDecide()
    {
        var report = Probe(new { concept = Disc, layers = new[] { "layer2" }, tcavLayer = "layer2", sparsity = false }, out _);
        foreach (var entry in report.Tcav!.Classes)
        {
            TestContext.Current.TestOutputHelper?.WriteLine(FormattableString.Invariant(
                $"{report.Tcav.Layer} {entry.Name}: {entry.Score.Mean:0.00} ± {entry.Score.Deviation:0.00} ({entry.Control.Mean:0.00}), derivative {entry.Derivative.Mean:0.00} ± {entry.Derivative.Deviation:0.00}, p {entry.PScore:0.0000}, corrected p {entry.PCorrected:0.0000} {entry.Significant}"));
        }

        Assert.Equal("layer2", report.Tcav.Layer);
        Assert.All(report.Tcav.Classes.Where(c => c.Name.Contains("disc", StringComparison.Ordinal)), c => Assert.True(c is { Significant: true, Score.Mean: > 0.6, Derivative.Mean: > 0 }, $"{c}"));
        // Each class by its own logit: what raises discs lowers stars.
        Assert.All(report.Tcav.Classes.Where(c => c.Name.Contains("star", StringComparison.Ordinal)), c => Assert.True(c is { Significant: true, Score.Mean: < 0.4, Derivative.Mean: < 0 }, $"{c}"));
    }

    [Fact]
    public void WhatIsNotThereIsNotRead()
    {
        using var context = new TaskContext(run.Request, run.Store, run.Result, TestContext.Current.CancellationToken);
        var random = new SplitMix64(11);
        string[] chosen = [.. context.Samples.Where(_ => random.NextDouble() < 0.3).Select(s => s.Path)];
        using var folder = new TemporaryFolder();
        var report = JsonSerializer.Deserialize<ProbeReport>(
            Run(context, new { concept = new { name = "chance", source = "samples", positives = chosen }, sparsity = false }, folder["task"]), AnalysisJson.Options)!;
        Assert.False(report.Location.Readable);
        Assert.InRange(report.Location.Score, 0.45, 0.57);
        Assert.Contains(report.Notes, n => n.Contains("no layer", StringComparison.Ordinal));
        Assert.True(report.Tcav!.Classes.Count(c => c.Significant) <= 1, $"{report.Tcav.Classes.Count(c => c.Significant)} classes");
    }

    [Fact]
    public void AConceptThatIsAClassIsDoubted()
    {
        using var context = new TaskContext(run.Request, run.Store, run.Result, TestContext.Current.CancellationToken);
        using var folder = new TemporaryFolder();
        string[] stars = [.. context.Samples.Where(s => s.Class is "plain star" or "dotted star").Select(s => s.Path)];
        var report = JsonSerializer.Deserialize<ProbeReport>(
            Run(context, new { concept = new { name = "star", source = "samples", positives = stars }, layers = new[] { "layer3" }, tcav = false, sparsity = false }, folder["task"]), AnalysisJson.Options)!;
        Assert.Equal(1, report.ByClass!.Mean);
        Assert.Contains(report.Notes, n => n.Contains("class alone", StringComparison.Ordinal));
    }

    [Fact]
    public void WhatWasStoppedGoesOnWhereItWas()
    {
        var wish = new { concept = Disc, layers = new[] { "conv1", "layer2", "layer3" }, tcav = false, sparsity = false };
        var undisturbed = Probe(wish, out var expected);
        Assert.Equal(3, undisturbed.Layers.Count);
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["task"]);
        var task = new ProbeTask();
        var parameters = task.Normalise(JsonSerializer.SerializeToElement(wish, AnalysisJson.Line));
        using (var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken))
        {
            using var context = new TaskContext(run.Request, run.Store, run.Result, stop.Token);
            Assert.Throws<OperationCanceledException>(() => task.Run(context, parameters, folder["task"], new Watching(p =>
            {
                if (p.Doing.EndsWith("layer2", StringComparison.Ordinal))
                {
                    stop.Cancel();
                }
            }), stop.Token));
        }

        var kept = Assert.Single(Directory.GetFiles(folder["task"], "layer-*.json"));
        // Seen to be used: what is kept is taken as it is.
        File.WriteAllText(kept, File.ReadAllText(kept).Replace("\"agreement\":", "\"agreement\":0.125,\"was\":", StringComparison.Ordinal));
        using var again = new TaskContext(run.Request, run.Store, run.Result, TestContext.Current.CancellationToken);
        var result = JsonSerializer.Deserialize<ProbeReport>(Run(again, wish, folder["task"]), AnalysisJson.Options)!;
        Assert.Equal(0.125, result.Layers[0].Agreement);
        Assert.Equal(
            expected,
            JsonSerializer.Serialize(result with { Layers = [result.Layers[0] with { Agreement = undisturbed.Layers[0].Agreement }, .. result.Layers.Skip(1)] }, AnalysisJson.Line));
        Assert.Equal(["probes.safetensors", "result.json"], Directory.GetFiles(folder["task"]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void ANumberIsReadAsANumber()
    {
        var table = Path.Combine(run.Images, "attributes.csv");
        var before = File.ReadAllText(table);
        using var context = new TaskContext(run.Request, run.Store, run.Result, TestContext.Current.CancellationToken);
        using var statistics = context.Store.ReadTensor("statistics", 0, context.Store.Rows);
        var bright = DenseMatrix.FromTensor(statistics).Column(Analysis.Outliers.PixelStatistics.Brightness);
        try
        {
            // A tenth of the images has no number.
            File.WriteAllLines(table, ["path,brightness", .. context.Samples.Select(s => FormattableString.Invariant($"{s.Path},{(s.Index % 10 == 0 ? "" : (1000 + (250 * bright[s.Index])).ToString("R", System.Globalization.CultureInfo.InvariantCulture))}"))]);
            using var folder = new TemporaryFolder();
            var report = JsonSerializer.Deserialize<ProbeReport>(
                Run(context, new { concept = new { name = "brightness", source = "attribute", attribute = "brightness" }, tcav = false }, folder["task"]), AnalysisJson.Options)!;
            Assert.True(report.Continuous);
            Assert.Equal((context.Samples.Count + 9) / 10, report.LeftOut);
            foreach (var layer in report.Layers.Where(l => l.SameAs is null))
            {
                TestContext.Current.TestOutputHelper?.WriteLine(FormattableString.Invariant($"{layer.Layer}: R² {layer.Scores.R2!.Mean:0.000} ± {layer.Scores.R2.Deviation:0.000}, control {layer.Control.R2!.Mean:0.000}, neurons {layer.Sparsity!.NonZeros!.Mean:0.0}"));
            }

            // Filters of the first layer average the image; the last layer has forgotten most of it.
            Assert.True(report.Layers[0].Scores.R2!.Mean > 0.9);
            Assert.True(report.Layers[0].Scores.R2!.Mean > report.Layers[^1].Scores.R2!.Mean + 0.1);
            Assert.All(report.Layers, l => Assert.True(l.Control.R2!.Mean < 0.05));
            Assert.Null(report.Layers[0].Scores.BalancedAccuracy);
            Assert.All(report.Examples.FalseAlarms, e => Assert.True(e.Answer >= e.Target));
            Assert.All(report.Examples.Missed, e => Assert.True(e.Answer < e.Target));
        }
        finally
        {
            File.WriteAllText(table, before);
        }
    }

    [Fact]
    public void WeightsBesideTheResultAnswerAsItSays()
    {
        using var context = new TaskContext(run.Request, run.Store, run.Result, TestContext.Current.CancellationToken);
        using var folder = new TemporaryFolder();
        var report = JsonSerializer.Deserialize<ProbeReport>(Run(context, new { concept = Disc, tcav = false, sparsity = false }, folder["task"]), AnalysisJson.Options)!;
        using var file = SafetensorsFile.Open(Path.Combine(folder["task"], report.Weights));
        var targets = file.Span<double>("targets").ToArray();
        var held = file.Span<byte>("held_out").ToArray();
        foreach (var layer in report.Layers)
        {
            var (weights, bias, mean, scale) = (Matrix($"weights/{layer.Layer}"), file.Span<double>($"bias/{layer.Layer}").ToArray(), Matrix($"mean/{layer.Layer}"), Matrix($"scale/{layer.Layer}"));
            var direction = file.Span<double>($"direction/{layer.Layer}").ToArray();
            Assert.Equal(1, Vectors.Norm(direction), 1e-8);
            for (var seed = 0; seed < report.Request.Seeds; seed++)
            {
                int[] test = [.. Enumerable.Range(0, targets.Length).Where(i => held[(seed * targets.Length) + i] != 0)];
                using var rows = context.Layers.Read(layer.Layer, test);
                var pooled = DenseMatrix.FromTensor(rows);
                var logits = test.Select((_, i) => bias[seed] + Enumerable.Range(0, layer.Channels).Sum(c => weights[seed, c] * (pooled[i, c] - mean[seed, c]) / scale[seed, c])).ToArray();
                Assert.Equal(layer.Scores.Auc!.Values[seed], ProbeFitter.Score(logits, Array.ConvertAll(test, i => targets[i]), continuous: false).Auc!.Value, 1e-6);
            }
        }

        Assert.All(report.Examples.Positive, e => Assert.True(e is { Target: 1, Answer: > 0.9 } && held[e.Sample] == 1));
        Assert.All(report.Examples.Missed, e => Assert.True(e is { Target: 1, Answer: < 0.5 }));
        Assert.All(report.Examples.FalseAlarms, e => Assert.True(e is { Target: 0, Answer: >= 0.5 }));

        DenseMatrix Matrix(string name) => new(report.Request.Seeds, (int)file.Entry(name).Shape[1], file.Span<double>(name).ToArray());
    }

    [Fact]
    public void TheSameWishGivesTheSameBytes()
    {
        Probe(new { concept = Watermark, seed = 4 }, out var first);
        Probe(new { concept = Watermark, seed = 4 }, out var second);
        Assert.Equal(first, second);
    }

    [Theory]
    [InlineData("""{}""")]
    [InlineData("""{"concept":null}""")]
    [InlineData("""{"concept":{"name":"x","source":"classes","classes":[null]}}""")]
    [InlineData("""{"concept":{"name":"x","source":"classes","classes":null}}""")]
    [InlineData("""{"concept":{"name":"x","source":"region","regions":[{"path":"a","left":0,"top":0,"width":2,"height":1}]}}""")]
    [InlineData("""{"concept":{"name":null,"source":"neuron","unit":1}}""")]
    [InlineData("""{"concept":{"name":"x","source":null}}""")]
    [InlineData("""{"concept":{"name":"x","source":"neuron","unit":1},"seeds":2}""")]
    [InlineData("""{"concept":{"name":"x","source":"neuron","unit":1},"strength":0.00001}""")]
    [InlineData("""{"concept":{"name":"x","source":"neuron","unit":1},"penalty":"l3"}""")]
    [InlineData("""{"concept":{"name":"x","source":"neuron","unit":1,"share":"NaN"}}""")]
    [InlineData("""[1]""")]
    public void ImpossibleWishesAreRefused(string parameters) =>
        Assert.Throws<AnalysisException>(() => new ProbeTask().Normalise(JsonDocument.Parse(parameters).RootElement));

    [Fact]
    public void EqualConceptsHaveEqualTexts()
    {
        var task = new ProbeTask();
        Assert.Equal(
            task.Normalise(JsonDocument.Parse("""{"concept":{"name":" x ","source":"samples","positives":["b","a","b"]}}""").RootElement),
            task.Normalise(JsonDocument.Parse("""{"concept":{"name":"x","source":"samples","positives":["a","b"],"classes":["z"],"unit":3},"seeds":3,"layers":[]}""").RootElement));
    }

    [Fact]
    public void AnUnknownLayerIsNamed() =>
        Assert.Contains("layer9", Assert.Throws<AnalysisException>(() => Probe(new { concept = Disc, layers = new[] { "layer9" } }, out _)).Message, StringComparison.Ordinal);

    [Fact]
    public void ATTestAgreesWithReferenceValues()
    {
        // scipy.stats.ttest_ind(a, b, equal_var=False), and scipy.stats.t of one new observation.
        double[] a = [0.8, 0.9, 0.85, 0.95, 0.7];
        double[] b = [0.5, 0.4, 0.65, 0.45, 0.55, 0.6, 0.35];
        Assert.Equal(0.00024155420539109917, ClassInfluenceTest.Welch(a, b)!.Value, 1e-9);
        Assert.Equal(0.013399964712331038, ClassInfluenceTest.OneAgainst(0.9, b), 1e-9);
        Assert.Null(ClassInfluenceTest.Welch([1, 1, 1], [0, 0, 0]));
        Assert.Equal(1, ClassInfluenceTest.OneAgainst(0.9, [0.5, 0.5, 0.5]));
    }

    private ProbeReport Probe(object parameters, out string json)
    {
        using var folder = new TemporaryFolder();
        using var context = new TaskContext(run.Request, run.Store, run.Result, TestContext.Current.CancellationToken);
        json = Run(context, parameters, folder["task"]);
        return JsonSerializer.Deserialize<ProbeReport>(json, AnalysisJson.Options)!;
    }

    private static string Run(TaskContext context, object parameters, string folder)
    {
        var task = new ProbeTask();
        Directory.CreateDirectory(folder);
        task.Run(context, task.Normalise(JsonSerializer.SerializeToElement(parameters, AnalysisJson.Line)), folder, new Silent(), TestContext.Current.CancellationToken);
        return File.ReadAllText(Path.Combine(folder, TaskRunner.ResultFile));
    }

    private sealed class Watching(Action<TaskProgress> watch) : ITaskObserver
    {
        public void OnProgress(TaskProgress progress) => watch(progress);
    }

    private sealed class Silent : ITaskObserver
    {
        public void OnProgress(TaskProgress progress)
        {
        }
    }
}
