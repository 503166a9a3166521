using Analysis.Numerics;
using Analysis.Probes;
using Analysis.Runs.Tasks;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Attribution;

/// <summary>The exact influence of the samples that a probe was fitted to (METHODS 4.2, variant B), and how well TRAK agrees with it.</summary>
/// <param name="context">The analysis.</param>
/// <param name="wish">The wish; its target is a concept.</param>
/// <param name="observer">Receives progress.</param>
internal sealed class ProbeAttribution(TaskContext context, AttributionRequest wish, ITaskObserver observer)
{
    /// <summary>Attributes.</summary>
    /// <param name="notes">Receives doubts and assumptions, in words.</param>
    /// <exception cref="AnalysisException">The analysis does not have the concept or the layer.</exception>
    public AttributionOutcome Run(List<string> notes)
    {
        var of = new AttributionTargets(context, wish, notes);
        var layer = wish.Layer ?? context.Plan.Layer.Name;
        var labels = ConceptResolver.Resolve(context, wish.Concept!, wish.Seed);
        if (labels.Places is not null)
        {
            notes.Add("The marked places are not used: this variant weighs whole images, those that a probe of whole images is fitted to.");
            labels = labels with { Places = null };
        }

        observer.OnProgress(new TaskProgress(0, 3, "Fitting the probe"));
        var fitted = ProbeFitter.Fit(context, labels, layer, new ProbeOptions { Seed = wish.Seed });
        var probe = fitted.Probe;
        int[] rows = [.. Enumerable.Range(0, labels.Targets.Length).Where(i => !double.IsNaN(labels.Targets[i]) && !labels.HeldOut[i])];
        var targets = of.Rows(labels);
        observer.OnProgress(new TaskProgress(1, 3, "Solving with the Hessian"));
        var inputs = Standardised(probe, rows);
        var y = Array.ConvertAll(rows, i => labels.Targets[i]);
        var weights = ProbeFitter.Weights(y, labels.Continuous, balanced: true) ?? [.. Enumerable.Repeat(1.0, y.Length)];
        var tested = Standardised(probe, targets);
        var influence = ProbeInfluence.Exact(inputs, y, weights, probe.Weights, probe.Bias, fitted.Strength, probe.Continuous, tested);
        var trak = ProbeTrak(inputs, y, probe, tested);
        observer.OnProgress(new TaskProgress(2, 3, "Ranking the images"));
        var hashes = AttributionTargets.Hashes(context, rows);
        var own = AttributionTargets.Hashes(context, targets);
        var scores = AttributionScores.MeanOverOthers(influence, hashes, own);
        var known = Enumerable.Range(0, scores.Length).Where(i => double.IsFinite(scores[i])).ToArray();
        var projected = AttributionScores.MeanOverOthers(trak, hashes, own);
        var agreement = Ranks.Spearman(Array.ConvertAll(known, i => scores[i]), Array.ConvertAll(known, i => projected[i]));
        TrakScores.SoftThreshold(scores, wish.Threshold);
        notes.Add("These are the images that the probe was fitted to, not those that the network was trained on: they tell what shaped the read-out.");
        var scan = context.Store.ScanIndices();
        return new AttributionOutcome
        {
            Training = new AttributedTraining(context.Plan.Dataset, Array.ConvertAll(rows, r => context.Plan.Samples[scan[r]]), new int[rows.Length], true, 0),
            Positions = [.. Enumerable.Range(0, rows.Length)],
            Paths = [.. rows.Select(r => context.Samples[r].Path)],
            Classes = [.. rows.Select(r => context.Samples[r].Class)],
            Hashes = hashes,
            Scores = scores,
            Target = new AttributedTarget(wish.Target, of.Name, layer, targets, fitted.HeldOut.Score, fitted.HeldOut.Auc),
            Checkpoints = [new AttributedCheckpoint(Path.GetFileName(context.Plan.Request.Network), context.Plan.Network.Sha256, fitted.HeldOut.Score, null)],
            Parameters = probe.Weights.Length + 1,
            Influence = influence,
            TrakAgainstExact = Rounding.Significant(agreement),
        };
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
}
