namespace Analysis.Imaging;

/// <summary>
/// A sequential colour map, dark violet to light yellow, whose lightness rises in equal steps: computed in OKLab (Ottosson
/// 2020) with lightness linear in the value, the hue turning from 300° through 20° to 100°.
/// </summary>
public static class SequentialColours
{
    private static readonly byte[] Table = Build();

    /// <summary>The colour of a value.</summary>
    /// <param name="value">0 to 1; values outside are limited, NaN counts as 0.</param>
    public static (byte Red, byte Green, byte Blue) At(double value)
    {
        var at = double.IsNaN(value) ? 0 : (int)Math.Round(Math.Clamp(value, 0, 1) * 255) * 3;
        return (Table[at], Table[at + 1], Table[at + 2]);
    }

    private static byte[] Build()
    {
        var table = new byte[256 * 3];
        for (var i = 0; i < 256; i++)
        {
            var t = i / 255.0;
            var lightness = 0.28 + (0.64 * t);
            var hue = (300 + (160 * t)) % 360 * Math.PI / 180;
            var chroma = 0.11 + (0.08 * Math.Sin(Math.PI * t));

            // Chroma is lowered until the colour lies inside sRGB, so that lightness is never clipped.
            var rgb = FromOklab(lightness, chroma * Math.Cos(hue), chroma * Math.Sin(hue));
            while (chroma > 0 && (rgb.Min() < 0 || rgb.Max() > 1))
            {
                chroma -= 0.002;
                rgb = FromOklab(lightness, chroma * Math.Cos(hue), chroma * Math.Sin(hue));
            }

            for (var c = 0; c < 3; c++)
            {
                table[(3 * i) + c] = (byte)Math.Round(255 * Gamma(Math.Clamp(rgb[c], 0, 1)));
            }
        }

        return table;
    }

    private static double Gamma(double linear) =>
        linear <= 0.0031308 ? 12.92 * linear : (1.055 * Math.Pow(linear, 1 / 2.4)) - 0.055;

    private static double[] FromOklab(double lightness, double a, double b)
    {
        var l = Math.Pow(lightness + (0.3963377774 * a) + (0.2158037573 * b), 3);
        var m = Math.Pow(lightness - (0.1055613458 * a) - (0.0638541728 * b), 3);
        var s = Math.Pow(lightness - (0.0894841775 * a) - (1.2914855480 * b), 3);
        return
        [
            (4.0767416621 * l) - (3.3077115913 * m) + (0.2309699292 * s),
            (-1.2684380046 * l) + (2.6097574011 * m) - (0.3413193965 * s),
            (-0.0041960863 * l) - (0.7034186147 * m) + (1.7076147010 * s),
        ];
    }
}
