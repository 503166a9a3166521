using Analysis.Datasets.Recorded;
using Analysis.Imaging;

namespace Analysis.Datasets;

/// <summary>
/// Recognises and lists data sets: class folders (ImageNet layout), a flat folder of images, CIFAR-10 and CIFAR-100 binary.
/// </summary>
public static class DatasetLoader
{
    /// <summary>
    /// Lists the data set at a path. Only names are read, and the first bytes of files without an extension; the time is
    /// linear in the number of files.
    /// </summary>
    /// <param name="path">A folder, or one CIFAR <c>.bin</c> file.</param>
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
                return (IDataset?)CifarDataset.TryOpenFolder(root) ?? ImageFolderDataset.Open(root, cancellation);
            }

            if (!File.Exists(root))
            {
                throw new AnalysisException($"There is no data set at '{path}'.", "Check the path; it must be a folder of images or of class folders.");
            }

            if (ArrayFile.IsArrayFile(root))
            {
                return RecordedDataset.Open(root, cancellation);
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

    /// <summary>True where a path names a file of precomputed activations, which need no network.</summary>
    public static bool HoldsActivations(string path) => ArrayFile.IsArrayFile(path) && File.Exists(path);

    private static AnalysisException NotADataset(string path, string root)
    {
        var what = ImageSignature.IsImageExtension(Path.GetExtension(root)) ? "a single image" : "a file";
        return new AnalysisException(
            $"'{path}' is {what}, not a data set.",
            "Give the folder that holds the images, or a CIFAR binary file (.bin).");
    }
}
