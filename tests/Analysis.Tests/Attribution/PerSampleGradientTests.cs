using Analysis.Attribution;
using Analysis.Attribution.Retraining;
using Analysis.Networks;
using Analysis.Networks.Architectures;
using Analysis.Networks.Files;
using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Attribution;

/// <summary>Gradients from taps against automatic differentiation of one sample at a time.</summary>
public sealed class PerSampleGradientTests
{
    public PerSampleGradientTests()
    {
        TorchRuntime.Prepare();
        set_num_threads(1);
    }

    [Theory]
    [InlineData(1, 0, 1, 1, 1)]
    [InlineData(3, 1, 1, 1, 1)]
    [InlineData(3, 1, 2, 1, 2)]
    [InlineData(3, 2, 2, 2, 1)]
    [InlineData(2, 0, 2, 1, 4)]
    [InlineData(1, 0, 2, 1, 1)]
    public void ConvolutionsOfAnyStridePaddingDilationAndGroups(int kernel, int padding, int stride, int dilation, int groups)
    {
        using var scope = NewDisposeScope();
        var x = Values(1, 3, 4, 9, 8);
        var (weight, bias) = (Values(2, 8, 4 / groups, kernel, kernel).requires_grad_(true), Values(3, 8).requires_grad_(true));
        using var tape = new ParameterTape();
        tape.Backward(Sum(tape.Convolution("c", x, weight.detach(), bias.detach(), stride, padding, dilation, groups)));
        AssertSame(tape, [weight, bias], n => Sum(nn.functional.conv2d(
            x.narrow(0, n, 1), weight, bias, strides: [stride, stride], padding: [padding, padding], dilation: [dilation, dilation], groups: groups)));
    }

    [Fact]
    public void LinearMapsOfTokensAndNormalisations()
    {
        using var scope = NewDisposeScope();
        var x = Values(1, 3, 5, 6);
        var (weight, bias) = (Values(2, 4, 6).requires_grad_(true), Values(3, 4).requires_grad_(true));
        var (gamma, beta) = (Values(4, 4).requires_grad_(true), Values(5, 4).requires_grad_(true));
        var token = Values(6, 1, 1, 4).requires_grad_(true);
        using var tape = new ParameterTape();
        var first = tape.Linear("l.weight", "l.bias", x, weight.detach(), bias.detach());
        var normal = nn.functional.layer_norm(first, [4], null, null, 1e-6);
        var second = tape.Affine("n", normal, gamma.detach(), beta.detach(), 2);
        tape.Backward(Sum(cat([tape.Constant("t", token.detach(), 3), second], 1)));
        AssertSame(tape, [weight, bias, gamma, beta, token], n =>
        {
            var single = nn.functional.linear(x.narrow(0, n, 1), weight, bias);
            return Sum(cat([token.expand(1, 1, 4), nn.functional.layer_norm(single, [4], gamma, beta, 1e-6)], 1));
        });
    }

    [Fact]
    public void SharedWeightsAddUp()
    {
        using var scope = NewDisposeScope();
        var x = Values(1, 3, 4, 6, 6);
        var (weight, bias) = (Values(2, 4, 4, 3, 3).requires_grad_(true), Values(3, 4).requires_grad_(true));
        using var tape = new ParameterTape();
        var y = x;
        for (var i = 0; i < 3; i++)
        {
            y = tape.Convolution("c", y, weight.detach(), bias.detach(), 1, 1, 1, 1).tanh();
        }

        tape.Backward(Sum(y));
        AssertSame(tape, [weight, bias], n =>
        {
            var z = x.narrow(0, n, 1);
            for (var i = 0; i < 3; i++)
            {
                z = nn.functional.conv2d(z, weight, bias, padding: [1, 1]).tanh();
            }

            return Sum(z);
        });
    }

    /// <summary>Every parameter of the file is on the tape, and each image's gradient is that of automatic differentiation.</summary>
    [Theory]
    [InlineData("cifar_resnet")]
    [InlineData("resnet18")]
    [InlineData("mobilenet_v1")]
    [InlineData("vgg11_bn")]
    [InlineData("vit")]
    public void WholeNetworks(string architecture)
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var side = architecture is "vit" ? 16 : 32;
        var path = Write(folder, Shapes(architecture, side), side);
        using var trained = TrainableNetwork.Like(path, null, 3, CPU);
        using (no_grad())
        {
            var seed = 0;
            foreach (var (name, tensor) in trained.Weights.Tensors)
            {
                // Statistics and scales of their own, so that batch norms do something.
                if (tensor.dim() == 1)
                {
                    tensor.copy_(Values(++seed, tensor.shape[0]).abs().add(Scalars.Of(0.5), Scalars.One).to(ScalarType.Float32));
                }
            }
        }

        trained.Save(path);
        using var network = GradientNetwork.Load(path, null, CPU);
        using var plain = NetworkLoader.Load(path, null, CPU);
        var images = Values(9, 2, 3, side, side).to(ScalarType.Float32);
        var outputs = tensor(new[] { 1L, 3L });
        Tensor? gradients = null;
        GradientFeatures.Backward(
            network,
            images,
            logits =>
            {
                var expected = plain.Forward(images, []).Logits;
                Assert.InRange((logits.detach() - expected).abs().max().item<float>() / expected.abs().max().item<float>(), 0, 1e-3);
                return ModelOutputs.Margin(logits, outputs);
            },
            null,
            new FeatureOptions(),
            tape => gradients = PerSampleGradients.Concatenate(tape).Gradients.DetachFromDisposeScope());
        Assert.Equal(NetworkLoader.Inspect(path).Parameters, gradients!.shape[1]);
        for (var n = 0; n < 2; n++)
        {
            foreach (var tensor in trained.Weights.Learnt)
            {
                tensor.grad?.zero_();
            }

            autograd.backward([ModelOutputs.Margin(trained.Logits(images.narrow(0, n, 1), false), outputs.narrow(0, n, 1)).sum()], inputs: trained.Weights.Learnt);
            var byName = trained.Weights.Tensors.Where(t => t.Value.requires_grad).ToDictionary(t => t.Key, t => t.Value.grad!);
            using var tape = new ParameterTape();
            network.Run(images, tape);
            var expected = cat([.. PerSampleGradients.Parameters(tape).Select(p => byName[p.Name].flatten())], 0);
            var difference = (gradients[n] - expected).norm().item<float>() / expected.norm().item<float>();
            Assert.True(difference < 2e-3, $"{architecture}, image {n}: {difference}");
        }
    }

    [Fact]
    public void OnlyParametersBetweenTheLayersAreNoted()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var path = Write(folder, Shapes("cifar_resnet", 32), 32);
        using var network = GradientNetwork.Load(path, null, CPU);
        using var tape = new ParameterTape();
        network.Run(Values(1, 2, 3, 32, 32).to(ScalarType.Float32), tape, null, "layer1", "layer2");
        Assert.All(tape.Uses, u => Assert.StartsWith("layer2.", u.Weight));
        Assert.NotEmpty(tape.Uses);
    }

    [Fact]
    public void ProgramsAreRefusedWithARemedy()
    {
        var path = TestData.Require("cifar10", "models", "resnet20.ts.pt");
        var fault = Assert.Throws<AnalysisException>(() => GradientNetwork.Load(path, "torchscript", CPU));
        Assert.Contains("safetensors", fault.Message);
    }

    /// <summary>A few shapes from which the rest of an architecture follows; small.</summary>
    private static Blueprint Shapes(string architecture, int side)
    {
        var known = new Dictionary<string, long[]>
        {
            ["conv1.weight"] = architecture == "cifar_resnet" ? [4, 3, 3, 3] : architecture == "mobilenet_v1" ? [8, 3, 3, 3] : [64, 3, 7, 7],
            ["linear.weight"] = [5, 16],
            ["fc.weight"] = [5, 1],
            ["classifier.0.weight"] = [12, 1],
            ["classifier.3.weight"] = [12, 12],
            ["classifier.6.weight"] = [5, 12],
            ["features.1.running_mean"] = [8],
            ["conv_proj.weight"] = [64, 3, 4, 4],
            ["encoder.pos_embedding"] = [1, 17, 64],
            ["encoder.layers.encoder_layer_0.mlp.0.weight"] = [24, 64],
            ["encoder.layers.encoder_layer_1.mlp.0.weight"] = [24, 64],
            ["heads.head.weight"] = [5, 64],
        };
        foreach (var place in new[] { 0, 4, 8, 11, 15, 18, 22, 25 })
        {
            known[$"features.{place}.weight"] = [8, 3, 3, 3];
        }

        var shapes = new TensorShapes(known.ToDictionary(k => k.Key, k => new TensorHeader(ElementType.Float32, k.Value)));
        return architecture switch
        {
            "cifar_resnet" => CifarResNet.Build(shapes, 8, side, side),
            "resnet18" => TorchvisionResNet.Build(shapes, 18, side, side),
            "mobilenet_v1" => MobileNetV1.Build(shapes, side, side),
            "vgg11_bn" => TorchvisionVgg.Build(shapes, 11, side, side),
            _ => VisionTransformer.Build(shapes, null, side, side),
        };
    }

    private static string Write(TemporaryFolder folder, Blueprint blueprint, int side)
    {
        var path = folder["network.safetensors"];
        var seed = 100;
        SafetensorsTensors.Save(path, [.. blueprint.Tensors.Select(t => (t.Name, Values(++seed, t.Shape).abs().to(ScalarType.Float32)))]);
        File.WriteAllText(folder["network.json"], FormattableString.Invariant($$$"""{"input":{"size":[{{{side}}},{{{side}}}],"mean":[0.5,0.5,0.5],"std":[0.25,0.25,0.25],"resize":{"mode":"stretch"}},"classes":["a","b","c","d","e"]}"""));
        return path;
    }

    /// <summary>Not linear, so that nothing cancels.</summary>
    private static Tensor Sum(Tensor values) => (values.tanh() * Weights(values)).flatten(1).sum(1L);

    private static Tensor Weights(Tensor values) => Values(77, [1, .. values.shape.Skip(1)]);

    private static Tensor Values(int seed, params long[] shape)
    {
        var random = new SplitMix64((ulong)seed);
        var values = new double[shape.Aggregate(1L, (a, b) => a * b)];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = random.NextNormal();
        }

        return tensor(values, shape);
    }

    private static void AssertSame(ParameterTape tape, Tensor[] parameters, Func<int, Tensor> single)
    {
        var (gradients, sizes) = PerSampleGradients.Concatenate(tape);
        Assert.Equal(parameters.Select(p => p.numel()), sizes.Select(s => s.Size));
        for (var n = 0; n < gradients.shape[0]; n++)
        {
            foreach (var parameter in parameters)
            {
                parameter.grad?.zero_();
            }

            autograd.backward([single(n).sum()], inputs: parameters);
            Close.Absolute(Close.Values(cat([.. parameters.Select(p => p.grad!.flatten())], 0)), Close.Values(gradients[n]), 1e-10, $"sample {n}");
        }
    }
}
