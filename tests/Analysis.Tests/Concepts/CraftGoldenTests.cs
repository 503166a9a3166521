using Analysis.Concepts;
using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Concepts;

public sealed class CraftGoldenTests
{
    public static TheoryData<string> Patches => GoldenFiles.Rows("craft_patches*.npz");

    [Theory]
    [MemberData(nameof(Patches))]
    public void GoldenCropsAreCutAndResizedAsPublished(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = NewDisposeScope();
        var x = golden.Tensor("x");
        var expected = golden.Tensor("patches");
        var geometry = CropGeometry.For((int)x.shape[2], (int)x.shape[3], (int)expected.shape[2]);
        var patches = geometry.Patches(x);
        Assert.Equal(expected.shape, patches.shape);
        Assert.True(patches.equal(expected.to(patches.dtype)).all().item<bool>());
        var corners = golden.Ints("top_left");
        for (var crop = 0; crop < geometry.Count; crop++)
        {
            var (left, top, width, _) = geometry.Rectangle(crop);
            Assert.Equal(corners[2 * crop], top * geometry.Height, 1e-9);
            Assert.Equal(corners[(2 * crop) + 1], left * geometry.Width, 1e-9);
            Assert.Equal(geometry.Side, width * geometry.Width, 1e-9);
        }

        var resized = golden.Tensor("resized");
        var cut = geometry.Cut(x).narrow(0, 0, resized.shape[0]);
        Assert.True((cut - resized).abs().max().item<float>() <= 1e-6f);
    }

    [Fact]
    public void TheUsualCropsAreThoseOfTheMethod()
    {
        var geometry = CropGeometry.For(224, 224);
        Assert.Equal((64, 51, 16), (geometry.Side, geometry.Step, geometry.Count));
        var (left, top, width, height) = geometry.Rectangle(7);
        Assert.Equal((3 * 51 / 224.0, 51 / 224.0, 64 / 224.0, 64 / 224.0), (left, top, width, height));
    }

    [Fact]
    public void TheStrongestCropStandsForItsImage()
    {
        var geometry = new CropGeometry(2, 2, 1, 2, 2, 4);
        var codes = new CropCodes(geometry, 2, [1, 5, 3, 5, 0, 0, 0, 7]);
        Assert.Equal([3.0, 0], codes.Best(0));
        Assert.Equal([5.0, 7], codes.Best(1));
        Assert.Equal(0.5, codes.Rectangle(0, 0).Left);
        Assert.Equal(0, codes.Rectangle(0, 1).Left);
    }
}
