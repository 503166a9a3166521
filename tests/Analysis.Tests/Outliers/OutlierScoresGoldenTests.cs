using Analysis.Numerics;
using Analysis.Outliers;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Outliers;

public sealed class OutlierScoresGoldenTests
{
    public static TheoryData<string> Files => GoldenFiles.Rows("outlier_scores*.npz");

    [Theory]
    [MemberData(nameof(Files))]
    public void Golden_OutlierScores(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = torch.NewDisposeScope();
        var x = golden.Tensor("X");
        var rows = golden.Matrix("X");
        var label = golden.Ints("label");
        var scores = new Dictionary<string, double[]>
        {
            ["mahalanobis2_ledoitwolf"] = ClassDistances.SquaredMahalanobis(x, label, smallestClass: 0),
            ["robust_mad_distance"] = ClassDistances.Robust(rows, label),
            ["centroid_margin"] = ClassDistances.CentroidMargin(x, label),
        };

        // The number of neighbours is part of the arrays' names: lof10, knn10_kth.
        foreach (var name in golden.Names)
        {
            var digits = new string([.. name.SkipWhile(char.IsLetter).TakeWhile(char.IsDigit)]);
            if (digits.Length > 0 && (name.StartsWith("lof", StringComparison.Ordinal) || name.StartsWith("knn", StringComparison.Ordinal)))
            {
                var k = int.Parse(digits, System.Globalization.CultureInfo.InvariantCulture);
                var table = NearestNeighbours.Within(x, k);
                scores[name] = name.StartsWith("lof", StringComparison.Ordinal) ? NeighbourScores.LocalOutlierFactor(table)
                    : name.EndsWith("_kth", StringComparison.Ordinal) ? NeighbourScores.Kth(table, k)
                    : name.EndsWith("_mean", StringComparison.Ordinal) ? NeighbourScores.Mean(table, k)
                    : NeighbourScores.LabelDisagreement(table, label, k);
            }
        }

        Assert.True(scores.Count >= 7);
        foreach (var (name, values) in scores)
        {
            Close.Absolute(golden.Doubles(name), values, 1e-8, name);
            Close.Absolute(
                golden.Doubles("auroc_" + name),
                [MannWhitney.Auc(values, golden.Bools("is_outlier")), MannWhitney.Auc(values, golden.Bools("is_mislabel"))],
                1e-9,
                "auroc_" + name);
        }

        var shrinkage = label.Distinct().Order().Select(c =>
        {
            var own = rows.Take([.. Enumerable.Range(0, label.Length).Where(i => label[i] == c)]).ToTensor();
            return ClassDistances.LedoitWolf(own - own.mean([0L], keepdim: true)).Shrinkage;
        });
        Close.Absolute(golden.Doubles("ledoitwolf_shrinkage"), [.. shrinkage], 1e-8, "shrinkage");
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void Golden_GaussianMixture(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        var label = golden.Ints("label");
        var wanted = (int)golden.Scalar("gmm_class");
        var rows = golden.Matrix("X").Take([.. Enumerable.Range(0, label.Length).Where(i => label[i] == wanted)]);
        var fit = GaussianMixture.Fit(rows, golden.Matrix("gmm_means_init"));
        Close.Absolute(golden.Doubles("gmm_means"), fit.Means.Values, 1e-4, "gmm_means");
        Close.Absolute(golden.Doubles("gmm_weights"), fit.Weights, 1e-4, "gmm_weights");
        Close.Absolute(golden.Doubles("gmm_covariances"), [.. fit.Covariances.SelectMany(c => c.Values)], 1e-3, "gmm_covariances");
        Close.Absolute(golden.Doubles("gmm_loglik"), fit.LogDensity(rows), 1e-3, "gmm_loglik");
    }
}
