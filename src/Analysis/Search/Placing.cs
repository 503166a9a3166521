using System.Runtime.CompilerServices;

namespace Analysis.Search;

/// <summary>
/// The place of every sample by one score: how many samples score strictly higher. Places of different concepts can be
/// compared, scores cannot; equal scores share a place.
/// </summary>
public sealed class Placing
{
    private const int Bits = 11;
    private const int Buckets = 1 << Bits;

    private Placing(int[] above)
    {
        Above = above;
    }

    /// <summary>Samples that score strictly higher, in [0, N). Length N.</summary>
    public int[] Above { get; }

    /// <summary>Orders the samples by a stable radix sort of the scores' bits, O(N).</summary>
    /// <param name="scores">Length N; NaN counts as lowest.</param>
    public static Placing Of(ReadOnlySpan<float> scores)
    {
        var n = scores.Length;
        var (keys, rows) = (GC.AllocateUninitializedArray<uint>(n), GC.AllocateUninitializedArray<int>(n));
        var (otherKeys, otherRows) = (GC.AllocateUninitializedArray<uint>(n), GC.AllocateUninitializedArray<int>(n));
        Span<int> counts = stackalloc int[Buckets];
        for (var i = 0; i < n; i++)
        {
            (keys[i], rows[i]) = (Descending(scores[i]), i);
        }

        for (var shift = 0; shift < 32; shift += Bits)
        {
            counts.Clear();
            foreach (var key in keys)
            {
                counts[(int)(key >> shift) & (Buckets - 1)]++;
            }

            var sum = 0;
            for (var bucket = 0; bucket < Buckets; bucket++)
            {
                (counts[bucket], sum) = (sum, sum + counts[bucket]);
            }

            for (var i = 0; i < n; i++)
            {
                var to = counts[(int)(keys[i] >> shift) & (Buckets - 1)]++;
                (otherKeys[to], otherRows[to]) = (keys[i], rows[i]);
            }

            (keys, otherKeys) = (otherKeys, keys);
            (rows, otherRows) = (otherRows, rows);
        }

        var above = otherRows;
        var place = 0;
        for (var i = 0; i < n; i++)
        {
            place = i > 0 && keys[i] == keys[i - 1] ? place : i;
            above[rows[i]] = place;
        }

        return new Placing(above);
    }

    /// <summary>Bits that grow as the score falls; equal scores, zeros of both signs included, have equal bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Descending(float score)
    {
        var bits = BitConverter.SingleToUInt32Bits(score == 0 ? 0 : score);
        return float.IsNaN(score) ? uint.MaxValue : bits >> 31 == 0 ? 0x7FFFFFFFu - bits : bits;
    }
}
