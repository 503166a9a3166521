using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Analysis.Numerics;

/// <summary>
/// Exact nearest rows by brute force in managed memory. Distances are summed from differences, so that equal rows are at
/// exactly 0 and no digits are lost to an offset; references are packed eight side by side, and a candidate meets the list of
/// the best only when it is nearer than the last of them. Each query is computed by itself: threads do not change the result.
/// </summary>
internal static class NearestRows
{
    private const int Lanes = 8;
    private const int QueriesTogether = 4;
    private const int QueriesInPart = 64;

    /// <summary>The nearest references of each query, nearest first; equal distances in the order of the index.</summary>
    /// <param name="queries">m×d.</param>
    /// <param name="references">n×d.</param>
    /// <param name="width">d.</param>
    /// <param name="k">At most n, or n − 1 where the query itself is left out.</param>
    /// <param name="excludeSelf">Leave out the reference with the query's own number.</param>
    /// <param name="threads">Threads to use.</param>
    /// <returns>Index and squared distance, m×k each. A distance that is not a number counts as infinite.</returns>
    public static (int[] Index, float[] Squared) Find(float[] queries, float[] references, int width, int k, bool excludeSelf, int threads)
    {
        var (m, n) = (queries.Length / Math.Max(1, width), references.Length / Math.Max(1, width));
        var index = new int[(long)m * k];
        var squared = new float[(long)m * k];
        var packed = Pack(references, n, width);
        var parts = (m + QueriesInPart - 1) / QueriesInPart;
        Parallel.For(0, parts, new ParallelOptions { MaxDegreeOfParallelism = Math.Max(1, threads) }, part =>
        {
            var end = Math.Min(m, (part + 1) * QueriesInPart);
            for (var first = part * QueriesInPart; first < end; first += QueriesTogether)
            {
                Scan(queries, packed, first, Math.Min(QueriesTogether, end - first), n, width, k, excludeSelf, index, squared);
            }
        });
        return (index, squared);
    }

    /// <summary>Blocks of eight rows, channel by channel; the last block is filled up with copies of nothing (NaN).</summary>
    private static float[] Pack(float[] rows, int n, int width)
    {
        var blocks = (n + Lanes - 1) / Lanes;
        var packed = new float[blocks * width * Lanes];
        packed.AsSpan(Math.Max(0, blocks - 1) * width * Lanes).Fill(float.NaN);
        for (var i = 0; i < n; i++)
        {
            var target = (i / Lanes * width * Lanes) + (i % Lanes);
            for (var c = 0; c < width; c++)
            {
                packed[target + (c * Lanes)] = rows[(i * width) + c];
            }
        }

        return packed;
    }

    private static void Scan(
        float[] queries, float[] packed, int first, int count, int n, int width, int k, bool excludeSelf, int[] index, float[] squared)
    {
        for (var q = 0; q < count; q++)
        {
            squared.AsSpan((first + q) * k, k).Fill(float.PositiveInfinity);
            index.AsSpan((first + q) * k, k).Fill(-1);
        }

        if (k == 0)
        {
            return;
        }

        // Fewer than four queries are filled up with the last one, whose list is then written once only.
        ref var q0 = ref queries[first * width];
        ref var q1 = ref queries[(first + Math.Min(1, count - 1)) * width];
        ref var q2 = ref queries[(first + Math.Min(2, count - 1)) * width];
        ref var q3 = ref queries[(first + Math.Min(3, count - 1)) * width];
        var limit0 = Vector256.Create(float.PositiveInfinity);
        var (limit1, limit2, limit3) = (limit0, limit0, limit0);
        ref var block = ref MemoryMarshal.GetArrayDataReference(packed);
        for (var start = 0; start < n; start += Lanes)
        {
            var (s0, s1, s2, s3) = (Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero, Vector256<float>.Zero);
            for (var c = 0; c < width; c++)
            {
                var r = Vector256.LoadUnsafe(ref block, (nuint)(c * Lanes));
                var d0 = r - Vector256.Create(Unsafe.Add(ref q0, c));
                var d1 = r - Vector256.Create(Unsafe.Add(ref q1, c));
                var d2 = r - Vector256.Create(Unsafe.Add(ref q2, c));
                var d3 = r - Vector256.Create(Unsafe.Add(ref q3, c));
                s0 = Lanes8.MultiplyAdd(d0, d0, s0);
                s1 = Lanes8.MultiplyAdd(d1, d1, s1);
                s2 = Lanes8.MultiplyAdd(d2, d2, s2);
                s3 = Lanes8.MultiplyAdd(d3, d3, s3);
            }

            block = ref Unsafe.Add(ref block, width * Lanes);
            if (Vector256.LessThanAny(s0, limit0))
            {
                limit0 = Enter(s0, start, first, k, excludeSelf, index, squared);
            }

            if (count > 1 && Vector256.LessThanAny(s1, limit1))
            {
                limit1 = Enter(s1, start, first + 1, k, excludeSelf, index, squared);
            }

            if (count > 2 && Vector256.LessThanAny(s2, limit2))
            {
                limit2 = Enter(s2, start, first + 2, k, excludeSelf, index, squared);
            }

            if (count > 3 && Vector256.LessThanAny(s3, limit3))
            {
                limit3 = Enter(s3, start, first + 3, k, excludeSelf, index, squared);
            }
        }

        for (var q = 0; q < count; q++)
        {
            FillUp(index.AsSpan((first + q) * k, k), excludeSelf ? first + q : -1);
        }
    }

    /// <summary>Puts what is nearer than the last of a query's list into its place, and gives the new limit.</summary>
    private static Vector256<float> Enter(Vector256<float> distances, int start, int query, int k, bool excludeSelf, int[] index, float[] squared)
    {
        var near = squared.AsSpan(query * k, k);
        var which = index.AsSpan(query * k, k);
        for (var lane = 0; lane < Lanes; lane++)
        {
            var distance = distances.GetElement(lane);
            if (!(distance < near[k - 1]) || (excludeSelf && start + lane == query))
            {
                continue;
            }

            var at = k - 1;
            while (at > 0 && near[at - 1] > distance)
            {
                near[at] = near[at - 1];
                which[at] = which[at - 1];
                at--;
            }

            near[at] = distance;
            which[at] = start + lane;
        }

        return Vector256.Create(near[k - 1]);
    }

    /// <summary>Places left over, because distances were not numbers or infinite, get the first rows that are not in the list.</summary>
    private static void FillUp(Span<int> which, int itself)
    {
        var next = 0;
        for (var at = 0; at < which.Length; at++)
        {
            if (which[at] >= 0)
            {
                continue;
            }

            while (next == itself || which[..at].Contains(next))
            {
                next++;
            }

            which[at] = next++;
        }
    }
}
