using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Numerics;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Networks;

/// <summary>Real networks against the outputs of the framework they were trained in.</summary>
public sealed class ReferenceNetworkTests
{
    private const double Tolerance = 1e-3;

    private static readonly string[] CifarLayers = ["conv1", "layer1", "layer2", "layer3"];
    private static readonly string[] MobileNetLayers = ["conv1", "conv_dw_2", "conv_pw_5", "conv_pw_11", "conv_pw_12", "conv_pw_13"];

    public ReferenceNetworkTests() => set_num_threads(1);

    [Theory]
    [InlineData("resnet20.safetensors", "resnet20", "cifar_resnet20")]
    [InlineData("resnet20.pth", "resnet20", "cifar_resnet20")]
    [InlineData("resnet20.ts.pt", "resnet20", "cifar_resnet20")]
    [InlineData("resnet56.safetensors", "resnet56", "cifar_resnet56")]
    [InlineData("resnet56.pth", "resnet56", "cifar_resnet56")]
    public void CifarNetworksGiveTheReferenceLogitsAndActivations(string file, string prefix, string architecture)
    {
        var reference = NpzArchive.Open(TestData.Require("cifar10", "models", "reference.npz"));
        using var scope = NewDisposeScope();
        using var network = NetworkLoader.Load(TestData.Require("cifar10", "models", file), null, CPU);
        Assert.Equal(architecture, network.Architecture);
        var (activations, logits) = network.Forward(Batch(reference, network), CifarLayers);
        AssertClose(reference, $"{prefix}_logits", logits);
        for (var i = 0; i < CifarLayers.Length; i++)
        {
            AssertClose(reference, $"{prefix}_pooled_{CifarLayers[i]}", activations[i].mean([2, 3]));
            AssertDescribed(network, CifarLayers[i], activations[i]);
        }

        AssertClose(reference, $"{prefix}_layer3_first4", activations[3].slice(0, 0, 4, 1));
    }

    [Fact]
    public void TheFineTunedNetworkGivesItsReferenceLogits()
    {
        var reference = NpzArchive.Open(TestData.Require("cifar10", "models", "reference.npz"));
        using var scope = NewDisposeScope();
        using var network = NetworkLoader.Load(TestData.Require("cifar10", "models", "resnet20_jpeg.safetensors"), null, CPU);
        var (activations, logits) = network.Forward(Batch(reference, network), ["layer3.2"]);
        AssertClose(reference, "resnet20_jpeg_logits", logits);
        AssertClose(reference, "resnet20_jpeg_pooled_layer3", activations[0].mean([2, 3]));
    }

    [Fact]
    public void MobileNetGivesTheReferenceAndItsScriptTheSame()
    {
        var reference = NpzArchive.Open(TestData.Require("mobilenet_v1_tiny200", "reference.npz"));
        using var scope = NewDisposeScope();
        using var network = NetworkLoader.Load(TestData.Require("mobilenet_v1_tiny200", "mobilenet_v1_tiny200.safetensors"), null, CPU);
        Assert.Equal("mobilenet_v1", network.Architecture);
        Assert.Equal(new Preprocessing(128, 128, network.Preprocessing.Mean, network.Preprocessing.Std, ResizeMode.ShorterSideCentreCrop, 128), network.Preprocessing);
        Assert.Equal(new NetworkClass("goldfish", "n01443537"), network.Classes[0]);
        var batch = Batch(reference, network);
        var (activations, logits) = network.Forward(batch, MobileNetLayers);
        AssertClose(reference, "logits", logits);
        for (var i = 0; i < MobileNetLayers.Length; i++)
        {
            AssertClose(reference, $"pooled_{MobileNetLayers[i]}", activations[i].mean([2, 3]));
            AssertDescribed(network, MobileNetLayers[i], activations[i]);
        }

        var script = TestData.Require("mobilenet_v1_tiny200", "mobilenet_v1_tiny200.ts.pt");
        using var taken = NetworkLoader.Load(script, null, CPU);
        Assert.Equal("mobilenet_v1", taken.Architecture);
        using var run = NetworkLoader.Load(script, "torchscript", CPU);
        Assert.Equal("torchscript", run.Architecture);
        Assert.Equal(200, run.Outputs);
        var eight = batch.slice(0, 0, 8, 1);
        var expected = logits.slice(0, 0, 8, 1);
        Assert.InRange((taken.Forward(eight, []).Logits - expected).abs().max().item<float>(), 0, 1e-4);
        var (output, scripted) = run.Forward(eight, ["output"]);
        Assert.InRange((scripted - expected).abs().max().item<float>(), 0, 1e-4);
        Assert.Equal([8L, 200L, 1L, 1L], output[0].shape);
    }

    [Fact]
    public void AScriptThatRunsAsItIsGivesTheReference()
    {
        var reference = NpzArchive.Open(TestData.Require("cifar10", "models", "reference.npz"));
        using var scope = NewDisposeScope();
        using var network = NetworkLoader.Load(TestData.Require("cifar10", "models", "resnet20.ts.pt"), "torchscript", CPU);
        AssertClose(reference, "resnet20_logits", network.Forward(Batch(reference, network), []).Logits);
        Assert.Contains(network.Notes, n => n.Contains("cannot be split", StringComparison.Ordinal));
        Assert.Equal("output", Assert.Single(network.Layers).Name);
    }

    [Fact]
    public void DescribingNeedsNoRunAndAgreesWithLoading()
    {
        var path = TestData.Require("cifar10", "models", "resnet20.ts.pt");
        var description = NetworkLoader.Inspect(path);
        Assert.Equal("resnet20-cifar10", description.Name);
        Assert.Equal("cifar_resnet20", description.Architecture);
        Assert.Equal(269722, description.Parameters);
        Assert.Equal(0.8103, description.Accuracy);
        Assert.Equal(10, description.Outputs);
        Assert.Equal("layer3", Assert.Single(description.Layers, l => l.Suggested).Name);
        using var network = NetworkLoader.Load(path, null, CPU);
        Assert.Equal(description.Sha256, network.Sha256);
        Assert.Equal(description.Layers, network.Layers);
    }

    /// <summary>The head after every layer gives the logits of the whole, and its gradient reaches the activation.</summary>
    [Fact]
    public void TheHeadContinuesFromEveryLayer()
    {
        var reference = NpzArchive.Open(TestData.Require("cifar10", "models", "reference.npz"));
        using var scope = NewDisposeScope();
        using var network = NetworkLoader.Load(TestData.Require("cifar10", "models", "resnet20.safetensors"), null, CPU);
        var batch = Batch(reference, network).slice(0, 0, 2, 1);
        var names = network.Layers.Select(l => l.Name).ToList();
        var (activations, logits) = network.Forward(batch, names);
        for (var i = 0; i < names.Count; i++)
        {
            AssertDescribed(network, names[i], activations[i]);
            var leaf = activations[i].detach().clone().requires_grad_();
            var again = network.Head(names[i], leaf);
            Assert.InRange((again - logits).abs().max().item<float>(), 0, 1e-5);
            again.sum().backward();
            Assert.True(leaf.grad!.abs().sum().item<float>() > 0, names[i]);
            if (network.LinearHead(names[i]) is var (weight, bias))
            {
                Assert.True(network.Layers[i].LinearHead);
                var closed = activations[i].mean([2, 3]).mm(weight.t()).add(bias, Scalars.One);
                Assert.InRange((closed - logits).abs().max().item<float>(), 0, 1e-4);
            }
            else
            {
                Assert.False(network.Layers[i].LinearHead);
            }
        }
    }

    [Fact]
    public void ForwardAndHeadLeaveNoTensorsBehind()
    {
        var path = TestData.Require("cifar10", "models", "resnet20.safetensors");
        using var network = NetworkLoader.Load(path, null, CPU);
        using var batch = zeros(2, 3, 32, 32);
        using var scope = NewDisposeScope();
        var before = scope.DisposablesCount;
        var (activations, logits) = network.Forward(batch, ["layer2", "layer3"]);
        var head = network.Head("layer2", activations[0]);
        Assert.Equal(before + 4, scope.DisposablesCount);
        Assert.Equal(logits.shape, head.shape);
    }

    [Fact]
    public void AnUnknownLayerIsRefusedWithTheKnownOnes()
    {
        var path = TestData.Require("cifar10", "models", "resnet20.safetensors");
        using var network = NetworkLoader.Load(path, null, CPU);
        using var batch = zeros(1, 3, 32, 32);
        var fault = Assert.Throws<AnalysisException>(() => network.Forward(batch, ["layer9"]));
        Assert.Contains("layer9", fault.Message, StringComparison.Ordinal);
        Assert.Contains("layer3.2", fault.Message, StringComparison.Ordinal);
    }

    private static void AssertDescribed(INetwork network, string layer, Tensor activation)
    {
        var info = network.Layers.Single(l => l.Name == layer);
        Assert.Equal([activation.shape[0], info.Channels, info.Height, info.Width], activation.shape);
        if (info.Sign == ActivationSign.NonNegative)
        {
            Assert.True(activation.min().item<float>() >= 0);
        }
    }

    private static void AssertClose(NpzArchive reference, string name, Tensor actual)
    {
        using var expected = reference[name].ToTensor();
        Assert.Equal(expected.shape, actual.shape);
        Assert.InRange((actual - expected).abs().max().item<float>(), 0, Tolerance);
    }

    private static Tensor Batch(NpzArchive reference, INetwork network)
    {
        using var pixels = reference["pixels_u8"].ToTensor();
        var mean = tensor(network.Preprocessing.Mean.ToArray()).view(1, 3, 1, 1);
        var std = tensor(network.Preprocessing.Std.ToArray()).view(1, 3, 1, 1);
        return ((pixels.permute(0, 3, 1, 2).to_type(ScalarType.Float32) / Scalars.Of(255) - mean) / std).contiguous();
    }
}
