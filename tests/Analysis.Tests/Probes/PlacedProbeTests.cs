using System.Text.Json;
using Analysis.Datasets.Sample;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Probes;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using Analysis.Tests.Runs;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Probes;

/// <summary>Concepts that are marked by a place: probes have to read what lies there, and not what goes with it.</summary>
public sealed class PlacedProbeTests(SampleRun run) : IClassFixture<SampleRun>
{
    private const string Layer = "layer2";

    /// <summary>Where the watermark is painted, with a pixel of margin: 64 × 64 pixels, centre 57, reach 5.2.</summary>
    private static readonly RelativeRectangle Badge = new(0.796875, 0.796875, 0.1953125, 0.1953125);

    /// <summary>Where the shape is painted; leaves the corner out.</summary>
    private static readonly RelativeRectangle Middle = new(0.2, 0.2, 0.5, 0.5);

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public void TheProbeOfAPlaceFindsThePlaceWhereOneOfWholeImagesReadsWhatGoesWithIt()
    {
        const string Early = "layer1";
        set_num_threads(1);
        using var context = new TaskContext(run.Request, run.Store, run.Result, Stop);
        // All marked images are stars: early in the network a probe of whole images reads these as well.
        var (concept, marked) = Watermark(context);
        var labels = ConceptResolver.Resolve(context, concept);
        Assert.Equal(marked.Count, labels.Places!.Count);
        var placed = ProbeFitter.Fit(context, labels, Early, new ProbeOptions());
        var whole = ProbeFitter.Fit(context, labels with { Places = null }, Early, new ProbeOptions());
        var (found, foundWhole) = (Strongest(context, placed.Probe, marked, Badge), Strongest(context, whole.Probe, marked, Badge));
        TestContext.Current.TestOutputHelper?.WriteLine($"strongest position on the mark: {found:0.000}, of whole images {foundWhole:0.000}; {placed.HeldOut}");
        Assert.True(found >= 0.85, $"strongest on the mark: {found}");
        Assert.True(found > foundWhole + 0.1, $"{found} against {foundWhole}");
    }

    [Fact]
    public void WhatGoesWithAConceptAndLiesBesideItCountsLess()
    {
        set_num_threads(1);
        using var context = new TaskContext(run.Request, run.Store, run.Result, Stop);
        // Images that show it are stars with a mark in the corner, and none of the others has either: of whole images, star and
        // mark cannot be told apart, and the mark is easier to read. The place is where the star is.
        var (mark, marked) = Watermark(context);
        var concept = mark with
        {
            Name = "star",
            Regions = [.. mark.Regions.Select(r => new ConceptRegion(r.Path, Middle.Left, Middle.Top, Middle.Width, Middle.Height))],
            Negatives = [.. context.Samples.Where(s => s.Class != SampleClasses.WatermarkClass).Select(s => s.Path)],
        };
        var labels = ConceptResolver.Resolve(context, concept);
        var placed = ProbeFitter.Fit(context, labels, Layer, new ProbeOptions());
        var whole = ProbeFitter.Fit(context, labels with { Places = null }, Layer, new ProbeOptions());
        var (corner, cornerWhole) = (Strongest(context, placed.Probe, marked, Badge), Strongest(context, whole.Probe, marked, Badge));
        TestContext.Current.TestOutputHelper?.WriteLine($"strongest position on the mark: {corner:0.000}, of whole images {cornerWhole:0.000}; {placed.HeldOut}");
        Assert.True(cornerWhole >= 0.9, $"whole images read the mark: {cornerWhole}");
        Assert.True(corner <= 0.55, $"strongest on the mark: {corner}");
        // As a probe of whole images it keeps a threshold that means something.
        Assert.True(placed.HeldOut.BalancedAccuracy >= 0.75, $"{placed.HeldOut}");
    }

    [Fact]
    public void TheTaskFitsPositionsWhereThereAreAnyAndSaysSo()
    {
        set_num_threads(1);
        using var folder = new TemporaryFolder();
        using var context = new TaskContext(run.Request, run.Store, run.Result, Stop);
        var task = new ProbeTask();
        var wish = JsonSerializer.SerializeToElement(new ProbeRequest { Concept = Watermark(context).Concept, Layers = [Layer, "avgpool"], Sparsity = false, Tcav = false }, AnalysisJson.Line);
        Directory.CreateDirectory(folder["task"]);
        task.Run(context, task.Normalise(wish), folder["task"], new Quiet(), Stop);
        var report = JsonSerializer.Deserialize<ProbeReport>(File.ReadAllBytes(Path.Combine(folder["task"], TaskRunner.ResultFile)), AnalysisJson.Options)!;
        var (spatial, flat) = (report.Layers.Single(l => l.Layer == Layer), report.Layers.Single(l => l.Layer != Layer));
        Assert.True(spatial.Placed);
        Assert.False(flat.Placed);
        Assert.Equal(Layer, report.Location.Layer);
        Assert.True(spatial.Scores.Auc!.Mean > 0.95, $"{spatial.Scores.Auc}");
        Assert.InRange(spatial.Control.Auc!.Mean, 0.35, 0.65);
        Assert.NotNull(spatial.ImageAuc);
        Assert.Contains(report.Notes, n => n.Contains("positions inside the marks", StringComparison.Ordinal));
        Assert.Contains(report.Notes, n => n.Contains("not used at avgpool", StringComparison.Ordinal));
        // What is shown are images.
        Assert.All(report.Examples.Positive, e => Assert.Contains(context.Samples[e.Sample].Path, report.Request.Concept.Regions.Select(r => r.Path)));
        Assert.Equal(report.Examples.Positive.Count, report.Examples.Positive.Select(e => e.Sample).Distinct().Count());
    }

    [Theory]
    [InlineData("avgpool", 0, "not used at avgpool")]
    [InlineData(Layer, 1, "shuffled labels, to compare with, are fitted to whole images")]
    public void ConceptBackpropagationSaysWherePlacesAreNotUsed(string layer, int random, string said)
    {
        set_num_threads(1);
        using var folder = new TemporaryFolder();
        using var context = new TaskContext(run.Request, run.Store, run.Result, Stop);
        var task = TaskCatalogue.Get("backpropagate");
        var wish = $$"""{"concept":{{JsonSerializer.Serialize(Watermark(context).Concept, AnalysisJson.Line)}},"samples":[0],"layer":"{{layer}}","direction":"yes","starts":1,"steps":20,"concentrations":0,"lambda":0.1,"randomProbes":{{random}}}""";
        Directory.CreateDirectory(folder["task"]);
        task.Run(context, task.Normalise(JsonDocument.Parse(wish).RootElement), folder["task"], new Quiet(), Stop);
        using var result = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder["task"], TaskRunner.ResultFile)));
        Assert.Contains(result.RootElement.GetProperty("notes").EnumerateArray(), n => n.GetString()!.Contains(said, StringComparison.Ordinal));
    }

    /// <summary>A class token and 4 × 4 patches: channel 0 holds the patch's number, the class token −1.</summary>
    [Fact]
    public void PatchesOfATransformerHaveTheirPlaceAndTheClassTokenHasNone()
    {
        using var outer = NewDisposeScope();
        var layer = new LayerInfo("block", 1, 1, 17, ActivationSign.Signed, false, Tokens: new TokenGrid(1, 4, 4));
        var labels = new ConceptLabels { Targets = [1, 0, 1, 0], HeldOut = new bool[4] };
        var seen = new Dictionary<int, RelativeRectangle[]> { [0] = [new(0.25, 0, 0.25, 0.5)], [2] = [new(0.75, 0.75, 0.25, 0.25)] };
        var found = PlacedActivations.Collect(
            labels, seen, [layer], rows => [arange(Scalars.Of(-1f), Scalars.Of(16f), Scalars.One).repeat(rows.Length).view(rows.Length, 1, 1, 17)], Stop)["block"];
        var patches = found.Values.data<float>().ToArray();
        var chosen = patches.Select((p, i) => (Patch: (int)p, Row: found.Samples[i], Target: found.Targets[i])).ToList();
        // Columns 1, rows 0 and 1; and the last patch.
        Assert.Equal([1, 5], chosen.Where(c => c is { Row: 0, Target: 1 }).Select(c => c.Patch).Order());
        Assert.Equal([15], chosen.Where(c => c is { Row: 2, Target: 1 }).Select(c => c.Patch));
        Assert.All(chosen.Where(c => c.Row is 1 or 3), c => Assert.Equal(0, c.Target));
        Assert.DoesNotContain(chosen, c => c.Patch < 0);
        // Beside the mark, but not touching it.
        Assert.DoesNotContain(chosen, c => c.Row == 0 && c.Target == 0 && c.Patch is 0 or 2 or 4 or 6 or 9);
        found.Dispose();
    }

    [Theory]
    [InlineData(1, 17, false, false)]
    [InlineData(1, 17, true, true)]
    [InlineData(1, 1, false, false)]
    [InlineData(4, 4, false, true)]
    public void OnlyRowsAndColumnsArePositionsInTheImage(int height, int width, bool tokens, bool has)
    {
        var layer = new LayerInfo("l", 3, height, width, ActivationSign.Signed, false, Tokens: tokens ? new TokenGrid(1, 4, 4) : null);
        var labels = new ConceptLabels { Targets = [1, 0], HeldOut = new bool[2], Places = new Dictionary<int, ConceptRegion[]>() };
        Assert.Equal(has, PlacedActivations.Grid(layer) is not null);
        Assert.Equal(has, PlacedActivations.Unused(labels, [layer]) is null);
        Assert.Null(PlacedActivations.Unused(labels with { Places = null }, [layer]));
    }

    /// <summary>
    /// Recorded maps of 4 × 4: channel 0 is strong where the concept is, channel 1 is strong elsewhere in the same images and, averaged,
    /// tells them as well.
    /// </summary>
    [Fact]
    public void RecordedMapsAreReadAtTheirPlaces()
    {
        set_num_threads(1);
        using var folder = new TemporaryFolder();
        const int count = 120;
        using (var scope = NewDisposeScope())
        {
            using var random = new Generator(3);
            var x = randn([count, 3, 4, 4], generator: random) * Scalars.Of(0.3);
            for (var i = 0; i < count; i += 3)
            {
                x.select(0, i)[0].narrow(0, 0, 2).narrow(1, 2, 2).add_(Scalars.Of(2f), Scalars.One);
                x.select(0, i)[1].narrow(0, 2, 2).add_(Scalars.Of(4f), Scalars.One);
            }

            SafetensorsTensors.Save(folder["maps.safetensors"], [("activations", x)], new Dictionary<string, string>
            {
                ["labels"] = JsonSerializer.Serialize(Enumerable.Range(0, count).Select(i => i % 2 == 0 ? "even" : "odd")),
                ["paths"] = JsonSerializer.Serialize(Enumerable.Range(0, count).Select(i => $"row-{i}")),
            });
        }

        var request = new AnalysisRequest { Dataset = folder["maps.safetensors"], Network = "", Threads = 1, Tables = "csv" };
        SampleRun.Run(request, folder["result"], folder["store"]);
        using var context = new TaskContext(request, folder["store"], folder["result"], Stop);
        var labels = ConceptResolver.Resolve(context, new ConceptDefinition
        {
            Name = "corner",
            Source = "region",
            Regions = [.. context.Samples.Where(s => s.Path.StartsWith("row-", StringComparison.Ordinal) && int.Parse(s.Path[4..], System.Globalization.CultureInfo.InvariantCulture) % 3 == 0).Select(s => new ConceptRegion(s.Path, 0.5, 0, 0.5, 0.5))],
        });
        var (layer, whole) = (context.Plan.Layer.Name, labels with { Places = null });
        var placed = ProbeFitter.Fit(context, labels, layer, new ProbeOptions()).Direction();
        var pooled = ProbeFitter.Fit(context, whole, layer, new ProbeOptions()).Direction();
        TestContext.Current.TestOutputHelper?.WriteLine($"placed {string.Join(' ', placed.Select(v => $"{v:0.00}"))}, whole {string.Join(' ', pooled.Select(v => $"{v:0.00}"))}");
        Assert.True(placed[0] > 0.8 && placed[1] < 0.1, "the place has channel 0 and not channel 1");
        Assert.True(pooled[1] > 0.3, "averages have both");
    }

    [Fact]
    public void CellsAreInsideByTheirCentreAndOutsideWhereNothingTouchesThem()
    {
        RelativeRectangle[] places = [new(0.25, 0, 0.25, 0.6)];
        Assert.Equal("0100 0100 0000 0000", Text(PlaceMask.Inside(places, 4, 4)));
        Assert.Equal("1110 1110 1110 0000", Text(PlaceMask.Touched(places, 4, 4)));
        // What is cut away beside what the network sees: the place moves and grows.
        var seen = PlaceMask.Seen([new RelativeRectangle(0.5, 0.5, 0.25, 0.25)], new RelativeRectangle(0.25, 0, 0.5, 1))[0];
        Assert.Equal(new RelativeRectangle(0.5, 0.5, 0.5, 0.25), seen);

        static string Text(bool[] mask) => string.Join(' ', mask.Chunk(4).Select(row => string.Concat(row.Select(b => b ? '1' : '0'))));
    }

    private static (ConceptDefinition Concept, List<int> Rows) Watermark(TaskContext context)
    {
        var paths = SamplePlan.Create(new SampleOptions()).Where(i => i.Attributes.Watermark).Select(i => i.Path).ToHashSet(StringComparer.Ordinal);
        var samples = context.Samples.Where(s => paths.Contains(s.Path)).ToList();
        return (
            new ConceptDefinition { Name = "mark", Source = "region", Regions = [.. samples.Select(s => new ConceptRegion(s.Path, Badge.Left, Badge.Top, Badge.Width, Badge.Height))] },
            [.. samples.Select(s => s.Index)]);
    }

    /// <summary>Share of images whose strongest position lies in a place.</summary>
    private static double Strongest(TaskContext context, LinearProbe probe, List<int> rows, RelativeRectangle place)
    {
        var (weights, _) = probe.Raw();
        var images = Analysis.Runs.Stages.ClassConcepts.Images(context);
        var hits = 0;
        foreach (var (_, batch) in images.Images([.. rows], 32, Stop))
        {
            using var owned = batch;
            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            var activation = context.Plan.Network.Forward(batch, [probe.Layer]).Activations[0].to(ScalarType.Float64);
            var map = einsum("nchw,c->nhw", activation, tensor(weights));
            // A position's field of view reaches beyond its cell.
            var inside = PlaceMask.Touched([place], (int)map.shape[2], (int)map.shape[1]);
            hits += map.flatten(1).argmax(1).data<long>().ToArray().Count(cell => inside[cell]);
        }

        return hits / (double)rows.Count;
    }

    private sealed class Quiet : ITaskObserver
    {
        public void OnProgress(TaskProgress progress)
        {
        }
    }
}
