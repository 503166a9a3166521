using static TorchSharp.torch;

namespace Analysis.Networks.Files;

/// <summary>The step from safetensors files to torch tensors and back. Kept apart so that reading alone never loads libtorch.</summary>
public static class SafetensorsTensors
{
    /// <summary>Elements copied in one go.</summary>
    private const int ChunkBytes = 64 << 20;

    /// <summary>The torch type of an element type.</summary>
    /// <exception cref="AnalysisException">torch has no such type (unsigned 16, 32 and 64 bits).</exception>
    public static ScalarType ToScalarType(this ElementType type) => type switch
    {
        ElementType.Bool => ScalarType.Bool,
        ElementType.UInt8 => ScalarType.Byte,
        ElementType.Int8 => ScalarType.Int8,
        ElementType.Int16 => ScalarType.Int16,
        ElementType.Float16 => ScalarType.Float16,
        ElementType.BFloat16 => ScalarType.BFloat16,
        ElementType.Int32 => ScalarType.Int32,
        ElementType.Float32 => ScalarType.Float32,
        ElementType.Int64 => ScalarType.Int64,
        ElementType.Float64 => ScalarType.Float64,
        _ => throw new AnalysisException($"Elements of type {type.SafetensorsName()} cannot become a tensor.", "Store them as I64."),
    };

    /// <summary>The element type of a torch type.</summary>
    /// <exception cref="AnalysisException">The type cannot be stored (complex or quantised).</exception>
    public static ElementType ToElementType(this ScalarType type) => type switch
    {
        ScalarType.Bool => ElementType.Bool,
        ScalarType.Byte => ElementType.UInt8,
        ScalarType.Int8 => ElementType.Int8,
        ScalarType.Int16 => ElementType.Int16,
        ScalarType.Float16 => ElementType.Float16,
        ScalarType.BFloat16 => ElementType.BFloat16,
        ScalarType.Int32 => ElementType.Int32,
        ScalarType.Float32 => ElementType.Float32,
        ScalarType.Int64 => ElementType.Int64,
        ScalarType.Float64 => ElementType.Float64,
        _ => throw new AnalysisException($"A tensor of type {type} cannot be stored.", "Convert it to float32."),
    };

    /// <summary>Header of a tensor for <see cref="SafetensorsWriter.Create"/>.</summary>
    public static TensorHeader Header(Tensor tensor) => new(tensor.dtype.ToElementType(), tensor.shape);

    /// <summary>Copies a tensor into memory of its own, on the CPU, with the stored type and shape. Owned by the caller.</summary>
    public static Tensor Load(this SafetensorsFile file, string name)
    {
        var entry = file.Entry(name);
        return Copy(file, entry, entry.Shape.ToArray(), 0, entry.Length);
    }

    /// <summary>Copies rows of a tensor (slices along its first dimension); otherwise as <see cref="Load"/>.</summary>
    public static Tensor LoadRows(this SafetensorsFile file, string name, long row, long count)
    {
        var entry = file.Entry(name);
        if (entry.Shape.Count == 0 || row < 0 || count < 0 || row > entry.Shape[0] - count)
        {
            throw new AnalysisException($"{file.FileName}: tensor '{name}' of shape {entry.ShapeText} has no rows {row} to {row + count}.");
        }

        var stride = entry.Shape[0] == 0 ? 0 : entry.Length / entry.Shape[0];
        return Copy(file, entry, [count, .. entry.Shape.Skip(1)], row * stride, count * stride);
    }

    /// <summary>Writes a whole tensor, or the next rows of one. Any device, any strides; the declared type.</summary>
    public static void Write(this SafetensorsWriter writer, string name, Tensor values)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var flat = values.detach().cpu().contiguous().view(-1);
        var step = ChunkBytes / values.dtype.ToElementType().Size();
        for (var done = 0L; done < flat.shape[0]; done += step)
        {
            using var part = flat.narrow(0, done, Math.Min(step, flat.shape[0] - done));
            writer.Write<byte>(name, part.bytes);
        }
    }

    /// <summary>Writes a file in one call.</summary>
    /// <param name="path">Where the file shall stand.</param>
    /// <param name="tensors">Names and tensors in the order of the file.</param>
    /// <param name="metadata">Free text for the header.</param>
    public static void Save(string path, IReadOnlyList<(string Name, Tensor Tensor)> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        using var writer = SafetensorsWriter.Create(path, [.. tensors.Select(t => (t.Name, Header(t.Tensor)))], metadata);
        foreach (var (name, tensor) in tensors)
        {
            writer.Write(name, tensor);
        }

        writer.Complete();
    }

    private static Tensor Copy(SafetensorsFile file, SafetensorsEntry entry, long[] shape, long start, long length)
    {
        var tensor = empty(shape, entry.Type.ToScalarType());
        using var flat = tensor.view(-1);
        var size = entry.Type.Size();
        for (var done = 0L; done < length; done += ChunkBytes)
        {
            // The bytes of a tensor are one span, which ends at 2 GiB; a part of it never is that long.
            var part = (int)Math.Min(ChunkBytes, length - done);
            using var target = flat.narrow(0, done / size, part / size);
            file.Bytes(entry, start + done, part).CopyTo(target.bytes);
        }

        return tensor;
    }
}
