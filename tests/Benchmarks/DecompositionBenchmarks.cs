using System.Diagnostics;
using Analysis.Evaluation;
using Analysis.Factorization;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Benchmarks;

/// <summary>Time, memory and error of the factorisation methods on one matrix.</summary>
internal static class DecompositionBenchmarks
{
    private const int Part = 4096;

    /// <summary>A benchmark per method of the catalogue, by its name; k-means has its own.</summary>
    public static IEnumerable<KeyValuePair<string, Func<BenchmarkOptions, BenchmarkReport>>> All =>
        FactorizationCatalogue.All.Where(m => m.Info.Name != "kmeans").Select(m => KeyValuePair.Create<string, Func<BenchmarkOptions, BenchmarkReport>>(m.Info.Name, o => Fit(m, o)));

    /// <summary>
    /// Lloyd from rows at even distances, so that another program can start from the same: row i n / k for i = 0..k−1. The share of
    /// distances that were computed is given beside.
    /// </summary>
    public static BenchmarkReport KMeans(BenchmarkOptions options)
    {
        var device = options.Prepare();
        using var scope = NewDisposeScope();
        var x = BenchmarkData.Matrix(options).to(device);
        var (n, k) = (x.shape[0], (int)Math.Min(options.Components, x.shape[0]));
        var initial = DenseMatrix.FromTensor(x.index_select(0, tensor(Enumerable.Range(0, k).Select(i => i * n / k).ToArray(), device: device)));
        var report = Start("kmeans", x);
        var result = report.Measure(options, () => KMeansFactorization.Lloyd(x, initial));
        if (options.Output is { } path)
        {
            File.WriteAllLines(path, result.Labels.Select(l => l.ToString(System.Globalization.CultureInfo.InvariantCulture)));
        }

        return report.With("components", k).With("iterations", result.Iterations).With("inertia", result.Inertia)
            .With("relativeError", Math.Sqrt(result.Inertia) / x.to(ScalarType.Float64).norm().item<double>());
    }

    private static BenchmarkReport Fit(IFactorizationMethod method, BenchmarkOptions options)
    {
        var device = options.Prepare();
        using var scope = NewDisposeScope();
        var planted = options.Planted ? PlantedMixtures.Vectors(options.Components, options.Columns) : null;
        var x = (planted is null ? BenchmarkData.Matrix(options) : PlantedMixtures.Rows(planted, options.Rows)).to(device);
        var report = Start(method.Info.Name, x);
        var asked = new FactorizationOptions
        {
            Components = options.Components,
            MaximumIterations = (int)options.Parameters.GetValueOrDefault("iterations"),
            Seed = (int)options.Parameters.GetValueOrDefault("seed"),
            Parameters = options.Parameters.Where(p => p.Key is not ("iterations" or "seed")).ToDictionary(),
        };
        using var factors = report.Measure(options, () => method.Fit(x, asked));
        var clock = Stopwatch.StartNew();
        var scores = ExtractionMetrics.Score(x, factors, new ScoreOptions { Frechet = false, OutOfDistribution = false, PartRows = Part });
        report.With("components", factors.Components).With("iterations", factors.Iterations).With("relativeError", scores.FrobeniusError)
            .With("rSquared", scores.RSquared).With("activeShare", scores.ActiveShare).With("deadShare", scores.DeadShare)
            .With("scoreSeconds", clock.Elapsed.TotalSeconds).With("peakWithScoresMiB", BenchmarkReport.PeakRssMiB());
        return planted is null
            ? report
            : report.With("plantedCosine", DictionaryStability.Match(planted.to(device), factors.Vectors, method.Info.SignIsArbitrary).Cosines.Average());
    }

    private static BenchmarkReport Start(string name, Tensor x) =>
        new BenchmarkReport(name).With("rows", x.shape[0]).With("columns", x.shape[1]).With("device", x.device.type == DeviceType.CUDA ? "cuda" : "cpu");
}
