using Analysis;
using Analysis.Datasets;
using Dashboard.Server.Images;
using Xunit;

namespace Dashboard.Server.Tests;

/// <summary>Listings of data sets that are kept for pictures.</summary>
public sealed class OpenDatasetsTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_old_listing_serves_until_it_is_read_again_and_one_that_is_gone_is_forgotten()
    {
        var folder = Directory.CreateTempSubdirectory("atlas-open-").FullName;
        try
        {
            await File.WriteAllBytesAsync(Path.Combine(folder, "a.png"), [1], Stop);
            var clock = new Clock();
            var open = new OpenDatasets(clock);
            var first = await open.GetAsync(folder, Stop);
            await File.WriteAllBytesAsync(Path.Combine(folder, "b.png"), [1], Stop);
            Assert.Same(first, await open.GetAsync(folder, Stop));

            clock.Now += TimeSpan.FromHours(1);
            // Nobody waits for the folder to be read.
            Assert.Same(first, await open.GetAsync(folder, Stop));
            var second = await UntilAsync(open, folder, dataset => dataset.Samples.Count == 2);
            Assert.Same(second, await open.GetAsync(folder, Stop));

            Directory.Delete(folder, recursive: true);
            clock.Now += TimeSpan.FromHours(1);
            await Assert.ThrowsAsync<AnalysisException>(() => UntilAsync(open, folder, _ => false));
        }
        finally
        {
            if (Directory.Exists(folder))
            {
                Directory.Delete(folder, recursive: true);
            }
        }
    }

    private static async Task<IDataset> UntilAsync(OpenDatasets open, string folder, Predicate<IDataset> met)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(Stop);
        patience.CancelAfter(TimeSpan.FromSeconds(30));
        while (true)
        {
            var dataset = await open.GetAsync(folder, patience.Token);
            if (met(dataset))
            {
                return dataset;
            }

            await Task.Delay(10, patience.Token);
        }
    }

    private sealed class Clock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

        public override DateTimeOffset GetUtcNow() => Now;
    }
}
