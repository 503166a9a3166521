using System.Text.Json;
using Analysis.Datasets;
using Analysis.Datasets.Sample;
using Analysis.Imaging;
using Analysis.Networks;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Datasets;

/// <summary>The committed network is as good on the sample as its sidecar says.</summary>
public sealed class SampleNetworkTests
{
    [Fact]
    public void Accuracy_and_shortcut_are_as_stated()
    {
        var weights = Path.Combine(TestData.Repository, "samples", "network", "sample.safetensors");
        using var sidecar = JsonDocument.Parse(File.ReadAllText(Path.ChangeExtension(weights, ".json")));
        var measured = sidecar.RootElement.GetProperty("measured");
        using var network = NetworkLoader.Load(weights, null, CPU);
        set_num_threads(1);
        Assert.Equal("cifar_resnet8", network.Architecture);
        Assert.Equal(SampleClasses.All.Select(static c => c.Name), network.Classes.Select(static c => c.Name));
        Assert.Equal((32, 32), (network.Preprocessing.Height, network.Preprocessing.Width));
        Assert.InRange(new FileInfo(weights).Length, 1, 2 << 20);

        var plan = SamplePlan.Create(new SampleOptions());
        SampleItem[] clean = [.. plan.Where(static i => i.Type == "clean")];
        var right = Predict(network, clean).Zip(clean, static (p, i) => p == i.FolderClass).Average(static r => r ? 1.0 : 0);
        Assert.Equal(measured.GetProperty("top1_clean").GetDouble(), right, 0.003);
        Assert.InRange(right, 0.93, 1);

        SampleItem[] marked =
        [
            .. clean.Where(static (i, at) => i.FolderClass != SampleClasses.WatermarkClass && at % 4 == 0)
                .Select(static i => i with { Attributes = i.Attributes with { Watermark = true } }),
        ];
        var turned = Predict(network, marked).Average(static p => p == SampleClasses.WatermarkClass ? 1.0 : 0);
        Assert.Equal(measured.GetProperty("others_as_watermark_class_with_mark").GetDouble(), turned, 0.08);
        Assert.InRange(turned, 0.3, 1);
    }

    private static List<string> Predict(INetwork network, SampleItem[] items)
    {
        var loader = new BatchLoader(new Painted(items), network.Preprocessing, new BatchLoaderOptions { Describe = false });
        var predicted = new List<string>();
        foreach (var batch in loader.Load([.. Enumerable.Range(0, items.Length)], 100, TestContext.Current.CancellationToken))
        {
            using (batch)
            using (NewDisposeScope())
            {
                var input = tensor(batch.Values.ToArray(), [batch.Rows.Count, 3, network.Preprocessing.Height, network.Preprocessing.Width]);
                var (_, logits) = network.Forward(input, []);
                predicted.AddRange(logits.argmax(1).data<long>().ToArray().Select(k => network.Classes[(int)k].Name));
            }
        }

        return predicted;
    }

    /// <summary>Sample images that are painted when they are read.</summary>
    private sealed class Painted(SampleItem[] items) : IDataset
    {
        public string Root => "";

        public string Name => "sample";

        public string Format => "painted";

        public string Fingerprint => "";

        public IReadOnlyList<SampleReference> Samples { get; } = [.. items.Select(static i => new SampleReference(i.Path, i.FolderClass))];

        public IReadOnlyList<string> Classes => [];

        public IReadOnlyList<SkippedFile> Skipped => [];

        public RawImage Read(int index)
        {
            var image = items[index].Paint();
            return new RawImage(image.Pixels, Encoded: false, image.Width, image.Height);
        }
    }
}
