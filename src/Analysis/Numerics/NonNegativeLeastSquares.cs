using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Numerics;

/// <summary>
/// Rows as non-negative combinations of fixed vectors, exactly: coordinate descent finds the coefficients that are positive, one
/// least-squares solution on these gives their values, and the active-set method of Lawson and Hanson (1974) takes the rows whose
/// solution is not confirmed by the optimality conditions.
/// </summary>
public static class NonNegativeLeastSquares
{
    /// <summary>Numbers of one part of the coefficients, in float64.</summary>
    private const int PartNumbers = 1 << 20;

    /// <summary>Beyond so many vectors a sweep over all of them costs more than the active set's few.</summary>
    private const int MostForSweeps = 160;
    private const int Sweeps = 200;

    /// <summary>u = argmin over u ≥ 0 of ||a − uV||² + ridge ||u||² for each row a. Computed in float64.</summary>
    /// <param name="rows">A, m×p, float32 or float64, any device.</param>
    /// <param name="vectors">V, k×p.</param>
    /// <param name="ridge">At least 0.</param>
    /// <returns>U, m×k, of the rows' type and device; belongs to the caller's dispose scope.</returns>
    public static Tensor Encode(Tensor rows, Tensor vectors, double ridge = 0)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var device = rows.device;
        var v = vectors.to(ScalarType.Float64).to(device);
        var (m, k) = (rows.shape[0], (int)v.shape[0]);
        var gram = DenseMatrix.FromTensor(v.mm(v.t()));
        for (var i = 0; i < k; i++)
        {
            gram[i, i] += ridge;
        }

        var codes = torch.empty([m, k], rows.dtype, device);
        var part = Math.Max(1, PartNumbers / Math.Max(k, (int)v.shape[1]));
        for (long start = 0; start < m; start += part)
        {
            using var inner = torch.NewDisposeScope();
            var count = Math.Min(part, m - start);
            var right = v.mm(rows.narrow(0, start, count).detach().to(ScalarType.Float64).t());
            codes.narrow(0, start, count).copy_(Solve(gram, DenseMatrix.FromTensor(right), transposed: true).ToTensor(device));
        }

        return codes.MoveToOuterDisposeScope();
    }

    /// <summary>Minimises ½ uGuᵀ − u·h over u ≥ 0 for each row h.</summary>
    /// <param name="gram">G, k×k, symmetric positive semidefinite.</param>
    /// <param name="right">n×k.</param>
    /// <returns>n×k.</returns>
    public static DenseMatrix Solve(DenseMatrix gram, DenseMatrix right) => Solve(gram, Transposed(right), transposed: true);

    /// <summary>
    /// Derivative of the codes with respect to the row they encode: (V_S V_Sᵀ)⁻¹ V_S on the vectors S of positive coefficient, zero
    /// elsewhere (implicit function theorem). It jumps where S changes.
    /// </summary>
    /// <param name="codes">U, m×k, from <see cref="Encode"/>.</param>
    /// <param name="vectors">V, k×p.</param>
    /// <param name="ridge">As in <see cref="Encode"/>.</param>
    /// <returns>m×k×p float64 on the codes' device: m k p numbers, so give few rows at a time. Belongs to the caller's dispose scope.</returns>
    public static Tensor Jacobian(Tensor codes, Tensor vectors, double ridge = 0)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var v = vectors.to(ScalarType.Float64).to(codes.device);
        var (inverse, active) = ActiveInverse(codes, v, ridge);
        return inverse.mul(active.unsqueeze(1)).reshape(-1, v.shape[0]).mm(v).reshape(codes.shape[0], v.shape[0], v.shape[1]).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Derivative of Σⱼ weightⱼ uⱼ with respect to the row, without the whole Jacobian: what a backward pass hands from codes to
    /// activations. Weights that pick one concept give its exact attribution.
    /// </summary>
    /// <param name="codes">U, m×k, from <see cref="Encode"/>.</param>
    /// <param name="vectors">V, k×p.</param>
    /// <param name="weights">Gradient of the quantity of interest with respect to the codes, m×k.</param>
    /// <param name="ridge">As in <see cref="Encode"/>.</param>
    /// <returns>m×p float64 on the codes' device; belongs to the caller's dispose scope.</returns>
    public static Tensor VectorJacobian(Tensor codes, Tensor vectors, Tensor weights, double ridge = 0)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var v = vectors.to(ScalarType.Float64).to(codes.device);
        var (inverse, active) = ActiveInverse(codes, v, ridge);
        var w = weights.to(ScalarType.Float64).to(codes.device) * active;
        return (w.unsqueeze(1).bmm(inverse).squeeze(1) * active).mm(v).MoveToOuterDisposeScope();
    }

    /// <summary>Inverse of the Gram matrix of each row's active vectors (m×k×k, identity elsewhere, rows of inactive ones zero) and the mask m×k.</summary>
    private static (Tensor Inverse, Tensor Active) ActiveInverse(Tensor codes, Tensor v, double ridge)
    {
        var k = v.shape[0];
        var active = (codes.detach() > Scalars.Of(0)).to(ScalarType.Float64);
        var identity = torch.eye(k, k, ScalarType.Float64, codes.device);
        var gram = v.mm(v.t()).add(identity * Scalars.Of(ridge), Scalars.One);
        var mask = active.unsqueeze(2) * active.unsqueeze(1);
        var restricted = (gram * mask).add(torch.diag_embed(Scalars.Of(1) - active), Scalars.One);
        return (torch.linalg.solve(restricted, identity.expand(codes.shape[0], k, k)) * active.unsqueeze(2), active);
    }

    private static unsafe DenseMatrix Solve(DenseMatrix gram, DenseMatrix right, bool transposed)
    {
        // Vectors in rows, cases in columns: as coordinate descent wants it.
        var (k, n) = (right.Rows, right.Columns);
        var start = new DenseMatrix(k, n);
        if (k <= MostForSweeps && n > 0)
        {
            fixed (double* x = start.Values)
            fixed (double* h = right.Values)
            fixed (double* g = gram.Values)
            {
                CoordinateDescent.Sweep(x, h, g, k, n, Sweeps, 1e-10);
            }
        }

        var result = new DenseMatrix(n, k);
        var parts = torch.get_num_threads();
        Parallel.For(0, parts, part =>
        {
            var work = new ActiveSet(gram);
            var h = new double[k];
            for (var i = (int)((long)n * part / parts); i < (int)((long)n * (part + 1) / parts); i++)
            {
                var u = result.Row(i);
                for (var j = 0; j < k; j++)
                {
                    h[j] = right[j, i];
                    u[j] = start[j, i];
                }

                if (k > MostForSweeps || !work.TryFinish(h, u))
                {
                    work.Solve(h, u);
                }
            }
        });
        return result;
    }

    private static DenseMatrix Transposed(DenseMatrix a)
    {
        var result = new DenseMatrix(a.Columns, a.Rows);
        for (var i = 0; i < a.Rows; i++)
        {
            for (var j = 0; j < a.Columns; j++)
            {
                result[j, i] = a[i, j];
            }
        }

        return result;
    }

    private sealed class ActiveSet(DenseMatrix gram)
    {
        private readonly int _k = gram.Rows;
        private readonly bool[] _passive = new bool[gram.Rows];
        private readonly bool[] _dependent = new bool[gram.Rows];
        private readonly int[] _columns = new int[gram.Rows];
        private readonly double[] _trial = new double[gram.Rows];
        private readonly double[] _gradient = new double[gram.Rows];
        private readonly double[] _factor = new double[gram.Rows * gram.Rows];
        private readonly double[] _solution = new double[gram.Rows];

        /// <summary>Solves exactly on the support of an approximate solution; false where that is not the optimum.</summary>
        public bool TryFinish(ReadOnlySpan<double> h, Span<double> u)
        {
            for (var j = 0; j < _k; j++)
            {
                _passive[j] = u[j] > 0;
            }

            if (!TrySolve(h))
            {
                return false;
            }

            var tolerance = Tolerance(h);
            for (var j = 0; j < _k; j++)
            {
                if (_passive[j] && _trial[j] <= 0)
                {
                    return false;
                }
            }

            Gradient(h, _trial);
            for (var j = 0; j < _k; j++)
            {
                if (!_passive[j] && _gradient[j] > tolerance)
                {
                    return false;
                }
            }

            _trial.CopyTo(u);
            return true;
        }

        public void Solve(ReadOnlySpan<double> h, Span<double> u)
        {
            Array.Clear(_passive);
            Array.Clear(_dependent);
            u.Clear();
            var tolerance = Tolerance(h);
            for (var outer = 0; outer < 10 * (_k + 1); outer++)
            {
                var entering = -1;
                var steepest = tolerance;
                Gradient(h, u);
                for (var j = 0; j < _k; j++)
                {
                    if (!_passive[j] && !_dependent[j] && _gradient[j] > steepest)
                    {
                        (entering, steepest) = (j, _gradient[j]);
                    }
                }

                if (entering < 0)
                {
                    return;
                }

                _passive[entering] = true;
                if (!TrySolve(h))
                {
                    // Parallel to what is in already: it cannot lower the error.
                    _passive[entering] = false;
                    _dependent[entering] = true;
                    continue;
                }

                if (_trial[entering] <= 0)
                {
                    // Rounding alone made it look useful.
                    _passive[entering] = false;
                    _dependent[entering] = true;
                    continue;
                }

                Array.Clear(_dependent);
                Retreat(h, u);
            }
        }

        private static double Tolerance(ReadOnlySpan<double> h)
        {
            double scale = 0;
            foreach (var value in h)
            {
                scale = Math.Max(scale, Math.Abs(value));
            }

            return 1e-13 * scale;
        }

        /// <summary>h − uG, over the positive coefficients only.</summary>
        private void Gradient(ReadOnlySpan<double> h, ReadOnlySpan<double> u)
        {
            h.CopyTo(_gradient);
            for (var j = 0; j < _k; j++)
            {
                if (u[j] != 0)
                {
                    Vectors.AddScaled(_gradient, gram.Row(j), -u[j]);
                }
            }
        }

        private void Retreat(ReadOnlySpan<double> h, Span<double> u)
        {
            while (true)
            {
                var step = 1.0;
                for (var j = 0; j < _k; j++)
                {
                    if (_passive[j] && _trial[j] <= 0)
                    {
                        step = Math.Min(step, u[j] / (u[j] - _trial[j]));
                    }
                }

                if (step >= 1)
                {
                    for (var j = 0; j < _k; j++)
                    {
                        u[j] = _passive[j] ? _trial[j] : 0;
                    }

                    return;
                }

                for (var j = 0; j < _k; j++)
                {
                    if (_passive[j])
                    {
                        var blocked = _trial[j] <= 0 && u[j] / (u[j] - _trial[j]) <= step;
                        u[j] += step * (_trial[j] - u[j]);
                        if (blocked || u[j] <= 0)
                        {
                            u[j] = 0;
                            _passive[j] = false;
                        }
                    }
                }

                TrySolve(h);
            }
        }

        private bool TrySolve(ReadOnlySpan<double> h)
        {
            var m = 0;
            for (var j = 0; j < _k; j++)
            {
                _trial[j] = 0;
                if (_passive[j])
                {
                    _columns[m++] = j;
                }
            }

            // Cholesky of the passive part.
            for (var i = 0; i < m; i++)
            {
                for (var j = 0; j <= i; j++)
                {
                    var sum = gram[_columns[i], _columns[j]];
                    for (var p = 0; p < j; p++)
                    {
                        sum -= _factor[(i * _k) + p] * _factor[(j * _k) + p];
                    }

                    if (i == j)
                    {
                        if (sum <= 1e-12 * gram[_columns[i], _columns[i]])
                        {
                            return false;
                        }

                        _factor[(i * _k) + i] = Math.Sqrt(sum);
                    }
                    else
                    {
                        _factor[(i * _k) + j] = sum / _factor[(j * _k) + j];
                    }
                }
            }

            for (var i = 0; i < m; i++)
            {
                var sum = h[_columns[i]];
                for (var p = 0; p < i; p++)
                {
                    sum -= _factor[(i * _k) + p] * _solution[p];
                }

                _solution[i] = sum / _factor[(i * _k) + i];
            }

            for (var i = m - 1; i >= 0; i--)
            {
                var sum = _solution[i];
                for (var p = i + 1; p < m; p++)
                {
                    sum -= _factor[(p * _k) + i] * _solution[p];
                }

                _solution[i] = sum / _factor[(i * _k) + i];
                _trial[_columns[i]] = _solution[i];
            }

            return true;
        }
    }
}
