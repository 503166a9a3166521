using System.Text.Json;
using Analysis.Datasets.Sample;
using Analysis.Probes.Backpropagation;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using Analysis.Tests.Runs;
using Xunit;

namespace Analysis.Tests.Probes;

/// <summary>Concept backpropagation on the built-in sample, against what was planted.</summary>
public sealed class BackpropagateTaskTests(SampleRun run) : IClassFixture<SampleRun>
{
    /// <summary>Where the watermark is painted, with a pixel of margin: 64 × 64 pixels, centre 57, reach 5.2.</summary>
    private const string Badge = """{"left":0.796875,"top":0.796875,"width":0.1953125,"height":0.1953125}""";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public void TakingTheWatermarkAwayChangesTheWatermarkOnly()
    {
        using var folder = new TemporaryFolder();
        using var context = new TaskContext(run.Request, run.Store, run.Result, Stop);
        var rows = Watermarked(context).Take(int.Parse(Environment.GetEnvironmentVariable("BP_N") ?? "3")).ToList();
        var extra = Environment.GetEnvironmentVariable("BP_EXTRA") ?? ",\"l1\":1,\"totalVariation\":1,\"starts\":2,\"randomProbes\":1";
        var watch = System.Diagnostics.Stopwatch.StartNew();
        var report = Ask(context, folder["task"], $$"""
            {"concept":{"name":"watermark","source":"attribute","attribute":"artefact: watermark"},"samples":[{{string.Join(',', rows)}}],"direction":"no","region":{{Badge}} {{extra}} }
            """);
        TestContext.Current.TestOutputHelper?.WriteLine(watch.Elapsed + " " + JsonSerializer.Serialize(report.Summary) + "\n" + JsonSerializer.Serialize(report.Control) + "\n" + JsonSerializer.Serialize(report.Probes)
            + "\n" + string.Join("\n", report.Samples.Select(s => $"{s.Row} {s.Outcome} λ {s.Lambda:G3} steps {s.Steps} start {s.Start} {s.Before[0]:0.000}→{s.After[0]:0.000} l1 {s.Size.L1:0.0} max {s.Size.Largest:0.00} share {s.Size.Share:0.000} inside {s.Inside:0.000} of {s.RegionArea:0.000} {s.PredictedBefore}→{s.PredictedAfter} frames {string.Join(' ', s.Frames.Select(f => $"{f.Answer:0.00}/{f.L1:0}"))}")));
        if (Environment.GetEnvironmentVariable("BP_OUT") is { } output)
        {
            Directory.CreateDirectory(output);
            foreach (var file in Directory.GetFiles(folder["task"]))
            {
                File.Copy(file, Path.Combine(output, Path.GetFileName(file)), true);
            }
        }

        Assert.Equal(report.Summary.Wishes, report.Summary.Reached);
        Assert.InRange(report.Summary.Inside!.Value, 0.5, 1);
    }

    internal static BackpropagationReport Ask(TaskContext context, string folder, string parameters)
    {
        var task = TaskCatalogue.Get("backpropagate");
        Directory.CreateDirectory(folder);
        using var json = JsonDocument.Parse(parameters);
        task.Run(context, task.Normalise(json.RootElement), folder, new Quiet(), Stop);
        return JsonSerializer.Deserialize<BackpropagationReport>(File.ReadAllText(Path.Combine(folder, TaskRunner.ResultFile)), AnalysisJson.Line)!;
    }

    private IEnumerable<int> Watermarked(TaskContext context)
    {
        var marked = SamplePlan.Create(new SampleOptions()).Where(i => i.Attributes.Watermark).Select(i => i.Path).ToHashSet();
        return context.Samples.Where(s => marked.Contains(s.Path)).Select(s => s.Index);
    }

    private sealed class Quiet : ITaskObserver
    {
        public void OnProgress(TaskProgress progress)
        {
        }
    }
}
