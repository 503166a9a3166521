using Analysis.Concepts;
using Analysis.Factorization;
using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Concepts;

public sealed class ConceptsGoldenTests
{
    public static TheoryData<string> Ranking => GoldenFiles.Rows("cdisco_ranking*.npz");

    public static TheoryData<string> Maps => GoldenFiles.Rows("cdisco_maps*.npz");

    public static TheoryData<string> Refinement => GoldenFiles.Rows("concept_refinement*.npz");

    public static TheoryData<string> KMeansFiles => GoldenFiles.Rows("kmeans_*.npz");

    [Theory]
    [MemberData(nameof(Ranking))]
    public void Golden_DirectionRelevance(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = torch.NewDisposeScope();
        var maps = golden.Tensor("conv_maps");
        var loss = golden.Tensor("grad_loss");
        var logit = golden.Tensor("grad_logit");
        var pvh = golden.Tensor("pvh");
        var group = golden.Ints("pred_class");
        var classes = (int)golden["predictions"].Shape[1];
        var orientation = golden.Tensor("orientation");
        Close.Relative(
            golden.Doubles("pooled_relu_loss"), Close.Values(DirectionRelevance.PooledProduct(maps, loss, rectify: true)), 1e-7, "pooled", floor: 1e-6);
        var pooled = maps.flatten(2).mean([2L]);
        Close.Absolute(golden.Doubles("orientation"), Close.Values(pooled.mm(pvh.t()).mean([0L]).sign()), 0, "orientation");

        var official = Score(DirectionRelevance.Official(maps, loss, pvh), group, classes);
        Close.Relative(golden.Doubles("z_official"), official.Values, 1e-7, "z_official");
        var candidates = golden.Matrix("candidates_official");
        for (var k = 0; k < classes; k++)
        {
            // A class that is never predicted has no scores; the published order of its candidates means nothing.
            if (!official.Row(k).ToArray().Any(double.IsNaN))
            {
                Assert.Equal(Array.ConvertAll(candidates.Row(k).ToArray(), v => (int)v), DirectionRelevance.Ranking(official.Row(k)));
            }
        }

        Close.Relative(
            golden.Doubles("z_fixed"), Score(DirectionRelevance.Official(maps, loss, pvh, transposed: true), group, classes).Values, 1e-7, "z_fixed");
        Close.Relative(
            golden.Doubles("z_recommended"),
            Score(DirectionRelevance.Projected(maps, logit, pvh * orientation.unsqueeze(1)), group, classes).Values,
            1e-7,
            "z_recommended");
        Close.Relative(
            golden.Doubles("z_directional"), Score(DirectionRelevance.Directional(maps, logit, pvh), group, classes).Values, 1e-7, "z_directional");
    }

    [Theory]
    [MemberData(nameof(Maps))]
    public void Golden_ConceptMaps(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = torch.NewDisposeScope();
        var pvh = golden.Tensor("pvh");
        var direction = (int)golden.Scalar("direction");
        var vector = golden.Tensor("vector");
        Close.Absolute(golden.Doubles("vector"), Close.Values(pvh[direction]), 1e-12, "vector");
        var expected = golden["upsampled"];
        var ranking = Path.Combine(GoldenFiles.Folder, file.Replace("cdisco_maps", "cdisco_ranking", StringComparison.Ordinal));
        if (File.Exists(ranking))
        {
            var activations = NpzArchive.Open(ranking).Tensor("conv_maps").narrow(0, 0, golden["maps"].Shape[0]);
            Close.Absolute(golden.Doubles("maps"), Close.Values(ConceptMaps.Compute(activations, vector)), 1e-9, "maps");
        }

        var maps = golden.Tensor("maps");
        var upsampled = ConceptMaps.Upsample(maps.unsqueeze(1), (int)expected.Shape[1], (int)expected.Shape[2]).squeeze(1);
        var values = Close.Values(upsampled);
        Close.Absolute(expected.ToDoubles(), values, 1e-9, "upsampled");
        var (masks, th80) = ConceptMaps.PercentileMasks(upsampled, 80);
        Close.Absolute(golden.Doubles("th80"), th80, 1e-9, "th80");
        Close.Absolute(golden.Doubles("th85"), ConceptMaps.PercentileMasks(upsampled, 85).Thresholds, 1e-9, "th85");
        var mask = masks.cpu().data<bool>().ToArray();
        var wanted = golden.Bools("mask80");
        var pixels = (int)(expected.Shape[1] * expected.Shape[2]);
        for (var i = 0; i < mask.Length; i++)
        {
            Assert.True(mask[i] == wanted[i] || Math.Abs(values[i] - th80[i / pixels]) <= 1e-9, $"mask80[{i}]");
        }

        var (channel, cosine) = ConceptMaps.Channels(golden.Matrix("pvh"));
        Assert.Equal(golden.Ints("channel"), channel);
        var alignment = golden.Matrix("alignment");
        Close.Absolute([.. channel.Select((c, j) => alignment[j, c])], cosine, 1e-9, "alignment");
    }

    [Theory]
    [MemberData(nameof(Refinement))]
    public void Golden_ConceptRefinement(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = torch.NewDisposeScope();
        var x = golden.Tensor("X");
        var parameters = golden.Doubles("params");
        using var directions = SingularDirections.FromMatrix(x, 1);
        Close.Absolute(golden.Doubles("direction"), Close.Values(directions.Vectors), 1e-8, "direction");
        var result = ConceptRefinement.Refine(x, golden.Tensor("direction"), new RefinementOptions
        {
            Top = (int)parameters[0],
            CutHeight = parameters[1],
            OutlierSquaredDistance = parameters[2],
            MinimumSize = (int)parameters[3],
        });
        Assert.Equal(golden.Ints("top_index"), result.TopIndex);
        Close.Absolute(golden.Doubles("ward_heights"), [.. result.WardHeights], 1e-8, "ward_heights");
        Assert.Equal((int)golden.Scalar("n_agglomerative"), result.Clusters);
        Close.Absolute(golden.Doubles("kmeans_sqdist"), result.SquaredDistances, 1e-8, "kmeans_sqdist");
        Assert.Equal(golden.Ints("labels"), result.Labels);
        var vectors = golden.Matrix("concept_vectors");
        Assert.Equal(vectors.Rows, result.Concepts.Count);
        for (var c = 0; c < vectors.Rows; c++)
        {
            Close.Absolute(vectors.Row(c).ToArray(), result.Concepts[c].Vector, 1e-8, "concept_vectors");
        }

        Close.Absolute(golden.Doubles("cos_to_direction"), [.. result.Concepts.Select(c => c.CosineToDirection)], 1e-8, "cos_to_direction");
        var found = new DenseMatrix(vectors.Rows, vectors.Columns, [.. result.Concepts.SelectMany(c => c.Vector)]);
        Close.Absolute(golden.Doubles("cos_between"), ConceptMatching.Cosines(found, found).Values, 1e-8, "cos_between");
    }

    [Theory]
    [MemberData(nameof(KMeansFiles))]
    public void Golden_KMeans(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        var x = golden.Matrix("X");
        var initial = golden.Matrix("init");
        Close.Absolute(golden.Doubles("centers_iter1"), KMeans.Lloyd(x, initial, maximumIterations: 1).Centroids.Values, 1e-9, "centers_iter1");
        var strict = KMeans.Lloyd(x, initial, maximumIterations: 10_000, tolerance: 0);
        Close.Absolute(golden.Doubles("centers_strict"), strict.Centroids.Values, 1e-9, "centers_strict");
        Assert.Equal(golden.Ints("labels_strict"), strict.Labels);
        Close.Relative(golden.Doubles("inertia_strict"), [strict.Inertia], 1e-9, "inertia_strict");

        // Where rounding at the tolerance moves the last step, only the fixed point above is comparable.
        var result = KMeans.Lloyd(x, initial);
        if (result.Iterations == (int)golden.Scalar("n_iter"))
        {
            Close.Absolute(golden.Doubles("centers"), result.Centroids.Values, 1e-9, "centers");
            Assert.Equal(golden.Ints("labels"), result.Labels);
            Close.Relative(golden.Doubles("inertia"), [result.Inertia], 1e-9, "inertia");
        }
        else
        {
            Assert.InRange(result.Iterations, (int)golden.Scalar("n_iter") - 1, (int)golden.Scalar("n_iter") + 1);
        }
    }

    private static DenseMatrix Score(Tensor relevance, int[] group, int classes)
    {
        var score = new ClassScore(classes, (int)relevance.shape[1]);
        for (var start = 0; start < group.Length; start += 17)
        {
            var rows = Math.Min(17, group.Length - start);
            score.Add(relevance.narrow(0, start, rows), group.AsSpan(start, rows));
        }

        return score.ZScores();
    }
}
