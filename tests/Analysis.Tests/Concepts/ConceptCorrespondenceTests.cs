using Analysis.Concepts;
using Analysis.Numerics;
using Xunit;

namespace Analysis.Tests.Concepts;

public sealed class ConceptCorrespondenceTests
{
    private static readonly int[] Order = [3, 0, 4, 1, 2];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void ConceptsThatWerePermutedTurnedRoundAndScaledAreAllFoundAgain(bool fewerInFirst)
    {
        // The second analysis: the concepts of the first in another order, of other lengths and signs, with a little noise.
        var first = Random(5, 16, seed: 1);
        var second = Mixed(first, sign: -1, noise: 0.02);
        var similarity = fewerInFirst ? ConceptMatching.Cosines(first.Take([0, 1, 2, 3]), second) : ConceptMatching.Cosines(first, second);
        var pairs = ConceptCorrespondence.Match(similarity, 0.9, ignoreSign: true);
        Assert.Equal(fewerInFirst ? 4 : 5, pairs.Count);
        Assert.All(pairs, pair => Assert.Equal(pair.First, Order[pair.Second]));
        Assert.All(pairs, pair => Assert.InRange(pair.Similarity, -1.0000001, -0.99));
        // Where the sign means something, an opposite concept is another one.
        Assert.Empty(ConceptCorrespondence.Match(similarity, 0.9));
    }

    [Fact]
    public void AConceptThatIsMissingInTheSecondHasNoCounterpart()
    {
        var first = Random(5, 16, seed: 2);
        var second = Mixed(first, sign: 1, noise: 0).Take([0, 1, 3, 4]);
        var pairs = ConceptCorrespondence.Match(ConceptMatching.Cosines(first, second), 0.9);
        Assert.Equal([0, 1, 2, 3], pairs.Select(pair => pair.First));
        Assert.Equal(4, Order[2]);
    }

    [Fact]
    public void ConceptsOfSpacesThatCannotBeComparedAreFoundByWhatTheyRespondTo()
    {
        // Coefficients of 60 samples: the second ones are shifted and scaled, which vectors of another layer may well do.
        var first = Random(60, 5, seed: 3);
        var second = new DenseMatrix(60, 4);
        var noise = new Random(9);
        for (var i = 0; i < 60; i++)
        {
            for (var j = 0; j < 4; j++)
            {
                second[i, j] = 7 + ((j + 1) * 3 * first[i, Order[j]]) + (0.1 * (noise.NextDouble() - 0.5));
            }
        }

        var pairs = ConceptCorrespondence.Match(ConceptCorrespondence.Correlations(first, second), 0.5);
        Assert.Equal([(0, 1), (1, 3), (3, 0), (4, 2)], pairs.Select(pair => (pair.First, pair.Second)));
        Assert.All(pairs, pair => Assert.InRange(pair.Similarity, 0.99, 1.0000001));
    }

    [Fact]
    public void CorrelationsAreThoseOfPearson()
    {
        var (first, second) = (Random(30, 3, seed: 4), Random(30, 4, seed: 5));
        var correlations = ConceptCorrespondence.Correlations(first, second);
        for (var i = 0; i < 3; i++)
        {
            for (var j = 0; j < 4; j++)
            {
                Assert.Equal(Ranks.Pearson(first.Column(i), second.Column(j)), correlations[i, j], 1e-12);
            }
        }

        var constant = new DenseMatrix(30, 1, [.. Enumerable.Repeat(2.0, 30)]);
        Assert.Equal([0, 0, 0], ConceptCorrespondence.Correlations(first, constant).Column(0));
        Assert.Throws<ArgumentException>(() => ConceptCorrespondence.Correlations(first, Random(29, 2, seed: 6)));
    }

    [Fact]
    public void CorrelationsOfCoefficientsInFilesAreThoseOfTheMatrices()
    {
        // The files hold more samples than both have in common, in different orders; one column is constant.
        float[] first = [.. Random(40, 3, seed: 7).Values.Select(value => (float)value)];
        float[] second = [.. Random(50, 4, seed: 8).Values.Select((value, at) => at % 4 == 2 ? 0.5f : (float)value)];
        int[] own = [.. Enumerable.Range(5, 30)], others = [.. Enumerable.Range(0, 30).Select(i => (i * 7) % 50)];
        var expected = ConceptCorrespondence.Correlations(Rows(first, 3, own), Rows(second, 4, others));
        var found = ConceptCorrespondence.Correlations(first, 3, own, second, 4, others);
        for (var i = 0; i < 3; i++)
        {
            for (var j = 0; j < 4; j++)
            {
                Assert.Equal(expected[i, j], found[i, j], 1e-12);
            }
        }

        Assert.Throws<ArgumentException>(() => ConceptCorrespondence.Correlations(first, 3, own, second, 4, [0]));

        static DenseMatrix Rows(float[] values, int columns, int[] rows) =>
            new(rows.Length, columns, [.. rows.SelectMany(row => values[(row * columns)..((row + 1) * columns)]).Select(value => (double)value)]);
    }

    [Fact]
    public void APairThatIsNotAlikeTakesNothingFromOneThatIs()
    {
        // The largest plain sum would be 0.5 + 0.85, neither of which is alike.
        var similarity = new DenseMatrix(2, 2, [0.95, 0.85, 0.5, 0]);
        Assert.Equal([new ConceptCounterpart(0, 0, 0.95)], ConceptCorrespondence.Match(similarity, 0.9));
        Assert.Equal([new ConceptCounterpart(0, 1, 0.85), new ConceptCounterpart(1, 0, 0.5)], ConceptCorrespondence.Match(similarity, 0.4));
        Assert.Empty(ConceptCorrespondence.Match(new DenseMatrix(0, 3), 0.9));
        Assert.Empty(ConceptCorrespondence.Match(new DenseMatrix(3, 0), 0.9));
    }

    // Critical values of r at 5%, two-sided, from any table: n = 10 and n = 30; a tenth of 5% for n = 12.
    [Theory]
    [InlineData(10, 1, 0.632)]
    [InlineData(30, 1, 0.361)]
    [InlineData(12, 10, 0.750)]
    [InlineData(4, 1, 1)]
    public void TheLeastCorrelationIsTheCriticalValueOfTheTTest(int samples, int pairs, double critical) =>
        Assert.Equal(critical, ConceptCorrespondence.LeastCorrelation(samples, pairs), 0.002);

    [Fact]
    public void TheShiftOfImportanceIsTheShareThatLiesElsewhere()
    {
        ConceptCounterpart[] both = [new(0, 1, 1), new(1, 0, 1)];
        // Scale does not count: 2 and 1 are 67% and 33%, as are 0.2 and 0.1.
        Assert.Equal(0, ConceptCorrespondence.ImportanceShift([2, 1], [0.1, 0.2], both)!.Value, 1e-12);
        Assert.Equal(0.25, ConceptCorrespondence.ImportanceShift([0.5, 0.5], [0.25, 0.75], both)!.Value, 1e-12);
        // 30% of the first is lost and as much of the second is gained.
        Assert.Equal(0.3, ConceptCorrespondence.ImportanceShift([0.7, 0.3], [0.7, 0.3], [new(0, 0, 1)])!.Value, 1e-12);
        Assert.Equal(1, ConceptCorrespondence.ImportanceShift([0.7, 0.3], [0.7, 0.3], [])!.Value, 1e-12);
        // A concept that speaks against the class instead of for it has moved by all it has.
        Assert.Equal(1, ConceptCorrespondence.ImportanceShift([1], [-1], [new(0, 0, 1)])!.Value, 1e-12);
        Assert.Null(ConceptCorrespondence.ImportanceShift([0, 0], [1], []));
        Assert.Null(ConceptCorrespondence.ImportanceShift([], [1], []));
    }

    [Fact]
    public void TheStrongestSamplesInCommonAreCounted()
    {
        Assert.Equal(2, ConceptCorrespondence.SharedTop([9, 8, 7, 1, 0, 2], [5, 0, 6, 1, 7, 2], 3));
        Assert.Equal(6, ConceptCorrespondence.SharedTop([9, 8, 7, 1, 0, 2], [5, 0, 6, 1, 7, 2], 10));
        // Nothing shows the second: the first samples stand for any.
        Assert.Equal(1, ConceptCorrespondence.SharedTop([0, 3, 2], [0, 0, 0], 2));
    }

    private static DenseMatrix Mixed(DenseMatrix first, int sign, double noise)
    {
        var random = new Random(8);
        var second = new DenseMatrix(Order.Length, first.Columns);
        for (var i = 0; i < Order.Length; i++)
        {
            for (var c = 0; c < first.Columns; c++)
            {
                second[i, c] = sign * (i + 1) * (first[Order[i], c] + (noise * (random.NextDouble() - 0.5)));
            }
        }

        return second;
    }

    private static DenseMatrix Random(int rows, int columns, int seed)
    {
        var random = new Random(seed);
        var result = new DenseMatrix(rows, columns);
        for (var i = 0; i < result.Values.Length; i++)
        {
            result.Values[i] = random.NextDouble() - 0.5;
        }

        return result;
    }
}
