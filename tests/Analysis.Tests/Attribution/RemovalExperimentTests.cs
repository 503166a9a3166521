using System.Text.Json;
using Analysis.Attribution.Retraining;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Probes;
using Analysis.Runs;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Attribution;

/// <summary>
/// A faint stamp on a tenth of the images decides their class, whatever bars they show: networks learn the stamp because of these
/// images alone.
/// </summary>
public sealed class RemovalExperimentTests(ITestOutputHelper output)
{
    private const int Images = 500;

    // Neither the kind of bars nor the part that is held out says who carries the stamp.
    private static readonly bool[] Stamped = Draw(0.1, 5);

    private static readonly bool[] HeldOut = Draw(0.3, 6);

    private static readonly ConceptLabels Labels = new() { Targets = [.. Stamped.Select(s => s ? 1.0 : 0)], HeldOut = HeldOut };

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public void Removing_what_teaches_a_concept_drops_its_probe_and_removing_as_much_at_random_does_not()
    {
        Prepare();
        using var folder = new TemporaryFolder();
        var report = Experiment(folder.Path, Options(0.1, 8) with { Sets = ["top", "random"], Networks = 3 }, new Truth()).Run(_ => { }, Stop);
        foreach (var line in report.Verdict)
        {
            output.WriteLine(line);
        }

        var top = report.Effects.Single(e => e.Set == "top" && e.Layer == report.Layer);
        var random = report.Effects.Single(e => e.Set == "random" && e.Layer == report.Layer);
        var found = Assert.Single(report.Precision);
        output.WriteLine($"{found.Positives} of the top {found.Removed} are stamped, of {report.TrainingPositives}; top {top.AgainstFull}, against random {top.AgainstRandom}, random {random.AgainstFull}");
        Assert.True(found.Positives >= 0.8 * report.TrainingPositives, $"{found.Positives} of {report.TrainingPositives}");
        Assert.True(top.AgainstFull.Value < -0.12, $"{top.AgainstFull}");
        Assert.True(top.AgainstRandom!.High < 0, $"{top.AgainstRandom}");
        Assert.True(random.AgainstFull.Value > -0.08 && random.AgainstFull.High > 0, $"{random.AgainstFull}");
        Assert.Contains(report.Verdict, v => v.Contains("these images taught it", StringComparison.Ordinal));
        Assert.All(report.Conditions, c => Assert.True(c.TaskAccuracy.Average() > 0.7));
    }

    /// <summary>τ of the probe tells the stamped images from the others of their class.</summary>
    [Fact]
    public void Attribution_ranks_the_images_that_teach_the_concept_higher()
    {
        Prepare();
        using var folder = new TemporaryFolder();
        var images = Bars();
        int[] training = RemovalExperiment.TrainingRows(images, Labels);
        var (files, probes) = (new List<string>(), new List<LinearProbe>());
        for (var seed = 0; seed < 3; seed++)
        {
            using var network = PlantedTraining.Network(seed, 6);
            Trainer.Train(network, images, training, Options(0.1, 8).Recipe, seed, cancellation: Stop);
            files.Add(folder[$"{seed}.safetensors"]);
            network.Save(files[^1]);
            using var frozen = network.Freeze();
            using var pooled = PooledActivations.Read(frozen, images, [.. Enumerable.Range(0, Images)], ["layer3"], Stop)[0];
            using var set = ProbeSet.Create(rows => pooled.index_select(0, tensor(Array.ConvertAll(rows, r => (long)r))), Labels, "layer3");
            probes.Add(set.Fit(set.TrainTargets, new ProbeOptions()).Probe);
        }

        var input = new RankingInput(files, "cifar_resnet8", probes, "layer3", images, training, Labels, CPU);
        double Auc(IRemovalRanking ranking)
        {
            var scores = ranking.Scores(input, _ => { }, Stop);
            int[] rows = [.. training.Where(i => images.Labels[i] == 0)];
            return MannWhitney.Auc(Array.ConvertAll(rows, i => scores[i]), Array.ConvertAll(rows, i => Stamped[i]));
        }

        var (attributed, answered) = (Auc(new TrakRanking(128)), Auc(new ProbeRanking()));
        output.WriteLine($"attribution {attributed:0.000}, probe {answered:0.000}");
        Assert.True(attributed > 0.7, $"{attributed}");
        Assert.True(answered > 0.9, $"{answered}");
    }

    [Fact]
    public void A_killed_experiment_goes_on_and_ends_with_the_same_report()
    {
        Prepare();
        using var folder = new TemporaryFolder();
        var options = Options(0.05, 2) with { Sets = ["top", "random"], Layers = ["layer3"] };
        var whole = Experiment(folder["whole"], options, new ProbeRanking()).Run(_ => { }, Stop);

        using var cut = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => Experiment(folder["cut"], options, new ProbeRanking()).Run(
            p =>
            {
                // In the second epoch of the fourth network.
                if (p.Finished == 3 && p.Doing.Contains("1 of 2", StringComparison.Ordinal))
                {
                    cut.Cancel();
                }
            },
            cut.Token));
        var trained = new HashSet<string>();
        var resumed = Experiment(folder["cut"], options, new ProbeRanking()).Run(
            p =>
            {
                if (p.Doing.StartsWith("Training", StringComparison.Ordinal))
                {
                    trained.Add(p.Doing);
                }
            },
            Stop);

        Assert.Equal(JsonSerializer.Serialize(whole, AnalysisJson.Line), JsonSerializer.Serialize(resumed, AnalysisJson.Line));
        Assert.DoesNotContain(trained, t => t.Contains("network 3 of", StringComparison.Ordinal) || t.Contains("first epoch", StringComparison.Ordinal) && t.Contains("network 4 of", StringComparison.Ordinal));
    }

    [Fact]
    public void Findings_are_told_while_the_experiment_runs()
    {
        Prepare();
        using var folder = new TemporaryFolder();
        var reports = new List<RemovalReport>();
        var images = new List<long>();
        var options = Options(0.05, 1) with { Sets = ["top"], Layers = ["layer3"], Sparsity = false };
        Experiment(folder.Path, options, new ProbeRanking()).Run(
            p =>
            {
                images.Add(p.Images);
                if (p.Report is { } report)
                {
                    reports.Add(report);
                }
            },
            Stop);

        Assert.Equal([1, 2, 3, 4], reports.Select(r => r.Finished));
        Assert.Equal([0, 1, 1, 2], reports.Select(r => r.Conditions.Count));
        Assert.Equal(images.Order(), images);
        Assert.Equal(RemovalExperiment.Cost(RemovalExperiment.TrainingRows(Bars(), Labels).Length, options), images[^1]);
    }

    [Fact]
    public void Too_little_to_learn_from_is_refused_with_a_remedy()
    {
        using var folder = new TemporaryFolder();
        Prepare();
        RemovalReport Run(ConceptLabels labels) => new RemovalExperiment(seed => PlantedTraining.Network(seed, 6), Bars(), labels, new ProbeRanking(), Options(0.05, 1), folder.Path).Run(_ => { }, Stop);

        Assert.Contains("number", Assert.Throws<AnalysisException>(() => Run(Labels with { Continuous = true })).Message, StringComparison.Ordinal);
        Assert.Contains("show the concept", Assert.Throws<AnalysisException>(() => Run(Labels with { Targets = [.. Labels.Targets.Select((t, i) => i < 40 ? t : 0)] })).Message, StringComparison.Ordinal);
    }

    /// <summary>The stamp lies at one place only: probes that are told another one do not read it.</summary>
    [Fact]
    public void Marked_places_are_where_probes_look()
    {
        Prepare();
        RemovalReport Run(RelativeRectangle place)
        {
            using var folder = new TemporaryFolder();
            var options = Options(0.05, 3) with { Sets = ["top"], Layers = ["layer1", "avgpool"], RankingLayer = "layer1", Networks = 1, Sparsity = false };
            var places = Enumerable.Range(0, Images).Where(i => Stamped[i]).ToDictionary(i => i, _ => new[] { place });
            return new RemovalExperiment(seed => PlantedTraining.Network(seed, 6), Bars(), Labels, new Truth(), options, folder.Path, places).Run(_ => { }, Stop);
        }

        // Rows and columns 6 to 10 of 12.
        var (right, wrong) = (Run(new RelativeRectangle(0.5, 0.5, 5 / 12.0, 5 / 12.0)), Run(new RelativeRectangle(0, 0, 5 / 12.0, 5 / 12.0)));
        double Auc(RemovalReport report, string layer) => report.Conditions[0].Layers.Single(l => l.Layer == layer).Auc[0];
        output.WriteLine($"layer1: {Auc(right, "layer1"):0.000} at the place, {Auc(wrong, "layer1"):0.000} at another; avgpool {Auc(right, "avgpool"):0.000}, {Auc(wrong, "avgpool"):0.000}");
        Assert.True(Auc(right, "layer1") > Auc(wrong, "layer1") + 0.15);
        // Without positions, places change nothing, and the report says so.
        Assert.Equal(Auc(right, "avgpool"), Auc(wrong, "avgpool"));
        Assert.Contains(right.Notes, n => n.Contains("not used at avgpool", StringComparison.Ordinal));
        Assert.Contains(right.Notes, n => n.Contains("inside and outside of the marked places", StringComparison.Ordinal));
    }

    [Fact]
    public void Sets_are_what_they_are_called()
    {
        int[] training = [.. Enumerable.Range(0, 100)];
        double[] scores = [.. training.Select(i => (double)(i * 37 % 100))];
        int[] labels = [.. training.Select(i => i % 4)];
        static bool Shows(int row) => row >= 90;
        int[] Choose(string set, int seed = 0) => RemovalSets.Choose(new RemovalCondition(set, 0.1), training, scores, labels, Shows, seed);

        Assert.Empty(Choose("full"));
        Assert.Equal(training.OrderByDescending(i => scores[i]).Take(10).Order(), Choose("top"));
        Assert.Equal(training.OrderBy(i => scores[i]).Take(10).Order(), Choose("bottom"));
        Assert.Equal(Enumerable.Range(90, 10), Choose("labelled"));
        Assert.Equal(Choose("top").CountBy(r => labels[r]).OrderBy(c => c.Key), Choose("random").CountBy(r => labels[r]).OrderBy(c => c.Key));
        Assert.Equal(Choose("random"), Choose("random"));
        Assert.NotEqual(Choose("random"), Choose("random", 1));
        Assert.NotEqual(Choose("top"), Choose("random"));
    }

    /// <summary>Binomial spread of 200 images: about ±7 points with one network; other differences must have 0 outside.</summary>
    [Fact]
    public void Intervals_are_as_wide_as_chance()
    {
        const int count = 400;
        bool[] positive = [.. Enumerable.Range(0, count).Select(i => i % 2 == 0)];
        var random = new SplitMix64(3);
        double[] Answers(double right) => [.. Enumerable.Range(0, count).Select(_ => random.NextDouble() < right ? 1.0 : 0)];
        var bootstrap = new RemovalBootstrap(positive, 3, 0);
        double[][] a = [Answers(0.8), Answers(0.8), Answers(0.8)];
        double[][] b = [Answers(0.8), Answers(0.8), Answers(0.8)];
        double[][] c = [Answers(0.6), Answers(0.6), Answers(0.6)];
        var (drawsA, drawsB, drawsC) = (bootstrap.Draws(a), bootstrap.Draws(b), bootstrap.Draws(c));

        var same = RemovalBootstrap.Difference(0, drawsA, drawsB);
        var other = RemovalBootstrap.Difference(-0.2, drawsC, drawsA);
        Assert.False(same.Clear);
        Assert.True(other.High < 0);
        // Independent answers of three networks: √(2 · 0.16 / (3 · 400)) · 2 · 1.96 = 0.064, and a little for drawing networks.
        Assert.InRange(same.High - same.Low, 0.04, 0.12);

        // Three times the same network: only the images are uncertain, √(2 · 0.16 / 400) · 2 · 1.96 = 0.111.
        var images = RemovalBootstrap.Difference(0, bootstrap.Draws([a[0], a[0], a[0]]), bootstrap.Draws([b[0], b[0], b[0]]));
        Assert.InRange(images.High - images.Low, 0.08, 0.14);

        // Networks that differ by 20 points from one to the next are uncertain themselves: 0.163 / √3 · 2 · 1.96 = 0.37.
        var networks = RemovalBootstrap.Difference(0, bootstrap.Draws([Answers(0.9), Answers(0.7), Answers(0.5)]), bootstrap.Draws([a[0], a[0], a[0]]));
        Assert.InRange(networks.High - networks.Low, 0.25, 0.5);
    }

    private static void Prepare()
    {
        TorchRuntime.Prepare();
        set_num_threads(1);
    }

    private static bool[] Draw(double share, int seed)
    {
        var random = new SplitMix64((ulong)seed);
        return [.. Enumerable.Range(0, Images).Select(_ => random.NextDouble() < share)];
    }

    private static TrainingImages Bars() => PlantedTraining.Bars(Images, 1, (i, _) => Stamped[i], (i, kind) => Stamped[i] ? 0 : kind);

    private static RemovalOptions Options(double share, int epochs) => new()
    {
        Layers = ["layer1", "layer2", "layer3"],
        RankingLayer = "layer3",
        Shares = [share],
        Networks = 2,
        Recipe = new TrainingRecipe { Epochs = epochs, BatchSize = 20 },
    };

    private sealed class Truth : IRemovalRanking
    {
        public double[] Scores(RankingInput input, Action<string> progress, CancellationToken cancellation) => [.. Stamped.Select(s => s ? 1.0 : 0)];
    }

    private static RemovalExperiment Experiment(string folder, RemovalOptions options, IRemovalRanking ranking) =>
        new(seed => PlantedTraining.Network(seed, 6), Bars(), Labels, ranking, options, folder);
}
