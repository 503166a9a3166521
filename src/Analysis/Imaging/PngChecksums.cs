using System.Buffers.Binary;

namespace Analysis.Imaging;

/// <summary>
/// Checks the structure of PNG files. libpng reads past wrong checksums in chunks that it thinks it can do without, while
/// Pillow refuses them; a file that another program damaged is better listed than used.
/// </summary>
internal static class PngChecksums
{
    private const int Signature = 8;
    private const int Overhead = 12;

    private static readonly uint[] Table = BuildTable();

    /// <summary>True where every chunk up to the end chunk is whole and has the right CRC-32.</summary>
    public static bool AreRight(ReadOnlySpan<byte> file)
    {
        var rest = file[Signature..];
        while (rest.Length >= Overhead)
        {
            var length = BinaryPrimitives.ReadUInt32BigEndian(rest);
            if (length > rest.Length - Overhead)
            {
                return false;
            }

            var end = 8 + (int)length;
            if (Crc32(rest[4..end]) != BinaryPrimitives.ReadUInt32BigEndian(rest[end..]))
            {
                return false;
            }

            if (rest[4..8].SequenceEqual("IEND"u8))
            {
                return true;
            }

            rest = rest[(end + 4)..];
        }

        return false;
    }

    /// <summary>CRC-32 with the polynomial of PNG and zip (ISO 3309).</summary>
    internal static uint Crc32(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var value in bytes)
        {
            crc = Table[(byte)crc ^ value] ^ (crc >> 8);
        }

        return ~crc;
    }

    private static uint[] BuildTable()
    {
        var table = new uint[256];
        for (uint i = 0; i < 256; i++)
        {
            var crc = i;
            for (var bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xEDB88320 : crc >> 1;
            }

            table[i] = crc;
        }

        return table;
    }
}
