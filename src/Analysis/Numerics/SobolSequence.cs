using System.Numerics;

namespace Analysis.Numerics;

/// <summary>
/// Sobol' points in base 2 (Sobol' 1967; Bratley and Fox 1988): every power of two of them fills the unit cube evenly.
/// Primitive polynomials are found by search, and the free initial direction numbers are chosen, of a few drawn at random, so
/// that pairs of dimensions are even as well. With a seed the points are scrambled as by Owen (1995): each is uniform, and
/// their evenness is kept.
/// </summary>
public static class SobolSequence
{
    private const int Bits = 32;
    private const int Candidates = 16;
    private const int PairBits = 8;
    private static readonly Lock Gate = new();
    private static readonly List<uint[]> Directions = [];
    private static readonly List<byte[]> PairRows = [];
    private static readonly List<(uint Polynomial, int Degree)> Polynomials = [];

    /// <summary>The first points.</summary>
    /// <param name="count">Number of points, at least 1; a power of two is best.</param>
    /// <param name="dimensions">At least 1.</param>
    /// <param name="seed">Seed of the scrambling; null for the plain sequence, whose first point is zero.</param>
    /// <returns>count×dimensions, in [0, 1).</returns>
    public static DenseMatrix Points(int count, int dimensions, int? seed = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(dimensions, 1);
        var directions = DirectionsOf(dimensions);
        var result = new DenseMatrix(count, dimensions);
        for (var d = 0; d < dimensions; d++)
        {
            var key = new SplitMix64(unchecked(((ulong)(uint)(seed ?? 0) << 32) | (uint)d)).Next();
            uint x = 0;
            for (var i = 0; i < count; i++)
            {
                result[i, d] = (seed is null ? x : Scramble(x, key)) / 4294967296.0;

                // Gray code: one direction number leads from each point to the next.
                x ^= directions[d][BitOperations.TrailingZeroCount(~(uint)i) & (Bits - 1)];
            }
        }

        return result;
    }

    /// <summary>Nested uniform scrambling: whether a digit is flipped depends on the digits before it.</summary>
    private static uint Scramble(uint x, ulong key)
    {
        uint result = 0;
        for (var bit = Bits - 1; bit >= 0; bit--)
        {
            var prefix = (((ulong)x >> (bit + 1)) << 6) | (uint)bit;
            var flip = (uint)(new SplitMix64(key ^ (prefix * 0xD6E8FEB86659FD93UL)).Next() & 1);
            result |= (((x >> bit) & 1) ^ flip) << bit;
        }

        return result;
    }

    private static uint[][] DirectionsOf(int dimensions)
    {
        lock (Gate)
        {
            while (Directions.Count < dimensions)
            {
                Append();
            }

            return [.. Directions.Take(dimensions)];
        }
    }

    private static void Append()
    {
        var dimension = Directions.Count;
        if (dimension == 0)
        {
            Keep([.. Enumerable.Range(0, Bits).Select(k => 1u << (Bits - 1 - k))]);
            return;
        }

        var (polynomial, degree) = PolynomialOf(dimension - 1);
        var random = new SplitMix64((ulong)dimension);
        uint[]? best = null;
        var least = double.PositiveInfinity;
        for (var candidate = 0; candidate < Candidates; candidate++)
        {
            var directions = Expand(polynomial, degree, ref random);
            var rows = RowsOf(directions);
            double cost = 0;
            foreach (var other in PairRows)
            {
                cost += 1L << Unevenness(rows, other);
            }

            if (cost < least)
            {
                (best, least) = (directions, cost);
            }
        }

        Keep(best!);
    }

    private static void Keep(uint[] directions)
    {
        Directions.Add(directions);
        PairRows.Add(RowsOf(directions));
    }

    /// <summary>Direction numbers by the recurrence of the polynomial, from odd initial ones drawn at random.</summary>
    private static uint[] Expand(uint polynomial, int degree, ref SplitMix64 random)
    {
        var m = new ulong[Bits];
        for (var k = 0; k < Bits; k++)
        {
            if (k < degree)
            {
                m[k] = (2 * (ulong)random.NextInt(1 << k)) + 1;
                continue;
            }

            m[k] = m[k - degree] ^ (m[k - degree] << degree);
            for (var j = 1; j < degree; j++)
            {
                m[k] ^= ((polynomial >> (degree - j)) & 1) == 1 ? m[k - j] << j : 0;
            }
        }

        return [.. m.Select((value, k) => (uint)(value << (Bits - 1 - k)))];
    }

    /// <summary>The leading rows of the generator matrix, a bit a column.</summary>
    private static byte[] RowsOf(uint[] directions)
    {
        var rows = new byte[PairBits];
        for (var r = 0; r < PairBits; r++)
        {
            for (var k = 0; k < PairBits; k++)
            {
                rows[r] |= (byte)(((directions[k] >> (Bits - 1 - r)) & 1) << k);
            }
        }

        return rows;
    }

    /// <summary>
    /// Quality parameter t of a pair of dimensions for 2^8 points: every box of volume 2^(t − 8) with sides a power of two holds
    /// 2^t points.
    /// </summary>
    private static int Unevenness(byte[] a, byte[] b)
    {
        for (var q = PairBits; q > 0; q--)
        {
            var independent = true;
            for (var first = 0; first <= q && independent; first++)
            {
                independent = Independent(a.AsSpan(0, first), b.AsSpan(0, q - first));
            }

            if (independent)
            {
                return PairBits - q;
            }
        }

        return PairBits;
    }

    private static bool Independent(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b)
    {
        Span<byte> basis = stackalloc byte[PairBits];
        for (var i = 0; i < a.Length + b.Length; i++)
        {
            var row = i < a.Length ? a[i] : b[i - a.Length];
            while (row != 0)
            {
                var lead = BitOperations.Log2(row);
                if (basis[lead] == 0)
                {
                    basis[lead] = row;
                    break;
                }

                row ^= basis[lead];
            }

            if (row == 0)
            {
                return false;
            }
        }

        return true;
    }

    private static (uint Polynomial, int Degree) PolynomialOf(int index)
    {
        while (Polynomials.Count <= index)
        {
            var (last, degree) = Polynomials.Count == 0 ? (1u, 1) : Polynomials[^1];
            for (var next = Polynomials.Count == 0 ? 3u : last + 2; ; next += 2)
            {
                degree = BitOperations.Log2(next);
                if (IsPrimitive(next, degree))
                {
                    Polynomials.Add((next, degree));
                    break;
                }
            }
        }

        return Polynomials[index];
    }

    /// <summary>True where x generates all non-zero residues: its powers first return to 1 after 2^degree − 1 steps.</summary>
    private static bool IsPrimitive(uint polynomial, int degree)
    {
        var order = (1u << degree) - 1;
        var power = 1u;
        for (var i = 1u; i <= order; i++)
        {
            power <<= 1;
            power ^= ((power >> degree) & 1) == 1 ? polynomial : 0;
            if (power == 1)
            {
                return i == order;
            }
        }

        return false;
    }
}
