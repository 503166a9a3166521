using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Importance;

/// <summary>Activations as non-negative combinations of concept vectors.</summary>
/// <param name="Codes">Coefficients u, n×k, at least 0.</param>
/// <param name="Residual">||a − uV|| / ||a|| of each row; NaN for a row of zeros. Length n.</param>
public sealed record EncodingResult(DenseMatrix Codes, double[] Residual);

/// <summary>
/// Non-negative least squares for fixed concept vectors, row by row and exact: the active-set method of Lawson and Hanson
/// (1974) on the normal equations, whose size is the number of concepts.
/// </summary>
public static class NonNegativeEncoding
{
    /// <summary>Ridge that keeps the coefficients of nearly parallel concept vectors determined.</summary>
    public const double DefaultRidge = 1e-3;

    /// <summary>u = argmin over u ≥ 0 of ||a − uV||² + λ||u||² for each row a.</summary>
    /// <param name="activations">n×C, float32 or float64; the products run on its device in float64.</param>
    /// <param name="vectors">k×C concept vectors.</param>
    /// <param name="ridge">λ as a share of the mean diagonal of VVᵀ; 0 for plain least squares.</param>
    public static EncodingResult Encode(Tensor activations, Tensor vectors, double ridge = DefaultRidge)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var v = vectors.to(ScalarType.Float64).to(activations.device);
        var n = (int)activations.shape[0];
        var k = (int)v.shape[0];
        var gram = DenseMatrix.FromTensor(v.mm(v.t()));
        double mean = 0;
        for (var i = 0; i < k; i++)
        {
            mean += gram[i, i] / k;
        }

        for (var i = 0; i < k; i++)
        {
            gram[i, i] += ridge * mean;
        }

        var codes = new DenseMatrix(n, k);
        var residual = new double[n];
        const int Chunk = 4096;
        for (var start = 0; start < n; start += Chunk)
        {
            using var inner = torch.NewDisposeScope();
            var a = activations.narrow(0, start, Math.Min(Chunk, n - start)).to(ScalarType.Float64);
            var right = DenseMatrix.FromTensor(a.mm(v.t()));
            var part = Solve(gram, right);
            part.Values.CopyTo(codes.Values, start * k);
            var norm = a.pow(2).sum(1).sqrt();
            var left = (a - part.ToTensor(a.device).mm(v)).pow(2).sum(1).sqrt();
            (left / norm).cpu().data<double>().CopyTo(residual.AsSpan(start));
        }

        return new EncodingResult(codes, residual);
    }

    /// <summary>Minimises ½ uGuᵀ − u·h over u ≥ 0 for each row h.</summary>
    /// <param name="gram">k×k, symmetric positive semidefinite.</param>
    /// <param name="right">n×k.</param>
    /// <returns>n×k.</returns>
    public static DenseMatrix Solve(DenseMatrix gram, DenseMatrix right)
    {
        var result = new DenseMatrix(right.Rows, right.Columns);
        var work = new ActiveSet(gram);
        for (var i = 0; i < right.Rows; i++)
        {
            work.Solve(right.Row(i), result.Row(i));
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
        private readonly double[] _factor = new double[gram.Rows * gram.Rows];
        private readonly double[] _solution = new double[gram.Rows];

        public void Solve(ReadOnlySpan<double> h, Span<double> u)
        {
            Array.Clear(_passive);
            Array.Clear(_dependent);
            u.Clear();
            double scale = 0;
            foreach (var value in h)
            {
                scale = Math.Max(scale, Math.Abs(value));
            }

            var tolerance = 1e-13 * scale;
            for (var outer = 0; outer < 10 * (_k + 1); outer++)
            {
                var entering = -1;
                var steepest = tolerance;
                for (var j = 0; j < _k; j++)
                {
                    if (!_passive[j] && !_dependent[j])
                    {
                        var gradient = h[j] - Vectors.Dot(gram.Row(j), u);
                        if (gradient > steepest)
                        {
                            (entering, steepest) = (j, gradient);
                        }
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
