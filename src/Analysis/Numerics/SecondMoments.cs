using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Numerics;

/// <summary>
/// Uncentred second moments of rows that come in batches: count, sum and Gram matrix in float64, C + C² numbers however
/// many rows there are.
/// </summary>
public sealed class SecondMoments : IDisposable
{
    private readonly Tensor _sum;
    private readonly Tensor _gram;

    /// <summary>Starts with no rows.</summary>
    /// <param name="channels">Columns C of the rows.</param>
    /// <param name="device">Where to accumulate; null for the CPU.</param>
    public SecondMoments(int channels, Device? device = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(channels);
        Channels = channels;
        _sum = torch.zeros([channels], ScalarType.Float64, device ?? torch.CPU).DetachFromDisposeScope();
        _gram = torch.zeros([channels, channels], ScalarType.Float64, device ?? torch.CPU).DetachFromDisposeScope();
    }

    /// <summary>Columns C of the rows.</summary>
    public int Channels { get; }

    /// <summary>Rows added.</summary>
    public long Count { get; private set; }

    /// <summary>Sum of the rows, C float64. Owned by this object.</summary>
    public Tensor Sum => _sum;

    /// <summary>Σ aᵀa, C×C float64. Owned by this object.</summary>
    public Tensor Gram => _gram;

    /// <summary>Continues from stored values, for example a checkpoint.</summary>
    /// <param name="count">Rows they stand for.</param>
    /// <param name="sum">C numbers.</param>
    /// <param name="gram">C×C numbers.</param>
    /// <param name="device">Where to accumulate; null for the CPU.</param>
    public static SecondMoments Restore(long count, Tensor sum, Tensor gram, Device? device = null)
    {
        var result = new SecondMoments(checked((int)sum.shape[0]), device) { Count = count };
        result._sum.copy_(sum);
        result._gram.copy_(gram);
        return result;
    }

    /// <summary>Adds rows.</summary>
    /// <param name="rows">n×C, float32 or float64, any device.</param>
    /// <exception cref="AnalysisException">A value is not a number or infinite; nothing is added then.</exception>
    public void Add(Tensor rows)
    {
        if (rows.dim() != 2 || rows.shape[1] != Channels)
        {
            throw new ArgumentException($"Rows of {Channels} columns are expected, not a tensor of shape ({string.Join(", ", rows.shape)}).", nameof(rows));
        }

        if (rows.shape[0] == 0)
        {
            return;
        }

        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var x = rows.to(ScalarType.Float64).to(_sum.device);
        // An array of dimensions: the literal 0 alone would be taken for an element type.
        var sum = x.sum([0L]);

        // One value that is not finite makes its column's sum not finite (a float64 sum of float32 values cannot overflow).
        if (!sum.isfinite().all().item<bool>())
        {
            throw new AnalysisException(
                "The activations of the layer contain values that are not finite.",
                "Check the weights and the normalisation, or choose an earlier layer.");
        }

        _sum.add_(sum, Scalars.One);
        _gram.add_(x.t().mm(x), Scalars.One);
        Count += rows.shape[0];
    }

    /// <summary>Adds what another accumulator has seen.</summary>
    public void Merge(SecondMoments other)
    {
        using var scope = torch.NewDisposeScope();
        _sum.add_(other._sum.to(_sum.device), Scalars.One);
        _gram.add_(other._gram.to(_gram.device), Scalars.One);
        Count += other.Count;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _sum.Dispose();
        _gram.Dispose();
    }
}
