using Analysis.Atlas;
using Xunit;

namespace Analysis.Tests.Concepts;

/// <summary>Which concepts lead to a wrong answer.</summary>
public sealed class ConfusionPullsTests
{
    [Fact]
    public void AConceptPullsByWhatItAddsToTheWrongAnswerOverItsOwn()
    {
        // Five images of class 0 with two concepts; the second and third are taken for 4, the fourth for 2.
        var arrays = new ClassArrays
        {
            Sample = [10, 11, 12, 13, 14],
            Layout = new float[10],
            Strategy = new int[5],
            Strongest = new int[5],
            Predicted = [0, 4, 4, 2, 0],
            Target = [0, 0, 0, 0, 0],
            RunnerUp = [4, 4, 4, 2, 2],
            Concepts = 2,
            MapHeight = 0,
            MapWidth = 0,
            Contributions = [5, 1, 0, 1, 2, 0.5f, 3, 0, 0.5f, 0, 0, 0, 9, 9, 9],
            Against = [9, 9, 9, 4, 1, 0, 5, 1, 1, 7, 7, 7, 0, 0, 0],
            MapScale = new float[2],
            Maps = default,
            Vectors = [],
        };
        // (4 − 1 + 5 − 3) / 2, (1 − 2 + 1 − 0) / 2, (0 − 0.5 + 1 − 0.5) / 2.
        Assert.Equal([2.5, 0, 0], ConfusionPulls.Of(arrays, 4));
        Assert.Equal([7, 7, 7], ConfusionPulls.Of(arrays, 2));
        Assert.Empty(ConfusionPulls.Of(arrays, 3));
        Assert.Empty(ConfusionPulls.Of(arrays, 0));
    }
}
