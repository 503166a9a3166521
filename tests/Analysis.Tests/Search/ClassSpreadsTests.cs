using Analysis.Numerics;
using Analysis.Search;
using Xunit;

namespace Analysis.Tests.Search;

/// <summary>Scores class by class.</summary>
public sealed class ClassSpreadsTests
{
    [Fact]
    public void QuantilesAreThoseOfEachClass()
    {
        // Class 1: 0, 1, …, 20 in disorder; class 0: one value; class 2: none; a sample without a class, and one without a score.
        float[] scores = [.. Enumerable.Range(0, 21).Select(i => (float)(i * 8 % 21)), 7, 100, float.NaN];
        int[] classOf = [.. Enumerable.Repeat(1, 21), 0, -1, 1];
        Assert.Equal(
            [new ClassSpread(0, 1, 7, 7, 7, 7, 7), new ClassSpread(1, 21, 1, 5, 10, 15, 19)],
            ClassSpreads.Of(scores, classOf, 3));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void TheAreaIsThatOfTheMannWhitneyStatisticTiesIncluded(int seed)
    {
        var random = new Random(seed);
        var classOf = Enumerable.Range(0, 500).Select(_ => random.Next(4)).ToArray();
        // Few different values, so that ties are many.
        var scores = classOf.Select(c => (float)random.Next(6) + (c == 2 ? 2 : 0)).ToArray();
        var expected = MannWhitney.Auc(Array.ConvertAll(scores, s => (double)s), [.. classOf.Select(c => c == 2)]);
        Assert.Equal(expected, ClassSpreads.Auc(scores, classOf, 2), 1e-12);
        Assert.True(expected > 0.7);
        Assert.Equal(double.NaN, ClassSpreads.Auc(scores, classOf, 9));
    }
}
