using System.Diagnostics;
using Analysis.Activations;
using Analysis.Atlas;
using Analysis.Concepts;
using Analysis.Factorization;
using Analysis.Importance;
using Analysis.Numerics;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Evaluation.Comparison;

/// <summary>Faithfulness of the estimators in one class; one checkpoint.</summary>
/// <param name="Images">Images that were judged.</param>
/// <param name="Estimators">Sums over images, in the order asked for, then random and oracle.</param>
/// <param name="Tcav">TCAV of the class; null where it was not asked for.</param>
/// <param name="Problem">Why the class could not be judged; null where it could.</param>
internal sealed record JudgedClass(int Images, IReadOnlyList<EstimatorSums> Estimators, ClassTcav? Tcav, string? Problem = null);

/// <summary>Sums of one estimator over the images of a class.</summary>
internal sealed record EstimatorSums(
    string Name, double Deletion, double Insertion, double MuFidelity, double[] DeletionCurve, double[] InsertionCurve, double Seconds, string? Problem = null);

/// <summary>Judges estimators of importance on one set of concepts (METHODS 2.6).</summary>
internal static class FaithfulnessComparer
{
    /// <summary>Name of the random orders.</summary>
    public const string Random = "random";

    /// <summary>Name of the order found by looking.</summary>
    public const string Oracle = "oracle";

    private const double Level = 0.05;
    private const int Part = 32;

    /// <summary>Judges one class.</summary>
    public static JudgedClass Judge(
        TaskContext context, ComparisonRows rows, ComparisonParameters parameters, string method, int components, ClassRows members, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var network = context.Plan.Network;
        var layer = context.Plan.Layer;
        ConceptEncoder encoder;
        try
        {
            encoder = Encoder(context, rows, parameters, method, components, members, cancellation);
        }
        catch (AnalysisException failure)
        {
            return new JudgedClass(0, [], null, $"{members.Description.DisplayName}: {failure.Message}");
        }

        using (encoder)
        {
            var images = ComparisonRows.Spread(members.Rows, parameters.ImageLimit);
            using var logits = context.Store.GatherTensor("logits", images);
            var targets = ImageOutputs.From(images, DenseMatrix.FromTensor(logits), members.Description.Label).Target;
            var codes = Codes(context, encoder, images, cancellation);
            using var model = ConceptModels.Create(network, layer.Name, encoder.Vectors, encoder.Offset, targets);
            var batch = ConceptModels.BatchRows(network, layer.Name);
            var subsets = Faithfulness.Subsets(model.Concepts, parameters.Subsets, parameters.Seed);
            var drops = Faithfulness.Drops(model, codes, subsets, batch, cancellation);
            var options = new EstimatorOptions { Seed = parameters.Seed, Draws = parameters.Draws, BatchRows = batch };
            var sums = new List<EstimatorSums>();
            foreach (var name in parameters.Importance)
            {
                cancellation.ThrowIfCancellationRequested();
                try
                {
                    var clock = Stopwatch.StartNew();
                    var phi = DenseMatrix.FromTensor(ImportanceCatalogue.Get(name).Estimate(model, codes, options, cancellation));
                    var seconds = clock.Elapsed.TotalSeconds;
                    sums.Add(Sum(
                        name,
                        Faithfulness.Deletion(model, codes, phi, batch, cancellation),
                        Faithfulness.Insertion(model, codes, phi, batch, cancellation),
                        Faithfulness.MuFidelity(drops, phi, subsets).Sum(),
                        seconds));
                }
                catch (AnalysisException failure)
                {
                    sums.Add(new EstimatorSums(name, 0, 0, 0, [], [], 0, failure.Message));
                }
            }

            // Random attributions are right about subsets as often as wrong.
            sums.Add(Sum(
                Random,
                Faithfulness.Random(model, codes, insert: false, seed: parameters.Seed, batchRows: batch, cancellation: cancellation),
                Faithfulness.Random(model, codes, insert: true, seed: parameters.Seed, batchRows: batch, cancellation: cancellation),
                Faithfulness.MuFidelity(drops, RandomAttribution(images.Length, model.Concepts, parameters.Seed), subsets).Sum(),
                0));
            sums.Add(Sum(
                Oracle,
                Faithfulness.Oracle(model, codes, insert: false, batch, cancellation),
                Faithfulness.Oracle(model, codes, insert: true, batch, cancellation),
                double.NaN,
                0));
            var tcav = parameters.Importance.Contains("tcav") ? Test(context, encoder, images, targets, members, parameters, cancellation) : null;
            return new JudgedClass(images.Length, sums, tcav);
        }
    }

    /// <summary>Means over the images of all classes.</summary>
    public static FaithfulnessComparison? Combine(
        IReadOnlyList<JudgedClass> classes, ComparisonParameters parameters, string method, int components)
    {
        var judged = classes.Where(c => c.Images > 0).ToArray();
        var images = judged.Sum(c => c.Images);
        if (images == 0)
        {
            return null;
        }

        string[] names = [.. parameters.Importance, Random, Oracle];
        var all = names.Select(name => (Name: name, Parts: judged.Select(c => c.Estimators.First(e => e.Name == name)).ToArray())).ToArray();
        var (random, oracle) = (Of(all[^2].Parts), Of(all[^1].Parts));
        return new FaithfulnessComparison
        {
            Method = method,
            Components = components,
            Images = images,
            Score = "logit",
            Tcav = [.. judged.Select(c => c.Tcav).OfType<ClassTcav>()],
            Estimators =
            [
                .. all.Select(e =>
                {
                    var title = e.Name switch { Random => "Random order", Oracle => "Best order", _ => ImportanceCatalogue.Get(e.Name).Info.Title };
                    var reference = e.Name is Random or Oracle;
                    if (e.Parts.FirstOrDefault(p => p.Problem is not null)?.Problem is { } problem)
                    {
                        return new EstimatorFigures { Name = e.Name, Title = title, Problem = problem };
                    }

                    var mean = Of(e.Parts);
                    return new EstimatorFigures
                    {
                        Name = e.Name,
                        Title = title,
                        Reference = reference,
                        Deletion = Rounding.Significant(mean.Deletion),
                        Insertion = Rounding.Significant(mean.Insertion),
                        MuFidelity = double.IsNaN(mean.MuFidelity) ? null : Rounding.Significant(mean.MuFidelity),
                        DeletionQuality = Quality(mean.Deletion, random.Deletion, oracle.Deletion),
                        InsertionQuality = Quality(mean.Insertion, random.Insertion, oracle.Insertion),
                        DeletionCurve = [.. mean.DeletionCurve.Select(Rounding.Significant)],
                        InsertionCurve = [.. mean.InsertionCurve.Select(Rounding.Significant)],
                    };
                }),
            ],
        };

        EstimatorSums Of(EstimatorSums[] parts) => new(
            "",
            parts.Sum(p => p.Deletion) / images,
            parts.Sum(p => p.Insertion) / images,
            parts.Sum(p => p.MuFidelity) / images,
            Curve(parts, p => p.DeletionCurve),
            Curve(parts, p => p.InsertionCurve),
            0);

        double[] Curve(EstimatorSums[] parts, Func<EstimatorSums, double[]> curve)
        {
            var sum = new double[components + 1];
            foreach (var part in parts)
            {
                Vectors.Add(sum, Stretch(curve(part), components));
            }

            Vectors.Scale(sum, 1.0 / images);
            return sum;
        }
    }

    /// <summary>A curve over fewer concepts on the axis of more, by linear interpolation.</summary>
    internal static double[] Stretch(double[] curve, int components)
    {
        var last = curve.Length - 1;
        var result = new double[components + 1];
        for (var step = 0; step <= components; step++)
        {
            var place = (double)step * last / components;
            var low = Math.Min((int)place, Math.Max(0, last - 1));
            var share = place - low;
            result[step] = share == 0 ? curve[low] : curve[low] + (share * (curve[low + 1] - curve[low]));
        }

        return result;
    }

    private static double? Quality(double value, double random, double oracle) =>
        RobustStatistics.IsDegenerate(Math.Abs(oracle - random), random) ? null : Rounding.Significant((value - random) / (oracle - random));

    private static EstimatorSums Sum(string name, ConceptCurves deletion, ConceptCurves insertion, double fidelity, double seconds)
    {
        return new EstimatorSums(name, deletion.Area.Sum(), insertion.Area.Sum(), fidelity, Total(deletion.Curves), Total(insertion.Curves), seconds);

        static double[] Total(DenseMatrix curves)
        {
            var sum = new double[curves.Columns];
            for (var i = 0; i < curves.Rows; i++)
            {
                Vectors.Add(sum, curves.Row(i));
            }

            return sum;
        }
    }

    private static DenseMatrix RandomAttribution(int rows, int columns, int seed)
    {
        var random = new SplitMix64(unchecked((ulong)seed + 1));
        var result = new DenseMatrix(rows, columns);
        for (var i = 0; i < result.Values.Length; i++)
        {
            result.Values[i] = random.NextNormal();
        }

        return result;
    }

    private static ConceptEncoder Encoder(
        TaskContext context, ComparisonRows rows, ComparisonParameters parameters, string method, int components, ClassRows members, CancellationToken cancellation)
    {
        if (method == AnalysisRequest.UniqueMethod)
        {
            using var factors = AnalysedFactors.Read(context, members.Description.Index, components).Factors;
            return new ContrastEncoder(factors.Vectors.clone(), factors.Offset!);
        }

        var fitted = FactorizationCatalogue.Get(method).Fit(
            rows.Of(members, cancellation), new FactorizationOptions { Components = components, Seed = parameters.Seed }, null, cancellation);
        return FactorEncoder.Create(fitted, byPositions: parameters.Granularity == "positions", owns: true);
    }

    /// <summary>n×k of pooled activations behind a linear head, n×P×k of positions otherwise.</summary>
    private static Tensor Codes(TaskContext context, ConceptEncoder encoder, int[] images, CancellationToken cancellation)
    {
        var (network, layer) = (context.Plan.Network, context.Plan.Layer);
        var linear = network.LinearHead(layer.Name) is not null;
        if (linear && !encoder.ByPositions)
        {
            using var pooled = context.Store.GatherTensor("pooled.0", images);
            return encoder.Encode(pooled.to(network.Device).to(ScalarType.Float64));
        }

        var parts = new List<Tensor>();
        foreach (var (_, activation) in context.Spatial.Read(images, Part, cancellation))
        {
            using (activation)
            {
                using var inner = NewDisposeScope();
                var codes = encoder.Encode(activation.to(ScalarType.Float64).permute(0, 2, 3, 1).reshape(-1, layer.Channels))
                    .reshape(activation.shape[0], -1, encoder.Vectors.shape[0]);
                parts.Add((linear ? codes.mean([1L]) : codes.alias()).MoveToOuterDisposeScope());
            }
        }

        return cat(parts, 0);
    }

    private static ClassTcav Test(
        TaskContext context, ConceptEncoder encoder, int[] images, int[] targets, ClassRows members, ComparisonParameters parameters, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        var (network, layer) = (context.Plan.Network, context.Plan.Layer);
        Tensor gradients;
        if (network.LinearHead(layer.Name) is { } head)
        {
            gradients = head.Weight.index_select(0, tensor(targets, ScalarType.Int64, head.Weight.device));
        }
        else
        {
            var parts = new List<Tensor>();
            foreach (var (start, activation) in context.Spatial.Read(images, Part, cancellation))
            {
                using (activation)
                {
                    var target = tensor(targets.AsSpan(start, (int)activation.shape[0]).ToArray(), ScalarType.Int64, activation.device);
                    parts.Add(HeadGradient.Compute(network, layer.Name, activation, target).sum([2L, 3L]));
                }
            }

            gradients = cat(parts, 0);
        }

        var scores = Tcav.Test(gradients, encoder.Vectors, parameters.Seed);
        var sign = MultipleTesting.Holm([.. scores.Select(s => s.PSign)]);
        var defined = scores.All(s => !double.IsNaN(s.PRandom));
        var random = defined ? MultipleTesting.Holm([.. scores.Select(s => s.PRandom)]) : null;
        return new ClassTcav(
            members.Description.Index,
            [
                .. scores.Select((s, i) => new ConceptTcav(
                    s.Score,
                    Rounding.Significant(s.PSign),
                    defined ? Rounding.Significant(s.PRandom) : null,
                    sign[i] < Level && (random is null || random[i] < Level))),
            ]);
    }
}
