using Analysis.Probes;
using Analysis.Probes.Backpropagation;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Probes;

public sealed class BackpropagationGoldenTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public static TheoryData<string> Linear => GoldenFiles.Rows("concept_backprop_linear*.npz");

    [Fact]
    public void AnImageThatCouldHardlyBeChangedDoesNotDecideWhatIsEntangled()
    {
        var probe = new LinearProbe("l", false, [1], 0, [0], [1]);
        FittedProbe[] probes = [new(probe, new ProbeScores { Samples = 1 }, new ProbeScores { Samples = 1 }, "l2", 1), new(probe, new ProbeScores { Samples = 1 }, new ProbeScores { Samples = 1 }, "l2", 1)];
        FoundChange Change(ChangeOutcome outcome) => new(outcome, 0, 0, null!, 0, null);
        FoundChange[] found = [Change(ChangeOutcome.Changed), Change(ChangeOutcome.Changed), Change(ChangeOutcome.Unreachable), Change(ChangeOutcome.Changed), Change(ChangeOutcome.Changed), Change(ChangeOutcome.Changed)];
        ChangeSize[] sizes = [.. Enumerable.Repeat(new ChangeSize(1, 1, 1, 1, 1), 6)];
        List<(double[], double[])> before = [.. Enumerable.Repeat((new double[2], new double[] { 0.1, 0.1 }), 3)];
        // Changed for the first, the second moves by a quarter of it; where the first moves by a thousandth, by three hundred times it.
        double[][] answers = [[0.9, 0.3], [0.9, 0.3], [0.101, 0.4], [0.1, 0.9], [0.1, 0.9], [0.1, 0.9]];
        var entry = EntanglementMatrix.Of(["a", "b"], probes, 3, found, sizes, before, [.. answers.Select(a => (new double[2], a))], _ => false);
        Assert.Equal(0.25, entry.Ratio[0][1]!.Value, 6);
        Assert.Equal(0, entry.Entangled[0][1]);
        Assert.Equal([2, 3], entry.Samples);
        Assert.Equal(0, entry.Ratio[1][0]);
    }

    [Theory]
    [MemberData(nameof(Linear))]
    public void Golden_ClosedForms(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        var (w, x, bias) = (golden.Doubles("w"), golden.Matrix("X"), golden.Scalar("b"));
        foreach (var lambda in new[] { 0.02, 0.2 })
        {
            for (var i = 0; i < x.Rows; i++)
            {
                var logit = Dot(w, x.Row(i)) + bias;
                Assert.Equal(golden.Doubles("probe_logit")[i], logit, 1e-9);
                foreach (var (name, found) in new[]
                {
                    ("bce_l2", LinearBackpropagation.LogisticL2(w, logit, lambda)),
                    ("bce_l1", LinearBackpropagation.LogisticL1(w, logit, lambda)),
                    ("mse_l2", LinearBackpropagation.SquaredL2(w, logit, 1, lambda)),
                    ("mse_l1", LinearBackpropagation.SquaredL1(w, logit, 1, lambda)),
                })
                {
                    var key = FormattableString.Invariant($"{name}_{lambda}");
                    Close.Absolute(golden.Matrix(key + "_delta").Row(i).ToArray(), found, 1e-9, $"{key} row {i}");
                    if (name.StartsWith("bce", StringComparison.Ordinal))
                    {
                        Assert.Equal(golden.Doubles(key + "_prob")[i], LinearBackpropagation.Logistic(logit + Dot(w, found)), 1e-9);
                    }

                    if (key == "bce_l2_0.02")
                    {
                        Assert.Equal(golden.Doubles("side_effect_other_logit_l2_0.02")[i], Dot(golden.Doubles("w_other"), found), 1e-9);
                    }
                }
            }
        }
    }

    [Theory]
    [MemberData(nameof(Linear))]
    public void Golden_TheOptimiserReachesTheSameOptima(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = NewDisposeScope();
        var (w, x, bias) = (golden.Doubles("w"), golden.Matrix("X"), golden.Scalar("b"));
        var inputs = golden.Tensor("X").to(ScalarType.Float64);
        var space = new ColumnSpace(Same(w.Length, 1), Same(w.Length, -1e9), Same(w.Length, 1e9), new bool[w.Length]);
        foreach (var lambda in new[] { 0.02, 0.2 })
        {
            foreach (var (name, continuous, squares) in new[] { ("bce_l2", false, true), ("bce_l1", false, false), ("mse_l2", true, true), ("mse_l1", true, false) })
            {
                var key = FormattableString.Invariant($"{name}_{lambda}");
                var solver = new ChangeSolver(
                    space, v => v, new ChangeRegulariser(squares ? 0 : 1, squares ? 1 : 0, 0), new ChangeSolverOptions { Steps = 2000, Tolerance = 1e-12, OpenTolerance = 1e-12 });
                var wishes = Enumerable.Range(0, x.Rows).Select(i => new ChangeWish(i, w, bias, 1, continuous, 0.9, Dot(w, x.Row(i)) + bias)).ToList();
                var found = solver.Solve(inputs, wishes, Same(x.Rows, lambda), null, null, null, Stop);
                for (var i = 0; i < x.Rows; i++)
                {
                    var expected = golden.Matrix(key + "_delta").Row(i).ToArray();
                    Close.Absolute(expected, Close.Values(found[i].Change[0]), 1e-3, $"{key} row {i}");
                    var logit = wishes[i].Start + Dot(w, expected);
                    var loss = continuous ? (logit - 1) * (logit - 1) : Math.Log(1 + Math.Exp(-logit));
                    var penalty = squares ? expected.Sum(d => d * d) : expected.Sum(Math.Abs);
                    Assert.InRange(found[i].Objective, 0, loss + (lambda * penalty) + 1e-5);
                    if (!squares)
                    {
                        // The proximal step leaves exact zeros.
                        Assert.Equal(expected.Count(d => d == 0), Close.Values(found[i].Change[0]).Count(d => d == 0));
                    }

                    found[i].Dispose();
                }
            }
        }
    }

    [Fact]
    public void A_wish_for_no_mirrors_a_wish_for_yes()
    {
        using var scope = NewDisposeScope();
        double[] w = [1.5, -0.5, 0.25];
        var inputs = tensor(new[] { 0.4, 0.1, -0.3 }, [1, 3]);
        var logit = Dot(w, [0.4, 0.1, -0.3]) + 0.2;
        var expected = LinearBackpropagation.LogisticL2([.. w.Select(v => -v)], -logit, 0.05);
        var solver = new ChangeSolver(Free(3), v => v, new ChangeRegulariser(0, 1, 0), new ChangeSolverOptions { Tolerance = 1e-12, OpenTolerance = 1e-12 });
        using var found = solver.Solve(inputs, [new ChangeWish(0, w, 0.2, 0, false, 0.9, logit)], [0.05], null, null, null, Stop)[0];
        Close.Absolute(expected, Close.Values(found.Change[0]), 1e-4);
    }

    [Fact]
    public void The_search_finds_the_largest_lambda_that_still_reaches_the_threshold()
    {
        using var scope = NewDisposeScope();
        double[] w = [1.0, -2.0, 0.5];
        var inputs = tensor(new[] { 0.0, 0.5, 0.0, 0.0, -3.0, 0.0 }, [2, 3]);
        foreach (var squares in new[] { true, false })
        {
            var search = new ChangeSearch(
                Free(3), v => v, new ChangeRegulariser(squares ? 0 : 1, squares ? 1 : 0, 0),
                new ChangeSolverOptions { Tolerance = 1e-10, OpenTolerance = 1e-10 }, new ChangeSearchOptions { Starts = 3, Precision = 1.05 });
            var found = search.Find(inputs, [new ChangeWish(0, w, 0, 1, false, 0.9, -1), new ChangeWish(1, w, 0, 1, false, 0.9, 6)], 2, null, Stop);

            // Where the probe ends at 0.9 exactly: 0.1·|w|, and 0.1·‖w‖² / (2·(logit(0.9) − m)).
            var expected = squares ? 0.1 * 5.25 / (2 * (Math.Log(9) + 1)) : 0.1 * 2;
            Assert.Equal(ChangeOutcome.Changed, found[0].Outcome);
            Assert.InRange(found[0].Lambda, expected / 1.06, expected * 1.001);
            Assert.InRange(LinearBackpropagation.Logistic(found[0].Solution.Logit), 0.9, 0.91);
            Assert.Equal(ChangeOutcome.Already, found[1].Outcome);
            Assert.Equal(0, found[1].Solution.Change.abs().max().item<double>());
            Array.ForEach(found, f => f.Dispose());
        }
    }

    [Fact]
    public void What_cannot_be_reached_inside_the_ranges_is_said_to_be_unreachable()
    {
        using var scope = NewDisposeScope();
        double[] w = [1.0, -2.0, 5.0];
        var space = new ColumnSpace([1, 1, 1], [0, 0, 0], [1, 1, 1], [false, false, true]);
        var search = new ChangeSearch(space, v => v, new ChangeRegulariser(1, 0, 0), new ChangeSolverOptions(), new ChangeSearchOptions());
        var inputs = tensor(new[] { 0.2, 0.5, 0.0 }, [1, 3]);
        using var found = search.Find(inputs, [new ChangeWish(0, w, 0, 1, false, 0.9, -0.8)], 1, null, Stop)[0];

        // The best inside the box is (1, 0, ·): logit 1, below 0.9's 2.2; the third column must not move.
        Assert.Equal(ChangeOutcome.Unreachable, found.Outcome);
        Close.Absolute([0.8, -0.5, 0], Close.Values(found.Solution.Change[0]), 1e-6);
        Assert.Equal(1, found.Solution.Logit, 1e-6);
    }

    private static ColumnSpace Free(int columns) => new(Same(columns, 1), Same(columns, -1e9), Same(columns, 1e9), new bool[columns]);

    private static double[] Same(int count, double value) => [.. Enumerable.Repeat(value, count)];

    private static double Dot(ReadOnlySpan<double> left, ReadOnlySpan<double> right)
    {
        double sum = 0;
        for (var i = 0; i < left.Length; i++)
        {
            sum += left[i] * right[i];
        }

        return sum;
    }
}
