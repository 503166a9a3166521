using Analysis.Evaluation;
using Analysis.Factorization;
using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Evaluation;

public sealed class ExtractionMetricsTests
{
    public ExtractionMetricsTests() => torch.set_num_threads(1);

    public static TheoryData<string> Golden => GoldenFiles.Rows("extraction_metrics*.npz");

    [Theory]
    [MemberData(nameof(Golden))]
    public void Golden_ExtractionMetrics(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = torch.NewDisposeScope();
        var (x, made) = (golden.Tensor("X"), golden.Tensor("Xhat"));
        var (sparse, dense) = (golden.Tensor("Z"), golden.Tensor("Zdense"));
        using var tally = new ExtractionTally(x.mean([0L]), (int)sparse.shape[1]);
        for (long start = 0; start < x.shape[0]; start += 7)
        {
            var count = Math.Min(7, x.shape[0] - start);
            tally.Add(x.narrow(0, start, count), sparse.narrow(0, start, count), made.narrow(0, start, count));
        }

        var scores = tally.Scores();
        Close.Relative([golden.Scalar("s_relative_avg_l2_loss")], [scores.RelativeError], 1e-8, "relative l2");
        Close.Relative([golden.Scalar("s_r2_per_feature")], [scores.RSquared], 1e-8, "R2");
        Close.Relative([golden.Scalar("s_r2_per_feature")], [ExtractionMetrics.RSquared(x, made)], 1e-8, "R2");
        Close.Relative([golden.Scalar("s_r2_global_mean")], [ExtractionMetrics.RSquared(x, made, globalMean: true)], 1e-8, "R2 global");
        Close.Relative([golden.Scalar("s_l0_eps_mean")], [scores.ActiveShare], 1e-7, "l0");
        Close.Relative([golden.Scalar("s_dead_count")], [scores.DeadShare * sparse.shape[1]], 1e-8, "dead");
        Close.Relative(golden.Doubles("hoyer_Zdense"), Close.Values(ExtractionMetrics.Hoyer(dense, 1e-6)), 1e-8, "hoyer");
        Close.Relative(golden.Doubles("kappa4_Zdense"), Close.Values(ExtractionMetrics.Kappa4(dense, 1e-6)), 1e-8, "kappa4");
        Close.Relative(golden.Doubles("ood_knn5_Xhat"), ExtractionMetrics.NeighbourDistances(made, x), 1e-8, "OOD");

        using var real = new RowMoments(x.mean([0L]));
        using var reconstructed = new RowMoments(x.mean([0L]));
        real.Add(x);
        reconstructed.Add(made.narrow(0, 0, 11));
        reconstructed.Add(made.narrow(0, 11, made.shape[0] - 11));
        using var reference = new FrechetReference(real);
        Close.Relative([golden.Scalar("s_frechet_X_Xhat")], [reference.Distance(reconstructed)], 1e-6, "Frechet");
        Close.Absolute([0], [reference.Distance(real)], 1e-9, "Frechet of the same");

        var (match, cosines) = DictionaryStability.Match(golden.Tensor("D"), golden.Tensor("D2"), ignoreSign: false);
        Assert.Equal(golden.Ints("match_D_D2"), match);
        Close.Relative([golden.Scalar("s_stability_mean_cos_D_D2")], [cosines.Average()], 1e-8, "stability");
        Close.Relative([golden.Scalar("s_cosine_hungarian_D_D2")], [cosines.Sum(c => 1 - c)], 1e-8, "Hungarian loss");
        var signed = DictionaryStability.Match(golden.Tensor("D"), golden.Tensor("D3"), ignoreSign: false);
        Close.Relative([golden.Scalar("s_cosine_hungarian_D_D3")], [signed.Cosines.Sum(c => 1 - c)], 1e-8, "Hungarian loss with signs");
        var unsigned = DictionaryStability.Match(golden.Tensor("D"), golden.Tensor("D3"), ignoreSign: true);
        Assert.Equal(golden.Ints("match_abs_D_D3"), unsigned.Match);
        Close.Relative([golden.Scalar("s_stability_mean_abscos_D_D3")], [unsigned.Cosines.Average()], 1e-8, "stability by |cosine|");
    }

    [Fact]
    public void ScoresOfPerfectAndUselessConcepts()
    {
        using var scope = torch.NewDisposeScope();
        var rows = Rows(400, 6, seed: 1);
        using var all = new Axes([0, 1, 2, 3, 4, 5], 6);
        var perfect = ExtractionMetrics.Score(rows, all);
        Assert.Equal(0, perfect.RelativeError);
        Assert.Equal(1, perfect.RSquared);
        Assert.Equal(1, perfect.OutOfDistribution, 12);
        Assert.Equal(0, perfect.Frechet, 9);
        Assert.Equal(0, perfect.DeadShare);

        using var some = new Axes([0, 1, 2], 6);
        var part = ExtractionMetrics.Score(rows, some, new ScoreOptions { PartRows = 33 });
        var whole = ExtractionMetrics.Score(rows, some);
        Assert.InRange(part.FrobeniusError, 0.5, 0.9);
        Assert.Equal(whole.RelativeError, part.RelativeError, 12);
        Assert.Equal(whole.Frechet, part.Frechet, 6);
        Assert.True(part.RSquared < 0.6 && part.Frechet > 0.1, part.ToString());
    }

    [Fact]
    public void RowsOfZerosHaveNoErrorAndAreCounted()
    {
        using var scope = torch.NewDisposeScope();
        var rows = torch.cat([Rows(100, 4, seed: 2), torch.zeros([3, 4], ScalarType.Float64)]);
        using var some = new Axes([0, 1], 4, offset: 0.25);
        var scores = ExtractionMetrics.Score(rows, some);
        Assert.Equal(3, scores.ZeroRows);
        Assert.InRange(scores.RelativeError, 0.01, 2);
        Assert.True(double.IsFinite(scores.OutOfDistribution));
        var distances = ExtractionMetrics.NeighbourDistances(rows, rows);
        Assert.Equal(3, distances.Count(double.IsNaN));
    }

    [Fact]
    public void UndefinedScoresAreNotNumbers()
    {
        using var scope = torch.NewDisposeScope();
        var constant = torch.full([50, 3], Scalars.Of(7.0), ScalarType.Float64);
        using var one = new Axes([0], 3);
        var scores = ExtractionMetrics.Score(constant, one);
        Assert.Equal(double.NaN, scores.RSquared);
        Assert.Equal(double.NaN, scores.OutOfDistribution);
        Assert.Equal(double.NaN, scores.Hoyer);
        Assert.Equal(1, scores.Kappa4, 12);
    }

    [Fact]
    public void SparsityRunsFromEqualToSingle()
    {
        using var scope = torch.NewDisposeScope();
        var codes = torch.tensor(new double[,] { { 1, 1, 1, 1 }, { 0, -3, 0, 0 }, { 0, 0, 0, 0 }, { 1e-90, 0, 0, 1e-90 } });
        Close.Absolute([0, 1, double.NaN, 2 - Math.Sqrt(2)], Close.Values(ExtractionMetrics.Hoyer(codes)), 1e-12, "Hoyer");
        Close.Absolute([0.25, 1, double.NaN, 0.5], Close.Values(ExtractionMetrics.Kappa4(codes)), 1e-12, "kappa4");
    }

    [Fact]
    public void FrechetDistanceOfGaussiansIsKnown()
    {
        using var scope = torch.NewDisposeScope();

        // Diagonal covariances: the sum of squared differences of means and of standard deviations.
        using var a = Moments(Scaled(20_000, [1, 2, 3], [0, 0, 0], seed: 3));
        using var b = Moments(Scaled(20_000, [2, 2, 1], [1, 0, -1], seed: 4));
        using var reference = new FrechetReference(a);
        Assert.Equal(1 + 0 + 4 + 2, reference.Distance(b), 0.25);

        // No more rows than columns: shrunk, finite.
        using var few = Moments(Scaled(3, [1, 2, 3], [0, 0, 0], seed: 5));
        using var fewer = new FrechetReference(few);
        Assert.InRange(fewer.Distance(b), 0.1, 100);
    }

    [Fact]
    public void ReconstructionsThatLeaveTheDataAreFarFromIt()
    {
        using var scope = torch.NewDisposeScope();

        // Rows lie near three directions; a single concept across all of them reconstructs none.
        var random = new SplitMix64(6);
        var values = new double[300 * 3];
        for (var i = 0; i < 300; i++)
        {
            for (var j = 0; j < 3; j++)
            {
                values[(i * 3) + j] = (i % 3 == j ? 5 : 0) + (0.1 * random.NextNormal());
            }
        }

        var rows = torch.tensor(values, [300, 3]);
        using var across = new Directions(torch.full([1, 3], Scalars.Of(1 / Math.Sqrt(3)), ScalarType.Float64));
        Assert.True(ExtractionMetrics.Score(rows, across).OutOfDistribution > 5);
        using var own = new Axes([0, 1, 2], 3);
        Assert.Equal(1, ExtractionMetrics.Score(rows, own).OutOfDistribution, 6);
    }

    [Fact]
    public void StabilityTellsRepeatableFitsFromRandomOnes()
    {
        using var scope = torch.NewDisposeScope();
        var rows = Rows(200, 8, seed: 7);
        var options = new FactorizationOptions { Components = 4, Seed = 1 };
        var good = DictionaryStability.Measure(new Repeatable(), rows, options);
        Assert.Equal(1, good.Mean, 9);
        Assert.Equal(1, good.Worst, 9);
        Assert.Equal(6, good.Pairs.Count);
        Assert.Equal(4, good.Concepts.Count);
        var random = DictionaryStability.Measure(new Random(), rows, options, new StabilityOptions { Fits = 3, VarySeed = true });
        Assert.True(random.Mean < 0.8 && random.Worst <= random.Mean, random.ToString());
        Assert.Equal(3, random.Pairs.Count);
    }

    [Fact]
    public void EachFitLeavesOutOtherRows()
    {
        using var scope = torch.NewDisposeScope();
        // Rows of noise have no directions of their own: what a method without randomness finds in them depends on which rows it is given.
        var rows = Rows(120, 12, seed: 3);
        var options = new FactorizationOptions { Components = 3, Seed = 1 };
        var svd = FactorizationCatalogue.Get("svd");
        Assert.True(DictionaryStability.Measure(svd, rows, options).Mean < 0.95);
        Assert.Equal(1, DictionaryStability.Measure(svd, rows, options, new StabilityOptions { VarySeed = true }).Mean, 9);
    }

    [Fact]
    public void FitsOfDifferentSizesMatchWhatTheyCan()
    {
        using var scope = torch.NewDisposeScope();
        var three = torch.eye(3, dtype: ScalarType.Float64);
        var two = torch.tensor(new double[,] { { 0, 0, -1 }, { 2, 0, 0 } });
        var (match, cosines) = DictionaryStability.Match(three, two, ignoreSign: true);
        Assert.Equal([1, -1, 0], match);
        Assert.Equal([1, 0, 1], cosines);
        Assert.Equal(1, DictionaryStability.Compare([three, two], ignoreSign: true).Mean, 12);
        Assert.Equal(0, DictionaryStability.Match(torch.zeros([1, 3], ScalarType.Float64), two, ignoreSign: false).Cosines[0]);
    }

    private static Tensor Rows(int n, int p, ulong seed) => Scaled(n, [.. Enumerable.Repeat(1.0, p)], new double[p], seed);

    private static Tensor Scaled(int n, double[] deviation, double[] mean, ulong seed)
    {
        var random = new SplitMix64(seed);
        var values = new double[n * mean.Length];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = mean[i % mean.Length] + (deviation[i % mean.Length] * random.NextNormal());
        }

        return torch.tensor(values, [n, mean.Length]);
    }

    private static RowMoments Moments(Tensor rows)
    {
        var moments = new RowMoments(torch.zeros([rows.shape[1]], ScalarType.Float64));
        moments.Add(rows);
        return moments;
    }

    private class Directions(Tensor vectors, Tensor? offset = null) : Factors(vectors, offset)
    {
        public override Tensor Encode(Tensor rows) => (Offset is null ? rows : rows - Offset).mm(Vectors.t());
    }

    private sealed class Axes(int[] axes, int columns, double offset = 0)
        : Directions(torch.eye(columns, dtype: ScalarType.Float64).index_select(0, torch.tensor(axes, ScalarType.Int64)), torch.full([columns], Scalars.Of(offset), ScalarType.Float64));

    private sealed class Repeatable : IFactorizationMethod
    {
        public MethodInfo Info { get; } = new()
        {
            Name = "repeatable", Title = "Repeatable", Summary = "Unit vectors in an order that depends on the rows.", CodesConstraint = "none", VectorsConstraint = "unit", Cost = "none",
            Source = "none", SignIsArbitrary = true,
        };

        public Factors Fit(Tensor rows, FactorizationOptions options, Action<double>? progress = null, CancellationToken cancellation = default)
        {
            var turn = (int)(Math.Abs(rows.sum().ToDouble()) * 1000) % options.Components;
            var axes = Enumerable.Range(0, options.Components).Select(i => (i + turn) % options.Components).ToArray();
            return new Directions(torch.eye(rows.shape[1], dtype: ScalarType.Float64).index_select(0, torch.tensor(axes, ScalarType.Int64)) * Scalars.Of(turn % 2 == 0 ? 1 : -1));
        }

        public Factors Restore(IReadOnlyDictionary<string, Tensor> state) => new Directions(state["vectors"]);
    }

    private sealed class Random : IFactorizationMethod
    {
        public MethodInfo Info { get; } = new()
        {
            Name = "random", Title = "Random", Summary = "Random directions.", CodesConstraint = "none", VectorsConstraint = "none", Cost = "none", Source = "none",
        };

        public Factors Fit(Tensor rows, FactorizationOptions options, Action<double>? progress = null, CancellationToken cancellation = default) =>
            new Directions(Rows(options.Components, (int)rows.shape[1], (ulong)(100 + options.Seed)));

        public Factors Restore(IReadOnlyDictionary<string, Tensor> state) => new Directions(state["vectors"]);
    }
}
