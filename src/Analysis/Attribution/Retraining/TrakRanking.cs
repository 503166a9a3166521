using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Probes;
using static TorchSharp.torch;

namespace Analysis.Attribution.Retraining;

/// <summary>
/// TRAK of the concept's probes (METHODS 4.2, variant A) over the images that networks were really trained on: the networks that
/// saw everything are its ensemble, the held-out images that show the concept its targets, the parameters up to the probe's layer
/// those that gradients are taken of. The score is the mean of τ over the targets.
/// </summary>
/// <param name="dimensions">Features k.</param>
/// <param name="lambda">λ as a multiple of the mean eigenvalue of ΦᵀΦ.</param>
/// <param name="seed">Seed of the projections.</param>
public sealed class TrakRanking(int dimensions = 512, double lambda = TrakScores.ProbeLambda, int seed = 0) : IRemovalRanking
{
    /// <summary>Most parameters that are projected densely.</summary>
    private const long MostDense = 1_000_000;

    private const int Part = 512;
    private const int MostTargets = 256;

    /// <inheritdoc/>
    public double[] Scores(RankingInput input, Action<string> progress, CancellationToken cancellation)
    {
        int[] targets = [.. Enumerable.Range(0, input.Images.Count).Where(i => input.Labels.HeldOut[i] && input.Labels.Targets[i] == 1 && input.Images.Readable(i)).Take(MostTargets)];
        var (unweighted, left) = (new List<DenseMatrix>(), new List<double[]>());
        for (var m = 0; m < input.Networks.Count; m++)
        {
            var which = $"network {m + 1} of {input.Networks.Count}";
            using var network = GradientNetwork.Load(input.Networks[m], input.Architecture, input.Device);
            var options = Options(network, m) with { Through = input.Layer };
            options = options with { Projection = GradientFeatures.ParameterCount(network, options) <= MostDense ? ProjectionKind.Dense : ProjectionKind.Factorised };
            var probe = input.Probes[m];
            using var wanted = Features(network, input.Images, targets, (activation, _) => ModelOutputs.ProbeLogit(activation, probe), input.Layer, options, _ => { }, cancellation).Features;
            var (features, margins) = Margins(network, input.Images, input.Training, options, done => progress($"Gradients of {which}: {done:N0} of {input.Training.Count:N0} images"), cancellation);
            using (features)
            {
                double[] oneMinusP = [.. margins.Select(f => 1 / (1 + Math.Exp(f)))];
                unweighted.Add(TrakScores.Unweighted(new TrakModel(new TensorRows(features), oneMinusP, wanted), TrakScores.Relative(lambda)));
                left.Add(oneMinusP);
            }
        }

        var tau = TrakScores.Combine(unweighted, left);
        var scores = new double[input.Images.Count];
        for (var i = 0; i < tau.Rows; i++)
        {
            scores[input.Training[i]] = RobustStatistics.Mean(tau.Row(i));
        }

        return scores;
    }

    /// <summary>Features of the margins of the labels, rows×k float32, and the margins.</summary>
    public static (Tensor Features, double[] Margins) Margins(
        GradientNetwork network, TrainingImages images, IReadOnlyList<int> rows, FeatureOptions options, Action<int> progress, CancellationToken cancellation) =>
        Features(
            network, images, rows,
            (logits, chosen) =>
            {
                using var outputs = tensor(Array.ConvertAll(chosen, row => (long)images.Labels[row]), device: network.Device);
                return ModelOutputs.Margin(logits, outputs);
            },
            null, options, progress, cancellation);

    private FeatureOptions Options(GradientNetwork network, int model)
    {
        var pixels = network.Preprocessing.Height * network.Preprocessing.Width;
        return new FeatureOptions { Dimensions = dimensions, Seed = (seed * 1000L) + model, BatchSize = pixels <= 64 * 64 ? 32 : 8 };
    }

    private static (Tensor Features, double[] Values) Features(
        GradientNetwork network, TrainingImages images, IReadOnlyList<int> rows, Func<Tensor, int[], Tensor> output, string? stop, FeatureOptions options, Action<int> progress,
        CancellationToken cancellation)
    {
        var (parts, values) = (new List<Tensor>(), new List<double>());
        try
        {
            for (var first = 0; first < rows.Count; first += Part)
            {
                int[] part = [.. rows.Skip(first).Take(Part)];
                using var batch = images.Batch(part, CPU);
                var (features, own) = GradientFeatures.Of(
                    network, batch,
                    (result, index) =>
                    {
                        cancellation.ThrowIfCancellationRequested();
                        using var places = index.cpu();
                        return output(result, Array.ConvertAll(places.data<long>().ToArray(), p => part[p]));
                    },
                    stop, options);
                parts.Add(features);
                values.AddRange(own);
                progress(first + part.Length);
            }

            return (cat(parts, 0), [.. values]);
        }
        finally
        {
            parts.ForEach(p => p.Dispose());
        }
    }
}
