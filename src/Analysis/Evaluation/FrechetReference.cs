using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Evaluation;

/// <summary>Mean and covariance (ddof 1) of rows that come in parts, float64; p + p² numbers.</summary>
public sealed class RowMoments : IDisposable
{
    private readonly Tensor _shift;
    private readonly Tensor _sum;
    private readonly Tensor _gram;

    /// <summary>Starts with no rows.</summary>
    /// <param name="shift">
    /// Length p; subtracted from every row before anything is summed. The nearer to the mean, the less is lost to rounding.
    /// Copied.
    /// </param>
    public RowMoments(Tensor shift)
    {
        _shift = shift.to(ScalarType.Float64).clone().DetachFromDisposeScope();
        var p = shift.shape[0];
        _sum = torch.zeros([p], ScalarType.Float64, shift.device).DetachFromDisposeScope();
        _gram = torch.zeros([p, p], ScalarType.Float64, shift.device).DetachFromDisposeScope();
    }

    /// <summary>Rows added.</summary>
    public long Count { get; private set; }

    /// <summary>Adds rows.</summary>
    /// <param name="rows">m×p, on the device of the shift.</param>
    public void Add(Tensor rows)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var x = rows.to(ScalarType.Float64) - _shift;
        _sum.add_(x.sum([0L]), Scalars.One);
        _gram.addmm_(x.t(), x);
        Count += rows.shape[0];
    }

    /// <summary>Mean, length p; belongs to the caller's dispose scope.</summary>
    public Tensor Mean()
    {
        using var scope = torch.NewDisposeScope();
        return (_shift.add(_sum / Scalars.Of(Count), Scalars.One)).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Covariance with ddof 1, p×p; where there are no more rows than columns, 1e-6 of the mean variance is added to its
    /// diagonal, since it is singular otherwise. Belongs to the caller's dispose scope.
    /// </summary>
    public Tensor Covariance()
    {
        using var scope = torch.NewDisposeScope();
        var mean = _sum / Scalars.Of(Count);
        var covariance = (_gram - (Scalars.Of(Count) * mean.outer(mean))) / Scalars.Of(Math.Max(1, Count - 1));
        if (Count <= _sum.shape[0])
        {
            covariance.diagonal().add_(covariance.trace() * Scalars.Of(1e-6 / _sum.shape[0]), Scalars.One);
        }

        return covariance.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _shift.Dispose();
        _sum.Dispose();
        _gram.Dispose();
    }
}

/// <summary>
/// One side of the Fréchet distance between two sets of rows taken as Gaussians (Dowson and Landau 1982; Heusel et al. 2017):
/// ||m₁ − m₂||² + Tr(C₁ + C₂ − 2 (C₁ C₂)^½). Keeps the square root of its covariance, so that many sets can be compared with it.
/// </summary>
public sealed class FrechetReference : IDisposable
{
    private readonly Tensor _mean;
    private readonly Tensor _root;
    private readonly double _trace;

    /// <summary>Takes the moments of the real rows; O(p³).</summary>
    /// <param name="moments">At least two rows.</param>
    public FrechetReference(RowMoments moments)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(moments.Count, 2);
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var covariance = moments.Covariance();
        _trace = covariance.trace().item<double>();
        var (values, vectors) = torch.linalg.eigh(covariance);
        _root = (vectors * values.clamp_min(Scalars.Of(0)).sqrt()).mm(vectors.t()).DetachFromDisposeScope();
        _mean = moments.Mean().DetachFromDisposeScope();
    }

    /// <summary>The distance of other rows; at least 0, NaN for fewer than two rows or values that are not finite.</summary>
    /// <param name="moments">Of the same number of columns.</param>
    public double Distance(RowMoments moments)
    {
        if (moments.Count < 2)
        {
            return double.NaN;
        }

        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var covariance = moments.Covariance();
        var inner = _root.mm(covariance).mm(_root);
        var between = (_mean - moments.Mean()).pow(Scalars.Of(2)).sum().item<double>();
        var trace = covariance.trace().item<double>();
        if (!double.IsFinite(between + trace) || !inner.isfinite().all().item<bool>())
        {
            return double.NaN;
        }

        // The root of C₁^½ C₂ C₁^½ has the trace of the root of C₁ C₂, and it is symmetric; rounding leaves small negative values.
        var values = torch.linalg.eigvalsh(inner.add(inner.t(), Scalars.One) / Scalars.Of(2));
        return Math.Max(0, between + _trace + trace - (2 * values.clamp_min(Scalars.Of(0)).sqrt().sum().item<double>()));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _mean.Dispose();
        _root.Dispose();
    }
}
