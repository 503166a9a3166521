using Dashboard.Server.Configuration;
using Microsoft.Extensions.Options;

namespace Dashboard.Server.Jobs;

/// <summary>
/// Keeps the shard store below its size limit: whole keys, unused for longest first. Called only while no run is at work,
/// so that nothing in use is removed; a finished analysis does not need its shards, they only save time when it runs again.
/// </summary>
internal sealed class StoreCleaner(DataFolders folders, IOptions<DashboardOptions> options, ILogger<StoreCleaner> logger)
{
    /// <summary>Removes keys until the store fits; returns the number removed.</summary>
    /// <param name="keep">Keys that the work at hand will read; they stay, even where the store remains too large.</param>
    /// <param name="cancellation">Ends it between folders.</param>
    public Task<int> MakeRoomAsync(IReadOnlyCollection<string> keep, CancellationToken cancellation) => Task.Run(
        () => Trim(folders.Store, (long)(options.Value.StoreLimitGiB * (1L << 30)), keep, cancellation), cancellation);

    internal int Trim(string store, long limit, IReadOnlyCollection<string> keep, CancellationToken cancellation)
    {
        if (!Directory.Exists(store))
        {
            return 0;
        }

        var keys = new List<(string Folder, long Bytes, DateTime Used)>();
        foreach (var folder in Directory.EnumerateDirectories(store))
        {
            cancellation.ThrowIfCancellationRequested();
            var bytes = 0L;
            var used = Directory.GetLastWriteTimeUtc(folder);
            foreach (var file in new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories))
            {
                bytes += file.Length;
                var time = file.LastAccessTimeUtc > file.LastWriteTimeUtc ? file.LastAccessTimeUtc : file.LastWriteTimeUtc;
                used = time > used ? time : used;
            }

            keys.Add((folder, bytes, used));
        }

        var total = keys.Sum(key => key.Bytes);
        var removed = 0;
        foreach (var key in keys.OrderBy(key => key.Used))
        {
            if (total <= limit)
            {
                break;
            }

            if (keep.Contains(Path.GetFileName(key.Folder)))
            {
                continue;
            }

            try
            {
                Disk.DeleteFolder(key.Folder);
                total -= key.Bytes;
                removed++;
            }
            catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
            {
                logger.LogWarning(fault, "The shards {Key} could not be removed", Path.GetFileName(key.Folder));
            }
        }

        if (removed > 0)
        {
            logger.LogInformation("Removed {Count} shard folders to keep the store below its limit", removed);
        }

        return removed;
    }
}
