namespace Analysis.Datasets;

/// <summary>One image of a data set before it is read.</summary>
/// <param name="Path">Path relative to the data set's root, with forward slashes; the identity of the sample.</param>
/// <param name="ClassName">Name of the class folder; empty where the data set has no classes.</param>
public sealed record SampleReference(string Path, string ClassName);

/// <summary>A file that cannot be used, with the reason in words.</summary>
/// <param name="Path">Path relative to the data set's root, with forward slashes.</param>
/// <param name="Reason">Why it was left out, in one sentence.</param>
public sealed record SkippedFile(string Path, string Reason);

/// <summary>
/// A read-only list of images sorted by path (ordinal). Opening it lists names only; images are read one by one.
/// Implementations are safe for concurrent calls of <see cref="Read"/>.
/// </summary>
public interface IDataset
{
    /// <summary>Full path of the root as the user gave it, resolved.</summary>
    string Root { get; }

    /// <summary>Short name for display: the last segment of the root.</summary>
    string Name { get; }

    /// <summary>What was recognised, for display: "class folders", "CIFAR binary", "flat folder", "tar shards", and so on.</summary>
    string Format { get; }

    /// <summary>
    /// Identity of the content as 64 hex digits: SHA-256 over (path, length, modification time) of every file in order.
    /// Changes when a file is added, removed or rewritten.
    /// </summary>
    string Fingerprint { get; }

    /// <summary>All candidate samples, sorted by path (ordinal).</summary>
    IReadOnlyList<SampleReference> Samples { get; }

    /// <summary>Class folder names, sorted (ordinal); empty for a flat data set.</summary>
    IReadOnlyList<string> Classes { get; }

    /// <summary>Files that the scan left out (links, pipes, unsupported kinds), with reasons.</summary>
    IReadOnlyList<SkippedFile> Skipped { get; }

    /// <summary>
    /// Reads one sample's encoded bytes. For CIFAR binary the bytes are a raw record and <see cref="RawImage.Encoded"/> is false.
    /// </summary>
    /// <exception cref="AnalysisException">The file is gone, unreadable, or larger than the limit, or the sample has no picture.</exception>
    RawImage Read(int index);

    /// <summary>False where a sample has no picture, as in activations of other modalities; pages then show its name.</summary>
    bool HasPicture(int index) => true;
}

/// <summary>An image as stored.</summary>
/// <param name="Bytes">The file's bytes, or RGB pixels (height × width × 3, row by row) where not encoded.</param>
/// <param name="Encoded">True for JPEG, PNG, WebP, TIFF, BMP, GIF; false for raw RGB pixels.</param>
/// <param name="Width">Width in pixels of raw pixels; 0 where encoded.</param>
/// <param name="Height">Height in pixels of raw pixels; 0 where encoded.</param>
public readonly record struct RawImage(byte[] Bytes, bool Encoded, int Width = 0, int Height = 0);
