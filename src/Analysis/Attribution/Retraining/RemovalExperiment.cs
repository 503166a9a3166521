using System.Globalization;
using System.Text.Json;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Probes;
using Analysis.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Attribution.Retraining;

/// <summary>Where an experiment is.</summary>
/// <param name="Finished">Networks finished.</param>
/// <param name="Networks">Networks in all.</param>
/// <param name="Images">Images that were trained on so far, every epoch counted.</param>
/// <param name="Total">Images of all trainings.</param>
/// <param name="Doing">What is being done, for people.</param>
/// <param name="Report">The findings so far, when a network has just been finished; null otherwise.</param>
public sealed record RemovalProgress(int Finished, int Networks, long Images, long Total, string Doing, RemovalReport? Report);

/// <summary>
/// Remove and retrain (METHODS 4.4; Konz et al. 2023, arXiv 2310.03149): networks are trained on everything, the training images
/// are ranked by how much they teach the concept, sets of them are removed, and networks of the same recipe are trained without.
/// All networks are then read by probes that are fitted to the same samples, the removed ones included: only what the network saw
/// differs. What is finished is kept in the folder, so that a killed experiment goes on and ends with the same report.
/// </summary>
/// <param name="create">Makes a fresh network from a seed; disposed here.</param>
/// <param name="images">Row i is sample i.</param>
/// <param name="labels">What the samples show (yes or no), and which are held out: those are never trained on.</param>
/// <param name="ranking">Orders the training images.</param>
/// <param name="options">Options.</param>
/// <param name="folder">Folder of the experiment.</param>
/// <param name="places">Marked places in shares of what the network sees, by row: probes are then fitted to positions, where a layer has any; null for whole images.</param>
public sealed class RemovalExperiment(
    Func<int, TrainableNetwork> create, TrainingImages images, ConceptLabels labels, IRemovalRanking ranking, RemovalOptions options, string folder,
    IReadOnlyDictionary<int, RelativeRectangle[]>? places = null)
{
    private const int Fewest = 5;
    private readonly int[] _training = TrainingRows(images, labels);
    private readonly int[] _tested = [.. Enumerable.Range(0, images.Count).Where(i => labels.HeldOut[i] && images.Readable(i) && !double.IsNaN(labels.Targets[i]))];
    private readonly Dictionary<(RemovalCondition, int), Measurement> _done = [];
    private readonly List<string> _notes = [];

    /// <summary>Rows that are trained on where none is removed: readable, with an output, not held out.</summary>
    public static int[] TrainingRows(TrainingImages images, ConceptLabels labels) =>
        [.. Enumerable.Range(0, images.Count).Where(i => !labels.HeldOut[i] && images.Readable(i) && images.Labels[i] >= 0)];

    /// <summary>Images of all trainings together, every epoch counted: what the time is proportional to.</summary>
    public static long Cost(int training, RemovalOptions options) => options.Conditions.Sum(
        c => (long)options.Networks * options.Recipe.Epochs * (training - (c.Set == "full" ? 0 : RemovalSets.Count(training, c.Share))));

    /// <summary>Runs it, or goes on with it.</summary>
    /// <param name="progress">Receives progress often.</param>
    /// <param name="cancellation">Honoured within a second.</param>
    /// <exception cref="AnalysisException">The concept is continuous, or too few images show it; training went astray.</exception>
    public RemovalReport Run(Action<RemovalProgress> progress, CancellationToken cancellation)
    {
        Check();
        var conditions = options.Conditions;
        var networks = conditions.Count * options.Networks;
        var total = Cost(_training.Length, options);
        var trained = 0L;
        var scores = new double[images.Count];
        foreach (var condition in conditions)
        {
            if (condition.Set != "full" && _done.Count == options.Networks)
            {
                scores = Scores(doing => progress(new RemovalProgress(_done.Count, networks, trained, total, doing, null)), cancellation);
            }

            for (var j = 0; j < options.Networks; j++)
            {
                cancellation.ThrowIfCancellationRequested();
                var removed = RemovalSets.Choose(condition, _training, scores, images.Labels, Shows, options.Seed + j);
                var name = string.Create(CultureInfo.InvariantCulture, $"network {_done.Count + 1} of {networks} ({InWords(condition)})");
                var before = trained;
                var (epoch, doing) = (-1, "");
                void Step(TrainingProgress p)
                {
                    if (p.Epoch != epoch)
                    {
                        doing = string.Create(CultureInfo.InvariantCulture, $"Training {name}: {(p.Epoch == 0 ? "first epoch" : $"{p.Epoch} of {p.Epochs} epochs, {p.Accuracy:P0} right")}");
                        epoch = p.Epoch;
                    }

                    progress(new RemovalProgress(_done.Count, networks, before + p.Images, total, doing, null));
                }

                _done[(condition, j)] = Measured(condition, j, removed, Step, cancellation);
                trained += (long)options.Recipe.Epochs * (_training.Length - removed.Length);
                progress(new RemovalProgress(_done.Count, networks, trained, total, $"Read {name}", Report(scores, networks)));
            }
        }

        return Report(scores, networks);
    }

    /// <summary>Name of a condition for people.</summary>
    internal static string InWords(RemovalCondition condition)
    {
        var share = condition.Share.ToString("0.##%", CultureInfo.InvariantCulture);
        return condition.Set switch
        {
            "full" => "trained on everything",
            "top" => $"without the top {share}",
            "bottom" => $"without the bottom {share}",
            "random" => $"without a random {share}",
            _ => $"without {share} that show the concept",
        };
    }

    private bool Shows(int row) => labels.Targets[row] == 1;

    private void Check()
    {
        if (labels.Continuous)
        {
            throw new AnalysisException("Remove and retrain needs a concept of yes and no, and this one is a number.", "Choose a value of the column, or tag images.");
        }

        var (teaching, testing) = (_training.Count(Shows), _tested.Count(Shows));
        if (teaching < Fewest || testing < 2 || _tested.Length - testing < 2)
        {
            throw new AnalysisException(
                $"Of the images that networks can be trained on {teaching} show the concept, and {testing} of those kept for testing.", $"Name more images that show it: at least {Fewest} and 2.");
        }

        if (_training.Length < options.Recipe.BatchSize * 2)
        {
            throw new AnalysisException($"{_training.Length} images are too few to train a network in batches of {options.Recipe.BatchSize}.", "Use smaller batches, or an analysis of more images.");
        }

        if (places is not null)
        {
            using var example = create(options.Seed);
            using var network = example.Freeze();
            var layers = network.Layers.Where(l => options.Layers.Contains(l.Name)).ToList();
            if (layers.Any(l => PlacedActivations.Grid(l) is not null))
            {
                _notes.Add("The probes are fitted to positions inside and outside of the marked places; their answers are read, and compared, on whole images.");
            }

            if (PlacedActivations.Unused(labels with { Places = labels.Places ?? new Dictionary<int, ConceptRegion[]>() }, layers) is { } unused)
            {
                _notes.Add(unused);
            }
        }

        if (testing < 20)
        {
            _notes.Add($"Only {testing} held-out images show the concept: probe accuracies are coarse and their intervals wide.");
        }

        if (options.Networks < 3)
        {
            _notes.Add($"{options.Networks} network{(options.Networks == 1 ? "" : "s")} a condition: differences between networks cannot be told from chance. Use at least 3.");
        }
    }

    private double[] Scores(Action<string> progress, CancellationToken cancellation)
    {
        var path = Path.Combine(folder, "networks", "scores.json");
        if (File.Exists(path))
        {
            return JsonSerializer.Deserialize<double[]>(File.ReadAllBytes(path))!;
        }

        var full = new RemovalCondition("full", 0);
        using var example = create(options.Seed);
        var input = new RankingInput(
            [.. Enumerable.Range(0, options.Networks).Select(Weights)],
            example.Architecture,
            [.. Enumerable.Range(0, options.Networks).Select(j => _done[(full, j)].Layers.First(l => l.Layer == options.RankingLayer).Probe!)],
            options.RankingLayer, images, _training, labels, example.Device);
        var scores = ranking.Scores(input, progress, cancellation);
        AtomicFile.WriteText(path, JsonSerializer.Serialize(scores));
        return scores;
    }

    private string Weights(int network) => Path.Combine(folder, "networks", string.Create(CultureInfo.InvariantCulture, $"full-{network}.safetensors"));

    private Measurement Measured(RemovalCondition condition, int network, int[] removed, Action<TrainingProgress> progress, CancellationToken cancellation)
    {
        var file = Path.Combine(folder, "networks", string.Create(CultureInfo.InvariantCulture, $"{condition.Set}-{condition.Share * 1000:0}-{network}.json"));
        if (File.Exists(file))
        {
            return JsonSerializer.Deserialize<Measurement>(File.ReadAllBytes(file))!;
        }

        var checkpoint = Path.Combine(folder, "networks", "training.safetensors");
        var gone = removed.ToHashSet();
        using var trainable = create(options.Seed + network);
        Trainer.Train(trainable, images, [.. _training.Where(row => !gone.Contains(row))], options.Recipe, options.Seed + network, checkpoint, progress, cancellation);
        var measurement = Measure(trainable, condition, removed, cancellation);
        if (condition.Set == "full")
        {
            trainable.Save(Weights(network));
        }

        AtomicFile.WriteText(file, JsonSerializer.Serialize(measurement));
        File.Delete(checkpoint);
        return measurement;
    }

    /// <summary>Accuracy of the network on the held-out images, and the probes that are fitted to its layers.</summary>
    private Measurement Measure(TrainableNetwork trainable, RemovalCondition condition, int[] removed, CancellationToken cancellation)
    {
        using var network = trainable.Freeze();
        int[] known = [.. Enumerable.Range(0, images.Count).Where(i => images.Readable(i) && !double.IsNaN(labels.Targets[i]))];
        var place = new Dictionary<int, int>();
        for (var i = 0; i < known.Length; i++)
        {
            place.Add(known[i], i);
        }

        var (right, tested) = (0, 0);
        var pooled = PooledActivations.Read(network, images, known, options.Layers, cancellation, (first, logits) =>
        {
            using var best = logits.argmax(1);
            var predicted = best.data<long>().ToArray();
            for (var i = 0; i < predicted.Length; i++)
            {
                var row = known[first + i];
                if (labels.HeldOut[row] && images.Labels[row] >= 0)
                {
                    tested++;
                    right += predicted[i] == images.Labels[row] ? 1 : 0;
                }
            }
        });
        // Rows that could not be read take no part.
        var usable = labels with { Targets = [.. labels.Targets.Select((t, i) => images.Readable(i) ? t : double.NaN)], Places = null };
        var placed = Placed(network, usable, cancellation);
        try
        {
            var layers = new List<LayerMeasurement>();
            for (var l = 0; l < pooled.Length; l++)
            {
                cancellation.ThrowIfCancellationRequested();
                var values = pooled[l];
                using var set = ProbeSet.Create(
                    rows =>
                    {
                        using var index = tensor(Array.ConvertAll(rows, r => (long)place[r]));
                        return values.index_select(0, index);
                    },
                    usable,
                    options.Layers[l]);
                using var positions = placed.TryGetValue(options.Layers[l], out var own) ? ProbeSet.OfPositions(own, usable, options.Layers[l]) : null;
                var fitting = positions ?? set;
                var fitted = fitting.Fit(fitting.TrainTargets, new ProbeOptions { Seed = options.Seed });
                fitted = positions is null ? fitted : ProbeFitter.ForImages(set, fitted);
                layers.Add(new LayerMeasurement(
                    options.Layers[l], (int)values.shape[1], fitted.Probe, Array.ConvertAll(set.LogitsOf(fitted.Probe, testing: true), v => (float)v), fitted.HeldOut.Auc ?? double.NaN,
                    options.Sparsity ? NonZeros(fitting) : null));
            }

            return new Measurement(removed.Length, removed.Count(Shows), tested == 0 ? 0 : right / (double)tested, layers);
        }
        finally
        {
            foreach (var tensor in pooled)
            {
                tensor.Dispose();
            }

            foreach (var values in placed.Values)
            {
                values.Dispose();
            }
        }
    }

    /// <summary>Positions inside and outside of the marked places, by layer; empty where none are marked.</summary>
    private Dictionary<string, PlacedActivations> Placed(INetwork network, ConceptLabels usable, CancellationToken cancellation)
    {
        List<LayerInfo> layers = places is null ? [] : [.. network.Layers.Where(l => options.Layers.Contains(l.Name) && PlacedActivations.Grid(l) is not null)];
        string[] names = [.. layers.Select(l => l.Name)];
        return layers.Count == 0 ? [] : PlacedActivations.Collect(usable, places!, layers, rows => network.Forward(images.Batch(rows, network.Device), names).Activations, cancellation);
    }

    /// <summary>Weights that the l1 probe keeps at the strongest penalty whose score is within 1% of the best (METHODS 4.1).</summary>
    private static int NonZeros(ProbeSet set)
    {
        var how = new ProbeOptions { Penalty = "l1" };
        var path = new List<(int Count, double Score)>();
        LinearSolution? last = null;
        foreach (var strength in ProbeFitter.Strengths("l1", set.LargestL1(set.Solver, set.TrainTargets, how.Balanced)))
        {
            last = set.Solve(set.Solver, set.TrainTargets, how, strength, last);
            path.Add((last.Weights.Count(w => w != 0), set.Test(last).BalancedAccuracy ?? 0));
        }

        var best = path.Max(p => p.Score);
        return path.First(p => p.Score >= best - 0.01).Count;
    }

    private RemovalReport Report(double[] scores, int networks)
    {
        var bootstrap = new Lazy<RemovalBootstrap>(() => new RemovalBootstrap([.. _tested.Select(Shows)], options.Networks, options.Seed));
        return RemovalSummary.Create(options, _done, bootstrap, [.. _tested.Select(Shows)], new RemovalCounts(
            _training.Length, _training.Count(Shows), _tested.Length, _tested.Count(Shows), networks,
            _done.Count <= options.Networks ? [] : [.. options.Shares.Order().Select(share => Precision(scores, share))]), _notes);
    }

    private RankingPrecision Precision(double[] scores, double share)
    {
        var top = RemovalSets.Choose(new RemovalCondition("top", share), _training, scores, images.Labels, Shows, 0);
        return new RankingPrecision(share, top.Length, top.Count(Shows));
    }
}

/// <summary>What is kept of one network.</summary>
internal sealed record Measurement(int Removed, int RemovedPositives, double TaskAccuracy, IReadOnlyList<LayerMeasurement> Layers);

/// <summary>A probe refitted to one network: answers on the held-out images that are tested, in their order.</summary>
internal sealed record LayerMeasurement(string Layer, int Channels, LinearProbe Probe, float[] Answers, double Auc, int? NonZeros);

/// <summary>Sizes of an experiment.</summary>
internal sealed record RemovalCounts(int Training, int TrainingPositives, int HeldOut, int HeldOutPositives, int Networks, IReadOnlyList<RankingPrecision> Precision);
