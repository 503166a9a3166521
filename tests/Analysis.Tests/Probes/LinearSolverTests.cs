using Analysis.Numerics;
using Analysis.Probes;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Probes;

/// <summary>Linear models against reference values and against their optimality conditions.</summary>
public sealed class LinearSolverTests
{
    public static TheoryData<string> Files => GoldenFiles.Rows("probes*.npz");

    [Theory]
    [MemberData(nameof(Files))]
    public void Golden(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var x = golden.Tensor("X").to(ScalarType.Float64);
        using var solver = new LinearSolver(x);
        var y = Array.ConvertAll(golden.Ints("y"), v => (double)v);
        var n = y.Length;
        foreach (var c in new[] { 0.1, 1.0 })
        {
            var name = FormattableString.Invariant($"l2_C{c:0.0}");
            var solution = solver.Solve(y, null, LinearLoss.Logistic, 1 / (n * c));
            Close.Absolute(golden.Doubles($"{name}_coef"), solution.Weights, 1e-5, name);
            Close.Absolute(golden.Doubles($"{name}_intercept"), [solution.Bias], 1e-5, name);
        }

        foreach (var c in new[] { 0.05, 0.2 })
        {
            var name = FormattableString.Invariant($"l1_C{c:0.0#}");
            var solution = solver.Solve(y, null, LinearLoss.Logistic, 0, 1 / (n * c));
            Close.Absolute(golden.Doubles($"{name}_coef"), solution.Weights, 1e-6, name);
            Close.Absolute(golden.Doubles($"{name}_intercept"), [solution.Bias], 1e-6, name);
            Assert.Equal(golden.Ints($"{name}_nonzero")[0], solution.Weights.Count(w => w != 0));
        }

        var balanced = solver.Solve(y, ProbeFitter.Weights(y, continuous: false, balanced: true), LinearLoss.Logistic, 1.0 / n);
        // The reference stopped 1.007e-5 away from the minimum in one weight (Newton's method there agrees with ours to 1e-14): ours
        // has to lie as close as that allows, and not higher.
        Close.Absolute(golden.Doubles("balanced_coef"), balanced.Weights, 1.01e-5, "balanced");
        Close.Absolute(golden.Doubles("balanced_intercept"), [balanced.Bias], 1e-5, "balanced");
        var reference = Objective(DenseMatrix.FromTensor(x), y, ProbeFitter.Weights(y, continuous: false, balanced: true)!, LinearLoss.Logistic, 1.0 / n, 0, golden.Doubles("balanced_coef"), golden.Scalar("balanced_intercept"));
        Assert.True(balanced.Objective <= reference);

        var target = golden.Doubles("y_reg");
        var ridge = solver.Solve(target, null, LinearLoss.Squared, 2.0 / n);
        Close.Absolute(golden.Doubles("ridge2_coef"), ridge.Weights, 1e-9, "ridge");
        Close.Absolute(golden.Doubles("ridge2_intercept"), [ridge.Bias], 1e-9, "ridge");
        Close.Absolute(golden.Doubles("ridge2_r2"), [ProbeFitter.Score(Predict(x, ridge), target, continuous: true).R2!.Value], 1e-9, "R²");

        var scores = ProbeFitter.Score(Predict(x, solver.Solve(y, null, LinearLoss.Logistic, 1.0 / n)), y, continuous: false);
        Close.Absolute(golden.Doubles("l2_C1.0_accuracy"), [scores.Accuracy!.Value], 1e-12, "accuracy");
        Close.Absolute(golden.Doubles("l2_C1.0_accuracy_rescaled"), [scores.Rescaled!.Value], 1e-12, "rescaled accuracy");
    }

    [Theory]
    [InlineData(40, 12, 0.01, 0)]
    [InlineData(15, 60, 0.01, 0)]
    [InlineData(40, 12, 0, 0.02)]
    [InlineData(15, 60, 0, 0.02)]
    [InlineData(200, 30, 0.001, 0.005)]
    public void TheSolutionIsAMinimum(int rows, int columns, double l2, double l1)
    {
        torch.set_num_threads(1);
        var random = new SplitMix64(7);
        var (x, y, s) = Problem(rows, columns, ref random);
        using var tensor = x.ToTensor();
        using var solver = new LinearSolver(tensor);
        foreach (var loss in new[] { LinearLoss.Logistic, LinearLoss.Squared })
        {
            var solution = solver.Solve(y, s, loss, l2, l1);
            var least = Objective(x, y, s, loss, l2, l1, solution.Weights, solution.Bias);
            Assert.Equal(least, solution.Objective, 1e-12);
            for (var trial = 0; trial < 200; trial++)
            {
                var w = (double[])solution.Weights.Clone();
                var j = random.NextInt(columns + 1);
                var b = solution.Bias;
                var step = (random.NextDouble() - 0.5) * Math.Pow(10, -random.NextInt(5));
                if (j < columns)
                {
                    w[j] += step;
                }
                else
                {
                    b += step;
                }

                Assert.True(Objective(x, y, s, loss, l2, l1, w, b) >= least - 1e-13, $"{loss}: moving {j} by {step} lowers the objective");
            }
        }
    }

    [Fact]
    public void BalancedAccuracyDoesNotRewardAlwaysGivingTheMoreFrequentAnswer()
    {
        double[] targets = [1, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        var always = ProbeFitter.Score([.. Enumerable.Repeat(-1.0, 10)], targets, continuous: false);
        Assert.Equal((0.8, 0.8, 0.5, 0.5), (always.Accuracy!.Value, always.Majority!.Value, always.BalancedAccuracy!.Value, always.Auc!.Value));
        var half = ProbeFitter.Score([2, -3, -1, -1, -1, -1, -1, -1, 1, 1], targets, continuous: false);
        Assert.Equal((0.7, 0.625), (half.Accuracy!.Value, half.BalancedAccuracy!.Value));
        Assert.Equal(0.5, half.Auc!.Value);
    }

    [Fact]
    public void ClassesThatAConceptMayMoveByChanceAreNotSaidToBeMovedWhenManyAreTested()
    {
        static ClassInfluenceEntry Entry(double p, params double?[] derivative) => new()
        {
            Class = 0, Name = "a", Output = 0, Images = 50, Score = Spread.Of(derivative)!, Control = Spread.Of(derivative)!, Derivative = Spread.Of(derivative)!,
            PDerivative = p, PCorrected = 1, Significant = false,
        };
        var found = ClassInfluenceTest.Correct([Entry(0.02, 1, 1, 2), Entry(0.001, 1, 1, 2), Entry(0.5, 1, 1, 2), Entry(0.001, 1, -1, 2)]);
        Assert.Equal([0.04, 0.004, 0.5, 0.004], found.Select(e => e.PCorrected), (a, b) => Math.Abs(a - b) < 1e-9);
        // The last wavers between refits.
        Assert.Equal([true, true, false, false], found.Select(e => e.Significant));
        Assert.False(ClassInfluenceTest.Correct([Entry(0.02, 1, 1), Entry(0.2, 1, 1), Entry(0.5, 1, 1)])[0].Significant);
    }

    [Fact]
    public void EqualProblemsHaveEqualBits()
    {
        torch.set_num_threads(1);
        var random = new SplitMix64(11);
        var (x, y, s) = Problem(126, 60, ref random);
        var kept = new List<byte[]>();
        LinearSolution? first = null;
        for (var run = 0; run < 40; run++)
        {
            // Other lengths before it: managed arrays then begin at other places of a cache line.
            kept.Add(new byte[8 * (1 + random.NextInt(31))]);
            using var tensor = x.ToTensor();
            using var solver = new LinearSolver(tensor);
            var solution = solver.Solve(y, s, LinearLoss.Logistic, 0.01);
            first ??= solution;
            Assert.Equal(first.Bias, solution.Bias);
            Assert.Equal(first.Weights, solution.Weights);
        }
    }

    [Fact]
    public void SeparableSamplesGiveFiniteWeights()
    {
        torch.set_num_threads(1);
        var random = new SplitMix64(3);
        var x = new DenseMatrix(50, 4);
        var y = new double[50];
        for (var i = 0; i < 50; i++)
        {
            y[i] = i % 2;
            for (var c = 0; c < 4; c++)
            {
                x[i, c] = random.NextNormal() + (c == 0 ? 20 * y[i] : 0);
            }
        }

        using var tensor = x.ToTensor();
        using var solver = new LinearSolver(tensor);
        var solution = solver.Solve(y, null, LinearLoss.Logistic, ProbeOptions.SmallestStrength);
        Assert.All(solution.Weights, w => Assert.True(Math.Abs(w) < 100));
        Assert.True(solution.Violation < 1e-8, $"violation {solution.Violation}");
        Assert.Throws<AnalysisException>(() => ProbeFitter.Validate(new ProbeOptions { Strength = 1e-6 }));
    }

    [Fact]
    public void AboveTheLargestStrengthOfL1NothingIsLeft()
    {
        torch.set_num_threads(1);
        var random = new SplitMix64(5);
        var (x, y, s) = Problem(80, 10, ref random);
        using var tensor = x.ToTensor();
        using var solver = new LinearSolver(tensor);
        var largest = solver.LargestL1(y, s);
        Assert.All(solver.Solve(y, s, LinearLoss.Logistic, 0, largest * 1.0001).Weights, w => Assert.Equal(0, w));
        Assert.Single(solver.Solve(y, s, LinearLoss.Logistic, 0, largest * 0.999).Weights, w => w != 0);
    }

    private static (DenseMatrix X, double[] Y, double[] S) Problem(int rows, int columns, ref SplitMix64 random)
    {
        var x = new DenseMatrix(rows, columns);
        for (var i = 0; i < x.Values.Length; i++)
        {
            x.Values[i] = random.NextNormal();
        }

        var (y, s) = (new double[rows], new double[rows]);
        for (var i = 0; i < rows; i++)
        {
            y[i] = x[i, 0] - (0.5 * x[i, 1]) + random.NextNormal() > 0 ? 1 : 0;
            s[i] = 0.5 + random.NextDouble();
        }

        return (x, y, s);
    }

    private static double Objective(DenseMatrix x, double[] y, double[] s, LinearLoss loss, double l2, double l1, double[] w, double b)
    {
        double sum = 0;
        for (var i = 0; i < x.Rows; i++)
        {
            var f = Vectors.Dot(x.Row(i), w) + b;
            sum += s[i] * (loss == LinearLoss.Squared ? 0.5 * (f - y[i]) * (f - y[i]) : Math.Log(1 + Math.Exp(f)) - (y[i] * f));
        }

        return (sum / s.Sum()) + (0.5 * l2 * Vectors.Dot(w, w)) + (l1 * w.Sum(Math.Abs));
    }

    private static double[] Predict(Tensor x, LinearSolution solution)
    {
        var rows = DenseMatrix.FromTensor(x);
        return [.. Enumerable.Range(0, rows.Rows).Select(i => Vectors.Dot(rows.Row(i), solution.Weights) + solution.Bias)];
    }
}
