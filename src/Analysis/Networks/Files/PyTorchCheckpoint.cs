using System.IO.Compression;

namespace Analysis.Networks.Files;

/// <summary>
/// The tensors of a file that torch.save or torch.jit.save wrote: the zip container (<c>data.pkl</c> and one entry a storage)
/// and the older stream of pickles. Nothing in it is executed (<see cref="TensorUnpickler"/>), no entry is extracted by its name,
/// and what an entry unpacks to is bounded. Values are read when asked for. A state dictionary may stand under
/// <c>state_dict</c>, <c>model_state_dict</c> or <c>model</c>; the prefix <c>module.</c> of parallel training is removed.
/// </summary>
public sealed class PyTorchCheckpoint : ITensorFile
{
    private const string Magic = "119547037146038801333356";
    private const int MaxEntries = 200_000;
    private const int MaxObjects = 1_000_000;
    private const int MaxDepth = 64;

    private readonly FileStream _stream;
    private readonly ZipArchive? _zip;
    private readonly Dictionary<string, ZipArchiveEntry> _entries = new(StringComparer.Ordinal);
    private readonly Dictionary<string, long> _positions = new(StringComparer.Ordinal);
    private readonly Dictionary<string, TensorHeader> _headers = new(StringComparer.Ordinal);
    private readonly string _prefix = "";

    private PyTorchCheckpoint(string path, FileStream stream)
    {
        FileName = Path.GetFileName(path);
        _stream = stream;
        var first = stream.ReadByte();
        stream.Position = 0;
        object? root;
        if (first == 'P')
        {
            _zip = OpenZip();
            _prefix = FindPrefix();
            IsScript = _entries.ContainsKey($"{_prefix}constants.pkl") || _entries.Keys.Any(n => n.StartsWith($"{_prefix}code/", StringComparison.Ordinal));
            root = ReadPickle();
        }
        else if (first == 0x80)
        {
            root = ReadStream();
        }
        else
        {
            throw new AnalysisException(
                $"{FileName} is not a PyTorch file: it starts with neither a zip archive nor a pickle.", "Give a file written by torch.save, or safetensors.");
        }

        Collect(root);
    }

    /// <inheritdoc/>
    public string FileName { get; }

    /// <summary>True for a TorchScript archive, which also holds code; its tensors are named as in its state dictionary.</summary>
    public bool IsScript { get; }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, TensorHeader> Headers => _headers;

    /// <summary>Opens a file and reads its structure.</summary>
    /// <exception cref="AnalysisException">The file cannot be read, is damaged, or asks for more than data.</exception>
    public static PyTorchCheckpoint Open(string path)
    {
        FileStream? stream = null;
        try
        {
            stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
            return new PyTorchCheckpoint(path, stream);
        }
        catch (Exception exception)
        {
            stream?.Dispose();
            if (exception is IOException or UnauthorizedAccessException or InvalidDataException or NotSupportedException)
            {
                throw Unreadable(Path.GetFileName(path), exception);
            }

            throw;
        }
    }

    /// <inheritdoc/>
    public float[] ReadFloats(string name)
    {
        if (!_headers.TryGetValue(name, out var header))
        {
            throw new AnalysisException($"{FileName} has no tensor '{name}'.", $"It holds {FileFault.List(_headers.Keys)}.");
        }

        var tensor = (StoredTensor)header;
        var size = tensor.Type.Size();
        if (tensor.Count > Array.MaxLength || tensor.Extent > Array.MaxLength / size)
        {
            throw new AnalysisException($"{FileName}: tensor '{name}' of shape {tensor.ShapeText} is too large for one weight.");
        }

        if (tensor.Count == 0)
        {
            return [];
        }

        try
        {
            var bytes = new byte[tensor.Extent * size];
            if (_zip is null)
            {
                _stream.Position = _positions[tensor.Storage.Key] + (tensor.Offset * size);
                _stream.ReadExactly(bytes);
            }
            else
            {
                ReadEntry(name, tensor, bytes);
            }

            var values = new float[tensor.Extent];
            ElementConversion.ToFloats(tensor.Type, bytes, values);
            return Arrange(values, tensor);
        }
        catch (Exception exception) when (exception is IOException or InvalidDataException or NotSupportedException)
        {
            throw Unreadable(FileName, exception);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _zip?.Dispose();
        _stream.Dispose();
    }

    private static AnalysisException Unreadable(string fileName, Exception exception) => new(
        $"{fileName} cannot be read: {(exception is InvalidDataException or NotSupportedException ? "its zip archive is damaged or cut off" : FileFault.Describe(exception))}.",
        "Check the path and the file, or copy it again.",
        exception);

    /// <summary>Brings elements with any strides into row-major order.</summary>
    private static float[] Arrange(float[] values, StoredTensor tensor)
    {
        var contiguous = true;
        var expected = 1L;
        for (var i = tensor.Shape.Count - 1; i >= 0; i--)
        {
            contiguous &= tensor.Shape[i] == 1 || tensor.Strides[i] == expected;
            expected *= tensor.Shape[i];
        }

        if (contiguous)
        {
            return values;
        }

        var result = new float[tensor.Count];
        var index = new long[tensor.Shape.Count];
        var source = 0L;
        for (var i = 0; i < result.Length; i++)
        {
            result[i] = values[source];
            for (var d = index.Length - 1; d >= 0; d--)
            {
                source += tensor.Strides[d];
                if (++index[d] < tensor.Shape[d])
                {
                    break;
                }

                source -= tensor.Strides[d] * tensor.Shape[d];
                index[d] = 0;
            }
        }

        return result;
    }

    private ZipArchive OpenZip()
    {
        var zip = new ZipArchive(_stream, ZipArchiveMode.Read, leaveOpen: true);
        if (zip.Entries.Count > MaxEntries)
        {
            throw new AnalysisException($"{FileName} has {zip.Entries.Count} entries; at most {MaxEntries} are read.", "Save only the weights.");
        }

        foreach (var entry in zip.Entries)
        {
            var parts = entry.FullName.Split('/', '\\');
            if (parts.Contains("..") || entry.FullName.StartsWith('/') || entry.FullName.Contains(':', StringComparison.Ordinal))
            {
                throw new AnalysisException(
                    $"{FileName} was refused: its entry '{FileFault.Short(entry.FullName)}' points outside the archive.", "Get the file from a source you trust.");
            }

            if (!_entries.TryAdd(entry.FullName, entry))
            {
                throw new AnalysisException($"{FileName} was refused: its entry '{FileFault.Short(entry.FullName)}' stands there twice.", "Save it again.");
            }
        }

        return zip;
    }

    private string FindPrefix()
    {
        var pickles = _entries.Keys.Where(n => n.EndsWith("/data.pkl", StringComparison.Ordinal) && n.IndexOf('/') == n.Length - 9).ToList();
        if (pickles.Count != 1)
        {
            throw new AnalysisException(
                $"{FileName} is a zip archive but not a PyTorch file: it holds {(pickles.Count == 0 ? "no data.pkl" : "several data.pkl")}.",
                "Give a file written by torch.save, or safetensors.");
        }

        var prefix = pickles[0][..^"data.pkl".Length];
        if (_entries.TryGetValue($"{prefix}byteorder", out var order))
        {
            using var reader = new StreamReader(order.Open());
            var text = new char[16];
            var length = reader.ReadBlock(text);
            if (new string(text, 0, length).Trim() != "little")
            {
                throw new AnalysisException($"{FileName} is stored with another byte order than little-endian.", "Save it again on an ordinary machine.");
            }
        }

        return prefix;
    }

    private object? ReadPickle()
    {
        var entry = _entries[$"{_prefix}data.pkl"];
        if (entry.Length > TensorUnpickler.MaxBytes)
        {
            throw new AnalysisException($"{FileName}: data.pkl unpacks to {entry.Length} bytes; at most {TensorUnpickler.MaxBytes} are read.", "Save only the weights.");
        }

        using var stream = new BufferedStream(entry.Open(), 1 << 16);
        return new TensorUnpickler(FileName, stream, IsScript, new Dictionary<string, StorageReference>(StringComparer.Ordinal)).Load();
    }

    /// <summary>The older container: magic number, version, system, object, storage keys, then the storages in the order of the keys.</summary>
    private object? ReadStream()
    {
        var storages = new Dictionary<string, StorageReference>(StringComparer.Ordinal);
        object? Next() => new TensorUnpickler(FileName, _stream, script: false, storages).Load();

        if (Next() is not string magic || magic != Magic)
        {
            throw new AnalysisException($"{FileName} is a pickle but not a PyTorch file.", "Give a file written by torch.save, or safetensors.");
        }

        var version = Next();
        var system = Next();
        if (version is not 1001L || system is not PickleDictionary information || information.Items.GetValueOrDefault("little_endian") is not true)
        {
            throw new AnalysisException($"{FileName} is a PyTorch file of a version or byte order that is not known here.", "Save it again with a current PyTorch.");
        }

        var root = Next();
        if (Next() is not List<object?> keys)
        {
            throw new AnalysisException($"{FileName} lists no storages.", "The file is damaged.");
        }

        Span<byte> prefix = stackalloc byte[8];
        foreach (var item in keys)
        {
            if (item is not string key || !storages.TryGetValue(key, out var storage))
            {
                throw new AnalysisException($"{FileName} lists a storage that nothing in it refers to.", "The file is damaged; copy it again.");
            }

            _stream.ReadExactly(prefix);
            var count = BitConverter.ToInt64(prefix);
            var position = _stream.Position;
            if (count != storage.Count || count > (_stream.Length - position) / storage.Type.Size())
            {
                throw new AnalysisException(
                    $"{FileName}: a storage of {storage.Count} elements is announced, but {count} follow and {_stream.Length - position} bytes are left (is it cut off?).",
                    "Copy the file again.");
            }

            _positions[key] = position;
            _stream.Position = position + (count * storage.Type.Size());
        }

        foreach (var storage in storages.Values)
        {
            if (!_positions.ContainsKey(storage.Key))
            {
                throw new AnalysisException($"{FileName}: the storage '{FileFault.Short(storage.Key)}' is missing.", "Copy the file again.");
            }
        }

        return root;
    }

    private void Collect(object? root)
    {
        var found = Tensors(root);
        if (found.Count == 0)
        {
            throw new AnalysisException(
                $"{FileName} holds no tensors by name.", "Save the weights: torch.save(model.state_dict(), file).");
        }

        var parallel = found.All(t => t.Name.StartsWith("module.", StringComparison.Ordinal));
        foreach (var (name, tensor) in found)
        {
            if (_zip is not null)
            {
                CheckEntry(name, tensor);
            }

            _headers[parallel ? name["module.".Length..] : name] = tensor;
        }
    }

    private List<(string Name, StoredTensor Tensor)> Tensors(object? root)
    {
        var found = new List<(string, StoredTensor)>();
        if (root is ScriptObject script)
        {
            var budget = MaxObjects;
            Walk(script, "", 0, ref budget, found);
            return found;
        }

        if (root is not PickleDictionary dictionary)
        {
            return found;
        }

        foreach (var key in (ReadOnlySpan<string>)["state_dict", "model_state_dict", "model"])
        {
            if (dictionary.Items.GetValueOrDefault(key) is PickleDictionary inner)
            {
                dictionary = inner;
                break;
            }
        }

        foreach (var (name, value) in dictionary.Items)
        {
            if (value is StoredTensor tensor)
            {
                found.Add((name, tensor));
            }
        }

        return found;
    }

    private void Walk(ScriptObject module, string prefix, int depth, ref int budget, List<(string, StoredTensor)> found)
    {
        if (depth > MaxDepth)
        {
            throw new AnalysisException($"{FileName} nests its modules more than {MaxDepth} deep.", "Save only the weights.");
        }

        foreach (var (name, value) in module.Attributes.Items)
        {
            if (--budget < 0)
            {
                throw new AnalysisException($"{FileName} holds more than {MaxObjects} attributes.", "Save only the weights.");
            }

            if (value is StoredTensor tensor)
            {
                found.Add((prefix + name, tensor));
            }
            else if (value is ScriptObject child)
            {
                Walk(child, $"{prefix}{name}.", depth + 1, ref budget, found);
            }
        }
    }

    /// <summary>Requires that the entry has the size of the storage, and that it does not unpack to far more than the file holds.</summary>
    private ZipArchiveEntry CheckEntry(string name, StoredTensor tensor)
    {
        if (!_entries.TryGetValue($"{_prefix}data/{tensor.Storage.Key}", out var entry))
        {
            throw new AnalysisException($"{FileName}: the data of tensor '{FileFault.Short(name)}' are missing.", "Copy the file again.");
        }

        var bytes = tensor.Storage.Count * tensor.Type.Size();
        if (entry.Length != bytes)
        {
            throw new AnalysisException(
                $"{FileName}: the data of tensor '{FileFault.Short(name)}' have {entry.Length} bytes instead of {bytes}.", "Copy the file again.");
        }

        // Weights hardly shrink; a thousandfold ratio is an attack on the memory.
        return entry.Length <= (16L << 20) + (64 * entry.CompressedLength)
            ? entry
            : throw new AnalysisException(
                $"{FileName} was refused: the data of tensor '{FileFault.Short(name)}' unpack from {entry.CompressedLength} to {entry.Length} bytes.",
                "Get the file from a source you trust.");
    }

    private void ReadEntry(string name, StoredTensor tensor, byte[] destination)
    {
        var entry = CheckEntry(name, tensor);
        var skip = tensor.Offset * tensor.Type.Size();
        var checksum = new Crc32();
        using var stream = entry.Open();
        var buffer = new byte[1 << 16];
        var position = 0L;
        int read;
        while ((read = stream.Read(buffer)) > 0)
        {
            checksum.Add(buffer.AsSpan(0, read));
            var from = Math.Max(position, skip);
            var to = Math.Min(position + read, skip + destination.Length);
            if (from < to)
            {
                buffer.AsSpan((int)(from - position), (int)(to - from)).CopyTo(destination.AsSpan((int)(from - skip)));
            }

            position += read;
            if (position > entry.Length)
            {
                break;
            }
        }

        if (position != entry.Length || checksum.Value != entry.Crc32)
        {
            throw new AnalysisException($"{FileName}: the data of tensor '{FileFault.Short(name)}' are damaged (checksum or length).", "Copy the file again.");
        }
    }

    /// <summary>The checksum of zip archives (ISO 3309, polynomial 0xEDB88320).</summary>
    private sealed class Crc32
    {
        private static readonly uint[] Table = MakeTable();
        private uint _state = uint.MaxValue;

        public uint Value => ~_state;

        public void Add(ReadOnlySpan<byte> bytes)
        {
            var state = _state;
            foreach (var value in bytes)
            {
                state = (state >> 8) ^ Table[(byte)(state ^ value)];
            }

            _state = state;
        }

        private static uint[] MakeTable()
        {
            var table = new uint[256];
            for (var i = 0u; i < 256; i++)
            {
                var value = i;
                for (var bit = 0; bit < 8; bit++)
                {
                    value = (value & 1) != 0 ? (value >> 1) ^ 0xEDB88320 : value >> 1;
                }

                table[i] = value;
            }

            return table;
        }
    }
}
