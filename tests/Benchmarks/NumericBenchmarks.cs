using Analysis.Concepts;
using Analysis.Importance;
using Analysis.Numerics;
using Analysis.Strategies;
using TorchSharp;
using static TorchSharp.torch;

namespace Benchmarks;

/// <summary>Time and quality of the engine's numerics on one matrix.</summary>
internal static class NumericBenchmarks
{
    private const int Part = 2048;
    private const int Neighbourhood = 15;

    /// <summary>Rows beyond which trustworthiness, quadratic in them, is taken of a subset.</summary>
    private const int MostForQuality = 6000;

    /// <summary>Layout by UMAP and how well it keeps neighbourhoods.</summary>
    public static BenchmarkReport Umap(BenchmarkOptions options)
    {
        options.Prepare();
        using var scope = NewDisposeScope();
        var x = BenchmarkData.Matrix(options);
        var rows = DenseMatrix.FromTensor(x);
        var report = Start("umap", x);
        var layout = report.Measure(options, () => UmapLayout.Fit(rows));
        var flat = new DenseMatrix(rows.Rows, 2, Array.ConvertAll(layout, v => (double)v));
        var step = (rows.Rows + MostForQuality - 1) / MostForQuality;
        var subset = Enumerable.Range(0, (rows.Rows + step - 1) / step).Select(i => i * step).ToArray();
        return report.With("neighbours", Neighbourhood).With("qualityRows", subset.Length)
            .With("trustworthiness", EmbeddingQuality.Trustworthiness(rows.Take(subset), flat.Take(subset), Neighbourhood));
    }

    /// <summary>Non-negative codes for K rows of the matrix taken as concept vectors.</summary>
    public static BenchmarkReport Nnls(BenchmarkOptions options)
    {
        var device = options.Prepare();
        using var scope = NewDisposeScope();
        var x = BenchmarkData.Matrix(options).to(device);
        var k = (int)Math.Min(options.Components, x.shape[0]);
        var vectors = x.index_select(0, (arange(Scalars.Of(0), Scalars.Of(k), Scalars.One, device: device) * Scalars.Of(x.shape[0] / k)).to(ScalarType.Int64)).to(ScalarType.Float64);
        var report = Start("nnls", x);
        var result = report.Measure(options, () => NonNegativeEncoding.Encode(x, vectors));
        return report.With("components", k).With("relativeError", Error(x, result.Codes.ToTensor(device), vectors));
    }

    /// <summary>Exact nearest neighbours; recall against distances computed one by one for some of the rows.</summary>
    public static BenchmarkReport Neighbours(BenchmarkOptions options)
    {
        var device = options.Prepare();
        using var scope = NewDisposeScope();
        var x = BenchmarkData.Matrix(options).to(device);
        var report = Start("knn", x);
        var table = report.Measure(options, () => NearestNeighbours.Within(x, Neighbourhood));
        var rows = DenseMatrix.FromTensor(x);
        var (found, wanted) = (0, 0);
        for (var i = 0; i < rows.Rows; i += Math.Max(1, rows.Rows / 50))
        {
            var distances = new double[rows.Rows];
            for (var j = 0; j < rows.Rows; j++)
            {
                distances[j] = j == i ? double.PositiveInfinity : Vectors.SquaredDistance(rows.Row(i), rows.Row(j));
            }

            var nearest = Enumerable.Range(0, rows.Rows).OrderBy(j => distances[j]).Take(table.K).ToHashSet();
            found += table.IndicesOf(i).ToArray().Count(nearest.Contains);
            wanted += table.K;
        }

        return report.With("neighbours", table.K).With("recall", wanted == 0 ? double.NaN : found / (double)wanted);
    }

    /// <summary>Refinement of the first K directions into unique concept vectors.</summary>
    public static BenchmarkReport Refinement(BenchmarkOptions options)
    {
        var device = options.Prepare();
        using var scope = NewDisposeScope();
        var x = BenchmarkData.Matrix(options).to(device);
        using var directions = SingularDirections.FromMatrix(x);
        var count = Math.Min(options.Components, directions.Rank);
        var report = Start("refinement", x);
        var concepts = report.Measure(options, () => Enumerable.Range(0, count).Sum(j => ConceptRefinement.Refine(x, directions.Vectors[j]).Concepts.Count));
        return report.With("components", count).With("concepts", concepts);
    }

    private static BenchmarkReport Start(string name, Tensor x) =>
        new BenchmarkReport(name).With("rows", x.shape[0]).With("columns", x.shape[1]).With("device", x.device.type == DeviceType.CUDA ? "cuda" : "cpu");

    /// <summary>||A − UV|| / ||A||, Frobenius.</summary>
    private static double Error(Tensor x, Tensor codes, Tensor vectors)
    {
        using var scope = NewDisposeScope();
        var a = x.to(ScalarType.Float64);
        return ((a - codes.mm(vectors)).norm() / a.norm()).item<double>();
    }
}
