using Analysis.Importance;
using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Importance;

public sealed class ImportanceGoldenTests
{
    public static TheoryData<string> Files => GoldenFiles.Rows("linear_head_importance*.npz");

    [Theory]
    [MemberData(nameof(Files))]
    public void Golden_LinearHeadImportance(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = torch.NewDisposeScope();
        var u = golden.Matrix("U");
        var v = golden.Tensor("V");
        var w = golden.Tensor("head_W");
        var output = (int)golden.Scalar("cls");
        var bias = golden.Doubles("head_b")[output];
        var g = LinearHeadImportance.Reliability(v, w).Column(output);
        Close.Absolute(golden.Doubles("concept_gradient"), g, 1e-9, "concept_gradient");
        Close.Absolute(golden.Doubles("reliability_g"), g, 1e-9, "reliability_g");

        // A = UV exactly, so nothing is left unexplained and rows sum to the logit minus the bias.
        var outputs = Enumerable.Repeat(output, u.Rows).ToArray();
        var full = LinearHeadImportance.Contributions(u.ToTensor().mm(v), u, v, w, outputs);
        var contributions = new DenseMatrix(u.Rows, u.Columns);
        var logit = golden.Doubles("logit");
        for (var i = 0; i < u.Rows; i++)
        {
            full.Row(i)[..u.Columns].CopyTo(contributions.Row(i));
            Assert.InRange(full[i, u.Columns], -1e-9, 1e-9);
            Assert.Equal(logit[i] - bias, full.Row(i).ToArray().Sum(), 1e-9);
        }

        Close.Absolute(golden.Doubles("contribution"), contributions.Values, 1e-9, "contribution");
        var attributions = new Dictionary<string, DenseMatrix>
        {
            ["gradient"] = LinearHeadImportance.Gradient(u, g),
            ["grad_input"] = LinearHeadImportance.GradientTimesInput(u, g),
            ["integrated_gradients_mean_baseline"] = LinearHeadImportance.IntegratedGradients(u, g, u.ColumnMeans()),
            ["occlusion"] = LinearHeadImportance.GradientTimesInput(u, g),
            ["sobol"] = LinearHeadImportance.SobolTotal(u, g),
            ["rise_p05"] = LinearHeadImportance.Rise(u, g, bias),
        };
        var gradient = torch.tensor(g);
        var subsets = golden.Matrix("mufid_subsets");
        var drops = Faithfulness.Drops(u, subsets, Score);
        Close.Absolute(golden.Doubles("mufid_drop"), drops.Values, 1e-9, "mufid_drop");
        foreach (var name in golden.Names.Where(n => n.StartsWith("att_", StringComparison.Ordinal)).Select(n => n[4..]))
        {
            Assert.True(attributions.TryGetValue(name, out var attribution), $"no estimator for att_{name}");
            Close.Absolute(golden.Doubles("att_" + name), attribution.Values, 1e-9, "att_" + name);
            var deletion = Faithfulness.Deletion(u, attribution, Score);
            var insertion = Faithfulness.Insertion(u, attribution, Score);
            Close.Absolute(golden.Doubles("cdel_" + name), deletion.Area, 1e-9, "cdel_" + name);
            Close.Absolute(golden.Doubles("cins_" + name), insertion.Area, 1e-9, "cins_" + name);
            if (golden.Contains("cdel_curve_" + name))
            {
                Close.Absolute(golden.Doubles("cdel_curve_" + name), deletion.Curves.Values, 1e-9, "cdel_curve_" + name);
                Close.Absolute(golden.Doubles("cins_curve_" + name), insertion.Curves.Values, 1e-9, "cins_curve_" + name);
            }

            Close.Absolute(
                golden.Doubles("mufid_spearman_" + name), Faithfulness.MuFidelity(drops, attribution, subsets), 1e-9, "mufid_spearman_" + name);
            Close.Absolute(
                golden.Doubles("mufid_pearson_" + name),
                Faithfulness.MuFidelity(drops, attribution, subsets, ranked: false),
                1e-9,
                "mufid_pearson_" + name);
        }

        // Removing or inserting by contribution is the best of all orders; the exhaustive search is optional.
        if (golden.Contains("cdel_brute_min"))
        {
            Close.Absolute(golden.Doubles("cdel_brute_min"), Faithfulness.Deletion(u, contributions, Score).Area, 1e-9, "cdel_brute_min");
        }

        if (golden.Contains("cins_brute_max"))
        {
            Close.Absolute(golden.Doubles("cins_brute_max"), Faithfulness.Insertion(u, contributions, Score).Area, 1e-9, "cins_brute_max");
        }

        var summary = LinearHeadImportance.Summarize(contributions);
        Assert.Equal(golden.Ints("most_important"), summary.MostImportant);
        Assert.Equal(golden.Ints("most_important_count"), summary.Counts);
        Assert.Equal(golden.Bools("is_important_ge10"), summary.IsImportant);
        Close.Absolute(golden.Doubles("global_contribution"), summary.MeanContribution, 1e-9, "global_contribution");
        Close.Relative(golden.Doubles("global_share_of_concept_sum"), summary.Share, 1e-9, "global_share_of_concept_sum");
        Close.Absolute(golden.Doubles("global_share_abs"), summary.AbsoluteShare, 1e-9, "global_share_abs");
        var meanLogit = logit.Average();
        Close.Relative(
            golden.Doubles("global_share_signed"), Array.ConvertAll(summary.MeanContribution, m => m / meanLogit), 1e-9, "global_share_signed");
        Close.Absolute(golden.Doubles("prevalence_mean_u"), u.ColumnMeans(), 1e-9, "prevalence_mean_u");
        var vectors = golden.Matrix("V");
        Close.Absolute(
            golden.Doubles("concept_cosine"), Analysis.Concepts.ConceptMatching.Cosines(vectors, vectors).Values, 1e-9, "concept_cosine");
        Close.Absolute(
            golden.Doubles("concept_class_cosine"), LinearHeadImportance.Alignment(vectors, golden.Matrix("head_W")).Values, 1e-9, "class_cosine");

        Tensor Score(Tensor codes) => codes.mv(gradient) + bias;
    }
}
