using System.Buffers;
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
    private const int Passes = 3;

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
        // A key and its row in one number: each moves once a pass. Large arrays are lent, so that searches do not set off collections.
        var (entries, others) = (ArrayPool<ulong>.Shared.Rent(n), ArrayPool<ulong>.Shared.Rent(n));
        try
        {
            Span<int> counts = stackalloc int[Passes * Buckets];
            counts.Clear();
            for (var i = 0; i < n; i++)
            {
                var key = Descending(scores[i]);
                entries[i] = ((ulong)key << 32) | (uint)i;
                counts[(int)key & (Buckets - 1)]++;
                counts[Buckets + ((int)(key >> Bits) & (Buckets - 1))]++;
                counts[(2 * Buckets) + (int)(key >> (2 * Bits))]++;
            }

            for (var pass = 0; pass < Passes; pass++)
            {
                var places = counts.Slice(pass * Buckets, Buckets);
                var shift = 32 + (pass * Bits);
                var sum = 0;
                for (var bucket = 0; bucket < Buckets; bucket++)
                {
                    (places[bucket], sum) = (sum, sum + places[bucket]);
                }

                foreach (var entry in entries.AsSpan(0, n))
                {
                    others[places[(int)(entry >> shift) & (Buckets - 1)]++] = entry;
                }

                (entries, others) = (others, entries);
            }

            var above = GC.AllocateUninitializedArray<int>(n);
            var place = 0;
            for (var i = 0; i < n; i++)
            {
                place = i > 0 && entries[i] >> 32 == entries[i - 1] >> 32 ? place : i;
                above[(int)(uint)entries[i]] = place;
            }

            return new Placing(above);
        }
        finally
        {
            ArrayPool<ulong>.Shared.Return(entries);
            ArrayPool<ulong>.Shared.Return(others);
        }
    }

    /// <summary>Bits that grow as the score falls; equal scores, zeros of both signs included, have equal bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static uint Descending(float score)
    {
        var bits = BitConverter.SingleToUInt32Bits(score == 0 ? 0 : score);
        return float.IsNaN(score) ? uint.MaxValue : bits >> 31 == 0 ? 0x7FFFFFFFu - bits : bits;
    }
}
