using Analysis.Runs;
using Xunit;

namespace Analysis.Tests.Runs;

/// <summary>A run that is stopped in any stage goes on from its checkpoints and ends with the same bytes.</summary>
public sealed class ResumeTests(SampleRun sample) : IClassFixture<SampleRun>
{
    private static readonly string[] Stages = ["scan", "activations", "directions", "relevance", "bank", "concepts", "outliers", "atlas"];

    [Fact]
    public void A_run_stopped_in_every_stage_ends_with_the_bytes_of_an_undisturbed_one()
    {
        using var folder = new TemporaryFolder();
        SampleRun.Run(sample.Small, folder["undisturbed"], folder["store0"]);
        var expected = File.ReadAllBytes(folder["undisturbed", "tensors.safetensors"]);

        // The same run is stopped once in each stage, one after the other, as a machine that fails again and again would.
        foreach (var stage in Stages)
        {
            Stop(stage, folder);
        }

        var observer = new RecordingObserver();
        SampleRun.Run(sample.Small, folder["resumed"], folder["store"], observer);
        Assert.Equal(expected, File.ReadAllBytes(folder["resumed", "tensors.safetensors"]));
        foreach (var table in new[] { "samples.csv", "concepts.csv", "exemplars.csv" })
        {
            Assert.Equal(File.ReadAllText(folder["undisturbed", table]), File.ReadAllText(folder["resumed", table]));
        }

        foreach (var stage in new[] { "activations", "directions", "relevance", "bank", "concepts", "outliers" })
        {
            Assert.Equal(StageState.Reused, observer.Last(stage).State);
        }
    }

    [Fact]
    public void Shards_recorded_before_the_stop_are_not_recorded_again()
    {
        using var folder = new TemporaryFolder();
        Stop("activations", folder, done => done >= 256);
        var shards = Directory.GetFiles(folder["store"], "shard-*", SearchOption.AllDirectories).ToDictionary(f => f, File.GetLastWriteTimeUtc);
        Assert.NotEmpty(shards);
        var observer = new RecordingObserver();
        SampleRun.Run(sample.Small, folder["resumed"], folder["store"], observer);
        var first = observer.Progress.Select(p => p.Stages.Single(s => s.Name == "activations")).First(s => s.Done > 0);
        Assert.True(first.Done >= 256, $"the pass began again at {first.Done}");
        Assert.All(shards, s => Assert.Equal(s.Value, File.GetLastWriteTimeUtc(s.Key)));
    }

    [Fact]
    public void A_changed_option_computes_only_what_lies_behind_it()
    {
        using var folder = new TemporaryFolder();
        SampleRun.Run(sample.Small, folder["first"], folder["store"]);
        var observer = new RecordingObserver();
        SampleRun.Run(sample.Small with { Concepts = 4 }, folder["second"], folder["store"], observer);
        Assert.Equal(StageState.Reused, observer.Last("activations").State);
        Assert.Equal(StageState.Reused, observer.Last("relevance").State);
        Assert.Equal(StageState.Done, observer.Last("concepts").State);
    }

    [Fact]
    public void Progress_is_complete_in_itself_and_counts_up()
    {
        using var folder = new TemporaryFolder();
        var observer = new RecordingObserver();
        SampleRun.Run(sample.Small, folder["result"], folder["store"], observer);
        Assert.True(observer.Progress.Count >= 10);
        Assert.All(observer.Progress, p => Assert.Equal(Stages, p.Stages.Select(s => s.Name)));
        Assert.Equal(observer.Progress.Select(p => p.Sequence).Order(), observer.Progress.Select(p => p.Sequence));
        Assert.Equal(Enumerable.Range(0, 10), observer.Ready.Order());
        Assert.Equal(400, observer.Listed);
        Assert.All(observer.Progress[^1].Stages, s => Assert.Equal(StageState.Done, s.State));
    }

    private void Stop(string stage, TemporaryFolder folder, Func<long, bool>? when = null)
    {
        using var cancellation = new CancellationTokenSource();
        var observer = new RecordingObserver
        {
            Watch = progress =>
            {
                var now = progress.Stages.Single(s => s.Name == stage);
                if (now.State == StageState.Running && (when?.Invoke(now.Done) ?? true))
                {
                    cancellation.Cancel();
                }
            },
        };
        try
        {
            SampleRun.Run(sample.Small, folder["resumed"], folder["store"], observer, cancellation.Token);
            Assert.Fail($"the run was not stopped in the stage {stage}");
        }
        catch (OperationCanceledException)
        {
            Assert.False(File.Exists(folder["resumed", "manifest.json"]), "a stopped run must not look complete");
        }
    }
}
