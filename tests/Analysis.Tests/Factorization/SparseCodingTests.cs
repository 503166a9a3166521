using Analysis.Factorization;
using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Factorization;

public sealed class SparseCodingTests
{
    public SparseCodingTests() => torch.set_num_threads(1);

    public static TheoryData<string> Golden => GoldenFiles.Rows("sparse_codes*.npz");

    [Theory]
    [MemberData(nameof(Golden))]
    public void Golden_SparseCodes(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = torch.NewDisposeScope();
        var (x, d, alpha) = (golden.Tensor("X"), golden.Tensor("D"), golden.Scalar("alpha"));
        Close.Absolute(golden.Doubles("lasso"), Close.Values(SparseCoding.Lasso(x, d, alpha)), 1e-6, "lasso");
        Close.Absolute(golden.Doubles("lasso_positive"), Close.Values(SparseCoding.Lasso(x, d, alpha, positive: true)), 1e-6, "positive lasso");
        var pursuit = golden.Tensor("omp");
        var atoms = (int)(pursuit != Scalars.Of(0)).sum(1).max().item<long>();
        Close.Absolute(golden.Doubles("omp"), Close.Values(SparseCoding.MatchingPursuit(x, d, atoms)), 1e-8, "matching pursuit");
        Close.Absolute(golden.Doubles("threshold"), Close.Values(SparseCoding.Threshold(x, d, alpha)), 1e-12, "threshold");

        // A start changes the way, not the optimum.
        var start = golden.Tensor("planted");
        Close.Absolute(golden.Doubles("lasso"), Close.Values(SparseCoding.Lasso(x, d, alpha, start: start)), 1e-6, "lasso from a start");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void LassoMeetsItsOptimalityConditions(bool positive)
    {
        using var scope = torch.NewDisposeScope();
        const double Alpha = 0.3;
        var d = MadeRows.Vectors(40, 20, seed: 1);
        var x = torch.cat([MadeRows.Normal(3000, 20, seed: 2), torch.zeros([1, 20], ScalarType.Float64)]);
        var z = SparseCoding.Lasso(x, d, Alpha, positive);
        var left = (x - z.mm(d)).mm(d.t());
        var used = z != Scalars.Of(0);
        Assert.Equal(0, (left - (Scalars.Of(Alpha) * z.sign())).masked_select(used).abs().max().item<double>(), 1e-6);
        var others = (positive ? left : left.abs()).masked_select(used.logical_not());
        Assert.True(others.max().item<double>() <= Alpha + 1e-6);
        Assert.True(!positive || z.min().item<double>() >= 0);
        Assert.Equal(0, z[-1].abs().max().item<double>());
        Assert.InRange(used.to(ScalarType.Float64).mean().item<double>(), 0.05, 0.6);
    }

    [Fact]
    public void MatchingPursuitFindsWhatIsThereAndStops()
    {
        using var scope = torch.NewDisposeScope();
        var d = MadeRows.Vectors(12, 30, seed: 3);
        var planted = torch.zeros([2, 12], ScalarType.Float64);
        planted[0, 3] = 2.0;
        planted[0, 7] = -1.0;
        planted[1, 5] = 0.5;
        MadeRows.Equal(planted, SparseCoding.MatchingPursuit(planted.mm(d), d, 6), 1e-9);

        // Twice the same atom: the second depends on the first and is not taken.
        var twice = torch.cat([d.narrow(0, 0, 1), d.narrow(0, 0, 1)]);
        var codes = SparseCoding.MatchingPursuit(planted.mm(d), twice, 2);
        Assert.Equal(2, (codes != Scalars.Of(0)).sum().item<long>());
    }
}
