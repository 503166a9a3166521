using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>Work on many rows in parts, so that temporaries stay small however many rows there are.</summary>
internal static class RowParts
{
    /// <summary>Rows at a time: enough for a matrix product to be efficient.</summary>
    public const int Size = 4096;

    /// <summary>Start and length of each part.</summary>
    public static IEnumerable<(long Start, long Count)> Of(long rows, int size = Size)
    {
        for (long start = 0; start < rows; start += size)
        {
            yield return (start, Math.Min(size, rows - start));
        }
    }

    /// <summary>Applies a function to parts and puts the results one below the other.</summary>
    /// <param name="rows">n×p.</param>
    /// <param name="columns">Columns of the result.</param>
    /// <param name="part">From m×p to m×columns, of the type and device of the rows.</param>
    /// <returns>n×columns; belongs to the caller's dispose scope.</returns>
    public static Tensor Map(Tensor rows, long columns, Func<Tensor, Tensor> part)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        if (rows.shape[0] <= Size)
        {
            return part(rows).MoveToOuterDisposeScope();
        }

        var result = torch.empty([rows.shape[0], columns], rows.dtype, rows.device);
        foreach (var (start, count) in Of(rows.shape[0]))
        {
            using var inner = torch.NewDisposeScope();
            result.narrow(0, start, count).copy_(part(rows.narrow(0, start, count)));
        }

        return result.MoveToOuterDisposeScope();
    }

    /// <summary>Column means in float64; belongs to the caller's dispose scope.</summary>
    public static Tensor Mean(Tensor rows)
    {
        using var scope = torch.NewDisposeScope();
        var sum = torch.zeros([rows.shape[1]], ScalarType.Float64, rows.device);
        foreach (var (start, count) in Of(rows.shape[0]))
        {
            using var inner = torch.NewDisposeScope();
            sum.add_(rows.narrow(0, start, count).sum([0L], type: ScalarType.Float64), Scalars.One);
        }

        return (sum / Scalars.Of(rows.shape[0])).MoveToOuterDisposeScope();
    }
}
