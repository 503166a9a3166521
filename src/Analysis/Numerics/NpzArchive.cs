using System.Buffers.Binary;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using System.Text.RegularExpressions;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Numerics;

/// <summary>
/// One NumPy array as stored in a .npy file (format versions 1 to 3): element type, shape and bytes in C order.
/// Only plain little-endian numbers, booleans and text are read; object arrays, which hold pickles, are refused.
/// </summary>
public sealed partial class NpyArray
{
    private const int MaximumHeader = 1 << 16;
    private readonly byte[] _data;

    private NpyArray(string typeCode, int itemSize, long[] shape, byte[] data)
    {
        TypeCode = typeCode;
        ItemSize = itemSize;
        Shape = shape;
        _data = data;
    }

    /// <summary>Element type without byte order: f2, f4, f8, i1 to i8, u1 to u8, b1, S or U.</summary>
    public string TypeCode { get; }

    /// <summary>Bytes an element.</summary>
    public int ItemSize { get; }

    /// <summary>Extents; empty for a scalar.</summary>
    public IReadOnlyList<long> Shape { get; }

    /// <summary>Number of elements.</summary>
    public int Length => ItemSize == 0 ? 0 : _data.Length / ItemSize;

    /// <summary>The elements, little-endian, C order.</summary>
    public ReadOnlySpan<byte> Bytes => _data;

    /// <summary>Reads a .npy file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="maximumBytes">Largest size of the array that is accepted.</param>
    /// <exception cref="AnalysisException">The file is damaged, too large, or holds Python objects.</exception>
    public static NpyArray Open(string path, long maximumBytes = int.MaxValue)
    {
        using var stream = File.OpenRead(path);
        return Read(stream, Path.GetFileName(path), maximumBytes);
    }

    /// <summary>Reads one array from a stream.</summary>
    /// <param name="stream">Positioned at the magic bytes.</param>
    /// <param name="name">For messages.</param>
    /// <param name="maximumBytes">Largest size of the array that is accepted.</param>
    /// <exception cref="AnalysisException">The array is damaged, too large, or holds Python objects.</exception>
    public static NpyArray Read(Stream stream, string name, long maximumBytes = int.MaxValue)
    {
        var (typeCode, itemSize, fortran, shape) = ReadHeader(stream, name);
        long count = 1;
        foreach (var extent in shape)
        {
            if (extent != 0 && count > maximumBytes / extent)
            {
                throw new AnalysisException($"The array {name} has shape ({string.Join(", ", shape)}), which is more than {maximumBytes} bytes.", "Use a smaller array.");
            }

            count *= extent;
        }

        if (itemSize != 0 && count > Math.Min(maximumBytes, Array.MaxLength) / itemSize)
        {
            throw new AnalysisException($"The array {name} has shape ({string.Join(", ", shape)}), which is more than {maximumBytes} bytes.", "Use a smaller array.");
        }

        var data = ReadData(stream, (int)(count * itemSize), name);
        if (fortran && shape.Length > 1)
        {
            data = ToRowMajor(data, shape, itemSize);
        }

        return new NpyArray(typeCode, itemSize, shape, data);
    }

    /// <summary>Reads the header of an array and leaves the stream at its first element.</summary>
    /// <exception cref="AnalysisException">The header is damaged, or the array holds Python objects.</exception>
    internal static (string TypeCode, int ItemSize, bool Fortran, long[] Shape) ReadHeader(Stream stream, string name)
    {
        Span<byte> start = stackalloc byte[8];
        ReadExactly(stream, start, name);
        if (start[0] != 0x93 || !start[1..6].SequenceEqual("NUMPY"u8))
        {
            throw Damaged(name, "it does not start with the NumPy signature");
        }

        Span<byte> lengthBytes = stackalloc byte[4];
        long headerLength;
        switch (start[6])
        {
            case 1:
                ReadExactly(stream, lengthBytes[..2], name);
                headerLength = BinaryPrimitives.ReadUInt16LittleEndian(lengthBytes);
                break;
            case 2 or 3:
                ReadExactly(stream, lengthBytes, name);
                headerLength = BinaryPrimitives.ReadUInt32LittleEndian(lengthBytes);
                break;
            default:
                throw Damaged(name, $"format version {start[6]} is unknown");
        }

        if (headerLength > MaximumHeader)
        {
            throw Damaged(name, $"its header claims {headerLength} bytes");
        }

        var headerBytes = new byte[headerLength];
        ReadExactly(stream, headerBytes, name);
        var header = Encoding.UTF8.GetString(headerBytes);
        var (typeCode, itemSize) = ParseType(header, name);
        var fortran = FortranPattern().Match(header) is { Success: true } f ? f.Groups[1].Value == "True" : throw Damaged(name, "its header has no fortran_order");
        var shape = ParseShape(header, name);
        return (typeCode, itemSize, fortran, shape);
    }

    /// <summary>The elements as float64.</summary>
    /// <exception cref="InvalidOperationException">The array holds text.</exception>
    public double[] ToDoubles()
    {
        var result = new double[Length];
        for (var i = 0; i < result.Length; i++)
        {
            result[i] = Number(i);
        }

        return result;
    }

    /// <summary>The elements as int64; floats are truncated.</summary>
    /// <exception cref="InvalidOperationException">The array holds text.</exception>
    public long[] ToInt64s()
    {
        var result = new long[Length];
        for (var i = 0; i < result.Length; i++)
        {
            var item = _data.AsSpan(i * ItemSize, ItemSize);
            result[i] = TypeCode switch
            {
                "i8" => BinaryPrimitives.ReadInt64LittleEndian(item),
                "u8" => unchecked((long)BinaryPrimitives.ReadUInt64LittleEndian(item)),
                _ => (long)Number(i),
            };
        }

        return result;
    }

    /// <summary>The elements as int32.</summary>
    /// <exception cref="OverflowException">An element does not fit.</exception>
    public int[] ToInt32s() => Array.ConvertAll(ToInt64s(), v => checked((int)v));

    /// <summary>The elements as booleans (non-zero is true).</summary>
    public bool[] ToBooleans() => Array.ConvertAll(ToDoubles(), v => v != 0);

    /// <summary>The elements as text.</summary>
    /// <exception cref="InvalidOperationException">The array holds numbers.</exception>
    public string[] ToStrings()
    {
        if (TypeCode is not ("U" or "S"))
        {
            throw new InvalidOperationException($"The array holds {TypeCode}, not text.");
        }

        var encoding = TypeCode == "U" ? Encoding.UTF32 : Encoding.Latin1;
        var result = new string[Length];
        for (var i = 0; i < result.Length; i++)
        {
            result[i] = encoding.GetString(_data, i * ItemSize, ItemSize).TrimEnd('\0');
        }

        return result;
    }

    /// <summary>A matrix; one dimension becomes a single column.</summary>
    public DenseMatrix ToMatrix() => Shape.Count switch
    {
        1 => new DenseMatrix(Length, 1, ToDoubles()),
        2 => new DenseMatrix((int)Shape[0], (int)Shape[1], ToDoubles()),
        _ => throw new InvalidOperationException($"An array of {Shape.Count} dimensions is no matrix."),
    };

    /// <summary>A tensor of the same shape on the CPU. Unsigned types wider than a byte become int64.</summary>
    /// <exception cref="InvalidOperationException">The array holds text.</exception>
    public Tensor ToTensor()
    {
        long[] shape = [.. Shape];
        var type = TypeCode switch
        {
            "f2" => ScalarType.Float16,
            "f4" => ScalarType.Float32,
            "f8" => ScalarType.Float64,
            "i1" => ScalarType.Int8,
            "i2" => ScalarType.Int16,
            "i4" => ScalarType.Int32,
            "i8" => ScalarType.Int64,
            "u1" => ScalarType.Byte,
            "b1" => ScalarType.Bool,
            "u2" or "u4" or "u8" => ScalarType.Int64,
            _ => throw new InvalidOperationException($"Text ({TypeCode}) is no tensor."),
        };
        if (TypeCode is "u2" or "u4" or "u8")
        {
            return torch.tensor(ToInt64s(), shape, ScalarType.Int64);
        }

        var result = torch.empty(shape, type);
        if (_data.Length > 0)
        {
            result.bytes = _data;
        }

        return result;
    }

    private static (string Code, int Size) ParseType(string header, string name)
    {
        var match = TypePattern().Match(header);
        if (!match.Success)
        {
            throw Damaged(name, "its element type is a structure or missing");
        }

        var order = match.Groups[1].Value;
        var kind = match.Groups[2].Value;
        var size = match.Groups[3].Length == 0 ? 0 : int.Parse(match.Groups[3].Value, CultureInfo.InvariantCulture);
        if (kind == "O")
        {
            throw new AnalysisException($"The array {name} holds Python objects, which are not read because reading them runs code.", "Save it again as numbers.");
        }

        if (kind is "U" or "S")
        {
            if (size > 1 << 16 || (kind == "U" && order == ">"))
            {
                throw Damaged(name, $"text of type {order}{kind}{size} is not supported");
            }

            return (kind, kind == "U" ? size * 4 : size);
        }

        var known = kind switch
        {
            "f" => size is 2 or 4 or 8,
            "i" or "u" => size is 1 or 2 or 4 or 8,
            "b" => size == 1,
            _ => false,
        };
        if (!known || (order == ">" && size > 1))
        {
            throw Damaged(name, $"elements of type {order}{kind}{size} are not supported");
        }

        return ($"{kind}{size}", size);
    }

    private static long[] ParseShape(string header, string name)
    {
        var match = ShapePattern().Match(header);
        if (!match.Success)
        {
            throw Damaged(name, "its header has no shape");
        }

        var parts = match.Groups[1].Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length > 32)
        {
            throw Damaged(name, $"it has {parts.Length} dimensions");
        }

        var shape = new long[parts.Length];
        for (var i = 0; i < parts.Length; i++)
        {
            if (!long.TryParse(parts[i], NumberStyles.None, CultureInfo.InvariantCulture, out shape[i]))
            {
                throw Damaged(name, $"its shape has the extent '{parts[i]}'");
            }
        }

        return shape;
    }

    private static byte[] ReadData(Stream stream, int length, string name)
    {
        // The claimed size is not trusted: memory grows with what is really there.
        var data = new byte[Math.Min(length, 1 << 20)];
        var filled = 0;
        while (filled < length)
        {
            if (filled == data.Length)
            {
                Array.Resize(ref data, (int)Math.Min(length, data.Length * 2L));
            }

            var read = stream.Read(data, filled, data.Length - filled);
            if (read == 0)
            {
                throw Damaged(name, $"it ends after {filled} of {length} bytes");
            }

            filled += read;
        }

        return data.Length == length ? data : data[..length];
    }

    private static byte[] ToRowMajor(byte[] data, long[] shape, int itemSize)
    {
        var result = new byte[data.Length];
        var strides = new long[shape.Length];
        long stride = 1;
        for (var d = 0; d < shape.Length; d++)
        {
            strides[d] = stride;
            stride *= shape[d];
        }

        var index = new long[shape.Length];
        for (var target = 0; target < data.Length; target += itemSize)
        {
            long source = 0;
            for (var d = 0; d < shape.Length; d++)
            {
                source += index[d] * strides[d];
            }

            data.AsSpan((int)(source * itemSize), itemSize).CopyTo(result.AsSpan(target));
            for (var d = shape.Length - 1; d >= 0 && ++index[d] == shape[d]; d--)
            {
                index[d] = 0;
            }
        }

        return result;
    }

    private static void ReadExactly(Stream stream, Span<byte> buffer, string name)
    {
        if (stream.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false) < buffer.Length)
        {
            throw Damaged(name, "it ends inside its header");
        }
    }

    private static AnalysisException Damaged(string name, string what) =>
        new($"The array {name} cannot be read: {what}.", "Save it again with numpy.save or numpy.savez.");

    [GeneratedRegex(@"'descr'\s*:\s*'([<>|=]?)([a-zA-Z])(\d{0,9})'")]
    private static partial Regex TypePattern();

    [GeneratedRegex(@"'fortran_order'\s*:\s*(True|False)")]
    private static partial Regex FortranPattern();

    [GeneratedRegex(@"'shape'\s*:\s*\(([^)]*)\)")]
    private static partial Regex ShapePattern();

    private double Number(int i)
    {
        var item = _data.AsSpan(i * ItemSize, ItemSize);
        return TypeCode switch
        {
            "f2" => (double)BinaryPrimitives.ReadHalfLittleEndian(item),
            "f4" => BinaryPrimitives.ReadSingleLittleEndian(item),
            "f8" => BinaryPrimitives.ReadDoubleLittleEndian(item),
            "i1" => (sbyte)item[0],
            "i2" => BinaryPrimitives.ReadInt16LittleEndian(item),
            "i4" => BinaryPrimitives.ReadInt32LittleEndian(item),
            "i8" => BinaryPrimitives.ReadInt64LittleEndian(item),
            "u1" or "b1" => item[0],
            "u2" => BinaryPrimitives.ReadUInt16LittleEndian(item),
            "u4" => BinaryPrimitives.ReadUInt32LittleEndian(item),
            "u8" => BinaryPrimitives.ReadUInt64LittleEndian(item),
            _ => throw new InvalidOperationException($"The array holds text ({TypeCode}), not numbers."),
        };
    }
}

/// <summary>A .npz file: a zip archive of .npy arrays. All arrays are read at once; nothing in it is executed.</summary>
public sealed class NpzArchive
{
    private const int MaximumArrays = 10_000;
    private readonly Dictionary<string, NpyArray> _arrays;

    private NpzArchive(string name, Dictionary<string, NpyArray> arrays)
    {
        Name = name;
        _arrays = arrays;
    }

    /// <summary>File name, for messages.</summary>
    public string Name { get; }

    /// <summary>Names of the arrays, without <c>.npy</c>.</summary>
    public IReadOnlyCollection<string> Names => _arrays.Keys;

    /// <summary>The array of that name.</summary>
    /// <exception cref="AnalysisException">There is none.</exception>
    public NpyArray this[string name] => _arrays.TryGetValue(name, out var array)
        ? array
        : throw new AnalysisException($"The file {Name} has no array '{name}'.", $"It has: {string.Join(", ", _arrays.Keys.Take(20))}.");

    /// <summary>Reads all arrays of a file.</summary>
    /// <param name="path">The .npz file.</param>
    /// <param name="maximumBytes">Largest total size of the arrays that is accepted.</param>
    /// <exception cref="AnalysisException">The file is damaged, too large, or holds Python objects.</exception>
    public static NpzArchive Open(string path, long maximumBytes = int.MaxValue)
    {
        var name = Path.GetFileName(path);
        using var stream = File.OpenRead(path);
        try
        {
            using var zip = new ZipArchive(stream, ZipArchiveMode.Read);
            var arrays = new Dictionary<string, NpyArray>(StringComparer.Ordinal);
            var left = maximumBytes;
            foreach (var entry in zip.Entries)
            {
                if (!entry.FullName.EndsWith(".npy", StringComparison.Ordinal))
                {
                    continue;
                }

                if (arrays.Count == MaximumArrays)
                {
                    throw new AnalysisException($"The file {name} holds more than {MaximumArrays} arrays.", "Split it.");
                }

                using var content = entry.Open();
                var key = entry.FullName[..^4];
                var array = NpyArray.Read(content, $"{name}:{key}", left);
                left -= array.Bytes.Length;
                arrays[key] = array;
            }

            return new NpzArchive(name, arrays);
        }
        catch (InvalidDataException e)
        {
            throw new AnalysisException($"The file {name} is no readable zip archive.", "Save it again with numpy.savez.", e);
        }
    }

    /// <summary>Whether there is an array of that name.</summary>
    public bool Contains(string name) => _arrays.ContainsKey(name);
}
