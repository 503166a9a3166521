using Analysis;

namespace Benchmarks;

/// <summary>Where the data lie that benchmarks use when nothing is named.</summary>
internal static class RealData
{
    /// <summary>Top folder of the repository.</summary>
    public static string Repository { get; } = FindRepository();

    /// <summary>A folder or file below ATLAS_DATA (default: ../shared/data beside the repository).</summary>
    /// <exception cref="AnalysisException">It is not there.</exception>
    public static string Folder(string path)
    {
        var root = Environment.GetEnvironmentVariable("ATLAS_DATA") is { Length: > 0 } given
            ? given
            : Path.GetFullPath(Path.Combine(Repository, "..", "shared", "data"));
        var full = Path.Combine(root, path);
        return Path.Exists(full)
            ? full
            : throw new AnalysisException($"There is no {full}.", "Name data with --input, or with --dataset and --network, or a data folder with ATLAS_DATA.");
    }

    private static string FindRepository()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Dashboard.sln")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? Environment.CurrentDirectory;
    }
}
