namespace Analysis.Imaging;

/// <summary>File formats that are decoded.</summary>
public enum ImageFormat
{
    /// <summary>Not one of the supported formats.</summary>
    Unknown,

    /// <summary>JPEG, baseline or progressive.</summary>
    Jpeg,

    /// <summary>PNG.</summary>
    Png,

    /// <summary>WebP, lossy or lossless.</summary>
    WebP,

    /// <summary>GIF; the first frame counts.</summary>
    Gif,

    /// <summary>Windows bitmap.</summary>
    Bmp,

    /// <summary>TIFF; the first page counts.</summary>
    Tiff,
}

/// <summary>Recognition of image files by their first bytes; names and extensions do not count.</summary>
public static class ImageSignature
{
    /// <summary>Number of leading bytes that <see cref="Detect"/> needs to see.</summary>
    public const int Length = 16;

    private static readonly HashSet<string> Extensions = new(StringComparer.OrdinalIgnoreCase)
    {
        ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff",
    };

    /// <summary>The format that the bytes begin like.</summary>
    /// <param name="head">The file's first bytes; fewer than <see cref="Length"/> where the file is shorter.</param>
    public static ImageFormat Detect(ReadOnlySpan<byte> head)
    {
        if (head.StartsWith<byte>([0xFF, 0xD8, 0xFF]))
        {
            return ImageFormat.Jpeg;
        }

        if (head.StartsWith<byte>([0x89, (byte)'P', (byte)'N', (byte)'G', 13, 10, 26, 10]))
        {
            return ImageFormat.Png;
        }

        if (head.Length >= 12 && head.StartsWith("RIFF"u8) && head[8..].StartsWith("WEBP"u8))
        {
            return ImageFormat.WebP;
        }

        if (head.StartsWith("GIF87a"u8) || head.StartsWith("GIF89a"u8))
        {
            return ImageFormat.Gif;
        }

        if (head.StartsWith<byte>([(byte)'I', (byte)'I', 42, 0]) || head.StartsWith<byte>([(byte)'M', (byte)'M', 0, 42]))
        {
            return ImageFormat.Tiff;
        }

        return head.Length >= 14 && head.StartsWith("BM"u8) ? ImageFormat.Bmp : ImageFormat.Unknown;
    }

    /// <summary>True where the extension (with its dot) is one that supported image files carry.</summary>
    public static bool IsImageExtension(string extension) => Extensions.Contains(extension);
}
