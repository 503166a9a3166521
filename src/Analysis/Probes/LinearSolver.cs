using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Probes;

/// <summary>What a linear model is fitted by.</summary>
public enum LinearLoss
{
    /// <summary>log(1 + e^f) − y f with y in {0, 1}.</summary>
    Logistic,

    /// <summary>½ (f − y)².</summary>
    Squared,
}

/// <summary>A linear model.</summary>
/// <param name="Weights">w, C.</param>
/// <param name="Bias">b.</param>
/// <param name="Objective">Value of what was minimised.</param>
/// <param name="Violation">Largest violation of the optimality conditions.</param>
/// <param name="Iterations">Newton steps.</param>
public sealed record LinearSolution(double[] Weights, double Bias, double Objective, double Violation, int Iterations);

/// <summary>
/// Solves convex linear models exactly (METHODS 3.1): minimises Σ sᵢ ℓ(w·xᵢ + b, yᵢ) / Σ sᵢ + l2/2 ‖w‖² + l1 ‖w‖₁, the intercept
/// not penalised. Newton's method; with l1 a proximal one, whose quadratic models are solved by coordinate descent over the columns
/// that are not held at zero, so that zeros are exact. With fewer rows than columns and no l1 the same problem is solved in the
/// space of the rows. Float64; for one thread.
/// </summary>
public sealed class LinearSolver : IDisposable
{
    private const int MostSteps = 200;
    private const int MostSweeps = 2000;
    private const double Tolerance = 1e-10;

    private readonly Tensor _x;
    private readonly Tensor _xt;
    private readonly Tensor? _basis;
    private readonly int _rows;
    private readonly int _columns;

    /// <summary>Takes the rows.</summary>
    /// <param name="x">n×C float64, standardised; copied to where it stays contiguous.</param>
    public LinearSolver(Tensor x)
        : this(x, reduce: true)
    {
    }

    private LinearSolver(Tensor x, bool reduce)
    {
        using var guard = no_grad();
        (_rows, _columns) = (checked((int)x.shape[0]), checked((int)x.shape[1]));
        _x = x.contiguous().clone().DetachFromDisposeScope();
        using var transposed = x.t();
        _xt = transposed.contiguous().clone().DetachFromDisposeScope();
        if (reduce && _rows < _columns)
        {
            // X = Rᵀ Qᵀ: the minimiser lies in the span of the rows, w = Q v, and ‖w‖ = ‖v‖.
            var (q, r) = linalg.qr(_xt);
            using var small = r.t();
            _basis = q.DetachFromDisposeScope();
            _reduced = new LinearSolver(small, reduce: false);
            r.Dispose();
        }
    }

    private readonly LinearSolver? _reduced;

    /// <summary>Solves it.</summary>
    /// <param name="y">Targets, n.</param>
    /// <param name="weights">Weights s of the rows, n, at least 0; null for ones.</param>
    /// <param name="loss">Loss.</param>
    /// <param name="l2">Strength of the squared norm, at least 0.</param>
    /// <param name="l1">Strength of the absolute norm, at least 0; not both 0.</param>
    /// <param name="start">Where to begin, for paths of strengths; null for zeros.</param>
    public LinearSolution Solve(double[] y, double[]? weights, LinearLoss loss, double l2, double l1 = 0, LinearSolution? start = null)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(y.Length, _rows);
        ArgumentOutOfRangeException.ThrowIfNegative(l2);
        ArgumentOutOfRangeException.ThrowIfNegative(l1);
        ArgumentOutOfRangeException.ThrowIfZero(l1 + l2);
        if (l1 == 0 && _reduced is not null)
        {
            using var scope = NewDisposeScope();
            using var guard = no_grad();
            var inner = _reduced.Solve(y, weights, loss, l2);
            return inner with { Weights = Column(_basis!.mm(Column(inner.Weights))) };
        }

        var total = weights is null ? _rows : RobustSum(weights);
        var s = weights is null ? Enumerable.Repeat(1.0 / total, _rows).ToArray() : Array.ConvertAll(weights, v => v / total);
        var w = start is null ? new double[_columns] : (double[])start.Weights.Clone();
        var b = start?.Bias ?? 0;
        var f = Predict(w, b);
        var objective = Objective(f, w, y, s, loss, l2, l1);
        var (violation, largest) = (double.PositiveInfinity, 0.0);
        var step = 0;
        for (; step < MostSteps; step++)
        {
            var (residual, curvature) = Derivatives(f, y, s, loss);
            var gradient = Times(_xt, residual);
            Vectors.AddScaled(gradient, w, l2);
            var slope = RobustSum(residual);
            violation = Violation(gradient, slope, w, l1);
            largest = Math.Max(largest, Math.Max(Math.Abs(slope), gradient.Length == 0 ? 0 : gradient.Max(Math.Abs)));
            if (violation <= Tolerance * largest || violation < 1e-15)
            {
                break;
            }

            var active = l1 == 0
                ? Enumerable.Range(0, _columns).ToArray()
                : [.. Enumerable.Range(0, _columns).Where(j => w[j] != 0 || Math.Abs(gradient[j]) > l1)];
            var hessian = Hessian(active, curvature, l2);
            var move = l1 == 0 ? Newton(hessian, gradient, slope) : Proximal(hessian, active, gradient, slope, w, l1);
            var full = new double[_columns];
            double decrease = slope * move[^1];
            for (var a = 0; a < active.Length; a++)
            {
                full[active[a]] = move[a];
                decrease += (gradient[active[a]] * move[a]) + (l1 * (Math.Abs(w[active[a]] + move[a]) - Math.Abs(w[active[a]])));
            }

            var change = Predict(full, move[^1]);
            var moved = false;
            for (var t = 1.0; t > 1e-10; t /= 2)
            {
                var next = Combine(f, change, t);
                var weightsNext = Combine(w, full, t);
                var value = Objective(next, weightsNext, y, s, loss, l2, l1);
                // Near the minimum the decrease drowns in rounding.
                if (value <= objective + (1e-4 * t * decrease) + (4e-16 * Math.Abs(objective)))
                {
                    (f, w, b, objective, moved) = (next, weightsNext, b + (t * move[^1]), value, true);
                    break;
                }
            }

            if (!moved)
            {
                break;
            }
        }

        return new LinearSolution(w, b, objective, violation, step);
    }

    /// <summary>The smallest l1 at which all weights are zero.</summary>
    /// <param name="y">Targets, n.</param>
    /// <param name="weights">Weights of the rows; null for ones.</param>
    public double LargestL1(double[] y, double[]? weights)
    {
        var total = weights is null ? _rows : RobustSum(weights);
        double sum = 0;
        for (var i = 0; i < _rows; i++)
        {
            sum += (weights?[i] ?? 1) * y[i];
        }

        // With zero weights the intercept alone answers the mean, whatever the loss.
        var mean = sum / total;
        var residual = new double[_rows];
        for (var i = 0; i < _rows; i++)
        {
            residual[i] = (weights?[i] ?? 1) / total * (mean - y[i]);
        }

        return Times(_xt, residual).Max(Math.Abs);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _x.Dispose();
        _xt.Dispose();
        _basis?.Dispose();
        _reduced?.Dispose();
    }

    private static (double[] Residual, double[] Curvature) Derivatives(double[] f, double[] y, double[] s, LinearLoss loss)
    {
        var (residual, curvature) = (new double[f.Length], new double[f.Length]);
        for (var i = 0; i < f.Length; i++)
        {
            if (loss == LinearLoss.Squared)
            {
                (residual[i], curvature[i]) = (s[i] * (f[i] - y[i]), s[i]);
                continue;
            }

            var p = Logistic(f[i]);
            (residual[i], curvature[i]) = (s[i] * (p - y[i]), s[i] * p * (1 - p));
        }

        return (residual, curvature);
    }

    /// <summary>1 / (1 + e^−f) without overflow.</summary>
    public static double Logistic(double f) => f >= 0 ? 1 / (1 + Math.Exp(-f)) : Math.Exp(f) / (1 + Math.Exp(f));

    /// <summary>Loss of one answer.</summary>
    /// <param name="loss">Which.</param>
    /// <param name="f">Answer w·x + b.</param>
    /// <param name="y">Target.</param>
    public static double Loss(LinearLoss loss, double f, double y) => loss == LinearLoss.Squared
        ? 0.5 * (f - y) * (f - y)
        : Math.Max(f, 0) + Math.Log(1 + Math.Exp(-Math.Abs(f))) - (y * f);

    private static double Objective(double[] f, double[] w, double[] y, double[] s, LinearLoss loss, double l2, double l1)
    {
        double sum = 0;
        for (var i = 0; i < f.Length; i++)
        {
            sum += s[i] * Loss(loss, f[i], y[i]);
        }

        return sum + (0.5 * l2 * Vectors.Dot(w, w)) + (l1 == 0 ? 0 : l1 * w.Sum(Math.Abs));
    }

    private static double Violation(double[] gradient, double slope, double[] w, double l1)
    {
        var worst = Math.Abs(slope);
        for (var j = 0; j < w.Length; j++)
        {
            worst = Math.Max(worst, l1 == 0 ? Math.Abs(gradient[j]) : w[j] == 0 ? Math.Abs(gradient[j]) - l1 : Math.Abs(gradient[j] + (l1 * Math.Sign(w[j]))));
        }

        return worst;
    }

    /// <summary>Second derivatives in the active weights and, last, the intercept.</summary>
    private Tensor Hessian(int[] active, double[] curvature, double l2)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var part = _xt;
        if (active.Length < _columns)
        {
            part = _xt.index_select(0, tensor(Array.ConvertAll(active, j => (long)j)));
        }

        var d = tensor(curvature, [1, _rows], ScalarType.Float64);
        var rows = cat([part, ones([1, _rows], ScalarType.Float64)], 0);
        var hessian = (rows * d).mm(rows.t());
        var ridge = new double[active.Length + 1];
        Array.Fill(ridge, l2, 0, active.Length);
        return hessian.add(diag(tensor(ridge, ScalarType.Float64)), Scalars.One).MoveToOuterDisposeScope();
    }

    private static double[] Newton(Tensor hessian, double[] gradient, double slope)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        using var owned = hessian;
        var right = Column([.. gradient, slope]).negative();
        var size = hessian.shape[0];
        // Certain answers leave no curvature; a trace of it keeps the factor finite.
        var scale = Math.Max(1e-300, hessian.diagonal().max().item<double>());
        for (var damping = 1e-15 * scale; ; damping *= 100)
        {
            var (factor, info) = linalg.cholesky_ex(hessian.add(eye(size, size, ScalarType.Float64), Scalars.Of(damping)));
            if (info.item<int>() == 0)
            {
                return Column(right.cholesky_solve(factor));
            }
        }
    }

    /// <summary>Minimises the quadratic model with the absolute norm by coordinate descent.</summary>
    private static double[] Proximal(Tensor hessian, int[] active, double[] gradient, double slope, double[] w, double l1)
    {
        using var owned = hessian;
        var h = DenseMatrix.FromTensor(hessian);
        var size = active.Length + 1;
        var move = new double[size];
        // Slope of the model at the present move: g + H·move.
        var slopes = new double[size];
        for (var a = 0; a < active.Length; a++)
        {
            slopes[a] = gradient[active[a]];
        }

        slopes[^1] = slope;
        var largest = Math.Max(1e-300, slopes.Max(Math.Abs));
        for (var sweep = 0; sweep < MostSweeps; sweep++)
        {
            double worst = 0;
            for (var a = 0; a < size; a++)
            {
                var curvature = h[a, a];
                if (curvature <= 0)
                {
                    continue;
                }

                var goal = move[a] - (slopes[a] / curvature);
                if (a < active.Length)
                {
                    var at = w[active[a]];
                    var free = at + goal;
                    goal = (Math.Sign(free) * Math.Max(0, Math.Abs(free) - (l1 / curvature))) - at;
                }

                var change = goal - move[a];
                if (change != 0)
                {
                    worst = Math.Max(worst, Math.Abs(change) * curvature);
                    move[a] = goal;
                    Vectors.AddScaled(slopes, h.Row(a), change);
                }
            }

            if (worst <= 1e-13 * largest)
            {
                break;
            }
        }

        return move;
    }

    private double[] Predict(double[] w, double b)
    {
        var result = Times(_x, w);
        for (var i = 0; i < result.Length; i++)
        {
            result[i] += b;
        }

        return result;
    }

    private static double[] Times(Tensor matrix, double[] vector)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        return Column(matrix.mm(Column(vector)));
    }

    private static Tensor Column(double[] values) => NativeData.Matrix(values, values.Length, 1);

    private static double[] Column(Tensor values)
    {
        using var host = values.contiguous();
        return host.data<double>().ToArray();
    }

    private static double[] Combine(double[] a, double[] b, double t)
    {
        var result = (double[])a.Clone();
        for (var i = 0; i < result.Length; i++)
        {
            // A weight that coordinate descent brings to zero has to be zero, not what is left of w − w.
            result[i] = t == 1 && a[i] == -b[i] ? 0 : a[i] + (t * b[i]);
        }

        return result;
    }

    private static double RobustSum(double[] values)
    {
        double sum = 0;
        foreach (var value in values)
        {
            sum += value;
        }

        return sum;
    }
}
