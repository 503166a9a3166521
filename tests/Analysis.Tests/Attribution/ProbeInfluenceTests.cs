using Analysis.Attribution;
using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Probes;
using Xunit;

namespace Analysis.Tests.Attribution;

/// <summary>Influence against fitting the probe again without each sample; spread of scores with known answers.</summary>
public sealed class ProbeInfluenceTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void InfluenceIsWhatLeavingOutDoes(bool continuous)
    {
        TorchRuntime.Prepare();
        TorchSharp.torch.set_num_threads(1);
        const double Strength = 0.05;
        var random = new SplitMix64(4);
        var (x, tested) = (new DenseMatrix(90, 5), new DenseMatrix(3, 5));
        foreach (ref var value in x.Values.AsSpan())
        {
            value = random.NextNormal();
        }

        foreach (ref var value in tested.Values.AsSpan())
        {
            value = random.NextNormal();
        }

        var y = new double[x.Rows];
        for (var i = 0; i < y.Length; i++)
        {
            var score = x[i, 0] - (2 * x[i, 1]) + random.NextNormal();
            y[i] = continuous ? score : score > 0.3 ? 1 : 0;
        }

        var weights = Array.ConvertAll(y, v => v == 1 ? 1.5 : 0.8);
        using var matrix = x.ToTensor();
        using var solver = new LinearSolver(matrix);
        var loss = continuous ? LinearLoss.Squared : LinearLoss.Logistic;
        var whole = solver.Solve(y, weights, loss, Strength);
        var influence = ProbeInfluence.Exact(x, y, weights, whole.Weights, whole.Bias, Strength, continuous, tested);
        var total = weights.Sum();
        for (var t = 0; t < tested.Rows; t++)
        {
            var changes = new double[y.Length];
            for (var i = 0; i < y.Length; i++)
            {
                var others = (double[])weights.Clone();
                others[i] = 0;
                // The solver divides by the sum of the weights; λ is scaled so that only the sample's part goes.
                var without = solver.Solve(y, others, loss, Strength * total / others.Sum());
                changes[i] = Logit(whole, tested.Row(t)) - Logit(without, tested.Row(t));
            }

            Assert.InRange(Ranks.Pearson(changes, influence.Column(t)), 0.99, 1);
            Assert.InRange(changes.Sum(Math.Abs) / influence.Column(t).Sum(Math.Abs), 0.9, 1.2);
        }
    }

    [Fact]
    public void AnImageIsNotScoredByItselfAndAgreementIsThatOfThePairsOfNetworks()
    {
        var tau = new DenseMatrix(3, 2, [9, 1, 2, 9, 3, 5]);
        // The first training image is the first target, the second the second.
        Assert.Equal([1, 2, 4], AttributionScores.MeanOverOthers(tau, ["a", "b", "c"], ["a", "b"]));
        Assert.Equal([double.NaN, 3], AttributionScores.MeanOverOthers(new DenseMatrix(2, 1, [9, 3]), ["a", "b"], ["a"]));

        double[] up = [.. Enumerable.Range(0, 40)];
        Assert.Null(AttributionScores.Agreement([up]));
        Assert.Equal(new AttributionAgreement(1, 1, 1), AttributionScores.Agreement([up, [.. up.Select(v => v * v)]]));
        Assert.Equal(new AttributionAgreement(-1, 0, 1), AttributionScores.Agreement([up, [.. up.Select(v => -v)]]));
    }

    [Fact]
    public void SpreadOfKnownScores()
    {
        var one = Diffuseness.Of([0, 0, 0, 5, 0, 0, 0, 0, 0, 0]);
        Assert.Equal(1, one.EffectiveNumber, 12);
        Assert.Equal(0.9, one.Gini, 12);
        Assert.Equal(1, one.TopShare, 12);
        var all = Diffuseness.Of([1, -1, 1, -1, 1]);
        Assert.Equal(5, all.EffectiveNumber, 12);
        Assert.Equal(0, all.Gini, 12);
        Assert.Equal((2, 3), (all.Histogram[0], all.Histogram[^1]));
        // (1+2+3)² / (1+4+9) and the mean difference over twice the mean.
        var some = Diffuseness.Of([1, 2, 3]);
        Assert.Equal(36 / 14.0, some.EffectiveNumber, 12);
        Assert.Equal(2 / 9.0, some.Gini, 12);
    }

    [Fact]
    public void TheSoftThresholdMakesAShareZero()
    {
        double[] scores = [-4, -3, -2, -1, 0, 1, 2, 3, 4, 5];
        TrakScores.SoftThreshold(scores, 0.5);
        Assert.Equal([-1.5, -0.5, 0, 0, 0, 0, 0, 0.5, 1.5, 2.5], scores);
    }

    private static double Logit(LinearSolution solution, ReadOnlySpan<double> x) => Vectors.Dot(x, solution.Weights) + solution.Bias;
}
