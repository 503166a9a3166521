using System.Numerics;
using System.Runtime.InteropServices;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>
/// Sparse codes of rows for a fixed dictionary. The products run as tensors in float64; what remains for a row is a problem of
/// size k on the Gram matrix, solved row by row on as many threads as tensors use. Results do not depend on their number.
/// </summary>
public static class SparseCoding
{
    private const int PartRows = 2048;

    /// <summary>
    /// z = argmin ½||x − zD||² + α||z||₁ for each row x, by coordinate descent over the active set with full sweeps in between
    /// (Friedman, Hastie and Tibshirani 2010). Where that is slow, as for nearly dependent atoms, the active set is solved exactly
    /// as long as no sign changes (feature-sign search; Lee, Battle, Raina and Ng 2006).
    /// </summary>
    /// <param name="rows">n×p, float32 or float64.</param>
    /// <param name="dictionary">D, k×p, same device. A row of zeros has code 0.</param>
    /// <param name="alpha">At least 0.</param>
    /// <param name="positive">Only codes of at least 0.</param>
    /// <param name="tolerance">Stops when no code times its atom's length moves by more than this share of ||x||.</param>
    /// <param name="start">Codes to start from, n×k; null for zeros. Not changed.</param>
    /// <param name="cancellation">Honoured between parts.</param>
    /// <returns>n×k in the type of the rows, on the CPU's side computed and returned to their device; belongs to the caller's dispose scope.</returns>
    public static Tensor Lasso(
        Tensor rows,
        Tensor dictionary,
        double alpha,
        bool positive = false,
        double tolerance = 1e-9,
        Tensor? start = null,
        CancellationToken cancellation = default) =>
        Solve(rows, dictionary, start, cancellation, (gram, k) => new LassoRow(gram, k, alpha, positive, tolerance));

    /// <summary>Orthogonal matching pursuit (Pati, Rezaiifar and Krishnaprasad 1993): the atom that correlates most with the residual, then least squares on all atoms taken.</summary>
    /// <param name="rows">n×p, float32 or float64.</param>
    /// <param name="dictionary">D, k×p, unit rows, same device.</param>
    /// <param name="atoms">Atoms taken for each row; fewer where the residual vanishes before.</param>
    /// <param name="cancellation">Honoured between parts.</param>
    /// <returns>n×k in the type of the rows; belongs to the caller's dispose scope.</returns>
    public static Tensor MatchingPursuit(Tensor rows, Tensor dictionary, int atoms, CancellationToken cancellation = default) =>
        Solve(rows, dictionary, null, cancellation, (gram, k) => new PursuitRow(gram, k, Math.Min(atoms, k)));

    /// <summary>Soft threshold of the correlations, sign(xDᵀ) max(0, |xDᵀ| − α): the lasso for an orthonormal dictionary, and one step towards it for any other.</summary>
    /// <param name="rows">n×p.</param>
    /// <param name="dictionary">D, k×p, same type and device.</param>
    /// <param name="alpha">At least 0.</param>
    /// <returns>n×k; belongs to the caller's dispose scope.</returns>
    public static Tensor Threshold(Tensor rows, Tensor dictionary, double alpha)
    {
        using var scope = torch.NewDisposeScope();
        var product = rows.mm(dictionary.t());
        return (product.sign() * (product.abs() - Scalars.Of(alpha)).clamp_min(Scalars.Of(0))).MoveToOuterDisposeScope();
    }

    private static Tensor Solve(Tensor rows, Tensor dictionary, Tensor? start, CancellationToken cancellation, Func<double[], int, RowSolver> solver)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var (n, k) = (rows.shape[0], (int)dictionary.shape[0]);
        var d = dictionary.to(ScalarType.Float64);
        var gram = d.mm(d.t()).cpu().contiguous().data<double>().ToArray();
        var codes = torch.empty([n, k], rows.dtype, rows.device);
        var threads = new ParallelOptions { MaxDegreeOfParallelism = Math.Max(1, torch.get_num_threads()) };
        foreach (var (first, count) in RowParts.Of(n, PartRows))
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = torch.NewDisposeScope();
            var x = rows.narrow(0, first, count).to(ScalarType.Float64);
            var right = x.mm(d.t()).cpu().contiguous().data<double>().ToArray();
            var norms = x.norm(1).cpu().data<double>().ToArray();
            var result = start is null ? new double[count * k] : start.narrow(0, first, count).to(ScalarType.Float64).cpu().contiguous().data<double>().ToArray();
            Parallel.For(
                0,
                (int)count,
                threads,
                () => solver(gram, k),
                (i, _, worker) =>
                {
                    worker.Solve(right.AsSpan(i * k, k), norms[i], result.AsSpan(i * k, k));
                    return worker;
                },
                _ => { });
            codes.narrow(0, first, count).copy_(torch.tensor(result, [count, k]));
        }

        return codes.MoveToOuterDisposeScope();
    }

    /// <summary>target −= factor × source.</summary>
    internal static void Subtract(Span<double> target, double factor, ReadOnlySpan<double> source)
    {
        var t = MemoryMarshal.Cast<double, Vector<double>>(target);
        var s = MemoryMarshal.Cast<double, Vector<double>>(source);
        var f = new Vector<double>(factor);
        for (var i = 0; i < t.Length; i++)
        {
            t[i] -= f * s[i];
        }

        for (var i = t.Length * Vector<double>.Count; i < target.Length; i++)
        {
            target[i] -= factor * source[i];
        }
    }

    private abstract class RowSolver(double[] gram, int k)
    {
        protected int K { get; } = k;

        public abstract void Solve(ReadOnlySpan<double> right, double norm, Span<double> codes);

        protected ReadOnlySpan<double> Gram(int atom) => gram.AsSpan(atom * K, K);

        protected double Diagonal(int atom) => gram[(atom * K) + atom];
    }

    private sealed class LassoRow(double[] gram, int k, double alpha, bool positive, double tolerance) : RowSolver(gram, k)
    {
        private const int MostRounds = 500;
        private const int SweepsBeforeSolving = 20;
        private const int MostSweeps = 2000;
        private readonly double[] _target = new double[k];
        private double[] _factor = [];

        // What is left of the correlations: x Dᵀ − z G.
        private readonly double[] _left = new double[k];
        private readonly int[] _active = new int[k];

        public override void Solve(ReadOnlySpan<double> right, double norm, Span<double> codes)
        {
            right.CopyTo(_left);
            for (var j = 0; j < K; j++)
            {
                if (codes[j] != 0)
                {
                    Subtract(_left, codes[j], Gram(j));
                }
            }

            var limit = tolerance * norm;
            for (var round = 0; round < MostRounds; round++)
            {
                double most = 0;
                var count = 0;
                for (var j = 0; j < K; j++)
                {
                    most = Math.Max(most, Move(j, codes));
                    if (codes[j] != 0)
                    {
                        _active[count++] = j;
                    }
                }

                if (most <= limit)
                {
                    return;
                }

                var sweeps = SweepsBeforeSolving;
                for (var sweep = 0; sweep < sweeps && most > limit; sweep++)
                {
                    most = 0;
                    for (var a = 0; a < count; a++)
                    {
                        most = Math.Max(most, Move(_active[a], codes));
                    }

                    if (sweep == SweepsBeforeSolving - 1 && most > limit && !SolveActive(right, codes, count))
                    {
                        // Dependent atoms: the optimum is not unique there, and descent finds one.
                        sweeps = MostSweeps;
                    }
                }
            }
        }

        /// <summary>The optimum for the signs of the active set, or the way to it up to where a code reaches 0, and so on.</summary>
        /// <returns>False where the atoms depend on each other.</returns>
        private bool SolveActive(ReadOnlySpan<double> right, Span<double> codes, int count)
        {
            while (true)
            {
                var kept = 0;
                for (var a = 0; a < count; a++)
                {
                    if (codes[_active[a]] != 0)
                    {
                        _active[kept++] = _active[a];
                    }
                }

                count = kept;
                if (count == 0)
                {
                    right.CopyTo(_left);
                    return true;
                }

                if (!Target(right, codes, count))
                {
                    return false;
                }

                double step = 1;
                var stopped = -1;
                for (var a = 0; a < count; a++)
                {
                    var now = codes[_active[a]];
                    if (now * _target[a] <= 0)
                    {
                        var share = now / (now - _target[a]);
                        if (share < step)
                        {
                            (step, stopped) = (share, a);
                        }
                    }
                }

                for (var a = 0; a < count; a++)
                {
                    ref var code = ref codes[_active[a]];
                    code = a == stopped ? 0 : step == 1 ? _target[a] : code + (step * (_target[a] - code));
                }

                if (stopped < 0)
                {
                    right.CopyTo(_left);
                    for (var a = 0; a < count; a++)
                    {
                        Subtract(_left, codes[_active[a]], Gram(_active[a]));
                    }

                    return true;
                }
            }
        }

        /// <summary>Solves G z = b − α sign for the active set by its Cholesky factor.</summary>
        private bool Target(ReadOnlySpan<double> right, ReadOnlySpan<double> codes, int count)
        {
            if (_factor.Length < count * count)
            {
                _factor = new double[count * count];
            }

            for (var a = 0; a < count; a++)
            {
                var row = Gram(_active[a]);
                var own = _factor.AsSpan(a * count, count);
                var value = right[_active[a]] - (alpha * Math.Sign(codes[_active[a]]));
                for (var b = 0; b <= a; b++)
                {
                    var other = _factor.AsSpan(b * count, count);
                    var sum = row[_active[b]] - Analysis.Numerics.Vectors.Dot(own[..b], other[..b]);
                    if (b < a)
                    {
                        own[b] = sum / other[b];
                        value -= own[b] * _target[b];
                    }
                    else if (sum > 1e-12 * row[_active[a]])
                    {
                        own[a] = Math.Sqrt(sum);
                    }
                    else
                    {
                        return false;
                    }
                }

                _target[a] = value / own[a];
            }

            for (var a = count - 1; a >= 0; a--)
            {
                var value = _target[a];
                for (var b = a + 1; b < count; b++)
                {
                    value -= _factor[(b * count) + a] * _target[b];
                }

                _target[a] = value / _factor[(a * count) + a];
            }

            return true;
        }

        private double Move(int j, Span<double> codes)
        {
            var g = Diagonal(j);
            var old = codes[j];
            if (g <= 0 || (old == 0 && (positive ? _left[j] : Math.Abs(_left[j])) <= alpha))
            {
                return 0;
            }

            var full = _left[j] + (g * old);
            var next = full > alpha ? (full - alpha) / g : full < -alpha && !positive ? (full + alpha) / g : 0;
            var change = next - old;
            if (change == 0)
            {
                return 0;
            }

            codes[j] = next;
            Subtract(_left, change, Gram(j));
            return Math.Abs(change) * Math.Sqrt(g);
        }
    }

    private sealed class PursuitRow(double[] gram, int k, int atoms) : RowSolver(gram, k)
    {
        private readonly double[] _left = new double[k];
        private readonly int[] _taken = new int[atoms];
        private readonly bool[] _used = new bool[k];

        // Lower triangle of the Cholesky factor of the taken atoms' Gram matrix, and the solution.
        private readonly double[,] _factor = new double[atoms, atoms];
        private readonly double[] _solution = new double[atoms];

        public override void Solve(ReadOnlySpan<double> right, double norm, Span<double> codes)
        {
            right.CopyTo(_left);
            Array.Clear(_used);
            codes.Clear();
            var count = 0;
            while (count < _taken.Length)
            {
                var best = -1;
                var most = 1e-12 * norm;
                for (var j = 0; j < K; j++)
                {
                    if (!_used[j] && Math.Abs(_left[j]) > most)
                    {
                        (best, most) = (j, Math.Abs(_left[j]));
                    }
                }

                if (best < 0 || !Extend(best, count))
                {
                    break;
                }

                _taken[count++] = best;
                _used[best] = true;
                LeastSquares(right, count);
                right.CopyTo(_left);
                for (var a = 0; a < count; a++)
                {
                    Subtract(_left, _solution[a], Gram(_taken[a]));
                }
            }

            for (var a = 0; a < count; a++)
            {
                codes[_taken[a]] = _solution[a];
            }
        }

        /// <summary>One more row of the factor; false where the atom depends on those taken.</summary>
        private bool Extend(int atom, int count)
        {
            var row = Gram(atom);
            var rest = row[atom];
            for (var a = 0; a < count; a++)
            {
                var value = row[_taken[a]];
                for (var b = 0; b < a; b++)
                {
                    value -= _factor[count, b] * _factor[a, b];
                }

                _factor[count, a] = value / _factor[a, a];
                rest -= _factor[count, a] * _factor[count, a];
            }

            _factor[count, count] = rest > 1e-14 * row[atom] ? Math.Sqrt(rest) : 0;
            return _factor[count, count] > 0;
        }

        private void LeastSquares(ReadOnlySpan<double> right, int count)
        {
            for (var a = 0; a < count; a++)
            {
                var value = right[_taken[a]];
                for (var b = 0; b < a; b++)
                {
                    value -= _factor[a, b] * _solution[b];
                }

                _solution[a] = value / _factor[a, a];
            }

            for (var a = count - 1; a >= 0; a--)
            {
                var value = _solution[a];
                for (var b = a + 1; b < count; b++)
                {
                    value -= _factor[b, a] * _solution[b];
                }

                _solution[a] = value / _factor[a, a];
            }
        }
    }
}
