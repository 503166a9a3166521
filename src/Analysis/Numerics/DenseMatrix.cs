using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Numerics;

/// <summary>
/// A row-major float64 matrix in managed memory, for the many small problems (a hundred rows of a cluster, the concepts of a
/// class) where the cost of a tensor operation is its call.
/// </summary>
public sealed class DenseMatrix
{
    private readonly double[] _values;

    /// <summary>Wraps <paramref name="values"/> (row by row, not copied), or makes a matrix of zeros.</summary>
    /// <param name="rows">Number of rows.</param>
    /// <param name="columns">Number of columns.</param>
    /// <param name="values">Row by row, length rows × columns; null for zeros.</param>
    /// <exception cref="ArgumentException">The length does not fit the shape.</exception>
    public DenseMatrix(int rows, int columns, double[]? values = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(rows);
        ArgumentOutOfRangeException.ThrowIfNegative(columns);
        var length = checked(rows * columns);
        if (values is not null && values.Length != length)
        {
            throw new ArgumentException($"{values.Length} values do not fill {rows}×{columns}.", nameof(values));
        }

        Rows = rows;
        Columns = columns;
        _values = values ?? new double[length];
    }

    /// <summary>Number of rows.</summary>
    public int Rows { get; }

    /// <summary>Number of columns.</summary>
    public int Columns { get; }

    /// <summary>The entries, row by row; writing to it changes the matrix.</summary>
    public double[] Values => _values;

    /// <summary>One entry.</summary>
    public double this[int row, int column]
    {
        get => _values[(row * Columns) + column];
        set => _values[(row * Columns) + column] = value;
    }

    /// <summary>Copies a tensor of one dimension (as a single row) or two.</summary>
    /// <param name="tensor">Any real dtype and device.</param>
    public static DenseMatrix FromTensor(Tensor tensor)
    {
        using var host = tensor.detach().to(ScalarType.Float64).cpu().contiguous();
        return host.dim() switch
        {
            1 => new DenseMatrix(1, checked((int)host.shape[0]), host.data<double>().ToArray()),
            2 => new DenseMatrix(checked((int)host.shape[0]), checked((int)host.shape[1]), host.data<double>().ToArray()),
            _ => throw new ArgumentException($"A matrix has two dimensions, not {host.dim()}.", nameof(tensor)),
        };
    }

    /// <summary>A row as a span over the matrix's memory.</summary>
    /// <param name="row">0-based.</param>
    public Span<double> Row(int row) => _values.AsSpan(row * Columns, Columns);

    /// <summary>A copy of one column.</summary>
    /// <param name="column">0-based.</param>
    public double[] Column(int column)
    {
        var result = new double[Rows];
        for (var i = 0; i < Rows; i++)
        {
            result[i] = this[i, column];
        }

        return result;
    }

    /// <summary>The given rows, in their order.</summary>
    /// <param name="rows">0-based indices; may repeat.</param>
    public DenseMatrix Take(ReadOnlySpan<int> rows)
    {
        var result = new DenseMatrix(rows.Length, Columns);
        for (var i = 0; i < rows.Length; i++)
        {
            Row(rows[i]).CopyTo(result.Row(i));
        }

        return result;
    }

    /// <summary>A deep copy.</summary>
    public DenseMatrix Clone() => new(Rows, Columns, (double[])_values.Clone());

    /// <summary>Column means; zeros for a matrix without rows.</summary>
    public double[] ColumnMeans()
    {
        var mean = new double[Columns];
        for (var i = 0; i < Rows; i++)
        {
            Vectors.Add(mean, Row(i));
        }

        Vectors.Scale(mean, Rows == 0 ? 0 : 1.0 / Rows);
        return mean;
    }

    /// <summary>Copies to a float64 tensor.</summary>
    /// <param name="device">Where it shall live; null for the CPU.</param>
    public Tensor ToTensor(Device? device = null)
    {
        var host = NativeData.Matrix(_values, Rows, Columns);
        if (device is null || device.type == DeviceType.CPU)
        {
            return host;
        }

        using (host)
        {
            return host.to(device);
        }
    }
}

/// <summary>Float64 vector operations, written for the vector unit.</summary>
public static class Vectors
{
    /// <summary>Σ aᵢ bᵢ.</summary>
    public static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        ref var ra = ref MemoryMarshal.GetReference(a);
        ref var rb = ref MemoryMarshal.GetReference(b[..a.Length]);
        var sum = Vector256<double>.Zero;
        var i = 0;
        for (; i <= a.Length - Vector256<double>.Count; i += Vector256<double>.Count)
        {
            sum += Vector256.LoadUnsafe(ref ra, (nuint)i) * Vector256.LoadUnsafe(ref rb, (nuint)i);
        }

        var total = Vector256.Sum(sum);
        for (; i < a.Length; i++)
        {
            total += a[i] * b[i];
        }

        return total;
    }

    /// <summary>Σ (aᵢ − bᵢ)².</summary>
    public static double SquaredDistance(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        ref var ra = ref MemoryMarshal.GetReference(a);
        ref var rb = ref MemoryMarshal.GetReference(b[..a.Length]);
        var sum = Vector256<double>.Zero;
        var i = 0;
        for (; i <= a.Length - Vector256<double>.Count; i += Vector256<double>.Count)
        {
            var d = Vector256.LoadUnsafe(ref ra, (nuint)i) - Vector256.LoadUnsafe(ref rb, (nuint)i);
            sum += d * d;
        }

        var total = Vector256.Sum(sum);
        for (; i < a.Length; i++)
        {
            var d = a[i] - b[i];
            total += d * d;
        }

        return total;
    }

    /// <summary>Σ aᵢ.</summary>
    public static float Sum(ReadOnlySpan<float> a)
    {
        ref var ra = ref MemoryMarshal.GetReference(a);
        var sum = Vector256<float>.Zero;
        var i = 0;
        for (; i <= a.Length - Vector256<float>.Count; i += Vector256<float>.Count)
        {
            sum += Vector256.LoadUnsafe(ref ra, (nuint)i);
        }

        var total = Vector256.Sum(sum);
        for (; i < a.Length; i++)
        {
            total += a[i];
        }

        return total;
    }

    /// <summary>Euclidean norm.</summary>
    public static double Norm(ReadOnlySpan<double> a) => Math.Sqrt(Dot(a, a));

    /// <summary>target += source.</summary>
    public static void Add(Span<double> target, ReadOnlySpan<double> source)
    {
        for (var i = 0; i < target.Length; i++)
        {
            target[i] += source[i];
        }
    }

    /// <summary>target += factor × source.</summary>
    public static void AddScaled(Span<double> target, ReadOnlySpan<double> source, double factor)
    {
        ref var rt = ref MemoryMarshal.GetReference(target);
        ref var rs = ref MemoryMarshal.GetReference(source[..target.Length]);
        var vf = Vector256.Create(factor);
        var i = 0;
        for (; i <= target.Length - Vector256<double>.Count; i += Vector256<double>.Count)
        {
            (Vector256.LoadUnsafe(ref rt, (nuint)i) + (Vector256.LoadUnsafe(ref rs, (nuint)i) * vf)).StoreUnsafe(ref rt, (nuint)i);
        }

        for (; i < target.Length; i++)
        {
            target[i] += source[i] * factor;
        }
    }

    /// <summary>target *= factor.</summary>
    public static void Scale(Span<double> target, double factor)
    {
        for (var i = 0; i < target.Length; i++)
        {
            target[i] *= factor;
        }
    }

    /// <summary>A copy of unit length; zeros stay zeros.</summary>
    public static double[] Unit(ReadOnlySpan<double> a)
    {
        var result = a.ToArray();
        var norm = Norm(a);
        if (norm > 0)
        {
            Scale(result, 1 / norm);
        }

        return result;
    }

    /// <summary>Cosine of the angle between two vectors; NaN where one is zero.</summary>
    public static double Cosine(ReadOnlySpan<double> a, ReadOnlySpan<double> b) => Dot(a, b) / (Norm(a) * Norm(b));
}
