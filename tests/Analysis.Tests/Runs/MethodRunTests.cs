using System.Text.Json;
using Analysis.Atlas;
using Analysis.Factorization;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using Xunit;

namespace Analysis.Tests.Runs;

/// <summary>Runs with the methods of the factorisation catalogue: every granularity and scope ends in the same kind of atlas.</summary>
public sealed class MethodRunTests(SampleRun sample) : IClassFixture<SampleRun>
{
    public static TheoryData<string, string, string> Combinations => new()
    {
        { "nmf", "pooled", "class" },
        { "nmf", "positions", "class" },
        { "nmf", "crops", "class" },
        { "nmf", "pooled", "dataset" },
        { "nmf", "positions", "dataset" },
        { "kmeans", "pooled", "class" },
        { "pca", "positions", "class" },
        { "svd", "pooled", "dataset" },
    };

    private AnalysisRequest Small => sample.Request with { Limit = 120, Concepts = 4 };

    [Theory]
    [MemberData(nameof(Combinations))]
    public void A_method_gives_a_whole_atlas_whose_contributions_sum_to_the_logit(string method, string granularity, string scope)
    {
        using var folder = new TemporaryFolder();
        var request = Small with { Method = method, Granularity = granularity, Scope = scope, Concepts = scope == "dataset" ? 20 : 4, PerClass = scope == "dataset" ? 5 : 0 };
        var manifest = SampleRun.Run(request, folder["result"], folder["store"]);
        Assert.Contains("factors", manifest.Keys);
        Assert.DoesNotContain("relevance", manifest.Keys);
        Assert.True(manifest.Metrics["rSquared"] <= 1);
        Assert.True(manifest.Metrics["fitRelativeError"] > 0);

        using var file = SafetensorsFile.Open(folder["result", "tensors.safetensors"]);
        using var weights = SafetensorsFile.Open(SampleRun.Network);
        var bias = weights.ReadFloats("linear.bias");
        var logits = file.Span<float>("logits");
        var concepts = ResultTables.Read<ConceptRow>(folder["result"], "concepts");
        foreach (var group in ResultTables.Read<SampleRow>(folder["result"], "samples").GroupBy(s => s.Class))
        {
            var own = concepts.Where(c => c.Class == group.Key).ToList();
            var importance = file.Span<float>($"importance/{group.Key}");
            var width = own.Count + 1;
            Assert.Equal(group.Count() * width, importance.Length);
            var row = 0;
            foreach (var image in group)
            {
                var sum = importance.Slice(row++ * width, width).ToArray().Sum();
                Assert.Equal(logits[(image.Index * bias.Length) + image.Label!.Value] - bias[image.Label.Value], sum, 2e-3f);
            }

            Assert.Equal(scope == "dataset" ? 5 : 4, own.Count);
        }

        Assert.Equal(concepts.Count, concepts.Select(c => c.Id).Distinct().Count());
        if (scope == "dataset")
        {
            Assert.All(concepts, c => Assert.InRange(c.Shared!.Value, 0, 19));
            Assert.Contains(concepts.GroupBy(c => c.Shared), g => g.Select(c => c.Class).Distinct().Count() > 1);
        }

        Pages(folder["result"], granularity);
    }

    [Fact]
    public void Concepts_of_a_whole_data_set_with_one_number_are_one_vector()
    {
        using var folder = new TemporaryFolder();
        SampleRun.Run(Small with { Method = "nmf", Scope = "dataset", Concepts = 20, PerClass = 5 }, folder["result"], folder["store"]);
        var seen = new Dictionary<int, float[]>();
        var compared = 0;
        for (var i = 0; i < 10; i++)
        {
            var concepts = Atlas(folder["result"], i).Concepts;
            using var file = SafetensorsFile.Open(ClassArraysFile.PathOf(folder["result"], i));
            var vectors = file.Span<float>("concept_vectors");
            var width = vectors.Length / concepts.Count;
            foreach (var concept in concepts)
            {
                var own = vectors.Slice(concept.Rank * width, width).ToArray();
                if (seen.TryGetValue(concept.Shared!.Value, out var other))
                {
                    Assert.Equal(other, own);
                    compared++;
                }
                else
                {
                    Assert.DoesNotContain(seen.Values, v => v.SequenceEqual(own));
                    seen.Add(concept.Shared.Value, own);
                }
            }
        }

        Assert.True(compared > 0);
    }

    [Fact]
    public void Each_class_is_factorised_by_its_own_images()
    {
        using var folder = new TemporaryFolder();
        var manifest = SampleRun.Run(Small with { Method = "nmf" }, folder["result"], folder["store"]);
        using var context = new TaskContext(manifest.Request, folder["store"], folder["result"], CancellationToken.None);
        Assert.Equal(10, context.Classes.Count);
        foreach (var members in context.Classes)
        {
            using var rows = context.Store.GatherTensor("pooled.0", members.Rows);
            using var factors = FactorizationCatalogue.Get("nmf").Fit(
                rows, new FactorizationOptions { Components = 4, Seed = manifest.Request.Seed, Parameters = manifest.Request.Parameters });
            using var file = SafetensorsFile.Open(ClassArraysFile.PathOf(folder["result"], members.Description.Index));
            using var own = file.Load("concept_vectors");
            var cosine = Assignment.MeanMatchedCosine(DenseMatrix.FromTensor(factors.Vectors), DenseMatrix.FromTensor(own));
            Assert.True(cosine > 0.9999, $"class {members.Description.Index}: mean matched cosine {cosine}");
        }
    }

    [Fact]
    public void A_head_that_is_not_linear_is_weighed_by_gradient_times_input()
    {
        using var folder = new TemporaryFolder();
        SampleRun.Run(Small with { Method = "nmf", Granularity = "positions", Layer = "layer2", Limit = 60 }, folder["result"], folder["store"]);
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
    public void A_run_stopped_while_fitting_ends_with_the_bytes_of_an_undisturbed_one()
    {
        using var folder = new TemporaryFolder();
        var request = Small with { Method = "nmf", Granularity = "crops", Limit = 60 };
        SampleRun.Run(request, folder["undisturbed"], folder["store0"]);
        foreach (var stage in new[] { "crops", "factors", "concepts" })
        {
            using var cancellation = new CancellationTokenSource();
            var observer = new RecordingObserver
            {
                Watch = progress =>
                {
                    if (progress.Stages.Single(s => s.Name == stage).State == StageState.Running)
                    {
                        cancellation.Cancel();
                    }
                },
            };
            Assert.ThrowsAny<OperationCanceledException>(() => SampleRun.Run(request, folder["resumed"], folder["store"], observer, cancellation.Token));
        }

        var last = new RecordingObserver();
        SampleRun.Run(request, folder["resumed"], folder["store"], last);
        Assert.Equal(File.ReadAllBytes(folder["undisturbed", "tensors.safetensors"]), File.ReadAllBytes(folder["resumed", "tensors.safetensors"]));
        Assert.Equal(["scan", "activations", "directions", "crops", "factors", "concepts", "outliers", "atlas"], last.Progress[^1].Stages.Select(s => s.Name));

        // Another number of concepts needs no crop again.
        var other = new RecordingObserver();
        SampleRun.Run(request with { Concepts = 3 }, folder["other"], folder["store"], other);
        Assert.Equal(StageState.Reused, other.Last("crops").State);
        Assert.Equal(StageState.Done, other.Last("factors").State);
    }

    [Fact]
    public void Planted_concepts_and_strategies_come_back_from_the_pictures()
    {
        using var folder = new TemporaryFolder();
        var random = new Random(5);
        var vectors = new DenseMatrix(PlantedNetwork.Blocks, 24);
        for (var i = 0; i < vectors.Values.Length; i++)
        {
            vectors.Values[i] = random.NextDouble() < 0.3 ? random.NextDouble() : 0;
        }

        // Output "target" listens to the concepts 0 and 1 alike; either is enough.
        var weights = new DenseMatrix(2, 24);
        for (var c = 0; c < 24; c++)
        {
            weights[0, c] = vectors[0, c] + vectors[1, c];
            weights[1, c] = vectors[2, c];
        }

        var truth = new Dictionary<string, int>();
        for (var image = 0; image < 160; image++)
        {
            var codes = new double[PlantedNetwork.Blocks];
            for (var i = 2; i < codes.Length; i++)
            {
                codes[i] = random.NextDouble() < 0.4 ? random.NextDouble() : 0;
            }

            var strategy = image % 2;
            var target = image < 100;
            if (target)
            {
                codes[strategy] = 0.6 + (0.4 * random.NextDouble());
            }

            var path = $"{(target ? "target" : "other")}/{image:000}.png";
            truth[path] = strategy;
            folder.Write("images/" + path, PlantedNetwork.Picture(codes));
        }

        var request = sample.Request with { Dataset = folder["images"], Method = "nmf", Concepts = PlantedNetwork.Blocks };
        new AnalysisRunner(folder["store"], network =>
        {
            network.Dispose();
            return new PlantedNetwork(vectors, weights, ["target", "other"]);
        }).Run(request, folder["result"], new RecordingObserver(), CancellationToken.None);

        var samples = ResultTables.Read<SampleRow>(folder["result"], "samples").Where(s => s.Class == "target").ToList();
        var found = ClusterAgreement.AdjustedRand([.. samples.Select(s => truth[s.Path])], [.. samples.Select(s => s.Strategy!.Value)]);
        Assert.True(found > 0.9, $"adjusted Rand index {found}");

        var arrays = ClassArraysFile.PathOf(folder["result"], 1);
        using var file = SafetensorsFile.Open(arrays);
        using var own = file.Load("concept_vectors");
        var cosine = Assignment.MeanMatchedCosine(vectors, DenseMatrix.FromTensor(own));
        Assert.True(cosine > 0.98, $"mean matched cosine {cosine}");
    }

    [Fact]
    public void A_class_with_less_images_than_concepts_is_described_by_fewer()
    {
        using var folder = new TemporaryFolder();
        var manifest = SampleRun.Run(sample.Request with { Method = "nmf", Concepts = 10, Limit = 13 }, folder["result"], folder["store"]);
        Assert.Equal(13, manifest.Dataset.Images);
        var atlases = Enumerable.Range(0, 10).Select(i => Atlas(folder["result"], i)).ToList();
        Assert.All(atlases, a => Assert.InRange(a.Concepts.Count, 1, 2));
        Assert.All(atlases, a => Assert.Contains(a.Notes, n => n.Contains("concepts", StringComparison.Ordinal) || n.Contains("mean", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("nmf", "pooled", "class", 101, "scope dataset")]
    [InlineData("nmf", "pooled", "dataset", 2001, "1 to 2,000")]
    [InlineData("nmf", "pixels", "class", 10, "pooled, positions, crops")]
    [InlineData("nmf", "pooled", "world", 10, "class, dataset")]
    [InlineData("unique", "crops", "class", 10, "pooled")]
    [InlineData("unique", "pooled", "dataset", 10, "class")]
    [InlineData("magic", "pooled", "class", 10, "unique, ")]
    public void A_wish_that_cannot_be_met_is_answered_with_the_remedy(string method, string granularity, string scope, int concepts, string remedy)
    {
        using var folder = new TemporaryFolder();
        var request = Small with { Method = method, Granularity = granularity, Scope = scope, Concepts = concepts };
        var failure = Assert.Throws<AnalysisException>(() => SampleRun.Run(request, folder["result"], folder["store"]));
        Assert.Contains(remedy, failure.Message);
    }

    [Fact]
    public void A_layer_of_both_signs_is_refused_for_methods_that_need_one()
    {
        using var folder = new TemporaryFolder();
        var failure = Assert.Throws<AnalysisException>(() => SampleRun.Run(Small with { Method = "nmf", Layer = "linear" }, folder["result"], folder["store"]));
        Assert.Contains("Choose another method", failure.Message);
    }

    [Fact]
    public void Unknown_parameters_and_values_out_of_range_are_named()
    {
        using var folder = new TemporaryFolder();
        var unknown = Assert.Throws<AnalysisException>(() => SampleRun.Run(
            Small with { Method = "nmf", Parameters = new Dictionary<string, double> { ["nonsense"] = 1 } }, folder["result"], folder["store"]));
        Assert.Contains("nonsense", unknown.Message);
    }

    [Fact]
    public void Requests_of_earlier_versions_still_read()
    {
        const string Old = """{"dataset":"/d","network":"/n","method":"unique","concepts":10,"relevance":"directional","seed":0,"tables":"parquet"}""";
        var request = JsonSerializer.Deserialize<AnalysisRequest>(Old, AnalysisJson.Options)!;
        Assert.Equal(("pooled", "class", "auto", 10), (request.Granularity, request.Scope, request.Importance, request.MostPerClass));
        Assert.Empty(request.Parameters);
        var written = JsonSerializer.Serialize(request with { Parameters = new Dictionary<string, double> { ["alpha"] = 0.5 } }, AnalysisJson.Options);
        Assert.Equal(0.5, JsonSerializer.Deserialize<AnalysisRequest>(written, AnalysisJson.Options)!.Parameters["alpha"]);
    }

    private static void Pages(string result, string granularity)
    {
        for (var i = 0; i < 10; i++)
        {
            var atlas = Atlas(result, i);
            var arrays = ClassArraysFile.Read(ClassArraysFile.PathOf(result, i));
            Assert.Equal(atlas.Concepts.Count, arrays.Concepts);
            Assert.Equal(arrays.Sample.Length, atlas.Strategies.Sum(s => s.Size));
            Assert.All(atlas.Strategies, s => Assert.Equal(s.Prototype, s.Typical[0]));
            Assert.All(atlas.Concepts, c => Assert.NotNull(c.Component));
            foreach (var exemplar in atlas.Concepts.SelectMany(c => c.Exemplars))
            {
                Assert.Contains(exemplar.Sample, arrays.Sample);
                Assert.InRange(exemplar.Left + exemplar.Width, 0, 1.0000001);
                Assert.InRange(exemplar.Top + exemplar.Height, 0, 1.0000001);
                if (granularity == "crops")
                {
                    // 64 of 224 pixels, of an input of 32.
                    Assert.Equal(9 / 32.0, exemplar.Width, 1e-9);
                    Assert.Equal(0, exemplar.Left * 32 % 7, 1e-6);
                }
            }
        }
    }

    private static ClassAtlas Atlas(string result, int index) =>
        JsonSerializer.Deserialize<ClassAtlas>(File.ReadAllText(ClassArraysFile.AtlasPathOf(result, index)), AnalysisJson.Line)!;
}
