using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Numerics;

public sealed class NumericsTests
{
    public NumericsTests() => torch.set_num_threads(1);

    [Fact]
    public void StreamedMomentsEqualThoseOfTheWhole()
    {
        using var scope = torch.NewDisposeScope();
        var x = Planted.Normal(1, 50, 6).ToTensor();
        using var parts = new SecondMoments(6);
        using var more = new SecondMoments(6);
        parts.Add(x.narrow(0, 0, 20));
        more.Add(x.narrow(0, 20, 30).to(ScalarType.Float32));
        parts.Merge(more);
        Assert.Equal(50, parts.Count);
        Close.Absolute(Close.Values(x.t().mm(x)), Close.Values(parts.Gram), 1e-5);
        Close.Absolute(Close.Values(x.sum([0L])), Close.Values(parts.Sum), 1e-5);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void ActivationsThatAreNotFiniteAreRefused(float value)
    {
        using var scope = torch.NewDisposeScope();
        using var moments = new SecondMoments(2);
        Assert.Throws<AnalysisException>(() => moments.Add(torch.tensor(new[] { 1f, value }, [1, 2])));
        Assert.Equal(0, moments.Count);
    }

    [Fact]
    public void ZeroActivationsHaveNoDirections()
    {
        using var x = torch.zeros(5, 3);
        Assert.Throws<AnalysisException>(() => SingularDirections.FromMatrix(x));
    }

    [Fact]
    public void NeighboursEqualTheExhaustiveSearch()
    {
        var rows = Planted.Normal(2, 120, 5);
        rows.Row(7).CopyTo(rows.Row(90));
        var distances = Distances.Pairwise(rows);
        using var tensor = rows.ToTensor();
        foreach (var refine in new[] { true, false })
        {
            var table = NearestNeighbours.Within(tensor, 9, refine);
            for (var i = 0; i < rows.Rows; i++)
            {
                var expected = Enumerable.Range(0, rows.Rows).Where(j => j != i).OrderBy(j => distances[i, j]).ThenBy(j => j).Take(9).ToArray();
                Assert.Equal(expected, table.IndicesOf(i).ToArray());
                Close.Absolute([.. expected.Select(j => distances[i, j])], table.DistancesOf(i).ToArray(), refine ? 1e-14 : 1e-6);
            }

            Assert.Equal(90, table.IndicesOf(7)[0]);
        }
    }

    [Fact]
    public void NeighboursAreClippedToWhatThereIs()
    {
        using var rows = torch.randn(3, 2);
        Assert.Equal(2, NearestNeighbours.Within(rows, 10).K);
        Assert.Equal(3, NearestNeighbours.Between(rows, rows, 10).K);
    }

    [Fact]
    public void AssignmentEqualsTheExhaustiveSearch()
    {
        for (var seed = 0; seed < 20; seed++)
        {
            var cost = Planted.Normal(seed, 5, 6);
            var match = Assignment.Minimize(cost);
            Assert.Equal(5, match.Distinct().Count());
            var best = Permutations(6).Min(p => Enumerable.Range(0, 5).Sum(i => cost[i, p[i]]));
            Assert.Equal(best, Enumerable.Range(0, 5).Sum(i => cost[i, match[i]]), 1e-12);
        }
    }

    [Fact]
    public void ClassicalScalingReproducesPlaneDistances()
    {
        var points = Planted.Normal(3, 12, 2);
        var distances = Distances.Pairwise(points);
        var map = ClassicalScaling.Embed(distances);
        Close.Absolute(distances.Values, Distances.Pairwise(map).Values, 1e-9);
        Assert.Equal(map.Values, ClassicalScaling.Embed(distances).Values);
    }

    [Fact]
    public void PercentilesInterpolate()
    {
        double[] values = [4, 1, 3, 2];
        Assert.Equal(1, RobustStatistics.Percentile(values, 0));
        Assert.Equal(2.5, RobustStatistics.Median(values));
        Assert.Equal(3.4, RobustStatistics.Percentile(values, 80), 1e-12);
        Assert.Equal(4, RobustStatistics.Percentile(values, 100));
        Assert.Equal(1, RobustStatistics.MedianAbsoluteDeviation(values));
    }

    [Fact]
    public void OrdersPutUndefinedValuesLast()
    {
        double[] values = [1, double.NaN, 3, 3, double.NaN, 2];
        Assert.Equal([2, 3, 5, 0, 1, 4], Ranks.Descending(values));
        Assert.Equal([0, 5, 2, 3, 1, 4], Ranks.Ascending(values));
    }

    [Fact]
    public void AveragePrecisionOfAPerfectAndAWorstOrder()
    {
        Assert.Equal(1, MannWhitney.AveragePrecision([3, 2, 1, 0], [true, true, false, false]));
        Assert.Equal(0.25, MannWhitney.AveragePrecision([3, 2, 1, 0], [false, false, false, true]));
        Assert.Equal(0.5, MannWhitney.AveragePrecision([1, 1, 1, 1], [false, true, false, true]));
    }

    [Theory]
    [InlineData(0.3, 0.6713732405408726)]
    [InlineData(1, 0.15729920705028516)]
    [InlineData(2.4999, 0.0004071699003334512)]
    [InlineData(2.6, 0.000236034416529349)]
    [InlineData(8, 1.1224297172982928e-29)]
    [InlineData(20, 5.395865611607901e-176)]
    [InlineData(-1, 1.8427007929497148)]
    public void ComplementaryErrorFunction(double x, double expected) =>
        Close.Relative([expected], [SpecialFunctions.Erfc(x)], 1e-12, "erfc", floor: 0);

    private static IEnumerable<int[]> Permutations(int n) => n == 0
        ? [[]]
        : Permutations(n - 1).SelectMany(p => Enumerable.Range(0, n).Select(at => (int[])[.. p[..at], n - 1, .. p[at..]]));
}

/// <summary>Seeded random matrices with a known structure.</summary>
internal static class Planted
{
    public static DenseMatrix Normal(int seed, int rows, int columns, double scale = 1)
    {
        var random = new SplitMix64((ulong)seed + 12345);
        var result = new DenseMatrix(rows, columns);
        for (var i = 0; i < result.Values.Length; i++)
        {
            result.Values[i] = random.NextNormal() * scale;
        }

        return result;
    }
}
