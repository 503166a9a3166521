using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Evaluation;

/// <summary>Sums behind errors and sparsity, over rows that come in parts.</summary>
/// <remarks>For rows whose codes and reconstructions are at hand; <see cref="ExtractionMetrics.Score"/> makes them itself.</remarks>
public sealed class ExtractionTally : IDisposable
{
    private readonly Tensor _mean;
    private readonly Tensor _used;
    private readonly int _components;
    private long _rows;
    private long _zeroRows;
    private double _relative;
    private double _residual;
    private double _total;
    private double _squares;
    private double _active;
    private (double Sum, long Count) _hoyer;
    private (double Sum, long Count) _kappa;

    /// <summary>Starts with no rows.</summary>
    /// <param name="mean">Column means of all rows that will come, float64, length p; copied.</param>
    /// <param name="components">k.</param>
    public ExtractionTally(Tensor mean, int components)
    {
        _mean = mean.to(ScalarType.Float64).clone().DetachFromDisposeScope();
        _used = torch.zeros([components], ScalarType.Bool, mean.device).DetachFromDisposeScope();
        _components = components;
    }

    /// <summary>False as soon as a reconstruction or a code was not finite.</summary>
    public bool Finite => double.IsFinite(_residual) && double.IsFinite(_active) && double.IsFinite(_total);

    /// <summary>Adds rows.</summary>
    /// <param name="rows">m×p.</param>
    /// <param name="codes">m×k.</param>
    /// <param name="reconstruction">m×p.</param>
    public void Add(Tensor rows, Tensor codes, Tensor reconstruction)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var a = rows.to(ScalarType.Float64);
        var u = codes.to(ScalarType.Float64);
        var zero = a.norm(1) == Scalars.Of(0);
        _rows += a.shape[0];
        _zeroRows += zero.sum().item<long>();
        _relative += ExtractionMetrics.RelativeErrors(a, reconstruction).masked_fill(zero, Scalars.Of(0)).sum().item<double>();
        _residual += (a - reconstruction.to(ScalarType.Float64)).pow(Scalars.Of(2)).sum().item<double>();
        _total += (a - _mean).pow(Scalars.Of(2)).sum().item<double>();
        _squares += a.pow(Scalars.Of(2)).sum().item<double>();
        var active = u.abs() > Scalars.Of(ExtractionMetrics.ActiveThreshold);
        _active += u.isfinite().all().item<bool>() ? active.sum().item<long>() : double.NaN;
        _used.logical_or_(active.any(0));
        Add(ref _hoyer, ExtractionMetrics.Hoyer(u));
        Add(ref _kappa, ExtractionMetrics.Kappa4(u));
    }

    /// <summary>The scores so far, without those that need more than sums.</summary>
    public ExtractionScores Scores() => new()
    {
        Components = _components,
        Rows = _rows,
        ZeroRows = _zeroRows,
        RelativeError = Ratio(_relative, _rows - _zeroRows),
        FrobeniusError = Math.Sqrt(Ratio(_residual, _squares)),
        RSquared = _rows == 0 ? double.NaN : ExtractionMetrics.Explained(_residual, _total, (double)_rows * _mean.shape[0], _mean.mean().item<double>()),
        ActiveShare = Ratio(_active, (double)_rows * _components),
        Hoyer = Ratio(_hoyer.Sum, _hoyer.Count),
        Kappa4 = Ratio(_kappa.Sum, _kappa.Count),
        DeadShare = _rows == 0 ? double.NaN : 1 - ((double)_used.sum().item<long>() / _components),
    };

    /// <inheritdoc/>
    public void Dispose()
    {
        _mean.Dispose();
        _used.Dispose();
    }

    private static void Add(ref (double Sum, long Count) total, Tensor values)
    {
        var defined = values.isnan().logical_not();
        total = (total.Sum + values.nansum().item<double>(), total.Count + defined.sum().item<long>());
    }

    private static double Ratio(double sum, double count) => count == 0 ? double.NaN : sum / count;
}
