using Analysis.Networks;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Networks;

/// <summary>Real networks against the outputs of the framework they were trained in.</summary>
public sealed class ReferenceNetworkTests
{
    private const double Tolerance = 1e-3;

    public ReferenceNetworkTests() => set_num_threads(1);

    [Theory]
    [InlineData("resnet20.safetensors", "resnet20")]
    [InlineData("resnet56.safetensors", "resnet56")]
    [InlineData("resnet20_jpeg.safetensors", "resnet20_jpeg")]
    public void CifarNetworksGiveTheReferenceLogits(string file, string prefix)
    {
        var reference = TestData.Require("cifar10", "models", "reference.npz");
        using var scope = NewDisposeScope();
        using var network = NetworkLoader.Load(TestData.Require("cifar10", "models", file), null, CPU);
        var (_, logits) = network.Forward(Batch(reference, network), []);
        AssertClose(reference, $"{prefix}_logits", logits);
    }

    private static void AssertClose(string reference, string name, Tensor actual)
    {
        var (values, shape) = ReferenceArrays.Read<float>(reference, name);
        Assert.Equal(shape, actual.shape);
        using var expected = tensor(values, shape);
        Assert.InRange((actual - expected).abs().max().item<float>(), 0, Tolerance);
    }

    private static Tensor Batch(string reference, INetwork network)
    {
        var (pixels, shape) = ReferenceArrays.Read<byte>(reference, "pixels_u8");
        var mean = tensor(network.Preprocessing.Mean.ToArray()).view(1, 3, 1, 1);
        var std = tensor(network.Preprocessing.Std.ToArray()).view(1, 3, 1, 1);
        return ((tensor(pixels, shape).permute(0, 3, 1, 2).to_type(ScalarType.Float32) / 255 - mean) / std).contiguous();
    }
}
