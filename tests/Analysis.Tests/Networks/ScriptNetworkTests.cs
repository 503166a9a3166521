using System.Globalization;
using Analysis.Networks;
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

        var batch = (arange(5 * 3 * 16 * 20, ScalarType.Float32) * 0.37f).cos().view(5, 3, 16, 20);
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
        var batch = (arange(2 * 3 * 16 * 20, ScalarType.Float32) * 0.37f).cos().view(2, 3, 16, 20);
        var leaf = batch.clone().requires_grad_(true);
        var activation = network.Backbone(leaf, layer);
        Assert.Equal(4, activation.dim());
        Assert.InRange((activation.detach().flatten(1) - network.Forward(batch, [layer]).Activations[0].flatten(1)).abs().max().item<float>(), 0, 1e-6);
        autograd.backward([activation.square().sum()], inputs: [leaf]);
        Assert.True(leaf.grad!.abs().sum().item<float>() > 0);
    }

    [Fact]
    public void AScriptThatDoesNotFitItsSidecarIsRefused()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("2 classes", Assert.Throws<AnalysisException>(() => Load(folder, "in_sequence.ts.pt", """, "classes":["a","b"]""")).Message, StringComparison.Ordinal);
    }

    private static INetwork Load(TemporaryFolder folder, string name, string more = "")
    {
        var fixture = Path.Combine(TestData.Repository, "tests", "Analysis.Tests", "Networks", "Fixtures", name);
        var path = folder.Write(name, File.ReadAllBytes(fixture));
        File.WriteAllText(NetworkSidecar.PathFor(path), string.Create(CultureInfo.InvariantCulture, $$"""{"input":{"size":[16,20]}{{more}}}"""));
        return NetworkLoader.Load(path, null, CPU);
    }
}
