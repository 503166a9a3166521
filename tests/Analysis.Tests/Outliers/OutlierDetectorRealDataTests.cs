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
        Assert.InRange(set.FalseFlags(), 0, 0.08);

        var watermark = Enumerable.Range(0, set.Truth.Length).First(i => set.Truth[i] == OutlierKind.Confounded);
        Assert.Contains("at the bottom right", set.Result.Samples[watermark].Reason, StringComparison.Ordinal);
        Assert.Contains("ship", set.Result.Samples[watermark].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void ImagesWithoutPlantedOutliersAreHardlyFlagged()
    {
        var set = PlantedSet.Judge(
            TestData.Require("cifar10", "test"), null, TestData.Require("cifar10", "models", "resnet20_jpeg.safetensors"));
        Assert.InRange(set.FalseFlags(), 0, 0.08);
        Assert.InRange(set.FalseFlags(OutlierKind.Confounded), 0, 0.04);
        Assert.InRange(set.FalseFlags(OutlierKind.Foreign), 0, 0.03);
    }
}
