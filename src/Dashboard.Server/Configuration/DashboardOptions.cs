namespace Dashboard.Server.Configuration;

/// <summary>
/// Settings of the site: section <c>Dashboard</c> of the configuration, or environment variables such as
/// <c>Dashboard__DataDirectory</c>. Options of the command line come before both.
/// </summary>
public sealed class DashboardOptions
{
    /// <summary>Name of the configuration section.</summary>
    public const string Section = "Dashboard";

    /// <summary>Address that the site listens on without any setting.</summary>
    public const string DefaultUrls = "http://127.0.0.1:5080";

    /// <summary>Folder of the catalogue, runs, shards and thumbnails; empty for the user's local application data.</summary>
    public string DataDirectory { get; set; } = "";

    /// <summary>Addresses to listen on, separated by semicolons; empty for <see cref="DefaultUrls"/>.</summary>
    public string Urls { get; set; } = "";

    /// <summary>Folders below which data sets and networks may be read; empty for the user's home folder.</summary>
    public List<string> DataRoots { get; set; } = [];

    /// <summary>Token for the login on other addresses than loopback; empty for a new one at each start. At least 16 characters.</summary>
    public string Token { get; set; } = "";

    /// <summary>Size limit of the shard store in GiB; the shards unused for longest are removed first. Default 20.</summary>
    public double StoreLimitGiB { get; set; } = 20;

    /// <summary>Size limit of the thumbnail cache in GiB. Default 2.</summary>
    public double ThumbnailLimitGiB { get; set; } = 2;

    /// <summary>Makes the built-in sample and analyses it when the catalogue is empty. Default true.</summary>
    public bool Sample { get; set; } = true;

    /// <summary>Seconds in which a started engine has to report. Default 60.</summary>
    public double WorkerStartSeconds { get; set; } = 60;

    /// <summary>Seconds that an inspection of a network or data set may take. Default 120.</summary>
    public double InspectSeconds { get; set; } = 120;

    /// <summary>Addresses in effect.</summary>
    public IReadOnlyList<string> Addresses =>
        (Urls.Length == 0 ? DefaultUrls : Urls).Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    /// <summary>The data directory in effect, as a full path.</summary>
    public string ResolvedDataDirectory => DataDirectory.Length > 0 ? Path.GetFullPath(DataDirectory) : DefaultDataDirectory;

    /// <summary>The data directory used where none is configured.</summary>
    public static string DefaultDataDirectory => Path.Combine(
        Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "ConceptAtlas");
}
