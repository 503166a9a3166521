using System.Globalization;
using System.Text;
using System.Text.Json;
using Analysis.Atlas;
using Analysis.Attribution;
using Analysis.Datasets;
using Analysis.Datasets.Recorded;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Probes;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Runs.Tasks;

/// <summary>
/// Which training images taught a concept, a class or the answer on a sample (TRAK, METHODS 4). Results: <c>result.json</c>,
/// <c>scores.safetensors</c> and <c>training.csv</c> (docs/file-formats.md). Features of each network are kept in the store under keys of
/// their own, shard by shard, so that an interrupted task goes on and other targets cost little.
/// </summary>
public sealed class AttributeTask : IAnalysisTask
{
    /// <summary>Name of the file with the scores.</summary>
    public const string ScoresFile = "scores.safetensors";

    /// <summary>Name of the table of training images.</summary>
    public const string TableFile = "training.csv";

    private const string TaskKind = "attribute";
    private const int Shown = 48;
    private const int ThumbnailSize = 128;
    private const int FewestTargets = 10;
    private const int MostNetworks = 50;
    private const int CheckedImages = 48;
    private const int FewestChecked = 6;
    private const long MostDenseParameters = 300_000;
    private const long MostTau = 1L << 25;
    private const double TopShare = 0.05;
    private static readonly string[] Known =
    [
        "target", "concept", "class", "sample", "output", "variant", "layer", "dataset", "networks", "projection", "dimensions", "entries", "lambda", "threshold", "from", "limit", "targets", "seed",
    ];

    /// <inheritdoc/>
    public string Kind => TaskKind;

    /// <inheritdoc/>
    public int Version => 1;

    /// <inheritdoc/>
    public string Normalise(JsonElement parameters)
    {
        if (parameters.ValueKind == JsonValueKind.Object && parameters.EnumerateObject().FirstOrDefault(p => !Known.Contains(p.Name)) is { Value.ValueKind: not JsonValueKind.Undefined } unknown)
        {
            throw new AnalysisException($"The task {TaskKind} has no parameter '{FileFault.Short(unknown.Name)}'.", $"It has: {string.Join(", ", Known)}.");
        }

        AttributionRequest wish;
        try
        {
            wish = parameters.Deserialize<AttributionRequest>(AnalysisJson.Line) ?? new AttributionRequest();
        }
        catch (JsonException fault)
        {
            throw new AnalysisException($"The parameters of the attribution cannot be read: {fault.Message}", $"Give an object with {string.Join(", ", Known)}.");
        }

        Choose("target", wish.Target, "concept", "class", "sample");
        Choose("output", wish.Output, "predicted", "label");
        Choose("variant", wish.Variant, "representation", "probe");
        Choose("projection", wish.Projection, "auto", "dense", "factorised");
        Choose("entries", wish.Entries, "rademacher", "normal");
        Between("dimensions", wish.Dimensions, 8, 4096);
        Between("lambda", wish.Lambda, 0, 1000);
        Between("threshold", wish.Threshold, 0, 0.99);
        Between("targets", wish.Targets, 1, 1024);
        Between("limit", wish.Limit ?? 1, 1, int.MaxValue);
        if (wish.Target == "concept")
        {
            ConceptResolver.Validate(wish.Concept ?? throw new AnalysisException("No concept was named.", "Give a definition as the parameter concept, or attribute a class or a sample."));
        }

        if ((wish.Target == "class" && wish.Class is not >= 0) || (wish.Target == "sample" && wish.Sample is not >= 0))
        {
            throw new AnalysisException($"No {wish.Target} was named.", $"Give its number as the parameter {wish.Target}.");
        }

        if (wish.Networks.Count >= MostNetworks || wish.Networks.Any(string.IsNullOrWhiteSpace))
        {
            throw new AnalysisException($"{wish.Networks.Count} networks were named.", $"Give paths of at most {MostNetworks - 1} weights files.");
        }

        if (wish.Variant == "probe" && wish.Target != "concept")
        {
            throw new AnalysisException("Only a concept has a probe.", "Choose the variant representation for a class or a sample.");
        }

        // What has no meaning for a target does not tell equal wishes apart.
        var concept = wish.Target == "concept";
        return JsonSerializer.Serialize(
            wish with
            {
                Concept = concept ? wish.Concept : null,
                Layer = concept ? wish.Layer : null,
                Class = wish.Target == "class" ? wish.Class : null,
                Sample = wish.Target == "sample" ? wish.Sample : null,
                Output = wish.Target == "sample" ? wish.Output : "predicted",
                Dataset = string.IsNullOrWhiteSpace(wish.Dataset) ? null : wish.Dataset,
            },
            AnalysisJson.Line);
    }

    /// <inheritdoc/>
    public void Run(TaskContext context, string parameters, string folder, ITaskObserver observer, CancellationToken cancellation)
    {
        var wish = JsonSerializer.Deserialize<AttributionRequest>(parameters, AnalysisJson.Line)!;
        // Opened first: what the context keeps must not belong to a scope of this method.
        var samples = context.Samples;
        if (context.Plan.Dataset is IRecordedActivations)
        {
            throw new AnalysisException(
                "The analysis was made from recorded activations: there is no network whose gradients could be taken.", "Analyse images with the network's weights as safetensors or .pth.");
        }

        if (wish.Sample >= samples.Count)
        {
            throw new AnalysisException($"The analysis has no sample {wish.Sample}.", $"Choose 0 to {samples.Count - 1}.");
        }

        if (wish.Class >= context.Classes.Count)
        {
            throw new AnalysisException($"The analysis has no class {wish.Class}.", $"Choose 0 to {context.Classes.Count - 1}.");
        }

        var work = new AttributionWork(context, wish, folder, observer, cancellation);
        var report = wish.Variant == "probe" ? work.Probe() : work.Representation();
        AtomicFile.WriteText(Path.Combine(folder, TaskRunner.ResultFile), JsonSerializer.Serialize(report, AnalysisJson.Line));
    }

    private static void Choose(string name, string value, params string[] known)
    {
        if (!known.Contains(value))
        {
            throw new AnalysisException($"The parameter {name} cannot be '{FileFault.Short(value)}'.", $"Choose one of: {string.Join(", ", known)}.");
        }
    }

    private static void Between(string name, double value, double least, double most)
    {
        if (!(value >= least && value <= most))
        {
            throw new AnalysisException(
                string.Create(CultureInfo.InvariantCulture, $"The parameter {name} cannot be {value}."), string.Create(CultureInfo.InvariantCulture, $"Give a number from {least} to {most}."));
        }
    }

    /// <summary>One run of the task.</summary>
    private sealed class AttributionWork(TaskContext context, AttributionRequest wish, string folder, ITaskObserver observer, CancellationToken cancellation)
    {
        private readonly List<string> _notes = [];
        private readonly IReadOnlyList<SampleRow> _samples = context.Samples;

        private string LayerName => wish.Layer ?? context.Plan.Layer.Name;

        /// <summary>TRAK over the network's training images.</summary>
        public AttributionReport Representation()
        {
            var training = OpenTraining();
            var labels = wish.Target == "concept" ? ConceptResolver.Resolve(context, wish.Concept!, wish.Seed) : null;
            var rows = TargetRows(labels);
            IReadOnlyList<string> paths = [context.Plan.Request.Network, .. wish.Networks];
            var total = paths.Count * (training.Positions.Length + 1L) + 1;
            var (unweighted, left, checkpoints) = (new List<DenseMatrix>(), new List<double[]>(), new List<AttributedCheckpoint>());
            var (probeScore, probeAuc) = ((double?)null, (double?)null);
            ProjectionCheck? check = null;
            var projection = wish.Projection;
            long parameters = 0;
            (int[] Positions, string[] Hashes, int Skipped)? first = null;
            int[] targets = [];
            for (var m = 0; m < paths.Count; m++)
            {
                cancellation.ThrowIfCancellationRequested();
                var done = m * (training.Positions.Length + 1L);
                var name = Path.GetFileName(paths[m]);
                observer.OnProgress(new TaskProgress(done, total, $"Opening {name}"));
                using var network = GradientNetwork.Load(paths[m], m == 0 ? context.Plan.Request.Architecture : null, context.Plan.Network.Device);
                Fits(network, name);
                using var other = m == 0 ? null : new TaskContext(context.Plan.Request with { Network = paths[m], Architecture = network.Architecture }, context.StoreFolder, context.ResultFolder, cancellation);
                var fitted = labels is null ? null : Fit(other ?? context, labels, name, done, total);
                if (m == 0)
                {
                    (probeScore, probeAuc) = (fitted?.HeldOut.Score, fitted?.HeldOut.Auc);
                }

                var options = new FeatureOptions
                {
                    Dimensions = wish.Dimensions,
                    Entries = wish.Entries == "normal" ? ProjectionEntries.Normal : ProjectionEntries.Rademacher,
                    // Another projection for each network: their errors then average out.
                    Seed = (wish.Seed * 1000L) + m,
                    Through = labels is null ? null : LayerName,
                    From = wish.From,
                    BatchSize = BatchSizeFor(network),
                };
                parameters = GradientFeatures.ParameterCount(network, options);
                projection = wish.Projection != "auto" ? wish.Projection : parameters <= MostDenseParameters ? "dense" : "factorised";
                options = options with { Projection = projection == "dense" ? ProjectionKind.Dense : ProjectionKind.Factorised };
                var key = GradientFeatures.Key(network, training.Dataset, training.Positions, training.Labels, options);
                using var store = GradientFeatures.Extract(
                    network, training.Dataset, training.Positions, training.Labels, options, Path.Combine(context.StoreFolder, key),
                    count => observer.OnProgress(new TaskProgress(done + count, total, $"Gradients of the training images, {name}")), cancellation);
                if (first is null)
                {
                    first = (store.Positions, store.Hashes, store.Skipped.Count);
                    targets = WithoutTraining(rows, store.Hashes);
                }
                else if (!first.Value.Positions.SequenceEqual(store.Positions))
                {
                    throw new AnalysisException("The networks could not read the same training images.", "Check the data set, and start again.");
                }

                observer.OnProgress(new TaskProgress(done + training.Positions.Length, total, $"Gradients of the targets, {name}"));
                using var features = TargetFeatures(network, targets, fitted?.Probe, options);
                var model = new TrakModel(store, store.OneMinusP, features);
                unweighted.Add(TrakScores.Unweighted(model, TrakScores.Relative(wish.Lambda)));
                left.Add(store.OneMinusP);
                checkpoints.Add(new AttributedCheckpoint(name, network.Sha256, fitted?.HeldOut.Score, Rounding.Significant(RobustStatistics.Mean(store.OneMinusP))));
                if (m == 0)
                {
                    check = Check(network, training, store, model, options);
                }
            }

            observer.OnProgress(new TaskProgress(total - 1, total, "Ranking the training images"));
            var (positions, hashes, skipped) = first!.Value;
            var own = TargetHashes(targets);
            var tau = TrakScores.Combine(unweighted, left);
            var scores = MeanOverOthers(tau, hashes, own);
            TrakScores.SoftThreshold(scores, wish.Threshold);
            var single = unweighted.Count < 2 ? [] : unweighted.Select((u, m) => MeanOverOthers(TrakScores.Combine([u], [left[m]]), hashes, own)).ToList();
            if (unweighted.Count == 1)
            {
                _notes.Add("Scores come from a single network. Trained again, it may have learnt from other images: give more networks of the same recipe to see what stays.");
            }

            if (probeScore is < 0.6)
            {
                _notes.Add(string.Create(CultureInfo.InvariantCulture, $"The probe is hardly better than chance at {LayerName} (score {probeScore:0.00}): the layer does not tell this concept, and the scores mean little."));
            }

            var references = positions.Select(p => training.Dataset.Samples[training.Positions[p]]).ToArray();
            return Report(
                training, positions, [.. references.Select(s => s.Path)], [.. references.Select(s => s.ClassName)], hashes, scores, targets, skipped,
                new AttributedTarget(wish.Target, TargetName(), labels is null ? null : LayerName, targets, probeScore, probeAuc),
                checkpoints, Agreement(single), check, parameters, projection, tau, left, single, null);
        }

        /// <summary>Exact influence of the probe's own training samples.</summary>
        public AttributionReport Probe()
        {
            var labels = ConceptResolver.Resolve(context, wish.Concept!, wish.Seed);
            observer.OnProgress(new TaskProgress(0, 3, "Fitting the probe"));
            var fitted = Fit(context, labels, "", 0, 3);
            var probe = fitted.Probe;
            int[] rows = [.. Enumerable.Range(0, labels.Targets.Length).Where(i => !double.IsNaN(labels.Targets[i]) && !labels.HeldOut[i])];
            var targets = TargetRows(labels);
            observer.OnProgress(new TaskProgress(1, 3, "Solving with the Hessian"));
            var inputs = Standardised(probe, rows);
            var y = Array.ConvertAll(rows, i => labels.Targets[i]);
            var positives = y.Count(v => v == 1);
            var weights = Array.ConvertAll(y, v => labels.Continuous ? 1 : v == 1 ? rows.Length / (2.0 * positives) : rows.Length / (2.0 * (rows.Length - positives)));
            var tested = Standardised(probe, targets);
            var influence = ProbeInfluence.Exact(inputs, y, weights, probe.Weights, probe.Bias, fitted.Strength, probe.Continuous, tested);
            var trak = ProbeTrak(inputs, y, probe, tested);
            observer.OnProgress(new TaskProgress(2, 3, "Ranking the images"));
            var hashes = TargetHashes(rows);
            var own = TargetHashes(targets);
            var scores = MeanOverOthers(influence, hashes, own);
            var known = Enumerable.Range(0, scores.Length).Where(i => double.IsFinite(scores[i])).ToArray();
            var projected = MeanOverOthers(trak, hashes, own);
            var agreement = Ranks.Spearman(Array.ConvertAll(known, i => scores[i]), Array.ConvertAll(known, i => projected[i]));
            TrakScores.SoftThreshold(scores, wish.Threshold);
            _notes.Add("These are the images that the probe was fitted to, not those that the network was trained on: they tell what shaped the read-out.");
            var dataset = context.Plan.Dataset;
            var scan = context.Store.ScanIndices();
            var training = new Training(dataset, Array.ConvertAll(rows, r => context.Plan.Samples[scan[r]]), new int[rows.Length], true, 0);
            return Report(
                training, [.. Enumerable.Range(0, rows.Length)], [.. rows.Select(r => _samples[r].Path)], [.. rows.Select(r => _samples[r].Class)], hashes, scores, targets, 0,
                new AttributedTarget(wish.Target, TargetName(), LayerName, targets, fitted.HeldOut.Score, fitted.HeldOut.Auc),
                [new AttributedCheckpoint(Path.GetFileName(context.Plan.Request.Network), context.Plan.Network.Sha256, fitted.HeldOut.Score, null)],
                null, null, probe.Weights.Length + 1, "none", influence, [], [], Rounding.Significant(agreement));
        }

        private sealed record Training(IDataset Dataset, int[] Positions, int[] Labels, bool Same, int Unlabelled);

        private Training OpenTraining()
        {
            var plan = context.Plan;
            var same = wish.Dataset is null;
            var dataset = same ? plan.Dataset : DatasetLoader.Open(wish.Dataset!, cancellation);
            if (dataset is IRecordedActivations)
            {
                throw new AnalysisException($"{dataset.Name} holds activations, not images.", "Give the images that the network was trained on.");
            }

            if (!same && dataset.Fingerprint == plan.Dataset.Fingerprint)
            {
                same = true;
            }

            IReadOnlyList<int> all = wish.Dataset is null ? plan.Samples : [.. Enumerable.Range(0, dataset.Samples.Count)];
            var (positions, labels, unlabelled) = (new List<int>(), new List<int>(), 0);
            if (dataset.Classes.Count == 0)
            {
                _notes.Add("The training images have no classes: each counts for the class that the network predicts.");
                (positions, labels) = ([.. all], [.. Enumerable.Repeat(-1, all.Count)]);
            }
            else
            {
                var outputs = dataset.Classes.Zip(ClassMapping.Map(dataset.Classes, plan.Network.Classes)).ToDictionary(p => p.First, p => p.Second, StringComparer.Ordinal);
                foreach (var position in all)
                {
                    if (outputs.GetValueOrDefault(dataset.Samples[position].ClassName, -1) is >= 0 and var output)
                    {
                        positions.Add(position);
                        labels.Add(output);
                    }
                    else
                    {
                        unlabelled++;
                    }
                }

                if (unlabelled > 0)
                {
                    _notes.Add($"{unlabelled:N0} training images are left out: their class is no output of the network.");
                }
            }

            if (positions.Count == 0)
            {
                throw new AnalysisException(
                    $"None of the classes of {dataset.Name} is an output of {plan.Network.Name}.", "Give the images that the network was trained on, in folders named by its outputs; a sidecar names outputs.");
            }

            if (same && wish.Dataset is null)
            {
                _notes.Add("The images of the analysis stand for the training images. Where the network was trained on others, give those: scores of images that it never saw tell what would have taught it.");
            }

            if (wish.Limit is { } limit && limit < positions.Count)
            {
                // As many of each class as fit, the first ones of each: the choice does not depend on chance.
                var chosen = Enumerable.Range(0, positions.Count).GroupBy(i => labels[i]).SelectMany(g => g.Select((i, round) => (Index: i, Round: round)))
                    .OrderBy(c => c.Round).ThenBy(c => c.Index).Take(limit).Select(c => c.Index).Order().ToArray();
                _notes.Add($"{limit:N0} of {positions.Count:N0} training images are used.");
                (positions, labels) = ([.. chosen.Select(i => positions[i])], [.. chosen.Select(i => labels[i])]);
            }

            return new Training(dataset, [.. positions], [.. labels], same, unlabelled);
        }

        private FittedProbe Fit(TaskContext of, ConceptLabels labels, string name, long done, long total)
        {
            observer.OnProgress(new TaskProgress(done, total, name.Length > 0 ? $"Fitting the probe, {name}" : "Fitting the probe"));
            if (of.Samples.Count != labels.Targets.Length)
            {
                throw new AnalysisException($"{name} could not read the same images as the network of the analysis.", "Check the data set, and start again.");
            }

            return ProbeFitter.Fit(of, labels, LayerName, new ProbeOptions { Seed = wish.Seed });
        }

        private void Fits(GradientNetwork network, string name)
        {
            var main = context.Plan.Network;
            if (network.Outputs != main.Outputs || !network.Classes.Select(c => c.Name).SequenceEqual(main.Classes.Select(c => c.Name)))
            {
                throw new AnalysisException($"{name} has other outputs than the network of the analysis.", "Give networks of the same recipe, trained again on the same classes.");
            }

            if (network.Outputs < 2)
            {
                throw new AnalysisException($"{name} has one output only: there is no margin over others.", "Attribution needs a classifier of at least two classes.");
            }

            if (wish.Target == "concept" && !network.Layers.Any(l => l.Name == LayerName))
            {
                throw NativeNetwork.UnknownLayer(LayerName, network.Layers);
            }
        }

        private string TargetName() => wish.Target switch
        {
            "concept" => wish.Concept!.Name,
            "class" => context.Classes[wish.Class!.Value].Description.DisplayName,
            _ => _samples[wish.Sample!.Value].Path,
        };

        /// <summary>Rows of the images that stand for the target, before those that are training images are left out.</summary>
        private int[] TargetRows(ConceptLabels? labels)
        {
            int[] rows;
            switch (wish.Target)
            {
                case "sample":
                    return [wish.Sample!.Value];
                case "class":
                    rows = context.Classes[wish.Class!.Value].Rows;
                    break;
                default:
                    // Of a continuous concept the images that show most of it.
                    var held = Enumerable.Range(0, labels!.Targets.Length).Where(i => labels.HeldOut[i] && !double.IsNaN(labels.Targets[i])).ToArray();
                    rows = labels.Continuous
                        ? [.. held.OrderByDescending(i => labels.Targets[i]).Take(Math.Max(1, held.Length / 10)).Order()]
                        : [.. held.Where(i => labels.Targets[i] == 1)];
                    break;
            }

            if (rows.Length == 0)
            {
                throw new AnalysisException($"No image shows {TargetName()}.", "Choose another target.");
            }

            var order = (int[])rows.Clone();
            new SplitMix64((ulong)(uint)wish.Seed ^ 0x7A26_0000_0000UL).Shuffle(order);
            return [.. order.Take(wish.Targets).Order()];
        }

        /// <summary>Targets that are training images are left out where enough others remain; else each is left out of its own score only.</summary>
        private int[] WithoutTraining(int[] rows, string[] trainingHashes)
        {
            var known = trainingHashes.ToHashSet(StringComparer.Ordinal);
            var hashes = TargetHashes(rows);
            int[] others = [.. Enumerable.Range(0, rows.Length).Where(i => !known.Contains(hashes[i])).Select(i => rows[i])];
            if (others.Length == rows.Length)
            {
                return rows;
            }

            if (others.Length >= FewestTargets)
            {
                _notes.Add($"{rows.Length - others.Length:N0} of the {rows.Length:N0} target images are training images and are left out: an image speaks most for itself.");
                return others;
            }

            _notes.Add(wish.Target == "sample"
                ? "The image is a training image itself; it gets no score, because an image speaks most for itself."
                : "The target images are training images. An image that is among them is scored against the others only, because it speaks most for itself.");
            return rows;
        }

        private string[] TargetHashes(int[] rows)
        {
            var bytes = context.Store.Gather<byte>("hash", rows);
            return [.. Enumerable.Range(0, rows.Length).Select(i => Convert.ToHexStringLower(bytes.AsSpan(i * 8, 8)))];
        }

        private Tensor TargetFeatures(GradientNetwork network, int[] rows, LinearProbe? probe, FeatureOptions options)
        {
            var scan = context.Store.ScanIndices();
            var indices = Array.ConvertAll(rows, r => context.Plan.Samples[scan[r]]);
            using var images = Images(network, context.Plan.Dataset, indices);
            if (probe is not null)
            {
                return GradientFeatures.Of(network, images, (activation, _) => ModelOutputs.ProbeLogit(activation, probe), probe.Layer, options).Features;
            }

            var outputs = tensor(Array.ConvertAll(rows, r => (long)OutputOf(r)), device: network.Device);
            using (outputs)
            {
                return GradientFeatures.Of(
                    network,
                    images,
                    (logits, index) =>
                    {
                        using var chosen = outputs.index_select(0, index);
                        using var own = where(chosen.lt(Scalars.Of(0)), logits.argmax(1), chosen);
                        return ModelOutputs.Margin(logits, own);
                    },
                    null,
                    options).Features;
            }
        }

        private int OutputOf(int row)
        {
            if (wish.Target == "class")
            {
                return context.Classes[wish.Class!.Value].Description.Label
                    ?? throw new AnalysisException($"The class {TargetName()} is no output of the network.", "Choose a class that the network knows.");
            }

            return wish.Output == "label"
                ? _samples[row].Label ?? throw new AnalysisException($"The class of {_samples[row].Path} is no output of the network.", "Choose the predicted output.")
                : _samples[row].Predicted;
        }

        private Tensor Images(GradientNetwork network, IDataset dataset, int[] indices)
        {
            var shape = network.Preprocessing;
            var values = new List<float>(indices.Length * 3 * shape.Height * shape.Width);
            var count = 0;
            foreach (var loaded in new BatchLoader(dataset, shape, new BatchLoaderOptions { Describe = false }).Load(indices, 64, cancellation))
            {
                using var batch = loaded;
                if (batch.Skipped.Count > 0)
                {
                    throw new AnalysisException($"{batch.Skipped[0].Path} could be read when the analysis was made and cannot be now: {batch.Skipped[0].Reason}", "Put the file back.");
                }

                values.AddRange(batch.Values);
                count += batch.Rows.Count;
            }

            return tensor(values.ToArray(), [count, 3, shape.Height, shape.Width]);
        }

        private static int BatchSizeFor(GradientNetwork network)
        {
            var pixels = network.Preprocessing.Height * network.Preprocessing.Width;
            return pixels <= 64 * 64 ? 64 : pixels <= 160 * 160 ? 16 : 8;
        }

        /// <summary>Mean of τ over the targets, without those that are the training image itself; NaN where none is left.</summary>
        private static double[] MeanOverOthers(DenseMatrix tau, string[] hashes, string[] targets)
        {
            var places = targets.Select((h, t) => (h, t)).GroupBy(p => p.h, StringComparer.Ordinal).ToDictionary(g => g.Key, g => g.Select(p => p.t).ToHashSet(), StringComparer.Ordinal);
            var scores = new double[tau.Rows];
            for (var i = 0; i < tau.Rows; i++)
            {
                var own = places.GetValueOrDefault(hashes[i]);
                var (sum, count) = (0.0, 0);
                var row = tau.Row(i);
                for (var t = 0; t < row.Length; t++)
                {
                    if (own is null || !own.Contains(t))
                    {
                        sum += row[t];
                        count++;
                    }
                }

                scores[i] = count > 0 ? sum / count : double.NaN;
            }

            return scores;
        }

        private ProjectionCheck Check(GradientNetwork network, Training training, FeatureStore store, TrakModel model, FeatureOptions options)
        {
            var count = (int)Math.Min(store.Count, Math.Clamp(options.MemoryLimit / (store.Parameters * sizeof(float)), FewestChecked, CheckedImages));
            int[] rows = [.. Enumerable.Range(0, count).Select(i => (int)((long)i * store.Count / count)).Distinct()];
            var exact = new DenseMatrix(rows.Length, rows.Length);
            using (var scope = NewDisposeScope())
            {
                using var images = Images(network, training.Dataset, [.. rows.Select(r => training.Positions[store.Positions[r]])]);
                var parts = new List<Tensor>();
                for (var start = 0; start < rows.Length; start += options.BatchSize)
                {
                    var size = Math.Min(options.BatchSize, rows.Length - start);
                    var labels = tensor(rows.Skip(start).Take(size).Select(r => (long)training.Labels[store.Positions[r]]).ToArray(), device: network.Device);
                    GradientFeatures.Backward(
                        network,
                        images.narrow(0, start, size).to(network.Device),
                        logits => ModelOutputs.Margin(logits, where(labels.lt(Scalars.Of(0)), logits.argmax(1), labels)),
                        null,
                        options,
                        tape => parts.Add(PerSampleGradients.Concatenate(tape).Gradients.to(ScalarType.Float32).DetachFromDisposeScope()));
                }

                using var gradients = cat(parts, 0);
                parts.ForEach(p => p.Dispose());
                exact = DenseMatrix.FromTensor(gradients.mm(gradients.t()));
            }

            DenseMatrix projected;
            double rank;
            using (var scope = NewDisposeScope())
            {
                var features = cat([.. rows.Select(r => store.Read(r, 1))], 0);
                projected = DenseMatrix.FromTensor(features.mm(features.t()));
                var gram = TrakScores.Gram(store);
                rank = Math.Pow(gram.trace().item<double>(), 2) / gram.pow(Scalars.Of(2)).sum().item<double>();
            }

            var (a, b) = (new List<double>(), new List<double>());
            for (var i = 0; i < rows.Length; i++)
            {
                for (var j = 0; j < i; j++)
                {
                    a.Add(Cosine(exact, i, j));
                    b.Add(Cosine(projected, i, j));
                }
            }

            var error = Math.Sqrt(a.Zip(b, (x, y) => (x - y) * (x - y)).DefaultIfEmpty(0).Average());
            var correlation = a.Count > 2 ? Ranks.Pearson(a.ToArray(), b.ToArray()) : 1;
            var halves = Halves(model);
            var expected = 1 / Math.Sqrt(options.Dimensions);
            // Several times what chance does to an ideal projection, or an order that is lost, tells that the features cannot be trusted.
            var good = error <= 4 * expected && correlation >= 0.8;
            if (!good)
            {
                _notes.Add(string.Create(
                    CultureInfo.InvariantCulture,
                    $"The projection loses much: cosines between gradients are off by {error:0.000} (an ideal projection: {expected:0.000}). Choose more dimensions, or the dense projection."));
            }

            return new ProjectionCheck(rows.Length, Rounding.Significant(correlation), Rounding.Significant(error), Rounding.Significant(expected), Rounding.Significant(rank), Rounding.Significant(halves), good);

            static double Cosine(DenseMatrix products, int i, int j) => products[i, j] / Math.Max(double.Epsilon, Math.Sqrt(products[i, i] * products[j, j]));
        }

        /// <summary>Agreement of the scores that either half of the features gives: how much of them is the projection's chance.</summary>
        private double Halves(TrakModel model)
        {
            var half = model.Train.Dimensions / 2;
            var scores = new List<double[]>();
            for (var side = 0; side < 2; side++)
            {
                using var targets = model.Targets.narrow(1, side * half, half);
                var tau = TrakScores.Unweighted(new TrakModel(new Columns(model.Train, side * half, half), model.OneMinusP, targets), TrakScores.Relative(Math.Max(wish.Lambda, 1e-6)));
                scores.Add([.. Enumerable.Range(0, tau.Rows).Select(i => RobustStatistics.Mean(tau.Row(i)))]);
            }

            return Ranks.Spearman(scores[0], scores[1]);
        }

        /// <summary>Some of the features.</summary>
        private sealed class Columns(IFeatureRows rows, int first, int count) : IFeatureRows
        {
            public int Count => rows.Count;

            public int Dimensions => count;

            public Tensor Read(int start, int number)
            {
                using var all = rows.Read(start, number);
                using var part = all.narrow(1, first, count);
                return part.contiguous().alias();
            }
        }

        private DenseMatrix Standardised(LinearProbe probe, int[] rows)
        {
            using var activations = context.Layers.Read(probe.Layer, rows);
            var matrix = DenseMatrix.FromTensor(activations);
            for (var i = 0; i < matrix.Rows; i++)
            {
                var row = matrix.Row(i);
                for (var c = 0; c < row.Length; c++)
                {
                    row[c] = (row[c] - probe.Mean[c]) / probe.Scale[c];
                }
            }

            return matrix;
        }

        /// <summary>TRAK with the probe as the model: its gradients need no projection.</summary>
        private static DenseMatrix ProbeTrak(DenseMatrix inputs, double[] targets, LinearProbe probe, DenseMatrix tested)
        {
            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            var (signs, left) = (new double[inputs.Rows], new double[inputs.Rows]);
            for (var i = 0; i < inputs.Rows; i++)
            {
                var logit = Vectors.Dot(inputs.Row(i), probe.Weights) + probe.Bias;
                signs[i] = probe.Continuous ? 1 : targets[i] == 1 ? 1 : -1;
                left[i] = probe.Continuous ? targets[i] - logit : 1 / (1 + Math.Exp(signs[i] * logit));
            }

            var x = cat([inputs.ToTensor(), ones([inputs.Rows, 1], ScalarType.Float64)], 1) * tensor(signs).unsqueeze(1);
            var z = cat([tested.ToTensor(), ones([tested.Rows, 1], ScalarType.Float64)], 1);
            return TrakScores.Compute([new TrakModel(new TensorRows(x), left, z)], TrakScores.Relative(1e-3));
        }

        private static AttributionAgreement? Agreement(List<double[]> single)
        {
            if (single.Count < 2)
            {
                return null;
            }

            int[] known = [.. Enumerable.Range(0, single[0].Length).Where(i => single.TrueForAll(s => double.IsFinite(s[i])))];
            var top = Math.Max(1, (int)(TopShare * known.Length));
            var (correlations, overlaps) = (new List<double>(), new List<double>());
            for (var a = 0; a < single.Count; a++)
            {
                for (var b = 0; b < a; b++)
                {
                    var (x, y) = (Array.ConvertAll(known, i => single[a][i]), Array.ConvertAll(known, i => single[b][i]));
                    correlations.Add(Ranks.Spearman(x, y));
                    overlaps.Add(Ranks.Descending(x).Take(top).Intersect(Ranks.Descending(y).Take(top)).Count() / (double)top);
                }
            }

            return new AttributionAgreement(Rounding.Significant(correlations.Average()), Rounding.Significant(overlaps.Average()), correlations.Count);
        }

        private AttributionReport Report(
            Training training, int[] positions, string[] paths, string[] classes, string[] hashes, double[] scores, int[] targets, int skipped, AttributedTarget target,
            IReadOnlyList<AttributedCheckpoint> checkpoints, AttributionAgreement? agreement, ProjectionCheck? check, long parameters, string projection,
            DenseMatrix tau, IReadOnlyList<double[]> left, IReadOnlyList<double[]> single, double? trakAgainstExact)
        {
            int[] known = [.. Enumerable.Range(0, scores.Length).Where(i => double.IsFinite(scores[i]))];
            if (known.Length == 0)
            {
                throw new AnalysisException("No training image is left beside the target itself.", "Give a larger training set.");
            }

            int[] order = [.. Ranks.Descending(scores).Take(known.Length)];
            var samples = SampleOf(training, paths, hashes);
            Save(training, positions, paths, classes, scores, samples, targets, tau, left, single);
            var topCount = Math.Min(known.Length, Math.Max(20, (int)Math.Ceiling(TopShare * known.Length)));
            var shown = Math.Min(Shown, known.Length);
            var names = DisplayNames();
            var positive = known.Sum(i => Math.Max(0, scores[i]));
            var top = order.Take(topCount).GroupBy(i => classes[i], StringComparer.Ordinal).ToDictionary(g => g.Key, g => g.Count(), StringComparer.Ordinal);
            return new AttributionReport
            {
                Request = wish,
                Target = target,
                Training = new TrainingSet(training.Same ? context.Plan.Description.DatasetName : training.Dataset.Name, known.Length, training.Same, skipped, training.Unlabelled),
                Checkpoints = checkpoints,
                Parameters = parameters,
                Projection = projection,
                Top = [.. order.Take(shown).Select(Image)],
                Bottom = [.. order.Reverse().Take(shown).Select(Image)],
                Diffuseness = Diffuseness.Of(Array.ConvertAll(known, i => scores[i])),
                Classes =
                [
                    .. known.GroupBy(i => classes[i], StringComparer.Ordinal)
                        .Select(g => new AttributedClass(
                            g.Key,
                            names.GetValueOrDefault(g.Key, g.Key),
                            g.Count(),
                            top.GetValueOrDefault(g.Key),
                            Rounding.Significant(g.Average(i => scores[i])),
                            Rounding.Significant(positive > 0 ? g.Sum(i => Math.Max(0, scores[i])) / positive : 0)))
                        .OrderByDescending(c => c.Top).ThenByDescending(c => c.Share).ThenBy(c => c.Name, StringComparer.Ordinal),
                ],
                TopCount = topCount,
                Agreement = agreement,
                Check = check,
                TrakAgainstExact = trakAgainstExact,
                Notes = _notes,
            };

            AttributedImage Image(int i) => new(
                i, samples[i], paths[i], classes[i], Rounding.Significant(scores[i]), samples[i] is null ? Thumbnail(training, i, positions[i]) : null);
        }

        private int?[] SampleOf(Training training, string[] paths, string[] hashes)
        {
            var byPath = training.Same ? _samples.ToDictionary(s => s.Path, s => s.Index, StringComparer.Ordinal) : null;
            var own = byPath is null ? TargetHashes([.. Enumerable.Range(0, _samples.Count)]) : [];
            var byHash = own.Select((h, i) => (h, i)).GroupBy(p => p.h, StringComparer.Ordinal).ToDictionary(g => g.Key, g => g.First().i, StringComparer.Ordinal);
            return [.. Enumerable.Range(0, paths.Length).Select(i => byPath is not null
                ? byPath.TryGetValue(paths[i], out var index) ? index : (int?)null
                : byHash.TryGetValue(hashes[i], out var same) ? same : null)];
        }

        private Dictionary<string, string> DisplayNames()
        {
            var network = context.Plan.Network;
            var folders = context.Plan.Dataset.Classes.ToList();
            var outputs = ClassMapping.Map(folders, network.Classes);
            return folders.Zip(outputs).Where(p => p.Second >= 0).ToDictionary(p => p.First, p => OutputNames.Of(network, p.Second), StringComparer.Ordinal);
        }

        private string? Thumbnail(Training training, int row, int position)
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"image-{row}.webp");
            var path = Path.Combine(folder, name);
            if (!File.Exists(path))
            {
                try
                {
                    var bytes = ThumbnailMaker.Square(training.Dataset.Read(training.Positions[position]), ThumbnailSize);
                    AtomicFile.Write(path, stream => stream.Write(bytes));
                }
                catch (AnalysisException)
                {
                    // The picture only illustrates the score.
                    return null;
                }
            }

            return name;
        }

        private void Save(
            Training training, int[] positions, string[] paths, string[] classes, double[] scores, int?[] samples, int[] targets, DenseMatrix tau, IReadOnlyList<double[]> left, IReadOnlyList<double[]> single)
        {
            using var scope = NewDisposeScope();
            var tensors = new List<(string, Tensor)>
            {
                ("scores", tensor(scores)),
                ("row", tensor(Array.ConvertAll(positions, p => (long)training.Positions[p]))),
                ("sample", tensor(Array.ConvertAll(samples, s => (long)(s ?? -1)))),
                ("targets", tensor(Array.ConvertAll(targets, t => (long)t))),
            };
            if (tau.Values.LongLength <= MostTau)
            {
                tensors.Add(("tau", tau.ToTensor()));
            }

            if (left.Count > 0)
            {
                tensors.Add(("one_minus_p", stack([.. left.Select(l => tensor(l))], 0)));
            }

            if (single.Count > 0)
            {
                tensors.Add(("checkpoint_scores", stack([.. single.Select(s => tensor(s))], 0)));
            }

            try
            {
                SafetensorsTensors.Save(Path.Combine(folder, ScoresFile), tensors);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                throw AtomicFile.Explain(folder, failure);
            }

            var table = new StringBuilder("row,path,class,sample,score\n");
            for (var i = 0; i < paths.Length; i++)
            {
                table.Append(CultureInfo.InvariantCulture, $"{i},{Quoted(paths[i])},{Quoted(classes[i])},{samples[i]},");
                table.Append(double.IsNaN(scores[i]) ? "" : scores[i].ToString("R", CultureInfo.InvariantCulture)).Append('\n');
            }

            AtomicFile.WriteText(Path.Combine(folder, TableFile), table.ToString());
        }

        private static string Quoted(string text) => text.AsSpan().IndexOfAny(",\"\n\r") < 0 ? text : $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }
}
