using System.Globalization;
using Analysis.Networks;
using Analysis.Numerics;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Networks;

/// <summary>TorchScript files of an architecture that is not built in (written by Fixtures/make_scripts.py).</summary>
public sealed class ScriptNetworkTests
{
    public ScriptNetworkTests() => set_num_threads(1);

    [Fact]
    public void ModulesThatRunInSequenceAreLayers()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        using var network = Load(folder, "in_sequence.ts.pt");
        Assert.Equal(["conv", "relu", "pool", "fc", "output"], network.Layers.Select(l => l.Name));
        Assert.Equal(("relu", 4, 8, 10, ActivationSign.NonNegative), network.Layers.Where(l => l.Suggested).Select(l => (l.Name, l.Channels, l.Height, l.Width, l.Sign)).Single());
        Assert.Equal(ActivationSign.Signed, network.Layers[0].Sign);

        var batch = (arange(Scalars.Of(0), Scalars.Of(5 * 3 * 16 * 20), Scalars.One, ScalarType.Float32) * Scalars.Of(0.37f)).cos().view(5, 3, 16, 20);
        var whole = network.Forward(batch, ["output"]);
        Assert.Equal([5L, 3L, 1L, 1L], whole.Activations[0].shape);
        var (activations, logits) = network.Forward(batch, ["relu", "pool"]);
        Assert.InRange((logits - whole.Logits).abs().max().item<float>(), 0, 1e-6);
        for (var i = 0; i < 2; i++)
        {
            var leaf = activations[i].detach().clone().requires_grad_();
            var head = network.Head(i == 0 ? "relu" : "pool", leaf);
            Assert.InRange((head - logits).abs().max().item<float>(), 0, 1e-6);
            head.sum().backward();
            Assert.True(leaf.grad!.abs().sum().item<float>() > 0);
        }

        Assert.Null(network.LinearHead("relu"));
        Assert.Throws<AnalysisException>(() => network.Forward(batch, ["layer4"]));
    }

    [Fact]
    public void OtherwiseOnlyTheLogitsCanBeRead()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        using var network = Load(folder, "not_in_sequence.ts.pt");
        var layer = Assert.Single(network.Layers);
        Assert.Equal(("output", 3, true), (layer.Name, layer.Channels, layer.Suggested));
        var (_, logits) = network.Forward(zeros(2, 3, 16, 20), []);
        Assert.Equal([2L, 3L], logits.shape);
    }

    [Theory]
    [InlineData("in_sequence.ts.pt", "relu")]
    [InlineData("in_sequence.ts.pt", "fc")]
    [InlineData("in_sequence.ts.pt", "output")]
    [InlineData("not_in_sequence.ts.pt", "output")]
    public void AScriptIsDifferentiableDownToItsImages(string file, string layer)
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        using var network = Load(folder, file);
        var batch = (arange(Scalars.Of(0), Scalars.Of(2 * 3 * 16 * 20), Scalars.One, ScalarType.Float32) * Scalars.Of(0.37f)).cos().view(2, 3, 16, 20);
        var leaf = batch.clone().requires_grad_(true);
        var activation = network.Backbone(leaf, layer);
        Assert.Equal(4, activation.dim());
        Assert.InRange((activation.detach().flatten(1) - network.Forward(batch, [layer]).Activations[0].flatten(1)).abs().max().item<float>(), 0, 1e-6);
        autograd.backward([activation.pow(Scalars.Of(2)).sum()], inputs: [leaf]);
        Assert.True(leaf.grad!.abs().sum().item<float>() > 0);
    }

    [Fact]
    public void AScriptThatDoesNotFitItsSidecarIsRefused()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("2 classes", Assert.Throws<AnalysisException>(() => Load(folder, "in_sequence.ts.pt", """, "classes":["a","b"]""")).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("split", false, 8, 10)]
    [InlineData("split_tokens", true, 1, 80)]
    public void TwoFilesGiveALayerAndAHead(string name, bool tokens, int height, int width)
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        using var whole = Load(folder, "in_sequence.ts.pt");
        Copy(folder, name + ".head.pt");
        using var network = Load(folder, name + ".backbone.pt");
        Assert.Equal("torchscript_split", network.Architecture);
        var layer = network.Layers.Single(l => l.Suggested);
        Assert.Equal(("backbone", 4, height, width, ActivationSign.NonNegative), (layer.Name, layer.Channels, layer.Height, layer.Width, layer.Sign));
        var batch = (arange(Scalars.Of(0), Scalars.Of(5 * 3 * 16 * 20), Scalars.One, ScalarType.Float32) * Scalars.Of(0.37f)).cos().view(5, 3, 16, 20);
        var expected = whole.Forward(batch, []).Logits;
        var (activations, logits) = network.Forward(batch, ["backbone", "output"]);
        Assert.Equal([5L, 4L, height, width], activations[0].shape);
        Assert.InRange((logits - expected).abs().max().item<float>(), 0, 1e-5);
        Assert.InRange((network.Head("output", activations[1]) - expected).abs().max().item<float>(), 0, 1e-5);
        var leaf = activations[0].detach().clone().requires_grad_();
        var head = network.Head("backbone", leaf);
        Assert.InRange((head - expected).abs().max().item<float>(), 0, 1e-5);
        head.sum().backward();
        Assert.True(leaf.grad!.abs().sum().item<float>() > 0);

        // A head that rectifies is not linear, even where the backbone gives nothing negative.
        Assert.Equal(!tokens, layer.LinearHead);
        if (network.LinearHead("backbone") is { } linear)
        {
            var closed = nn.functional.linear(activations[0].mean([2, 3]), linear.Weight, linear.Bias);
            Assert.InRange((closed - expected).abs().max().item<float>(), 0, 1e-5);
        }
    }

    [Fact]
    public void HalfOfASplitNetworkNamesTheOther()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("split.head.pt is missing", Assert.Throws<AnalysisException>(() => Load(folder, "split.backbone.pt")).Message, StringComparison.Ordinal);
        Copy(folder, "split_tokens.head.pt");
        File.Move(folder["split_tokens.head.pt"], folder["split.head.pt"]);
        Assert.Contains("cannot be run one after the other", Assert.Throws<AnalysisException>(() => Load(folder, "split.backbone.pt")).Message, StringComparison.Ordinal);
        folder.Write("split.head.pt", [1, 2, 3]);
        Assert.Throws<AnalysisException>(() => Load(folder, "split.backbone.pt"));
    }

    private static void Copy(TemporaryFolder folder, string name) =>
        folder.Write(name, File.ReadAllBytes(Path.Combine(TestData.Repository, "tests", "Analysis.Tests", "Networks", "Fixtures", name)));

    private static INetwork Load(TemporaryFolder folder, string name, string more = "")
    {
        var fixture = Path.Combine(TestData.Repository, "tests", "Analysis.Tests", "Networks", "Fixtures", name);
        var path = folder.Write(name, File.ReadAllBytes(fixture));
        File.WriteAllText(NetworkSidecar.PathFor(path), string.Create(CultureInfo.InvariantCulture, $$"""{"input":{"size":[16,20]}{{more}}}"""));
        return NetworkLoader.Load(path, null, CPU);
    }
}
