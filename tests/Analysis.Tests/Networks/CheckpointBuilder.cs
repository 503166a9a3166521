using System.Globalization;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text;

namespace Analysis.Tests.Networks;

/// <summary>Writes small checkpoints the way torch.save does, and deliberately wrong ones.</summary>
internal sealed class CheckpointBuilder
{
    private readonly MemoryStream _pickle = new();

    private readonly List<(string Key, byte[] Data)> _storages = [];

    public CheckpointBuilder Op(params byte[] bytes)
    {
        _pickle.Write(bytes);
        return this;
    }

    public CheckpointBuilder Op(char code) => Op((byte)code);

    public CheckpointBuilder Text(string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        return Op('X').Op(BitConverter.GetBytes(bytes.Length)).Op(bytes);
    }

    public CheckpointBuilder Number(int value) => Op('J').Op(BitConverter.GetBytes(value));

    public CheckpointBuilder Global(string module, string name) => Op('c').Op(Encoding.UTF8.GetBytes($"{module}\n{name}\n"));

    public CheckpointBuilder Numbers(IEnumerable<int> values)
    {
        Op('(');
        foreach (var value in values)
        {
            Number(value);
        }

        return Op('t');
    }

    /// <summary>Pushes a float tensor over a storage of its own.</summary>
    public CheckpointBuilder Tensor(float[] storage, int offset, int[] shape, int[] strides, int? statedCount = null)
    {
        var key = _storages.Count.ToString(CultureInfo.InvariantCulture);
        _storages.Add((key, MemoryMarshal.AsBytes(storage.AsSpan()).ToArray()));
        Global("torch._utils", "_rebuild_tensor_v2").Op('(');
        Op('(').Text("storage").Global("torch", "FloatStorage").Text(key).Text("cpu").Number(statedCount ?? storage.Length).Op('t').Op('Q');
        Number(offset).Numbers(shape).Numbers(strides).Op(0x89);
        return Global("collections", "OrderedDict").Op(')', 'R').Op('t').Op('R');
    }

    public CheckpointBuilder Op(char first, char second) => Op(first).Op(second);

    /// <summary>A state dictionary of one 2×3 tensor with a transposed view and a scalar, under the prefix of parallel training.</summary>
    public static CheckpointBuilder Small()
    {
        var builder = new CheckpointBuilder().Op(0x80, 2).Op('}').Op('(').Text("epoch").Number(3).Text("state_dict");
        builder.Global("collections", "OrderedDict").Op(')', 'R').Op('(');
        builder.Text("module.a").Tensor([0, 1, 2, 3, 4, 5], 0, [2, 3], [3, 1]);
        builder.Text("module.b").Tensor([0, 1, 2, 3, 4, 5, 6], 1, [3, 2], [1, 3]);
        builder.Text("module.c").Tensor([7.5f], 0, [], []);
        return builder.Op('u', 'u').Op('.');
    }

    public byte[] Pickle() => _pickle.ToArray();

    public byte[] Zip(byte[]? pickle = null, CompressionLevel compression = CompressionLevel.NoCompression)
    {
        using var memory = new MemoryStream();
        using (var zip = new ZipArchive(memory, ZipArchiveMode.Create, leaveOpen: true))
        {
            Add(zip, "archive/data.pkl", pickle ?? Pickle(), compression);
            Add(zip, "archive/byteorder", "little"u8.ToArray(), compression);
            foreach (var (key, data) in _storages)
            {
                Add(zip, $"archive/data/{key}", data, compression);
            }

            Add(zip, "archive/version", "3\n"u8.ToArray(), compression);
        }

        return memory.ToArray();
    }

    public byte[] Legacy(byte[]? pickle = null)
    {
        using var memory = new MemoryStream();
        memory.Write([0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, (byte)'.']);
        memory.Write(new CheckpointBuilder().Op(0x80, 2).Number(1001).Op('.').Pickle());
        memory.Write(new CheckpointBuilder().Op(0x80, 2).Op('}').Text("little_endian").Op(0x88).Op('s', '.').Pickle());

        // Storages of the older container carry a sixth part, here absent as in files of the first versions.
        memory.Write(pickle ?? Pickle());
        var keys = new CheckpointBuilder().Op(0x80, 2).Op(']', '(');
        foreach (var (key, _) in _storages)
        {
            keys.Text(key);
        }

        memory.Write(keys.Op('e', '.').Pickle());
        foreach (var (_, data) in _storages)
        {
            memory.Write(BitConverter.GetBytes((long)data.Length / 4));
            memory.Write(data);
        }

        return memory.ToArray();
    }

    private static void Add(ZipArchive zip, string name, byte[] data, CompressionLevel compression)
    {
        using var stream = zip.CreateEntry(name, compression).Open();
        stream.Write(data);
    }
}
