using Analysis.Imaging;

namespace Analysis.Datasets.Sample;

/// <summary>
/// Draws sample images of 64×64 pixels from attributes. Only +, −, ×, ÷ and square roots of doubles are used: IEEE 754 fixes
/// their results, so the bytes are the same everywhere.
/// </summary>
internal static class SamplePainter
{
    /// <summary>Side of the images in pixels.</summary>
    public const int Side = 64;

    private static readonly (double X, double Y)[] SquareOutline = [(-0.82, -0.82), (0.82, -0.82), (0.82, 0.82), (-0.82, 0.82)];

    private static readonly (double X, double Y)[] CrossOutline =
    [
        (-0.34, -1), (0.34, -1), (0.34, -0.34), (1, -0.34), (1, 0.34), (0.34, 0.34), (0.34, 1), (-0.34, 1), (-0.34, 0.34), (-1, 0.34), (-1, -0.34), (-0.34, -0.34),
    ];

    private static readonly (double X, double Y)[] StarOutline = Star(5, 1.12, 0.5);

    private static readonly (double X, double Y)[] LeafOutline = Star(9, 1.1, 0.72);

    /// <summary>An image of the given attributes; everything else about it comes from the generator.</summary>
    public static RgbImage Paint(SampleAttributes attributes, SampleRandom random)
    {
        var canvas = new double[Side * Side * 3];
        PaintBackground(canvas, attributes.Background, random);
        PaintObject(canvas, attributes, random);
        if (random.Unit() < 0.12)
        {
            PaintBar(canvas, random);
        }

        Finish(canvas, random, random.Between(1.5, 5), random.Between(0.88, 1.1));
        if (attributes.Watermark)
        {
            PaintWatermark(canvas, random);
        }

        return Quantise(canvas);
    }

    /// <summary>A picture that belongs to no class: a mosaic, a maze of arcs, a page of writing, or leaves.</summary>
    public static RgbImage PaintForeign(int kind, SampleRandom random)
    {
        var canvas = new double[Side * Side * 3];
        switch (kind & 3)
        {
            case 0:
                PaintMosaic(canvas, random);
                break;
            case 1:
                PaintArcs(canvas, random);
                break;
            case 2:
                PaintWriting(canvas, random);
                break;
            default:
                PaintLeaves(canvas, random);
                break;
        }

        Finish(canvas, random, 2.5, 1);
        return Quantise(canvas);
    }

    /// <summary>The image in shades of grey.</summary>
    public static RgbImage Grey(RgbImage image)
    {
        var pixels = new byte[image.Pixels.Length];
        for (var i = 0; i < pixels.Length; i += 3)
        {
            var luma = (byte)(((image.Pixels[i] * 299) + (image.Pixels[i + 1] * 587) + (image.Pixels[i + 2] * 114) + 500) / 1000);
            (pixels[i], pixels[i + 1], pixels[i + 2]) = (luma, luma, luma);
        }

        return image with { Pixels = pixels };
    }

    /// <summary>The image under heavy noise: three quarters of what is seen is random.</summary>
    public static RgbImage Noisy(RgbImage image, SampleRandom random)
    {
        var pixels = new byte[image.Pixels.Length];
        for (var i = 0; i < pixels.Length; i++)
        {
            pixels[i] = (byte)((image.Pixels[i] * 0.25) + (random.Unit() * 191));
        }

        return image with { Pixels = pixels };
    }

    /// <summary>An image of one colour: black, white or grey, as a failed download or a lens cap leaves it.</summary>
    public static RgbImage Blank(SampleRandom random)
    {
        var level = random.Pick<byte>([0, 0, 255, 128]);
        var pixels = new byte[Side * Side * 3];
        Array.Fill(pixels, level);
        return new RgbImage(Side, Side, pixels);
    }

    private static void PaintBackground(double[] canvas, string kind, SampleRandom random)
    {
        var hue = random.Unit();
        switch (kind)
        {
            case "gradient":
                var (from, to) = (Hsv(hue, random.Between(0.12, 0.3), random.Between(0.72, 0.95)), Hsv(hue + random.Between(0.08, 0.25), random.Between(0.2, 0.38), random.Between(0.42, 0.68)));
                var (sin, cos) = SampleRandom.Turn(random.Unit());
                ForEach(canvas, (x, y) => Mix(from, to, Clamp01((((x - 32) * cos) + ((y - 32) * sin)) / 80 + 0.5)));
                break;
            case "noise":
                var (dark, light) = (Hsv(hue, random.Between(0.12, 0.28), random.Between(0.35, 0.5)), Hsv(hue + 0.06, random.Between(0.08, 0.2), random.Between(0.72, 0.88)));
                var coarse = Lattice(random, 11);
                var fine = Lattice(random, 34);
                ForEach(canvas, (x, y) => Mix(dark, light, Clamp01((0.45 * Smooth(coarse, 11, x / 6.4, y / 6.4)) + (0.55 * Smooth(fine, 34, x / 2.0, y / 2.0)))));
                break;
            case "grid":
                var (paper, line) = (Hsv(hue, random.Between(0.03, 0.1), random.Between(0.9, 0.98)), Hsv(hue, random.Between(0.25, 0.45), random.Between(0.55, 0.72)));
                var pitch = random.Between(7.5, 10.5);
                var (shiftX, shiftY) = (random.Between(0, pitch), random.Between(0, pitch));
                ForEach(canvas, (x, y) => Mix(paper, line, Math.Max(Line(x + shiftX, pitch, 0.65), Line(y + shiftY, pitch, 0.65))));
                break;
            default:
                PaintHills(canvas, random);
                break;
        }
    }

    private static void PaintHills(double[] canvas, SampleRandom random)
    {
        var day = random.Unit();
        var top = Hsv(0.56 + (0.06 * day), random.Between(0.3, 0.5), random.Between(0.8, 0.95));
        var low = Hsv(random.Between(0.05, 0.14), random.Between(0.1, 0.3), 0.97);
        var sun = (X: random.Between(8, 56), Y: random.Between(8, 20), Radius: random.Between(4, 6.5));
        var sunColour = Hsv(0.13, random.Between(0.15, 0.4), 1);
        ForEach(canvas, (x, y) =>
        {
            var sky = Mix(top, low, Clamp01(y / 46));
            return Mix(sky, sunColour, Clamp01(sun.Radius - Length(x - sun.X, y - sun.Y) + 0.5));
        });
        for (var layer = 0; layer < 3; layer++)
        {
            var height = 34 + (layer * 8) + random.Between(-3, 3);
            var (a, b) = (random.Between(3, 6) - layer, random.Between(1, 2.5));
            var (pa, pb, fa, fb) = (random.Unit(), random.Unit(), random.Between(0.012, 0.02), random.Between(0.03, 0.05));
            var colour = Hsv(random.Between(0.26, 0.4), 0.22 + (0.1 * layer) + random.Between(-0.04, 0.04), 0.72 - (0.13 * layer));
            ForEach(canvas, (x, y, under) =>
            {
                var ridge = height + (a * SampleRandom.Turn((x * fa) + pa).Sin) + (b * SampleRandom.Turn((x * fb) + pb).Sin);
                return Mix(under, colour, Clamp01(y - ridge + 0.5));
            });
        }
    }

    private static void PaintObject(double[] canvas, SampleAttributes attributes, SampleRandom random)
    {
        var radius = random.Between(16, 24);
        var (centreX, centreY) = (32 + random.Between(-6, 6), 32 + random.Between(-6, 6));
        var turn = attributes.Shape is "square" or "cross" ? random.Between(-0.06, 0.06) : random.Unit();
        var (sin, cos) = SampleRandom.Turn(turn);
        var hue = HueOf(attributes.Colour) + random.Between(-0.018, 0.018);
        var (saturation, value) = (random.Between(0.68, 0.92), random.Between(0.72, 0.95));
        var main = Hsv(hue, saturation, value);
        var pale = random.Unit() < 0.6 ? Hsv(hue + 0.02, saturation * random.Between(0.1, 0.25), 0.98) : Hsv(hue - 0.02, saturation, value * random.Between(0.34, 0.5));
        var edge = Hsv(hue, saturation, value * 0.5);
        var texture = Texture(attributes.Texture, random);
        var (shadowX, shadowY) = (random.Between(1, 2.5), random.Between(1.5, 3));
        ForEach(canvas, (x, y, under) =>
        {
            var distance = Distance(attributes.Shape, x - centreX, y - centreY, sin, cos, radius, out var u, out var v);
            var shadow = Distance(attributes.Shape, x - centreX - shadowX, y - centreY - shadowY, sin, cos, radius, out _, out _);
            var ground = Mix(under, (20, 20, 30), 0.28 * Clamp01(0.5 - (shadow / 3)));
            var inside = Clamp01(0.5 - distance);
            if (inside <= 0)
            {
                return ground;
            }

            // Light comes from the upper left.
            var light = 1.06 - (0.16 * Clamp01(0.5 + ((x - centreX + y - centreY) / (3 * radius))));
            var fill = Scale(Mix(main, pale, texture(u, v)), light);
            var rim = Clamp01(distance + 1.9);
            return Mix(ground, Mix(fill, edge, 0.75 * rim), inside);
        });
    }

    private static double Distance(string shape, double x, double y, double sin, double cos, double radius, out double u, out double v)
    {
        (u, v) = ((x * cos) + (y * sin), (y * cos) - (x * sin));
        switch (shape)
        {
            case "disc":
                return Length(u, v) - radius;
            case "ring":
                var off = Length(u, v) - (0.74 * radius);
                return Math.Abs(off) - (0.34 * radius);
            case "square":
                return Outline(SquareOutline, u / radius, v / radius) * radius;
            case "cross":
                return Outline(CrossOutline, u / radius, v / radius) * radius;
            case "leaf":
                return Outline(LeafOutline, u / radius, v / radius) * radius;
            default:
                return Outline(StarOutline, u / radius, v / radius) * radius;
        }
    }

    /// <summary>Signed distance to a closed polygon, negative inside.</summary>
    private static double Outline((double X, double Y)[] corners, double x, double y)
    {
        var nearest = double.MaxValue;
        var inside = false;
        for (int i = 0, j = corners.Length - 1; i < corners.Length; j = i++)
        {
            var (ex, ey) = (corners[j].X - corners[i].X, corners[j].Y - corners[i].Y);
            var (wx, wy) = (x - corners[i].X, y - corners[i].Y);
            var along = Clamp01(((wx * ex) + (wy * ey)) / ((ex * ex) + (ey * ey)));
            var (dx, dy) = (wx - (ex * along), wy - (ey * along));
            nearest = Math.Min(nearest, (dx * dx) + (dy * dy));
            if (corners[i].Y > y != corners[j].Y > y && x < (ex * wy / ey) + corners[i].X)
            {
                inside = !inside;
            }
        }

        return inside ? -Math.Sqrt(nearest) : Math.Sqrt(nearest);
    }

    private static (double X, double Y)[] Star(int points, double outer, double inner)
    {
        var corners = new (double X, double Y)[2 * points];
        for (var i = 0; i < corners.Length; i++)
        {
            var (sin, cos) = SampleRandom.Turn(i / (2.0 * points));
            var radius = (i & 1) == 0 ? outer : inner;
            corners[i] = (radius * sin, -radius * cos);
        }

        return corners;
    }

    /// <summary>Share of the second colour at a position of the object, in pixels from its centre.</summary>
    private static Func<double, double, double> Texture(string kind, SampleRandom random)
    {
        var (sin, cos) = SampleRandom.Turn(random.Between(-0.125, 0.125));
        var pitch = random.Between(7.6, 10.4);
        var (shiftU, shiftV) = (random.Between(0, pitch), random.Between(0, pitch));
        switch (kind)
        {
            case "striped":
                return (u, v) => Clamp01((pitch / 4) - Fold((u * cos) + (v * sin) + shiftU, pitch) + 0.5);
            case "checked":
                return (u, v) =>
                {
                    var a = Clamp01((pitch / 4) - Fold((u * cos) + (v * sin) + shiftU, pitch) + 0.5);
                    var b = Clamp01((pitch / 4) - Fold((v * cos) - (u * sin) + shiftV, pitch) + 0.5);
                    return (a * (1 - b)) + (b * (1 - a));
                };
            case "dotted":
                var radius = pitch * random.Between(0.27, 0.33);
                return (u, v) => Clamp01(radius - Length(Fold((u * cos) + (v * sin) + shiftU, pitch), Fold((v * cos) - (u * sin) + shiftV, pitch)) + 0.5);
            default:
                return static (_, _) => 0;
        }
    }

    private static void PaintBar(double[] canvas, SampleRandom random)
    {
        var (sin, cos) = SampleRandom.Turn(random.Unit());
        var offset = random.Between(-14, 14);
        var width = random.Between(1.2, 2.6);
        var colour = Hsv(random.Unit(), 0.2, random.Between(0.2, 0.5));
        ForEach(canvas, (x, y, under) =>
            Mix(under, colour, 0.9 * Clamp01(width - Math.Abs(((x - 32) * cos) + ((y - 32) * sin) - offset) + 0.5)));
    }

    private static void PaintWatermark(double[] canvas, SampleRandom random)
    {
        // A small badge: a cyan rounded square with a white ring, always at the same corner.
        var (centreX, centreY) = (57.0 + random.Between(-0.4, 0.4), 57.0 + random.Between(-0.4, 0.4));
        ForEach(canvas, (x, y, under) =>
        {
            var (dx, dy) = (Math.Abs(x - centreX), Math.Abs(y - centreY));
            var box = Length(Math.Max(dx - 3.2, 0), Math.Max(dy - 3.2, 0)) - 1.6;
            var badge = Mix(under, (0, 190, 215), Clamp01(0.5 - box));
            return Mix(badge, (255, 255, 255), Clamp01(1.3 - Math.Abs(Length(dx, dy) - 2.3)));
        });
    }

    private static void PaintMosaic(double[] canvas, SampleRandom random)
    {
        var seeds = new (double X, double Y, (double R, double G, double B) Colour)[26];
        for (var i = 0; i < seeds.Length; i++)
        {
            seeds[i] = (random.Between(-4, 68), random.Between(-4, 68), Hsv(random.Unit(), random.Between(0.15, 0.9), random.Between(0.25, 1)));
        }

        ForEach(canvas, (x, y) =>
        {
            double first = double.MaxValue, second = double.MaxValue;
            var colour = seeds[0].Colour;
            foreach (var seed in seeds)
            {
                var distance = Length(x - seed.X, y - seed.Y);
                if (distance < first)
                {
                    (second, first, colour) = (first, distance, seed.Colour);
                }
                else if (distance < second)
                {
                    second = distance;
                }
            }

            return Mix(colour, (25, 25, 30), Clamp01(1.4 - (second - first)));
        });
    }

    private static void PaintArcs(double[] canvas, SampleRandom random)
    {
        var (paper, ink) = (Hsv(random.Unit(), 0.12, 0.95), Hsv(random.Unit(), 0.7, 0.4));
        var flips = random.Next();
        ForEach(canvas, (x, y) =>
        {
            // Truchet tiles: two quarter circles a tile, in one of two directions.
            var (column, row) = ((int)x / 13, (int)y / 13);
            var (u, v) = (x - (column * 13), y - (row * 13));
            u = ((flips >> (((row * 5) + column) & 63)) & 1) == 0 ? u : 13 - u;
            var distance = Math.Min(Math.Abs(Length(u, v) - 6.5), Math.Abs(Length(13 - u, 13 - v) - 6.5));
            return Mix(paper, ink, Clamp01(1.9 - distance));
        });
    }

    private static void PaintWriting(double[] canvas, SampleRandom random)
    {
        var (paper, ink) = (Hsv(0.11, random.Between(0.05, 0.2), 0.96), Hsv(0.6, 0.4, random.Between(0.15, 0.3)));
        ForEach(canvas, (_, _) => paper);
        for (var line = 6.0; line < 60; line += 8)
        {
            var x = random.Between(3, 7);
            while (x < 58)
            {
                var (width, tall) = (random.Between(2, 5), random.Unit() < 0.35 ? 5.2 : 3.2);
                var (left, slant) = (x, random.Between(-0.5, 0.5));
                ForEach(canvas, (px, py, under) =>
                {
                    var (u, v) = (px - left + ((py - line) * slant), py - line - 5 + tall);
                    var stroke = Math.Min(Math.Abs(u), Math.Min(Math.Abs(u - width), Math.Abs(v - (tall / 2))));
                    return u > -1 && u < width + 1 && v > 0 && v < tall ? Mix(under, ink, Clamp01(1 - stroke)) : under;
                });
                x += width + random.Between(1.6, 4);
            }
        }
    }

    private static void PaintLeaves(double[] canvas, SampleRandom random)
    {
        var ground = Hsv(random.Between(0.08, 0.12), 0.5, 0.3);
        ForEach(canvas, (_, _) => ground);
        for (var i = 0; i < 14; i++)
        {
            var (centreX, centreY, radius) = (random.Between(0, 64), random.Between(0, 64), random.Between(6, 13));
            var (sin, cos) = SampleRandom.Turn(random.Unit());
            var colour = Hsv(random.Between(0.03, 0.36), random.Between(0.5, 0.85), random.Between(0.35, 0.9));
            ForEach(canvas, (x, y, under) =>
            {
                var distance = Distance("leaf", x - centreX, y - centreY, sin, cos, radius, out var u, out _);
                return Mix(under, Scale(colour, Math.Abs(u) < 0.7 ? 0.6 : 1), Clamp01(0.5 - distance));
            });
        }
    }

    private static double HueOf(string colour) => colour switch
    {
        "red" => 0.985,
        "orange" => 0.075,
        "yellow" => 0.145,
        "green" => 0.36,
        "blue" => 0.6,
        _ => 0.77,
    };

    private static double[] Lattice(SampleRandom random, int size)
    {
        var values = new double[size * size];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = random.Unit();
        }

        return values;
    }

    private static double Smooth(double[] lattice, int size, double x, double y)
    {
        var (column, row) = (Math.Min((int)x, size - 2), Math.Min((int)y, size - 2));
        var (fx, fy) = (Ease(x - column), Ease(y - row));
        var at = (row * size) + column;
        var upper = lattice[at] + ((lattice[at + 1] - lattice[at]) * fx);
        var lower = lattice[at + size] + ((lattice[at + size + 1] - lattice[at + size]) * fx);
        return upper + ((lower - upper) * fy);
    }

    private static double Ease(double t)
    {
        t = Clamp01(t);
        return t * t * (3 - (2 * t));
    }

    /// <summary>Distance to the nearest multiple of the pitch.</summary>
    private static double Fold(double x, double pitch)
    {
        var cell = (x / pitch) + 1000.5;
        return Math.Abs((cell - (long)cell - 0.5) * pitch);
    }

    private static double Line(double x, double pitch, double width) => Clamp01(width - Fold(x, pitch) + 0.5);

    private static double Length(double x, double y) => Math.Sqrt((x * x) + (y * y));

    private static double Clamp01(double x) => x < 0 ? 0 : x > 1 ? 1 : x;

    private static (double R, double G, double B) Mix((double R, double G, double B) a, (double R, double G, double B) b, double share) =>
        (a.R + ((b.R - a.R) * share), a.G + ((b.G - a.G) * share), a.B + ((b.B - a.B) * share));

    private static (double R, double G, double B) Scale((double R, double G, double B) a, double by) => (a.R * by, a.G * by, a.B * by);

    private static (double R, double G, double B) Hsv(double hue, double saturation, double value)
    {
        hue -= (long)hue;
        hue = (hue < 0 ? hue + 1 : hue) * 6;
        double Channel(double shift)
        {
            var k = hue + shift;
            k = k >= 6 ? k - 6 : k;
            return 255 * value * (1 - (saturation * Clamp01(Math.Min(k, 4 - k))));
        }

        return (Channel(5), Channel(3), Channel(1));
    }

    private static void ForEach(double[] canvas, Func<double, double, (double R, double G, double B)> colour) =>
        ForEach(canvas, (x, y, _) => colour(x, y));

    private static void ForEach(double[] canvas, Func<double, double, (double R, double G, double B), (double R, double G, double B)> colour)
    {
        for (int y = 0, at = 0; y < Side; y++)
        {
            for (var x = 0; x < Side; x++, at += 3)
            {
                (canvas[at], canvas[at + 1], canvas[at + 2]) = colour(x + 0.5, y + 0.5, (canvas[at], canvas[at + 1], canvas[at + 2]));
            }
        }
    }

    private static void Finish(double[] canvas, SampleRandom random, double noise, double brightness)
    {
        for (var i = 0; i < canvas.Length; i++)
        {
            canvas[i] = (canvas[i] * brightness) + (noise * random.Normal());
        }
    }

    private static RgbImage Quantise(double[] canvas)
    {
        var pixels = new byte[canvas.Length];
        for (var i = 0; i < pixels.Length; i++)
        {
            pixels[i] = (byte)(Math.Clamp(canvas[i], 0, 255) + 0.5);
        }

        return new RgbImage(Side, Side, pixels);
    }
}
