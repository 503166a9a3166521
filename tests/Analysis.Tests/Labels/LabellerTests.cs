using Analysis.Labels;
using Analysis.Numerics;
using Xunit;

namespace Analysis.Tests.Labels;

public sealed class LabellerTests
{
    [Fact]
    public void OnPureNoiseNextToNothingIsSignificant()
    {
        var labels = Random(new Random(1), 300, 15);
        var found = Labeller.Label(labels, 200, q => Noise(1000 + q, 300), null, null, Options);
        var significant = found.Count(f => f.Significant);
        Assert.True(significant <= 10, $"{significant} of 200");
        // What the search itself believes would be significant far more often: that is why the other half is tested.
        var naive = found.Count(f => f.Auc > 0.55);
        Assert.True(naive > 150, $"{naive} of 200");
        Assert.InRange(found.Average(f => f.HeldOutAuc), 0.47, 0.53);
    }

    [Fact]
    public void APlantedFormulaIsSignificantOnTheOtherHalf()
    {
        var labels = Random(new Random(2), 600, 10);
        var truth = new Formula(new Literal(2, false)).With(Connective.Or, new Literal(5, false)).Evaluate(labels);
        var found = Labeller.Label(
            labels, 20, q => [.. Noise(q, 600).Select((v, i) => v + (q < 10 && LabelMatrix.Contains(truth, i) ? 2 : 0))], null, null, Options);
        Assert.All(found.Take(10), f =>
        {
            Assert.True(f.Significant);
            Assert.True(f.HeldOutAuc > 0.85);
            Assert.Equal(3, f.Steps.Count);
        });
        Assert.True(found.Skip(10).Count(f => f.Significant) <= 1);
    }

    [Fact]
    public void APermutationNullTellsNoiseFromATruth()
    {
        var labels = Random(new Random(4), 200, 6);
        var truth = labels.Column(1).ToArray();
        var found = Labeller.Label(
            labels, 2, q => [.. Noise(q, 200).Select((v, i) => v + (q == 0 && LabelMatrix.Contains(truth, i) ? 2 : 0))], null, null, Options with { Permutations = 39 });
        Assert.Equal(1.0 / 40, found[0].PermutationP);
        Assert.True(found[1].PermutationP > 0.05);
    }

    [Fact]
    public void AUnitThatFollowsAnArtefactInsideAClassIsFlagged()
    {
        var random = new Random(6);
        var classes = Enumerable.Range(0, 800).Select(i => i % 4).ToArray();
        // The mark stands on class 0 most often, and on some of the others.
        var mark = classes.Select(c => random.NextDouble() < (c == 0 ? 0.6 : 0.05)).ToArray();
        var labels = LabelMatrix.Create(800, LabelSources.Classes(classes, ["a", "b", "c", "d"]).Append((new LabelConcept("watermark", "attribute", Artefact: true), mark)));
        var found = Labeller.Label(labels, 2, q => [.. Noise(q, 800).Select((v, i) => v + (q == 0 ? (mark[i] ? 3 : 0) : classes[i] == 0 ? 3 : 0))], null, classes, Options);
        var spurious = Assert.Single(found[0].Spurious);
        Assert.Equal("watermark", labels.Concepts[spurious.Concept].Name);
        Assert.True(spurious.WithinClass > 0.9);
        // A unit of the class itself separates the mark only because the mark stands on the class.
        Assert.Empty(found[1].Spurious);
    }

    [Fact]
    public void GroupsAreNotDivided()
    {
        var groups = Enumerable.Range(0, 101).Select(i => i / 3).ToArray();
        var (searched, held) = Labeller.Split(101, groups, 5);
        Assert.Empty(searched.Select(i => groups[i]).Intersect(held.Select(i => groups[i])));
        Assert.Equal(101, searched.Length + held.Length);
        Assert.InRange(searched.Length, 45, 56);
    }

    [Fact]
    public void TailsBeyondDoublesKeepTheirLogarithm()
    {
        Assert.Equal(Math.Log10(2.866515719235352e-07), SpecialFunctions.Log10UpperTail(5), 1e-9);
        // Φ(−40) = 10^−349.437…
        Assert.Equal(-349.43701, SpecialFunctions.Log10UpperTail(40), 1e-4);
        Assert.Equal(SpecialFunctions.Log10UpperTail(30), SpecialFunctions.Log10UpperTail(30.0000001), 1e-5);
    }

    private static LabellerOptions Options => new() { Search = new LabelSearchOptions { MinimumSupport = 15 }, Parallel = 2 };

    private static LabelMatrix Random(Random random, int samples, int concepts) => LabelMatrix.Create(
        samples, Enumerable.Range(0, concepts).Select(j => (new LabelConcept($"c{j}", "attribute"), Enumerable.Range(0, samples).Select(_ => random.NextDouble() < 0.15).ToArray())));

    private static double[] Noise(int seed, int n)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, n).Select(_ => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble()))];
    }
}
