using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Runs;
using Xunit;

namespace Analysis.Tests.Runs;

/// <summary>A whole run on real images with a real network, against its reference outputs.</summary>
public sealed class RealDataRunTests
{
    [Fact]
    public void Resnet20_on_cifar10_gives_the_reference_logits_and_the_stated_accuracy()
    {
        var images = TestData.Require("cifar10", "test");
        var network = TestData.Require("cifar10", "models", "resnet20.safetensors");
        using var folder = new TemporaryFolder();
        var manifest = SampleRun.Run(new AnalysisRequest { Dataset = images, Network = network, Threads = 2 }, folder["result"], folder["store"]);
        Assert.Equal(2000, manifest.Dataset.Images);
        Assert.Equal(0.8135, manifest.Metrics["accuracy"], 1e-9);

        var reference = NpzArchive.Open(TestData.Require("cifar10", "models", "reference.npz"));
        var names = reference["names"].ToStrings();
        var expected = reference["resnet20_logits"].ToMatrix();
        var rows = ResultTables.Read<SampleRow>(folder["result"], "samples").ToDictionary(s => s.Path, s => s.Index);
        using var file = SafetensorsFile.Open(folder["result", "tensors.safetensors"]);
        var logits = file.Span<float>("logits");
        for (var i = 0; i < names.Length; i++)
        {
            var row = rows[names[i][(names[i].IndexOf("test/", StringComparison.Ordinal) + 5)..]];
            for (var j = 0; j < expected.Columns; j++)
            {
                Assert.Equal(expected[i, j], logits[(row * expected.Columns) + j], 1e-3);
            }
        }
    }
}
