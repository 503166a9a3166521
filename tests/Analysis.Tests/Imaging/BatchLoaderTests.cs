using System.Collections.Concurrent;
using Analysis.Datasets;
using Analysis.Imaging;
using Analysis.Outliers;
using Xunit;

namespace Analysis.Tests.Imaging;

/// <summary>Order, gaps, bounds and cancellation of the batch loader.</summary>
public sealed class BatchLoaderTests
{
    private static readonly Preprocessing To8 = new(8, 8, [0.5f, 0.4f, 0.3f], [0.2f, 0.3f, 0.4f], ResizeMode.Stretch);

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void Batches_follow_the_indices_whatever_the_threads_do(int parallelism)
    {
        var dataset = new GeneratedDataset(53, static i => i % 10 == 3);
        int[] indices = [.. Enumerable.Range(0, 53).Reverse()];
        var loader = new BatchLoader(dataset, To8, new BatchLoaderOptions { Parallelism = parallelism });
        var rows = new List<int>();
        var skipped = new List<string>();
        var first = 0;
        var expected = new float[3 * 64];
        foreach (var batch in loader.Load(indices, 8, TestContext.Current.CancellationToken))
        {
            using (batch)
            {
                Assert.Equal(first, batch.First);
                Assert.Equal(Math.Min(8, 53 - first), batch.Count);
                Assert.Equal(batch.Count, batch.Rows.Count + batch.Skipped.Count);
                Assert.Equal(batch.Rows.Count, batch.Statistics.Count);
                for (var i = 0; i < batch.Rows.Count; i++)
                {
                    var prepared = ImagePreparation.Prepare(dataset.Read(batch.Rows[i]), To8);
                    ImagePreparation.Normalise(prepared, To8, expected);
                    Assert.Equal(expected, batch.Values.Slice(i * 192, 192).ToArray());
                    Assert.Equal(PixelStatistics.Names.Count, batch.Statistics[i].Length);
                    Assert.Equal(ContentHash.Of(ImageDecoder.Decode(dataset.Read(batch.Rows[i]))), batch.ContentHash[i]);
                }

                rows.AddRange(batch.Rows);
                skipped.AddRange(batch.Skipped.Select(static s => s.Path));
                first += batch.Count;
            }
        }

        Assert.Equal(indices.Where(static i => i % 10 != 3), rows);
        Assert.Equal(indices.Where(static i => i % 10 == 3).Select(static i => $"{i:D4}"), skipped);
    }

    [Fact]
    public void It_reads_no_further_ahead_than_asked()
    {
        var dataset = new GeneratedDataset(1000, static _ => false);
        var loader = new BatchLoader(dataset, To8, new BatchLoaderOptions { Parallelism = 3, Ahead = 2 });
        var seen = 0;
        foreach (var batch in loader.Load([.. Enumerable.Range(0, 1000)], 10, TestContext.Current.CancellationToken))
        {
            batch.Dispose();
            seen++;
            Assert.InRange(dataset.ReadCount, 10, (seen + 3) * 10);
            if (seen == 20)
            {
                break;
            }
        }

        // Leaving the loop stopped the threads.
        var after = dataset.ReadCount;
        Assert.InRange(after, 200, 230);
    }

    [Fact]
    public void Cancelling_ends_the_enumeration()
    {
        using var cancel = new CancellationTokenSource();
        var loader = new BatchLoader(new GeneratedDataset(500, static _ => false), To8);
        Assert.Throws<OperationCanceledException>(() =>
        {
            foreach (var batch in loader.Load([.. Enumerable.Range(0, 500)], 5, cancel.Token))
            {
                batch.Dispose();
                cancel.Cancel();
            }
        });
    }

    [Fact]
    public void A_fault_of_the_program_is_not_hidden_as_a_skipped_image()
    {
        var loader = new BatchLoader(new GeneratedDataset(3, static i => i == 1 ? throw new InvalidOperationException("fault") : false), To8);
        Assert.Throws<InvalidOperationException>(() => loader.Load([0, 1, 2], 3, TestContext.Current.CancellationToken).ToList());
    }

    [Fact]
    public void Nothing_asked_gives_nothing() =>
        Assert.Empty(new BatchLoader(new GeneratedDataset(3, static _ => false), To8).Load([], 4, TestContext.Current.CancellationToken));

    [Fact]
    public void A_disposed_batch_gives_no_values()
    {
        var loader = new BatchLoader(new GeneratedDataset(3, static _ => false), To8);
        var batch = loader.Load([0, 1], 4, TestContext.Current.CancellationToken).Single();
        batch.Dispose();
        Assert.Throws<ObjectDisposedException>(() => batch.Values.Length);
    }

    /// <summary>Raw pictures of two sizes; some cannot be read.</summary>
    private sealed class GeneratedDataset(int count, Func<int, bool> broken) : IDataset
    {
        private readonly ConcurrentBag<int> _reads = [];

        public int ReadCount => _reads.Count;

        public string Root => "";

        public string Name => "generated";

        public string Format => "generated";

        public string Fingerprint => "";

        public IReadOnlyList<SampleReference> Samples { get; } = [.. Enumerable.Range(0, count).Select(static i => new SampleReference($"{i:D4}", ""))];

        public IReadOnlyList<string> Classes => [];

        public IReadOnlyList<SkippedFile> Skipped => [];

        public RawImage Read(int index)
        {
            _reads.Add(index);
            if (broken(index))
            {
                throw new AnalysisException("broken");
            }

            var side = 5 + (index % 7);
            return new RawImage(TestImages.Pattern(side, side, index).Pixels, Encoded: false, side, side);
        }
    }
}
