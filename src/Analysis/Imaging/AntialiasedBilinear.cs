using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Analysis.Imaging;

/// <summary>
/// Resizing with the triangle filter, widened by the shrink factor (antialiased) and centred on half pixels. The arithmetic is
/// that of Pillow's 8-bit resampling, so that results are equal to its <c>resize(…, BILINEAR)</c> and to torchvision's on
/// Pillow images: weights in 22-bit fixed point, the horizontal pass first, rounded to 8 bits between the passes.
/// </summary>
public static class AntialiasedBilinear
{
    private const int PrecisionBits = 22;
    private const int Half = 1 << (PrecisionBits - 1);

    /// <summary>Resizes the whole image.</summary>
    /// <param name="image">Source, at least 1×1.</param>
    /// <param name="width">Width of the result, at least 1.</param>
    /// <param name="height">Height of the result, at least 1.</param>
    public static RgbImage Resize(RgbImage image, int width, int height) =>
        ResizeAndCrop(image, width, height, 0, 0, width, height);

    /// <summary>
    /// A window of the image resized to <paramref name="fullWidth"/> × <paramref name="fullHeight"/>; equal to resizing and
    /// then cropping, at the cost of the window only: neither time nor memory depends on the full size.
    /// </summary>
    /// <param name="image">Source, at least 1×1.</param>
    /// <param name="fullWidth">Width that the whole image would have.</param>
    /// <param name="fullHeight">Height that the whole image would have.</param>
    /// <param name="left">First column of the window.</param>
    /// <param name="top">First row of the window.</param>
    /// <param name="width">Width of the window, which lies inside the full size.</param>
    /// <param name="height">Height of the window, which lies inside the full size.</param>
    /// <exception cref="ArgumentOutOfRangeException">The window does not lie inside the full size.</exception>
    public static RgbImage ResizeAndCrop(RgbImage image, long fullWidth, long fullHeight, long left, long top, int width, int height)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        ArgumentOutOfRangeException.ThrowIfNegative(left);
        ArgumentOutOfRangeException.ThrowIfNegative(top);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(left + width, fullWidth);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(top + height, fullHeight);
        if (image.Width == fullWidth && image.Height == fullHeight && width == fullWidth && height == fullHeight)
        {
            return image;
        }

        var rows = Weights.For(image.Height, fullHeight, top, height);
        var columns = Weights.For(image.Width, fullWidth, left, width);
        var (firstRow, lastRow) = (rows.Start[0], rows.Start[0] + rows.Count[0]);
        for (var y = 1; y < height; y++)
        {
            lastRow = Math.Max(lastRow, rows.Start[y] + rows.Count[y]);
            firstRow = Math.Min(firstRow, rows.Start[y]);
        }

        var middle = new byte[(long)(lastRow - firstRow) * width * 3];
        for (var y = firstRow; y < lastRow; y++)
        {
            var source = image.Pixels.AsSpan((int)((long)y * image.Width * 3), image.Width * 3);
            Horizontal(source, middle.AsSpan((y - firstRow) * width * 3, width * 3), columns);
        }

        var result = new byte[(long)height * width * 3];
        var sums = new int[(width * 3) + Vector<byte>.Count];
        for (var y = 0; y < height; y++)
        {
            Vertical(middle, width * 3, rows.Start[y] - firstRow, rows.Of(y), sums, result.AsSpan(y * width * 3, width * 3));
        }

        return new RgbImage(width, height, result);
    }

    private static void Horizontal(ReadOnlySpan<byte> source, Span<byte> target, Weights weights)
    {
        ref var first = ref MemoryMarshal.GetReference(source);
        for (int x = 0, to = 0; to < target.Length; x++, to += 3)
        {
            var sum = Vector128.Create(Half);
            var at = weights.Start[x] * 3;
            foreach (var weight in weights.Of(x))
            {
                // Four bytes hold a pixel and one byte of the next; the last pixel of a row is read from one byte earlier.
                var word = at + 4 <= source.Length
                    ? Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref first, at))
                    : source[at] | ((uint)source[at + 1] << 8) | ((uint)source[at + 2] << 16);
                var pixel = Vector128.WidenLower(Vector128.WidenLower(Vector128.CreateScalar(word).AsByte())).AsInt32();
                sum += pixel * weight;
                at += 3;
            }

            sum = Vector128.Max(Vector128.Min(sum >> PrecisionBits, Vector128.Create(255)), Vector128<int>.Zero);
            target[to] = (byte)sum.GetElement(0);
            target[to + 1] = (byte)sum.GetElement(1);
            target[to + 2] = (byte)sum.GetElement(2);
        }
    }

    private static void Vertical(byte[] middle, int stride, int firstRow, ReadOnlySpan<int> weights, int[] sums, Span<byte> target)
    {
        var lanes = Vector<byte>.Count;
        var step = Vector<int>.Count;
        Array.Fill(sums, Half);
        for (var k = 0; k < weights.Length; k++)
        {
            var row = middle.AsSpan((firstRow + k) * stride, stride);
            var weight = weights[k];
            var x = 0;
            for (; x + lanes <= stride; x += lanes)
            {
                Vector.Widen(new Vector<byte>(row[x..]), out var low, out var high);
                Vector.Widen(low, out var a, out var b);
                Vector.Widen(high, out var c, out var d);
                Add(sums, x, a, weight);
                Add(sums, x + step, b, weight);
                Add(sums, x + (2 * step), c, weight);
                Add(sums, x + (3 * step), d, weight);
            }

            for (; x < stride; x++)
            {
                sums[x] += row[x] * weight;
            }
        }

        for (var x = 0; x < stride; x++)
        {
            target[x] = (byte)Math.Clamp(sums[x] >> PrecisionBits, 0, 255);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add(int[] sums, int at, Vector<uint> values, int weight)
    {
        var sum = new Vector<int>(sums, at) + (Vector.AsVectorInt32(values) * weight);
        sum.CopyTo(sums, at);
    }

    /// <summary>For each output position the first input position, and the fixed-point weights from there on.</summary>
    private sealed class Weights
    {
        private readonly int[] _values;
        private readonly int _stride;

        private Weights(int[] start, int[] count, int[] values, int stride)
        {
            Start = start;
            Count = count;
            _values = values;
            _stride = stride;
        }

        public int[] Start { get; }

        public int[] Count { get; }

        public static Weights For(int inputs, long outputs, long first, int wanted)
        {
            var scale = inputs / (double)outputs;
            var width = Math.Max(scale, 1.0);
            var stride = ((int)Math.Ceiling(width) * 2) + 1;
            var start = new int[wanted];
            var count = new int[wanted];
            var values = new int[(long)wanted * stride];
            var exact = new double[stride];
            for (var i = 0; i < wanted; i++)
            {
                if (inputs == outputs)
                {
                    (start[i], count[i], values[i * stride]) = ((int)(first + i), 1, 1 << PrecisionBits);
                    continue;
                }

                var centre = (first + i + 0.5) * scale;
                var from = Math.Max((int)(centre - width + 0.5), 0);
                var to = Math.Min((int)(centre + width + 0.5), inputs);
                var total = 0.0;
                for (var j = from; j < to; j++)
                {
                    var distance = Math.Abs((j - centre + 0.5) * (1.0 / width));
                    exact[j - from] = distance < 1 ? 1 - distance : 0;
                    total += exact[j - from];
                }

                (start[i], count[i]) = (from, to - from);
                for (var j = 0; j < to - from; j++)
                {
                    var share = total == 0 ? exact[j] : exact[j] / total;
                    values[(i * stride) + j] = (int)((share * (1 << PrecisionBits)) + 0.5);
                }
            }

            return new Weights(start, count, values, stride);
        }

        public ReadOnlySpan<int> Of(int output) => _values.AsSpan(output * _stride, Count[output]);
    }
}
