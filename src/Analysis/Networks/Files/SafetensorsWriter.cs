using System.Runtime.InteropServices;
using System.Text.Json;

namespace Analysis.Networks.Files;

/// <summary>
/// Writes a safetensors file of any size with constant memory: the tensors are declared first, then their elements are
/// appended in the order of declaration. The data start at a multiple of 8. The same declarations and values give the same
/// bytes. The file appears under its name only when <see cref="Complete"/> has flushed it to the disk; disposed before,
/// it leaves nothing.
/// </summary>
public sealed class SafetensorsWriter : IDisposable
{
    private readonly string _path;
    private readonly string _temporary;
    private readonly FileStream _stream;
    private readonly IReadOnlyList<(string Name, TensorHeader Header, long Length)> _tensors;
    private int _current;
    private long _written;
    private bool _completed;

    private SafetensorsWriter(string path, IReadOnlyList<(string Name, TensorHeader Header, long Length)> tensors, byte[] header)
    {
        _path = path;
        _tensors = tensors;
        _temporary = $"{path}.{Environment.ProcessId}.partial";
        _stream = new FileStream(_temporary, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16);
        try
        {
            _stream.Write(BitConverter.GetBytes((ulong)header.Length));
            _stream.Write(header);
        }
        catch
        {
            Dispose();
            throw;
        }

        SkipEmpty();
    }

    /// <summary>Begins a file.</summary>
    /// <param name="path">Where the finished file shall stand; replaced if it exists.</param>
    /// <param name="tensors">Names, types and shapes in the order of writing.</param>
    /// <param name="metadata">Free text for the header; sorted by key.</param>
    /// <exception cref="ArgumentException">A name is repeated or reserved, or a size is negative or too large.</exception>
    public static SafetensorsWriter Create(
        string path, IReadOnlyList<(string Name, TensorHeader Header)> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var sized = new List<(string Name, TensorHeader Header, long Length)>(tensors.Count);
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (name, header) in tensors)
        {
            if (name == "__metadata__" || !names.Add(name))
            {
                throw new ArgumentException($"Tensor name '{name}' is reserved or repeated.", nameof(tensors));
            }

            long length = header.Type.Size();
            foreach (var size in header.Shape)
            {
                ArgumentOutOfRangeException.ThrowIfNegative(size, nameof(tensors));
                length = checked(length * size);
            }

            sized.Add((name, header, length));
        }

        return new SafetensorsWriter(path, sized, Header(sized, metadata));
    }

    /// <summary>Appends elements to a tensor, which must be the one whose turn it is.</summary>
    /// <typeparam name="T">The declared type (<see cref="ushort"/> for bfloat16), or <see cref="byte"/> for raw bytes of any type.</typeparam>
    /// <exception cref="InvalidOperationException">The tensor's turn has not come or is over, the type differs, or it would overflow.</exception>
    public void Write<T>(string name, ReadOnlySpan<T> values)
        where T : unmanaged
    {
        if (values.IsEmpty)
        {
            return;
        }

        if (_current == _tensors.Count || _tensors[_current].Name != name)
        {
            throw new InvalidOperationException(
                $"Tensor '{name}' cannot be written now; next is {(_current == _tensors.Count ? "nothing" : $"'{_tensors[_current].Name}'")}.");
        }

        var (_, header, length) = _tensors[_current];
        if (typeof(T) != typeof(byte) && !header.Type.Matches<T>())
        {
            throw new InvalidOperationException($"Tensor '{name}' is {header.Type.SafetensorsName()}, not {typeof(T).Name}.");
        }

        var bytes = MemoryMarshal.AsBytes(values);
        if (bytes.Length > length - _written)
        {
            throw new InvalidOperationException($"Tensor '{name}' takes {length} bytes; {_written + bytes.Length} were written.");
        }

        _stream.Write(bytes);
        _written += bytes.Length;
        if (_written == length)
        {
            _current++;
            _written = 0;
            SkipEmpty();
        }
    }

    /// <summary>Flushes to the disk and gives the file its name.</summary>
    /// <exception cref="InvalidOperationException">Elements are missing.</exception>
    public void Complete()
    {
        if (_current != _tensors.Count)
        {
            throw new InvalidOperationException($"Tensor '{_tensors[_current].Name}' is not complete: {_written} of {_tensors[_current].Length} bytes.");
        }

        _stream.Flush(flushToDisk: true);
        _stream.Dispose();
        File.Move(_temporary, _path, overwrite: true);
        _completed = true;
    }

    /// <summary>Removes what was written unless the file is complete.</summary>
    public void Dispose()
    {
        try
        {
            _stream.Dispose();
        }
        finally
        {
            if (!_completed)
            {
                File.Delete(_temporary);
            }
        }
    }

    private static byte[] Header(List<(string Name, TensorHeader Header, long Length)> tensors, IReadOnlyDictionary<string, string>? metadata)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            if (metadata is { Count: > 0 })
            {
                json.WriteStartObject("__metadata__");
                foreach (var (key, value) in metadata.OrderBy(m => m.Key, StringComparer.Ordinal))
                {
                    json.WriteString(key, value);
                }

                json.WriteEndObject();
            }

            var position = 0L;
            foreach (var (name, header, length) in tensors)
            {
                json.WriteStartObject(name);
                json.WriteString("dtype", header.Type.SafetensorsName());
                json.WriteStartArray("shape");
                foreach (var size in header.Shape)
                {
                    json.WriteNumberValue(size);
                }

                json.WriteEndArray();
                json.WriteStartArray("data_offsets");
                json.WriteNumberValue(position);
                position = checked(position + length);
                json.WriteNumberValue(position);
                json.WriteEndArray();
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        while (buffer.Length % 8 != 0)
        {
            buffer.WriteByte((byte)' ');
        }

        return buffer.Length <= SafetensorsFile.MaxHeaderLength
            ? buffer.ToArray()
            : throw new ArgumentException($"The header takes {buffer.Length} bytes, more than readers accept.", nameof(tensors));
    }

    private void SkipEmpty()
    {
        while (_current < _tensors.Count && _tensors[_current].Length == 0)
        {
            _current++;
        }
    }
}
