using System.Diagnostics;
using System.Text.Json;
using Analysis.Attribution;
using Analysis.Attribution.Retraining;
using Analysis.Datasets.Sample;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Numerics;
using static TorchSharp.torch;

namespace Benchmarks;

/// <summary>The linear datamodelling score of attributions on the sample network: halves of the sample's images, retrained networks, held-out targets.</summary>
internal static class DatamodelBenchmarks
{
    private const int Side = 32;
    private const int TargetSeed = 31;
    private const int SubsetSeed = 11;
    private static readonly Preprocessing Input = new(Side, Side, [0.5f, 0.5f, 0.5f], [0.25f, 0.25f, 0.25f], ResizeMode.Stretch);

    /// <summary>
    /// Trains the networks: --components halves for the score and --set checkpoints=M more for the attribution, in the folder
    /// --output; what is there already is not trained again. --set epochs=E, perclass=N images of each class, targets=T of each class, seed=S for other halves, weights and targets.
    /// </summary>
    public static BenchmarkReport Train(BenchmarkOptions options)
    {
        options.Prepare();
        var plan = Plan.Create(options);
        var folder = options.Output ?? throw new ArgumentException("--output names the folder of the networks.");
        Directory.CreateDirectory(folder);
        var (images, targets) = (Load(plan.Training), Load(plan.Targets));
        var clock = Stopwatch.StartNew();
        var trained = 0;
        var right = new List<double>();
        for (var s = 0; s < plan.Halves.Length; s++)
        {
            var path = plan.Margins(folder, s);
            if (!File.Exists(path))
            {
                using var network = TrainableNetwork.CifarResNet(8, SampleClasses.All.Count, 16, Input, plan.Seed + 100 + s, CPU);
                Trainer.Train(network, images, plan.Halves[s], plan.Recipe, plan.Seed + 100 + s);
                network.Save(plan.Weights(folder, s));
                var logits = Trainer.Logits(network, targets, [.. Enumerable.Range(0, targets.Count)]);
                File.WriteAllText(path, JsonSerializer.Serialize(logits.Select((l, t) => LinearDatamodel.Margin(l, targets.Labels[t]))));
                trained++;
            }

            right.Add(JsonSerializer.Deserialize<double[]>(File.ReadAllText(path))!.Count(m => m > 0) / (double)targets.Count);
        }

        return new BenchmarkReport("datamodel-train").With("rows", images.Count).With("targets", targets.Count).With("subsets", plan.Subsets)
            .With("checkpoints", plan.Halves.Length - plan.Subsets).With("epochs", plan.Recipe.Epochs).With("trained", trained)
            .With("seconds", clock.Elapsed.TotalSeconds).With("meanTargetAccuracy", right.Average()).WithPeak();
    }

    /// <summary>
    /// Scores TRAK by what the networks of <see cref="Train"/> did (the same options): --set dimensions=K, lambda=L
    /// (several where it is left out); factorised=1 for the two-sided projection; skip=C leaves the first C checkpoints out; newtargets=T (1, 2, …)
    /// for other held-out images.
    /// </summary>
    public static BenchmarkReport Score(BenchmarkOptions options)
    {
        options.Prepare();
        var plan = Plan.Create(options);
        var folder = options.Output ?? throw new ArgumentException("--output names the folder of the networks.");
        var (images, targets) = (Load(plan.Training), Load(plan.Targets));
        double Set(string name, double usual) => options.Parameters.TryGetValue(name, out var value) ? value : usual;
        var clock = Stopwatch.StartNew();
        double[] lambdas = options.Parameters.TryGetValue("lambda", out var chosen) ? [chosen] : [0.01, 0.03, 0.1, 0.3, 1, 3, 10];
        var unweighted = lambdas.Select(_ => new List<DenseMatrix>()).ToArray();
        var left = new List<double[]>();
        for (var m = plan.Subsets + (int)Set("skip", 0); m < plan.Halves.Length; m++)
        {
            using var network = GradientNetwork.Load(plan.Weights(folder, m), null, CPU);
            var features = new FeatureOptions
            {
                Dimensions = (int)Set("dimensions", 512),
                Seed = m,
                Projection = Set("factorised", 0) > 0 ? ProjectionKind.Factorised : ProjectionKind.Dense,
            };
            using var wanted = TrakRanking.Margins(network, targets, [.. Enumerable.Range(0, targets.Count)], features, _ => { }, CancellationToken.None).Features;
            var (train, margins) = TrakRanking.Margins(network, images, [.. Enumerable.Range(0, images.Count)], features, _ => { }, CancellationToken.None);
            double[] oneMinusP = [.. margins.Select(f => 1 / (1 + Math.Exp(f)))];
            var model = new TrakModel(new TensorRows(train), oneMinusP, wanted);
            for (var l = 0; l < lambdas.Length; l++)
            {
                unweighted[l].Add(TrakScores.Unweighted(model, TrakScores.Relative(lambdas[l])));
            }

            left.Add(oneMinusP);
            train.Dispose();
            Console.Error.WriteLine($"checkpoint {left.Count}: {clock.Elapsed.TotalSeconds:0} s");
        }

        var fresh = Set("newtargets", 0) > 0;
        var outputs = new DenseMatrix(plan.Subsets, targets.Count);
        for (var s = 0; s < plan.Subsets; s++)
        {
            if (fresh)
            {
                // Other targets than those that were measured at the training.
                using var network = NetworkLoader.Load(plan.Weights(folder, s), null, CPU);
                Margins(network, targets).CopyTo(outputs.Row(s));
            }
            else
            {
                JsonSerializer.Deserialize<double[]>(File.ReadAllText(plan.Margins(folder, s)))!.CopyTo(outputs.Row(s));
            }
        }

        int[][] subsets = [.. plan.Halves.Take(plan.Subsets)];
        var report = new BenchmarkReport("datamodel-score").With("rows", images.Count).With("targets", targets.Count).With("subsets", plan.Subsets).With("seconds", clock.Elapsed.TotalSeconds);
        foreach (var (count, l) in new[] { 1, left.Count }.Distinct().SelectMany(c => lambdas.Select((_, l) => (c, l))))
        {
            var score = LinearDatamodel.Score(TrakScores.Combine([.. unweighted[l].Take(count)], [.. left.Take(count)]), subsets, outputs);
            report.With(FormattableString.Invariant($"{count} networks, lambda {lambdas[l]}"), FormattableString.Invariant($"{score.Score:0.000} ({score.Low:0.000} to {score.High:0.000})"));
        }

        return report.With("plain", LinearDatamodel.Score(SameClass(images, targets), subsets, outputs).Score).WithPeak();
    }

    private static double[] Margins(INetwork network, TrainingImages targets)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var logits = network.Forward(targets.Batch(Enumerable.Range(0, targets.Count).ToArray(), CPU), []).Logits.contiguous();
        var values = logits.data<float>().ToArray();
        var outputs = values.Length / targets.Count;
        return [.. Enumerable.Range(0, targets.Count).Select(t => LinearDatamodel.Margin(values.AsSpan(t * outputs, outputs), targets.Labels[t]))];
    }

    /// <summary>What attribution must beat: 1 where the training image has the target's class.</summary>
    private static DenseMatrix SameClass(TrainingImages images, TrainingImages targets)
    {
        var scores = new DenseMatrix(images.Count, targets.Count);
        for (var i = 0; i < images.Count; i++)
        {
            for (var t = 0; t < targets.Count; t++)
            {
                scores[i, t] = images.Labels[i] == targets.Labels[t] ? 1 : 0;
            }
        }

        return scores;
    }

    private static TrainingImages Load(IReadOnlyList<SampleItem> plan)
    {
        var pixels = new byte[plan.Count][];
        Parallel.For(0, plan.Count, i => pixels[i] = ImagePreparation.Resize(plan[i].Paint(), Input).Pixels);
        var names = SampleClasses.All.Select(c => c.Name).ToList();
        return new TrainingImages(pixels, [.. plan.Select(i => names.IndexOf(i.FolderClass))], Input);
    }

    private sealed record Plan(IReadOnlyList<SampleItem> Training, IReadOnlyList<SampleItem> Targets, int[][] Halves, int Subsets, TrainingRecipe Recipe, int Seed)
    {
        public static Plan Create(BenchmarkOptions options)
        {
            int Set(string name, int usual) => options.Parameters.TryGetValue(name, out var value) ? (int)value : usual;
            var training = SamplePlan.Create(new SampleOptions { ImagesPerClass = Set("perclass", 200) });
            var targets = SamplePlan.Create(new SampleOptions
            {
                Seed = TargetSeed + Set("seed", 0) + Set("newtargets", 0),
                ImagesPerClass = Set("targets", 10),
                MislabelledShare = 0,
                CorruptedShare = 0,
                Foreign = 0,
                Duplicates = 0,
            });
            return new Plan(
                training, targets, LinearDatamodel.Halves(training.Count, options.Components + Set("checkpoints", 8), SubsetSeed + Set("seed", 0)), options.Components,
                new TrainingRecipe { Epochs = Set("epochs", 15), BatchSize = Set("batch", 50) }, 1000 * Set("seed", 0));
        }

        public string Margins(string folder, int half) => Path.Combine(folder, $"margins-{half:000}.json");

        public string Weights(string folder, int half) => Path.Combine(folder, $"{half:000}.safetensors");
    }
}
