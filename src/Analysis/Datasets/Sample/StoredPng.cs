using System.Buffers.Binary;
using Analysis.Imaging;

namespace Analysis.Datasets.Sample;

/// <summary>PNG files without compression: their bytes depend on no library's version.</summary>
internal static class StoredPng
{
    private const int MaxBlock = 65535;

    public static byte[] Encode(RgbImage image)
    {
        var stride = (image.Width * 3) + 1;
        var raw = new byte[stride * image.Height];
        for (var y = 0; y < image.Height; y++)
        {
            image.Pixels.AsSpan(y * (stride - 1), stride - 1).CopyTo(raw.AsSpan((y * stride) + 1));
        }

        using var file = new MemoryStream(raw.Length + 128);
        file.Write([0x89, (byte)'P', (byte)'N', (byte)'G', 13, 10, 26, 10]);
        Span<byte> header = stackalloc byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, image.Width);
        BinaryPrimitives.WriteInt32BigEndian(header[4..], image.Height);
        (header[8], header[9]) = (8, 2);
        Chunk(file, "IHDR"u8, header);
        Chunk(file, "IDAT"u8, Deflate(raw));
        Chunk(file, "IEND"u8, []);
        return file.ToArray();
    }

    private static byte[] Deflate(byte[] raw)
    {
        using var stream = new MemoryStream(raw.Length + 32);
        stream.Write([0x78, 0x01]);
        Span<byte> block = stackalloc byte[5];
        Span<byte> checksum = stackalloc byte[4];
        for (var at = 0; at < raw.Length; at += MaxBlock)
        {
            var length = Math.Min(MaxBlock, raw.Length - at);
            block[0] = (byte)(at + length == raw.Length ? 1 : 0);
            BinaryPrimitives.WriteUInt16LittleEndian(block[1..], (ushort)length);
            BinaryPrimitives.WriteUInt16LittleEndian(block[3..], (ushort)~length);
            stream.Write(block);
            stream.Write(raw, at, length);
        }

        BinaryPrimitives.WriteUInt32BigEndian(checksum, Adler32(raw));
        stream.Write(checksum);
        return stream.ToArray();
    }

    private static uint Adler32(byte[] bytes)
    {
        uint a = 1, b = 0;
        foreach (var value in bytes)
        {
            a = (a + value) % 65521;
            b = (b + a) % 65521;
        }

        return (b << 16) | a;
    }

    private static void Chunk(MemoryStream file, ReadOnlySpan<byte> kind, ReadOnlySpan<byte> data)
    {
        var body = new byte[kind.Length + data.Length];
        kind.CopyTo(body);
        data.CopyTo(body.AsSpan(kind.Length));
        Span<byte> number = stackalloc byte[4];
        BinaryPrimitives.WriteInt32BigEndian(number, data.Length);
        file.Write(number);
        file.Write(body);
        BinaryPrimitives.WriteUInt32BigEndian(number, PngChecksums.Crc32(body));
        file.Write(number);
    }
}
