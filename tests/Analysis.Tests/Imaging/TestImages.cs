using Analysis.Imaging;
using NetVips;

namespace Analysis.Tests.Imaging;

/// <summary>Small pictures made on the spot.</summary>
internal static class TestImages
{
    /// <summary>A picture with gradients, an edge and fine detail, by integer arithmetic only.</summary>
    public static RgbImage Pattern(int width, int height, int seed = 0)
    {
        var pixels = new byte[width * height * 3];
        for (int y = 0, i = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++, i += 3)
            {
                pixels[i] = (byte)((x * 7) + (y * 3) + seed);
                pixels[i + 1] = (byte)((x * y) + (seed * 5));
                pixels[i + 2] = (byte)((x + y) % 5 < 2 ? 240 - seed : 15 + seed);
            }
        }

        return new RgbImage(width, height, pixels);
    }

    public static byte[] Png(RgbImage image) => ThumbnailMaker.EncodePng(image);

    public static byte[] Jpeg(RgbImage image)
    {
        ImageDecoder.EnsureReady();
        using var raw = Image.NewFromMemory(image.Pixels, image.Width, image.Height, 3, Enums.BandFormat.Uchar);
        using var tagged = raw.Copy(interpretation: Enums.Interpretation.Srgb);
        return tagged.JpegsaveBuffer(q: 90);
    }

    public static int LargestDifference(RgbImage a, RgbImage b)
    {
        if (a.Width != b.Width || a.Height != b.Height)
        {
            return int.MaxValue;
        }

        var largest = 0;
        for (var i = 0; i < a.Pixels.Length; i++)
        {
            largest = Math.Max(largest, Math.Abs(a.Pixels[i] - b.Pixels[i]));
        }

        return largest;
    }
}
