using System.Text.Json;
using Analysis.Attribution.Retraining;
using Analysis.Networks;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Attribution;

/// <summary>Remove and retrain as a task beside an analysis.</summary>
public sealed class RetrainTaskTests(StampedRun run) : IClassFixture<StampedRun>
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    private string Wish => $$"""{"concept":{{run.Concept}},"ranking":"probe","sets":["random","top"],"shares":[0.1],"networks":1,"epochs":3,"batchSize":20,"layers":["layer3"],"augment":"no","seed":4}""";

    [Fact]
    public void ACancelledExperimentGoesOnWhereItWasAndGivesTheSameBytes()
    {
        Prepare();
        using var folder = new TemporaryFolder();
        Retrain(folder["whole"], Wish, _ => { }, Stop);

        // Stopped in the midst of the second network, after its first epoch.
        using var cut = new CancellationTokenSource();
        var stopped = false;
        Assert.Throws<OperationCanceledException>(() => Retrain(
            folder["parts"],
            Wish,
            progress =>
            {
                if (progress.Doing.Contains("network 2 of 3", StringComparison.Ordinal) && progress.Doing.Contains("1 of 3 epochs", StringComparison.Ordinal))
                {
                    stopped = true;
                    cut.Cancel();
                }
            },
            cut.Token));
        Assert.True(stopped);
        Assert.False(File.Exists(Path.Combine(folder["parts"], TaskRunner.ResultFile)));
        var live = JsonSerializer.Deserialize<RetrainResult>(File.ReadAllBytes(Path.Combine(folder["parts"], "live.json")), AnalysisJson.Options)!;
        Assert.Single(live.Report!.Conditions);
        var first = Path.Combine(folder["parts"], "networks", "full-0.json");
        var written = File.GetLastWriteTimeUtc(first);

        var seen = new List<TaskProgress>();
        Retrain(folder["parts"], Wish, seen.Add, Stop);
        Assert.Equal(written, File.GetLastWriteTimeUtc(first));
        Assert.DoesNotContain(seen, p => p.Doing.StartsWith("Training network 1 ", StringComparison.Ordinal));
        Assert.DoesNotContain(seen, p => p.Doing.Contains("network 2 of 3", StringComparison.Ordinal) && p.Doing.Contains("first epoch", StringComparison.Ordinal));
        Assert.Contains(seen, p => p.Preview == "live.json");
        Assert.Equal(seen[^1].Total, seen[^1].Done);
        Assert.Equal(File.ReadAllBytes(Path.Combine(folder["whole"], TaskRunner.ResultFile)), File.ReadAllBytes(Path.Combine(folder["parts"], TaskRunner.ResultFile)));
    }

    [Fact]
    public void TheReportSaysWhatWasRemovedAndTheCostIsMeasuredWithoutTraining()
    {
        Prepare();
        using var folder = new TemporaryFolder();
        var result = Retrain(folder["task"], Wish, _ => { }, Stop);
        Assert.Equal(["full", "top", "random"], result.Report!.Conditions.Select(c => c.Set));
        Assert.Equal((3, false), (result.Recipe.Epochs, result.Recipe.Flip));
        var top = result.Report.Conditions.Single(c => c.Set == "top");
        var random = result.Report.Conditions.Single(c => c.Set == "random");
        Assert.Equal(random.Removed, top.Removed);
        // The probe ranks its own positives first: what is removed shows the stamp, of a random set a third does.
        Assert.True(top.RemovedPositives > 1.5 * random.RemovedPositives, $"{top.RemovedPositives} of {top.Removed} against {random.RemovedPositives}");

        var cost = Retrain(folder["cost"], $$"""{"concept":{{run.Concept}},"measure":true,"batchSize":20}""", _ => { }, Stop);
        Assert.Null(cost.Report);
        Assert.True(cost.Cost!.SecondsPerImage > 0);
        Assert.Equal(180, cost.Cost.Training + cost.Cost.HeldOut);
        Assert.Equal(60, cost.Cost.TrainingPositives + cost.Cost.HeldOutPositives);
        Assert.False(Directory.Exists(Path.Combine(folder["cost"], "networks")));
    }

    [Theory]
    [InlineData("""{}""", "concept")]
    [InlineData("""{"concept":{"name":"a","source":"neuron","unit":0},"ranking":"luck"}""", "luck")]
    [InlineData("""{"concept":{"name":"a","source":"neuron","unit":0},"sets":[]}""", "set")]
    [InlineData("""{"concept":{"name":"a","source":"neuron","unit":0},"sets":["worst"]}""", "worst")]
    [InlineData("""{"concept":{"name":"a","source":"neuron","unit":0},"shares":[0.6]}""", "0.6")]
    [InlineData("""{"concept":{"name":"a","source":"neuron","unit":0},"networks":0}""", "0 networks")]
    [InlineData("""{"concept":{"name":"a","source":"neuron","unit":0},"augment":"maybe"}""", "maybe")]
    [InlineData("""[1]""", "read")]
    public void WishesThatMakeNoSenseAreRefused(string parameters, string named)
    {
        using var json = JsonDocument.Parse(parameters);
        var fault = Assert.Throws<AnalysisException>(() => TaskCatalogue.Get("retrain").Normalise(json.RootElement));
        Assert.Contains(named, fault.Message, StringComparison.Ordinal);
    }

    private static void Prepare()
    {
        TorchRuntime.Prepare();
        set_num_threads(1);
    }

    private RetrainResult Retrain(string folder, string parameters, Action<TaskProgress> watch, CancellationToken cancellation)
    {
        using var context = new TaskContext(run.Request, run.Store, run.Result, cancellation);
        var task = TaskCatalogue.Get("retrain");
        Directory.CreateDirectory(folder);
        using var json = JsonDocument.Parse(parameters);
        task.Run(context, task.Normalise(json.RootElement), folder, new Watching(watch), cancellation);
        return JsonSerializer.Deserialize<RetrainResult>(File.ReadAllBytes(Path.Combine(folder, TaskRunner.ResultFile)), AnalysisJson.Options)!;
    }

    private sealed class Watching(Action<TaskProgress> watch) : ITaskObserver
    {
        public void OnProgress(TaskProgress progress) => watch(progress);
    }
}
