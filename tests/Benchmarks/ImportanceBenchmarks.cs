using System.Diagnostics;
using Analysis.Importance;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Benchmarks;

/// <summary>Estimators of importance on one head that is not linear: time and faithfulness of each.</summary>
internal static class ImportanceBenchmarks
{
    private const int MostImages = 200;
    private const int Hidden = 256;

    /// <summary>
    /// A fixed two-layer head of 256 softplus units on K concepts (--components) and up to 200 images (--rows). All estimators see
    /// the same coefficients; the reference orders give the scale.
    /// </summary>
    public static BenchmarkReport Importance(BenchmarkOptions options)
    {
        var device = options.Prepare();
        using var scope = NewDisposeScope();
        var (n, k) = (Math.Min(options.Rows, MostImages), options.Components);
        var random = new SplitMix64(1);
        var codes = Normal(n, k).relu().add(Scalars.Of(0.05), Scalars.One);
        var model = new MlpHead(Normal(Hidden, k) / Scalars.Of(Math.Sqrt(k)), Normal(Hidden, 1), Normal(Hidden, 1).squeeze(1) / Scalars.Of(Math.Sqrt(Hidden)));
        var subsets = Faithfulness.Subsets(k, 200, seed: 0);
        var drops = Faithfulness.Drops(model, codes, subsets);
        var figures = new Dictionary<string, Dictionary<string, double>>();
        var report = new BenchmarkReport("importance").With("rows", n).With("components", k).With("device", device.type == DeviceType.CUDA ? "cuda" : "cpu");
        report.Measure(options, () =>
        {
            foreach (var estimator in ImportanceCatalogue.All.Where(e => e.Info.Name != "closed-form"))
            {
                var clock = Stopwatch.StartNew();
                var phi = DenseMatrix.FromTensor(estimator.Estimate(model, codes, new EstimatorOptions()));
                figures[estimator.Info.Name] = new Dictionary<string, double>
                {
                    ["milliseconds/image"] = Math.Round(clock.Elapsed.TotalMilliseconds / n, 4),
                    ["deletion"] = Math.Round(Faithfulness.Deletion(model, codes, phi).Area.Average(), 4),
                    ["insertion"] = Math.Round(Faithfulness.Insertion(model, codes, phi).Area.Average(), 4),
                    ["muFidelity"] = Math.Round(Faithfulness.MuFidelity(drops, phi, subsets).Average(), 4),
                };
            }

            return figures.Count;
        });
        return report
            .With("estimators", figures)
            .With("randomDeletion", Faithfulness.Random(model, codes, insert: false).Area.Average())
            .With("randomInsertion", Faithfulness.Random(model, codes, insert: true).Area.Average())
            .With("greedyDeletion", Faithfulness.Oracle(model, codes, insert: false).Area.Average())
            .With("greedyInsertion", Faithfulness.Oracle(model, codes, insert: true).Area.Average());

        Tensor Normal(int rows, int columns)
        {
            var values = new DenseMatrix(rows, columns);
            for (var i = 0; i < values.Values.Length; i++)
            {
                values.Values[i] = random.NextNormal();
            }

            return values.ToTensor(device);
        }
    }

    private sealed class MlpHead(Tensor weight, Tensor bias, Tensor output) : IConceptModel
    {
        public int Concepts => (int)weight.shape[1];

        public Tensor Evaluate(Tensor codes, Tensor images) => (codes.mm(weight.t()).add(bias.t(), Scalars.One)).exp().log1p().mv(output);
    }
}
