using System.Globalization;
using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text;

namespace Analysis.Tests.Datasets;

/// <summary>Writes npz files as numpy.savez and numpy.savez_compressed do, and broken ones.</summary>
internal sealed class NpzBuilder(bool compressed = false)
{
    private readonly List<(string Name, byte[] Bytes)> _arrays = [];

    public NpzBuilder Add<T>(string name, T[] values, params long[] shape)
        where T : unmanaged => Raw(name, Code<T>(), shape, MemoryMarshal.AsBytes<T>(values).ToArray());

    public NpzBuilder Text(string name, params string[] values)
    {
        var width = Math.Max(1, values.Length == 0 ? 1 : values.Max(v => v.EnumerateRunes().Count()));
        var bytes = new byte[values.Length * width * 4];
        for (var i = 0; i < values.Length; i++)
        {
            Encoding.UTF32.GetBytes(values[i]).CopyTo(bytes, i * width * 4);
        }

        return Raw(name, "<U" + width.ToString(CultureInfo.InvariantCulture), [values.Length], bytes);
    }

    public NpzBuilder Raw(string name, string type, long[] shape, byte[] bytes, bool fortran = false)
    {
        var extents = shape.Length == 1 ? $"{shape[0]}," : string.Join(", ", shape);
        var header = $"{{'descr': '{type}', 'fortran_order': {(fortran ? "True" : "False")}, 'shape': ({extents}), }}";
        var padded = header.PadRight(((header.Length + 11 + 63) / 64 * 64) - 11) + "\n";
        _arrays.Add((name, [0x93, .. "NUMPY"u8, 1, 0, (byte)padded.Length, (byte)(padded.Length >> 8), .. Encoding.ASCII.GetBytes(padded), .. bytes]));
        return this;
    }

    public byte[] Build()
    {
        using var stream = new MemoryStream();
        using (var zip = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, bytes) in _arrays)
            {
                using var entry = zip.CreateEntry(name + ".npy", compressed ? CompressionLevel.Optimal : CompressionLevel.NoCompression).Open();
                entry.Write(bytes);
            }
        }

        return stream.ToArray();
    }

    private static string Code<T>() => typeof(T).Name switch
    {
        "Single" => "<f4",
        "Double" => "<f8",
        "Int64" => "<i8",
        "Int32" => "<i4",
        "Byte" => "|u1",
        "Half" => "<f2",
        var other => throw new ArgumentException(other),
    };
}
