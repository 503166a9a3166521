using Analysis.Activations;
using Analysis.Atlas;
using Analysis.Imaging;
using Analysis.Importance;
using Analysis.Numerics;
using Analysis.Runs.Tasks;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Probes;

/// <summary>
/// Testing with concept activation vectors (Kim et al. 2018, arXiv 1711.11279): does the logit of a class rise when the
/// activation moves along the direction of the concept's probe? Judged by probes fitted again on other divisions against probes
/// of shuffled labels.
/// </summary>
internal static class ClassInfluenceTest
{
    /// <summary>Probes of the concept.</summary>
    public const int Refits = 10;

    /// <summary>Probes of shuffled labels.</summary>
    public const int Controls = 30;

    private const int MostImages = 50;
    private const int FewestImages = 5;
    private const int AllImages = 4000;
    private const double Level = 0.05;
    private const double Agreeing = 0.9;

    /// <summary>Tests the classes.</summary>
    /// <param name="context">The analysis.</param>
    /// <param name="labels">What the samples show.</param>
    /// <param name="layer">Layer.</param>
    /// <param name="options">How probes are fitted; the strength given.</param>
    /// <param name="seed">Seed of the first division.</param>
    /// <param name="progress">Called with the share that is done.</param>
    /// <param name="cancellation">Honoured between fits and batches.</param>
    /// <returns>Null where no class has an output.</returns>
    public static ClassInfluence? Run(TaskContext context, ConceptLabels labels, string layer, ProbeOptions options, int seed, Action<double> progress, CancellationToken cancellation)
    {
        var classes = context.Classes.Where(c => c.Description.Label is not null && c.Rows.Length > 0).ToList();
        if (classes.Count == 0)
        {
            return null;
        }

        var (concept, control) = (new List<(double[] Direction, double Scale)>(), new List<(double[] Direction, double Scale)>());
        for (var refit = 0; refit < Refits; refit++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var set = ProbeSet.Create(context.Layers, ConceptResolver.Split(context, labels, seed + refit), layer);
            concept.Add(Direction(set, set.Fit(set.TrainTargets, options)));
            for (var i = refit; i < Controls; i += Refits)
            {
                cancellation.ThrowIfCancellationRequested();
                control.Add(Direction(set, set.Fit(ConceptProber.Shuffle(set.TrainTargets, seed, i), options)));
            }

            progress(0.6 * (refit + 1) / Refits);
        }

        var vectors = new DenseMatrix(concept.Count + control.Count, concept[0].Direction.Length);
        var scale = concept.Concat(control).Select(d => d.Scale).ToArray();
        foreach (var (row, direction) in concept.Concat(control).Select((d, i) => (i, d.Direction)))
        {
            direction.CopyTo(vectors.Row(row));
        }

        var perClass = Math.Clamp(AllImages / classes.Count, FewestImages, MostImages);
        var entries = new List<ClassInfluenceEntry>();
        foreach (var members in classes)
        {
            cancellation.ThrowIfCancellationRequested();
            int[] rows = [.. Enumerable.Range(0, Math.Min(perClass, members.Rows.Length)).Select(i => members.Rows[(int)((long)i * members.Rows.Length / Math.Min(perClass, members.Rows.Length))])];
            var (share, mean, images) = Along(context, layer, members.Description, rows, vectors, cancellation);
            entries.Add(Entry(members.Description, images, share, [.. mean.Zip(scale, (m, s) => m * s)]));
            progress(0.6 + (0.4 * entries.Count / classes.Count));
        }

        return new ClassInfluence(layer, Refits, Controls, Correct(entries));
    }

    /// <summary>Shares of positive derivatives and mean derivatives along each direction over the images of a class.</summary>
    private static (double[] Share, double[] Mean, int Images) Along(TaskContext context, string layer, ClassDescription description, int[] rows, DenseMatrix vectors, CancellationToken cancellation)
    {
        var (network, output) = (context.Plan.Network, description.Label!.Value);
        var (share, mean) = (new double[vectors.Rows], new double[vectors.Rows]);
        var images = 0;
        if (network.LinearHead(layer) is { } head)
        {
            using var scope = NewDisposeScope();
            using var guard = no_grad();
            Add(head.Weight.select(0, output).unsqueeze(0).to(ScalarType.Float64).cpu());
            return (share, mean, rows.Length);
        }

        foreach (var (_, activation) in Activations(context, layer, rows, cancellation))
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var target = full([activation.shape[0]], Scalars.Of((long)output), ScalarType.Int64, activation.device);
            Add(HeadGradient.Compute(network, layer, activation, target).sum([2, 3]).to(ScalarType.Float64).cpu());
            activation.Dispose();
        }

        for (var i = 0; i < share.Length; i++)
        {
            (share[i], mean[i]) = (share[i] / Math.Max(1, images), mean[i] / Math.Max(1, images));
        }

        return (share, mean, images);

        void Add(Tensor gradients)
        {
            using var directions = vectors.ToTensor();
            var (positive, _) = Tcav.Shares(gradients, directions);
            var along = DenseMatrix.FromTensor(gradients.mm(directions.t()).sum([0L]));
            images += (int)gradients.shape[0];
            for (var i = 0; i < share.Length; i++)
            {
                share[i] += positive[i];
                mean[i] += along[0, i];
            }
        }
    }

    /// <summary>Activations of the layer, in parts; float32 on the network's device, belonging to the caller.</summary>
    private static IEnumerable<(int Start, Tensor Activation)> Activations(TaskContext context, string layer, int[] rows, CancellationToken cancellation)
    {
        var batch = Math.Min(context.Plan.Request.BatchSize, MostImages);
        if (layer == context.Plan.Layer.Name)
        {
            return context.Spatial.Read(rows, batch, cancellation);
        }

        var scan = context.Store.ScanIndices();
        var loader = new BatchLoader(context.Plan.Dataset, context.Plan.Network.Preprocessing, new BatchLoaderOptions { Describe = false });
        return Load();

        IEnumerable<(int, Tensor)> Load()
        {
            var network = context.Plan.Network;
            foreach (var loaded in loader.Load(Array.ConvertAll(rows, r => context.Plan.Samples[scan[r]]), batch, cancellation))
            {
                using var images = loaded;
                if (images.Rows.Count > 0)
                {
                    yield return (images.First, Forward(network, layer, images));
                }
            }
        }
    }

    private static Tensor Forward(Networks.INetwork network, string layer, ImageBatch images)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var shape = network.Preprocessing;
        var input = tensor(images.Values.ToArray(), [images.Rows.Count, 3, shape.Height, shape.Width]).to(network.Device);
        return network.Forward(input, [layer]).Activations[0].DetachFromDisposeScope();
    }

    /// <summary>Unit direction of a probe and the standard deviation of the activations for fitting along it.</summary>
    private static (double[] Direction, double Scale) Direction(ProbeSet set, FittedProbe fitted)
    {
        var direction = fitted.Direction();
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        double[] scaled = [.. direction.Zip(fitted.Probe.Scale, (d, s) => d * s)];
        var along = DenseMatrix.FromTensor(set.Train.mm(NativeData.Matrix(scaled, scaled.Length, 1)).t());
        return (direction, Math.Sqrt(Vectors.Dot(along.Values, along.Values) / along.Columns));
    }

    private static ClassInfluenceEntry Entry(ClassDescription description, int images, double[] share, double[] derivative)
    {
        var (score, control) = (share[..Refits], share[Refits..]);
        var (own, chance) = (derivative[..Refits], derivative[Refits..]);
        return new ClassInfluenceEntry
        {
            Class = description.Index,
            Name = description.DisplayName,
            Output = description.Label!.Value,
            Images = images,
            Score = Spread.Of(score.Select(v => (double?)v))!,
            Control = Spread.Of(control.Select(v => (double?)v))!,
            Derivative = Spread.Of(own.Select(v => (double?)v))!,
            PScore = Welch(score, control) is { } p ? Rounding.Probability(p) : null,
            PDerivative = Rounding.Probability(OneAgainst(own.Average(), chance)),
            PCorrected = 1,
            Significant = false,
        };
    }

    /// <summary>Two-sided p of Welch's t test; null where neither side varies.</summary>
    internal static double? Welch(double[] a, double[] b)
    {
        var (meanA, meanB) = (a.Average(), b.Average());
        var errorA = a.Sum(v => (v - meanA) * (v - meanA)) / (a.Length - 1) / a.Length;
        var errorB = b.Sum(v => (v - meanB) * (v - meanB)) / (b.Length - 1) / b.Length;
        if (errorA + errorB < 1e-18)
        {
            return null;
        }

        var degrees = (errorA + errorB) * (errorA + errorB) / ((errorA * errorA / (a.Length - 1)) + (errorB * errorB / (b.Length - 1)));
        return TailProbability.StudentT((meanA - meanB) / Math.Sqrt(errorA + errorB), degrees);
    }

    /// <summary>Two-sided p of one new observation against R others, by Student's t; 1 where they do not vary.</summary>
    internal static double OneAgainst(double value, double[] others)
    {
        var mean = others.Average();
        var deviation = Math.Sqrt(others.Sum(v => (v - mean) * (v - mean)) / (others.Length - 1));
        return deviation <= 0 ? 1 : TailProbability.StudentT((value - mean) / (deviation * Math.Sqrt(1 + (1.0 / others.Length))), others.Length - 1);
    }

    /// <summary>Holm's step-down correction over the classes.</summary>
    internal static List<ClassInfluenceEntry> Correct(List<ClassInfluenceEntry> entries)
    {
        var order = Ranks.Ascending([.. entries.Select(e => e.PDerivative)]);
        double largest = 0;
        for (var i = 0; i < order.Length; i++)
        {
            largest = Math.Max(largest, Math.Min(1, entries[order[i]].PDerivative * (order.Length - i)));
            var entry = entries[order[i]];
            // Chance directions hardly move a logit, so that even a wavering concept stands out from them: refits must agree.
            var agreeing = entry.Derivative.Values.Count(v => Math.Sign(v) == Math.Sign(entry.Derivative.Mean)) / (double)entry.Derivative.Values.Count;
            entries[order[i]] = entry with { PCorrected = Rounding.Probability(largest), Significant = largest < Level && agreeing >= Agreeing };
        }

        return entries;
    }
}
