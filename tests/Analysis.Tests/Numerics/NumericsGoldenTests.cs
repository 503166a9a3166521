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
        var rank = golden.Contains("rank") ? (int)golden.Scalar("rank") : s.Length;

        using var direct = SingularDirections.FromMatrix(x);
        Assert.Equal(rank, direct.Rank);
        Close.Relative(s[..rank], Close.Values(direct.Values), 1e-10, "S", floor: 0);
        CompareDirections(x, s, vt, signs, rank, direct, 1e-8);
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

        // The streamed form: the same values and directions from batches, while they stand clear of the rounding of squares.
        using var moments = new SecondMoments((int)x.shape[1]);
        for (long start = 0; start < x.shape[0]; start += 7)
        {
            moments.Add(x.narrow(0, start, Math.Min(7, x.shape[0] - start)));
        }

        using var streamed = SingularDirections.FromSecondMoments(moments);
        Assert.Equal(rank, streamed.Rank);
        Close.Relative(s[..rank], Close.Values(streamed.Values), 1e-10, "streamed S", floor: 0);
        CompareDirections(x, s, vt, signs, rank, streamed, 1e-8);
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
        Tensor x, double[] s, DenseMatrix vt, double[] signs, int rank, SingularDirections actual, double tolerance)
    {
        var vectors = DenseMatrix.FromTensor(actual.Vectors);
        for (var j = 0; j < rank; j++)
        {
            // Equal neighbours leave only their span determined.
            var single = (j == 0 || s[j - 1] - s[j] > 1e-6 * s[j - 1]) && (j == s.Length - 1 || s[j] - s[j + 1] > 1e-6 * s[j]);
            if (single)
            {
                Close.Absolute(Array.ConvertAll(vt.Row(j).ToArray(), v => v * signs[j]), vectors.Row(j).ToArray(), tolerance, $"v{j}");
            }
        }

        // Oriented: no mean projection is negative beyond rounding.
        using var means = x.mm(actual.Vectors.t()).mean([0L]);
        Assert.All(Close.Values(means), m => Assert.True(m > -1e-12));
    }
}
