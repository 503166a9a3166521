using System.Globalization;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Analysis.Datasets;
using Analysis.Imaging;
using Xunit;

namespace Analysis.Tests.Imaging;

/// <summary>Resizing equals Pillow's and an obvious slow implementation.</summary>
public sealed class AntialiasedBilinearTests
{
    // First 16 hex digits of SHA-256 of Pillow's resize((w, h), BILINEAR) of TestImages.Pattern, computed with Pillow 9.4.0.
    [Theory]
    [InlineData(64, 64, 128, 128, "f19bf9f0bfa86bcd")]
    [InlineData(50, 37, 17, 23, "91885af7956ca347")]
    [InlineData(13, 90, 40, 31, "f230a610dbb294c4")]
    [InlineData(1, 1, 5, 4, "5e94052c80c5fff1")]
    [InlineData(200, 3, 32, 3, "65c75daf5e7709cc")]
    [InlineData(31, 31, 31, 8, "b6e567778a4ca022")]
    public void Equals_pillow_to_the_bit(int width, int height, int toWidth, int toHeight, string expected)
    {
        var resized = AntialiasedBilinear.Resize(TestImages.Pattern(width, height), toWidth, toHeight);
        Assert.Equal(expected, Convert.ToHexStringLower(SHA256.HashData(resized.Pixels))[..16]);
    }

    [Theory]
    [InlineData(64, 64, 128, 128)]
    [InlineData(50, 37, 17, 23)]
    [InlineData(7, 300, 64, 5)]
    public void Is_within_one_level_of_the_slow_reference(int width, int height, int toWidth, int toHeight)
    {
        var image = TestImages.Pattern(width, height, 3);
        var expected = SlowReference(image, toWidth, toHeight);
        Assert.InRange(TestImages.LargestDifference(expected, AntialiasedBilinear.Resize(image, toWidth, toHeight)), 0, 1);
    }

    [Fact]
    public void A_window_equals_resizing_and_cropping()
    {
        var image = TestImages.Pattern(61, 43);
        var full = AntialiasedBilinear.Resize(image, 90, 30);
        var window = AntialiasedBilinear.ResizeAndCrop(image, 90, 30, 11, 5, 40, 20);
        for (var y = 0; y < 20; y++)
        {
            Assert.Equal(full.Pixels.AsSpan((((5 + y) * 90) + 11) * 3, 120).ToArray(), window.Pixels.AsSpan(y * 120, 120).ToArray());
        }
    }

    [Fact]
    public void A_constant_image_stays_constant()
    {
        var image = new RgbImage(33, 21, [.. Enumerable.Repeat((byte)201, 33 * 21 * 3)]);
        Assert.All(AntialiasedBilinear.Resize(image, 100, 7).Pixels, static p => Assert.Equal(201, p));
    }

    [Fact]
    public void An_extreme_shape_costs_the_window_only()
    {
        var image = new RgbImage(1, 4_000_000, new byte[12_000_000]);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var prepared = ImagePreparation.Resize(image, new Preprocessing(224, 224, [0, 0, 0], [1, 1, 1], ResizeMode.ShorterSideCentreCrop, 256));
        Assert.Equal(224 * 224 * 3, prepared.Pixels.Length);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4 << 20);
    }

    [Theory]
    [InlineData(500, 375, 128, 128, 0)]
    [InlineData(86, 108, 128, 128, 160)]
    [InlineData(10, 400, 20, 60, 0)]
    [InlineData(400, 10, 20, 60, 8)]
    [InlineData(1, 1, 3, 5, 0)]
    public void Any_image_fills_the_crop(int width, int height, int cropHeight, int cropWidth, int resizeTo)
    {
        var preprocessing = new Preprocessing(cropHeight, cropWidth, [0, 0, 0], [1, 1, 1], ResizeMode.ShorterSideCentreCrop, resizeTo);
        var prepared = ImagePreparation.Resize(TestImages.Pattern(width, height), preprocessing);
        Assert.Equal((cropWidth, cropHeight), (prepared.Width, prepared.Height));
        var visible = ImagePreparation.VisiblePart(width, height, preprocessing);
        Assert.InRange(visible.Left + visible.Width, 0, 1);
        Assert.InRange(visible.Top + visible.Height, 0, 1);
    }

    [Fact]
    public void Normalising_follows_the_formula_into_planes()
    {
        var preprocessing = new Preprocessing(2, 1, [0.485f, 0.456f, 0.406f], [0.229f, 0.224f, 0.225f], ResizeMode.Stretch);
        var values = new float[6];
        ImagePreparation.Normalise(new RgbImage(1, 2, [0, 128, 255, 10, 20, 30]), preprocessing, values);
        float[] expected =
        [
            -0.485f / 0.229f, ((10 / 255f) - 0.485f) / 0.229f, ((128 / 255f) - 0.456f) / 0.224f, ((20 / 255f) - 0.456f) / 0.224f,
            (1 - 0.406f) / 0.225f, ((30 / 255f) - 0.406f) / 0.225f,
        ];
        for (var i = 0; i < 6; i++)
        {
            Assert.Equal(expected[i], values[i], 1e-6f);
        }
    }

    [Fact]
    public void Reference_photos_and_thumbnails_prepare_within_one_level()
    {
        var (names, pixels) = ReadReference(TestData.Require("mobilenet_v1_tiny200", "reference.npz"));
        var preprocessing = new Preprocessing(128, 128, [0.5f, 0.5f, 0.5f], [0.5f, 0.5f, 0.5f], ResizeMode.ShorterSideCentreCrop, 128);
        const int length = 128 * 128 * 3;
        Assert.Equal(64, names.Length);
        for (var i = 0; i < names.Length; i++)
        {
            var prepared = ImagePreparation.Prepare(new RawImage(File.ReadAllBytes(TestData.Require(names[i])), Encoded: true), preprocessing);
            var expected = new RgbImage(128, 128, pixels.AsSpan(i * length, length).ToArray());
            var difference = TestImages.LargestDifference(prepared, expected);
            Assert.True(difference <= 1, string.Create(CultureInfo.InvariantCulture, $"{names[i]} differs by {difference}"));
        }
    }

    private static RgbImage SlowReference(RgbImage image, int width, int height)
    {
        var result = new byte[width * height * 3];
        double sx = image.Width / (double)width, sy = image.Height / (double)height;
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
            {
                double total = 0, r = 0, g = 0, b = 0;
                for (var v = 0; v < image.Height; v++)
                {
                    var wy = Math.Max(0, 1 - (Math.Abs(v + 0.5 - ((y + 0.5) * sy)) / Math.Max(1, sy)));
                    for (var u = 0; u < image.Width && wy > 0; u++)
                    {
                        var w = wy * Math.Max(0, 1 - (Math.Abs(u + 0.5 - ((x + 0.5) * sx)) / Math.Max(1, sx)));
                        var at = ((v * image.Width) + u) * 3;
                        total += w;
                        r += w * image.Pixels[at];
                        g += w * image.Pixels[at + 1];
                        b += w * image.Pixels[at + 2];
                    }
                }

                var to = ((y * width) + x) * 3;
                (result[to], result[to + 1], result[to + 2]) = ((byte)Math.Round(r / total), (byte)Math.Round(g / total), (byte)Math.Round(b / total));
            }
        }

        return new RgbImage(width, height, result);
    }

    private static (string[] Names, byte[] Pixels) ReadReference(string path)
    {
        using var zip = ZipFile.OpenRead(path);
        var names = ReadArray(zip, "names.npy");
        var text = MemoryMarshal.Cast<byte, int>(names);
        const int characters = 55;
        var list = new string[text.Length / characters];
        for (var i = 0; i < list.Length; i++)
        {
            list[i] = string.Concat(text.Slice(i * characters, characters).ToArray().TakeWhile(static c => c != 0).Select(char.ConvertFromUtf32));
        }

        return (list, ReadArray(zip, "pixels_u8.npy").ToArray());
    }

    private static Span<byte> ReadArray(ZipArchive zip, string name)
    {
        using var stream = zip.GetEntry(name)!.Open();
        using var memory = new MemoryStream();
        stream.CopyTo(memory);
        var bytes = memory.ToArray();
        var header = 10 + BitConverter.ToUInt16(bytes, 8);
        Assert.StartsWith("{", Encoding.ASCII.GetString(bytes, 10, 1), StringComparison.Ordinal);
        return bytes.AsSpan(header);
    }
}
