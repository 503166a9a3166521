using System.Security.Cryptography;

namespace Analysis.Imaging;

/// <summary>
/// A few numbers that describe an image without any network, for finding blank, grey, noisy and otherwise damaged ones.
/// All are computed on the prepared image (the network's input size), so that they compare across file sizes.
/// </summary>
public static class PixelStatistics
{
    /// <summary>Names of the numbers, in the order of <see cref="Compute"/>.</summary>
    /// <remarks>
    /// <c>luma_mean</c> and <c>luma_std</c> (population) of Y = 0.299 R + 0.587 G + 0.114 B, in [0, 1];
    /// <c>saturation</c>: mean of (max − min) / max over the channels, 0 for black;
    /// <c>colourfulness</c>: mean of (|R − G| + |G − B|) / 255, 0 for grey images;
    /// <c>black_share</c> and <c>white_share</c>: share of pixels with luma ≤ 4 and ≥ 251 of 255;
    /// <c>noise</c>: median absolute 4-neighbour Laplacian of luma over 255, high where no pixel agrees with its neighbours;
    /// <c>edge_density</c>: share of pixels whose central-difference gradient exceeds 0.1 of the range;
    /// <c>entropy</c>: Shannon entropy of the 64-bin luma histogram in bits, 0 to 6;
    /// <c>blockiness</c>: mean luma step across the borders of the 8×8 grid over the mean step elsewhere, minus 1, limited to [−1, 4];
    /// <c>flat_share</c>: share of 4-neighbour Laplacians that are at most 1 of 255.
    /// </remarks>
    public static IReadOnlyList<string> Names { get; } =
    [
        "luma_mean", "luma_std", "saturation", "colourfulness", "black_share", "white_share", "noise", "edge_density", "entropy",
        "blockiness", "flat_share",
    ];

    /// <summary>The numbers of one image, finite for any image; those that need neighbours are 0 where the image has none.</summary>
    /// <param name="image">A prepared image.</param>
    /// <returns>One value for each of <see cref="Names"/>.</returns>
    public static float[] Compute(RgbImage image)
    {
        var (width, height) = (image.Width, image.Height);
        var count = width * height;
        var luma = new byte[count];
        Span<int> histogram = stackalloc int[64];
        histogram.Clear();
        long sum = 0, squares = 0, colour = 0;
        double saturation = 0;
        int black = 0, white = 0;
        for (int i = 0, at = 0; i < count; i++, at += 3)
        {
            int r = image.Pixels[at], g = image.Pixels[at + 1], b = image.Pixels[at + 2];
            var y = ((r * 19595) + (g * 38470) + (b * 7471) + 0x8000) >> 16;
            luma[i] = (byte)y;
            histogram[y >> 2]++;
            sum += y;
            squares += y * y;
            colour += Math.Abs(r - g) + Math.Abs(g - b);
            var max = Math.Max(r, Math.Max(g, b));
            if (max > 0)
            {
                saturation += (max - Math.Min(r, Math.Min(g, b))) / (double)max;
            }

            black += y <= 4 ? 1 : 0;
            white += y >= 251 ? 1 : 0;
        }

        var mean = sum / (double)count;
        var variance = Math.Max(0, (squares / (double)count) - (mean * mean));
        var (noise, flat, edges) = Neighbours(luma, width, height);
        return
        [
            (float)(mean / 255),
            (float)(Math.Sqrt(variance) / 255),
            (float)(saturation / count),
            (float)(colour / (255.0 * count)),
            black / (float)count,
            white / (float)count,
            noise,
            edges,
            Entropy(histogram, count),
            Blockiness(luma, width, height),
            flat,
        ];
    }

    /// <summary>First 16 hex digits of the SHA-256 of width, height (32-bit little-endian) and the pixels; equal for exact duplicates.</summary>
    /// <param name="image">The decoded image, before it is resized.</param>
    public static string ContentHash(RgbImage image)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> size = stackalloc byte[8];
        BitConverter.TryWriteBytes(size, image.Width);
        BitConverter.TryWriteBytes(size[4..], image.Height);
        hash.AppendData(size);
        hash.AppendData(image.Pixels);
        Span<byte> digest = stackalloc byte[32];
        hash.GetHashAndReset(digest);
        return Convert.ToHexStringLower(digest[..8]);
    }

    private static (float Noise, float Flat, float Edges) Neighbours(byte[] luma, int width, int height)
    {
        if (width < 3 || height < 3)
        {
            return (0, 0, 0);
        }

        Span<int> counts = stackalloc int[1021];
        counts.Clear();
        var edges = 0;
        const int threshold = 51 * 51;
        for (var y = 1; y < height - 1; y++)
        {
            var row = y * width;
            for (var x = 1; x < width - 1; x++)
            {
                var at = row + x;
                int left = luma[at - 1], right = luma[at + 1], up = luma[at - width], down = luma[at + width];
                counts[Math.Abs((4 * luma[at]) - left - right - up - down)]++;
                var (dx, dy) = (right - left, down - up);
                edges += (dx * dx) + (dy * dy) > threshold ? 1 : 0;
            }
        }

        var total = (width - 2) * (height - 2);
        var seen = 0;
        var median = 0;
        while ((seen += counts[median]) * 2 < total)
        {
            median++;
        }

        return (median / 255f, (counts[0] + counts[1]) / (float)total, edges / (float)total);
    }

    private static float Entropy(ReadOnlySpan<int> histogram, int count)
    {
        var entropy = 0.0;
        foreach (var n in histogram)
        {
            if (n > 0)
            {
                var p = n / (double)count;
                entropy -= p * Math.Log2(p);
            }
        }

        return (float)entropy;
    }

    private static float Blockiness(byte[] luma, int width, int height)
    {
        long borders = 0, inner = 0;
        int borderCount = 0, innerCount = 0;
        for (var y = 0; y < height; y++)
        {
            for (var x = 1; x < width; x++)
            {
                var step = Math.Abs(luma[(y * width) + x] - luma[(y * width) + x - 1]);
                if ((x & 7) == 0)
                {
                    borders += step;
                    borderCount++;
                }
                else
                {
                    inner += step;
                    innerCount++;
                }
            }
        }

        if (borderCount == 0 || innerCount == 0 || inner == 0)
        {
            return 0;
        }

        var ratio = borders / (double)borderCount / (inner / (double)innerCount);
        return (float)Math.Clamp(ratio - 1, -1, 4);
    }
}
