using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Analysis.Numerics;

namespace Analysis.Outliers.Detectors;

/// <summary>
/// Samples to be compared with at every cell of a grid, divided into parts: the nearest of each part, and the middle one of
/// these, stands for a neighbour at a depth that grows with the size of a part. Minima over parts are far cheaper than order
/// statistics over all. Rows lie eight side by side, channel by channel, so that one load serves eight of them.
/// </summary>
internal sealed class CellReferences
{
    private const int Lanes = 8;
    private const int QueriesTogether = 8;

    private readonly float[] _packed;
    private readonly float[] _squares;
    private readonly int _cells;
    private readonly int _rows;
    private readonly int _channels;
    private readonly int _parts;
    private readonly int _blocks;

    /// <summary>Packs the rows; part p holds the rows p, p + parts, …, so that parts mix early and late ones.</summary>
    /// <param name="values">cells×rows×channels.</param>
    /// <param name="cells">Cells of the grid.</param>
    /// <param name="rows">Number of samples, a multiple of the parts.</param>
    /// <param name="channels">Channels C.</param>
    /// <param name="parts">Number of parts.</param>
    /// <param name="threads">Threads to use.</param>
    public CellReferences(float[] values, int cells, int rows, int channels, int parts, int threads)
    {
        (_cells, _rows, _channels, _parts) = (cells, rows, channels, parts);
        _blocks = ((rows / parts) + Lanes - 1) / Lanes;
        var places = parts * _blocks * Lanes;
        _packed = new float[cells * places * channels];
        _squares = new float[cells * places];
        Array.Fill(_squares, float.PositiveInfinity);
        Parallel.For(0, cells, new ParallelOptions { MaxDegreeOfParallelism = threads }, cell =>
        {
            for (var row = 0; row < rows; row++)
            {
                var place = Place(row);
                var source = values.AsSpan(((cell * rows) + row) * channels, channels);
                var target = (((cell * places) + (place / Lanes * Lanes)) * channels) + (place % Lanes);
                float squared = 0;
                for (var c = 0; c < channels; c++)
                {
                    _packed[target + (c * Lanes)] = source[c];
                    squared += source[c] * source[c];
                }

                _squares[(cell * places) + place] = squared;
            }
        });
    }

    /// <summary>Where a row lies in its cell.</summary>
    public int Place(int row) => (row % _parts * _blocks * Lanes) + (row / _parts);

    /// <summary>Squared lengths in which some rows are infinitely far away, so that they are nobody's neighbours.</summary>
    /// <param name="without">Rows to leave out.</param>
    public float[] Without(IEnumerable<int> without)
    {
        var places = _squares.Length / _cells;
        var squares = (float[])_squares.Clone();
        foreach (var row in without)
        {
            for (var cell = 0; cell < _cells; cell++)
            {
                squares[(cell * places) + Place(row)] = float.PositiveInfinity;
            }
        }

        return squares;
    }

    /// <summary>Distance to the nearest of each part, the middle one over the parts; cells×queries.</summary>
    /// <param name="queries">cells×queries×channels.</param>
    /// <param name="itself">Place of the row that is no neighbour of the query, −1 for none. One for each query.</param>
    /// <param name="squares">From <see cref="Without"/>, or null for all rows.</param>
    /// <param name="threads">Threads to use; they do not change the result.</param>
    public float[] Nearest(float[] queries, int[] itself, float[]? squares, int threads)
    {
        var count = itself.Length;
        var result = new float[_cells * count];
        squares ??= _squares;
        Parallel.For(0, _cells, new ParallelOptions { MaxDegreeOfParallelism = threads }, cell =>
        {
            var scaled = new float[QueriesTogether * _channels];
            var nearest = new float[QueriesTogether * _parts];
            Span<float> lengths = stackalloc float[QueriesTogether];
            Span<int> own = stackalloc int[QueriesTogether];
            for (var first = 0; first < count; first += QueriesTogether)
            {
                var together = Math.Min(QueriesTogether, count - first);
                    for (var q = 0; q < QueriesTogether; q++)
                {
                    // Fewer than eight are filled up with the last one.
                    var query = first + Math.Min(q, together - 1);
                    var source = queries.AsSpan(((cell * count) + query) * _channels, _channels);
                    float squared = 0;
                    for (var c = 0; c < _channels; c++)
                    {
                        scaled[(c * QueriesTogether) + q] = -2 * source[c];
                        squared += source[c] * source[c];
                    }

                    lengths[q] = squared;
                    own[q] = itself[query];
                }

                Scan(cell, scaled, own, squares, nearest);
                for (var q = 0; q < together; q++)
                {
                    var parts = nearest.AsSpan(q * _parts, _parts);
                    parts.Sort();
                    result[(cell * count) + first + q] = MathF.Sqrt(Math.Max(0, parts[(_parts - 1) / 2] + lengths[q]));
                }
            }
        });
        return result;
    }

    /// <summary>Smallest |r|² − 2 q·r of each part for eight queries: |q|² apart, that is all a squared distance depends on.</summary>
    private void Scan(int cell, float[] scaled, ReadOnlySpan<int> own, float[] squares, float[] nearest)
    {
        var places = _parts * _blocks * Lanes;
        ref var q = ref MemoryMarshal.GetArrayDataReference(scaled);
        ref var r = ref _packed[(long)cell * places * _channels];
        ref var length = ref squares[cell * places];
        Span<Vector256<float>> best = stackalloc Vector256<float>[QueriesTogether];
        for (var part = 0; part < _parts; part++)
        {
            best.Fill(Vector256.Create(float.PositiveInfinity));
            for (var block = 0; block < _blocks; block++)
            {
                var s0 = Vector256.LoadUnsafe(ref length);
                var (s1, s2, s3, s4, s5, s6, s7) = (s0, s0, s0, s0, s0, s0, s0);
                ref var qc = ref q;
                for (var c = 0; c < _channels; c++)
                {
                    var v = Vector256.LoadUnsafe(ref r);
                    s0 = Lanes8.MultiplyAdd(v, Vector256.Create(qc), s0);
                    s1 = Lanes8.MultiplyAdd(v, Vector256.Create(Unsafe.Add(ref qc, 1)), s1);
                    s2 = Lanes8.MultiplyAdd(v, Vector256.Create(Unsafe.Add(ref qc, 2)), s2);
                    s3 = Lanes8.MultiplyAdd(v, Vector256.Create(Unsafe.Add(ref qc, 3)), s3);
                    s4 = Lanes8.MultiplyAdd(v, Vector256.Create(Unsafe.Add(ref qc, 4)), s4);
                    s5 = Lanes8.MultiplyAdd(v, Vector256.Create(Unsafe.Add(ref qc, 5)), s5);
                    s6 = Lanes8.MultiplyAdd(v, Vector256.Create(Unsafe.Add(ref qc, 6)), s6);
                    s7 = Lanes8.MultiplyAdd(v, Vector256.Create(Unsafe.Add(ref qc, 7)), s7);
                    qc = ref Unsafe.Add(ref qc, QueriesTogether);
                    r = ref Unsafe.Add(ref r, Lanes);
                }

                length = ref Unsafe.Add(ref length, Lanes);
                var start = ((part * _blocks) + block) * Lanes;
                best[0] = Vector256.Min(best[0], Apart(s0, own[0] - start));
                best[1] = Vector256.Min(best[1], Apart(s1, own[1] - start));
                best[2] = Vector256.Min(best[2], Apart(s2, own[2] - start));
                best[3] = Vector256.Min(best[3], Apart(s3, own[3] - start));
                best[4] = Vector256.Min(best[4], Apart(s4, own[4] - start));
                best[5] = Vector256.Min(best[5], Apart(s5, own[5] - start));
                best[6] = Vector256.Min(best[6], Apart(s6, own[6] - start));
                best[7] = Vector256.Min(best[7], Apart(s7, own[7] - start));
            }

            for (var i = 0; i < QueriesTogether; i++)
            {
                nearest[(i * _parts) + part] = Smallest(best[i]);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> Apart(Vector256<float> distances, int lane) =>
        (uint)lane < Lanes ? distances.WithElement(lane, float.PositiveInfinity) : distances;

    private static float Smallest(Vector256<float> values)
    {
        var half = Vector128.Min(values.GetLower(), values.GetUpper());
        var quarter = Vector128.Min(half, Vector128.Shuffle(half, Vector128.Create(2, 3, 0, 1)));
        return Math.Min(quarter.GetElement(0), quarter.GetElement(1));
    }
}
