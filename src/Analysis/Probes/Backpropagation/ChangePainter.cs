using Analysis.Imaging;

namespace Analysis.Probes.Backpropagation;

/// <summary>Pictures of changes. Pixels are 3·H·W values in [0, 1], channel planes.</summary>
internal static class ChangePainter
{
    /// <summary>Red where the image gets lighter.</summary>
    private static readonly (double R, double G, double B) Lighter = (178, 24, 43);

    /// <summary>Blue where it gets darker.</summary>
    private static readonly (double R, double G, double B) Darker = (33, 102, 172);

    private const int Gap = 2;

    /// <summary>Largest difference of any channel at a pixel, with the sign of their sum: never 0 where anything changes.</summary>
    public static double[] Signed(float[] original, float[] changed)
    {
        var plane = original.Length / 3;
        var result = new double[plane];
        for (var i = 0; i < plane; i++)
        {
            double sum = 0, largest = 0;
            for (var c = 0; c < 3; c++)
            {
                var difference = (double)changed[(c * plane) + i] - original[(c * plane) + i];
                sum += difference;
                largest = Math.Max(largest, Math.Abs(difference));
            }

            result[i] = sum < 0 ? -largest : largest;
        }

        return result;
    }

    /// <summary>The image.</summary>
    public static RgbImage Image(float[] pixels, int width, int height)
    {
        var plane = width * height;
        var bytes = new byte[3 * plane];
        for (var i = 0; i < plane; i++)
        {
            for (var c = 0; c < 3; c++)
            {
                bytes[(3 * i) + c] = (byte)Math.Round(Math.Clamp(pixels[(c * plane) + i], 0f, 1f) * 255);
            }
        }

        return new RgbImage(width, height, bytes);
    }

    /// <summary>The difference from blue (darker) over white (unchanged) to red (lighter).</summary>
    /// <param name="original">Before.</param>
    /// <param name="changed">After.</param>
    /// <param name="width">Width.</param>
    /// <param name="height">Height.</param>
    /// <param name="scale">Difference shown in full colour; above 0.</param>
    public static RgbImage Difference(float[] original, float[] changed, int width, int height, double scale)
    {
        var values = Signed(original, changed);
        var bytes = new byte[3 * values.Length];
        for (var i = 0; i < values.Length; i++)
        {
            var share = Math.Min(1, Math.Abs(values[i]) / scale);
            var (r, g, b) = values[i] < 0 ? Darker : Lighter;
            bytes[3 * i] = (byte)Math.Round(255 + ((r - 255) * share));
            bytes[(3 * i) + 1] = (byte)Math.Round(255 + ((g - 255) * share));
            bytes[(3 * i) + 2] = (byte)Math.Round(255 + ((b - 255) * share));
        }

        return new RgbImage(width, height, bytes);
    }

    /// <summary>Original, changed and difference side by side.</summary>
    public static RgbImage SideBySide(float[] original, float[] changed, int width, int height)
    {
        var scale = Math.Max(Signed(original, changed).Max(Math.Abs), 1.0 / 255);
        RgbImage[] parts = [Image(original, width, height), Image(changed, width, height), Difference(original, changed, width, height, scale)];
        var whole = (3 * width) + (2 * Gap);
        var bytes = new byte[whole * height * 3];
        Array.Fill(bytes, (byte)255);
        for (var part = 0; part < 3; part++)
        {
            for (var y = 0; y < height; y++)
            {
                parts[part].Pixels.AsSpan(3 * y * width, 3 * width).CopyTo(bytes.AsSpan(3 * ((y * whole) + (part * (width + Gap)))));
            }
        }

        return new RgbImage(whole, height, bytes);
    }
}
