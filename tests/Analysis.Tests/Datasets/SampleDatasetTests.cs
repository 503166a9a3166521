using System.Security.Cryptography;
using System.Text.Json;
using Analysis.Datasets;
using Analysis.Datasets.Sample;
using Analysis.Imaging;
using Xunit;

namespace Analysis.Tests.Datasets;

/// <summary>The built-in sample is the same everywhere, complete, and what its truth says.</summary>
public sealed class SampleDatasetTests
{
    private static readonly SampleOptions Small = new() { ImagesPerClass = 20, Foreign = 4, Duplicates = 3 };

    [Fact]
    public void The_same_options_give_the_same_bytes_on_every_machine()
    {
        var plan = SamplePlan.Create(new SampleOptions());
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (var i = 0; i < plan.Count; i += 20)
        {
            hash.AppendData(plan[i].Paint().Pixels);
        }

        Assert.Equal("6b90d5531e13e130", Convert.ToHexStringLower(hash.GetHashAndReset())[..16]);
        var truth = System.Text.Encoding.UTF8.GetBytes(SampleDataset.Truth(new SampleOptions(), plan));
        Assert.Equal("b0c88891a6e7b65e", Convert.ToHexStringLower(SHA256.HashData(truth))[..16]);
    }

    [Fact]
    public void Planted_images_are_as_many_as_stated_and_do_not_overlap()
    {
        var plan = SamplePlan.Create(new SampleOptions());
        Assert.Equal(2040, plan.Count);
        Assert.Equal(plan.Count, plan.Select(static i => i.Path).Distinct().Count());
        Assert.Equal(
            [("clean", 1852), ("corrupted", 40), ("duplicate", 20), ("mislabelled", 60), ("ood", 20), ("watermark", 48)],
            plan.CountBy(static i => i.Type).Select(static c => (c.Key, c.Value)).Order());
        Assert.All(plan, static i => Assert.Equal(i.Type == "watermark", i.Attributes.Watermark));
        Assert.All(plan.Where(static i => i.FolderClass == SampleClasses.WatermarkClass), static i => Assert.True(i.Type is "clean" or "watermark"));
        Assert.All(plan.Where(static i => i.Type == "mislabelled"), static i => Assert.NotEqual(i.FolderClass, i.TrueClass));
        Assert.All(plan.Where(static i => i.Type is "clean" or "watermark" or "duplicate"), static i => Assert.Equal(i.FolderClass, i.TrueClass));
        foreach (var shown in SampleClasses.All)
        {
            var clean = plan.Where(i => i.Type == "clean" && i.FolderClass == shown.Name).Select(static i => i.Attributes).ToList();
            Assert.InRange(clean.Count, 120, 200);
            Assert.All(clean, a => Assert.True(
                a.Shape == shown.Shape && (shown.Texture ?? a.Texture) == a.Texture && (shown.Colour ?? a.Colour) == a.Colour
                && (shown.Background ?? a.Background) == a.Background));
            Assert.True(shown.Texture is not null || clean.Select(static a => a.Texture).Distinct().Count() == 4);
        }
    }

    [Fact]
    public void It_opens_as_class_folders_and_agrees_with_its_truth()
    {
        using var folder = new TemporaryFolder();
        var reports = new List<(int Done, int Total)>();
        var images = SampleDataset.EnsureCreated(folder.Path, new Collect(reports), Small, TestContext.Current.CancellationToken);
        var dataset = DatasetLoader.Open(images, TestContext.Current.CancellationToken);
        Assert.Equal(207, dataset.Samples.Count);
        Assert.Equal(SampleClasses.All.Select(static c => c.Name), dataset.Classes);
        Assert.Empty(dataset.Skipped);
        Assert.Equal((207, 207), reports[^1]);

        var plan = SamplePlan.Create(Small);
        Assert.Equal(plan.Select(static i => i.Path), dataset.Samples.Select(static s => s.Path));
        using var truth = JsonDocument.Parse(File.ReadAllText(folder[SampleDataset.TruthFile]));
        Assert.Equal(207, truth.RootElement.GetProperty("attributes").EnumerateObject().Count());
        foreach (var planted in truth.RootElement.GetProperty("planted").EnumerateArray())
        {
            var file = planted.GetProperty("file").GetString()!;
            Assert.StartsWith(planted.GetProperty("folder_class").GetString() + "/", file, StringComparison.Ordinal);
            if (planted.GetProperty("type").GetString() == "duplicate")
            {
                var source = planted.GetProperty("source").GetString()!;
                Assert.Equal(File.ReadAllBytes(Path.Combine(images, source)), File.ReadAllBytes(Path.Combine(images, file)));
            }
        }

        for (var i = 0; i < dataset.Samples.Count; i += 9)
        {
            Assert.Equal(plan[i].Paint().Pixels, ImageDecoder.Decode(dataset.Read(i)).Pixels);
        }
    }

    [Fact]
    public void An_interrupted_sample_is_completed_and_a_complete_one_left_alone()
    {
        using var folder = new TemporaryFolder();
        var images = SampleDataset.EnsureCreated(folder.Path, options: Small, cancellation: TestContext.Current.CancellationToken);
        var fingerprint = DatasetLoader.Open(images, TestContext.Current.CancellationToken).Fingerprint;
        var victim = Directory.EnumerateFiles(images, "*.png", SearchOption.AllDirectories).First();
        File.Delete(victim);
        File.WriteAllText(folder[SampleDataset.TruthFile], "{");
        SampleDataset.EnsureCreated(folder.Path, options: Small, cancellation: TestContext.Current.CancellationToken);
        Assert.True(File.Exists(victim));
        Assert.Equal(fingerprint, DatasetLoader.Open(images, TestContext.Current.CancellationToken).Fingerprint);

        File.WriteAllBytes(victim, [1]);
        SampleDataset.EnsureCreated(folder.Path, options: Small, cancellation: TestContext.Current.CancellationToken);
        Assert.Equal([1], File.ReadAllBytes(victim));
    }

    [Fact]
    public void A_folder_that_cannot_be_written_is_named()
    {
        using var folder = new TemporaryFolder();
        folder.Write("taken", [1]);
        var failure = Assert.Throws<AnalysisException>(() => SampleDataset.EnsureCreated(folder["taken"], options: Small, cancellation: TestContext.Current.CancellationToken));
        Assert.Contains("taken", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Another_seed_gives_other_images()
    {
        var (a, b) = (SamplePlan.Create(Small), SamplePlan.Create(Small with { Seed = 1 }));
        Assert.Empty(a.Select(static i => i.Path).Intersect(b.Select(static i => i.Path)));
    }

    private sealed class Collect(List<(int Done, int Total)> reports) : IProgress<(int Done, int Total)>
    {
        public void Report((int Done, int Total) value)
        {
            lock (reports)
            {
                reports.Add(value);
            }
        }
    }
}
