using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace Analysis.Networks.Files;

/// <summary>
/// Interprets the part of Python's pickle language (protocols 2 to 5) that state dictionaries need, as data: dictionaries,
/// lists, tuples, numbers, texts, and tensors over storages. A pickle is a program; here the only things that it can name
/// are those of <see cref="Call"/>, each of which builds a plain value. Everything else is refused with its name. Memory is
/// bounded by the length of the pickle.
/// </summary>
internal sealed class TensorUnpickler
{
    /// <summary>Longest pickle that is read.</summary>
    public const long MaxBytes = 64L << 20;

    private const int MaxText = 1 << 20;
    private const int MaxMemo = 16 << 20;
    private const string Remedy = "Save only the weights: torch.save(model.state_dict(), file), or safetensors.";

    private static readonly Dictionary<string, ElementType> StorageTypes = new(StringComparer.Ordinal)
    {
        ["FloatStorage"] = ElementType.Float32,
        ["DoubleStorage"] = ElementType.Float64,
        ["HalfStorage"] = ElementType.Float16,
        ["BFloat16Storage"] = ElementType.BFloat16,
        ["LongStorage"] = ElementType.Int64,
        ["IntStorage"] = ElementType.Int32,
        ["ShortStorage"] = ElementType.Int16,
        ["CharStorage"] = ElementType.Int8,
        ["ByteStorage"] = ElementType.UInt8,
        ["BoolStorage"] = ElementType.Bool,
    };

    private readonly string _fileName;
    private readonly Stream _stream;
    private readonly bool _script;
    private readonly Dictionary<string, StorageReference> _storages;
    private readonly List<object?> _stack = [];
    private readonly List<int> _marks = [];
    private readonly Dictionary<uint, object?> _memo = [];
    private readonly byte[] _buffer = new byte[8];
    private long _position;

    /// <summary>Prepares to read one pickle.</summary>
    /// <param name="fileName">Name for messages.</param>
    /// <param name="stream">Positioned at the pickle; left behind its end.</param>
    /// <param name="script">True for a TorchScript archive, whose modules appear as objects.</param>
    /// <param name="storages">Receives the storages by key.</param>
    public TensorUnpickler(string fileName, Stream stream, bool script, Dictionary<string, StorageReference> storages)
    {
        _fileName = fileName;
        _stream = stream;
        _script = script;
        _storages = storages;
    }

    /// <summary>Reads one pickle.</summary>
    /// <exception cref="AnalysisException">It is damaged, too long, or asks for more than data.</exception>
    public object? Load()
    {
        while (true)
        {
            var code = ReadByte();
            switch (code)
            {
                case 0x80: // PROTO
                    if (ReadByte() is var protocol and > 5)
                    {
                        throw Damaged($"is of protocol {protocol}");
                    }

                    break;
                case 0x95: // FRAME
                    ReadInteger(8);
                    break;
                case (byte)'.':
                    return _stack.Count == 1 && _marks.Count == 0 ? _stack[0] : throw Damaged("ends with an unbalanced stack");
                case (byte)'(':
                    _marks.Add(_stack.Count);
                    break;
                case (byte)'0':
                    Pop();
                    break;
                case (byte)'1':
                    PopToMark();
                    break;
                case (byte)'N':
                    _stack.Add(null);
                    break;
                case 0x88:
                    _stack.Add(true);
                    break;
                case 0x89:
                    _stack.Add(false);
                    break;
                case (byte)'J':
                    _stack.Add((long)(int)ReadInteger(4));
                    break;
                case (byte)'K':
                    _stack.Add(ReadInteger(1));
                    break;
                case (byte)'M':
                    _stack.Add(ReadInteger(2));
                    break;
                case 0x8a:
                    _stack.Add(ReadLong((int)ReadInteger(1)));
                    break;
                case (byte)'G':
                    ReadExactly(_buffer.AsSpan(0, 8));
                    _stack.Add(BinaryPrimitives.ReadDoubleBigEndian(_buffer));
                    break;
                case (byte)'X':
                    _stack.Add(ReadText(ReadInteger(4), Encoding.UTF8));
                    break;
                case 0x8c:
                    _stack.Add(ReadText(ReadInteger(1), Encoding.UTF8));
                    break;
                case 0x8d:
                    _stack.Add(ReadText(ReadInteger(8), Encoding.UTF8));
                    break;
                case (byte)'U':
                    _stack.Add(ReadText(ReadInteger(1), Encoding.Latin1));
                    break;
                case (byte)'T':
                    _stack.Add(ReadText(ReadInteger(4), Encoding.Latin1));
                    break;
                case (byte)']':
                    _stack.Add(new List<object?>());
                    break;
                case (byte)'}':
                    _stack.Add(new PickleDictionary());
                    break;
                case (byte)')':
                    _stack.Add(Array.Empty<object?>());
                    break;
                case (byte)'t':
                    _stack.Add(PopToMark());
                    break;
                case 0x85:
                    _stack.Add(new[] { Pop() });
                    break;
                case 0x86:
                    PushTuple(2);
                    break;
                case 0x87:
                    PushTuple(3);
                    break;
                case (byte)'a':
                    var item = Pop();
                    Peek<List<object?>>("a list").Add(item);
                    break;
                case (byte)'e':
                    var items = PopToMark();
                    Peek<List<object?>>("a list").AddRange(items);
                    break;
                case (byte)'s':
                    var value = Pop();
                    Set(Peek1(Pop(), out var key), key, value);
                    break;
                case (byte)'u':
                    SetItems(PopToMark());
                    break;
                case (byte)'q':
                    Remember((uint)ReadInteger(1));
                    break;
                case (byte)'r':
                    Remember((uint)ReadInteger(4));
                    break;
                case 0x94:
                    Remember((uint)_memo.Count);
                    break;
                case (byte)'h':
                    _stack.Add(Recall((uint)ReadInteger(1)));
                    break;
                case (byte)'j':
                    _stack.Add(Recall((uint)ReadInteger(4)));
                    break;
                case (byte)'c':
                    _stack.Add(Global(ReadLine(), ReadLine()));
                    break;
                case 0x93:
                    var (name, module) = (Pop() as string, Pop() as string);
                    _stack.Add(name is not null && module is not null ? Global(module, name) : throw Damaged("names a function without text"));
                    break;
                case (byte)'R':
                    var arguments = Pop() as object?[] ?? throw Damaged("calls without a tuple of arguments");
                    var function = Pop() as PickleGlobal ?? throw Damaged("calls something that is no function");
                    _stack.Add(Call(function, arguments));
                    break;
                case 0x81: // NEWOBJ
                    NewObject();
                    break;
                case (byte)'b':
                    Build(Pop());
                    break;
                case (byte)'Q':
                    _stack.Add(Persistent(Pop()));
                    break;
                default:
                    throw Refused($"uses the instruction 0x{code:x2}, which tensors do not need");
            }
        }
    }

    private PickleDictionary Peek1(object? popped, out object? key)
    {
        key = popped;
        return Peek<PickleDictionary>("a dictionary");
    }

    private static void Set(PickleDictionary dictionary, object? key, object? value)
    {
        if (key is string text)
        {
            dictionary.Items[text] = value;
        }
    }

    private void SetItems(object?[] items)
    {
        if (items.Length % 2 != 0)
        {
            throw Damaged("gives a key without a value");
        }

        var dictionary = Peek<PickleDictionary>("a dictionary");
        for (var i = 0; i < items.Length; i += 2)
        {
            Set(dictionary, items[i], items[i + 1]);
        }
    }

    private PickleGlobal Global(string module, string name)
    {
        var known = (module, name) switch
        {
            ("collections", "OrderedDict") => true,
            ("torch._utils", "_rebuild_tensor" or "_rebuild_tensor_v2" or "_rebuild_parameter") => true,
            ("torch", "Size") => true,
            ("torch", _) when StorageTypes.ContainsKey(name) => true,
            ("torch.jit._pickle", "build_intlist" or "build_doublelist" or "build_boollist" or "build_tensorlist" or "restore_type_tag") => _script,
            _ => _script && (module == "__torch__" || module.StartsWith("__torch__.", StringComparison.Ordinal)),
        };
        return known
            ? new PickleGlobal(module, name)
            : throw Refused($"names {FileFault.Short($"{module}.{name}")}, which is not part of a state dictionary and could run code");
    }

    private object? Call(PickleGlobal function, object?[] arguments)
    {
        switch (function.FullName, arguments)
        {
            case ("collections.OrderedDict", []):
                return new PickleDictionary();
            case ("collections.OrderedDict", [List<object?> pairs]):
                return FromPairs(pairs);
            case ("torch._utils._rebuild_tensor", [StorageReference storage, long offset, object?[] shape, object?[] strides]):
                return View(storage, offset, shape, strides);
            case ("torch._utils._rebuild_tensor_v2", [StorageReference storage, long offset, object?[] shape, object?[] strides, bool, ..]):
                return View(storage, offset, shape, strides);
            case ("torch._utils._rebuild_parameter", [StoredTensor tensor, bool, ..]):
                return tensor;
            case ("torch.Size", [object?[] sizes]):
                return sizes;
            case ("torch.jit._pickle.restore_type_tag", [var value, string]):
                return value;
            case (_, [List<object?> list]) when function.Module == "torch.jit._pickle":
                return list;
            default:
                throw Refused($"calls {FileFault.Short(function.FullName)} with arguments that it does not take");
        }
    }

    private PickleDictionary FromPairs(List<object?> pairs)
    {
        var dictionary = new PickleDictionary();
        foreach (var pair in pairs)
        {
            switch (pair)
            {
                case object?[] { Length: 2 } tuple:
                    Set(dictionary, tuple[0], tuple[1]);
                    break;
                case List<object?> { Count: 2 } list:
                    Set(dictionary, list[0], list[1]);
                    break;
                default:
                    throw Damaged("makes a dictionary of something other than pairs");
            }
        }

        return dictionary;
    }

    private void NewObject()
    {
        var arguments = Pop() as object?[];
        if (Pop() is not PickleGlobal type || arguments is not { Length: 0 } || !type.Module.StartsWith("__torch__", StringComparison.Ordinal))
        {
            throw Refused("makes an object that is not a dictionary or a tensor");
        }

        _stack.Add(new ScriptObject());
    }

    private void Build(object? state)
    {
        switch (Peek<object>("an object"))
        {
            case ScriptObject target when state is PickleDictionary attributes:
                target.Attributes = attributes;
                break;
            case PickleDictionary:
                // The state of an OrderedDict is version information of the modules.
                break;
            default:
                throw Refused("sets the state of something other than a dictionary");
        }
    }

    private StorageReference Persistent(object? identifier)
    {
        if (identifier is not object?[] { Length: 5 or 6 } parts
            || parts is not ["storage", PickleGlobal { Module: "torch" } type, string key, string, long count, ..]
            || !StorageTypes.TryGetValue(type.Name, out var element))
        {
            throw Damaged("refers to a storage in a form that is not known");
        }

        if (parts is [_, _, _, _, _, not null])
        {
            throw Refused("holds a storage that is a view of another");
        }

        var storage = count is >= 0 and <= long.MaxValue / 8 ? new StorageReference(key, element, count) : throw Damaged($"states a storage of {count} elements");
        if (_storages.TryGetValue(key, out var known))
        {
            return known == storage ? known : throw Damaged($"states the storage '{FileFault.Short(key)}' with two sizes or types");
        }

        _storages.Add(key, storage);
        return storage;
    }

    private StoredTensor View(StorageReference storage, long offset, object?[] shape, object?[] strides)
    {
        if (shape.Length != strides.Length || shape.Length > 64)
        {
            throw Damaged($"holds a tensor with {shape.Length} sizes and {strides.Length} strides");
        }

        var sizes = new long[shape.Length];
        var steps = new long[shape.Length];
        for (var i = 0; i < sizes.Length; i++)
        {
            sizes[i] = shape[i] is long and >= 0 and var size ? (long)size! : throw Damaged("holds a tensor with a size that is not a whole number from 0");
            steps[i] = strides[i] is long and >= 0 and var step ? (long)step! : throw Damaged("holds a tensor with a stride that is not a whole number from 0");
        }

        var count = (Int128)1;
        var last = (Int128)offset;
        foreach (var (size, step) in sizes.Zip(steps))
        {
            // Once above the storage's count it stays refused, except for a later size of zero; 64 factors of 2^63 need a cap.
            count = Int128.Min(count * size, (Int128)long.MaxValue);
            last += (Int128)Math.Max(size - 1, 0) * step;
        }

        if (offset < 0 || count > storage.Count || (count > 0 && last >= storage.Count))
        {
            throw Damaged($"holds a tensor of shape {TensorHeader.Text(sizes)} at {offset} that leaves its storage of {storage.Count} elements");
        }

        return new StoredTensor(storage, offset, sizes, steps);
    }

    private object? Pop()
    {
        if (_stack.Count <= (_marks.Count > 0 ? _marks[^1] : 0))
        {
            throw Damaged("takes from an empty stack");
        }

        var value = _stack[^1];
        _stack.RemoveAt(_stack.Count - 1);
        return value;
    }

    private object?[] PopToMark()
    {
        if (_marks.Count == 0)
        {
            throw Damaged("takes up to a mark that was never set");
        }

        var start = _marks[^1];
        _marks.RemoveAt(_marks.Count - 1);
        var items = _stack.GetRange(start, _stack.Count - start).ToArray();
        _stack.RemoveRange(start, items.Length);
        return items;
    }

    private void PushTuple(int length)
    {
        var tuple = new object?[length];
        for (var i = length - 1; i >= 0; i--)
        {
            tuple[i] = Pop();
        }

        _stack.Add(tuple);
    }

    private T Peek<T>(string what)
        where T : class =>
        _stack.Count > (_marks.Count > 0 ? _marks[^1] : 0) && _stack[^1] is T value ? value : throw Damaged($"expects {what} where there is none");

    private void Remember(uint index)
    {
        if (_memo.Count >= MaxMemo)
        {
            throw Damaged("remembers too many values");
        }

        _memo[index] = Peek<object>("a value");
    }

    private object? Recall(uint index) => _memo.TryGetValue(index, out var value) ? value : throw Damaged($"recalls value {index}, which was never remembered");

    private byte ReadByte()
    {
        var value = _stream.ReadByte();
        if (value < 0)
        {
            throw Damaged("ends too early (is the file cut off?)");
        }

        if (++_position > MaxBytes)
        {
            throw Damaged($"is longer than {MaxBytes} bytes");
        }

        return (byte)value;
    }

    private void ReadExactly(Span<byte> destination)
    {
        _position += destination.Length;
        if (_position > MaxBytes || _stream.ReadAtLeast(destination, destination.Length, throwOnEndOfStream: false) != destination.Length)
        {
            throw Damaged("ends too early (is the file cut off?)");
        }
    }

    /// <summary>Little-endian unsigned; of 8 bytes only what fits a signed 64-bit number.</summary>
    private long ReadInteger(int bytes)
    {
        _buffer.AsSpan().Clear();
        ReadExactly(_buffer.AsSpan(0, bytes));
        var value = BinaryPrimitives.ReadInt64LittleEndian(_buffer);
        return value >= 0 ? value : throw Damaged("states a length of more than 63 bits");
    }

    /// <summary>Two's complement of up to 8 bytes; longer numbers (the magic number of the old format) as text.</summary>
    private object ReadLong(int bytes)
    {
        Span<byte> data = stackalloc byte[255];
        data = data[..bytes];
        ReadExactly(data);
        if (bytes > 8)
        {
            return new System.Numerics.BigInteger(data).ToString(CultureInfo.InvariantCulture);
        }

        var value = 0L;
        for (var i = bytes - 1; i >= 0; i--)
        {
            value = (value << 8) | data[i];
        }

        return bytes is 0 or 8 ? value : (value << (64 - (8 * bytes))) >> (64 - (8 * bytes));
    }

    private string ReadText(long length, Encoding encoding)
    {
        if (length > MaxText)
        {
            throw Damaged($"holds a text of {length} bytes");
        }

        var bytes = new byte[length];
        ReadExactly(bytes);
        return encoding.GetString(bytes);
    }

    private string ReadLine()
    {
        var bytes = new List<byte>();
        for (var value = ReadByte(); value != '\n'; value = ReadByte())
        {
            bytes.Add(value);
            if (bytes.Count > 1000)
            {
                throw Damaged("names something with more than 1000 characters");
            }
        }

        return Encoding.UTF8.GetString([.. bytes]);
    }

    private AnalysisException Damaged(string fault) =>
        new($"{_fileName}: the pickle {fault} (at its byte {_position}).", "The file is damaged or not a PyTorch checkpoint.");

    private AnalysisException Refused(string fault) => new($"{_fileName} was refused: the pickle {fault}.", Remedy);
}
