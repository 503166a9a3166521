using System.Text.Json;
using Analysis.Atlas;
using Analysis.Datasets.Sample;
using Analysis.Evaluation;
using Analysis.Imaging;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Runs;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Runs;

/// <summary>What a run writes: tables, tensors and class files that agree with each other and with the planted truth.</summary>
public sealed class ResultFolderTests(SampleRun sample) : IClassFixture<SampleRun>
{
    [Fact]
    public void The_sample_is_recognised_and_its_planted_outliers_and_attributes_are_found()
    {
        var report = PlantedTruth.Evaluate(sample.Result, sample.Truth);
        Assert.Equal(188, report.Planted);
        Assert.True(report.Auroc >= 0.93, report.ToText());
        Assert.All(report.Kinds, kind => Assert.True(kind.Auroc >= 0.85, report.ToText()));
        Assert.True(report.KindAccuracyInTop >= 0.7, report.ToText());
        Assert.True(report.SeparableAttributes >= 12, report.ToText());
        Assert.True(report.AttributesFound >= 0.8, report.ToText());
        Assert.InRange(report.FalseFlagRate, 0, 0.12);
    }

    [Fact]
    public void Contributions_and_the_rest_sum_to_the_logit_without_its_bias()
    {
        using var file = Tensors();
        using var weights = SafetensorsFile.Open(SampleRun.Network);
        var bias = weights.ReadFloats("linear.bias");
        var logits = file.Span<float>("logits");
        var samples = Samples();
        foreach (var group in samples.GroupBy(s => s.Class))
        {
            var width = (int)file.Entry($"importance/{group.Key}").Shape[1];
            var importance = file.Span<float>($"importance/{group.Key}");
            var row = 0;
            foreach (var image in group)
            {
                double sum = 0;
                for (var i = 0; i < width; i++)
                {
                    sum += importance[(row * width) + i];
                }

                Assert.Equal(logits[(image.Index * bias.Length) + image.Label!.Value] - bias[image.Label.Value], sum, 1e-3);
                row++;
            }
        }

        // So do those to the runner-up: the best output other than the class's own.
        for (var index = 0; index < 10; index++)
        {
            var arrays = ClassArraysFile.Read(ClassArraysFile.PathOf(sample.Result, index));
            var width = arrays.Concepts + 1;
            for (var row = 0; row < arrays.Sample.Length; row++)
            {
                var image = samples[arrays.Sample[row]];
                var own = image.Label!.Value;
                var outputs = logits.Slice(image.Index * bias.Length, bias.Length).ToArray();
                var next = Enumerable.Range(0, bias.Length).Where(o => o != own).MaxBy(o => outputs[o]);
                Assert.Equal(outputs[next] - bias[next], arrays.Against.AsSpan(row * width, width).ToArray().Sum(v => (double)v), 1e-3);
            }
        }
    }

    [Fact]
    public void Coefficients_are_not_negative_and_concept_vectors_have_unit_length()
    {
        using var file = Tensors();
        foreach (var name in file.Entries.Keys.Where(k => k.StartsWith("coefficients/", StringComparison.Ordinal)))
        {
            Assert.True(file.Span<float>(name).ToArray().All(v => v >= 0), name);
        }

        using var vectors = file.Load("concept_vectors");
        foreach (var row in Enumerable.Range(0, (int)vectors.shape[0]))
        {
            Assert.Equal(1, vectors[row].norm().item<float>(), 1e-4f);
        }
    }

    [Fact]
    public void Rows_are_sorted_by_path_and_ranks_follow_scores()
    {
        var samples = Samples();
        Assert.Equal(samples.Select(s => s.Path).Order(StringComparer.Ordinal), samples.Select(s => s.Path));
        Assert.Equal(Enumerable.Range(0, samples.Count), samples.Select(s => s.Index));
        Assert.Equal(Enumerable.Range(1, samples.Count), samples.Select(s => s.OutlierRank!.Value).Order());
        var byRank = samples.OrderBy(s => s.OutlierRank).Select(s => s.OutlierScore!.Value).ToList();
        Assert.Equal(byRank.OrderDescending(), byRank);
        Assert.All(samples, s => Assert.InRange(s.OutlierScore!.Value, 0, 1));
        Assert.All(samples, s => Assert.Equal(s.OutlierKind.Length == 0, s.OutlierReason.Length == 0));
        Assert.Equal(sample.Manifest.Metrics["accuracy"], samples.Average(s => s.Label == s.Predicted ? 1.0 : 0), 1e-12);
    }

    [Fact]
    public void Class_files_agree_with_the_tables()
    {
        var concepts = ResultTables.Read<ConceptRow>(sample.Result, "concepts").ToDictionary(c => c.Id);
        var exemplars = ResultTables.Read<ExemplarRow>(sample.Result, "exemplars").ToLookup(e => e.Concept);
        Assert.Contains(concepts.Values, c => c.Shared is not null);
        for (var i = 0; i < 10; i++)
        {
            var atlas = JsonSerializer.Deserialize<ClassAtlas>(File.ReadAllText(ClassArraysFile.AtlasPathOf(sample.Result, i)), AnalysisJson.Line)!;
            var arrays = ClassArraysFile.Read(ClassArraysFile.PathOf(sample.Result, i));
            Assert.Equal(atlas.Concepts.Count, arrays.Concepts);
            Assert.Equal(arrays.Sample.Length, atlas.Strategies.Sum(s => s.Size));
            Assert.All(atlas.Strategies, s => Assert.Contains(s.Prototype, arrays.Sample));
            Assert.Equal(arrays.Sample.Length * arrays.Concepts * arrays.MapHeight * arrays.MapWidth, arrays.Maps.Length);
            foreach (var concept in atlas.Concepts)
            {
                Assert.Equal(atlas.Name, concepts[concept.Id].Class);
                Assert.Equal(concept.Exemplars.Count, exemplars[concept.Id].Count());
                Assert.All(concept.Exemplars, e => Assert.Contains(e.Sample, arrays.Sample));
                Assert.All(concept.Exemplars, e => Assert.InRange(e.Left + e.Width, 0, 1.0000001));
                Assert.Equal(arrays.Sample.Length, concept.Histogram.Sum());
            }

            Assert.Equal(1, atlas.Concepts.Sum(c => Math.Abs(c.Importance)), 6);
        }
    }

    [Fact]
    public void Parquet_and_csv_hold_the_same_rows()
    {
        using var folder = new TemporaryFolder();
        var samples = Samples();
        ResultTables.Write(folder.Path, "samples", "parquet", samples);
        var read = ResultTables.Read<SampleRow>(folder.Path, "samples");
        Assert.Equal(JsonSerializer.Serialize(samples), JsonSerializer.Serialize(read));
    }

    [Theory]
    [InlineData("directional")]
    [InlineData("official")]
    public void A_layer_without_a_linear_head_is_analysed_by_gradient_times_input(string relevance)
    {
        using var folder = new TemporaryFolder();
        SampleRun.Run(sample.Request with { Limit = 120, Layer = "layer2", Relevance = relevance, Concepts = 4 }, folder["result"], folder["store"]);
        using var file = SafetensorsFile.Open(folder["result", "tensors.safetensors"]);
        var outputs = (int)file.Entry("logits").Shape[1];
        foreach (var group in ResultTables.Read<SampleRow>(folder["result"], "samples").GroupBy(s => s.Class))
        {
            var importance = file.Span<float>($"importance/{group.Key}");
            var width = importance.Length / group.Count();
            var first = group.First();
            Assert.Equal(file.Span<float>("logits")[(first.Index * outputs) + first.Label!.Value], importance[..width].ToArray().Sum(), 1e-3f);
        }
    }

    [Fact]
    public void Odd_data_sets_give_an_atlas_and_a_list_of_what_was_left_out()
    {
        using var folder = new TemporaryFolder();
        var source = Directory.GetFiles(Directory.GetDirectories(sample.Images)[0]).Order(StringComparer.Ordinal).ToArray();
        for (var i = 0; i < 12; i++)
        {
            folder.Write($"images/blue disc/{i}.png", File.ReadAllBytes(source[i]));
        }

        folder.Write("images/one image/=1+1, \"quoted\".png", File.ReadAllBytes(source[20]));
        folder.Write("images/unknown <b>class</b>/é ü.png", File.ReadAllBytes(source[21]));
        folder.Write("images/unknown <b>class</b>/new\nline.png", File.ReadAllBytes(source[22]));
        folder.Write("images/broken/a.jpg", "not an image"u8.ToArray());
        folder.Write("images/blue disc/broken.png", File.ReadAllBytes(source[23])[..200]);
        var manifest = SampleRun.Run(sample.Request with { Dataset = folder["images"] }, folder["result"], folder["store"]);
        Assert.Equal(["blue disc/broken.png", "broken/a.jpg"], manifest.Skipped.Select(s => s.Path));
        Assert.All(manifest.Skipped, s => Assert.NotEmpty(s.Reason));
        var samples = ResultTables.Read<SampleRow>(folder["result"], "samples");
        Assert.Equal(15, samples.Count);
        Assert.Contains(samples, s => s.Path == "one image/=1+1, \"quoted\".png");
        Assert.Contains(samples, s => s.Path == "unknown <b>class</b>/new\nline.png" && s.Label is null);
        var empty = JsonSerializer.Deserialize<ClassAtlas>(
            File.ReadAllText(ClassArraysFile.AtlasPathOf(folder["result"], manifest.Dataset.Classes.ToList().IndexOf("broken"))), AnalysisJson.Line)!;
        Assert.NotEmpty(empty.Notes);
        Assert.Empty(empty.Concepts);
    }

    [Fact]
    public void A_folder_without_classes_is_grouped_by_prediction()
    {
        using var folder = new TemporaryFolder();
        var number = 0;
        foreach (var group in Directory.GetDirectories(sample.Images).Order(StringComparer.Ordinal))
        {
            foreach (var file in Directory.GetFiles(group).Order(StringComparer.Ordinal).Take(8))
            {
                folder.Write($"flat/{number++:000}.png", File.ReadAllBytes(file));
            }
        }

        var manifest = SampleRun.Run(sample.Request with { Dataset = folder["flat"] }, folder["result"], folder["store"]);
        var samples = ResultTables.Read<SampleRow>(folder["result"], "samples");
        Assert.Equal(80, samples.Count);
        Assert.All(samples, s => Assert.Null(s.Label));
        Assert.False(manifest.Metrics.ContainsKey("accuracy"));
        Assert.Equal(samples.Select(s => s.Class).Distinct().Count(), manifest.Dataset.Classes.Count);
    }

    [Fact]
    public void Extraction_records_gradients_that_agree_with_the_linear_head()
    {
        using var folder = new TemporaryFolder();
        var images = new ExtractionRunner(folder["store"]).Run(
            sample.Request with { Limit = 40, Layer = "layer3,layer2" }, folder["out"], new RecordingObserver(), CancellationToken.None);
        Assert.Equal(40, images);
        using var file = SafetensorsFile.Open(folder["out", "activations.safetensors"]);
        using var weights = SafetensorsFile.Open(SampleRun.Network);
        using var scope = NewDisposeScope();
        var predicted = file.Load("logits").argmax(1);
        var expected = weights.Load("linear.weight").index_select(0, predicted);
        Assert.True(allclose(file.Load("gradient/layer3"), expected, 1e-4, 1e-5));
        var positions = 64;
        Assert.True(allclose(file.Load("gradient_input/layer3") * Scalars.Of(positions), expected * file.Load("pooled/layer3"), 1e-3, 1e-4));
        Assert.Equal(32, file.Entry("pooled/layer2").Shape[1]);
    }

    [Theory]
    [InlineData("no such layer", null, 10, "layer3")]
    [InlineData(null, "nothing like it", 10, "blue disc")]
    [InlineData(null, null, 0, "1 to 100")]
    public void A_wrong_request_is_answered_with_the_remedy(string? layer, string? className, int concepts, string remedy)
    {
        using var folder = new TemporaryFolder();
        var request = sample.Request with { Layer = layer, Classes = className is null ? null : [className], Concepts = concepts };
        var failure = Assert.Throws<AnalysisException>(() => SampleRun.Run(request, folder["result"], folder["store"]));
        Assert.Contains(remedy, failure.Message);
    }

    private SafetensorsFile Tensors() => SafetensorsFile.Open(Path.Combine(sample.Result, "tensors.safetensors"));

    private IReadOnlyList<SampleRow> Samples() => ResultTables.Read<SampleRow>(sample.Result, "samples");
}
