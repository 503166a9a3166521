using System.Security.Cryptography;

namespace Analysis.Imaging;

/// <summary>Identity of a picture by its pixels, whatever file and format it is stored in.</summary>
public static class ContentHash
{
    /// <summary>First 16 hex digits of the SHA-256 of width, height (32-bit little-endian) and the pixels; equal for exact duplicates.</summary>
    /// <param name="image">The decoded image, before it is resized.</param>
    public static string Of(RgbImage image)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> size = stackalloc byte[8];
        BitConverter.TryWriteBytes(size, image.Width);
        BitConverter.TryWriteBytes(size[4..], image.Height);
        hash.AppendData(size);
        hash.AppendData(image.Pixels);
        Span<byte> digest = stackalloc byte[32];
        hash.GetHashAndReset(digest);
        return Convert.ToHexStringLower(digest[..8]);
    }
}
