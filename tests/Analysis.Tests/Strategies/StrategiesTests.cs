using Analysis.Numerics;
using Analysis.Strategies;
using Analysis.Tests.Numerics;
using TorchSharp;
using Xunit;

namespace Analysis.Tests.Strategies;

public sealed class StrategiesTests
{
    public StrategiesTests() => torch.set_num_threads(1);

    [Fact]
    public void TwoPlantedStrategiesAreFound()
    {
        // Concept 0 or concept 3 is enough for the class.
        var (contributions, truth) = TwoStrategies();
        var result = StrategyClusters.Build(contributions);
        Assert.True(ClusterAgreement.AdjustedRand(truth, result.Labels) > 0.9);
        Assert.Equal(2, result.Strategies.Count);
        Assert.True(result.Strategies[0].Size >= result.Strategies[1].Size);
        Assert.Equal(200, result.Strategies[0].Size);
        Assert.Equal(0, Array.IndexOf(result.Strategies[0].Profile, result.Strategies[0].Profile.Max()));
        Assert.All(result.Strategies, s => Assert.Equal(s.Index, result.Labels[s.Prototype]));
        Assert.All(result.Strategies, s => Assert.Equal(1, s.Share.Sum(), 1e-9));
        Assert.Equal(result.Labels, StrategyClusters.Build(contributions).Labels);
    }

    [Fact]
    public void TheGraphSaysHowOftenAStrategyErrsAndWhichImagesHaveNoImportantConcept()
    {
        var (contributions, _) = TwoStrategies();
        var (n, k) = (contributions.Rows, contributions.Columns);
        // The same with a column for what no concept explains; three images rest on a concept that nobody else rests on.
        var wide = new DenseMatrix(n, k + 1);
        for (var i = 0; i < n; i++)
        {
            contributions.Row(i).CopyTo(wide.Row(i));
        }

        var lonely = Enumerable.Range(0, k).First(c => Enumerable.Range(0, n).All(i => contributions.Row(i).ToArray().Max() > contributions[i, c]));
        for (var i = 0; i < 3; i++)
        {
            wide[i, lonely] = 50;
        }

        // Every image whose number is divisible by four is predicted as something else.
        var logits = new DenseMatrix(n, 2);
        for (var i = 0; i < n; i++)
        {
            logits[i, i % 4 == 0 ? 1 : 0] = 1;
        }

        var outputs = Analysis.Importance.ImageOutputs.From([.. Enumerable.Range(0, n)], logits, 0);
        var graph = StrategicGraph.Build(wide, k, Analysis.Importance.Shares.Of(wide, k), outputs, 0, 0, TestContext.Current.CancellationToken);
        Assert.Equal(3, graph.LeftOut);
        Assert.All(Enumerable.Range(0, 3), i => Assert.Equal(lonely, graph.Strongest[i]));
        foreach (var strategy in graph.Strategies)
        {
            int[] members = [.. Enumerable.Range(0, n).Where(i => graph.Assignment[i] == strategy.Index)];
            Assert.Equal(members.Count(i => i % 4 != 0) / (double)members.Length, strategy.Accuracy!.Value, 12);
        }
    }

    [Fact]
    public void TypicalImagesShowTheirStrategyAndBorderlineOnesNearlyTheOther()
    {
        var (contributions, truth) = TwoStrategies();
        // Image 5 shows its own concept just a little more than the other's.
        (contributions[5, 0], contributions[5, 3]) = (1.6, 1.5);
        var partition = StrategyClusters.Build(contributions);
        var images = StrategyImages.Choose(contributions, partition, partition.Labels[5]);
        Assert.Equal(partition.Strategies[partition.Labels[5]].Prototype, images.Typical[0]);
        Assert.Equal(images.Typical.Count, images.Typical.Distinct().Count());
        Assert.DoesNotContain(5, images.Typical);
        Assert.All(images.Typical, i => Assert.Equal(truth[5], truth[i]));
        Assert.Equal(5, images.Borderline[0]);
        Assert.All(images.Next, next => Assert.Equal(1 - partition.Labels[5], next));

        var single = StrategyClusters.Build(Planted.Normal(2, 30, 6));
        Assert.Empty(StrategyImages.Choose(Planted.Normal(2, 30, 6), single, 0).Borderline);
    }

    [Fact]
    public void OneWayOfRecognisingIsOneStrategy()
    {
        var contributions = Planted.Normal(2, 300, 6);
        var result = StrategyClusters.Build(contributions);
        Assert.Equal(300, Assert.Single(result.Strategies).Size);
        Assert.True(double.IsNaN(result.Silhouette));
    }

    [Fact]
    public void AFewOddImagesAreNoStrategy()
    {
        var contributions = Planted.Normal(3, 300, 6);
        contributions[17, 0] = 500;
        Assert.Single(StrategyClusters.Build(contributions).Strategies);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void AFewImagesCanBeGroupedAndLaidOut(int images)
    {
        var contributions = Planted.Normal(4, images, 3);
        Assert.Equal(images, StrategyClusters.Build(contributions).Labels.Length);
        var layout = Layout(contributions);
        Assert.Equal(2 * images, layout.Length);
        Assert.All(layout, v => Assert.True(float.IsFinite(v)));
    }

    [Fact]
    public void EqualPointsCanBeLaidOut()
    {
        Assert.All(Layout(new DenseMatrix(40, 3)), v => Assert.True(float.IsFinite(v)));
    }

    [Fact]
    public void TheLayoutKeepsNeighbourhoodsAndRepeatsByteForByte()
    {
        var (contributions, truth) = TwoStrategies();
        var layout = Layout(contributions, 7);
        var embedding = new DenseMatrix(contributions.Rows, 2, Array.ConvertAll(layout, v => (double)v));
        Assert.True(EmbeddingQuality.Trustworthiness(contributions, embedding, 10) > 0.85);
        var silhouette = ClusterAgreement.Silhouette(Distances.Pairwise(embedding), truth).Average();
        Assert.True(silhouette > 0.5, $"silhouette {silhouette}");

        var threads = torch.get_num_threads();
        torch.set_num_threads(2);
        var again = Layout(contributions, 7);
        torch.set_num_threads(threads);
        Assert.Equal(layout, again);
        Assert.NotEqual(layout, Layout(contributions, 8));
    }

    [Fact]
    public void TheGraphIsSymmetricWithWeightsUpToOne()
    {
        var graph = UmapGraph.Build(Planted.Normal(5, 60, 4), 10);
        var weights = Enumerable.Range(0, graph.Weight.Length).ToDictionary(e => (graph.Row[e], graph.Column[e]), e => graph.Weight[e]);
        Assert.All(weights, w => Assert.Equal(w.Value, weights[(w.Key.Item2, w.Key.Item1)]));
        Assert.All(graph.Weight, w => Assert.InRange(w, 1e-300, 1 + 1e-12));

        // Everybody is fully connected to the nearest neighbour.
        Assert.All(Enumerable.Range(0, 60), i => Assert.Contains(weights, w => w.Key.Item1 == i && w.Value > 1 - 1e-9));
    }

    [Fact]
    public void LayoutsOfManyPointsDoNotDependOnTheNumberOfThreadsAndKeepNeighbourhoods()
    {
        // Above the number of points from which the passes are divided between threads.
        var points = Planted.Normal(8, 1500, 6, 0.3);
        for (var i = 0; i < points.Rows; i++)
        {
            points[i, i % 5] += 4;
        }

        torch.set_num_threads(1);
        var alone = Layout(points);
        try
        {
            torch.set_num_threads(3);
            Assert.Equal(alone, Layout(points));
        }
        finally
        {
            torch.set_num_threads(1);
        }

        var layout = new DenseMatrix(points.Rows, 2, Array.ConvertAll(alone, v => (double)v));
        Assert.True(EmbeddingQuality.Trustworthiness(points, layout, 15) > 0.9);
    }

    private static float[] Layout(DenseMatrix points, int seed = 0) =>
        UmapLayout.Fit(points, new UmapOptions { Seed = seed }, TestContext.Current.CancellationToken);

    private static (DenseMatrix Contributions, int[] Truth) TwoStrategies()
    {
        var contributions = Planted.Normal(1, 300, 6, 0.4);
        var truth = new int[300];
        for (var i = 0; i < 300; i++)
        {
            truth[i] = i < 200 ? 0 : 1;
            contributions[i, truth[i] == 0 ? 0 : 3] += 3;
        }

        return (contributions, truth);
    }
}
