using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Numerics;

public sealed class NumericsGoldenTests
{
    public static TheoryData<string> Svd => GoldenFiles.Rows("svd_*.npz");

    public static TheoryData<string> Auc => GoldenFiles.Rows("auc_mannwhitney*.npz");

    public static TheoryData<string> Embedding => GoldenFiles.Rows("embedding_quality*.npz");

    [Theory]
    [MemberData(nameof(Svd))]
    public void Golden_SingularDirections(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = torch.NewDisposeScope();
        var x = golden.Tensor("X");
        var s = golden.Doubles("S");
        var vt = golden.Matrix("Vt");
        var signs = golden.Doubles("mean_projection_sign");
        var rank = golden.Contains("rank")
            ? (int)golden.Scalar("rank")
            : s.Count(v => v > s[0] * Math.Max(x.shape[0], x.shape[1]) * 2.2e-16);

        using var direct = SingularDirections.FromMatrix(x);
        Assert.Equal(rank, direct.Rank);
        Close.Relative(s[..rank], Close.Values(direct.Values), 1e-10, "S", floor: 0);
        CompareDirections(x, s, vt, signs, rank, direct, squared: false);
        if (golden.Contains("row_space_projector"))
        {
            Close.Absolute(golden.Doubles("row_space_projector"), Close.Values(direct.Vectors.t().mm(direct.Vectors)), 1e-9, "projector");
        }

        if (golden.Contains("top2_projector"))
        {
            var top = direct.Vectors.narrow(0, 0, 2);
            Close.Absolute(golden.Doubles("top2_projector"), Close.Values(top.t().mm(top)), 1e-9, "top2_projector");
            Assert.True(direct.NearDegenerate[0] && direct.NearDegenerate[1]);
        }

        // The streamed form works on squares: its rounding is relative to the square of the largest value.
        using var moments = new SecondMoments((int)x.shape[1]);
        for (long start = 0; start < x.shape[0]; start += 7)
        {
            moments.Add(x.narrow(0, start, Math.Min(7, x.shape[0] - start)));
        }

        using var streamed = SingularDirections.FromSecondMoments(moments);
        var kept = s.Take(rank).Count(v => v > s[0] * 1e-6);
        Assert.True(streamed.Rank >= kept && streamed.Rank <= rank, $"rank {streamed.Rank}");
        var values = Close.Values(streamed.Values);
        for (var j = 0; j < kept; j++)
        {
            var rounding = 1e-14 * Math.Pow(s[0] / s[j], 2);
            Close.Relative([s[j]], [values[j]], Math.Max(1e-10, rounding), $"streamed S[{j}]", floor: 0);
        }

        CompareDirections(x, s, vt, signs, kept, streamed, squared: true);
    }

    [Theory]
    [MemberData(nameof(Auc))]
    public void Golden_MannWhitney(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        var activations = golden.Doubles("activations");
        var labels = golden.Matrix("labels");
        Close.Absolute(golden.Doubles("ranks"), Ranks.Average(activations), 0, "ranks");
        var tests = Enumerable.Range(0, labels.Columns)
            .Select(j => MannWhitney.Test(activations, Array.ConvertAll(labels.Column(j), v => v != 0))).ToArray();
        Close.Absolute(golden.Doubles("auc"), Array.ConvertAll(tests, t => t.Auc), 1e-12, "auc");
        Close.Absolute(golden.Doubles("auc_strict"), Array.ConvertAll(tests, t => t.StrictAuc), 1e-12, "auc_strict");
        Close.Absolute(golden.Doubles("U"), Array.ConvertAll(tests, t => t.U), 1e-12, "U");
        Close.Relative(golden.Doubles("p_two_sided"), Array.ConvertAll(tests, t => t.TwoSided), 1e-9, "p_two_sided", floor: 0);
        Close.Relative(golden.Doubles("p_greater"), Array.ConvertAll(tests, t => t.Greater), 1e-9, "p_greater", floor: 0);
        Close.Relative(golden.Doubles("p_less"), Array.ConvertAll(tests, t => t.Less), 1e-9, "p_less", floor: 0);
        Close.Relative(golden.Doubles("p_two_sided_nocc"), Array.ConvertAll(tests, t => t.TwoSidedUncorrected), 1e-9, "p_nocc", floor: 0);
        Close.Relative(golden.Doubles("bh"), MultipleTesting.BenjaminiHochberg(golden.Doubles("p_two_sided")), 1e-9, "bh", floor: 0);
        Close.Relative(golden.Doubles("holm"), MultipleTesting.Holm(golden.Doubles("p_two_sided")), 1e-9, "holm", floor: 0);
        Close.Relative(
            golden.Doubles("small_p_exact"),
            [MannWhitney.ExactTwoSided(golden.Doubles("small_activations"), golden.Bools("small_labels"))],
            1e-9,
            "small_p_exact");
    }

    [Theory]
    [MemberData(nameof(Embedding))]
    public void Golden_ClusterAgreement(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        var label = golden.Ints("label");
        var silhouette = ClusterAgreement.Silhouette(Distances.Pairwise(golden.Matrix("X")), label);
        Close.Absolute(golden.Doubles("silhouette"), silhouette, 1e-12, "silhouette");
        Close.Absolute(golden.Doubles("silhouette_mean"), [silhouette.Average()], 1e-12, "silhouette_mean");
        Close.Absolute(golden.Doubles("ari"), [ClusterAgreement.AdjustedRand(label, golden.Ints("label2"))], 1e-12, "ari");
        Close.Absolute(golden.Doubles("nmi"), [ClusterAgreement.NormalizedMutualInformation(label, golden.Ints("label2"))], 1e-12, "nmi");
    }

    private static void CompareDirections(
        Tensor x, double[] s, DenseMatrix vt, double[] signs, int rank, SingularDirections actual, bool squared)
    {
        var vectors = DenseMatrix.FromTensor(actual.Vectors);
        var projections = DenseMatrix.FromTensor(x.mm(actual.Vectors.t()));
        for (var j = 0; j < rank; j++)
        {
            var means = projections.Column(j);
            var mean = means.Average();
            Assert.True(mean > -1e-9 * RobustStatistics.StandardDeviation(means), $"v{j} is not oriented: mean projection {mean}");

            // Equal neighbours leave only their span determined.
            var above = j == 0 ? double.PositiveInfinity : s[j - 1] - s[j];
            var below = j == s.Length - 1 ? double.PositiveInfinity : s[j] - s[j + 1];
            if (above <= 1e-6 * s[j] || below <= 1e-6 * s[j])
            {
                continue;
            }

            var gap = Math.Min(above, below) * (squared ? s[j] / s[0] : 1);
            var clear = Math.Abs(mean) > 1e-9 * RobustStatistics.StandardDeviation(means);
            var sign = clear ? signs[j] : Math.Sign(Vectors.Dot(vt.Row(j), vectors.Row(j)));
            Close.Absolute(
                Array.ConvertAll(vt.Row(j).ToArray(), v => v * sign), vectors.Row(j).ToArray(), Math.Max(1e-8, 1e-14 * s[0] / gap), $"v{j}");
        }
    }
}
