using Analysis.Concepts;
using Analysis.Factorization;
using Analysis.Numerics;
using Analysis.Tests.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Concepts;

public sealed class ConceptsTests
{
    private const int Channels = 12;

    public ConceptsTests() => torch.set_num_threads(1);

    [Fact]
    public void ConceptsOfDifferentClassesAreSharedFromTheThresholdOnAndChainsOfSmallStepsAreNot()
    {
        static double[] At(double degrees) => [Math.Cos(degrees * Math.PI / 180), Math.Sin(degrees * Math.PI / 180)];
        int?[] Groups(params (int Class, double Degrees)[] concepts) =>
            ConceptMatching.Groups(new DenseMatrix(concepts.Length, 2, [.. concepts.SelectMany(c => At(c.Degrees))]), [.. concepts.Select(c => c.Class)]);

        // 0.9 is the cosine of 25.84 degrees.
        Assert.Equal([0, 0, null], Groups((0, 0), (1, 25), (2, 60)));
        Assert.Equal([null, null], Groups((0, 0), (1, 27)));
        Assert.Equal([null, null], Groups((0, 0), (0, 1)));
        Assert.Equal([0, 0, null], Groups((0, 0), (1, 15), (2, 31)));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(40)]
    public void RefinementFindsThreePlantedBlobsAndDropsTheSmallOne(double scale)
    {
        // Three patterns share one direction; a fourth has too few images. The scale of the layer must not matter.
        using var scope = torch.NewDisposeScope();
        var (x, group, patterns) = ThreeBlobs(seed: 4, scale);
        using var directions = SingularDirections.FromMatrix(x.ToTensor(), 1);
        var result = ConceptRefinement.Refine(x.ToTensor(), directions.Vectors[0], new RefinementOptions { Top = 80 });
        Assert.Equal(3, result.Concepts.Count);
        foreach (var concept in result.Concepts)
        {
            // One planted pattern each, and the vector is that pattern.
            var planted = concept.Members.Select(i => group[i]).Distinct().ToArray();
            Assert.Single(planted);
            Assert.InRange(planted[0], 0, 2);
            Assert.True(Vectors.Cosine(concept.Vector, patterns.Row(planted[0])) > 0.99);
            Assert.Equal(1, Vectors.Norm(concept.Vector), 1e-9);
            Assert.Equal(1, Vectors.Norm(concept.Contrast), 1e-9);
        }

        // Without the shared part the vectors are far apart.
        var contrast = result.Concepts.Select(c => c.Contrast).ToArray();
        Assert.True(Vectors.Dot(contrast[0], contrast[1]) < 0.3);
        Assert.DoesNotContain(result.Concepts.SelectMany(c => c.Members), i => group[i] == 3);
    }

    [Fact]
    public void RefinementKeepsOneBlobWhole()
    {
        using var scope = torch.NewDisposeScope();
        var x = Planted.Normal(5, 120, Channels, 0.2);
        for (var i = 0; i < x.Rows; i++)
        {
            x[i, 0] += 3;
        }

        var direction = torch.zeros(Channels, ScalarType.Float64);
        direction[0] = 1;
        var result = ConceptRefinement.Refine(x.ToTensor(), direction);
        Assert.Equal(1, result.Clusters);
        Assert.True(Assert.Single(result.Concepts).CosineToDirection > 0.99);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(3)]
    public void RefinementOfAFewImagesGivesNothing(int images)
    {
        using var scope = torch.NewDisposeScope();
        var result = ConceptRefinement.Refine(torch.rand(images, 4), torch.ones(4) / Scalars.Of(2));
        Assert.Empty(result.Concepts);
        Assert.Equal(images, result.TopIndex.Length);
    }

    [Fact]
    public void EqualImagesAreOneConcept()
    {
        using var scope = torch.NewDisposeScope();
        var concept = Assert.Single(ConceptRefinement.Refine(torch.ones(30, 4), torch.ones(4) / Scalars.Of(2)).Concepts);
        Assert.Equal(30, concept.Members.Length);
        Assert.All(concept.Contrast, v => Assert.Equal(0, v));
    }

    [Fact]
    public void RefinementInWideLayersUsesTheSameDistances()
    {
        // More channels than images: clustering runs in rotated coordinates.
        using var scope = torch.NewDisposeScope();
        var narrow = ThreeBlobs(6, 1).X;
        var wide = new DenseMatrix(narrow.Rows, 300);
        for (var i = 0; i < narrow.Rows; i++)
        {
            narrow.Row(i).CopyTo(wide.Row(i)[150..]);
        }

        var direction = torch.zeros(300, ScalarType.Float64);
        direction[150] = 1;
        var a = ConceptRefinement.Refine(narrow.ToTensor(), direction.narrow(0, 150, Channels));
        var b = ConceptRefinement.Refine(wide.ToTensor(), direction);
        Assert.Equal(a.Labels, b.Labels);
        Close.Absolute([.. a.WardHeights], [.. b.WardHeights], 1e-9);
        Close.Absolute(a.SquaredDistances, b.SquaredDistances, 1e-9);
    }

    [Fact]
    public void DirectionalScoresSumToGradientTimesInput()
    {
        using var scope = torch.NewDisposeScope();
        torch.manual_seed(3);
        var a = torch.rand(6, 5, 3, 4, ScalarType.Float64);
        var g = torch.randn(6, 5, 3, 4, ScalarType.Float64);
        using var directions = SingularDirections.FromMatrix(torch.randn(40, 5));
        var d = DirectionRelevance.Directional(a, g, directions.Vectors);
        Close.Absolute(Close.Values((a * g).sum(1).mean([1L, 2L])), Close.Values(d.sum(1)), 1e-10);
        Close.Absolute(Close.Values(d), Close.Values(DirectionRelevance.Directional(a, g, -directions.Vectors)), 1e-12);
    }

    [Fact]
    public void StreamedScoresEqualTheDirectFormula()
    {
        var p = Planted.Normal(8, 200, 3);
        var group = Enumerable.Range(0, 200).Select(i => i % 7 == 0 ? -1 : i % 4).ToArray();
        for (var i = 0; i < 200; i++)
        {
            p[i, 0] += 1e6;
            p[i, 1] += group[i] == 2 ? 5 : 0;
            p[i, 2] = group[i] == 3 ? 4 : 0.1;
        }

        var score = new ClassScore(5, 3);
        for (var start = 0; start < 200; start += 33)
        {
            var rows = Enumerable.Range(start, Math.Min(33, 200 - start)).ToArray();
            score.Add(p.Take(rows), Array.ConvertAll(rows, i => group[i]));
        }

        var z = score.ZScores();
        for (var k = 0; k < 4; k++)
        {
            for (var j = 0; j < 2; j++)
            {
                var own = Enumerable.Range(0, 200).Where(i => group[i] == k).Select(i => p[i, j]).ToArray();
                var rest = Enumerable.Range(0, 200).Where(i => group[i] >= 0 && group[i] != k).Select(i => p[i, j]).ToArray();
                Assert.Equal((own.Average() - rest.Average()) / RobustStatistics.StandardDeviation(rest), z[k, j], 1e-6);
            }
        }

        // The rest of class 3 is constant on the last direction: undefined, never infinite. Class 4 has no images.
        Assert.True(double.IsNaN(z[3, 2]));
        Assert.False(double.IsNaN(z[2, 2]));
        Assert.All(z.Row(4).ToArray(), v => Assert.True(double.IsNaN(v)));
        Assert.Equal(1, DirectionRelevance.Ranking(z.Row(2))[0]);
    }

    [Fact]
    public void PlantedPatternsAreFoundAtTheirPlaceForTheirClass()
    {
        // Two classes, each with one non-negative pattern in its own quarter of the map; the head reads exactly those patterns.
        using var scope = torch.NewDisposeScope();
        const int Images = 120;
        const int Side = 6;
        var patterns = torch.zeros(2, Channels, ScalarType.Float64);
        patterns[0, 2] = 1;
        patterns[0, 5] = 0.7;
        patterns[1, 8] = 1;
        patterns[1, 1] = 0.5;
        var activations = DenseNoise(Images, Channels, Side);
        var group = new int[Images];
        for (var i = 0; i < Images; i++)
        {
            group[i] = i % 2;
            var corner = group[i] == 0 ? 0 : Side / 2;
            activations[i].narrow(1, corner, Side / 2).narrow(2, corner, Side / 2).add_(
                patterns[group[i]].view(Channels, 1, 1) * Scalars.Of((group[i] == 0 ? 6 : 2) + (i % 5 * 0.2)), Scalars.One);
        }

        var weights = torch.stack([patterns[0], patterns[1]]);
        var index = torch.tensor(Array.ConvertAll(group, g => (long)g), ScalarType.Int64);
        var gradients = weights.index_select(0, index).view(Images, Channels, 1, 1).expand(-1, -1, Side, Side);
        using var directions = SingularDirections.FromMatrix(activations.flatten(2).mean([2L]));
        var score = new ClassScore(2, directions.Rank);
        score.Add(DirectionRelevance.Directional(activations, gradients, directions.Vectors), group);
        var z = score.ZScores();
        Assert.All(z.Values, v => Assert.False(double.IsInfinity(v)));
        var pooled = activations.flatten(2).mean([2L]);
        for (var k = 0; k < 2; k++)
        {
            // The most relevant direction of a class is the one along its own pattern.
            var first = DenseMatrix.FromTensor(directions.Vectors[DirectionRelevance.Ranking(z.Row(k))[0]]).Values;
            var along = Math.Abs(Vectors.Cosine(first, DenseMatrix.FromTensor(patterns[k]).Values));
            Assert.True(along > 0.9, $"class {k}: cosine {along}");
            var rows = torch.tensor(Enumerable.Range(0, Images).Where(i => group[i] == k).Select(i => (long)i).ToArray(), ScalarType.Int64);
            var own = pooled.index_select(0, rows);
            var concept = ConceptRefinement.Refine(own, own.mean([0L]) / own.mean([0L]).norm()).Concepts[0];
            var planted = DenseMatrix.FromTensor(patterns[k]).Values;
            Assert.True(Vectors.Cosine(concept.Vector, planted) > 0.95);

            var maps = ConceptMaps.Compute(activations.index_select(0, rows), torch.tensor(concept.Vector));
            var best = maps[0, 0];
            var limit = (best.max().item<double>() + best.min().item<double>()) / 2;
            var mask = best > Scalars.Of(limit);
            var corner = k == 0 ? 0 : Side / 2;
            var truth = torch.zeros_like(mask);
            truth.narrow(0, corner, Side / 2).narrow(1, corner, Side / 2).fill_(Scalars.Of(true));
            var overlap = (mask & truth).sum().item<long>() / (double)(mask | truth).sum().item<long>();
            Assert.True(overlap > 0.6, $"overlap {overlap}");
        }
    }

    [Fact]
    public void TheMeanOfAMapIsTheProjection()
    {
        using var scope = torch.NewDisposeScope();
        torch.manual_seed(1);
        var a = torch.rand(3, 4, 2, 5, ScalarType.Float64);
        var v = torch.randn(2, 4, ScalarType.Float64);
        Close.Absolute(Close.Values(a.mean([2L, 3L]).mm(v.t())), Close.Values(ConceptMaps.Compute(a, v).mean([2L, 3L])), 1e-12);
        Assert.Equal([3L, 2, 1, 1], ConceptMaps.Compute(a.mean([2L, 3L]), v).shape);
    }

    [Fact]
    public void ParticipationRatioCountsChannels()
    {
        Assert.Equal(1, ConceptMaps.ParticipationRatio([0, -2, 0, 0]), 1e-12);
        Assert.Equal(4, ConceptMaps.ParticipationRatio([1, -1, 1, 1]), 1e-12);
    }

    [Fact]
    public void ConceptsThatClassesShareGetOneNumber()
    {
        var vectors = new DenseMatrix(5, 3, [1, 0, 0, 0, 1, 0, 2, 0.1, 0, 0, 0, 1, 0.9, 0.05, 0]);
        int[] classes = [0, 0, 1, 1, 2];
        Assert.Equal([0, null, 0, null, 0], ConceptMatching.Groups(vectors, classes));

        // Concepts of one class never share with each other alone.
        Assert.All(ConceptMatching.Groups(vectors, [0, 0, 0, 0, 0]), Assert.Null);
    }

    [Fact]
    public void AChainOfSmallStepsIsNotOneConcept()
    {
        var vectors = new DenseMatrix(6, 2);
        for (var i = 0; i < 6; i++)
        {
            vectors[i, 0] = Math.Cos(i * 0.3);
            vectors[i, 1] = Math.Sin(i * 0.3);
        }

        var groups = ConceptMatching.Groups(vectors, [0, 1, 2, 3, 4, 5]);
        Assert.NotEqual(groups[0], groups[5]);
    }

    [Fact]
    public void KMeansFindsSeparatedGroupsAndRepeats()
    {
        var rows = Planted.Normal(9, 150, 4, 0.2);
        var truth = new int[150];
        for (var i = 0; i < 150; i++)
        {
            truth[i] = i % 3;
            rows[i, truth[i]] += 5;
        }

        var fit = KMeans.Fit(rows, 3, seed: 1);
        Assert.Equal(1, ClusterAgreement.AdjustedRand(truth, fit.Labels), 1e-12);
        Assert.Equal(fit.Centroids.Values, KMeans.Fit(rows, 3, seed: 1).Centroids.Values);
    }

    [Fact]
    public void KMeansFillsAnEmptyCluster()
    {
        var rows = Planted.Normal(10, 40, 2);
        var start = new DenseMatrix(3, 2, [0, 0, 1, 1, 1000, 1000]);
        Assert.Equal(3, KMeans.Lloyd(rows, start).Labels.Distinct().Count());
        Assert.Equal(5, KMeans.Fit(new DenseMatrix(5, 2), 5).Labels.Length);
    }

    private static Tensor DenseNoise(int images, int channels, int side) =>
        Planted.Normal(11, images, channels * side * side, 0.05).ToTensor().abs().view(images, channels, side, side);

    private static (DenseMatrix X, int[] Group, DenseMatrix Patterns) ThreeBlobs(int seed, double scale)
    {
        // Channel 0 is shared; channels 1 to 4 tell the patterns apart. 24 images of each of three, 3 of the fourth, 100 others.
        int[] sizes = [24, 24, 24, 3];
        var patterns = new DenseMatrix(4, Channels);
        for (var g = 0; g < 4; g++)
        {
            patterns[g, 0] = 4;
            patterns[g, g + 1] = 2;
        }

        var group = sizes.SelectMany((n, g) => Enumerable.Repeat(g, n)).Concat(Enumerable.Repeat(-1, 100)).ToArray();
        var x = Planted.Normal(seed, group.Length, Channels, 0.15);
        for (var i = 0; i < group.Length; i++)
        {
            if (group[i] >= 0)
            {
                Vectors.Add(x.Row(i), patterns.Row(group[i]));
            }

            Vectors.Scale(x.Row(i), scale);
        }

        return (x, group, patterns);
    }
}
