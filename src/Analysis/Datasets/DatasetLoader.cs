using Analysis.Datasets.Recorded;
using Analysis.Datasets.Sample;
using Analysis.Imaging;

namespace Analysis.Datasets;

/// <summary>
/// Recognises and lists data sets: class folders (ImageNet layout), a flat folder of images with or without a table of labels,
/// tar shards, Parquet, CIFAR-10 and CIFAR-100 binary, and files of precomputed activations.
/// </summary>
public static class DatasetLoader
{
    private const string Tar = ".tar";
    private const string Parquet = ".parquet";

    /// <summary>
    /// Lists the data set at a path. Only names are read, and the first bytes of files without an extension; the time is
    /// linear in the number of files.
    /// </summary>
    /// <param name="path">A folder, or one file: <c>.tar</c>, <c>.parquet</c>, CIFAR <c>.bin</c>, <c>.npz</c>, <c>.safetensors</c>.</param>
    /// <param name="cancellation">Ends the scan.</param>
    /// <exception cref="AnalysisException">There is nothing at the path, it cannot be read, or it holds no images.</exception>
    public static IDataset Open(string path, CancellationToken cancellation = default)
    {
        if (string.IsNullOrWhiteSpace(path))
        {
            throw new AnalysisException("No data set was named.", "Give the folder that holds the images.");
        }

        if (path.Contains('\0'))
        {
            throw new AnalysisException("The data set's path contains a zero character.", "Give the folder that holds the images.");
        }

        var root = RealPath.Of(path)
            ?? throw new AnalysisException($"The data set '{path}' cannot be opened: its symbolic links form a loop.", "Give the folder itself.");
        try
        {
            if (Directory.Exists(root))
            {
                return OpenFolder(root, cancellation);
            }

            if (!File.Exists(root))
            {
                throw new AnalysisException($"There is no data set at '{path}'.", "Check the path; it must be a folder of images or of class folders.");
            }

            if (ArrayFile.IsArrayFile(root))
            {
                return RecordedDataset.Open(root, cancellation);
            }

            if (root.EndsWith(Tar, StringComparison.OrdinalIgnoreCase))
            {
                return TarDataset.Open(root, [root], cancellation);
            }

            if (root.EndsWith(Parquet, StringComparison.OrdinalIgnoreCase))
            {
                return ParquetDataset.Open(root, [root], cancellation);
            }

            if (TarDataset.IsPacked(root))
            {
                throw Packed(path);
            }

            return CifarDataset.TryOpenFile(root) ?? throw NotADataset(path, root);
        }
        catch (UnauthorizedAccessException e)
        {
            throw new AnalysisException($"The data set '{path}' cannot be read: permission is denied.", "Give this user read access to the folder.", e);
        }
        catch (IOException e)
        {
            throw new AnalysisException($"The data set '{path}' cannot be read: {e.Message}", "Check the disk and the folder's permissions.", e);
        }
    }

    /// <summary>
    /// Reads an image of a folder of images without listing the folder, which takes long where it holds a million; null where there is
    /// no such file, as in every other kind of data set.
    /// </summary>
    /// <param name="root">Path of the data set.</param>
    /// <param name="path">Path of a sample, as it was listed.</param>
    /// <exception cref="AnalysisException">The file is there and cannot be used.</exception>
    public static RawImage? TryReadImage(string root, string path)
    {
        if (path.Contains('\0') || path.Split('/').Any(part => part is "" or "." or "..") || !ImageSignature.IsImageExtension(Path.GetExtension(path))
            || RealPath.Of(root) is not { } real || !Directory.Exists(real))
        {
            return null;
        }

        // A linked folder leads to what was never listed; a linked file is judged when it is read.
        var full = Path.Combine(real, path);
        return File.Exists(full) && RealPath.Of(Path.GetDirectoryName(full)!) == Path.GetDirectoryName(full) ? ImageFolderDataset.ReadBelow(real, path) : null;
    }

    private static IDataset OpenFolder(string root, CancellationToken cancellation)
    {
        if (CifarDataset.TryOpenFolder(root) is { } cifar)
        {
            return cifar;
        }

        if (GeneratedDataset.TryOpenFolder(root) is { } generated)
        {
            return generated;
        }

        if (LabelledFolderDataset.TableOf(root) is { } table)
        {
            return LabelledFolderDataset.Open(root, table, cancellation);
        }

        // Shards count where there are no pictures beside them: a folder of images may hold an archive of itself.
        var files = Directory.EnumerateFiles(root).Where(f => !Path.GetFileName(f).StartsWith('.') && new FileInfo(f).LinkTarget is null).Order(StringComparer.Ordinal).ToList();
        var below = Directory.EnumerateDirectories(root).Where(d => !Path.GetFileName(d).StartsWith('.')).ToList();
        if (!files.Exists(f => ImageSignature.IsImageExtension(Path.GetExtension(f))))
        {
            if (below.Count == 0 && files.FindAll(f => f.EndsWith(Tar, StringComparison.OrdinalIgnoreCase)) is { Count: > 0 } shards)
            {
                return TarDataset.Open(root, shards, cancellation);
            }

            if (below.Count == 0 && files.Find(TarDataset.IsPacked) is { } packed)
            {
                throw Packed(packed);
            }

            // Downloads keep the files in a folder named data.
            var data = Path.Combine(root, "data");
            var inside = below is [var only] && only == data && new DirectoryInfo(data).LinkTarget is null ? Directory.EnumerateFiles(data).Order(StringComparer.Ordinal) : Enumerable.Empty<string>();
            if (below.Count == 0 || inside.Any())
            {
                var tables = files.Concat(inside).Where(f => f.EndsWith(Parquet, StringComparison.OrdinalIgnoreCase) && new FileInfo(f).LinkTarget is null).ToList();
                if (tables.Count > 0)
                {
                    return ParquetDataset.Open(root, tables, cancellation);
                }
            }
        }

        return ImageFolderDataset.Open(root, cancellation);
    }

    private static AnalysisException Packed(string path) => new(
        $"'{Path.GetFileName(path)}' is a compressed tar file, whose images cannot be read one by one.", "Unpack it once to .tar (gunzip, or the program that made it); images are compressed already and grow by little.");

    /// <summary>True where a path names a file of precomputed activations, which need no network.</summary>
    public static bool HoldsActivations(string path) => ArrayFile.IsArrayFile(path) && File.Exists(path);

    private static AnalysisException NotADataset(string path, string root)
    {
        var what = ImageSignature.IsImageExtension(Path.GetExtension(root)) ? "a single image" : "a file";
        return new AnalysisException(
            $"'{path}' is {what}, not a data set.",
            "Give the folder that holds the images, or a file of samples (.tar, .parquet, CIFAR .bin, .npz, .safetensors).");
    }
}
