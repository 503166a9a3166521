using Analysis.Numerics;
using Analysis.Strategies;
using Xunit;

namespace Analysis.Tests.Strategies;

public sealed class StrategiesGoldenTests
{
    public static TheoryData<string> Fuzzy => GoldenFiles.Rows("umap_fuzzy*.npz");

    public static TheoryData<string> Embedding => GoldenFiles.Rows("embedding_quality*.npz");

    [Theory]
    [MemberData(nameof(Fuzzy))]
    public void Golden_UmapGraph(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        var table = new NeighbourTable(golden.Ints("knn_indices"), golden.Doubles("knn_dists"), (int)golden["knn_indices"].Shape[1]);
        var graph = UmapGraph.FromNeighbours(table);
        Close.Absolute(golden.Doubles("rho"), graph.Rho, 1e-4, "rho");
        Close.Absolute(golden.Doubles("sigma"), graph.Sigma, 1e-4, "sigma");
        Assert.Equal(golden.Ints("row"), graph.Row);
        Assert.Equal(golden.Ints("col"), graph.Column);
        Close.Absolute(golden.Doubles("weight"), graph.Weight, 2e-5, "weight");
        var curves = golden.Matrix("ab");
        for (var i = 0; i < curves.Rows; i++)
        {
            var (a, b) = UmapGraph.FitCurve(curves[i, 0], curves[i, 1]);
            Close.Absolute([curves[i, 2], curves[i, 3]], [a, b], 1e-4, "ab");
        }
    }

    [Theory]
    [MemberData(nameof(Fuzzy))]
    public void Golden_NeighboursOfUmap(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        // Our own neighbour search gives the same distances as the stored table.
        var k = (int)golden["knn_indices"].Shape[1];
        using var x = golden.Matrix("X").ToTensor();
        var table = NearestNeighbours.Within(x, k - 1);
        var stored = golden.Matrix("knn_dists");
        for (var i = 0; i < stored.Rows; i++)
        {
            Close.Relative(stored.Row(i)[1..].ToArray(), table.DistancesOf(i).ToArray(), 1e-5, $"distances of {i}", floor: 1);
        }
    }

    [Theory]
    [MemberData(nameof(Embedding))]
    public void Golden_EmbeddingQuality(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        var x = golden.Matrix("X");
        var embedding = golden.Matrix("embedding");
        var random = golden.Matrix("random_embedding");
        foreach (var name in golden.Names.Where(n => n.StartsWith("trust_", StringComparison.Ordinal) || n.StartsWith("continuity_", StringComparison.Ordinal)))
        {
            var k = int.Parse(name[(name.LastIndexOf('_') + 1)..], System.Globalization.CultureInfo.InvariantCulture);
            var actual = name.StartsWith("continuity_", StringComparison.Ordinal)
                ? EmbeddingQuality.Continuity(x, embedding, k)
                : EmbeddingQuality.Trustworthiness(x, name.Contains("random", StringComparison.Ordinal) ? random : embedding, k);
            Close.Absolute(golden.Doubles(name), [actual], 1e-12, name);
        }
    }
}
