using Analysis.Attribution.Retraining;
using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Probes;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Attribution;

public sealed class RemovalExperimentTests(ITestOutputHelper output)
{
    private const int Images = 500;

    // Neither the kind of bars nor the half that is held out says who carries the stamp.
    private static readonly bool[] Stamped = Draw(0.1, 5);

    private static readonly bool[] HeldOut = Draw(0.3, 6);

    private static bool[] Draw(double share, int seed)
    {
        var random = new SplitMix64((ulong)seed);
        return [.. Enumerable.Range(0, Images).Select(_ => random.NextDouble() < share)];
    }

    [Fact]
    public void Removing_what_teaches_a_concept_drops_its_probe_and_removing_as_much_at_random_does_not()
    {
        TorchRuntime.Prepare();
        set_num_threads(1);
        using var folder = new TemporaryFolder();
        var images = PlantedTraining.Bars(Images, 1, (i, _) => Stamped[i], (i, kind) => Stamped[i] ? 0 : kind);
        var labels = new ConceptLabels
        {
            Targets = [.. Enumerable.Range(0, Images).Select(i => Stamped[i] ? 1.0 : 0)],
            HeldOut = HeldOut,
        };
        var options = new RemovalOptions
        {
            Layers = ["layer1", "layer2", "layer3"],
            RankingLayer = "layer3",
            Shares = [0.1],
            Networks = 2,
            Recipe = new TrainingRecipe { Epochs = 8, BatchSize = 20 },
            Sets = ["top", "random"],
        };
        var clock = System.Diagnostics.Stopwatch.StartNew();
        var report = new RemovalExperiment(seed => PlantedTraining.Network(seed, 6), images, labels, new Truth(), options, folder.Path).Run(_ => { }, TestContext.Current.CancellationToken);
        output.WriteLine($"{clock.Elapsed}");
        foreach (var c in report.Conditions)
        {
            output.WriteLine($"{c.Set} {c.Removed} {c.RemovedPositives} acc {c.TaskAccuracy.Average():F3} " + string.Join("; ", c.Layers.Select(l => $"{l.Layer} {l.BalancedAccuracy.Average():F3} auc {l.Auc.Average():F3} nz {l.NonZeros.Average():F1} cos {l.Cosine:F2} agr {l.Agreement:F2}")));
        }

        foreach (var line in report.Verdict)
        {
            output.WriteLine(line);
        }
    }

    private sealed class Truth : IRemovalRanking
    {
        public double[] Scores(RankingInput input, Action<string> progress, CancellationToken cancellation) => [.. Enumerable.Range(0, input.Images.Count).Select(i => Stamped[i] ? 1.0 : 0)];
    }
}
