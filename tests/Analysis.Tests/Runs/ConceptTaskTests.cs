using System.Text.Json;
using Analysis.Atlas;
using Analysis.Concepts;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Runs;
using Analysis.Runs.Stages;
using Analysis.Runs.Tasks;
using Analysis.Visualization;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Runs;

/// <summary>Tasks on a concept of a finished analysis: its parts at an earlier layer, and where in a picture it is.</summary>
public sealed class ConceptTaskTests(SampleRun sample) : IClassFixture<SampleRun>
{
    [Fact]
    public void A_planted_concept_falls_into_its_two_planted_parts()
    {
        using var folder = new TemporaryFolder();
        var random = new Random(3);
        var bright = new HashSet<string>();
        for (var image = 0; image < 40; image++)
        {
            // Each image has blocks of one of two kinds, which the later layer does not tell apart, on a background.
            var codes = new double[PlantedNetwork.Blocks];
            foreach (var block in Enumerable.Range(0, 4))
            {
                codes[2 * block] = image % 2 == 0 ? 0.85 + (0.1 * random.NextDouble()) : 0.35 + (0.1 * random.NextDouble());
            }

            var path = $"thing/{image:00}.png";
            if (image % 2 == 0)
            {
                bright.Add(path);
            }

            folder.Write("images/" + path, PlantedNetwork.Picture(codes));
        }

        var request = sample.Request with { Dataset = folder["images"], Method = "nmf", Granularity = "positions", Concepts = 2 };
        static INetwork Replace(INetwork network)
        {
            network.Dispose();
            return new TwoLayerNetwork();
        }

        var manifest = new AnalysisRunner(folder["store"], Replace).Run(request, folder["result"], new RecordingObserver(), CancellationToken.None);
        using var context = new TaskContext(manifest.Request, folder["store"], folder["result"], CancellationToken.None, Replace);
        var atlas = ClassConcepts.Read(context, 0);
        using (var vectors = SafetensorsFile.Open(ClassArraysFile.PathOf(folder["result"], 0)))
        {
            // Whichever rank it has: the concept of the channel that both kinds of block excite.
            var found = vectors.Span<float>("concept_vectors").ToArray();
            var thing = Enumerable.Range(0, 2).First(i => found[i * 2] > found[(i * 2) + 1]);
            var result = Run(new DecomposeTask(), context, new { @class = 0, concept = thing, components = 2 }, folder["task"]);
            var decomposition = JsonSerializer.Deserialize<Decomposition>(result, AnalysisJson.Options)!;
            Assert.Equal(("late", "early"), (decomposition.ParentLayer, decomposition.Layer));
            Assert.Equal(1, decomposition.Parts.Sum(p => p.Usage), 1e-6);
            Assert.True(decomposition.RSquared > 0.9, $"R² {decomposition.RSquared}");
        }

        using var file = SafetensorsFile.Open(Path.Combine(folder["task"], "tensors.safetensors"));
        using var parts = file.Load("vectors");
        var truth = new DenseMatrix(2, 3, [1, 0, 0, 0, 1, 0]);
        var matched = Assignment.MeanMatchedCosine(truth, DenseMatrix.FromTensor(parts));
        Assert.True(matched > 0.98, $"mean matched cosine {matched}");
        Assert.Equal(40, bright.Count * 2);
        Assert.True(atlas.Concepts.Count == 2);
    }

    [Fact]
    public void A_concept_is_decomposed_again_and_again_with_the_same_bytes()
    {
        using var context = Context();
        using var folder = new TemporaryFolder();
        var first = Run(new DecomposeTask(), context, new { @class = 1, concept = 0, components = 3 }, folder["a"]);
        Assert.Equal(first, Run(new DecomposeTask(), context, new { @class = 1, concept = 0, components = 3 }, folder["b"]));
        var result = JsonSerializer.Deserialize<Decomposition>(first, AnalysisJson.Options)!;
        Assert.Equal(("layer3", "layer2"), (result.ParentLayer, result.Layer));
        Assert.Equal(result.Parts.OrderByDescending(p => p.Usage).Select(p => p.Index), result.Parts.Select(p => p.Index));
        foreach (var exemplar in result.Parts.SelectMany(p => p.Exemplars))
        {
            Assert.InRange(exemplar.Left + exemplar.Width, 0, 1);
            Assert.InRange(exemplar.PeakX, 0, 1);
            Assert.Equal(context.Samples[exemplar.Sample].Class, context.Classes[1].Description.Name);
        }

        var deeper = JsonSerializer.Deserialize<Decomposition>(
            Run(new DecomposeTask(), context, new { @class = 1, concept = 0, components = 3, path = new[] { 0 } }, folder["c"]), AnalysisJson.Options)!;
        Assert.Equal("layer2", deeper.ParentLayer);
        Assert.NotEqual("layer2", deeper.Layer);
        var none = Assert.Throws<AnalysisException>(() => Run(new DecomposeTask(), context, new { @class = 1, concept = 99 }, folder["d"]));
        Assert.Contains("Choose 0 to", none.Message);
    }

    [Theory]
    [InlineData("""{"class":0}""", "concept")]
    [InlineData("""{"class":0,"concept":0,"depth":3}""", "depth")]
    [InlineData("""{"class":-1,"concept":0}""", "class")]
    [InlineData("""{"class":0,"concept":0,"components":1000}""", "components")]
    [InlineData("""{"class":0,"concept":0,"path":["x"]}""", "path")]
    [InlineData("""[1]""", "object")]
    public void Wrong_parameters_are_named(string json, string named)
    {
        using var document = JsonDocument.Parse(json);
        var failure = Assert.Throws<AnalysisException>(() => new DecomposeTask().Normalise(document.RootElement));
        Assert.Contains(named, failure.Message);
    }

    [Fact]
    public void Equal_wishes_have_equal_texts()
    {
        static string Text(string json)
        {
            using var document = JsonDocument.Parse(json);
            return new DecomposeTask().Normalise(document.RootElement);
        }

        Assert.Equal(Text("""{"class":0,"concept":1}"""), Text("""{"seed":0,"concept":1,"components":5,"class":0,"path":[]}"""));
    }

    [Theory]
    [InlineData("unique", "pooled")]
    [InlineData("nmf", "positions")]
    [InlineData("pca", "pooled")]
    public void The_exact_map_is_the_derivative_of_the_coefficient(string method, string granularity)
    {
        using var folder = new TemporaryFolder();
        var manifest = SampleRun.Run(sample.Request with { Limit = 60, Concepts = 4, Method = method, Granularity = granularity }, folder["result"], folder["store"]);
        using var context = new TaskContext(manifest.Request, folder["store"], folder["result"], CancellationToken.None);
        Assert.Equal(60, context.Samples.Count);
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var atlas = ClassConcepts.Read(context, 2);
        var concept = 0;
        var row = atlas.Concepts[concept].Exemplars[0].Sample;
        using var encoder = ClassConcepts.Encoder(context, atlas, CancellationToken.None);
        var image = ClassConcepts.Images(context).Images([row], 1, CancellationToken.None).First().Images;
        var gradient = AttributionMaps.Exact(context.Plan.Network, "layer3", encoder, concept, image);
        Assert.Equal([3L, 32, 32], gradient.shape);

        // Small steps along the gradient itself, where the change is large against rounding.
        var step = gradient / gradient.norm() * Scalars.Of(0.02);
        var expected = (gradient * step).sum().item<float>();
        var change = (Coefficient(image.add(step, Scalars.One)) - Coefficient(image - step)) / 2;
        Assert.True(expected > 0 && Math.Abs(change - expected) < 0.1 * expected, $"derivative {expected}, difference {change}");

        double Coefficient(Tensor picture)
        {
            var positions = context.Plan.Network.Forward(picture, ["layer3"]).Activations[0].to(ScalarType.Float64).permute(0, 2, 3, 1).reshape(-1, 64);
            return encoder.Encode(encoder.ByPositions ? positions : positions.mean([0L], keepdim: true)).select(1, concept).mean().item<double>();
        }
    }

    [Theory]
    [InlineData("fast")]
    [InlineData("exact")]
    public void A_map_comes_with_its_picture(string kind)
    {
        using var context = Context();
        using var folder = new TemporaryFolder();
        var exemplar = ClassConcepts.Read(context, 0).Concepts[0].Exemplars[0].Sample;
        var text = Run(new AttributionMapTask(), context, new { @class = 0, concept = 0, sample = exemplar, kind }, folder["task"]);
        var result = JsonSerializer.Deserialize<AttributionMapResult>(text, AnalysisJson.Options)!;
        Assert.True(result.Largest > 0 && result.Coefficient > 0);
        using var file = SafetensorsFile.Open(Path.Combine(folder["task"], "map.safetensors"));
        Assert.Equal([32L, 32], file.Entry("map").Shape);
        var picture = ImageDecoder.Decode(File.ReadAllBytes(Path.Combine(folder["task"], result.Picture)));
        Assert.Equal((32, 32), (picture.Width, picture.Height));
    }

    [Fact]
    public void Factors_cleaned_away_from_the_store_are_fitted_again()
    {
        using var folder = new TemporaryFolder();
        var manifest = SampleRun.Run(sample.Request with { Limit = 60, Concepts = 3, Method = "nmf", Granularity = "crops" }, folder["result"], folder["store"]);
        byte[] before;
        using (var context = new TaskContext(manifest.Request, folder["store"], folder["result"], CancellationToken.None))
        {
            before = Vectors(context);
        }

        Directory.Delete(folder["store"], recursive: true);
        using var again = new TaskContext(manifest.Request, folder["store"], folder["result"], CancellationToken.None);
        Assert.Equal(before, Vectors(again));

        static byte[] Vectors(TaskContext context)
        {
            using var encoder = ClassConcepts.Encoder(context, ClassConcepts.Read(context, 0), CancellationToken.None);
            return encoder.Vectors.bytes.ToArray();
        }
    }

    private TaskContext Context() => new(sample.Manifest.Request, sample.Store, sample.Result, CancellationToken.None);

    private static string Run(IAnalysisTask task, TaskContext context, object parameters, string folder)
    {
        Directory.CreateDirectory(folder);
        var text = task.Normalise(JsonSerializer.SerializeToElement(parameters));
        task.Run(context, text, folder, new Silent(), CancellationToken.None);
        return File.ReadAllText(Path.Combine(folder, TaskRunner.ResultFile));
    }

    private sealed class Silent : ITaskObserver
    {
        public void OnProgress(TaskProgress progress)
        {
        }
    }

    /// <summary>
    /// The early layer tells bright blocks, dull blocks and the background apart; the late one only blocks from background.
    /// </summary>
    private sealed class TwoLayerNetwork : INetwork
    {
        private readonly Tensor _weight = tensor(new[] { 1f, 0, 0, 1 }, [2, 2]).DetachFromDisposeScope();
        private readonly Tensor _bias = zeros([2L], ScalarType.Float32).DetachFromDisposeScope();

        public string Name => "planted";

        public string Architecture => "cifar_resnet";

        public string Sha256 => new('1', 64);

        public Preprocessing Preprocessing { get; } = new(PlantedNetwork.Side, PlantedNetwork.Side, [0, 0, 0], [1, 1, 1], ResizeMode.Stretch);

        public IReadOnlyList<NetworkClass> Classes { get; } = [new("thing"), new("nothing")];

        public int Outputs => 2;

        public IReadOnlyList<LayerInfo> Layers { get; } =
        [
            new("early", 3, 6, 6, ActivationSign.NonNegative, false),
            new("late", 2, 3, 3, ActivationSign.NonNegative, true, true),
        ];

        public Device Device => CPU;

        public (IReadOnlyList<Tensor> Activations, Tensor Logits) Forward(Tensor batch, IReadOnlyList<string> layers)
        {
            using var guard = no_grad();
            var level = nn.functional.adaptive_avg_pool2d(batch.mean([1L], keepdim: true), [6, 6]);
            var bright = level * (level > Scalars.Of(0.65));
            var dull = level * (level > Scalars.Of(0.15)) * (level <= Scalars.Of(0.65));
            var background = (level <= Scalars.Of(0.15)).to(ScalarType.Float32);
            var early = cat([bright, dull, background], 1);
            var late = nn.functional.adaptive_avg_pool2d(cat([bright.add(dull, Scalars.One), background], 1), [3, 3]);
            return ([.. layers.Select(l => (l == "early" ? early : late).alias())], Head("late", late));
        }

        public Tensor Head(string layer, Tensor activation) => activation.mean([2L, 3L]).mm(_weight.t()).add(_bias, Scalars.One);

        public (Tensor Weight, Tensor Bias)? LinearHead(string layer) => layer == "late" ? (_weight, _bias) : null;

        public void Dispose()
        {
            _weight.Dispose();
            _bias.Dispose();
        }
    }
}
