using Analysis.Importance;
using Analysis.Importance.Estimators;
using Analysis.Numerics;
using Analysis.Tests.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Importance;

public sealed class EstimatorTests
{
    public EstimatorTests() => torch.set_num_threads(1);

    public static TheoryData<string> Names => [.. ImportanceCatalogue.All.Select(e => e.Info.Name)];

    /// <summary>Estimators that must find what a planted head uses; those blind to size are tested by themselves.</summary>
    [Theory]
    [InlineData("gradient-input")]
    [InlineData("integrated-gradients")]
    [InlineData("occlusion")]
    [InlineData("shapley")]
    [InlineData("sobol")]
    [InlineData("hsic")]
    [InlineData("rise")]
    [InlineData("gradient")]
    [InlineData("smoothgrad")]
    public void Concepts_that_a_head_uses_outweigh_those_it_does_not(string name)
    {
        using var scope = torch.NewDisposeScope();
        // Of eight concepts the head uses three, one of them through a bend: softplus(3u₁ + 2u₄) + 1.5u₆.
        var model = new FunctionModel(8, u => ((u.select(1, 1) * Scalars.Of(3)).add(u.select(1, 4) * Scalars.Of(2), Scalars.One)).exp().log1p().add(u.select(1, 6) * Scalars.Of(1.5), Scalars.One));
        var codes = Planted.Normal(3, 12, 8).ToTensor().abs().add(Scalars.Of(0.5), Scalars.One);
        var phi = DenseMatrix.FromTensor(ImportanceCatalogue.Get(name).Estimate(model, codes, new EstimatorOptions { Seed = 1 }));
        for (var i = 0; i < phi.Rows; i++)
        {
            Assert.Equal([1, 4, 6], Ranks.Descending(phi.Row(i)).Take(3).Order());
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Equal_seeds_give_equal_values_and_positions_with_equal_codes_count_as_one(string name)
    {
        if (name is ClosedFormEstimator.Name)
        {
            return;
        }

        using var scope = torch.NewDisposeScope();
        var model = new FunctionModel(12, u => (u.pow(Scalars.Of(2)) * arange(Scalars.Of(1), Scalars.Of(13), Scalars.One)).sum([1L]).sqrt());
        var codes = Planted.Normal(5, 4, 12).ToTensor().abs().add(Scalars.Of(0.1), Scalars.One);
        var estimator = ImportanceCatalogue.Get(name);
        var options = new EstimatorOptions { Seed = 3, Draws = 16, BatchRows = 50 };
        var once = DenseMatrix.FromTensor(estimator.Estimate(model, codes, options));
        Assert.Equal((4, 12), (once.Rows, once.Columns));
        Assert.Equal(once.Values, DenseMatrix.FromTensor(estimator.Estimate(model, codes, options)).Values);
        Assert.True(model.Largest <= 50, $"{model.Largest} rows at once");
        if (name == "smoothgrad")
        {
            return; // each position has noise of its own
        }

        var spread = DenseMatrix.FromTensor(estimator.Estimate(model, codes.unsqueeze(1).expand(4, 3, 12), options));
        Close.Absolute(once.Values, spread.Values, 1e-9, name);
    }

    [Fact]
    public void Integrated_gradients_and_Shapley_values_add_up_to_the_logit()
    {
        using var scope = torch.NewDisposeScope();
        foreach (var k in new[] { 6, 14 })
        {
            var w = Planted.Normal(7, 9, k).ToTensor();
            var model = new FunctionModel(k, u => (u.mm(w.t())).exp().log1p().sum([1L]));
            var codes = Planted.Normal(8, 10, k).ToTensor().abs();
            var expected = DenseMatrix.FromTensor(model.Evaluate(codes, arange(Scalars.Of(0), Scalars.Of(10), Scalars.One)) - model.Evaluate(zeros_like(codes), arange(Scalars.Of(0), Scalars.Of(10), Scalars.One))).Values;
            foreach (var (name, tolerance) in new[] { ("integrated-gradients", 2e-3), ("shapley", 1e-9) })
            {
                var phi = ImportanceCatalogue.Get(name).Estimate(model, codes, new EstimatorOptions());
                Close.Absolute(expected, DenseMatrix.FromTensor(phi.sum([1L])).Values, tolerance, $"{name}, {k} concepts");
            }
        }
    }

    [Fact]
    public void Sampled_Shapley_values_share_an_interaction_fairly()
    {
        using var scope = torch.NewDisposeScope();
        // 12 concepts are too many for all subsets: u₀u₁ belongs to both by half, 3u₂ to one.
        var model = new FunctionModel(12, u => (u.select(1, 0) * u.select(1, 1)).add(u.select(1, 2) * Scalars.Of(3), Scalars.One));
        var codes = ones(2, 12) * Scalars.Of(2);
        var phi = DenseMatrix.FromTensor(ImportanceCatalogue.Get("shapley").Estimate(model, codes, new EstimatorOptions()));
        Close.Absolute([2, 2, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0], phi.Row(1).ToArray(), 1e-9);
    }

    [Fact]
    public void Rise_over_all_masks_equals_its_closed_form()
    {
        using var scope = torch.NewDisposeScope();
        var g = Planted.Normal(11, 1, 6).ToTensor().reshape(6);
        var codes = Planted.Normal(12, 5, 6).ToTensor().abs();
        var model = new FunctionModel(6, u => u.mv(g).add(Scalars.Of(0.4), Scalars.One));
        var phi = DenseMatrix.FromTensor(ImportanceCatalogue.Get("rise").Estimate(model, codes, new EstimatorOptions()) * Scalars.Of(32 + 1e-4) / Scalars.Of(32));
        var exact = LinearHeadImportance.Rise(DenseMatrix.FromTensor(codes * g), [0.4, 0.4, 0.4, 0.4, 0.4]);
        Close.Absolute(exact.Values, phi.Values, 1e-9);
        Assert.Equal(5 * 64, model.Evaluated);
    }

    [Fact]
    public void Sobol_indices_do_not_depend_on_a_concepts_place()
    {
        using var scope = torch.NewDisposeScope();
        // Twenty equal concepts: the truth is 0.05 each. Plain Halton points give the last less than half of it.
        var model = new FunctionModel(20, u => u.sum([1L]));
        var codes = ones(1, 20);
        var scrambled = DenseMatrix.FromTensor(ImportanceCatalogue.Get("sobol").Estimate(model, codes, new EstimatorOptions { Draws = 1024 }));
        Assert.All(scrambled.Values, s => Assert.InRange(s, 0.048, 0.052));
        var usual = DenseMatrix.FromTensor(ImportanceCatalogue.Get("sobol").Estimate(model, codes, new EstimatorOptions()));
        Assert.All(usual.Values, s => Assert.InRange(s, 0.035, 0.065));
        var halton = DenseMatrix.FromTensor(SobolTotalEstimator.Estimate(model, codes, SobolDesign.Halton(20, 32), new EstimatorOptions()));
        Assert.InRange(halton[0, 19], 0.001, 0.002);
        Assert.InRange(halton.Values.Sum(), 0.1, 0.2);
    }

    [Fact]
    public void A_logit_that_ignores_all_concepts_gives_them_no_importance()
    {
        using var scope = torch.NewDisposeScope();
        var model = new FunctionModel(5, u => (u * Scalars.Of(0)).sum([1L]).add(Scalars.Of(3), Scalars.One));
        var codes = ones(2, 5);
        foreach (var name in new[] { "gradient", "gradient-input", "integrated-gradients", "smoothgrad", "occlusion", "shapley", "sobol", "hsic", "tcav" })
        {
            var phi = DenseMatrix.FromTensor(ImportanceCatalogue.Get(name).Estimate(model, codes, new EstimatorOptions()));
            Assert.All(phi.Values, v => Assert.Equal(0, v));
        }
    }

    [Fact]
    public void Hsic_of_an_independent_output_is_near_zero_and_of_a_copy_large()
    {
        var masks = BinaryMasks.Create(12, 500, seed: 2);
        var y = masks.Column(3);
        var score = HsicEstimator.Score(masks, y, 1, MaskKernel.Binary, normalise: true);
        Assert.Equal(1, score[3], 1e-9);
        Assert.All(score.Where((_, i) => i != 3), s => Assert.InRange(s, 0, 0.05));
    }

    [Fact]
    public void Hsic_refuses_more_masks_than_it_could_compare()
    {
        using var scope = torch.NewDisposeScope();
        var model = new FunctionModel(14, u => u.sum([1L]));
        var fault = Assert.Throws<AnalysisException>(() => ImportanceCatalogue.Get("hsic").Estimate(model, ones([1, 14], ScalarType.Float64), new EstimatorOptions { Draws = 100_000 }));
        Assert.Contains("at most 5000", fault.Message);
    }

    [Fact]
    public void SmoothGrad_is_the_gradient_averaged_over_a_cloud_of_its_width()
    {
        using var scope = torch.NewDisposeScope();
        // A kink at 1: where the code lies z widths beyond it, the slope is 1 for the share Φ(z) of the cloud and 0 for the rest.
        var model = new FunctionModel(2, u => (u.select(1, 0) - Scalars.Of(1)).relu());
        var codes = tensor(new[] { 1.2, 0, 1, 0, 0.8, 0 }, [3, 2]);
        var phi = DenseMatrix.FromTensor(ImportanceCatalogue.Get("smoothgrad").Estimate(model, codes, new EstimatorOptions { Seed = 2, Draws = 4000 }));
        Close.Absolute([0.8413, 0.5, 0.1587], phi.Column(0), 0.03, "share of the cloud beyond the kink");
        Assert.All(phi.Column(1), v => Assert.Equal(0, v));
    }

    [Fact]
    public void The_closed_form_refuses_a_head_that_is_not_linear()
    {
        using var codes = ones(1, 2);
        var failure = Assert.Throws<AnalysisException>(
            () => ImportanceCatalogue.Get("closed-form").Estimate(new FunctionModel(2, u => u.sum([1L])), codes, new EstimatorOptions()));
        Assert.Contains("integrated-gradients", failure.Message);
        Assert.Contains("occlusion", Assert.Throws<AnalysisException>(() => ImportanceCatalogue.Get("nonsense")).Message);
    }

    [Fact]
    public void The_tcav_estimator_marks_concepts_that_raise_the_logit()
    {
        using var scope = torch.NewDisposeScope();
        var model = new FunctionModel(3, u => u.select(1, 0) - (u.select(1, 1) * Scalars.Of(2)));
        var phi = DenseMatrix.FromTensor(ImportanceCatalogue.Get("tcav").Estimate(model, ones(2, 3), new EstimatorOptions()));
        Assert.Equal([1.0, 0, 0, 1, 0, 0], phi.Values);
    }

    [Fact]
    public void Tcav_tells_a_concept_that_matters_from_one_that_does_not()
    {
        using var scope = torch.NewDisposeScope();
        // Gradients that lean along the first axis and are random in the others.
        var gradients = Planted.Normal(17, 200, 10);
        for (var i = 0; i < gradients.Rows; i++)
        {
            gradients[i, 0] += 2;
        }

        var scores = Tcav.Test(gradients.ToTensor(), eye(10, dtype: ScalarType.Float64), seed: 1, directions: 100);
        Assert.InRange(scores[0].Score, 0.95, 1);
        Assert.True(scores[0].PSign < 1e-20);
        Assert.All(scores.Skip(1), s => Assert.InRange(s.Score, 0.4, 0.6));
        Assert.All(scores.Skip(1), s => Assert.True(s.PSign > 1e-3 && s.PRandom > 0.05));
        Assert.True(scores[0].PRandom < scores.Skip(1).Min(s => s.PRandom));

        // The same gradient for every image (a linear head): random directions do vary, by 0 or 1.
        var constant = Tcav.Test(ones(30, 10), eye(10), seed: 1);
        Assert.Equal(1, constant[0].Score);
        Assert.Equal(Math.Pow(0.5, 29), constant[0].PSign, 1e-12);
        Assert.True(constant[0].PRandom > 0.05);
    }

    [Theory]
    [InlineData(2, 10, 0.109375)]
    [InlineData(5, 10, 1)]
    [InlineData(10, 10, 0.001953125)]
    [InlineData(33, 100, 0.000873719)]
    [InlineData(0, 0, 1)]
    public void Sign_tests_match_the_tables(int successes, int trials, double p) => Assert.Equal(p, TailProbability.SignTest(successes, trials), 1e-8);

    [Theory]
    [InlineData(2.228138852, 10, 0.05)]
    [InlineData(12.70620474, 1, 0.05)]
    [InlineData(0, 7, 1)]
    [InlineData(-3.169272667, 10, 0.01)]
    public void Student_t_matches_the_tables(double t, double degrees, double p) => Assert.Equal(p, TailProbability.StudentT(t, degrees), 1e-8);

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    [InlineData(10, 3)]
    [InlineData(25, 8)]
    public void Subsets_of_concepts_have_one_size_so_that_an_offset_of_an_attribution_does_not_matter(int concepts, int size)
    {
        var subsets = Faithfulness.Subsets(concepts, 64, seed: 4);
        for (var i = 0; i < subsets.Rows; i++)
        {
            Assert.Equal(size, subsets.Row(i).ToArray().Sum());
        }

        using var scope = torch.NewDisposeScope();
        var model = new FunctionModel(concepts, u => (u * arange(Scalars.Of(1), Scalars.Of(concepts + 1), Scalars.One)).sum([1L]));
        var codes = ones([1, concepts], ScalarType.Float64);
        var offset = new DenseMatrix(1, concepts, [.. Enumerable.Range(1, concepts).Select(i => i + 1000.0)]);
        var fidelity = Faithfulness.MuFidelity(Faithfulness.Drops(model, codes, subsets), offset, subsets)[0];
        Assert.Equal(concepts == 1 ? 0 : 1, fidelity, 9);
    }

    [Fact]
    public void Curves_of_many_images_and_concepts_come_in_parts_that_do_not_show()
    {
        using var scope = torch.NewDisposeScope();
        const int K = 64, N = 1100;
        var model = new FunctionModel(K, u => u.sum([1L]));
        var codes = Planted.Normal(13, N, K);
        var (deletion, insertion) = (Faithfulness.Deletion(model, codes.ToTensor(), codes), Faithfulness.Insertion(model, codes.ToTensor(), codes));
        var oracle = Faithfulness.Oracle(model, codes.ToTensor().narrow(0, 0, 3), insert: false);
        for (var i = 0; i < N; i++)
        {
            double[] sorted = [.. codes.Row(i).ToArray().OrderDescending()];
            var (left, added) = (sorted.Sum(), 0.0);
            for (var step = 0; step <= K; step++)
            {
                Assert.Equal(left, deletion.Curves[i, step], 1e-9);
                Assert.Equal(added, insertion.Curves[i, step], 1e-9);
                if (i < 3)
                {
                    Assert.Equal(left, oracle.Curves[i, step], 1e-9);
                }

                (left, added) = step < K ? (left - sorted[step], added + sorted[step]) : (left, added);
            }
        }
    }

    [Fact]
    public void Sobol_points_fill_every_elementary_interval_of_each_dimension_and_pairs_evenly()
    {
        foreach (int? seed in new int?[] { null, 9 })
        {
            var points = SobolSequence.Points(256, 40, seed);
            for (var d = 0; d < 40; d++)
            {
                Assert.Equal(256, points.Column(d).Select(x => (int)(x * 256)).Distinct().Count());
            }

            // A box of a quarter of each of two dimensions holds a sixteenth of the points, in the worst pair at most twice that.
            for (var a = 0; a < 40; a++)
            {
                for (var b = 0; b < a; b++)
                {
                    var most = Enumerable.Range(0, 256).GroupBy(i => ((int)(points[i, a] * 4), (int)(points[i, b] * 4))).Max(g => g.Count());
                    Assert.InRange(most, 16, 32);
                }
            }
        }

        var scrambled = SobolSequence.Points(1024, 3, seed: 1);
        Assert.NotEqual(0, scrambled[0, 0]);
        Assert.NotEqual(scrambled.Values, SobolSequence.Points(1024, 3, seed: 2).Values);
        Assert.Equal(scrambled.Values, SobolSequence.Points(1024, 3, seed: 1).Values);
        Assert.Equal([0, 0.5, 0.75, 0.25], SobolSequence.Points(4, 1).Values);
    }
}
