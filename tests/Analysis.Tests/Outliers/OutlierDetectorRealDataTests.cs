using Analysis.Datasets.Sample;
using Analysis.Outliers;
using TorchSharp;
using Xunit;

namespace Analysis.Tests.Outliers;

/// <summary>The whole detector on real images with planted outliers.</summary>
public sealed class OutlierDetectorRealDataTests
{
    public OutlierDetectorRealDataTests() => torch.set_num_threads(1);

    [Fact]
    public void PlantedOutliersRankAboveCleanImagesAndGetTheirKind()
    {
        var set = PlantedSet.Judge(
            TestData.Require("cifar10_planted", "images"),
            TestData.Require("cifar10_planted", "truth.json"),
            TestData.Require("cifar10", "models", "resnet20_jpeg.safetensors"));
        foreach (var kind in new[] { OutlierKind.Mislabelled, OutlierKind.Confounded, OutlierKind.Corrupted, OutlierKind.Foreign })
            Assert.InRange(set.Auc(kind), 0.85, 1);
        Assert.InRange(set.Auc(OutlierKind.None), 0.93, 1);

        var (right, found) = set.RightIn(300);
        Assert.InRange(found, 180, 216);
        Assert.True(right >= 0.7 * found, $"{right} of {found} kinds are right");
        (right, found) = set.RightIn(300, OutlierKind.Confounded);
        Assert.True(right >= 0.9 * found && found >= 65, $"{right} of {found} watermarks are called confounded");
        (right, found) = set.RightIn(300, OutlierKind.Foreign);
        Assert.True(right >= 0.6 * found, $"{right} of {found} foreign images are called foreign");
        Assert.InRange(set.FalseFlags(), 0, 0.06);

        var watermark = Enumerable.Range(0, set.Truth.Length).First(i => set.Truth[i] == OutlierKind.Confounded);
        Assert.Contains("at the bottom right", set.Result.Samples[watermark].Reason, StringComparison.Ordinal);
        Assert.Contains("ship", set.Result.Samples[watermark].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void TheBuiltInSampleIsJudgedAsItsTruthSays()
    {
        using var folder = new TemporaryFolder();
        var images = SampleDataset.EnsureCreated(folder["sample"], cancellation: TestContext.Current.CancellationToken);
        var set = PlantedSet.Judge(
            images,
            folder["sample", SampleDataset.TruthFile],
            Path.Combine(TestData.Repository, "samples", "network", "sample.safetensors"));
        Assert.InRange(set.Auc(OutlierKind.None), 0.97, 1);
        foreach (var kind in set.Truth.Distinct())
            Assert.InRange(set.Auc(kind), 0.9, 1);
        var (right, found) = set.RightIn(300);
        Assert.True(found > 170 && right >= 0.8 * found, $"{right} of {found} kinds are right");

        // What defines a class, such as the colour of the blue discs, is no shortcut: only the badge is.
        Assert.InRange(set.FalseFlags(), 0, 0.03);
        Assert.InRange(set.FalseFlags(OutlierKind.Confounded), 0, 0.005);
        foreach (var shown in set.Folder.Distinct())
        {
            var clean = Enumerable.Range(0, set.Truth.Length).Where(i => set.Truth[i] == OutlierKind.None && set.Folder[i] == shown).ToArray();
            Assert.InRange(clean.Count(i => set.Result.Samples[i].Kind != OutlierKind.None), 0, 0.08 * clean.Length);
        }

        Assert.All(Enumerable.Range(0, set.Truth.Length).Where(i => set.Truth[i] == OutlierKind.Confounded), i =>
        {
            Assert.Equal(OutlierKind.Confounded, set.Result.Samples[i].Kind);
            Assert.Equal("A pattern at the bottom right that 48 of 200 plain star images share and hardly any other image has.", set.Result.Samples[i].Reason);
        });
    }

    [Fact]
    public void ImagesWithoutPlantedOutliersAreHardlyFlagged()
    {
        var set = PlantedSet.Judge(
            TestData.Require("cifar10", "test"), null, TestData.Require("cifar10", "models", "resnet20_jpeg.safetensors"));
        Assert.InRange(set.FalseFlags(), 0, 0.06);
        Assert.InRange(set.FalseFlags(OutlierKind.Confounded), 0, 0.01);
        Assert.InRange(set.FalseFlags(OutlierKind.Foreign), 0, 0.03);
    }
}
