using Analysis.Search;
using Xunit;

namespace Analysis.Tests.Search;

public sealed class PlacingTests
{
    [Fact]
    public void A_place_is_the_number_of_strictly_higher_scores()
    {
        var random = new Random(5);
        var scores = Enumerable.Range(0, 3000).Select(_ => (float)(Math.Round(random.NextDouble() * 40) - 20) / (random.Next(3) + 1)).ToArray();
        scores[7] = float.NegativeInfinity;
        scores[8] = float.PositiveInfinity;
        scores[9] = -0f;
        scores[10] = 0f;
        scores[11] = float.Epsilon;
        scores[12] = -float.Epsilon;
        Assert.Equal(scores.Select(s => scores.Count(other => other > s)), Placing.Of(scores).Above);
    }

    [Fact]
    public void What_is_no_number_stands_below_everything()
    {
        Assert.Equal([1, 3, 0, 2, 3], Placing.Of([1, float.NaN, 2, float.NegativeInfinity, float.NaN]).Above);
        Assert.Empty(Placing.Of([]).Above);
    }
}
