using System.Diagnostics;
using System.Globalization;
using Analysis.Attribution;
using Analysis.Datasets;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Benchmarks;

/// <summary>Time and agreement of TRAK with dense and with factorised projections.</summary>
internal static class AttributionBenchmarks
{
    private const int Targets = 100;

    /// <summary>
    /// Features of --limit training images (5,000 of CIFAR-10) of --network (ResNet-20), --components features (512), with the
    /// factorised and with the dense projection; scores of 100 other images and their rank correlation. Both are made with two
    /// seeds: two dense projections do not agree wholly either, and no other projection can be expected to agree with one better. --set lambda=L
    /// (a multiple of the mean eigenvalue) in place of both defaults.
    /// </summary>
    public static BenchmarkReport Trak(BenchmarkOptions options)
    {
        var device = options.Prepare();
        var dimensions = options.Components == new BenchmarkOptions().Components ? 512 : options.Components;
        var training = DatasetLoader.Open(options.Dataset ?? RealData.Folder("cifar10/train"));
        var tested = DatasetLoader.Open(RealData.Folder("cifar10/test"));
        using var network = GradientNetwork.Load(options.Network ?? RealData.Folder("cifar10/models/resnet20.safetensors"), null, device);
        var (positions, labels) = Labelled(training, network, options.Limit ?? 5_000);
        var report = new BenchmarkReport("trak").With("rows", positions.Length).With("columns", dimensions).With("threads", get_num_threads());
        double[] lambdas = options.Parameters.TryGetValue("lambda", out var chosen) ? [chosen] : [TrakScores.MarginLambda, TrakScores.ProbeLambda];
        var scores = new Dictionary<(string, double), DenseMatrix>();
        using var process = Process.GetCurrentProcess();
        foreach (var (kind, seed) in from kind in new[] { ProjectionKind.Factorised, ProjectionKind.Dense } from seed in new[] { 0, 1 } select (kind, seed))
        {
            var name = kind.ToString().ToLowerInvariant() + (seed == 0 ? "" : "Again");
            var wish = new FeatureOptions { Projection = kind, Dimensions = dimensions, BatchSize = 64, Seed = seed };
            var folder = Path.Combine(Path.GetTempPath(), $"trak-benchmark-{Guid.NewGuid():N}");
            try
            {
                process.Refresh();
                var used = process.TotalProcessorTime;
                var clock = Stopwatch.StartNew();
                using var store = GradientFeatures.Extract(network, training, positions, labels, wish, folder, _ => { }, CancellationToken.None);
                process.Refresh();
                report.With("parameters", store.Parameters).With($"{name}Seconds", clock.Elapsed.TotalSeconds).With($"{name}ProcessorSeconds", (process.TotalProcessorTime - used).TotalSeconds)
                    .With($"{name}PeakRssMiB", BenchmarkReport.PeakRssMiB());
                clock.Restart();
                using var features = TargetFeatures(network, tested, wish);
                foreach (var lambda in lambdas)
                {
                    scores[(name, lambda)] = TrakScores.Compute([new TrakModel(store, store.OneMinusP, features)], TrakScores.Relative(lambda));
                }

                report.With($"{name}ScoreSeconds", clock.Elapsed.TotalSeconds);
            }
            finally
            {
                Directory.Delete(folder, recursive: true);
            }
        }

        foreach (var lambda in lambdas)
        {
            var at = string.Create(CultureInfo.InvariantCulture, $"lambda {lambda}, rankCorrelation");
            Compare(report, at, scores[("dense", lambda)], scores[("factorised", lambda)]);
            Compare(report, $"{at}OfTwoDense", scores[("dense", lambda)], scores[("denseAgain", lambda)]);
            Compare(report, $"{at}OfTwoFactorised", scores[("factorised", lambda)], scores[("factorisedAgain", lambda)]);
        }

        return report.WithPeak();
    }

    /// <summary>Spearman's correlation of each target's scores (mean and smallest), and of the means over the targets.</summary>
    private static void Compare(BenchmarkReport report, string name, DenseMatrix a, DenseMatrix b)
    {
        var correlations = Enumerable.Range(0, a.Columns).Select(t => Ranks.Spearman(a.Column(t), b.Column(t))).ToArray();
        report.With(name, correlations.Average()).With($"{name}Smallest", correlations.Min()).With($"{name}OfMeans", Ranks.Spearman(Means(a), Means(b)));
    }

    private static double[] Means(DenseMatrix scores) => [.. Enumerable.Range(0, scores.Rows).Select(i => RobustStatistics.Mean(scores.Row(i)))];

    private static (int[] Positions, int[] Labels) Labelled(IDataset dataset, GradientNetwork network, int limit)
    {
        var outputs = dataset.Classes.Zip(ClassMapping.Map(dataset.Classes, network.Classes)).ToDictionary(p => p.First, p => p.Second);
        // Round by round through the classes.
        var order = Enumerable.Range(0, dataset.Samples.Count).GroupBy(i => dataset.Samples[i].ClassName).SelectMany(g => g.Select((i, round) => (i, round)))
            .OrderBy(p => p.round).ThenBy(p => p.i).Take(limit).Select(p => p.i).Order().ToArray();
        return (order, Array.ConvertAll(order, i => outputs[dataset.Samples[i].ClassName]));
    }

    private static Tensor TargetFeatures(GradientNetwork network, IDataset dataset, FeatureOptions options)
    {
        var (positions, labels) = Labelled(dataset, network, Targets);
        var shape = network.Preprocessing;
        var values = new List<float>();
        foreach (var loaded in new BatchLoader(dataset, shape, new BatchLoaderOptions { Describe = false }).Load(positions, 64))
        {
            using var batch = loaded;
            values.AddRange(batch.Values);
        }

        using var images = tensor(values.ToArray(), [positions.Length, 3, shape.Height, shape.Width]);
        using var outputs = tensor(Array.ConvertAll(labels, l => (long)l), device: network.Device);
        return GradientFeatures.Of(
            network,
            images,
            (logits, index) =>
            {
                using var own = outputs.index_select(0, index);
                return ModelOutputs.Margin(logits, own);
            },
            null,
            options).Features;
    }
}
