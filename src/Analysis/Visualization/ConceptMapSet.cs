using Analysis.Activations;
using Analysis.Concepts;
using Analysis.Networks;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Visualization;

/// <summary>
/// Concept maps of all images of a class as bytes: value = (byte − 128) / 127 × scale of the concept. At most side × side
/// cells, so that 1,300 images with 10 concepts take some megabytes.
/// </summary>
public sealed class ConceptMapSet
{
    private readonly double[] _thresholds;

    private ConceptMapSet(int height, int width, float[] scale, byte[] bytes, double[] thresholds)
    {
        Height = height;
        Width = width;
        Scale = scale;
        Bytes = bytes;
        _thresholds = thresholds;
    }

    /// <summary>Rows of a map.</summary>
    public int Height { get; }

    /// <summary>Columns of a map.</summary>
    public int Width { get; }

    /// <summary>Largest |value| per concept. Length k.</summary>
    public float[] Scale { get; }

    /// <summary>n×k×height×width.</summary>
    public byte[] Bytes { get; }

    /// <summary>99th percentile of the concept's map values over the images of the class (METHODS 1.4).</summary>
    public double Threshold(int concept) => _thresholds[concept];

    /// <summary>Cell with the largest value: row and column; the first among equals.</summary>
    public (int Row, int Column) Peak(int image, int concept)
    {
        var map = Bytes.AsSpan(((image * Scale.Length) + concept) * Height * Width, Height * Width);
        var best = 0;
        for (var i = 1; i < map.Length; i++)
        {
            if (map[i] > map[best])
            {
                best = i;
            }
        }

        return (best / Width, best % Width);
    }

    /// <summary>Computes the maps.</summary>
    /// <param name="spatial">Spatial activations.</param>
    /// <param name="rows">Rows of the images.</param>
    /// <param name="encoder">Concept vectors and what their maps are.</param>
    /// <param name="layer">Analysed layer.</param>
    /// <param name="side">Largest side kept.</param>
    /// <param name="part">Images at a time.</param>
    /// <param name="cancellation">Honoured between parts.</param>
    public static ConceptMapSet Compute(
        ISpatialActivations spatial, int[] rows, ConceptEncoder encoder, LayerInfo layer, int side, int part, CancellationToken cancellation)
    {
        var (fullHeight, fullWidth) = layer.Tokens is { } grid ? (grid.Height, grid.Width) : (layer.Height, layer.Width);
        var (height, width) = (Math.Min(fullHeight, side), Math.Min(fullWidth, side));
        var (n, k) = (rows.Length, (int)encoder.Vectors.shape[0]);
        var values = new float[checked(n * k * height * width)];
        foreach (var (start, activation) in spatial.Read(rows, part, cancellation))
        {
            using (activation)
            {
                using var scope = NewDisposeScope();
                var maps = encoder.Maps(activation);
                if (layer.Tokens is { } tokens)
                {
                    // Leading tokens belong to no place in the image.
                    maps = maps.flatten(2).narrow(2, tokens.Leading, tokens.Height * tokens.Width).reshape(maps.shape[0], k, tokens.Height, tokens.Width);
                }

                if (maps.shape[2] != height || maps.shape[3] != width)
                {
                    maps = nn.functional.adaptive_avg_pool2d(maps, [height, width]);
                }

                HostMemory.CopyTo<float>(maps.to(ScalarType.Float32), values.AsSpan(start * k * height * width));
            }
        }

        return Quantise(values, n, k, height, width);
    }

    private static ConceptMapSet Quantise(float[] values, int n, int k, int height, int width)
    {
        var cells = height * width;
        var scale = new float[k];
        var thresholds = new double[k];
        var bytes = new byte[values.Length];
        var column = new float[n * cells];
        for (var i = 0; i < k; i++)
        {
            for (var image = 0; image < n; image++)
            {
                for (var cell = 0; cell < cells; cell++)
                {
                    var value = values[(((image * k) + i) * cells) + cell];
                    column[(image * cells) + cell] = value;
                    scale[i] = Math.Max(scale[i], Math.Abs(value));
                }
            }

            thresholds[i] = RobustStatistics.UpperPercentile(column, 99);
            var factor = scale[i] > 0 ? 127 / scale[i] : 0;
            for (var image = 0; image < n; image++)
            {
                for (var cell = 0; cell < cells; cell++)
                {
                    var at = (((image * k) + i) * cells) + cell;
                    bytes[at] = (byte)(128 + (int)MathF.Round(values[at] * factor));
                }
            }
        }

        return new ConceptMapSet(height, width, scale, bytes, thresholds);
    }
}
