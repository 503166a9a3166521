namespace Analysis.Runs;

/// <summary>Writes files so that a reader sees the old content, the new content or no file, but never a part.</summary>
public static class AtomicFile
{
    /// <summary>Writes under a temporary name beside the target, flushes to the disk, renames.</summary>
    /// <param name="path">Target; its folder is created.</param>
    /// <param name="write">Writes the content.</param>
    /// <exception cref="AnalysisException">The disk is full or the folder cannot be written, with the remedy.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        var temporary = $"{path}.{Environment.ProcessId}.partial";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            using (var stream = new FileStream(temporary, FileMode.Create, FileAccess.ReadWrite, FileShare.None, 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception failure)
        {
            TryDelete(temporary);
            if (failure is IOException or UnauthorizedAccessException)
            {
                throw Explain(path, failure);
            }

            throw;
        }
    }

    /// <summary>Writes text as UTF-8 without a byte order mark.</summary>
    public static void WriteText(string path, string text) =>
        Write(path, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(text)));

    /// <summary>Turns an input/output failure into a message with a remedy.</summary>
    /// <param name="path">The file that could not be written.</param>
    /// <param name="failure">What the system said.</param>
    public static AnalysisException Explain(string path, Exception failure)
    {
        // ENOSPC is 28, EDQUOT 122 and EROFS 30 on Linux; Windows reports ERROR_DISK_FULL 112.
        var code = failure.HResult & 0xFFFF;
        var folder = Path.GetDirectoryName(Path.GetFullPath(path)) ?? path;
        return code is 28 or 112 or 122 || failure.Message.Contains("No space left", StringComparison.OrdinalIgnoreCase)
            ? new AnalysisException($"The disk that holds {folder} is full.", "Free some space or choose another data directory, then resume: what is done is kept.", failure)
            : new AnalysisException($"{path} cannot be written: {failure.Message}", "Check the permissions of the folder or choose another one.", failure);
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // The write's own failure is the one to report.
        }
    }
}
