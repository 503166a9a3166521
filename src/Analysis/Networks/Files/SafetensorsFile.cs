using System.Diagnostics.CodeAnalysis;
using System.IO.MemoryMappedFiles;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;

namespace Analysis.Networks.Files;

/// <summary>One tensor of a safetensors file.</summary>
/// <param name="Name">Name in the header.</param>
/// <param name="Type">Type of the elements.</param>
/// <param name="Shape">Sizes, none negative; empty for a scalar.</param>
/// <param name="Offset">Position of the first byte in the file.</param>
/// <param name="Length">Number of bytes.</param>
public sealed record SafetensorsEntry(string Name, ElementType Type, IReadOnlyList<long> Shape, long Offset, long Length)
    : TensorHeader(Type, Shape);

/// <summary>
/// A memory-mapped safetensors file: 8 bytes header length, a JSON header, the data. Everything is checked on opening, so
/// that a tensor's bytes are inside the file whatever the header says. Reading costs no copy and never loads libtorch
/// (<see cref="SafetensorsTensors"/> makes tensors). Spans are valid until the file is disposed. The file must not be
/// shortened while it is open; <see cref="SafetensorsWriter"/> replaces files by renaming, which is safe.
/// </summary>
public sealed unsafe class SafetensorsFile : ITensorFile
{
    /// <summary>Longest header that is read, in bytes.</summary>
    public const int MaxHeaderLength = 100_000_000;

    private readonly MemoryMappedFile _map;
    private readonly MemoryMappedViewAccessor _view;
    private readonly Dictionary<string, SafetensorsEntry> _entries;
    private readonly HeaderView _headers;
    private byte* _start;

    private SafetensorsFile(string path, FileStream stream)
    {
        FileName = Path.GetFileName(path);
        FilePath = path;
        var length = stream.Length;
        if (length < 8)
        {
            throw Invalid($"has {length} bytes; a safetensors file starts with an 8-byte header length");
        }

        Span<byte> prefix = stackalloc byte[8];
        stream.ReadExactly(prefix);
        var headerLength = BitConverter.ToUInt64(prefix);
        if (headerLength > MaxHeaderLength)
        {
            throw Invalid($"states a header of {headerLength} bytes; at most {MaxHeaderLength} are read");
        }

        if (headerLength > (ulong)(length - 8))
        {
            throw Invalid($"states a header of {headerLength} bytes but has only {length - 8} after the length");
        }

        var header = new byte[headerLength];
        stream.ReadExactly(header);
        DataOffset = 8 + (long)headerLength;
        (_entries, Metadata) = ParseHeader(header, length - DataOffset);
        _headers = new HeaderView(_entries);
        CheckCoverage(length - DataOffset);

        _map = MemoryMappedFile.CreateFromFile(stream, null, 0, MemoryMappedFileAccess.Read, HandleInheritability.None, leaveOpen: false);
        _view = _map.CreateViewAccessor(0, length, MemoryMappedFileAccess.Read);
        _view.SafeMemoryMappedViewHandle.AcquirePointer(ref _start);
        _start += _view.PointerOffset;
    }

    /// <summary>The file's name without folders.</summary>
    public string FileName { get; }

    /// <summary>The path it was opened with.</summary>
    public string FilePath { get; }

    /// <summary>Position of the first data byte.</summary>
    public long DataOffset { get; }

    /// <summary>Free text of the header's <c>__metadata__</c>.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>The tensors by name.</summary>
    public IReadOnlyDictionary<string, SafetensorsEntry> Entries => _entries;

    IReadOnlyDictionary<string, TensorHeader> ITensorFile.Headers => _headers;

    /// <summary>Opens and checks a file.</summary>
    /// <exception cref="AnalysisException">The file cannot be read or is not valid; the message names file, tensor and value.</exception>
    public static SafetensorsFile Open(string path)
    {
        FileStream? stream = null;
        try
        {
            stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 1);
            return new SafetensorsFile(path, stream);
        }
        catch (Exception exception)
        {
            stream?.Dispose();
            if (exception is IOException or UnauthorizedAccessException or NotSupportedException)
            {
                throw new AnalysisException(
                    $"{Path.GetFileName(path)} cannot be read: {FileFault.Describe(exception)}.", "Check the path and its permissions.", exception);
            }

            throw;
        }
    }

    /// <summary>True where the file holds a tensor of this name.</summary>
    public bool TryGet(string name, [NotNullWhen(true)] out SafetensorsEntry? entry) => _entries.TryGetValue(name, out entry);

    /// <summary>The entry of a tensor.</summary>
    /// <exception cref="AnalysisException">There is none of this name.</exception>
    public SafetensorsEntry Entry(string name) => _entries.TryGetValue(name, out var entry)
        ? entry
        : throw new AnalysisException($"{FileName} has no tensor '{name}'.", $"It holds {FileFault.List(_entries.Keys)}.");

    /// <summary>The bytes of a tensor of less than 2 GiB.</summary>
    /// <exception cref="AnalysisException">The tensor is missing or larger.</exception>
    public ReadOnlySpan<byte> Bytes(string name)
    {
        var entry = Entry(name);
        return entry.Length <= int.MaxValue
            ? Bytes(entry, 0, (int)entry.Length)
            : throw new AnalysisException($"{FileName}: tensor '{name}' has {entry.Length} bytes, more than fit one span.", "Read it in parts.");
    }

    /// <summary>A part of a tensor's bytes.</summary>
    /// <param name="entry">An entry of this file.</param>
    /// <param name="start">First byte, counted from the tensor's start.</param>
    /// <param name="length">Number of bytes.</param>
    public ReadOnlySpan<byte> Bytes(SafetensorsEntry entry, long start, int length)
    {
        ObjectDisposedException.ThrowIf(_start == null, this);
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, entry.Length - length);
        return new ReadOnlySpan<byte>(_start + entry.Offset + start, length);
    }

    /// <summary>The elements of a tensor of less than 2 GiB, without a copy.</summary>
    /// <typeparam name="T">The stored type (<see cref="ushort"/> for bfloat16).</typeparam>
    /// <exception cref="AnalysisException">The tensor is missing, larger, or of another type.</exception>
    public ReadOnlySpan<T> Span<T>(string name)
        where T : unmanaged
    {
        var entry = Entry(name);
        return entry.Type.Matches<T>()
            ? MemoryMarshal.Cast<byte, T>(Bytes(name))
            : throw new AnalysisException($"{FileName}: tensor '{name}' is {entry.Type.SafetensorsName()}, not {typeof(T).Name}.");
    }

    /// <summary>Rows of a tensor (slices along its first dimension) without a copy.</summary>
    /// <typeparam name="T">The stored type.</typeparam>
    /// <param name="name">A tensor with at least one dimension.</param>
    /// <param name="row">First row.</param>
    /// <param name="count">Number of rows; together less than 2 GiB.</param>
    public ReadOnlySpan<T> Rows<T>(string name, long row, int count)
        where T : unmanaged
    {
        var entry = Entry(name);
        if (!entry.Type.Matches<T>() || entry.Shape.Count == 0)
        {
            throw new AnalysisException(
                $"{FileName}: tensor '{name}' is {entry.Type.SafetensorsName()} {entry.ShapeText}; rows of {typeof(T).Name} were asked for.");
        }

        ArgumentOutOfRangeException.ThrowIfNegative(row);
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(row + count, entry.Shape[0]);
        var stride = entry.Shape[0] == 0 ? 0 : entry.Length / entry.Shape[0];
        return MemoryMarshal.Cast<byte, T>(Bytes(entry, row * stride, checked((int)(count * stride))));
    }

    /// <inheritdoc/>
    public float[] ReadFloats(string name)
    {
        var entry = Entry(name);
        var count = entry.Length / entry.Type.Size();
        if (count > Array.MaxLength || entry.Length > int.MaxValue)
        {
            throw new AnalysisException($"{FileName}: tensor '{name}' has {count} elements, too many for one weight.");
        }

        var values = new float[count];
        ElementConversion.ToFloats(entry.Type, Bytes(name), values);
        return values;
    }

    /// <summary>Releases the mapping; spans must not be used afterwards.</summary>
    public void Dispose()
    {
        if (_start != null)
        {
            _start = null;
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
            _map.Dispose();
        }
    }

    private (Dictionary<string, SafetensorsEntry> Entries, IReadOnlyDictionary<string, string> Metadata) ParseHeader(byte[] header, long dataLength)
    {
        var entries = new Dictionary<string, SafetensorsEntry>(StringComparer.Ordinal);
        IReadOnlyDictionary<string, string>? metadata = null;
        try
        {
            var reader = new Utf8JsonReader(header);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                throw Invalid("has a header that is not a JSON object");
            }

            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var name = reader.GetString()!;
                reader.Read();
                if (name == "__metadata__")
                {
                    metadata = metadata is null ? ParseMetadata(ref reader) : throw Invalid("has __metadata__ twice in its header");
                    continue;
                }

                if (!entries.TryAdd(name, ParseEntry(ref reader, name, dataLength)))
                {
                    throw Invalid($"names tensor '{FileFault.Short(name)}' twice in its header");
                }
            }

            // Only padding may follow; the reader throws on anything else.
            while (reader.Read())
            {
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or DecoderFallbackException)
        {
            var at = exception is JsonException { BytePositionInLine: { } position, LineNumber: { } line } ? $" (line {line + 1}, byte {position + 1})" : "";
            throw Invalid($"has a header that is not valid JSON{at}", exception);
        }

        return (entries, metadata ?? new Dictionary<string, string>());
    }

    private Dictionary<string, string> ParseMetadata(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw Invalid("has __metadata__ that is not an object of strings");
        }

        var metadata = new Dictionary<string, string>(StringComparer.Ordinal);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var key = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
            {
                throw Invalid($"has __metadata__ '{FileFault.Short(key)}' that is not a string");
            }

            if (!metadata.TryAdd(key, reader.GetString()!))
            {
                throw Invalid($"has __metadata__ '{FileFault.Short(key)}' twice");
            }
        }

        return metadata;
    }

    private SafetensorsEntry ParseEntry(ref Utf8JsonReader reader, string name, long dataLength)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw InvalidTensor(name, "is not described by an object");
        }

        ElementType? type = null;
        List<long>? shape = null;
        List<long>? offsets = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var key = reader.GetString()!;
            reader.Read();
            switch (key)
            {
                case "dtype":
                    if (type is not null || reader.TokenType != JsonTokenType.String)
                    {
                        throw InvalidTensor(name, "has a dtype that is repeated or not a string");
                    }

                    var text = reader.GetString()!;
                    type = ElementTypes.FromSafetensorsName(text)
                        ?? throw InvalidTensor(name, $"has dtype '{FileFault.Short(text)}', which is not known here");
                    break;
                case "shape":
                    shape = shape is null ? ParseNumbers(ref reader, name, key) : throw InvalidTensor(name, "has its shape twice");
                    break;
                case "data_offsets":
                    offsets = offsets is null ? ParseNumbers(ref reader, name, key) : throw InvalidTensor(name, "has its data_offsets twice");
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        if (type is not { } elementType || shape is null || offsets is not [var begin, var end])
        {
            throw InvalidTensor(name, "lacks its dtype, its shape or its two data_offsets");
        }

        if (shape.Count > 64)
        {
            throw InvalidTensor(name, $"has {shape.Count} dimensions");
        }

        var count = 1L;
        foreach (var size in shape)
        {
            if (size < 0)
            {
                throw InvalidTensor(name, $"has shape {TensorHeader.Text(shape)} with a negative size");
            }

            // A zero anywhere makes the product zero, whatever the other sizes are.
            if (size != 0 && count > long.MaxValue / 8 / size)
            {
                throw InvalidTensor(name, $"has shape {TensorHeader.Text(shape)}, more elements than 64 bits can count");
            }

            count *= size;
        }

        if (begin < 0 || end < begin)
        {
            throw InvalidTensor(name, $"has data_offsets [{begin}, {end}], which are negative or reversed");
        }

        if (end > dataLength)
        {
            throw InvalidTensor(name, $"has data_offsets [{begin}, {end}] but the file holds {dataLength} data bytes (is it cut off?)");
        }

        var bytes = count * elementType.Size();
        return bytes == end - begin
            ? new SafetensorsEntry(name, elementType, shape, DataOffset + begin, bytes)
            : throw InvalidTensor(name, $"has shape {TensorHeader.Text(shape)} of {elementType.SafetensorsName()} ({bytes} bytes) over {end - begin} bytes of data");
    }

    private List<long> ParseNumbers(ref Utf8JsonReader reader, string name, string key)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            throw InvalidTensor(name, $"has a {key} that is not a list of numbers");
        }

        var numbers = new List<long>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var value))
            {
                throw InvalidTensor(name, $"has a {key} with an entry that is not a whole number of 64 bits");
            }

            numbers.Add(value);
        }

        return numbers;
    }

    /// <summary>Requires the tensors to cover the data exactly once: two tensors over the same bytes, or bytes that belong to none, are refused.</summary>
    private void CheckCoverage(long dataLength)
    {
        var ordered = _entries.Values.OrderBy(e => e.Offset).ThenBy(e => e.Length).ThenBy(e => e.Name, StringComparer.Ordinal);
        var position = DataOffset;
        var previous = "";
        foreach (var entry in ordered)
        {
            if (entry.Offset < position)
            {
                throw InvalidTensor(entry.Name, $"starts at data byte {entry.Offset - DataOffset}, inside tensor '{FileFault.Short(previous)}', which ends at {position - DataOffset}");
            }

            if (entry.Offset > position)
            {
                throw InvalidTensor(entry.Name, $"starts at data byte {entry.Offset - DataOffset}; the bytes from {position - DataOffset} belong to no tensor");
            }

            position += entry.Length;
            previous = entry.Name;
        }

        if (position - DataOffset != dataLength)
        {
            throw Invalid($"holds {dataLength} data bytes but its tensors take {position - DataOffset}");
        }
    }

    private AnalysisException Invalid(string fault, Exception? inner = null) =>
        new($"{FileName} {fault}.", "Save the file again; it is damaged or not safetensors.", inner);

    private AnalysisException InvalidTensor(string name, string fault) =>
        new($"{FileName}: tensor '{FileFault.Short(name)}' {fault}.", "Save the file again; it is damaged or not safetensors.");
}
