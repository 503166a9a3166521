using System.Diagnostics;
using System.Globalization;
using Analysis.Attribution;
using Analysis.Attribution.Retraining;
using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Probes;
using Analysis.Tests.Attribution;
using TorchSharp;

namespace Benchmarks;

/// <summary>
/// Remove and retrain where the truth is known: a faint stamp on a small share of the training images contradicts their bars and
/// decides their class, so that networks learn it from these images alone. Which images those are is left to the ranking.
/// </summary>
internal static class RemovalBenchmarks
{
    /// <summary>
    /// --set images=N training images, carried=S the share with the stamp, strength=G its grey levels, removed=R the share that is removed (5 and 10%), networks=M, epochs=E, smoothing=S of the labels,
    /// draws=D draws of images and weights, ranking=0 for TRAK of the probe or 1 for its answer to the image itself, dimensions=K,
    /// lambda=L (a multiple of the mean eigenvalue), held=T held-out images.
    /// </summary>
    public static BenchmarkReport Removal(BenchmarkOptions options)
    {
        options.Prepare();
        // One thread gives the same bytes on every machine, and networks this small gain nothing from more.
        torch.set_num_threads(options.Threads > 0 ? options.Threads : 1);
        double Set(string name, double usual) => options.Parameters.TryGetValue(name, out var value) ? value : usual;
        var draws = (int)Set("draws", 3);
        double[] shares = options.Parameters.TryGetValue("removed", out var share) ? [share] : [0.05, 0.1];
        var report = new BenchmarkReport("removal");
        var found = new List<RemovalReport>();
        var clock = Stopwatch.StartNew();
        for (var draw = 0; draw < draws; draw++)
        {
            var data = Planted.Create((int)Set("images", 1000), Set("carried", 0.05), (int)Set("held", 600), (int)Set("strength", 20), draw);
            var wish = new RemovalOptions
            {
                Layers = ["layer1", "layer2", "layer3"],
                RankingLayer = "layer3",
                Sets = RemovalSets.All,
                Shares = shares,
                Networks = (int)Set("networks", 5),
                Recipe = new TrainingRecipe { Epochs = (int)Set("epochs", 12), BatchSize = 25, Smoothing = Set("smoothing", 0) },
                Sparsity = false,
                Seed = 1000 * draw,
            };
            IRemovalRanking ranking = Set("ranking", 0) > 0 ? new ProbeRanking() : new TrakRanking((int)Set("dimensions", 512), Set("lambda", TrakScores.ProbeLambda), draw);
            var folder = Path.Combine(Path.GetTempPath(), $"removal-benchmark-{Guid.NewGuid():N}");
            try
            {
                var experiment = new RemovalExperiment(seed => PlantedTraining.Network(seed, 6), data.Images, data.Labels, new Apart(ranking, data.Probe), wish, folder);
                found.Add(experiment.Run(_ => { }, CancellationToken.None));
            }
            finally
            {
                Directory.Delete(folder, recursive: true);
            }

            Console.Error.WriteLine($"draw {draw + 1} of {draws}: {clock.Elapsed.TotalSeconds:0} s");
        }

        report.With("training", found[0].Training).With("carriers", found[0].TrainingPositives).With("heldOutPositives", found[0].HeldOutPositives)
            .With("networks", found[0].Networks).With("seconds", clock.Elapsed.TotalSeconds);
        for (var draw = 0; draw < draws; draw++)
        {
            var one = found[draw];
            var full = one.Conditions[0].Layers.First(l => l.Layer == one.Layer).BalancedAccuracy.Average();
            report.With($"draw {draw + 1}", string.Create(
                CultureInfo.InvariantCulture, $"read at {one.Layer}, {full:0.0%} of everything, task {one.Conditions[0].TaskAccuracy.Average():0.0%}, carriers {one.TrainingPositives}"));
            foreach (var precision in one.Precision)
            {
                report.With(string.Create(CultureInfo.InvariantCulture, $"draw {draw + 1}, carriers in the top {precision.Share:0.#%}"), $"{precision.Positives} of {precision.Removed}");
            }

            foreach (var effect in one.Effects.Where(e => e.Layer == one.Layer))
            {
                var name = string.Create(CultureInfo.InvariantCulture, $"draw {draw + 1}, {effect.Set} {effect.Share:0.#%}");
                report.With($"{name} less everything", Points(effect.AgainstFull));
                if (effect.AgainstRandom is { } against)
                {
                    report.With($"{name} less random", Points(against));
                }
            }
        }

        foreach (var (set, removed) in RemovalSets.All.SelectMany(set => shares.Select(s => (set, s))))
        {
            report.With(
                string.Create(CultureInfo.InvariantCulture, $"mean of draws, {set} {removed:0.#%} less everything"),
                100 * found.Average(f => f.Effects.Single(e => e.Set == set && e.Share == removed && e.Layer == f.Layer).AgainstFull.Value));
        }

        return report.WithPeak();
    }

    /// <summary>
    /// The choice of λ: share of the stamped training images among as many with the highest scores, for several λ (multiples of the mean
    /// eigenvalue) and numbers of features; targets are the margins of stamped held-out images. --set draws=D, networks=M, and as for
    /// removal images=N, carried=S, strength=G, epochs=E.
    /// </summary>
    public static BenchmarkReport Ridge(BenchmarkOptions options)
    {
        options.Prepare();
        torch.set_num_threads(options.Threads > 0 ? options.Threads : 1);
        double Set(string name, double usual) => options.Parameters.TryGetValue(name, out var value) ? value : usual;
        double[] lambdas = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30];
        int[] dimensions = [64, 128, 256, 512];
        var (draws, networks) = ((int)Set("draws", 2), (int)Set("networks", 3));
        var found = new Dictionary<(int Dimensions, int Networks), double[]>();
        var folder = Path.Combine(Path.GetTempPath(), $"ridge-benchmark-{Guid.NewGuid():N}");
        Directory.CreateDirectory(folder);
        try
        {
            for (var draw = 0; draw < draws; draw++)
            {
                var data = Planted.Create((int)Set("images", 1000), Set("carried", 0.05), (int)Set("held", 300), (int)Set("strength", 20), draw);
                int[] training = RemovalExperiment.TrainingRows(data.Images, data.Labels);
                int[] targets = [.. Enumerable.Range(0, data.Images.Count).Where(i => data.Labels.HeldOut[i] && data.Labels.Targets[i] == 1)];
                for (var j = 0; j < networks; j++)
                {
                    using var network = PlantedTraining.Network((1000 * draw) + j, 6);
                    Trainer.Train(network, data.Images, training, new TrainingRecipe { Epochs = (int)Set("epochs", 12), BatchSize = 25 }, (1000 * draw) + j);
                    network.Save(Path.Combine(folder, $"{j}.safetensors"));
                }

                foreach (var k in dimensions)
                {
                    var unweighted = lambdas.Select(_ => new List<DenseMatrix>()).ToArray();
                    var left = new List<double[]>();
                    for (var j = 0; j < networks; j++)
                    {
                        using var network = GradientNetwork.Load(Path.Combine(folder, $"{j}.safetensors"), "cifar_resnet8", torch.CPU);
                        var wish = new FeatureOptions { Dimensions = k, Seed = (1000 * draw) + j };
                        using var wanted = TrakRanking.Margins(network, data.Images, targets, wish, _ => { }, CancellationToken.None).Features;
                        var (features, margins) = TrakRanking.Margins(network, data.Images, training, wish, _ => { }, CancellationToken.None);
                        using (features)
                        {
                            left.Add([.. margins.Select(f => 1 / (1 + Math.Exp(f)))]);
                            for (var l = 0; l < lambdas.Length; l++)
                            {
                                unweighted[l].Add(TrakScores.Unweighted(new TrakModel(new TensorRows(features), left[^1], wanted), TrakScores.Relative(lambdas[l])));
                            }
                        }
                    }

                    foreach (var count in new[] { 1, networks }.Distinct())
                    {
                        var precisions = found.TryGetValue((k, count), out var sums) ? sums : found[(k, count)] = new double[lambdas.Length];
                        for (var l = 0; l < lambdas.Length; l++)
                        {
                            precisions[l] += Precision(TrakScores.Combine([.. unweighted[l].Take(count)], [.. left.Take(count)]), data, training) / draws;
                        }
                    }
                }
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        var report = new BenchmarkReport("ridge").With("draws", draws).With("lambdas", string.Join(' ', lambdas.Select(l => l.ToString(CultureInfo.InvariantCulture))));
        foreach (var ((k, count), precisions) in found)
        {
            report.With($"k {k}, networks {count}", string.Join(' ', precisions.Select(p => p.ToString("0.000", CultureInfo.InvariantCulture))));
        }

        return report.With("worst", string.Join(' ', lambdas.Select((_, l) => found.Values.Min(p => p[l]).ToString("0.000", CultureInfo.InvariantCulture)))).WithPeak();
    }

    private static double Precision(DenseMatrix tau, Planted data, int[] training)
    {
        double[] scores = [.. Enumerable.Range(0, tau.Rows).Select(i => RobustStatistics.Mean(tau.Row(i)))];
        var carriers = training.Count(i => data.Labels.Targets[i] == 1);
        return Ranks.Descending(scores).Take(carriers).Count(i => data.Labels.Targets[training[i]] == 1) / (double)carriers;
    }

    private static string Points(EffectInterval effect) =>
        string.Create(CultureInfo.InvariantCulture, $"{100 * effect.Value:0.0} ({100 * effect.Low:0.0} to {100 * effect.High:0.0})");

    /// <summary>
    /// Training images; images without an output, which only probes are fitted to and whose stamped ones are TRAK's targets; and
    /// held-out images, which nothing but the test sees.
    /// </summary>
    private sealed record Planted(TrainingImages Images, ConceptLabels Labels, bool[] Probe)
    {
        public static Planted Create(int training, double carried, int held, int strength, int draw)
        {
            var count = training + held + held;
            var random = new SplitMix64(0x57A4_0000UL + (ulong)draw);
            // Bars of the class that the stamp stands for carry none: there it would teach nothing. They take no part in the concept,
            // so that bars do not tell it either.
            bool[] stamped = [.. Enumerable.Range(0, count).Select(i => random.NextDouble() < (i < training ? carried * 1.5 : 0.5) && i % PlantedTraining.Classes != 0)];
            var images = PlantedTraining.Bars(count, 100 + draw, (i, _) => stamped[i], (i, kind) => i >= training && i < training + held ? -1 : stamped[i] ? 0 : kind, strength);
            var labels = new ConceptLabels
            {
                Targets = [.. stamped.Select((s, i) => i % PlantedTraining.Classes == 0 ? double.NaN : s ? 1.0 : 0)],
                HeldOut = [.. Enumerable.Range(0, count).Select(i => i >= training + held)],
            };
            return new Planted(images, labels, [.. Enumerable.Range(0, count).Select(i => i >= training && i < training + held)]);
        }
    }

    /// <summary>The targets of the ranking are the stamped images of the probe's set: no image that is tested takes part in choosing what is removed.</summary>
    private sealed class Apart(IRemovalRanking ranking, bool[] probe) : IRemovalRanking
    {
        public double[] Scores(RankingInput input, Action<string> progress, CancellationToken cancellation) =>
            ranking.Scores(input with { Labels = input.Labels with { HeldOut = probe } }, progress, cancellation);
    }
}
