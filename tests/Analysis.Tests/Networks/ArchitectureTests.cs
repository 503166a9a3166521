using System.Runtime.InteropServices;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Networks.Architectures;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Xunit;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Analysis.Tests.Networks;

/// <summary>The built-in architectures against straightforward forward passes over the unfolded tensors.</summary>
public sealed class ArchitectureTests
{
    public ArchitectureTests() => set_num_threads(1);

    [Theory]
    [InlineData("resnet18", 102, 11_689_512, "layer4.1.bn2.running_var")]
    [InlineData("resnet34", 182, 21_797_672, "layer3.5.conv2.weight")]
    [InlineData("resnet50", 267, 25_557_032, "layer1.0.downsample.1.running_mean")]
    [InlineData("resnet101", 522, 44_549_160, "layer3.22.conv3.weight")]
    [InlineData("resnet152", 777, 60_192_808, "layer3.35.bn3.bias")]
    public void TorchvisionNamesAndParameterCountsAreMet(string name, int tensors, long parameters, string present)
    {
        var blueprint = Build(name, 1000, 224);
        Assert.Equal(tensors, blueprint.Tensors.Count);
        Assert.Equal(tensors, blueprint.Tensors.Select(t => t.Name).Distinct().Count());
        Assert.Contains(blueprint.Tensors, t => t.Name == present);
        Assert.Equal(parameters, blueprint.Tensors.Where(t => !t.Name.Contains("running", StringComparison.Ordinal)).Sum(t => t.Shape.Aggregate(1L, (a, b) => a * b)));
        var suggested = Assert.Single(blueprint.Layers(), l => l.Suggested);
        Assert.Equal(("layer4", 7, 7, true), (suggested.Name, suggested.Height, suggested.Width, suggested.LinearHead));
        var recognised = ArchitectureCatalogue.Recognise(new TensorShapes(blueprint.Tensors.ToDictionary(t => t.Name, t => new TensorHeader(ElementType.Float32, t.Shape))));
        Assert.Equal(name, $"{recognised!.Value.Family}{recognised.Value.Depth}");
    }

    [Theory]
    [InlineData("resnet18", 5, 64)]
    [InlineData("resnet18", 5, 75)]
    [InlineData("resnet50", 7, 64)]
    public void TorchvisionResNetsEqualTheUnfoldedForm(string name, int outputs, int side)
    {
        using var scope = NewDisposeScope();
        var blueprint = Build(name, outputs, side);
        using var file = new MemoryTensors(blueprint);
        var batch = MemoryTensors.Values(2 * 3 * side * side, 1).view(2, 3, side, side);
        var expected = functional.max_pool2d(Rectified(file, "conv1", "bn1", batch, 2, 3), 3, stride: 2, padding: 1);
        for (var stage = 1; stage <= 4; stage++)
        {
            for (var block = 0; file.Headers.ContainsKey($"layer{stage}.{block}.conv1.weight"); block++)
            {
                var p = $"layer{stage}.{block}";
                var stride = stage > 1 && block == 0 ? 2 : 1;
                var deep = file.Headers.ContainsKey($"{p}.conv3.weight");
                var x = deep ? Rectified(file, $"{p}.conv1", $"{p}.bn1", expected, 1, 0) : Rectified(file, $"{p}.conv1", $"{p}.bn1", expected, stride, 1);
                x = deep ? Rectified(file, $"{p}.conv2", $"{p}.bn2", x, stride, 1) : Normalised(file, $"{p}.conv2", $"{p}.bn2", x, 1, 1);
                x = deep ? Normalised(file, $"{p}.conv3", $"{p}.bn3", x, 1, 0) : x;
                var shortcut = file.Headers.ContainsKey($"{p}.downsample.0.weight") ? Normalised(file, $"{p}.downsample.0", $"{p}.downsample.1", expected, stride, 0) : expected;
                expected = x.add(shortcut, Scalars.One).relu();
            }
        }

        AssertSame(file, blueprint, batch, expected, "fc");
    }

    /// <summary>Blocks of kind B, other widths, and an input that is neither square nor even.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void CifarResNetsEqualTheUnfoldedForm(bool projected)
    {
        using var scope = NewDisposeScope();
        var names = new Dictionary<string, TensorHeader>
        {
            ["conv1.weight"] = new(ElementType.Float32, [8, 3, 3, 3]),
            ["linear.weight"] = new(ElementType.Float32, [3, 32]),
            ["layer3.1.conv1.weight"] = new(ElementType.Float32, []),
        };
        if (projected)
        {
            names["layer2.0.shortcut.0.weight"] = new(ElementType.Float32, []);
        }

        var blueprint = CifarResNet.Build(new TensorShapes(names), null, 21, 18);
        Assert.Equal("cifar_resnet14", blueprint.Architecture);
        using var file = new MemoryTensors(blueprint);
        var batch = MemoryTensors.Values(2 * 3 * 21 * 18, 1).view(2, 3, 21, 18);
        var expected = Rectified(file, "conv1", "bn1", batch, 1, 1);
        for (var stage = 1; stage <= 3; stage++)
        {
            for (var block = 0; block < 2; block++)
            {
                var p = $"layer{stage}.{block}";
                var stride = stage > 1 && block == 0 ? 2 : 1;
                var x = Normalised(file, $"{p}.conv2", $"{p}.bn2", Rectified(file, $"{p}.conv1", $"{p}.bn1", expected, stride, 1), 1, 1);
                var shortcut = expected;
                if (stride == 2 && projected)
                {
                    shortcut = Normalised(file, $"{p}.shortcut.0", $"{p}.shortcut.1", expected, 2, 0);
                }
                else if (stride == 2)
                {
                    var missing = x.shape[1] - expected.shape[1];
                    var zero = zeros(2, missing / 2, x.shape[2], x.shape[3]);
                    shortcut = cat([zero, expected[TensorIndex.Ellipsis, TensorIndex.Slice(null, null, 2), TensorIndex.Slice(null, null, 2)], zero], 1);
                }

                expected = x.add(shortcut, Scalars.One).relu();
            }
        }

        AssertSame(file, blueprint, batch, expected, "linear");
    }

    [Theory]
    [InlineData("cifar_resnet32", null, "cifar_resnet", 32)]
    [InlineData("CIFAR-ResNet-56", null, "cifar_resnet", 56)]
    [InlineData("cifar_resnet", 20, "cifar_resnet", 20)]
    [InlineData("resnet20", null, "cifar_resnet", 20)]
    [InlineData("resnet18", null, "resnet", 18)]
    [InlineData("resnet", 50, "resnet", 50)]
    [InlineData("MobileNetV1", null, "mobilenet_v1", null)]
    public void ArchitectureNamesAreUnderstood(string name, int? depth, string family, int? expected) =>
        Assert.Equal((family, expected), ArchitectureCatalogue.Parse(name, depth));

    [Theory]
    [InlineData("resnet21")]
    [InlineData("cifar_resnet21")]
    [InlineData("cifar_resnetx")]
    [InlineData("alexnet")]
    [InlineData("")]
    public void OtherArchitectureNamesAreNot(string name) => Assert.Null(ArchitectureCatalogue.Parse(name, null));

    private static Blueprint Build(string name, int outputs, int side) => ArchitectureCatalogue.Build(
        ArchitectureCatalogue.Parse(name, null)!.Value,
        new TensorShapes(new Dictionary<string, TensorHeader> { ["fc.weight"] = new(ElementType.Float32, [outputs, 1]) }),
        side,
        side);

    private static void AssertSame(MemoryTensors file, Blueprint blueprint, Tensor batch, Tensor lastActivation, string classifier)
    {
        var logits = functional.linear(lastActivation.mean([2, 3]), file.Tensor($"{classifier}.weight"), file.Tensor($"{classifier}.bias"));
        var description = new NetworkDescription
        {
            Name = "",
            Architecture = blueprint.Architecture,
            Sha256 = "",
            Preprocessing = new((int)batch.shape[2], (int)batch.shape[3], [0, 0, 0], [1, 1, 1], ResizeMode.Stretch),
            Layers = blueprint.Layers(),
        };
        ArchitectureCatalogue.Check(file, blueprint);
        using var network = new NativeNetwork(description, blueprint, NetworkWeights.Load(file, blueprint, blueprint.DefaultEpsilon, CPU), CPU);
        var layer = network.Layers.Single(l => l.Suggested);
        var (activations, actual) = network.Forward(batch, [layer.Name]);
        Assert.Equal([2L, layer.Channels, layer.Height, layer.Width], activations[0].shape);
        AssertClose(lastActivation, activations[0]);
        AssertClose(logits, actual);
        var all = network.Forward(batch, [.. network.Layers.Select(l => l.Name)]).Activations;
        foreach (var (info, activation) in network.Layers.Zip(all))
        {
            Assert.Equal([2L, info.Channels, info.Height, info.Width], activation.shape);
        }
    }

    private static void AssertClose(Tensor expected, Tensor actual)
    {
        Assert.Equal(expected.shape, actual.shape);
        Assert.True(expected.abs().max().item<float>() > 0.01);
        Assert.InRange(((expected - actual).abs().max() / expected.abs().max()).item<float>(), 0, 1e-4);
    }

    private static Tensor Rectified(MemoryTensors file, string convolution, string norm, Tensor x, int stride, int padding) =>
        Normalised(file, convolution, norm, x, stride, padding).relu();

    private static Tensor Normalised(MemoryTensors file, string convolution, string norm, Tensor x, int stride, int padding)
    {
        var y = functional.conv2d(x, file.Tensor($"{convolution}.weight"), strides: [stride, stride], padding: [padding, padding]);
        Tensor Part(string part) => file.Tensor($"{norm}.{part}").view(1, -1, 1, 1);
        return ((y - Part("running_mean")) / Part("running_var").add(Scalars.Of(1e-5), Scalars.One).sqrt() * Part("weight")).add(Part("bias"), Scalars.One);
    }

    /// <summary>Deterministic weights of plausible size for a blueprint.</summary>
    private sealed class MemoryTensors(Blueprint blueprint) : ITensorFile
    {
        public string FileName => "memory";

        public IReadOnlyDictionary<string, TensorHeader> Headers { get; } =
            blueprint.Tensors.ToDictionary(t => t.Name, t => new TensorHeader(ElementType.Float32, t.Shape));

        public static Tensor Values(long count, int seed) => ((arange(Scalars.Of(0), Scalars.Of(count), Scalars.One, ScalarType.Float32) * Scalars.Of(0.7310585f)).add(Scalars.Of(seed), Scalars.One)).sin();

        public float[] ReadFloats(string name)
        {
            using var scope = NewDisposeScope();
            return MemoryMarshal.Cast<byte, float>(Tensor(name).bytes).ToArray();
        }

        public Tensor Tensor(string name)
        {
            var shape = Headers[name].Shape.ToArray();
            var values = Values(shape.Aggregate(1L, (a, b) => a * b), name.Length).view(shape);
            return name.Split('.')[^1] switch
            {
                "running_var" => values.abs().add(Scalars.Of(0.5f), Scalars.One),
                "weight" when shape.Length == 1 => (values * Scalars.Of(0.2f)).add(Scalars.One, Scalars.One),
                "weight" => values * Scalars.Of((float)Math.Sqrt(2.0 / shape.Skip(1).Aggregate(1L, (a, b) => a * b))),
                _ => values * Scalars.Of(0.1f),
            };
        }

        public void Dispose()
        {
        }
    }
}
