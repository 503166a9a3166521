using Analysis;
using Microsoft.Extensions.Options;

namespace Dashboard.Server.Configuration;

/// <summary>Where things lie below the data directory.</summary>
internal sealed class DataFolders
{
    public DataFolders(IOptions<DashboardOptions> options)
        : this(options.Value.ResolvedDataDirectory)
    {
    }

    public DataFolders(string root) => Root = root;

    /// <summary>The data directory, a full path.</summary>
    public string Root { get; }

    /// <summary>The catalogue's file.</summary>
    public string Database => Path.Combine(Root, "catalogue.db");

    /// <summary>One folder for each analysis.</summary>
    public string Runs => Path.Combine(Root, "runs");

    /// <summary>Shards shared by analyses, one folder for each key.</summary>
    public string Store => Path.Combine(Root, "store");

    /// <summary>Cached thumbnails.</summary>
    public string Thumbnails => Path.Combine(Root, "thumbnails");

    /// <summary>The built-in sample's images.</summary>
    public string Sample => Path.Combine(Root, "sample");

    /// <summary>Descriptions of generated data sets, one folder for each generated atlas.</summary>
    public string Generated => Path.Combine(Root, "generated");

    /// <summary>Keys that protect cookies.</summary>
    public string Keys => Path.Combine(Root, "keys");

    /// <summary>The run folder of an analysis.</summary>
    public string Run(string id) => Path.Combine(Runs, id);

    /// <summary>The folder of a task beside an analysis.</summary>
    public string Task(string id, string taskKey) => Path.Combine(Run(id), "tasks", taskKey);

    private static AnalysisException FullDisk(string root, Exception? fault) => new(
        $"The disk that holds the data directory {root} is full.", "Free some space, or choose another place with --data-directory.", fault);

    /// <summary>Makes the folders and proves that they can be written.</summary>
    /// <exception cref="AnalysisException">The data directory cannot be used; says why and what to do.</exception>
    public void Prepare()
    {
        try
        {
            foreach (var folder in new[] { Root, Runs, Store, Thumbnails, Keys })
            {
                Directory.CreateDirectory(folder);
            }

            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(Keys, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }

            if (Disk.IsNearlyFull(Root))
            {
                throw FullDisk(Root, null);
            }

            var probe = Path.Combine(Root, $".probe-{Environment.ProcessId}");
            File.WriteAllBytes(probe, new byte[4096]);
            File.Delete(probe);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or NotSupportedException or ArgumentException)
        {
            throw Disk.IsFull(fault)
                ? FullDisk(Root, fault)
                : new AnalysisException($"The data directory {Root} cannot be written: {fault.Message}", "Choose a folder that you may write to with --data-directory, or change the folder's permissions.", fault);
        }
    }
}
