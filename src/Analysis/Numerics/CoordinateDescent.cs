using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using TorchSharp;

namespace Analysis.Numerics;

/// <summary>
/// Cyclic coordinate descent for many non-negative least-squares problems with one Gram matrix: the inner loop of HALS (Cichocki
/// and Phan 2009), which treats the coefficients one after another but all problems at once. A tile of problems stays in the first
/// cache through all sweeps, one problem per lane of the vector unit.
/// </summary>
internal static unsafe class CoordinateDescent
{
    private const int Chains = 8;

    /// <summary>
    /// Sweeps x_j ← max(0, x_j + (h_j − Σ_r G_jr x_r) / G_jj) over j = 0..k−1. A coordinate with G_jj = 0 keeps its value. Each
    /// problem's result depends on no other, so threads do not change it — except by <paramref name="tolerance"/>, which is judged
    /// per tile of neighbours.
    /// </summary>
    /// <typeparam name="T">float or double.</typeparam>
    /// <param name="x">k×count, at least 0; one column per problem; improved in place.</param>
    /// <param name="right">h, k×count.</param>
    /// <param name="gram">G, k×k.</param>
    /// <param name="k">Coefficients.</param>
    /// <param name="count">Problems.</param>
    /// <param name="sweeps">At most so many sweeps.</param>
    /// <param name="tolerance">A tile stops when a sweep changed it by less than this share of what its first sweep did; 0 for all sweeps.</param>
    public static void Sweep<T>(T* x, T* right, T* gram, int k, long count, int sweeps, double tolerance)
        where T : unmanaged, System.Numerics.INumber<T>
    {
        var width = Chains * Vector256<T>.Count;
        var tiles = (count + width - 1) / width;

        // −G with the diagonal's inverse beside it: the kernel only adds products.
        var negative = new T[(k * k) + k];
        for (var i = 0; i < k * k; i++)
        {
            negative[i] = -gram[i];
        }

        for (var j = 0; j < k; j++)
        {
            var d = gram[(j * k) + j];
            negative[(k * k) + j] = d > T.Zero ? T.One / d : T.Zero;
        }

        // A thread is worth waking for a few hundred microseconds of work.
        var work = (double)tiles * width * k * k * sweeps;
        var threads = work < 2e6 ? 1 : (int)Math.Min(tiles, torch.get_num_threads());
        if (threads <= 1)
        {
            Range(x, right, negative, k, count, 0, tiles, sweeps, tolerance);
            return;
        }

        Parallel.For(0, threads, new ParallelOptions { MaxDegreeOfParallelism = threads }, part =>
            Range(x, right, negative, k, count, tiles * part / threads, tiles * (part + 1) / threads, sweeps, tolerance));
    }

    private static void Range<T>(T* x, T* right, T[] negative, int k, long count, long from, long to, int sweeps, double tolerance)
        where T : unmanaged, System.Numerics.INumber<T>
    {
        var width = Chains * Vector256<T>.Count;
        var buffer = new T[2 * k * width];
        fixed (T* tile = buffer)
        fixed (T* g = negative)
        {
            var h = tile + (k * width);
            for (var t = from; t < to; t++)
            {
                var start = t * width;
                var valid = (int)Math.Min(width, count - start);
                for (var j = 0; j < k; j++)
                {
                    new ReadOnlySpan<T>(x + (j * count) + start, valid).CopyTo(new Span<T>(tile + (j * width), valid));
                    new ReadOnlySpan<T>(right + (j * count) + start, valid).CopyTo(new Span<T>(h + (j * width), valid));
                }

                if (valid < width)
                {
                    for (var j = 0; j < k; j++)
                    {
                        new Span<T>(tile + (j * width) + valid, width - valid).Clear();
                        new Span<T>(h + (j * width) + valid, width - valid).Clear();
                    }
                }

                double first = 0;
                for (var s = 0; s < sweeps; s++)
                {
                    var moved = Once(tile, h, g, k);
                    first = s == 0 ? moved : first;
                    if (tolerance > 0 && moved <= tolerance * tolerance * first)
                    {
                        break;
                    }
                }

                for (var j = 0; j < k; j++)
                {
                    new ReadOnlySpan<T>(tile + (j * width), valid).CopyTo(new Span<T>(x + (j * count) + start, valid));
                }
            }
        }
    }

    /// <summary>One sweep over a tile; the sum of the squared changes.</summary>
    private static double Once<T>(T* x, T* h, T* g, int k)
        where T : unmanaged, System.Numerics.INumber<T>
    {
        var w = Vector256<T>.Count;
        var width = Chains * w;
        var moved = Vector256<T>.Zero;
        for (var j = 0; j < k; j++)
        {
            var inverse = g[(k * k) + j];
            if (inverse == T.Zero)
            {
                continue;
            }

            // Eight independent chains hide the latency of the multiply-add.
            var row = g + (j * k);
            var hj = h + (j * width);
            var a0 = Vector256.Load(hj);
            var a1 = Vector256.Load(hj + w);
            var a2 = Vector256.Load(hj + (2 * w));
            var a3 = Vector256.Load(hj + (3 * w));
            var a4 = Vector256.Load(hj + (4 * w));
            var a5 = Vector256.Load(hj + (5 * w));
            var a6 = Vector256.Load(hj + (6 * w));
            var a7 = Vector256.Load(hj + (7 * w));
            var xr = x;
            for (var r = 0; r < k; r++, xr += width)
            {
                var c = Vector256.Create(row[r]);
                a0 = Fma(c, Vector256.Load(xr), a0);
                a1 = Fma(c, Vector256.Load(xr + w), a1);
                a2 = Fma(c, Vector256.Load(xr + (2 * w)), a2);
                a3 = Fma(c, Vector256.Load(xr + (3 * w)), a3);
                a4 = Fma(c, Vector256.Load(xr + (4 * w)), a4);
                a5 = Fma(c, Vector256.Load(xr + (5 * w)), a5);
                a6 = Fma(c, Vector256.Load(xr + (6 * w)), a6);
                a7 = Fma(c, Vector256.Load(xr + (7 * w)), a7);
            }

            var step = Vector256.Create(inverse);
            var xj = x + (j * width);
            moved = Store(xj, a0, step, moved);
            moved = Store(xj + w, a1, step, moved);
            moved = Store(xj + (2 * w), a2, step, moved);
            moved = Store(xj + (3 * w), a3, step, moved);
            moved = Store(xj + (4 * w), a4, step, moved);
            moved = Store(xj + (5 * w), a5, step, moved);
            moved = Store(xj + (6 * w), a6, step, moved);
            moved = Store(xj + (7 * w), a7, step, moved);
        }

        return double.CreateTruncating(Vector256.Sum(moved));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<T> Store<T>(T* x, Vector256<T> gradient, Vector256<T> step, Vector256<T> moved)
        where T : unmanaged
    {
        var old = Vector256.Load(x);
        var next = Vector256.Max(Vector256<T>.Zero, Fma(gradient, step, old));
        next.Store(x);
        var change = next - old;
        return Fma(change, change, moved);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<T> Fma<T>(Vector256<T> a, Vector256<T> b, Vector256<T> c)
        where T : unmanaged =>
        typeof(T) == typeof(float)
            ? Vector256.FusedMultiplyAdd(a.AsSingle(), b.AsSingle(), c.AsSingle()).As<float, T>()
            : Vector256.FusedMultiplyAdd(a.AsDouble(), b.AsDouble(), c.AsDouble()).As<double, T>();
}
