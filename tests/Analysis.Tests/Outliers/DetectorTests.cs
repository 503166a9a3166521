using Analysis.Numerics;
using Analysis.Outliers;
using Analysis.Tests.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Outliers;

public sealed class DetectorTests
{
    public DetectorTests() => torch.set_num_threads(1);

    [Fact]
    public void AGroupHidesFromASmallNeighbourhoodOnly()
    {
        // 30 equal odd samples among 400: each other's neighbours at k = 10, far from everything at k above the group.
        using var scope = torch.NewDisposeScope();
        var rows = Planted.Normal(1, 400, 5);
        var odd = new bool[400];
        for (var i = 0; i < 30; i++)
        {
            odd[i] = true;
            for (var d = 0; d < 5; d++)
            {
                rows[i, d] = 4 + (0.01 * rows[i, d]);
            }
        }

        var table = NearestNeighbours.Within(rows.ToTensor(), 60);
        Assert.True(MannWhitney.Auc(NeighbourScores.Kth(table, 10), odd) < 0.1);
        Assert.True(MannWhitney.Auc(NeighbourScores.Kth(table, 60), odd) > 0.99);
        Assert.Equal(24, NeighbourScores.GroupNeighbours(400));
    }

    [Fact]
    public void MislabelledSamplesStandOut()
    {
        using var scope = torch.NewDisposeScope();
        var (rows, label, flipped) = TwoClasses();
        var x = rows.ToTensor();
        var table = NearestNeighbours.Within(x, 10);
        Assert.True(MannWhitney.Auc(NeighbourScores.LabelDisagreement(table, label, 10), flipped) > 0.95);
        Assert.True(MannWhitney.Auc(ClassDistances.CentroidMargin(x, label), flipped) > 0.95);
        Assert.True(MannWhitney.Auc(ClassDistances.SquaredMahalanobis(x, label), flipped) > 0.9);
        Assert.True(MannWhitney.Auc(ClassDistances.Robust(rows, label), flipped) > 0.95);
        Assert.True(MannWhitney.Auc(NeighbourScores.WithinClass(x, label, 20), flipped) > 0.95);
    }

    [Fact]
    public void SmallAndFlatClassesStayDefined()
    {
        using var scope = torch.NewDisposeScope();
        var rows = Planted.Normal(5, 40, 3);
        var label = Enumerable.Range(0, 40).Select(i => i < 34 ? 0 : i < 38 ? 1 : 2).ToArray();
        for (var i = 0; i < 40; i++)
        {
            rows[i, 2] = 7;
        }

        var squared = ClassDistances.SquaredMahalanobis(rows.ToTensor(), label);
        Assert.All(squared[..38], v => Assert.True(double.IsFinite(v)));
        Assert.All(squared[38..], v => Assert.True(double.IsNaN(v)));
        Assert.All(ClassDistances.Robust(rows, label), v => Assert.True(double.IsFinite(v)));
        Assert.All(NeighbourScores.WithinClass(rows.ToTensor(), label)[38..], v => Assert.True(double.IsNaN(v)));
        Assert.All(ClassDistances.CentroidMargin(rows.ToTensor(), new int[40]), v => Assert.True(double.IsNaN(v)));
        Assert.All(ClassDistances.SquaredMahalanobis(torch.ones(10, 4), new int[10]), v => Assert.Equal(0, v));
    }

    [Fact]
    public void MixtureFindsItsComponents()
    {
        var rows = Planted.Normal(6, 400, 2, 0.5);
        for (var i = 0; i < 400; i++)
        {
            rows[i, 0] += i % 4 == 0 ? 6 : 0;
        }

        var mixture = GaussianMixture.Select(rows, 4);
        Assert.Equal(2, mixture.Weights.Length);
        Assert.Equal(0.25, mixture.Weights.Min(), 0.01);
        var density = mixture.LogDensity(new DenseMatrix(2, 2, [0, 0, 3, 3]));
        Assert.True(density[0] > density[1] + 10);
    }

    private static (DenseMatrix Rows, int[] Label, bool[] Flipped) TwoClasses()
    {
        var rows = Planted.Normal(2, 300, 4);
        var label = new int[300];
        var flipped = new bool[300];
        for (var i = 0; i < 300; i++)
        {
            rows[i, 0] += i % 2 == 0 ? 5 : -5;
            flipped[i] = i % 25 == 0;
            label[i] = flipped[i] ? 1 - (i % 2) : i % 2;
        }

        return (rows, label, flipped);
    }
}
