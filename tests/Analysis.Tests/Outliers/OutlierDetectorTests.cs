using Analysis.Numerics;
using Analysis.Outliers;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Outliers;

/// <summary>The detector on made-up samples of which everything is known.</summary>
public sealed class OutlierDetectorTests
{
    private const int Classes = 3;
    private const int PerClass = 150;
    private const int Channels = 6;
    private const int Grid = 8;
    private const int Wrong = 7;
    private const int Far = 11;
    private const int Black = 13;
    private const int Noisy = 17;
    private const int Copy = 160;
    private const int Copied = 23;
    private const int FirstMarked = 2 * PerClass;
    private const int Marked = 30;

    public OutlierDetectorTests() => set_num_threads(1);

    [Fact]
    public void EachPlantedKindIsFoundWithItsReason()
    {
        using var scope = NewDisposeScope();
        var result = OutlierDetector.Detect(Samples(planted: true));

        Assert.Equal(OutlierKind.Mislabelled, result.Samples[Wrong].Kind);
        Assert.Contains("dog", result.Samples[Wrong].Reason, StringComparison.Ordinal);
        Assert.Contains("labelled cat", result.Samples[Wrong].Reason, StringComparison.Ordinal);
        Assert.Equal(OutlierKind.Foreign, result.Samples[Far].Kind);
        Assert.StartsWith("Far from every class", result.Samples[Far].Reason, StringComparison.Ordinal);
        Assert.Equal(OutlierKind.Corrupted, result.Samples[Black].Kind);
        Assert.StartsWith("Almost black", result.Samples[Black].Reason, StringComparison.Ordinal);
        Assert.Equal(OutlierKind.Corrupted, result.Samples[Noisy].Kind);
        Assert.StartsWith("Noisy", result.Samples[Noisy].Reason, StringComparison.Ordinal);
        Assert.Equal(OutlierKind.Duplicate, result.Samples[Copy].Kind);
        Assert.Contains("filed under cat too", result.Samples[Copy].Reason, StringComparison.Ordinal);

        var marked = Enumerable.Range(FirstMarked, Marked).Count(i => result.Samples[i].Kind == OutlierKind.Confounded);
        Assert.InRange(marked, Marked * 9 / 10, Marked);
        Assert.Contains("at the top left", result.Samples[FirstMarked].Reason, StringComparison.Ordinal);
        Assert.Contains("of 150 ship images", result.Samples[FirstMarked].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void OrdinarySamplesAreHardlyFlagged()
    {
        using var scope = NewDisposeScope();
        var result = OutlierDetector.Detect(Samples(planted: false));
        Assert.InRange(result.Samples.Count(s => s.Kind != OutlierKind.None), 0, Classes * PerClass / 50);
        Assert.DoesNotContain(result.Samples, s => s.Kind == OutlierKind.Confounded);
    }

    [Fact]
    public void RanksFollowScoresAndEveryDetectorIsInRange()
    {
        using var scope = NewDisposeScope();
        var result = OutlierDetector.Detect(Samples(planted: true));
        Assert.Equal(Enumerable.Range(1, Classes * PerClass), result.Samples.Select(s => s.Rank).Order());
        var byRank = result.Samples.OrderBy(s => s.Rank).ToArray();
        Assert.All(byRank.Zip(byRank.Skip(1)), pair => Assert.True(pair.First.Score >= pair.Second.Score));
        Assert.All(result.Samples, s =>
        {
            Assert.InRange(s.Score, 0, 1);
            Assert.Equal(result.DetectorNames.Count, s.Detectors.Count);
            Assert.All(s.Detectors, d => Assert.InRange(d, 0, 1));
            Assert.Equal(s.Kind == OutlierKind.None, s.Reason.Length == 0);
        });
    }

    [Fact]
    public void EqualInputsGiveEqualResults()
    {
        using var scope = NewDisposeScope();
        var first = OutlierDetector.Detect(Samples(planted: true));
        var second = OutlierDetector.Detect(Samples(planted: true));
        Assert.Equal(first.Samples.Select(s => (s.Score, s.Rank, s.Kind, s.Reason)), second.Samples.Select(s => (s.Score, s.Rank, s.Kind, s.Reason)));
    }

    [Fact]
    public void AMarkInEveryClassIsNoShortcut()
    {
        using var scope = NewDisposeScope();
        var result = OutlierDetector.Detect(Samples(planted: true, markEveryClass: true));
        Assert.InRange(result.Samples.Count(s => s.Kind == OutlierKind.Confounded), 0, 2);
    }

    [Theory]
    [InlineData(ShipsShow.AnObjectThatMoves)]
    [InlineData(ShipsShow.AnObjectByDegrees)]
    [InlineData(ShipsShow.ASceneThatFillsTheImage)]
    public void WhatDefinesAClassIsNoShortcut(ShipsShow shown)
    {
        using var scope = NewDisposeScope();
        var result = OutlierDetector.Detect(Samples(planted: false, ships: shown), null, TestContext.Current.CancellationToken);
        Assert.InRange(result.Samples.Count(s => s.Kind == OutlierKind.Confounded), 0, 2);
    }

    [Fact]
    public void TwoMarksInOneClassAreBothFound()
    {
        using var scope = NewDisposeScope();
        var result = OutlierDetector.Detect(Samples(planted: true, ships: ShipsShow.ASecondMark), null, TestContext.Current.CancellationToken);
        Assert.InRange(Enumerable.Range(FirstMarked, 2 * Marked).Count(i => result.Samples[i].Kind == OutlierKind.Confounded), 2 * Marked * 9 / 10, 2 * Marked);
        Assert.Contains("at the top left", result.Samples[FirstMarked].Reason, StringComparison.Ordinal);
        Assert.Contains("at the bottom right", result.Samples[FirstMarked + Marked].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void WithoutClassesDamageIsStillFoundAndNothingIsMislabelled()
    {
        using var scope = NewDisposeScope();
        var input = Samples(planted: true);
        var none = Enumerable.Repeat(-1, input.Class.Count).ToArray();
        var result = OutlierDetector.Detect(input with { Class = none, Label = none, ClassNames = [] });
        Assert.Equal(OutlierKind.Corrupted, result.Samples[Black].Kind);
        Assert.DoesNotContain(result.Samples, s => s.Kind is OutlierKind.Mislabelled or OutlierKind.Confounded);
    }

    [Fact]
    public void FoldersWithoutAnOutputAreJudgedByTheirNeighbours()
    {
        using var scope = NewDisposeScope();
        var input = Samples(planted: true);
        var result = OutlierDetector.Detect(input with { Label = Enumerable.Repeat(-1, input.Class.Count).ToArray() });
        Assert.Equal(OutlierKind.Mislabelled, result.Samples[Wrong].Kind);
        Assert.Contains("nearest neighbours are filed under dog", result.Samples[Wrong].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void OneClassGivesAResult()
    {
        using var scope = NewDisposeScope();
        var input = Samples(planted: true);
        var result = OutlierDetector.Detect(input with
        {
            Class = new int[input.Class.Count],
            Label = Enumerable.Repeat(-1, input.Class.Count).ToArray(),
        });
        Assert.Equal(input.Class.Count, result.Samples.Count);
        Assert.DoesNotContain(result.Samples, s => s.Kind is OutlierKind.Mislabelled or OutlierKind.Confounded);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void AFewSamplesGiveAResult(int count)
    {
        using var scope = NewDisposeScope();
        var result = OutlierDetector.Detect(First(Samples(planted: false), count));
        Assert.Equal(count, result.Samples.Count);
        Assert.All(result.Samples, s => Assert.False(double.IsNaN(s.Score)));
    }

    [Fact]
    public void ValuesThatAreNotNumbersAreContained()
    {
        using var scope = NewDisposeScope();
        var input = Samples(planted: true);
        var logits = input.Logits.clone();
        logits[40] = tensor(float.NaN);
        var pooled = input.Pooled.clone();
        pooled[41, 0] = tensor(float.PositiveInfinity);
        var result = OutlierDetector.Detect(input with { Logits = logits, Pooled = pooled });
        Assert.All(result.Samples, s => Assert.False(double.IsNaN(s.Score)));
        Assert.Equal(OutlierKind.None, result.Samples[40].Kind);
        Assert.Equal(OutlierKind.Mislabelled, result.Samples[Wrong].Kind);

        result = OutlierDetector.Detect(input with { Logits = full_like(logits, Scalars.Of(float.NaN)), Pooled = full_like(pooled, Scalars.Of(float.NaN)) });
        Assert.All(result.Samples, s => Assert.False(double.IsNaN(s.Score)));
        Assert.Equal(OutlierKind.Corrupted, result.Samples[Black].Kind);
    }

    [Fact]
    public void ProgressRisesToOneAndCancellationIsHonoured()
    {
        using var scope = NewDisposeScope();
        var input = Samples(planted: false);
        var seen = new List<double>();
        OutlierDetector.Detect(input, seen.Add, TestContext.Current.CancellationToken);
        Assert.Equal(seen.Order(), seen);
        Assert.Equal(1, seen[^1]);
        Assert.Throws<OperationCanceledException>(() => OutlierDetector.Detect(input, null, new CancellationToken(canceled: true)));
    }

    [Fact]
    public void PartsOfDifferentLengthAreRefused()
    {
        using var scope = NewDisposeScope();
        var input = Samples(planted: false);
        var error = Assert.Throws<ArgumentException>(() => OutlierDetector.Detect(input with { Label = [0] }));
        Assert.Contains("Label has 1 rows", error.Message, StringComparison.Ordinal);
    }

    /// <summary>What the ships' grids show besides noise and the mark.</summary>
    public enum ShipsShow
    {
        Nothing,
        AnObjectThatMoves,
        AnObjectByDegrees,
        ASceneThatFillsTheImage,
        ASecondMark,
    }

    /// <summary>Strength of the pattern at a cell of a ship's grid, the top left of an object being at (top, left).</summary>
    private static double Strength(ShipsShow shown, int ship, int y, int x, int top, int left, double degree) => shown switch
    {
        ShipsShow.AnObjectThatMoves => y - top is >= 0 and < 3 && x - left is >= 0 and < 3 ? 1 : 0,
        ShipsShow.AnObjectByDegrees => y is 3 or 4 && x is 3 or 4 ? degree : 0,
        ShipsShow.ASceneThatFillsTheImage => ship % 4 == 0 && y > 1 ? 1 : 0,
        ShipsShow.ASecondMark => ship is >= Marked and < 2 * Marked && y == Grid - 1 && x == Grid - 1 ? 1 : 0,
        _ => 0,
    };

    /// <summary>
    /// Three classes of 150: pooled activations around three corners, logits that follow them, random grids and pixel
    /// statistics. Planted: a cat that is a dog, a sample far from all, a black and a noisy image, a copy of a cat among the
    /// dogs, and the same mark at the top left of 30 ships.
    /// </summary>
    private static OutlierInput Samples(bool planted, bool markEveryClass = false, ShipsShow ships = ShipsShow.Nothing)
    {
        var random = new SplitMix64(5);
        var places = new SplitMix64(6);
        var n = Classes * PerClass;
        var pooled = new float[n * 8];
        var logits = new float[n * Classes];
        var grid = new float[n * Channels * Grid * Grid];
        var statistics = new float[n * PixelStatistics.Names.Count];
        var hashes = Enumerable.Range(0, n).Select(i => $"{i:x16}").ToArray();
        for (var i = 0; i < n; i++)
        {
            var seen = planted && i == Wrong ? 1 : i / PerClass;
            var far = planted && i == Far;
            for (var d = 0; d < 8; d++)
                pooled[(i * 8) + d] = (float)((d == seen && !far ? 6 : 0) + (far && d >= 3 ? 5 : 0) + (0.7 * random.NextNormal()));
            for (var k = 0; k < Classes; k++)
                logits[(i * Classes) + k] = (float)((far ? -3 : k == seen ? 6 : 0) + random.NextNormal());
            for (var g = 0; g < Channels * Grid * Grid; g++)
                grid[(i * Channels * Grid * Grid) + g] = (float)(random.NextNormal() + (far ? 2 * random.NextNormal() : 0));
            var marked = planted && (markEveryClass ? i % PerClass < Marked : i is >= FirstMarked and < FirstMarked + Marked);
            for (var c = 0; marked && c < Channels; c++)
                grid[(((i * Channels) + c) * Grid * Grid) + Grid + 1] = (float)(2.5 - c + (0.05 * random.NextNormal()));
            var (top, left, degree) = ((int)(places.NextDouble() * 6), (int)(places.NextDouble() * 6), Math.Pow(places.NextDouble(), 3));
            for (var cell = 0; i >= FirstMarked && cell < Grid * Grid; cell++)
            {
                var strength = Strength(ships, i - FirstMarked, cell / Grid, cell % Grid, top, left, degree);
                for (var c = 0; strength > 0 && c < Channels; c++)
                {
                    var at = (((i * Channels) + c) * Grid * Grid) + cell;
                    grid[at] = (float)((grid[at] * (1 - (0.95 * strength))) + ((2.5 - c) * strength));
                }
            }

            Span<double> usual = [0.5, 0.2, 0.15, 0.01, 0.02, 0, 0, 0];
            if (planted && i == Black)
                usual = [0, 0, 0, 0, 0, 1, 0, 1];
            if (planted && i == Noisy)
                usual[PixelStatistics.Noise] = 0.3;
            for (var s = 0; s < usual.Length; s++)
                statistics[(i * usual.Length) + s] = (float)(usual[s] * Math.Exp(0.3 * random.NextNormal()));
        }

        if (planted)
            hashes[Copy] = hashes[Copied];
        var classes = Enumerable.Range(0, n).Select(i => i / PerClass).ToArray();
        return new OutlierInput
        {
            Class = classes,
            ClassNames = ["cat", "dog", "ship"],
            Label = classes,
            OutputNames = ["cat", "dog", "ship"],
            Logits = tensor(logits, [n, Classes]),
            Pooled = tensor(pooled, [n, 8]),
            Residual = Enumerable.Repeat(double.NaN, n).ToArray(),
            Grids = [PlantedSet.Feature(new OutlierDepth("early", Grid), tensor(grid, [n, Channels, Grid, Grid]))],
            PixelStatistics = tensor(statistics, [n, PixelStatistics.Names.Count]),
            PixelStatisticNames = PixelStatistics.Names,
            ContentHash = hashes,
        };
    }

    private static OutlierInput First(OutlierInput input, int count) => input with
    {
        Class = [.. input.Class.Take(count)],
        Label = [.. input.Label.Take(count)],
        Residual = [.. input.Residual.Take(count)],
        ContentHash = [.. input.ContentHash.Take(count)],
        Logits = input.Logits.narrow(0, 0, count),
        Pooled = input.Pooled.narrow(0, 0, count),
        PixelStatistics = input.PixelStatistics.narrow(0, 0, count),
    };
}
