using Analysis.Runs;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Services;
using Xunit;

namespace Dashboard.Server.Tests;

/// <summary>The time that the new analysis is said to take, against what runs took.</summary>
public sealed class RunTimeTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    // Runs on two cores with little beside them, after the pass over the images: from their manifests.
    [Theory]
    [InlineData("unique", "pooled", "class", 2040, 10, 64, 64, 10, 1.5)]
    [InlineData("unique", "pooled", "class", 7200, 60, 1024, 16, 10, 10.4)]
    [InlineData("nmf", "positions", "class", 7200, 60, 1024, 16, 10, 20.6)]
    [InlineData("kmeans", "pooled", "dataset", 200000, 100, 768, 1, 1000, 618.6)]
    public void The_formula_is_near_what_runs_took(string method, string granularity, string scope, int images, int classes, int channels, int cells, int concepts, double took)
    {
        var run = new RunTime { Method = method, Granularity = granularity, Scope = scope, Images = images, Classes = classes, Channels = channels, Cells = cells, Concepts = concepts };
        Assert.InRange(run.AfterPass, took / 1.5, took * 1.5);
        // The pass itself, by the network's speed, and the start.
        Assert.InRange(run.Seconds(100, 1) - run.AfterPass, images / 100.0, (images / 100.0 * 1.25) + 5);
    }

    [Fact]
    public void Earlier_runs_of_the_machine_bring_the_formula_to_its_speed()
    {
        Assert.Equal(1, RunTime.Factor([]));
        var run = new RunTime { Method = "unique", Granularity = "pooled", Scope = "class", Images = 1000, Classes = 10, Channels = 64, Cells = 64, Concepts = 10 };
        // The median of three: of one that had another load beside it nothing is seen.
        Assert.Equal(3, RunTime.Factor([Finished(run, 3), Finished(run, 2), Finished(run, 50)]), 1e-9);
        Assert.Equal(6, RunTime.Factor([Finished(run, 50)]));
        // One that found its stages done already is no witness.
        Assert.Equal(1, RunTime.Factor([Finished(run, 3, reused: true)]));
        Assert.Equal(run.Seconds(100, 1) + run.AfterPass, run.Seconds(100, 2), 1e-9);
    }

    [Fact]
    public async Task The_estimate_is_near_what_the_same_run_takes()
    {
        await using var site = await TestSite.StartAsync();
        var request = new NewAnalysis { Dataset = TestNetwork.Images(site.Folder), Network = TestNetwork.Weights(site.Folder) };
        var sources = site.Get<ISourceService>();
        var data = await sources.PreviewDatasetAsync(request.Dataset, Stop);
        var network = await sources.PreviewNetworkAsync(request.Network, request.Dataset, null, Stop);
        var before = (await sources.EstimateAsync(request, data, network, Stop)).Seconds;
        var started = await site.StartRunAsync(request);
        await site.WaitAsync(started.Id, progress => progress.State == AnalysisState.Completed);
        var manifest = RunFiles.Manifest(site.Get<DataFolders>().Run(started.Id))!;
        var took = manifest.Stages.Sum(stage => stage.Seconds);
        TestContext.Current.TestOutputHelper!.WriteLine($"{before:0.0} s were estimated; the stages took {took:0.0} s");
        // A run of seconds on a machine that does other things: the right order of magnitude is all that can be asked for.
        Assert.InRange(before, took / 10, (took * 10) + 5);
        Assert.InRange((await sources.EstimateAsync(request, data, network, Stop)).Seconds, took / 10, (took * 10) + 5);
    }

    private static Manifest Finished(RunTime run, double slower, bool reused = false) => new()
    {
        Id = "0",
        Created = DateTimeOffset.UnixEpoch,
        Engine = "test",
        Request = new AnalysisRequest { Dataset = "d", Method = run.Method, Granularity = run.Granularity, Scope = run.Scope, Concepts = run.Concepts },
        Keys = new Dictionary<string, string>(),
        Dataset = new ManifestDataset("d", "", (int)run.Images, [.. Enumerable.Range(0, run.Classes).Select(c => $"c{c}")]),
        Network = new ManifestNetwork("n", "", "", []),
        Layer = new ManifestLayer("l", (int)run.Channels, 8, 8),
        Device = "cpu",
        Stages =
        [
            new ManifestStage("activations", 100, 1000),
            new ManifestStage("concepts", slower * run.AfterPass / 2, 10),
            new ManifestStage("outliers", reused ? 0 : slower * run.AfterPass / 2, 1000),
        ],
        Skipped = [],
        Metrics = new Dictionary<string, double>(),
    };
}
