using System.IO.Compression;
using System.Text;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Microsoft.Win32.SafeHandles;

namespace Analysis.Datasets.Recorded;

/// <summary>
/// Named arrays in a safetensors or npz file, read in place at their offsets: memory is that of the rows asked for. A file
/// that becomes shorter while it is read gives an error and not a fault of the process, as a mapping would.
/// </summary>
internal sealed class ArrayFile : IDisposable
{
    /// <summary>Largest total size of arrays that have to be held in memory: texts, and what is compressed or stored by columns.</summary>
    public const long MaxHeldBytes = 512L << 20;

    private readonly SafeFileHandle _handle;
    private readonly Dictionary<string, Place> _places = new(StringComparer.Ordinal);
    private readonly Dictionary<string, NpyArray> _held = new(StringComparer.Ordinal);
    private readonly Dictionary<string, ZipIndex.Entry> _pending = new(StringComparer.Ordinal);
    private long _left = MaxHeldBytes;

    private ArrayFile(string path, SafeFileHandle handle)
    {
        FileName = Path.GetFileName(path);
        _handle = handle;
    }

    /// <summary>The file's name without folders.</summary>
    public string FileName { get; }

    /// <summary>Free text of a safetensors header; empty for npz.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; private set; } = new Dictionary<string, string>();

    /// <summary>True for the extensions of files with arrays.</summary>
    public static bool IsArrayFile(string path) =>
        path.EndsWith(".npz", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase);

    /// <summary>Opens a file and lists its arrays. Array data are not touched.</summary>
    /// <exception cref="AnalysisException">The file is damaged or cannot be read.</exception>
    public static ArrayFile Open(string path)
    {
        SafeFileHandle handle;
        try
        {
            handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new AnalysisException($"{Path.GetFileName(path)} cannot be read: {FileFault.Describe(exception)}.", "Check the path and its permissions.", exception);
        }

        var file = new ArrayFile(path, handle);
        try
        {
            if (path.EndsWith(".npz", StringComparison.OrdinalIgnoreCase))
            {
                foreach (var entry in ZipIndex.Read(handle, file.FileName))
                {
                    if (entry.Name.EndsWith(".npy", StringComparison.Ordinal) && !file._pending.TryAdd(entry.Name[..^4], entry))
                    {
                        throw new AnalysisException($"{file.FileName} holds the array '{FileFault.Short(entry.Name)}' twice.", "Save it again with numpy.savez.");
                    }
                }
            }
            else
            {
                using var tensors = SafetensorsFile.Open(path);
                file.Metadata = tensors.Metadata;
                foreach (var (name, entry) in tensors.Entries)
                {
                    file._places[name] = new Place(new TensorHeader(entry.Type, entry.Shape), entry.Offset);
                }
            }

            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Names of all arrays.</summary>
    public IEnumerable<string> Names => _places.Keys.Concat(_held.Keys).Concat(_pending.Keys).Distinct();

    /// <summary>True where there is an array of this name, of numbers or of texts.</summary>
    public bool Has(string name) => _places.ContainsKey(name) || _held.ContainsKey(name) || _pending.ContainsKey(name);

    /// <summary>Type and shape of an array of numbers; null where there is none of this name.</summary>
    /// <exception cref="AnalysisException">It holds texts or Python objects, or is damaged.</exception>
    public TensorHeader? Numbers(string name)
    {
        Resolve(name);
        return _places.TryGetValue(name, out var place) ? place.Header
            : _held.TryGetValue(name, out var held)
                ? held.TypeCode is "U" or "S"
                    ? throw new AnalysisException($"{FileName}: the array '{name}' holds texts where numbers are needed.", "See the table of arrays in docs/file-formats.md.")
                    : new TensorHeader(TypeOf(held.TypeCode), held.Shape)
                : null;
    }

    /// <summary>True where the array holds texts.</summary>
    public bool IsText(string name)
    {
        Resolve(name);
        return _held.TryGetValue(name, out var held) && held.TypeCode is "U" or "S";
    }

    /// <summary>The elements of an array of texts.</summary>
    public string[] Texts(string name)
    {
        Resolve(name);
        return _held.TryGetValue(name, out var held) && held.TypeCode is "U" or "S"
            ? held.ToStrings()
            : throw new AnalysisException($"{FileName}: the array '{name}' holds numbers where texts are needed.", "Save it as an array of texts (numpy type U).");
    }

    /// <summary>Consecutive elements as float32.</summary>
    /// <param name="name">An array of numbers.</param>
    /// <param name="first">First element, in row-major order.</param>
    /// <param name="values">Receives them.</param>
    public void ReadFloats(string name, long first, Span<float> values)
    {
        var type = Numbers(name)!.Type;
        if (type == ElementType.Float32)
        {
            ReadBytes(name, first * 4, System.Runtime.InteropServices.MemoryMarshal.AsBytes(values));
            return;
        }

        var size = type.Size();
        var buffer = new byte[Math.Min(values.Length, 1 << 20) * size];
        for (var done = 0; done < values.Length;)
        {
            var count = Math.Min(values.Length - done, buffer.Length / size);
            ReadBytes(name, (first + done) * size, buffer.AsSpan(0, count * size));
            ElementConversion.ToFloats(type, buffer.AsSpan(0, count * size), values.Slice(done, count));
            done += count;
        }
    }

    /// <summary>Consecutive bytes of an array of numbers.</summary>
    /// <exception cref="AnalysisException">The file became shorter, or the disk reports an error.</exception>
    public void ReadBytes(string name, long start, Span<byte> bytes)
    {
        if (_held.TryGetValue(name, out var held))
        {
            held.Bytes.Slice((int)start, bytes.Length).CopyTo(bytes);
            return;
        }

        var offset = _places[name].Offset + start;
        try
        {
            for (var done = 0; done < bytes.Length;)
            {
                var read = RandomAccess.Read(_handle, bytes[done..], offset + done);
                if (read == 0)
                {
                    throw new AnalysisException($"{FileName} became shorter while it was read.", "Leave it unchanged while an analysis runs, then start again.");
                }

                done += read;
            }
        }
        catch (IOException exception)
        {
            throw new AnalysisException($"{FileName} cannot be read: {FileFault.Describe(exception)}.", "Check the disk.", exception);
        }
    }

    /// <summary>All elements as int64.</summary>
    /// <exception cref="AnalysisException">They are not whole numbers.</exception>
    public long[] ReadIntegers(string name)
    {
        var header = Numbers(name)!;
        if (header.Type is ElementType.Float16 or ElementType.BFloat16 or ElementType.Float32 or ElementType.Float64)
        {
            throw new AnalysisException($"{FileName}: the array '{name}' holds {header.Type} where whole numbers are needed.", "Save it as int64.");
        }

        var size = header.Type.Size();
        var result = new long[header.Shape.Aggregate(1L, (a, b) => a * b)];
        var bytes = new byte[checked(result.Length * size)];
        ReadBytes(name, 0, bytes);
        for (var i = 0; i < result.Length; i++)
        {
            var item = bytes.AsSpan(i * size, size);
            result[i] = header.Type switch
            {
                ElementType.Int64 => BitConverter.ToInt64(item),
                ElementType.UInt64 => (long)Math.Min(BitConverter.ToUInt64(item), long.MaxValue),
                ElementType.Int32 => BitConverter.ToInt32(item),
                ElementType.UInt32 => BitConverter.ToUInt32(item),
                ElementType.Int16 => BitConverter.ToInt16(item),
                ElementType.UInt16 => BitConverter.ToUInt16(item),
                ElementType.Int8 => (sbyte)item[0],
                _ => item[0],
            };
        }

        return result;
    }

    /// <inheritdoc/>
    public void Dispose() => _handle.Dispose();

    private static ElementType TypeOf(string code) => code switch
    {
        "f2" => ElementType.Float16,
        "f4" => ElementType.Float32,
        "f8" => ElementType.Float64,
        "i1" => ElementType.Int8,
        "i2" => ElementType.Int16,
        "i4" => ElementType.Int32,
        "i8" => ElementType.Int64,
        "u2" => ElementType.UInt16,
        "u4" => ElementType.UInt32,
        "u8" => ElementType.UInt64,
        "b1" => ElementType.Bool,
        _ => ElementType.UInt8,
    };

    /// <summary>Reads the header of an npz array on first use; what cannot be read in place is read into memory, within the limit.</summary>
    private void Resolve(string name)
    {
        if (!_pending.Remove(name, out var entry))
        {
            return;
        }

        var label = $"{FileName}:{FileFault.Short(name)}";
        if (entry.Stored)
        {
            using var part = new PartStream(_handle, entry.Offset, entry.Length);
            var header = NpyArray.ReadHeader(part, label);
            if (header.TypeCode is not ("U" or "S") && !(header.Fortran && header.Shape.Length > 1))
            {
                long count = 1;
                foreach (var extent in header.Shape)
                {
                    count = extent == 0 || count <= long.MaxValue / 16 / extent ? count * extent : throw TooLarge();
                }

                if (count * header.ItemSize > entry.Length - part.Position)
                {
                    throw new AnalysisException(
                        $"The array {label} is cut off: its shape {TensorHeader.Text(header.Shape)} needs {count * header.ItemSize} bytes and {entry.Length - part.Position} are there.", "Save it again with numpy.savez.");
                }

                _places[name] = new Place(new TensorHeader(TypeOf(header.TypeCode), header.Shape), entry.Offset + part.Position);
                return;
            }
        }

        try
        {
            using (var peek = Content(entry))
            {
                var header = NpyArray.ReadHeader(peek, label);
                if (header.Shape.Aggregate((double)header.ItemSize, (a, b) => a * b) > _left)
                {
                    throw TooLarge();
                }
            }

            using var content = Content(entry);
            var array = NpyArray.Read(content, label, _left);
            _left -= array.Bytes.Length;
            _held[name] = array;
        }
        catch (InvalidDataException exception)
        {
            throw new AnalysisException($"The array {label} is damaged.", "Save it again with numpy.savez.", exception);
        }

        AnalysisException TooLarge() => new(
            $"The array {label} is compressed or stored by columns and larger than the {MaxHeldBytes >> 20} MB that are held in memory for such arrays.",
            "Save it with numpy.savez (not savez_compressed) from numpy.ascontiguousarray, or as safetensors, so that it can be read in place.");
    }

    private Stream Content(ZipIndex.Entry entry)
    {
        var part = new PartStream(_handle, entry.Offset, entry.PackedLength);
        return entry.Stored ? part : new DeflateStream(part, CompressionMode.Decompress);
    }

    private readonly record struct Place(TensorHeader Header, long Offset);

    /// <summary>A part of a file as a stream.</summary>
    private sealed class PartStream(SafeFileHandle handle, long offset, long length) : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => length;

        public override long Position { get; set; }

        public override int Read(byte[] buffer, int start, int count) => Read(buffer.AsSpan(start, count));

        public override int Read(Span<byte> buffer)
        {
            var read = RandomAccess.Read(handle, buffer[..(int)Math.Min(buffer.Length, length - Position)], offset + Position);
            Position += read;
            return read;
        }

        public override void Flush()
        {
        }

        public override long Seek(long position, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int start, int count) => throw new NotSupportedException();
    }
}

/// <summary>The directory of a zip archive with the places of its data, which the framework's reader does not tell.</summary>
internal static class ZipIndex
{
    private const int MaxEntries = 10_000;
    private const int MaxDirectory = 16 << 20;
    private const int EndLength = 22;

    /// <summary>One file of an archive.</summary>
    /// <param name="Name">Its name.</param>
    /// <param name="Offset">Position of its first data byte.</param>
    /// <param name="PackedLength">Bytes in the archive.</param>
    /// <param name="Length">Bytes unpacked, as the archive claims.</param>
    /// <param name="Stored">True where it is not compressed.</param>
    public sealed record Entry(string Name, long Offset, long PackedLength, long Length, bool Stored);

    /// <summary>Reads the directory; every entry lies inside the file.</summary>
    /// <exception cref="AnalysisException">No zip archive, damaged, encrypted, split, or too many entries.</exception>
    public static IReadOnlyList<Entry> Read(SafeFileHandle handle, string fileName)
    {
        var length = RandomAccess.GetLength(handle);
        var tail = Bytes(Math.Max(0, length - EndLength - ushort.MaxValue), (int)Math.Min(length, EndLength + ushort.MaxValue));
        var end = tail.AsSpan().LastIndexOf("PK\u0005\u0006"u8);
        if (end < 0 || end + EndLength > tail.Length)
        {
            throw Damaged("it has no directory at its end, so it is cut off or no zip archive");
        }

        long count = BitConverter.ToUInt16(tail, end + 10);
        long size = BitConverter.ToUInt32(tail, end + 12);
        long start = BitConverter.ToUInt32(tail, end + 16);
        if (count == ushort.MaxValue || size == uint.MaxValue || start == uint.MaxValue)
        {
            if (end < 20 || !tail.AsSpan(end - 20, 4).SequenceEqual("PK\u0006\u0007"u8))
            {
                throw Damaged("its large directory cannot be found");
            }

            var at = BitConverter.ToInt64(tail, end - 12);
            if (at < 0 || at > length - 56)
            {
                throw Damaged("its large directory lies outside the file");
            }

            var large = Bytes(at, 56);
            if (!large.AsSpan(0, 4).SequenceEqual("PK\u0006\u0006"u8))
            {
                throw Damaged("its large directory cannot be found");
            }

            (count, size, start) = (BitConverter.ToInt64(large, 32), BitConverter.ToInt64(large, 40), BitConverter.ToInt64(large, 48));
        }

        if (count is < 0 or > MaxEntries || size is < 0 or > MaxDirectory || start < 0 || start > length - size)
        {
            throw Damaged($"its directory claims {count} entries in {size} bytes at {start}");
        }

        var directory = Bytes(start, (int)size);
        var entries = new List<Entry>();
        var position = 0;
        for (var i = 0; i < count; i++)
        {
            if (position + 46 > directory.Length || !directory.AsSpan(position, 4).SequenceEqual("PK\u0001\u0002"u8))
            {
                throw Damaged("its directory is damaged");
            }

            var flags = BitConverter.ToUInt16(directory, position + 8);
            var method = BitConverter.ToUInt16(directory, position + 10);
            long packed = BitConverter.ToUInt32(directory, position + 20);
            long unpacked = BitConverter.ToUInt32(directory, position + 24);
            int nameLength = BitConverter.ToUInt16(directory, position + 28);
            int extraLength = BitConverter.ToUInt16(directory, position + 30);
            int commentLength = BitConverter.ToUInt16(directory, position + 32);
            long local = BitConverter.ToUInt32(directory, position + 42);
            if (position + 46 + nameLength + extraLength + commentLength > directory.Length)
            {
                throw Damaged("its directory is damaged");
            }

            var name = Encoding.UTF8.GetString(directory, position + 46, nameLength);
            Widen(directory.AsSpan(position + 46 + nameLength, extraLength), ref unpacked, ref packed, ref local);
            position += 46 + nameLength + extraLength + commentLength;
            if ((flags & 1) != 0 || method is not (0 or 8))
            {
                throw Damaged($"the entry '{FileFault.Short(name)}' is encrypted or packed in a way that is not supported");
            }

            if (local < 0 || packed < 0 || unpacked < 0 || local > length - 30)
            {
                throw Damaged($"the entry '{FileFault.Short(name)}' lies outside the file");
            }

            var header = Bytes(local, 30);
            var data = local + 30 + BitConverter.ToUInt16(header, 26) + BitConverter.ToUInt16(header, 28);
            if (!header.AsSpan(0, 4).SequenceEqual("PK\u0003\u0004"u8) || data > length || packed > length - data || (method == 0 && packed != unpacked))
            {
                throw Damaged($"the entry '{FileFault.Short(name)}' is cut off or damaged");
            }

            entries.Add(new Entry(name, data, packed, unpacked, method == 0));
        }

        return entries;

        byte[] Bytes(long offset, int wanted)
        {
            var bytes = new byte[wanted];
            var done = 0;
            while (done < wanted)
            {
                var read = RandomAccess.Read(handle, bytes.AsSpan(done), offset + done);
                if (read == 0)
                {
                    throw Damaged("it ends too early");
                }

                done += read;
            }

            return bytes;
        }

        AnalysisException Damaged(string what) => new($"{fileName} cannot be read as npz: {what}.", "Save it again with numpy.savez.");
    }

    /// <summary>Sizes beyond 32 bits stand in an extra field, in this order and only those that do not fit.</summary>
    private static void Widen(ReadOnlySpan<byte> extra, ref long unpacked, ref long packed, ref long local)
    {
        while (extra.Length >= 4)
        {
            var (id, size) = (BitConverter.ToUInt16(extra), BitConverter.ToUInt16(extra[2..]));
            if (size > extra.Length - 4)
            {
                return;
            }

            if (id == 1)
            {
                var field = extra.Slice(4, size);
                Take(ref field, ref unpacked);
                Take(ref field, ref packed);
                Take(ref field, ref local);
                return;
            }

            extra = extra[(4 + size)..];
        }

        static void Take(ref ReadOnlySpan<byte> field, ref long value)
        {
            if (value == uint.MaxValue && field.Length >= 8)
            {
                value = BitConverter.ToInt64(field);
                field = field[8..];
            }
        }
    }
}
