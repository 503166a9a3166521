using Analysis.Search;
using Xunit;

namespace Analysis.Tests.Search;

public sealed class RowProductsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    [InlineData(64)]
    [InlineData(131)]
    public void ProductsAreThoseOfTheDefinitionHoweverManyVectorsThereAre(int channels)
    {
        const int count = 5, first = 3;
        var random = new Random(channels);
        float[] Draw(int length) => [.. Enumerable.Range(0, length).Select(_ => (float)(random.NextDouble() - 0.5))];
        var rows = Draw(count * channels);
        float[][] vectors = [.. Enumerable.Range(0, 7).Select(_ => Draw(channels))];
        var together = Compute(rows, vectors);
        for (var q = 0; q < vectors.Length; q++)
        {
            for (var i = 0; i < count; i++)
            {
                var expected = Enumerable.Range(0, channels).Sum(c => (double)rows[(i * channels) + c] * vectors[q][c]);
                Assert.Equal(expected, together[q][first + i], 1e-5);
            }

            // Whichever others are asked for beside it: places of samples that are nearly alike must not change with the question.
            Assert.Equal(together[q], Compute(rows, [vectors[q]])[0]);
            Assert.Equal(together[q], Compute(rows, [vectors[q], vectors[0]])[0]);
        }

        float[][] Compute(float[] of, float[][] with)
        {
            var products = with.Select(_ => new float[first + count]).ToArray();
            RowProducts.Compute(of, channels, with, products, first);
            Assert.All(products, p => Assert.All(p[..first], value => Assert.Equal(0, value)));
            return products;
        }
    }

    [Fact]
    public void AVectorOfAnotherLengthIsRefused() =>
        Assert.Throws<ArgumentException>(() => RowProducts.Compute(new float[8], 4, [new float[3]], [new float[2]], 0));
}
