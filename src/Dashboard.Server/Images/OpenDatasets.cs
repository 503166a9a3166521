using Analysis;
using Analysis.Datasets;

namespace Dashboard.Server.Images;

/// <summary>Keeps the listings of the data sets looked at last, so that a picture does not need a scan.</summary>
internal sealed class OpenDatasets
{
    private const int Most = 8;
    private static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(30);
    private readonly Lock _gate = new();
    private readonly Dictionary<string, (Task<IDataset> Dataset, DateTimeOffset Opened)> _open = new(StringComparer.Ordinal);

    /// <summary>The data set at a path; opened at most once at a time.</summary>
    /// <exception cref="AnalysisException">There is no data set (any more).</exception>
    public async Task<IDataset> GetAsync(string path, CancellationToken cancellation)
    {
        Task<IDataset> dataset;
        lock (_gate)
        {
            var now = DateTimeOffset.UtcNow;
            if (!_open.TryGetValue(path, out var entry) || entry.Dataset.IsFaulted || entry.Dataset.IsCanceled || now - entry.Opened > Lifetime)
            {
                if (_open.Count >= Most)
                {
                    _open.Remove(_open.MinBy(pair => pair.Value.Opened).Key);
                }

                _open[path] = entry = (Task.Run(() => DatasetLoader.Open(path, CancellationToken.None), CancellationToken.None), now);
            }

            dataset = entry.Dataset;
        }

        return await dataset.WaitAsync(cancellation);
    }

    /// <summary>Scans the path anew the next time.</summary>
    public void Forget(string path)
    {
        lock (_gate)
        {
            _open.Remove(path);
        }
    }

    /// <summary>Position of a sample in the listing, which is sorted by path; −1 where it is gone.</summary>
    public static int IndexOf(IDataset dataset, string samplePath)
    {
        int low = 0, high = dataset.Samples.Count - 1;
        while (low <= high)
        {
            var middle = (low + high) / 2;
            var order = string.CompareOrdinal(dataset.Samples[middle].Path, samplePath);
            if (order == 0)
            {
                return middle;
            }

            (low, high) = order < 0 ? (middle + 1, high) : (low, middle - 1);
        }

        return -1;
    }
}
