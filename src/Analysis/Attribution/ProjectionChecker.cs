using System.Globalization;
using Analysis.Networks;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Attribution;

/// <summary>Tells whether projected gradients keep what they should: a projection that lost it gives scores that look like any others.</summary>
internal static class ProjectionChecker
{
    private const int Most = 48;
    private const int Fewest = 6;

    /// <summary>Compares projected with exact inner products of some training gradients, and the scores from either half of the features.</summary>
    /// <param name="network">The network.</param>
    /// <param name="training">The training images.</param>
    /// <param name="store">Their features.</param>
    /// <param name="model">The same with the targets.</param>
    /// <param name="options">How the features were made.</param>
    /// <param name="lambda">λ as a multiple of the mean eigenvalue of ΦᵀΦ.</param>
    /// <param name="notes">Receives a warning where the projection cannot be trusted.</param>
    /// <param name="cancellation">Honoured while images are read.</param>
    public static ProjectionCheck Check(
        GradientNetwork network, AttributedTraining training, FeatureStore store, TrakModel model, FeatureOptions options, double lambda, List<string> notes, CancellationToken cancellation)
    {
        var count = (int)Math.Min(store.Count, Math.Clamp(options.MemoryLimit / (store.Parameters * sizeof(float)), Fewest, Most));
        int[] rows = [.. Enumerable.Range(0, count).Select(i => (int)((long)i * store.Count / count)).Distinct()];
        var exact = new DenseMatrix(rows.Length, rows.Length);
        using (var scope = NewDisposeScope())
        {
            using var images = NetworkInputs.Load(network, training.Dataset, [.. rows.Select(r => training.Positions[store.Positions[r]])], cancellation);
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
        var halves = Halves(model, lambda);
        var expected = 1 / Math.Sqrt(options.Dimensions);
        // Several times what chance does to an ideal projection, or an order that is lost, tells that the features cannot be trusted.
        var good = error <= 4 * expected && correlation >= 0.8;
        if (!good)
        {
            notes.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"The projection loses much: cosines between gradients are off by {error:0.000} (an ideal projection: {expected:0.000}). Choose more dimensions, or the dense projection."));
        }

        return new ProjectionCheck(rows.Length, Rounding.Significant(correlation), Rounding.Significant(error), Rounding.Significant(expected), Rounding.Significant(rank), Rounding.Significant(halves), good);

        static double Cosine(DenseMatrix products, int i, int j) => products[i, j] / Math.Max(double.Epsilon, Math.Sqrt(products[i, i] * products[j, j]));
    }

    /// <summary>Agreement of the scores that either half of the features gives: how much of them is the projection's chance.</summary>
    private static double Halves(TrakModel model, double lambda)
    {
        var half = model.Train.Dimensions / 2;
        var scores = new List<double[]>();
        for (var side = 0; side < 2; side++)
        {
            using var targets = model.Targets.narrow(1, side * half, half);
            var tau = TrakScores.Unweighted(new TrakModel(new Columns(model.Train, side * half, half), model.OneMinusP, targets), TrakScores.Relative(Math.Max(lambda, 1e-6)));
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
}
