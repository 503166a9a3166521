using System.Buffers.Binary;

namespace Analysis.Imaging;

/// <summary>
/// Uncompressed Windows bitmaps of 1, 4, 8, 16 (5-5-5), 24 or 32 bits a pixel, bottom-up or top-down. libvips reads BMP only
/// through a general-purpose library, which is not let near files of unknown origin.
/// </summary>
internal static class BmpReader
{
    private const int FileHeader = 14;

    public static RgbImage Decode(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < FileHeader + 12)
        {
            throw Damaged();
        }

        var dataOffset = BinaryPrimitives.ReadUInt32LittleEndian(bytes[10..]);
        var infoLength = BinaryPrimitives.ReadUInt32LittleEndian(bytes[14..]);
        long width, height;
        int bits;
        uint compression = 0, colours = 0;
        var paletteEntry = 4;
        if (infoLength == 12)
        {
            width = BinaryPrimitives.ReadUInt16LittleEndian(bytes[18..]);
            height = BinaryPrimitives.ReadInt16LittleEndian(bytes[20..]);
            bits = BinaryPrimitives.ReadUInt16LittleEndian(bytes[24..]);
            paletteEntry = 3;
        }
        else if (infoLength is >= 40 and <= 256 && bytes.Length >= FileHeader + infoLength)
        {
            width = BinaryPrimitives.ReadInt32LittleEndian(bytes[18..]);
            height = BinaryPrimitives.ReadInt32LittleEndian(bytes[22..]);
            bits = BinaryPrimitives.ReadUInt16LittleEndian(bytes[28..]);
            compression = BinaryPrimitives.ReadUInt32LittleEndian(bytes[30..]);
            colours = BinaryPrimitives.ReadUInt32LittleEndian(bytes[46..]);
        }
        else
        {
            throw Damaged();
        }

        var topDown = height < 0;
        height = Math.Abs(height);
        ImageDecoder.CheckSize(width, height);
        var masks32 = compression == 3 && bits == 32 && HasPlainMasks(bytes, infoLength);
        if (bits is not (1 or 4 or 8 or 16 or 24 or 32) || (compression != 0 && !masks32))
        {
            throw new AnalysisException($"The BMP image uses {bits} bits a pixel with compression {compression}, which is not supported.", "Store it as PNG.");
        }

        var stride = ((width * bits) + 31) / 32 * 4;
        if (dataOffset > bytes.Length || stride * height > bytes.Length - dataOffset)
        {
            throw Damaged();
        }

        ReadOnlySpan<byte> palette = default;
        if (bits <= 8)
        {
            var entries = colours == 0 ? 1L << bits : Math.Min(colours, 1L << bits);
            var start = FileHeader + (long)infoLength;
            if (start + (entries * paletteEntry) > bytes.Length)
            {
                throw Damaged();
            }

            palette = bytes.Slice((int)start, (int)entries * paletteEntry);
        }

        var rgb = new byte[width * height * 3];
        var to = 0;
        for (var y = 0; y < height; y++)
        {
            var stored = topDown ? y : (int)height - 1 - y;
            var row = bytes.Slice((int)(dataOffset + (stored * stride)), (int)stride);
            for (var x = 0; x < width; x++, to += 3)
            {
                switch (bits)
                {
                    case 24:
                    case 32:
                        var at = x * (bits / 8);
                        (rgb[to], rgb[to + 1], rgb[to + 2]) = (row[at + 2], row[at + 1], row[at]);
                        break;
                    case 16:
                        var word = BinaryPrimitives.ReadUInt16LittleEndian(row[(2 * x)..]);
                        (rgb[to], rgb[to + 1], rgb[to + 2]) = (Widen5(word >> 10), Widen5(word >> 5), Widen5(word));
                        break;
                    default:
                        var perByte = 8 / bits;
                        var shift = 8 - (bits * ((x % perByte) + 1));
                        var entry = ((row[x / perByte] >> shift) & ((1 << bits) - 1)) * paletteEntry;
                        if (entry + 2 < palette.Length)
                        {
                            (rgb[to], rgb[to + 1], rgb[to + 2]) = (palette[entry + 2], palette[entry + 1], palette[entry]);
                        }

                        break;
                }
            }
        }

        return new RgbImage((int)width, (int)height, rgb);
    }

    private static bool HasPlainMasks(ReadOnlySpan<byte> bytes, uint infoLength)
    {
        // The masks lie behind a 40-byte header, or inside a longer one, in both cases at the same place.
        const int at = FileHeader + 40;
        return (infoLength >= 52 || infoLength == 40) && bytes.Length >= at + 12
            && BinaryPrimitives.ReadUInt32LittleEndian(bytes[at..]) == 0xFF0000
            && BinaryPrimitives.ReadUInt32LittleEndian(bytes[(at + 4)..]) == 0x00FF00
            && BinaryPrimitives.ReadUInt32LittleEndian(bytes[(at + 8)..]) == 0x0000FF;
    }

    private static byte Widen5(int value) => (byte)((((value & 31) * 255) + 15) / 31);

    private static AnalysisException Damaged() => new("The BMP image is damaged or incomplete.", "Replace the file.");
}
