using System.Globalization;
using Analysis.Networks;
using Analysis.Networks.Files;
using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Networks;

/// <summary>
/// VGG, MobileNetV2 and vision transformers against PyTorch (Fixtures/make_networks.py): the same weights by formula, loaded
/// through the front door from a safetensors file that is recognised by its tensors.
/// </summary>
public sealed class TorchvisionGoldenTests
{
    private static readonly NpzArchive Golden =
        NpzArchive.Open(Path.Combine(TestData.Repository, "tests", "Analysis.Tests", "Networks", "Fixtures", "networks.npz"));

    public TorchvisionGoldenTests() => set_num_threads(1);

    [Theory]
    [InlineData("vgg11", "vgg11", 40, 32, "features.19", "classifier.4")]
    [InlineData("vgg13_bn", "vgg13_bn", 64, 64, "features.33", "classifier.4")]
    [InlineData("mobilenet_v2", "mobilenet_v2", 72, 64, "features.18", "features.18")]
    [InlineData("vit", "vit_24x3_4", 12, 12, "encoder.layers.encoder_layer_1", "encoder.ln")]
    [InlineData("vit_older", "vit_24x3_4", 12, 12, "encoder.layers.encoder_layer_1", "encoder.ln")]
    public void The_native_network_equals_PyTorch(string fixture, string architecture, int height, int width, string suggested, string linear)
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        using var network = Load(folder, fixture, height, width);
        Assert.Equal(architecture, network.Architecture);
        Assert.Equal(suggested, Assert.Single(network.Layers, l => l.Suggested).Name);
        var batch = Formula("image", [2, 3, height, width]) * Scalars.Of(3);
        var names = network.Layers.Select(l => l.Name).ToList();
        var (activations, logits) = network.Forward(batch, names);
        Close(Golden[$"{fixture}/logits"].ToTensor(), logits, "logits");
        foreach (var (layer, activation) in network.Layers.Zip(activations))
        {
            Assert.Equal([2L, layer.Channels, layer.Height, layer.Width], activation.shape);
            if (layer.Sign == ActivationSign.NonNegative)
            {
                Assert.True(activation.min().item<float>() >= 0, layer.Name);
            }

            // The head from every layer gives the logits again, and reaches the layer by gradients.
            Close(logits, network.Head(layer.Name, activation), layer.Name);
            if (Golden.Contains($"{fixture}/layer/{layer.Name}"))
            {
                Close(Golden[$"{fixture}/layer/{layer.Name}"].ToTensor(), layer.Height > 1 ? activation.mean([3L]) : activation.mean([1L]).view(2, 1, -1), layer.Name);
            }
        }

        var head = network.LinearHead(linear)!.Value;
        var pooled = activations[names.IndexOf(linear)].mean([2, 3]);
        Close(logits, nn.functional.linear(pooled, head.Weight, head.Bias), "closed form");
        var gradient = Analysis.Activations.HeadGradient.Compute(network, suggested, activations[names.IndexOf(suggested)], logits.argmax(1));
        Assert.True(gradient.abs().sum().item<float>() > 0);
    }

    [Fact]
    public void Patches_of_a_transformer_keep_their_places_and_its_class_token_is_a_layer()
    {
        using var folder = new TemporaryFolder();
        using var network = Load(folder, "vit", 12, 12);
        var block = network.Layers.Single(l => l.Name == "encoder.layers.encoder_layer_2");
        Assert.Equal((24, 1, 10), (block.Channels, block.Height, block.Width));
        Assert.Equal(new TokenGrid(1, 3, 3), block.Tokens);
        var token = network.Layers.Single(l => l.Name == "encoder.ln");
        Assert.Equal((24, 1, 1, true), (token.Channels, token.Height, token.Width, token.LinearHead));
        Assert.Null(network.LinearHead("encoder.layers.encoder_layer_2"));
    }

    [Theory]
    [InlineData("vgg11", 9_220_480 + 123_642_856, 22)]
    [InlineData("vgg16_bn", 138_365_992, 58 + 26)]
    [InlineData("vgg19", 143_667_240, 38)]
    [InlineData("mobilenet_v2", 3_504_872, 262)]
    [InlineData("vit_b_16", 86_567_656, 152)]
    public void Published_sizes_have_the_published_number_of_parameters(string name, long parameters, int tensors)
    {
        var shapes = PublishedShapes(name);
        var family = Analysis.Networks.Architectures.ArchitectureCatalogue.Parse(name, null)!.Value;
        var blueprint = Analysis.Networks.Architectures.ArchitectureCatalogue.Build(family, shapes, 224, 224);
        Assert.Equal(name, blueprint.Architecture);
        Assert.Equal(tensors, blueprint.Tensors.Count);
        Assert.Equal(parameters, blueprint.Tensors.Where(t => !t.Name.Contains("running", StringComparison.Ordinal)).Sum(t => t.Shape.Aggregate(1L, (a, b) => a * b)));
        var own = new Analysis.Networks.Architectures.TensorShapes(blueprint.Tensors.ToDictionary(t => t.Name, t => new TensorHeader(ElementType.Float32, t.Shape)));
        Assert.Equal(family.Family, Analysis.Networks.Architectures.ArchitectureCatalogue.Recognise(own)!.Value.Family);
    }

    [Fact]
    public void A_transformer_on_another_input_size_is_refused()
    {
        using var folder = new TemporaryFolder();
        var fault = Assert.Throws<AnalysisException>(() => Load(folder, "vit", 16, 16)).Message;
        Assert.Contains("positions for 9 patches", fault, StringComparison.Ordinal);
        Assert.Contains("12", fault, StringComparison.Ordinal);
    }

    /// <summary>The widths of the published networks, by the few tensors that tell them.</summary>
    private static Analysis.Networks.Architectures.TensorShapes PublishedShapes(string name)
    {
        var headers = new Dictionary<string, TensorHeader>();
        void Add(string tensor, params long[] shape) => headers[tensor] = new TensorHeader(ElementType.Float32, shape);
        if (name.StartsWith("vgg", StringComparison.Ordinal))
        {
            var normalised = name.EndsWith("_bn", StringComparison.Ordinal);
            int[] stages = name[3..5] switch { "11" => [1, 1, 2, 2, 2], "16" => [2, 2, 3, 3, 3], _ => [2, 2, 4, 4, 4] };
            var (index, input) = (0, 3L);
            for (var stage = 0; stage < 5; stage++)
            {
                for (var i = 0; i < stages[stage]; i++)
                {
                    var width = Math.Min(512, 64L << stage);
                    Add($"features.{index}.weight", width, input, 3, 3);
                    (input, index) = (width, index + (normalised ? 3 : 2));
                }

                index++;
            }

            if (normalised)
            {
                Add("features.1.running_mean", 64);
            }
        }
        else if (name == "mobilenet_v2")
        {
            var (index, input) = (1, 32L);
            foreach (var (t, c, n) in new[] { (1, 16L, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1) })
            {
                for (var i = 0; i < n; i++, index++)
                {
                    Add($"features.{index}.conv.{(t == 1 ? 1 : 2)}.weight", c, t * input, 1, 1);
                    input = c;
                }
            }
        }
        else
        {
            Add("conv_proj.weight", 768, 3, 16, 16);
            Add("encoder.pos_embedding", 1, 197, 768);
            Add("encoder.layers.encoder_layer_11.ln_1.weight", 768);
        }

        return new Analysis.Networks.Architectures.TensorShapes(headers);
    }

    private static INetwork Load(TemporaryFolder folder, string fixture, int height, int width)
    {
        using var scope = NewDisposeScope();
        var tensors = Golden[$"{fixture}/tensors"].ToStrings().Select(line =>
        {
            var parts = line.Split(':');
            return (parts[0], Formula(parts[0], [.. parts[1].Split('x').Select(s => long.Parse(s, CultureInfo.InvariantCulture))]));
        }).ToList();
        SafetensorsTensors.Save(folder["net.safetensors"], tensors);
        File.WriteAllText(folder["net.json"], $$"""{ "heads": 3, "input": { "size": [{{height}}, {{width}}], "resize": { "mode": "stretch" } } }""");
        return NetworkLoader.Load(folder["net.safetensors"], null, CPU);
    }

    private static Tensor Formula(string name, long[] shape)
    {
        var seed = (ulong)System.Text.Encoding.UTF8.GetBytes(name).Sum(b => b) * 374761393UL;
        var fan = shape.Skip(1).Aggregate(1L, (a, b) => a * b);
        var values = new float[shape.Aggregate(1L, (a, b) => a * b)];
        for (var i = 0; i < values.Length; i++)
        {
            var hash = (((ulong)(i + 1) * 2654435761UL) + seed) % (1UL << 32) >> 8;
            var v = (hash / 8388608.0) - 1;
            values[i] = (float)(name.Split('.')[^1] switch
            {
                "running_var" => Math.Abs(v) + 0.5,
                "weight" when shape.Length == 1 => 1 + (0.2 * v),
                "weight" or "in_proj_weight" => v * Math.Sqrt(6.0 / fan),
                _ => 0.3 * v,
            });
        }

        return tensor(values, shape);
    }

    private static void Close(Tensor expected, Tensor actual, string what)
    {
        Assert.Equal(expected.numel(), actual.numel());
        var difference = (expected.flatten() - actual.flatten()).abs().max().item<float>();
        var scale = Math.Max(1e-2f, expected.abs().max().item<float>());
        Assert.True(difference / scale < 1e-4f, $"{what}: {difference} where the largest is {scale}");
    }
}
