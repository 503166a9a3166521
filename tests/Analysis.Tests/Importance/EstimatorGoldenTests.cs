using Analysis.Importance;
using Analysis.Importance.Estimators;
using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Importance;

public sealed class EstimatorGoldenTests
{
    public static TheoryData<string> MlpFiles => GoldenFiles.Rows("mlp_head_importance*.npz");

    public static TheoryData<string> SobolFiles => GoldenFiles.Rows("sobol*.npz");

    public static TheoryData<string> HsicFiles => GoldenFiles.Rows("hsic*.npz");

    [Theory]
    [MemberData(nameof(MlpFiles))]
    public void Golden_MlpHeadImportance(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = torch.NewDisposeScope();
        var codes = golden.Tensor("U");
        var k = (int)codes.shape[1];
        var (w1, b1, w2, b2) = (golden.Tensor("W1"), golden.Tensor("b1"), golden.Tensor("w2"), golden.Scalar("b2"));
        var model = new FunctionModel(k, u => (u.mm(w1.t()).add(b1, Scalars.One)).exp().log1p().mv(w2).add(Scalars.Of(b2), Scalars.One));
        Close.Absolute(golden.Doubles("logit"), DenseMatrix.FromTensor(model.Evaluate(codes, arange(Scalars.Of(0), Scalars.Of(codes.shape[0]), Scalars.One))).Values, 1e-8, "logit");
        var masks = golden.Matrix("sobol_masks");
        var points = masks.Rows / (k + 2);
        var design = new SobolDesign(masks.Take([.. Enumerable.Range(0, points)]), masks.Take([.. Enumerable.Range(points, points)]));
        var without = masks.Take([.. Enumerable.Range(0, points), .. Enumerable.Range(2 * points, k * points)]);
        Close.Absolute(without.Values, design.Masks().Values, 1e-12, "design");
        var options = new EstimatorOptions { BatchRows = 333 };
        var attributions = new Dictionary<string, Tensor>
        {
            ["gradient"] = By("gradient"),
            ["grad_input"] = By("gradient-input"),
            ["integrated_gradients"] = By("integrated-gradients"),
            ["smoothgrad"] = SmoothGradEstimator.Estimate(model, codes, golden.Tensor("smoothgrad_noise"), options),
            ["occlusion"] = By("occlusion"),
            ["rise"] = RiseEstimator.Estimate(model, codes, golden.Matrix("rise_masks"), options),
            ["sobol"] = SobolTotalEstimator.Estimate(model, codes, design, options),
            ["shapley_exact"] = By("shapley"),
        };
        foreach (var name in golden.Names.Where(n => n.StartsWith("att_", StringComparison.Ordinal)).Select(n => n[4..]))
        {
            Assert.True(attributions.TryGetValue(name, out var attribution), $"no estimator for att_{name}");
            var phi = DenseMatrix.FromTensor(attribution);
            var tolerance = name == "sobol" ? 1e-5 : 1e-8;
            Close.Absolute(golden.Doubles("att_" + name), phi.Values, tolerance, "att_" + name);
            Close.Absolute(golden.Doubles("cdel_" + name), Faithfulness.Deletion(model, codes, phi, 100).Area, 1e-8, "cdel_" + name);
            Close.Absolute(golden.Doubles("cins_" + name), Faithfulness.Insertion(model, codes, phi, 100).Area, 1e-8, "cins_" + name);
        }

        Tensor By(string name) => ImportanceCatalogue.Get(name).Estimate(model, codes, options);
    }

    [Theory]
    [MemberData(nameof(SobolFiles))]
    public void Golden_Sobol(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        foreach (var (tag, outputs) in new[] { ("ishigami_halton", "ishigami_y_halton"), ("ishigami_sobolseq", "ishigami_y_sobolseq"), ("gfun_halton", "gfun_y") })
        {
            Check(tag, golden.Doubles(outputs), 0.05);
        }

        // The published default: 32 plain Halton points.
        var c = golden.Doubles("linear_c");
        var masks = golden.Matrix("linear_masks_halton32");
        var design = SobolDesign.Halton(c.Length, masks.Rows / (c.Length + 2));
        var plain = masks.Take([.. Enumerable.Range(0, design.A.Rows)]);
        Close.Absolute(plain.Values, design.A.Values, 1e-6, "Halton points");
        Close.Absolute(masks.Take([.. Enumerable.Range(design.A.Rows, design.A.Rows)]).Values, design.B.Values, 1e-6, "second design");
        Check("linear_halton32", [.. Enumerable.Range(0, masks.Rows).Select(i => Vectors.Dot(masks.Row(i), c) + 0.7)], double.PositiveInfinity);

        // Our own scrambled points come as near to the truth as the reference's.
        var truth = golden.Doubles("linear_scrambled_sobol1024_truth");
        var own = SobolDesign.Scrambled(c.Length, 1024, seed: 4).Masks();
        var found = SobolTotalEstimator.Jansen([.. Enumerable.Range(0, own.Rows).Select(i => Vectors.Dot(own.Row(i), c))], 1024);
        Close.Absolute(truth, found, 0.002, "scrambled Sobol points");

        void Check(string tag, double[] y, double toTruth)
        {
            var expected = golden.Doubles(tag + "_jansen");
            var points = y.Length / (expected.Length + 2);
            var indices = SobolTotalEstimator.Jansen([.. y.Take(points), .. y.Skip(2 * points)], points);
            Close.Relative(expected, indices, 1e-5, tag);
            Close.Absolute(golden.Doubles(tag + "_truth"), indices, toTruth, tag + " against the truth");
        }
    }

    [Theory]
    [MemberData(nameof(HsicFiles))]
    public void Golden_Hsic(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        foreach (var (kernel, tag, design) in new[]
        {
            (MaskKernel.Binary, "binary", "binary"), (MaskKernel.Gaussian, "rbf", "uniform"), (MaskKernel.Sobolev, "sobolev", "uniform"),
        })
        {
            var y = golden.Doubles("y_" + design);
            Assert.Equal(golden.Scalar("width_y_" + design), RobustStatistics.Percentile(y, 50), 1e-5);
            var scores = HsicEstimator.Score(golden.Matrix("masks_" + design), y, golden.Scalar("width_y_" + design), kernel, normalise: false);
            var expected = golden.Doubles("hsic_" + tag);
            for (var i = 0; i < expected.Length; i++)
            {
                Assert.True(Math.Abs(expected[i] - scores[i]) <= Math.Max(1e-4, 1e-3 * expected[i]), $"hsic_{tag}[{i}]: expected {expected[i]}, got {scores[i]}");
            }
        }
    }
}

/// <summary>Any function of the coefficients as a concept model; positions count by their mean.</summary>
internal sealed class FunctionModel(int concepts, Func<Tensor, Tensor> function) : IConceptModel
{
    /// <summary>Rows evaluated so far.</summary>
    public long Evaluated { get; private set; }

    /// <summary>Most rows in one call.</summary>
    public long Largest { get; private set; }

    public int Concepts => concepts;

    public Tensor Evaluate(Tensor codes, Tensor images)
    {
        Evaluated += codes.shape[0];
        Largest = Math.Max(Largest, codes.shape[0]);
        return function(codes.dim() == 3 ? codes.mean([1L]) : codes);
    }
}
