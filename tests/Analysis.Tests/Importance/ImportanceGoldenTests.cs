using Analysis.Importance;
using Analysis.Importance.Estimators;
using Analysis.Numerics;
using TorchSharp;
using Xunit;

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
        var codes = u.ToTensor();
        var v = golden.Tensor("V");
        var w = golden.Tensor("head_W");
        var output = (int)golden.Scalar("cls");
        var biases = golden.Doubles("head_b");
        var bias = biases[output];
        var outputs = Enumerable.Repeat(output, u.Rows).ToArray();
        using var model = new LinearConceptModel(w, golden.Tensor("head_b"), v, null, outputs);
        var reliability = LinearHeadImportance.Reliability(v, w);
        Close.Absolute(golden.Doubles("concept_gradient"), DenseMatrix.FromTensor(model.Effects).Row(0).ToArray(), 1e-9, "concept_gradient");
        Close.Absolute(golden.Doubles("reliability_g"), reliability.Column(output), 1e-9, "reliability_g");

        // A = UV exactly, so nothing is left unexplained and rows sum to the logit minus the bias.
        var logit = golden.Doubles("logit");
        Close.Absolute(logit, DenseMatrix.FromTensor(model.Evaluate(codes, torch.arange(Scalars.Of(0), Scalars.Of(u.Rows), Scalars.One))).Values, 1e-9, "logit");
        var logits = DenseMatrix.FromTensor(codes.mm(v).mm(w.t()).add(golden.Tensor("head_b"), Scalars.One));
        var full = LinearHeadImportance.Contributions(u, reliability, logits, biases, outputs);
        for (var i = 0; i < u.Rows; i++)
        {
            Assert.InRange(full[i, u.Columns], -1e-9, 1e-9);
            Assert.Equal(logit[i] - bias, full.Row(i).ToArray().Sum(), 1e-9);
        }

        var contributions = By("closed-form");
        Close.Absolute(golden.Doubles("contribution"), contributions.Values, 1e-9, "contribution");
        var attributions = new Dictionary<string, DenseMatrix>
        {
            ["gradient"] = By("gradient"),
            ["grad_input"] = By("gradient-input"),
            ["integrated_gradients_mean_baseline"] = DenseMatrix.FromTensor(
                IntegratedGradientsEstimator.Estimate(model, codes, torch.tensor(u.ColumnMeans()).unsqueeze(0), new EstimatorOptions())),
            ["occlusion"] = By("occlusion"),
            ["sobol"] = By("sobol"),
            ["rise_p05"] = By("rise"),
        };
        Close.Absolute(contributions.Values, By("integrated-gradients").Values, 1e-9, "integrated gradients from zero");
        Close.Absolute(contributions.Values, By("shapley").Values, 1e-9, "Shapley values");
        Close.Absolute(attributions["gradient"].Values, By("smoothgrad").Values, 1e-9, "SmoothGrad");
        var subsets = golden.Matrix("mufid_subsets");
        var drops = Faithfulness.Drops(model, codes, subsets);
        Close.Absolute(golden.Doubles("mufid_drop"), drops.Values, 1e-9, "mufid_drop");
        foreach (var name in golden.Names.Where(n => n.StartsWith("att_", StringComparison.Ordinal)).Select(n => n[4..]))
        {
            Assert.True(attributions.TryGetValue(name, out var attribution), $"no estimator for att_{name}");
            Close.Absolute(golden.Doubles("att_" + name), attribution.Values, 1e-9, "att_" + name);
            var deletion = Faithfulness.Deletion(model, codes, attribution);
            var insertion = Faithfulness.Insertion(model, codes, attribution);
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
            Close.Absolute(golden.Doubles("cdel_brute_min"), Faithfulness.Deletion(model, codes, contributions).Area, 1e-9, "cdel_brute_min");
            Close.Absolute(golden.Doubles("cdel_brute_min"), Faithfulness.Oracle(model, codes, insert: false).Area, 1e-9, "oracle of deletion");
        }

        if (golden.Contains("cins_brute_max"))
        {
            Close.Absolute(golden.Doubles("cins_brute_max"), Faithfulness.Insertion(model, codes, contributions).Area, 1e-9, "cins_brute_max");
            Close.Absolute(golden.Doubles("cins_brute_max"), Faithfulness.Oracle(model, codes, insert: true).Area, 1e-9, "oracle of insertion");
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

        DenseMatrix By(string name) => DenseMatrix.FromTensor(ImportanceCatalogue.Get(name).Estimate(model, codes, new EstimatorOptions { BatchRows = 7 }));
    }
}
