using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Outliers;
using Xunit;

namespace Analysis.Tests.Outliers;

/// <summary>Which layers are recorded for the detectors, and the pixel statistics.</summary>
public sealed class OutlierDepthsTests
{
    [Fact]
    public void TheFirstTwoStagesAreChosenAndTheStemIsPassedOver()
    {
        LayerInfo[] layers =
        [
            Layer("conv1", 64, 112), Layer("layer1.0", 64, 56), Layer("layer1.1", 64, 56), Layer("layer2.0", 128, 28),
            Layer("layer2.1", 128, 28), Layer("layer3.1", 256, 14), Layer("layer4.1", 512, 7), Layer("fc", 1000, 1),
        ];
        Assert.Equal([new OutlierDepth("layer1.1", 8), new OutlierDepth("layer2.1", 8)], OutlierDepths.Choose(layers));
    }

    [Fact]
    public void WideLayersGetACoarserGridAndSmallOnesTheirOwn()
    {
        Assert.Equal([new OutlierDepth("a", 4), new OutlierDepth("b", 4)], OutlierDepths.Choose([Layer("a", 256, 56), Layer("b", 512, 4)]));
        Assert.Equal([new OutlierDepth("a", 5), new OutlierDepth("c", 5)], OutlierDepths.Choose([Layer("a", 8, 5), Layer("b", 8, 5), Layer("c", 8, 5), Layer("d", 8, 5)]));
        Assert.Empty(OutlierDepths.Choose([Layer("fc", 10, 1)]));
    }

    [Fact]
    public void StatisticsTellBlankGreyAndNoisyImagesApart()
    {
        var black = Statistics((_, _) => (0, 0, 0));
        var grey = Statistics((x, y) => ((x * 7) % 256, (x * 7) % 256, (x * 7) % 256));
        var smooth = Statistics((x, y) => (x * 4, y * 4, 128));
        var noisy = Statistics((x, y) => ((x * 4) + (x * 7919 + y * 104729) % 61, (y * 4) + ((x * 31 + y * 17) * 7919 % 61), 128));
        Assert.Equal(0, black[PixelStatistics.Contrast]);
        Assert.Equal(1, black[PixelStatistics.Dark]);
        Assert.Equal(1, black[PixelStatistics.Flat]);
        Assert.Equal(0, grey[PixelStatistics.Saturation]);
        Assert.InRange(smooth[PixelStatistics.Saturation], 0.1, 1);
        Assert.InRange(smooth[PixelStatistics.Noise], 0, 0.003);
        Assert.InRange(noisy[PixelStatistics.Noise], 0.02, 1);
        Assert.Equal(0, Statistics((_, _) => (9, 9, 9), 1, 1)[PixelStatistics.Noise]);
    }

    private static float[] Statistics(Func<int, int, (int R, int G, int B)> colour, int width = 48, int height = 40)
    {
        var pixels = new byte[width * height * 3];
        for (var i = 0; i < width * height; i++)
        {
            var (r, g, b) = colour(i % width, i / width);
            (pixels[3 * i], pixels[(3 * i) + 1], pixels[(3 * i) + 2]) = ((byte)Math.Min(r, 255), (byte)Math.Min(g, 255), (byte)Math.Min(b, 255));
        }

        var values = new float[PixelStatistics.Names.Count];
        PixelStatistics.Compute(new RgbImage(width, height, pixels), values);
        return values;
    }

    private static LayerInfo Layer(string name, int channels, int side) =>
        new(name, channels, side, side, ActivationSign.NonNegative, LinearHead: false);
}
