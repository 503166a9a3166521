using Analysis.Probes;
using Analysis.Runs.Tasks;
using Analysis.Tests.Runs;
using Xunit;

namespace Analysis.Tests.Probes;

/// <summary>Probes of what was planted in the built-in sample.</summary>
public sealed class ProbeFitterTests(SampleRun run) : IClassFixture<SampleRun>
{
    [Fact]
    public void APlantedAttributeIsReadAtTheAnalysedLayer()
    {
        using var context = new TaskContext(run.Request, run.Store, run.Result, TestContext.Current.CancellationToken);
        var labels = ConceptResolver.Resolve(context, new ConceptDefinition { Name = "disc", Source = "attribute", Attribute = "shape", Value = "disc" });
        var fitted = ProbeFitter.Fit(context, labels, context.Plan.Layer.Name, new ProbeOptions());
        Assert.True(fitted.HeldOut.BalancedAccuracy > 0.95, $"{fitted.HeldOut}");
        Assert.True(fitted.HeldOut.Auc > 0.98, $"{fitted.HeldOut}");
        Assert.Equal(context.Plan.Layer.Channels, fitted.Probe.Weights.Length);
        Assert.Equal(1, Math.Sqrt(fitted.Direction().Sum(v => v * v)), 1e-12);
        // Along the direction of activations as they are the logit rises as fast as it can.
        Assert.Equal(Analysis.Numerics.Vectors.Norm(fitted.Probe.Raw().Weights), Analysis.Numerics.Vectors.Dot(fitted.Direction(), fitted.Probe.Raw().Weights), 1e-9);
        // The probe on activations as they are gives the scores that it says.
        var (weights, bias) = fitted.Probe.Raw();
        int[] test = [.. Enumerable.Range(0, labels.Targets.Length).Where(i => labels.HeldOut[i])];
        using var rows = context.Layers.Read(context.Plan.Layer.Name, test);
        var matrix = Analysis.Numerics.DenseMatrix.FromTensor(rows);
        var logits = test.Select((_, i) => Analysis.Numerics.Vectors.Dot(matrix.Row(i), weights) + bias).ToArray();
        Assert.Equal(fitted.HeldOut.Auc!.Value, ProbeFitter.Score(logits, [.. test.Select(i => labels.Targets[i])], continuous: false).Auc!.Value, 1e-9);
    }

    [Fact]
    public void TheOtherLayersAreRecordedInOnePass()
    {
        using var folder = new TemporaryFolder();
        var calls = 0;
        var labels = (ConceptLabels?)null;
        for (var round = 0; round < 2; round++)
        {
            using var context = new TaskContext(run.Request, run.Store, run.Result, TestContext.Current.CancellationToken, n => new CountingNetwork(n, () => calls++));
            labels = ConceptResolver.Resolve(context, new ConceptDefinition { Name = "disc", Source = "attribute", Attribute = "shape", Value = "disc" });
            foreach (var layer in context.Layers.All)
            {
                var fitted = ProbeFitter.Fit(context, labels, layer.Name, new ProbeOptions { Strength = 0.01 });
                Assert.Equal(layer.Channels, fitted.Probe.Weights.Length);
            }

            var batches = (context.Samples.Count + context.Plan.Request.BatchSize - 1) / context.Plan.Request.BatchSize;
            Assert.InRange(calls, 1, batches + 10);
        }

        Assert.Throws<AnalysisException>(() =>
        {
            using var context = new TaskContext(run.Request, run.Store, run.Result, TestContext.Current.CancellationToken);
            ProbeFitter.Fit(context, labels!, "layer99", new ProbeOptions());
        });
    }
}
