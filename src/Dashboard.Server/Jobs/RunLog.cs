using System.Globalization;
using System.Text;

namespace Dashboard.Server.Jobs;

/// <summary>The log of a run: what the engine says, what it prints, and what the host did with it.</summary>
internal static class RunLog
{
    private const int TailBytes = 256 * 1024;
    private const long LargestFile = 32L << 20;
    private static readonly Lock Gate = new();

    /// <summary>Path of the log in a run folder.</summary>
    public static string PathOf(string runFolder) => Path.Combine(runFolder, "log.txt");

    /// <summary>Adds a line with the time. A log that cannot be written does not stop the run.</summary>
    public static void Append(string runFolder, string line)
    {
        lock (Gate)
        {
            try
            {
                Directory.CreateDirectory(runFolder);
                var path = PathOf(runFolder);
                if (File.Exists(path) && new FileInfo(path).Length > LargestFile)
                {
                    return;
                }

                File.AppendAllText(path, string.Create(CultureInfo.InvariantCulture, $"{DateTimeOffset.UtcNow:yyyy-MM-dd HH:mm:ss.fff} {line}\n"));
            }
            catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
            {
                // Nothing to do: the disk is full or the folder was deleted.
            }
        }
    }

    /// <summary>The last lines; empty where there is no log.</summary>
    public static IReadOnlyList<string> Tail(string runFolder, int lines)
    {
        try
        {
            using var stream = new FileStream(PathOf(runFolder), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            var from = Math.Max(0, stream.Length - TailBytes);
            stream.Seek(from, SeekOrigin.Begin);
            using var reader = new StreamReader(stream, Encoding.UTF8);
            var all = reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
            // The first line of a tail may be cut.
            return [.. all.Skip(from > 0 ? 1 : 0).TakeLast(lines)];
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
