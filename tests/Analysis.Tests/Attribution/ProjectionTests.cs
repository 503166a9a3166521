using Analysis.Attribution;
using Analysis.Networks;
using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Attribution;

public sealed class ProjectionTests
{
    private const int K = 256;

    public ProjectionTests()
    {
        TorchRuntime.Prepare();
        set_num_threads(1);
    }

    [Theory]
    [InlineData(ProjectionEntries.Rademacher)]
    [InlineData(ProjectionEntries.Normal)]
    public void BlocksAreTheSameEveryTimeAndUnlikeEachOther(ProjectionEntries entries)
    {
        using var scope = NewDisposeScope();
        var projection = new RandomProjection(5, K, entries);
        var first = Close.Values(projection.Block("a", 0, 100, ScalarType.Float64, CPU).flatten());
        Assert.Equal(first, Close.Values(new RandomProjection(5, K, entries).Block("a", 0, 100, ScalarType.Float64, CPU).flatten()));
        // The first rows of a longer block.
        Assert.Equal(first, Close.Values(projection.Block("a", 0, 300, ScalarType.Float64, CPU).narrow(0, 0, 100).flatten()));
        foreach (var (seed, name, block) in new[] { (6L, "a", 0), (5L, "b", 0), (5L, "a", 1) })
        {
            var other = Close.Values(new RandomProjection(seed, K, entries).Block(name, block, 100, ScalarType.Float64, CPU).flatten());
            Assert.InRange(Ranks.Pearson(first, other), -0.03, 0.03);
        }

        Assert.InRange(RobustStatistics.Mean(first), -0.02, 0.02);
        Assert.InRange(first.Select(v => v * v).Average(), 0.97, 1.03);
        if (entries == ProjectionEntries.Rademacher)
        {
            Assert.All(first, v => Assert.Equal(1, Math.Abs(v)));
        }
    }

    /// <summary>Random projections keep inner products: cosines are off by about 1/√k, also where a parameter has many blocks.</summary>
    [Theory]
    [InlineData(ProjectionEntries.Rademacher)]
    [InlineData(ProjectionEntries.Normal)]
    public void InnerProductsAreKept(ProjectionEntries entries)
    {
        using var scope = NewDisposeScope();
        // Alternating blocks: without random numbers of their own these would cancel.
        var gradients = Values(1, 20, 6 * RandomProjection.BlockRows);
        var alternating = gradients.clone();
        for (var block = 1; block < 6; block += 2)
        {
            alternating.narrow(1, block * RandomProjection.BlockRows, RandomProjection.BlockRows).copy_(alternating.narrow(1, (block - 1) * RandomProjection.BlockRows, RandomProjection.BlockRows).neg());
        }

        foreach (var values in new[] { gradients, alternating })
        {
            var result = zeros([20, K], ScalarType.Float64);
            DenseProjector.Project(new RandomProjection(3, K, entries), "w", values, result);
            Assert.InRange(CosineError(values, result), 0, 2 / Math.Sqrt(K));
            Assert.InRange((result.norm() / values.norm()).item<double>() / Math.Sqrt(K), 0.9, 1.1);
        }
    }

    /// <summary>The fast way gives what the explicit Kronecker product gives.</summary>
    [Fact]
    public void FactorisedIsTheKroneckerProduct()
    {
        using var scope = NewDisposeScope();
        const int K2 = 12;
        using var tape = new ParameterTape();
        var x = Values(1, 3, 4, 7, 7);
        var convolved = tape.Convolution("c", x, Values(2, 6, 4, 3, 3), null, 2, 1, 1, 1).tanh();
        tape.Backward(tape.Linear("l", "", convolved.flatten(1), Values(3, 5, 96), null).tanh().sum(1L));
        var projector = new FactorisedProjector(K2, ProjectionEntries.Rademacher, 7);
        projector.Begin(3, ScalarType.Float64, CPU);
        projector.Add(tape, 0);
        var expected = zeros([3, K2], ScalarType.Float64);
        PerSampleGradients.Visit(tape, (name, gradient) =>
        {
            var outputs = name == "l" ? 5 : 6;
            var left = projector.Factor(name == "c" ? "c.weight" : name, true, outputs, ScalarType.Float64, CPU);
            var right = projector.Factor(name == "c" ? "c.weight" : name, false, gradient.shape[1] / outputs, ScalarType.Float64, CPU);
            expected.add_(gradient.mm(kron(left, right)), Scalars.One);
        });
        Assert.Equal((3, 4), FactorisedProjector.Sizes(K2));
        var actual = projector.Finish();
        Close.Absolute(Close.Values(expected.flatten()), Close.Values(actual.flatten()), 1e-9, "feature");
    }

    [Theory]
    [InlineData(ProjectionKind.Dense)]
    [InlineData(ProjectionKind.Factorised)]
    public void BatchesDoNotMatter(ProjectionKind kind)
    {
        using var scope = NewDisposeScope();
        var (x, weight) = (Values(1, 6, 30), Values(2, 20, 30));
        double[] Project(int batch)
        {
            var projector = GradientProjector.Create(kind, 64, ProjectionEntries.Rademacher, 1);
            projector.Begin(6, ScalarType.Float64, CPU);
            for (var first = 0; first < 6; first += batch)
            {
                using var tape = new ParameterTape();
                tape.Backward(tape.Linear("l", "", x.narrow(0, first, batch), weight, null).tanh().sum(1L));
                projector.Add(tape, first);
            }

            return Close.Values(projector.Finish().flatten());
        }

        Close.Absolute(Project(6), Project(2), 1e-10, "feature");
    }

    internal static double CosineError(Tensor exact, Tensor projected)
    {
        static Tensor Cosines(Tensor rows)
        {
            var unit = rows / rows.norm(1, keepdim: true);
            return unit.mm(unit.t());
        }

        return (Cosines(exact) - Cosines(projected)).pow(Scalars.Of(2)).mean().sqrt().item<double>();
    }

    private static Tensor Values(int seed, params long[] shape)
    {
        var random = new SplitMix64((ulong)seed);
        var values = new double[shape.Aggregate(1L, (a, b) => a * b)];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = random.NextNormal();
        }

        return tensor(values, shape);
    }
}
