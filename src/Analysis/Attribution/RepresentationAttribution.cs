using System.Globalization;
using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Probes;
using Analysis.Runs;
using Analysis.Runs.Tasks;

namespace Analysis.Attribution;

/// <summary>TRAK over the images that a network was trained on (METHODS 4.2, variant A), averaged over networks of one recipe.</summary>
/// <param name="context">The analysis.</param>
/// <param name="wish">The wish.</param>
/// <param name="observer">Receives progress.</param>
/// <param name="cancellation">Honoured between batches; finished shards of features stay in the store.</param>
internal sealed class RepresentationAttribution(TaskContext context, AttributionRequest wish, ITaskObserver observer, CancellationToken cancellation)
{
    private const long MostDenseParameters = 300_000;

    private string LayerName => wish.Layer ?? context.Plan.Layer.Name;

    /// <summary>Attributes.</summary>
    /// <param name="notes">Receives doubts and assumptions, in words.</param>
    /// <exception cref="AnalysisException">The training images, a network or the concept cannot be used; says why.</exception>
    public AttributionOutcome Run(List<string> notes)
    {
        var of = new AttributionTargets(context, wish, notes);
        var training = AttributedTraining.Open(context, wish, notes, cancellation);
        var labels = wish.Target == "concept" ? ConceptResolver.Resolve(context, wish.Concept!, wish.Seed) : null;
        if (labels is not null && PlacedActivations.Unused(labels, [context.Layers.Get(LayerName)]) is { } unused)
        {
            notes.Add(unused);
        }

        var rows = of.Rows(labels);
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
                targets = of.WithoutTraining(rows, store.Hashes);
            }
            else if (!first.Value.Positions.SequenceEqual(store.Positions))
            {
                throw new AnalysisException("The networks could not read the same training images.", "Check the data set, and start again.");
            }

            observer.OnProgress(new TaskProgress(done + training.Positions.Length, total, $"Gradients of the targets, {name}"));
            using var features = of.Features(network, targets, fitted?.Probe, options, cancellation);
            var model = new TrakModel(store, store.OneMinusP, features);
            unweighted.Add(TrakScores.Unweighted(model, TrakScores.Relative(wish.Ridge)));
            left.Add(store.OneMinusP);
            checkpoints.Add(new AttributedCheckpoint(name, network.Sha256, fitted?.HeldOut.Score, Rounding.Significant(RobustStatistics.Mean(store.OneMinusP))));
            if (m == 0)
            {
                check = ProjectionChecker.Check(network, training, store, model, options, wish.Ridge, notes, cancellation);
            }
        }

        observer.OnProgress(new TaskProgress(total - 1, total, "Ranking the training images"));
        var (positions, hashes, skipped) = first!.Value;
        var own = AttributionTargets.Hashes(context, targets);
        var tau = TrakScores.Combine(unweighted, left);
        var scores = AttributionScores.MeanOverOthers(tau, hashes, own);
        TrakScores.SoftThreshold(scores, wish.Threshold);
        var single = unweighted.Count < 2 ? [] : unweighted.Select((u, m) => AttributionScores.MeanOverOthers(TrakScores.Combine([u], [left[m]]), hashes, own)).ToList();
        if (unweighted.Count == 1)
        {
            notes.Add("Scores come from a single network. Trained again, it may have learnt from other images: give more networks of the same recipe to see what stays.");
        }

        if (probeScore is < 0.6)
        {
            notes.Add(string.Create(CultureInfo.InvariantCulture, $"The probe is hardly better than chance at {LayerName} (score {probeScore:0.00}): the layer does not tell this concept, and the scores mean little."));
        }

        var references = positions.Select(p => training.Dataset.Samples[training.Positions[p]]).ToArray();
        return new AttributionOutcome
        {
            Training = training,
            Positions = positions,
            Paths = [.. references.Select(s => s.Path)],
            Classes = [.. references.Select(s => s.ClassName)],
            Hashes = hashes,
            Scores = scores,
            Skipped = skipped,
            Target = new AttributedTarget(wish.Target, of.Name, labels is null ? null : LayerName, targets, probeScore, probeAuc),
            Checkpoints = checkpoints,
            Agreement = AttributionScores.Agreement(single),
            Check = check,
            Parameters = parameters,
            Projection = projection,
            Influence = tau,
            OneMinusP = left,
            Single = single,
        };
    }

    private FittedProbe Fit(TaskContext of, ConceptLabels labels, string name, long done, long total)
    {
        observer.OnProgress(new TaskProgress(done, total, $"Fitting the probe, {name}"));
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

    private static int BatchSizeFor(GradientNetwork network)
    {
        var pixels = network.Preprocessing.Height * network.Preprocessing.Width;
        return pixels <= 64 * 64 ? 64 : pixels <= 160 * 160 ? 16 : 8;
    }
}
