namespace Analysis.Networks.Files;

/// <summary>Type of a stored tensor's elements, little-endian.</summary>
public enum ElementType
{
    /// <summary>One byte, 0 or 1.</summary>
    Bool,

    /// <summary>Unsigned 8 bits.</summary>
    UInt8,

    /// <summary>Signed 8 bits.</summary>
    Int8,

    /// <summary>Unsigned 16 bits.</summary>
    UInt16,

    /// <summary>Signed 16 bits.</summary>
    Int16,

    /// <summary>IEEE half precision.</summary>
    Float16,

    /// <summary>The upper 16 bits of a float.</summary>
    BFloat16,

    /// <summary>Unsigned 32 bits.</summary>
    UInt32,

    /// <summary>Signed 32 bits.</summary>
    Int32,

    /// <summary>IEEE single precision.</summary>
    Float32,

    /// <summary>Unsigned 64 bits.</summary>
    UInt64,

    /// <summary>Signed 64 bits.</summary>
    Int64,

    /// <summary>IEEE double precision.</summary>
    Float64,
}

/// <summary>Sizes and names of <see cref="ElementType"/>.</summary>
public static class ElementTypes
{
    /// <summary>Bytes of one element.</summary>
    public static int Size(this ElementType type) => type switch
    {
        ElementType.Bool or ElementType.UInt8 or ElementType.Int8 => 1,
        ElementType.UInt16 or ElementType.Int16 or ElementType.Float16 or ElementType.BFloat16 => 2,
        ElementType.UInt32 or ElementType.Int32 or ElementType.Float32 => 4,
        _ => 8,
    };

    /// <summary>Name in a safetensors header, for example <c>F32</c>.</summary>
    public static string SafetensorsName(this ElementType type) => type switch
    {
        ElementType.Bool => "BOOL",
        ElementType.UInt8 => "U8",
        ElementType.Int8 => "I8",
        ElementType.UInt16 => "U16",
        ElementType.Int16 => "I16",
        ElementType.Float16 => "F16",
        ElementType.BFloat16 => "BF16",
        ElementType.UInt32 => "U32",
        ElementType.Int32 => "I32",
        ElementType.Float32 => "F32",
        ElementType.UInt64 => "U64",
        ElementType.Int64 => "I64",
        _ => "F64",
    };

    /// <summary>The type of a safetensors name; null for an unknown one.</summary>
    public static ElementType? FromSafetensorsName(string name)
    {
        foreach (var type in Enum.GetValues<ElementType>())
        {
            if (type.SafetensorsName() == name)
            {
                return type;
            }
        }

        return null;
    }

    /// <summary>True where a span of <typeparamref name="T"/> shows the elements as they are.</summary>
    public static bool Matches<T>(this ElementType type)
        where T : unmanaged
    {
        var t = typeof(T);
        return type switch
        {
            ElementType.Bool => t == typeof(bool) || t == typeof(byte),
            ElementType.UInt8 => t == typeof(byte),
            ElementType.Int8 => t == typeof(sbyte),
            ElementType.UInt16 => t == typeof(ushort),
            ElementType.Int16 => t == typeof(short),
            ElementType.Float16 => t == typeof(Half),
            ElementType.BFloat16 => t == typeof(ushort),
            ElementType.UInt32 => t == typeof(uint),
            ElementType.Int32 => t == typeof(int),
            ElementType.Float32 => t == typeof(float),
            ElementType.UInt64 => t == typeof(ulong),
            ElementType.Int64 => t == typeof(long),
            _ => t == typeof(double),
        };
    }
}

/// <summary>Type and shape of a stored tensor.</summary>
/// <param name="Type">Type of the elements.</param>
/// <param name="Shape">Sizes, none negative; empty for a scalar.</param>
public record TensorHeader(ElementType Type, IReadOnlyList<long> Shape)
{
    /// <summary>The shape as people write it, for example <c>[10, 64]</c>.</summary>
    public string ShapeText => Text(Shape);

    /// <summary>A shape as people write it.</summary>
    public static string Text(IReadOnlyList<long> shape) => $"[{string.Join(", ", shape)}]";
}

/// <summary>Named tensors in a file. Reading touches managed memory only: libtorch is not loaded.</summary>
public interface ITensorFile : IDisposable
{
    /// <summary>The file's name without folders, for messages.</summary>
    string FileName { get; }

    /// <summary>Type and shape of every tensor by name.</summary>
    IReadOnlyDictionary<string, TensorHeader> Headers { get; }

    /// <summary>The elements in row-major order, converted to float32.</summary>
    /// <exception cref="AnalysisException">The tensor is missing, too large for an array, or its data are damaged.</exception>
    float[] ReadFloats(string name);
}
