using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Analysis.Search;

/// <summary>
/// Products of many rows with a few vectors. Each row is read once for four vectors at a time: what is left is the time that
/// reading takes. A vector's products do not depend, in any bit, on which others are computed with it.
/// </summary>
internal static class RowProducts
{
    /// <summary>a · v of every row a with every vector v.</summary>
    /// <param name="rows">m×C, row by row.</param>
    /// <param name="channels">C.</param>
    /// <param name="vectors">Q vectors of length C.</param>
    /// <param name="products">Receives Q arrays; row i goes to <paramref name="start"/> + i.</param>
    /// <param name="start">Place of the first row.</param>
    public static void Compute(ReadOnlySpan<float> rows, int channels, IReadOnlyList<float[]> vectors, float[][] products, int start)
    {
        var count = rows.Length / channels;
        var q = 0;
        for (; q + 4 <= vectors.Count; q += 4)
        {
            var (v0, v1, v2, v3) = (Checked(vectors[q], channels), Checked(vectors[q + 1], channels), Checked(vectors[q + 2], channels), Checked(vectors[q + 3], channels));
            for (var i = 0; i < count; i++)
            {
                var s = Four(rows.Slice(i * channels, channels), v0, v1, v2, v3);
                (products[q][start + i], products[q + 1][start + i], products[q + 2][start + i], products[q + 3][start + i]) = s;
            }
        }

        for (; q + 2 <= vectors.Count; q += 2)
        {
            var (v0, v1) = (Checked(vectors[q], channels), Checked(vectors[q + 1], channels));
            for (var i = 0; i < count; i++)
            {
                (products[q][start + i], products[q + 1][start + i]) = Two(rows.Slice(i * channels, channels), v0, v1);
            }
        }

        if (q < vectors.Count)
        {
            var v = Checked(vectors[q], channels);
            for (var i = 0; i < count; i++)
            {
                products[q][start + i] = One(rows.Slice(i * channels, channels), v);
            }
        }
    }

    private static float[] Checked(float[] vector, int channels) =>
        vector.Length == channels ? vector : throw new ArgumentException($"A vector has {vector.Length} numbers and a row {channels}.", nameof(vector));

    private static float One(ReadOnlySpan<float> row, float[] v)
    {
        ref var a = ref MemoryMarshal.GetReference(row);
        ref var b = ref MemoryMarshal.GetArrayDataReference(v);
        var step = Vector<float>.Count;
        Vector<float> s = default, t = default;
        var c = 0;
        for (; c <= row.Length - (2 * step); c += 2 * step)
        {
            s = Vector.FusedMultiplyAdd(Load(ref a, c), Load(ref b, c), s);
            t = Vector.FusedMultiplyAdd(Load(ref a, c + step), Load(ref b, c + step), t);
        }

        for (; c <= row.Length - step; c += step)
        {
            s = Vector.FusedMultiplyAdd(Load(ref a, c), Load(ref b, c), s);
        }

        return Vector.Sum(s + t) + Rest(row, v, c);
    }

    private static (float First, float Second) Two(ReadOnlySpan<float> row, float[] v0, float[] v1)
    {
        ref var a = ref MemoryMarshal.GetReference(row);
        ref var b0 = ref MemoryMarshal.GetArrayDataReference(v0);
        ref var b1 = ref MemoryMarshal.GetArrayDataReference(v1);
        var step = Vector<float>.Count;
        Vector<float> s0 = default, s1 = default, t0 = default, t1 = default;
        var c = 0;
        for (; c <= row.Length - (2 * step); c += 2 * step)
        {
            var (x, y) = (Load(ref a, c), Load(ref a, c + step));
            s0 = Vector.FusedMultiplyAdd(x, Load(ref b0, c), s0);
            t0 = Vector.FusedMultiplyAdd(y, Load(ref b0, c + step), t0);
            s1 = Vector.FusedMultiplyAdd(x, Load(ref b1, c), s1);
            t1 = Vector.FusedMultiplyAdd(y, Load(ref b1, c + step), t1);
        }

        for (; c <= row.Length - step; c += step)
        {
            var x = Load(ref a, c);
            s0 = Vector.FusedMultiplyAdd(x, Load(ref b0, c), s0);
            s1 = Vector.FusedMultiplyAdd(x, Load(ref b1, c), s1);
        }

        return (Vector.Sum(s0 + t0) + Rest(row, v0, c), Vector.Sum(s1 + t1) + Rest(row, v1, c));
    }

    private static (float, float, float, float) Four(ReadOnlySpan<float> row, float[] v0, float[] v1, float[] v2, float[] v3)
    {
        ref var a = ref MemoryMarshal.GetReference(row);
        ref var b0 = ref MemoryMarshal.GetArrayDataReference(v0);
        ref var b1 = ref MemoryMarshal.GetArrayDataReference(v1);
        ref var b2 = ref MemoryMarshal.GetArrayDataReference(v2);
        ref var b3 = ref MemoryMarshal.GetArrayDataReference(v3);
        var step = Vector<float>.Count;
        Vector<float> s0 = default, s1 = default, s2 = default, s3 = default;
        Vector<float> t0 = default, t1 = default, t2 = default, t3 = default;
        var c = 0;
        for (; c <= row.Length - (2 * step); c += 2 * step)
        {
            var (x, y) = (Load(ref a, c), Load(ref a, c + step));
            s0 = Vector.FusedMultiplyAdd(x, Load(ref b0, c), s0);
            s1 = Vector.FusedMultiplyAdd(x, Load(ref b1, c), s1);
            s2 = Vector.FusedMultiplyAdd(x, Load(ref b2, c), s2);
            s3 = Vector.FusedMultiplyAdd(x, Load(ref b3, c), s3);
            t0 = Vector.FusedMultiplyAdd(y, Load(ref b0, c + step), t0);
            t1 = Vector.FusedMultiplyAdd(y, Load(ref b1, c + step), t1);
            t2 = Vector.FusedMultiplyAdd(y, Load(ref b2, c + step), t2);
            t3 = Vector.FusedMultiplyAdd(y, Load(ref b3, c + step), t3);
        }

        for (; c <= row.Length - step; c += step)
        {
            var x = Load(ref a, c);
            s0 = Vector.FusedMultiplyAdd(x, Load(ref b0, c), s0);
            s1 = Vector.FusedMultiplyAdd(x, Load(ref b1, c), s1);
            s2 = Vector.FusedMultiplyAdd(x, Load(ref b2, c), s2);
            s3 = Vector.FusedMultiplyAdd(x, Load(ref b3, c), s3);
        }

        return (
            Vector.Sum(s0 + t0) + Rest(row, v0, c), Vector.Sum(s1 + t1) + Rest(row, v1, c),
            Vector.Sum(s2 + t2) + Rest(row, v2, c), Vector.Sum(s3 + t3) + Rest(row, v3, c));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> Load(ref float start, int at) => Unsafe.ReadUnaligned<Vector<float>>(ref Unsafe.As<float, byte>(ref Unsafe.Add(ref start, at)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Rest(ReadOnlySpan<float> row, float[] v, int from)
    {
        var sum = 0f;
        for (var c = from; c < row.Length; c++)
        {
            sum += row[c] * v[c];
        }

        return sum;
    }
}
