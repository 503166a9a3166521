using Analysis.Datasets;
using Analysis.Imaging;
using NetVips;
using Xunit;

namespace Analysis.Tests.Imaging;

/// <summary>Sizes, crops and overlays.</summary>
public sealed class ThumbnailMakerTests
{
    private static readonly RawImage Wide = new(TestImages.Png(TestImages.Pattern(90, 30)), Encoded: true);

    [Fact]
    public void Square_takes_the_centre_at_the_size_asked()
    {
        var bytes = ThumbnailMaker.Square(Wide, 48);
        Assert.Equal(ImageFormat.WebP, ImageSignature.Detect(bytes));
        var image = ImageDecoder.Decode(bytes);
        Assert.Equal((48, 48), (image.Width, image.Height));
    }

    [Theory]
    [InlineData(45, 45, 15)]
    [InlineData(200, 90, 30)]
    [InlineData(1, 1, 1)]
    public void Fit_keeps_the_aspect_and_never_enlarges(int size, int width, int height)
    {
        var image = ImageDecoder.Decode(ThumbnailMaker.Fit(Wide, size));
        Assert.Equal((width, height), (image.Width, image.Height));
    }

    [Theory]
    [InlineData(0.5, 0, 0.5, 1, 45, 0, 45, 30)]
    [InlineData(-1, -1, 9, 9, 0, 0, 90, 30)]
    [InlineData(2, 2, 1, 1, 89, 29, 1, 1)]
    [InlineData(0.1, 0.1, 0, 0, 9, 3, 1, 1)]
    [InlineData(double.NaN, 0, 1, 1, 0, 0, 90, 30)]
    public void Crop_stays_inside_the_image(double left, double top, double width, double height, int x, int y, int w, int h)
    {
        var source = TestImages.Pattern(90, 30);
        var crop = ThumbnailMaker.Crop(source, new RelativeRectangle(left, top, width, height));
        Assert.Equal((w, h), (crop.Width, crop.Height));
        Assert.Equal(source.Pixels.AsSpan(((y * 90) + x) * 3, 3).ToArray(), crop.Pixels.AsSpan(0, 3).ToArray());
    }

    [Fact]
    public void A_map_is_shown_above_the_threshold_only()
    {
        float[] map = [0, 0, 0, 1];
        using var image = Image.WebploadBuffer(ThumbnailMaker.Overlay(map, 2, 2, 32, 32, threshold: 0.3f));
        Assert.Equal(4, image.Bands);
        Assert.Equal((32, 32), (image.Width, image.Height));
        Assert.Equal(0, image.Getpoint(2, 2)[3]);
        Assert.True(image.Getpoint(30, 30)[3] > 200);
    }

    [Theory]
    [InlineData(0f, 0f)]
    [InlineData(float.NaN, -3f)]
    public void A_map_without_values_is_transparent(float a, float b)
    {
        using var image = Image.WebploadBuffer(ThumbnailMaker.Overlay([a, b], 2, 1, 8, 4));
        Assert.Equal(0, image.Bands == 4 ? image[3].Max() : 0);
    }

    [Fact]
    public void The_colour_map_rises_evenly_in_lightness()
    {
        double Luminance(int i)
        {
            var (r, g, b) = SequentialColours.At(i / 255.0);
            static double Linear(byte v) => v <= 10 ? v / 255.0 / 12.92 : Math.Pow(((v / 255.0) + 0.055) / 1.055, 2.4);
            return Math.Cbrt((0.2126 * Linear(r)) + (0.7152 * Linear(g)) + (0.0722 * Linear(b)));
        }

        var steps = Enumerable.Range(1, 15).Select(i => Luminance(i * 17) - Luminance((i - 1) * 17)).ToArray();
        Assert.All(steps, static s => Assert.InRange(s, 0.015, 0.09));
    }

    [Fact]
    public void A_rectangle_on_the_input_maps_back_onto_the_file()
    {
        var preprocessing = new Preprocessing(20, 20, [0, 0, 0], [1, 1, 1], ResizeMode.ShorterSideCentreCrop);
        var visible = ImagePreparation.VisiblePart(90, 30, preprocessing);
        Assert.Equal(new RelativeRectangle(20 / 60.0, 0, 20 / 60.0, 1), visible);
        Assert.Equal(new RelativeRectangle(30 / 60.0, 0.25, 10 / 60.0, 0.5), new RelativeRectangle(0.5, 0.25, 0.5, 0.5).Within(visible));
    }
}
