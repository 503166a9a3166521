using System.Security.Cryptography;
using Analysis.Imaging;
using Analysis.Runs;

namespace Analysis.Explanations;

/// <summary>
/// Images that people bring to a finished analysis, kept in its result folder under the SHA-256 of their bytes. Names that
/// anybody gave play no part, and a file whose bytes are not what its name says is not read.
/// </summary>
public static class OwnImages
{
    /// <summary>Largest file that is taken, in bytes.</summary>
    public const int MostBytes = 20_000_000;

    /// <summary>Most images of an analysis; the oldest go first.</summary>
    public const int MostImages = 200;

    private const int HashLength = 64;

    /// <summary>Whether a text can be the name of an image: 64 hex digits in lower case.</summary>
    public static bool IsHash(string? text) => text is { Length: HashLength } && text.All(c => c is (>= '0' and <= '9') or (>= 'a' and <= 'f'));

    /// <summary>Where an image lies.</summary>
    /// <exception cref="AnalysisException">The name is none.</exception>
    public static string PathOf(string resultFolder, string hash) => IsHash(hash)
        ? Path.Combine(resultFolder, "images", hash)
        : throw new AnalysisException("The name of the image is not possible.", "Give the 64 hex digits that were answered when it was brought.");

    /// <summary>Checks that the bytes are an image that can be decoded, and keeps them.</summary>
    /// <param name="resultFolder">Result folder of the analysis.</param>
    /// <param name="bytes">The file.</param>
    /// <returns>Its name, and width and height in pixels.</returns>
    /// <exception cref="AnalysisException">Too large, not an image, damaged, or the folder cannot be written.</exception>
    public static (string Hash, int Width, int Height) Keep(string resultFolder, byte[] bytes)
    {
        if (bytes.Length > MostBytes)
        {
            throw TooLarge();
        }

        var image = ImageDecoder.Decode(bytes);
        var hash = Convert.ToHexStringLower(SHA256.HashData(bytes));
        var path = PathOf(resultFolder, hash);
        if (!File.Exists(path))
        {
            MakeRoom(Path.GetDirectoryName(path)!);
            AtomicFile.Write(path, stream => stream.Write(bytes));
        }

        return (hash, image.Width, image.Height);
    }

    /// <summary>What a file over the limit is answered.</summary>
    public static AnalysisException TooLarge() => new(
        FormattableString.Invariant($"The file has more than {MostBytes / 1_000_000} MB."), "Store the image smaller; the network sees it at its own size anyway.");

    /// <summary>Bytes of an image.</summary>
    /// <exception cref="AnalysisException">There is none of this name, or its file was changed.</exception>
    public static byte[] Read(string resultFolder, string hash)
    {
        var file = new FileInfo(PathOf(resultFolder, hash));
        if (file is not { Exists: true, LinkTarget: null, Length: <= MostBytes })
        {
            throw new AnalysisException("The image is not kept any more.", "Bring it again.");
        }

        var bytes = File.ReadAllBytes(file.FullName);
        return Convert.ToHexStringLower(SHA256.HashData(bytes)) == hash
            ? bytes
            : throw new AnalysisException("The file of the image was changed.", "Bring the image again.");
    }

    /// <summary>Forgets an image.</summary>
    /// <returns>False where there was none.</returns>
    public static bool Delete(string resultFolder, string hash)
    {
        var path = PathOf(resultFolder, hash);
        if (!File.Exists(path))
        {
            return false;
        }

        File.Delete(path);
        return true;
    }

    private static void MakeRoom(string folder)
    {
        if (!Directory.Exists(folder))
        {
            return;
        }

        var files = new DirectoryInfo(folder).GetFiles();
        foreach (var old in files.OrderBy(file => file.LastWriteTimeUtc).Take(Math.Max(0, files.Length - MostImages + 1)))
        {
            old.Delete();
        }
    }
}
