using System.Runtime.Intrinsics;
using Analysis.Numerics;
using Analysis.Outliers.Detectors;
using Xunit;

namespace Analysis.Tests.Numerics;

public sealed class LaneKernelTests
{
    [Fact]
    public void PowersAreRightToFourDigits()
    {
        for (var x = 1e-9f; x < 1e9f; x *= 1.37f)
        {
            foreach (var b in new[] { 0.895f, 0.5f, 1.6f })
            {
                var expected = Math.Pow(x, b);
                Assert.Equal(1, Lanes8.Power(Vector256.Create(x), b).GetElement(3) / expected, 1e-4);
            }
        }
    }

    [Fact]
    public void NearestRowsDoNotDependOnThreadsAndKeepTheOrderOfEqualOnes()
    {
        // Ten rows occur three times each: equal distances come by number, however the work is divided.
        var rows = Planted.Normal(3, 301, 7);
        for (var i = 0; i < 20; i++)
        {
            rows.Row(i % 10).CopyTo(rows.Row(100 + (i * 7)));
        }

        var values = Array.ConvertAll(rows.Values, v => (float)v);
        var (index, squared) = NearestRows.Find(values, values, 7, 12, excludeSelf: true, threads: 1);
        var (again, _) = NearestRows.Find(values, values, 7, 12, excludeSelf: true, threads: 4);
        Assert.Equal(index, again);
        for (var i = 0; i < 301; i++)
        {
            var expected = Enumerable.Range(0, 301).Where(j => j != i)
                .Select(j => (Row: j, Distance: Enumerable.Range(0, 7).Sum(c => Math.Pow((double)values[(i * 7) + c] - values[(j * 7) + c], 2))))
                .OrderBy(p => p.Distance).ThenBy(p => p.Row).Take(12).ToArray();
            for (var j = 0; j < 12; j++)
            {
                Assert.Equal(expected[j].Row, index[(i * 12) + j]);
                Assert.Equal(expected[j].Distance, squared[(i * 12) + j], 1e-4);
            }
        }
    }

    [Fact]
    public void RowsThatAreNoNumbersAreNobodysNeighbours()
    {
        var values = new float[] { 0, 1, float.NaN, 2, 3 };
        var (index, squared) = NearestRows.Find(values, values, 1, 4, excludeSelf: true, threads: 1);
        Assert.Equal([1, 3, 4, 2], index[..4]);
        Assert.Equal(float.PositiveInfinity, squared[3]);
    }

    [Fact]
    public void CellsAreComparedWithTheMiddleOfTheNearestOfEachPart()
    {
        const int Cells = 3, Rows = 42, Channels = 5, Parts = 3;
        var random = new SplitMix64(4);
        var values = new float[Cells * Rows * Channels];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = (float)random.NextNormal();
        }

        var references = new CellReferences(values, Cells, Rows, Channels, Parts, threads: 2);
        var without = new[] { 4, 11, 12 };
        var itself = Enumerable.Range(0, Rows).Select(references.Place).ToArray();
        var near = references.Nearest(values, itself, references.Without(without), threads: 2);
        for (var cell = 0; cell < Cells; cell++)
        {
            for (var query = 0; query < Rows; query++)
            {
                var parts = Enumerable.Range(0, Parts)
                    .Select(p => Enumerable.Range(0, Rows).Where(r => r % Parts == p && r != query && !without.Contains(r)).Min(r => Distance(cell, query, r)))
                    .Order().ToArray();
                Assert.Equal(parts[1], near[(cell * Rows) + query], 1e-4);
            }
        }

        double Distance(int cell, int a, int b) => Math.Sqrt(Enumerable.Range(0, Channels)
            .Sum(c => Math.Pow(values[(((cell * Rows) + a) * Channels) + c] - values[(((cell * Rows) + b) * Channels) + c], 2)));
    }
}
