using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.RegularExpressions;

namespace Analysis.Tests.Networks;

/// <summary>Arrays of a reference .npz file.</summary>
internal static class ReferenceArrays
{
    public static (T[] Values, long[] Shape) Read<T>(string path, string name)
        where T : unmanaged
    {
        using var zip = ZipFile.OpenRead(path);
        using var stream = zip.GetEntry(name + ".npy")!.Open();
        using var memory = new MemoryStream();
        stream.CopyTo(memory);
        var bytes = memory.ToArray();
        var header = Encoding.ASCII.GetString(bytes, 10, BitConverter.ToUInt16(bytes, 8));
        var shape = Regex.Match(header, @"\(([^)]*)\)").Groups[1].Value
            .Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Select(long.Parse).ToArray();
        return (MemoryMarshal.Cast<byte, T>(bytes.AsSpan(10 + header.Length)).ToArray(), shape);
    }
}
