using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using Analysis.Datasets;
using Analysis.Outliers;

namespace Analysis.Imaging;

/// <summary>How <see cref="BatchLoader"/> works.</summary>
public sealed record BatchLoaderOptions
{
    /// <summary>Number of images read and decoded at the same time; 0 for the number of processor cores.</summary>
    public int Parallelism { get; init; }

    /// <summary>Number of batches that are prepared ahead of the consumer; bounds the memory.</summary>
    public int Ahead { get; init; } = 2;

    /// <summary>Whether <see cref="ImageBatch.Statistics"/> and <see cref="ImageBatch.ContentHash"/> are computed.</summary>
    public bool Describe { get; init; } = true;
}

/// <summary>
/// Images of consecutive positions, ready for the network. Dispose it when its values have been copied: the buffer is used
/// again for a later batch.
/// </summary>
public sealed class ImageBatch : IDisposable
{
    private Action<float[]>? _release;
    private readonly float[] _values;
    private readonly int _imageLength;

    internal ImageBatch(
        int first, int count, IReadOnlyList<int> rows, IReadOnlyList<SkippedFile> skipped, IReadOnlyList<float[]> statistics,
        IReadOnlyList<string> contentHash, float[] values, int imageLength, Action<float[]> release)
    {
        First = first;
        Count = count;
        Rows = rows;
        Skipped = skipped;
        Statistics = statistics;
        ContentHash = contentHash;
        _values = values;
        _imageLength = imageLength;
        _release = release;
    }

    /// <summary>Position of the batch's first image in the list that was asked for.</summary>
    public int First { get; }

    /// <summary>Number of images asked for: <see cref="Rows"/> and <see cref="Skipped"/> together.</summary>
    public int Count { get; }

    /// <summary>Indices into <see cref="IDataset.Samples"/> of the images that could be used, in the order asked for.</summary>
    public IReadOnlyList<int> Rows { get; }

    /// <summary>Images that could not be used, with reasons, in the order asked for.</summary>
    public IReadOnlyList<SkippedFile> Skipped { get; }

    /// <summary>Pixel statistics per row, columns as in <see cref="PixelStatistics.Names"/>; empty where not asked for.</summary>
    public IReadOnlyList<float[]> Statistics { get; }

    /// <summary>Content hash per row (<see cref="Imaging.ContentHash"/>); empty where not asked for.</summary>
    public IReadOnlyList<string> ContentHash { get; }

    /// <summary>Normalised pixels, rows × 3 × height × width float32, row by row.</summary>
    /// <exception cref="ObjectDisposedException">The batch was disposed.</exception>
    public ReadOnlySpan<float> Values
    {
        get
        {
            ObjectDisposedException.ThrowIf(_release is null, this);
            return _values.AsSpan(0, Rows.Count * _imageLength);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Interlocked.Exchange(ref _release, null)?.Invoke(_values);
}

/// <summary>
/// Reads, decodes and prepares images on its own threads, ahead of the consumer and never further than
/// <see cref="BatchLoaderOptions.Ahead"/> batches, so that memory does not depend on the number of images. The order of
/// images and the division into batches are those asked for, whatever the threads do.
/// </summary>
public sealed class BatchLoader
{
    private readonly IDataset _dataset;
    private readonly Preprocessing _preprocessing;
    private readonly BatchLoaderOptions _options;

    /// <summary>Creates a loader; nothing is read before <see cref="Load"/> is enumerated.</summary>
    /// <param name="dataset">Where the images come from.</param>
    /// <param name="preprocessing">What is done to them.</param>
    /// <param name="options">Parallelism and look-ahead; null for the defaults.</param>
    public BatchLoader(IDataset dataset, Preprocessing preprocessing, BatchLoaderOptions? options = null)
    {
        _dataset = dataset;
        _preprocessing = preprocessing;
        _options = options ?? new BatchLoaderOptions();
        ArgumentOutOfRangeException.ThrowIfNegative(_options.Parallelism);
        ArgumentOutOfRangeException.ThrowIfNegative(_options.Ahead);
    }

    private int ImageLength => 3 * _preprocessing.Height * _preprocessing.Width;

    /// <summary>
    /// Yields ⌈n / batchSize⌉ batches: batch b covers positions b·batchSize up to the next. An image that cannot be used is
    /// listed in its batch and leaves no gap in the values. Stopping the enumeration early stops the threads.
    /// </summary>
    /// <param name="indices">Indices into <see cref="IDataset.Samples"/>, in any order.</param>
    /// <param name="batchSize">Images a batch, at least 1.</param>
    /// <param name="cancellation">Ends the enumeration with <see cref="OperationCanceledException"/>.</param>
    public IEnumerable<ImageBatch> Load(IReadOnlyList<int> indices, int batchSize, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        return Enumerate(indices, batchSize, cancellation);
    }

    private IEnumerable<ImageBatch> Enumerate(IReadOnlyList<int> indices, int batchSize, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var batches = (int)(((long)indices.Count + batchSize - 1) / batchSize);
        if (batches == 0)
        {
            yield break;
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        using var work = new BlockingCollection<(PendingBatch Batch, int Slot)>();
        var free = new ConcurrentBag<float[]>();
        var pending = new Queue<PendingBatch>();
        var next = 0;

        void Schedule()
        {
            if (next >= batches)
            {
                return;
            }

            var first = next++ * batchSize;
            var count = Math.Min(batchSize, indices.Count - first);
            var values = free.TryTake(out var used) ? used : GC.AllocateUninitializedArray<float>(Math.Min(batchSize, indices.Count) * ImageLength);
            var batch = new PendingBatch(first, count, values);
            pending.Enqueue(batch);
            for (var slot = 0; slot < count; slot++)
            {
                work.Add((batch, slot), CancellationToken.None);
            }
        }

        void Work()
        {
            try
            {
                foreach (var (batch, slot) in work.GetConsumingEnumerable(stop.Token))
                {
                    Fill(batch, slot, indices[batch.First + slot]);
                }
            }
            catch (OperationCanceledException)
            {
                // The consumer has stopped.
            }
        }

        var parallelism = _options.Parallelism > 0 ? _options.Parallelism : Environment.ProcessorCount;
        var threads = new Thread[Math.Min(parallelism, indices.Count)];
        try
        {
            for (var i = 0; i < threads.Length; i++)
            {
                threads[i] = new Thread(Work) { IsBackground = true, Name = $"image loader {i}" };
                threads[i].Start();
            }

            for (var i = 0; i <= _options.Ahead; i++)
            {
                Schedule();
            }

            while (pending.TryDequeue(out var batch))
            {
                batch.Done.Wait(cancellation);
                batch.Failure?.Throw();
                yield return Finish(batch, indices, free.Add);
                batch.Done.Dispose();
                Schedule();
            }
        }
        finally
        {
            stop.Cancel();
            foreach (var thread in threads)
            {
                thread?.Join();
            }

            foreach (var batch in pending)
            {
                batch.Done.Dispose();
            }
        }
    }

    private void Fill(PendingBatch batch, int slot, int index)
    {
        try
        {
            var decoded = ImageDecoder.Decode(_dataset.Read(index));
            var prepared = ImagePreparation.Resize(decoded, _preprocessing);
            ImagePreparation.Normalise(prepared, _preprocessing, batch.Values.AsSpan(slot * ImageLength, ImageLength));
            if (_options.Describe)
            {
                batch.Statistics[slot] = new float[PixelStatistics.Names.Count];
                PixelStatistics.Compute(decoded, prepared, batch.Statistics[slot]);
                batch.Hash[slot] = ContentHash.Of(decoded);
            }
        }
        catch (AnalysisException e)
        {
            batch.Reasons[slot] = e.Message;
        }
        catch (Exception e)
        {
            // A fault of the program, not of the image: the consumer must see it.
            batch.Failure = ExceptionDispatchInfo.Capture(e);
        }
        finally
        {
            batch.Done.Signal();
        }
    }

    private ImageBatch Finish(PendingBatch batch, IReadOnlyList<int> indices, Action<float[]> release)
    {
        var rows = new List<int>(batch.Count);
        var skipped = new List<SkippedFile>();
        var statistics = new List<float[]>();
        var hashes = new List<string>();
        for (var slot = 0; slot < batch.Count; slot++)
        {
            var index = indices[batch.First + slot];
            if (batch.Reasons[slot] is { } reason)
            {
                skipped.Add(new SkippedFile(_dataset.Samples[index].Path, reason));
                continue;
            }

            if (rows.Count < slot)
            {
                batch.Values.AsSpan(slot * ImageLength, ImageLength).CopyTo(batch.Values.AsSpan(rows.Count * ImageLength));
            }

            rows.Add(index);
            if (_options.Describe)
            {
                statistics.Add(batch.Statistics[slot]);
                hashes.Add(batch.Hash[slot]);
            }
        }

        return new ImageBatch(batch.First, batch.Count, rows, skipped, statistics, hashes, batch.Values, ImageLength, release);
    }

    private sealed class PendingBatch(int first, int count, float[] values)
    {
        public int First { get; } = first;

        public int Count { get; } = count;

        public float[] Values { get; } = values;

        public float[][] Statistics { get; } = new float[count][];

        public string[] Hash { get; } = new string[count];

        public string?[] Reasons { get; } = new string?[count];

        public CountdownEvent Done { get; } = new(count);

        public ExceptionDispatchInfo? Failure { get; set; }
    }
}
