using Analysis.Datasets;
using NetVips;

namespace Analysis.Imaging;

/// <summary>Small WebP pictures for pages. Colours, frames and orientation are treated exactly as for the network.</summary>
public static class ThumbnailMaker
{
    /// <summary>Largest side of a picture that is made, in pixels.</summary>
    public const int MaxSize = 2048;

    /// <summary>The centre square of the image, resized to size × size (also enlarged).</summary>
    /// <param name="image">The image as stored.</param>
    /// <param name="size">Side in pixels, 1 to <see cref="MaxSize"/>.</param>
    /// <returns>A WebP file.</returns>
    /// <exception cref="AnalysisException">The image cannot be decoded.</exception>
    public static byte[] Square(RawImage image, int size) => Encode(Square(ImageDecoder.Decode(image), size));

    /// <summary>The whole image, shrunk until its longer side is at most <paramref name="size"/>; never enlarged.</summary>
    /// <returns>A WebP file.</returns>
    /// <exception cref="AnalysisException">The image cannot be decoded.</exception>
    public static byte[] Fit(RawImage image, int size)
    {
        CheckSize(size);
        var decoded = ImageDecoder.Decode(image);
        var longer = Math.Max(decoded.Width, decoded.Height);
        return longer <= size
            ? Encode(decoded)
            : Encode(AntialiasedBilinear.Resize(decoded, Scale(decoded.Width, size, longer), Scale(decoded.Height, size, longer)));
    }

    /// <summary>A part of the image, resized so that its longer side is <paramref name="size"/> (also enlarged).</summary>
    /// <param name="image">The image as stored.</param>
    /// <param name="part">Rectangle in shares of the original image; limited to it, at least one pixel.</param>
    /// <param name="size">Longer side in pixels, 1 to <see cref="MaxSize"/>.</param>
    /// <returns>A WebP file.</returns>
    /// <exception cref="AnalysisException">The image cannot be decoded.</exception>
    public static byte[] Crop(RawImage image, RelativeRectangle part, int size)
    {
        CheckSize(size);
        var cropped = Crop(ImageDecoder.Decode(image), part);
        var longer = Math.Max(cropped.Width, cropped.Height);
        return Encode(AntialiasedBilinear.Resize(cropped, Scale(cropped.Width, size, longer), Scale(cropped.Height, size, longer)));
    }

    /// <summary>The centre square, resized to size × size.</summary>
    public static RgbImage Square(RgbImage image, int size)
    {
        CheckSize(size);
        return ImagePreparation.Resize(image, new Preprocessing(size, size, [], [], ResizeMode.ShorterSideCentreCrop));
    }

    /// <summary>A part of an image at its own resolution.</summary>
    /// <param name="image">The image.</param>
    /// <param name="part">Rectangle in shares of the image; limited to it, at least one pixel.</param>
    public static RgbImage Crop(RgbImage image, RelativeRectangle part)
    {
        var (left, width) = Span(part.Left, part.Width, image.Width);
        var (top, height) = Span(part.Top, part.Height, image.Height);
        var pixels = new byte[width * height * 3];
        for (var y = 0; y < height; y++)
        {
            image.Pixels.AsSpan((((top + y) * image.Width) + left) * 3, width * 3).CopyTo(pixels.AsSpan(y * width * 3));
        }

        return new RgbImage(width, height, pixels);
    }

    /// <summary>Encodes pixels as WebP.</summary>
    /// <param name="image">The pixels.</param>
    /// <param name="quality">1 to 100.</param>
    public static byte[] Encode(RgbImage image, int quality = 85)
    {
        ImageDecoder.EnsureReady();
        using var pixels = Image.NewFromMemory(image.Pixels, image.Width, image.Height, 3, Enums.BandFormat.Uchar);
        using var tagged = pixels.Copy(interpretation: Enums.Interpretation.Srgb);
        return tagged.WebpsaveBuffer(q: quality, effort: 2, keep: Enums.ForeignKeep.None);
    }

    /// <summary>Encodes pixels as PNG, without loss.</summary>
    public static byte[] EncodePng(RgbImage image)
    {
        ImageDecoder.EnsureReady();
        using var pixels = Image.NewFromMemory(image.Pixels, image.Width, image.Height, 3, Enums.BandFormat.Uchar);
        using var tagged = pixels.Copy(interpretation: Enums.Interpretation.Srgb);
        return tagged.PngsaveBuffer(compression: 6, keep: Enums.ForeignKeep.None);
    }

    /// <summary>Encodes pixels with transparency as PNG, without loss.</summary>
    /// <param name="pixels">height × width × 4 bytes, red, green, blue, opacity.</param>
    /// <param name="width">Width in pixels.</param>
    /// <param name="height">Height in pixels.</param>
    public static byte[] EncodeTransparentPng(byte[] pixels, int width, int height)
    {
        ImageDecoder.EnsureReady();
        using var image = Image.NewFromMemory(pixels, width, height, 4, Enums.BandFormat.Uchar);
        using var tagged = image.Copy(interpretation: Enums.Interpretation.Srgb);
        return tagged.PngsaveBuffer(compression: 6, keep: Enums.ForeignKeep.None);
    }

    /// <summary>
    /// A concept map as a translucent layer to put over an image: bilinear up-scaling with half-pixel centres,
    /// <see cref="SequentialColours"/>, nothing below the threshold, then rising opacity.
    /// </summary>
    /// <param name="map">Height × width values, row by row; NaN counts as 0. Divided by <paramref name="maximum"/>.</param>
    /// <param name="mapWidth">Width of the map.</param>
    /// <param name="mapHeight">Height of the map.</param>
    /// <param name="width">Width of the picture in pixels, 1 to <see cref="MaxSize"/>.</param>
    /// <param name="height">Height of the picture in pixels, 1 to <see cref="MaxSize"/>.</param>
    /// <param name="maximum">Value shown as 1; the map's own maximum where 0 or less.</param>
    /// <param name="threshold">Share of the maximum below which nothing is shown, 0 to 1.</param>
    /// <returns>A WebP file with transparency.</returns>
    /// <exception cref="ArgumentException">The map is empty or its length is not height × width.</exception>
    public static byte[] Overlay(
        ReadOnlySpan<float> map, int mapWidth, int mapHeight, int width, int height, float maximum = 0, float threshold = 0.15f)
    {
        CheckSize(width);
        CheckSize(height);
        if (mapWidth < 1 || mapHeight < 1 || map.Length != mapWidth * mapHeight)
        {
            throw new ArgumentException($"A map of {mapWidth}×{mapHeight} needs {mapWidth * mapHeight} values, got {map.Length}.", nameof(map));
        }

        if (!(maximum > 0))
        {
            maximum = 0;
            foreach (var value in map)
            {
                maximum = value > maximum ? value : maximum;
            }
        }

        var pixels = new byte[width * height * 4];
        for (int y = 0, to = 0; y < height; y++)
        {
            var (y0, y1, fy) = Neighbours(y, height, mapHeight);
            for (var x = 0; x < width; x++, to += 4)
            {
                var (x0, x1, fx) = Neighbours(x, width, mapWidth);
                var upper = Mix(At(map, y0, x0, mapWidth), At(map, y0, x1, mapWidth), fx);
                var lower = Mix(At(map, y1, x0, mapWidth), At(map, y1, x1, mapWidth), fx);
                var value = maximum > 0 ? Math.Clamp(Mix(upper, lower, fy) / maximum, 0, 1) : 0;
                (pixels[to], pixels[to + 1], pixels[to + 2]) = SequentialColours.At(value);
                var above = threshold < 1 ? (value - threshold) / (1 - threshold) : 0;
                pixels[to + 3] = above <= 0 ? (byte)0 : (byte)Math.Round(255 * Math.Min(0.85, 0.25 + (0.75 * above)));
            }
        }

        ImageDecoder.EnsureReady();
        using var rgba = Image.NewFromMemory(pixels, width, height, 4, Enums.BandFormat.Uchar);
        using var tagged = rgba.Copy(interpretation: Enums.Interpretation.Srgb);
        return tagged.WebpsaveBuffer(q: 85, effort: 2, alphaQ: 90, keep: Enums.ForeignKeep.None);
    }

    private static float At(ReadOnlySpan<float> map, int y, int x, int width)
    {
        var value = map[(y * width) + x];
        return float.IsFinite(value) ? value : 0;
    }

    private static double Mix(double a, double b, double share) => a + ((b - a) * share);

    private static (int First, int Second, double Share) Neighbours(int at, int outputs, int inputs)
    {
        var centre = Math.Clamp(((at + 0.5) * inputs / outputs) - 0.5, 0, inputs - 1);
        var first = (int)centre;
        return (first, Math.Min(first + 1, inputs - 1), centre - first);
    }

    private static (int Start, int Length) Span(double start, double length, int side)
    {
        if (!double.IsFinite(start) || !double.IsFinite(length))
        {
            return (0, side);
        }

        var from = Math.Clamp((int)Math.Round(Math.Clamp(start, 0, 1) * side), 0, side - 1);
        var to = Math.Clamp((int)Math.Round(Math.Clamp(start + length, 0, 1) * side), from + 1, side);
        return (from, to - from);
    }

    private static int Scale(int side, int size, int longer) => Math.Max(1, (int)Math.Round(side * (double)size / longer));

    private static void CheckSize(int size)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(size, MaxSize);
    }
}
