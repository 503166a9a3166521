using Analysis;
using Analysis.Datasets;

namespace Dashboard.Server.Images;

/// <summary>
/// Keeps the listings of the data sets looked at last, so that a picture does not need a scan. An old listing is read again while
/// it still serves: one of a million images takes longer than people wait.
/// </summary>
/// <param name="time">The clock; the system's where null.</param>
internal sealed class OpenDatasets(TimeProvider? time = null)
{
    private const int Most = 8;
    private static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(30);
    private readonly Lock _gate = new();
    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly Dictionary<string, (Task<IDataset> Dataset, DateTimeOffset Opened)> _open = new(StringComparer.Ordinal);

    /// <summary>The data set at a path; opened at most once at a time.</summary>
    /// <exception cref="AnalysisException">There is no data set (any more).</exception>
    public async Task<IDataset> GetAsync(string path, CancellationToken cancellation)
    {
        Task<IDataset> dataset;
        lock (_gate)
        {
            var now = _time.GetUtcNow();
            if (!_open.TryGetValue(path, out var entry) || entry.Dataset.IsFaulted || entry.Dataset.IsCanceled)
            {
                if (_open.Count >= Most)
                {
                    _open.Remove(_open.MinBy(pair => pair.Value.Opened).Key);
                }

                _open[path] = entry = (Task.Run(() => DatasetLoader.Open(path, CancellationToken.None), CancellationToken.None), now);
            }
            else if (now - entry.Opened > Lifetime && entry.Dataset.IsCompleted)
            {
                _open[path] = (entry.Dataset, now);
                _ = Task.Run(() => ReadAgain(path, entry.Dataset), CancellationToken.None);
            }

            dataset = entry.Dataset;
        }

        return await dataset.WaitAsync(cancellation);
    }

    private void ReadAgain(string path, Task<IDataset> old)
    {
        IDataset? dataset = null;
        try
        {
            dataset = DatasetLoader.Open(path, CancellationToken.None);
        }
        catch (AnalysisException)
        {
            // It is gone or damaged: whoever asks next is told.
        }

        lock (_gate)
        {
            if (!_open.TryGetValue(path, out var entry) || entry.Dataset != old)
            {
                return;
            }

            if (dataset is null)
            {
                _open.Remove(path);
            }
            else
            {
                _open[path] = (Task.FromResult(dataset), entry.Opened);
            }
        }
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
