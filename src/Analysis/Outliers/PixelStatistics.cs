using Analysis.Imaging;

namespace Analysis.Outliers;

/// <summary>
/// A few numbers about the pixels of an image that show damage no network is needed for: blank, grey, noisy. Computed on the
/// decoded image, or on the prepared one where that is smaller, so that enlarging does not hide noise and the cost is bounded.
/// </summary>
public static class PixelStatistics
{
    /// <summary>Column of the mean luma (Rec. 601) in [0, 1].</summary>
    public const int Brightness = 0;

    /// <summary>Column of the population standard deviation of the luma.</summary>
    public const int Contrast = 1;

    /// <summary>Column of the mean of (largest − smallest channel), in [0, 1]; 0 for a grey image.</summary>
    public const int Saturation = 2;

    /// <summary>
    /// Column of the noise level: the mean absolute response of the Laplacian difference mask (Immerkær 1996) in each block
    /// of an 8×8 partition, lower quartile over the blocks. Texture leaves quiet blocks, noise does not.
    /// </summary>
    public const int Noise = 3;

    /// <summary>Column of the same response averaged over the whole image.</summary>
    public const int Detail = 4;

    /// <summary>Column of the share of pixels with a luma below 2%.</summary>
    public const int Dark = 5;

    /// <summary>Column of the share of pixels with a luma above 98%.</summary>
    public const int Bright = 6;

    /// <summary>Column of the share of the blocks whose luma varies by less than one grey level (standard deviation).</summary>
    public const int Flat = 7;

    private const int BlocksPerSide = 8;

    /// <summary>Names of the columns, in order.</summary>
    public static IReadOnlyList<string> Names { get; } =
        ["brightness", "contrast", "saturation", "noise", "detail", "dark", "bright", "flat"];

    /// <summary>The statistics of the smaller of the two; see the class.</summary>
    /// <param name="decoded">The image as decoded.</param>
    /// <param name="prepared">The image at the network's input size, before normalisation.</param>
    /// <param name="values">Receives one value per name.</param>
    public static void Compute(RgbImage decoded, RgbImage prepared, Span<float> values)
    {
        ArgumentNullException.ThrowIfNull(decoded);
        ArgumentNullException.ThrowIfNull(prepared);
        var smaller = (long)decoded.Width * decoded.Height <= (long)prepared.Width * prepared.Height ? decoded : prepared;
        Compute(smaller, values);
    }

    /// <summary>The statistics of one image.</summary>
    /// <param name="image">Any size from 1×1.</param>
    /// <param name="values">Receives one value per name.</param>
    /// <exception cref="ArgumentException">The span has another length than <see cref="Names"/>.</exception>
    public static void Compute(RgbImage image, Span<float> values)
    {
        ArgumentNullException.ThrowIfNull(image);
        if (values.Length != Names.Count)
            throw new ArgumentException($"Expected {Names.Count} values, got {values.Length}.", nameof(values));

        var (width, height) = (image.Width, image.Height);
        var luma = new float[width * height];
        double sum = 0, squares = 0, chroma = 0;
        int dark = 0, bright = 0;
        for (var i = 0; i < luma.Length; i++)
        {
            int r = image.Pixels[3 * i], g = image.Pixels[(3 * i) + 1], b = image.Pixels[(3 * i) + 2];
            var l = ((0.299f * r) + (0.587f * g) + (0.114f * b)) / 255f;
            luma[i] = l;
            sum += l;
            squares += (double)l * l;
            chroma += Math.Max(r, Math.Max(g, b)) - Math.Min(r, Math.Min(g, b));
            dark += l < 0.02f ? 1 : 0;
            bright += l > 0.98f ? 1 : 0;
        }

        var mean = sum / luma.Length;
        values[Brightness] = (float)mean;
        values[Contrast] = (float)Math.Sqrt(Math.Max(0, (squares / luma.Length) - (mean * mean)));
        values[Saturation] = (float)(chroma / luma.Length / 255);
        values[Dark] = (float)dark / luma.Length;
        values[Bright] = (float)bright / luma.Length;
        (values[Noise], values[Detail], values[Flat]) = Blocks(luma, width, height);
    }

    private static (float Noise, float Detail, float Flat) Blocks(float[] luma, int width, int height)
    {
        if (width < 3 || height < 3)
            return (0, 0, 0);

        // Blocks of fewer than 4×4 pixels would measure nothing.
        var blocks = Math.Clamp(Math.Min(width, height) / 4, 1, BlocksPerSide);
        var response = new double[blocks * blocks];
        var count = new int[blocks * blocks];
        var sum = new double[blocks * blocks];
        var squares = new double[blocks * blocks];
        double total = 0;
        for (var y = 1; y < height - 1; y++)
        {
            var row = y * blocks / height * blocks;
            for (var x = 1; x < width - 1; x++)
            {
                var at = (y * width) + x;
                var mask = (4 * luma[at])
                    - (2 * (luma[at - 1] + luma[at + 1] + luma[at - width] + luma[at + width]))
                    + luma[at - width - 1] + luma[at - width + 1] + luma[at + width - 1] + luma[at + width + 1];
                var strength = Math.Abs(mask) / 6;
                var block = row + (x * blocks / width);
                response[block] += strength;
                count[block]++;
                sum[block] += luma[at];
                squares[block] += (double)luma[at] * luma[at];
                total += strength;
            }
        }

        var flat = 0;
        for (var block = 0; block < response.Length; block++)
        {
            var mean = sum[block] / count[block];
            var variance = Math.Max(0, (squares[block] / count[block]) - (mean * mean));
            flat += variance < 1.0 / (255 * 255) ? 1 : 0;
            response[block] /= count[block];
        }

        Array.Sort(response);
        return ((float)response[response.Length / 4], (float)(total / ((width - 2) * (height - 2))), (float)flat / response.Length);
    }
}
