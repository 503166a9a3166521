using System.Text.Json;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Probes;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using Analysis.Tests.Runs;
using Xunit;

namespace Analysis.Tests.Probes;

/// <summary>The task <c>probe</c> on the built-in sample, against what was planted.</summary>
public sealed class ProbeTaskTests(SampleRun run) : IClassFixture<SampleRun>
{
    [Theory]
    [InlineData("shape", "disc", 0.97)]
    [InlineData("texture", "striped", 0.9)]
    [InlineData("colour", "red", 0.9)]
    [InlineData("artefact: watermark", null, 0.9)]
    public void PlantedAttributesAreReadAndTheirControlsAreNot(string attribute, string? value, double least)
    {
        var report = Probe(new { concept = new { name = attribute, source = "attribute", attribute, value } }, out _);
        foreach (var layer in report.Layers)
        {
            TestContext.Current.TestOutputHelper?.WriteLine(FormattableString.Invariant(
                $"{attribute} {value} {layer.Layer}: {layer.Scores.Score!.Mean:0.000} ± {layer.Scores.Score.Deviation:0.000}, AUC {layer.Scores.Auc!.Mean:0.000}, control {layer.Control.Score!.Mean:0.000} ± {layer.Control.Score.Deviation:0.000}, strength {layer.Strength}, neurons {layer.Sparsity!.NonZeros!.Mean:0.0} of {layer.Channels}, top {string.Join(" ", layer.Sparsity.Strongest.Select(s => FormattableString.Invariant($"{s.Neurons}:{s.Score.Mean:0.00}")))}"));
        }

        TestContext.Current.TestOutputHelper?.WriteLine(FormattableString.Invariant($"by class {report.ByClass!.Mean:0.000}, majority {report.Majority!.Mean:0.000}"));
        foreach (var entry in report.Tcav!.Classes)
        {
            TestContext.Current.TestOutputHelper?.WriteLine(FormattableString.Invariant(
                $"  {report.Tcav.Layer} {entry.Name}: {entry.Score.Mean:0.00} ({entry.Control.Mean:0.00}), derivative {entry.Derivative.Mean:0.00}, p {entry.PDerivative:0.0000} corrected {entry.PCorrected:0.000}"));
        }

        foreach (var note in report.Notes)
        {
            TestContext.Current.TestOutputHelper?.WriteLine(note);
        }

        Assert.True(report.Location.Score >= least, $"{report.Location}");
        Assert.True(report.Location.Readable);
        Assert.All(report.Layers, l => Assert.InRange(l.Control.Score!.Mean, 0.3, 0.7));
    }

    private ProbeReport Probe(object parameters, out string json)
    {
        using var folder = new TemporaryFolder();
        using var context = new TaskContext(run.Request, run.Store, run.Result, TestContext.Current.CancellationToken);
        json = Run(context, parameters, folder["task"]);
        return JsonSerializer.Deserialize<ProbeReport>(json, AnalysisJson.Options)!;
    }

    private static string Run(TaskContext context, object parameters, string folder)
    {
        var task = new ProbeTask();
        Directory.CreateDirectory(folder);
        task.Run(context, task.Normalise(JsonSerializer.SerializeToElement(parameters, AnalysisJson.Line)), folder, new Silent(), TestContext.Current.CancellationToken);
        return File.ReadAllText(Path.Combine(folder, TaskRunner.ResultFile));
    }

    private sealed class Silent : ITaskObserver
    {
        public void OnProgress(TaskProgress progress)
        {
        }
    }
}
