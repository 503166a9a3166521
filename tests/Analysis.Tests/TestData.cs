using Xunit;

namespace Analysis.Tests;

/// <summary>Files that tests read but the repository does not hold, and golden fixtures.</summary>
internal static class TestData
{
    /// <summary>Root of the repository.</summary>
    public static string Repository { get; } = FindRepository();

    /// <summary>Folder of real images and networks: ATLAS_DATA, by default ../shared/data beside the repository.</summary>
    public static string Root { get; } =
        Environment.GetEnvironmentVariable("ATLAS_DATA") is { Length: > 0 } set ? set : Path.GetFullPath(Path.Combine(Repository, "..", "shared", "data"));

    /// <summary>Folder of golden fixtures: ATLAS_GOLDEN, by default the tests' own.</summary>
    public static string Golden { get; } =
        Environment.GetEnvironmentVariable("ATLAS_GOLDEN") is { Length: > 0 } set ? set : Path.Combine(Repository, "tests", "Analysis.Tests", "golden");

    /// <summary>A path below <see cref="Root"/>; the test is reported as left out where it is absent.</summary>
    public static string Require(params string[] parts)
    {
        var path = Path.Combine([Root, .. parts]);
        if (!File.Exists(path) && !Directory.Exists(path))
        {
            Assert.Skip($"left out: {string.Join('/', parts)} is not below the folder named by ATLAS_DATA ({Root})");
        }

        return path;
    }

    private static string FindRepository()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Dashboard.sln")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? AppContext.BaseDirectory;
    }
}
