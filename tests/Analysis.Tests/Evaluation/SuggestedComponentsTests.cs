using Analysis.Evaluation;
using Xunit;

namespace Analysis.Tests.Evaluation;

public sealed class SuggestedComponentsTests
{
    [Fact]
    public void TheBendIsSuggested()
    {
        var suggestion = SuggestedComponents.Choose(Curve([2, 5, 10, 15, 20, 25, 30, 40], k => k <= 20 ? 0.91 * k / 20 : 0.91 + (0.0005 * (k - 20))));
        Assert.Equal(20, suggestion.Components);
        Assert.True(suggestion.IsElbow);
        Assert.Null(suggestion.IsStable);
        Assert.Equal("k = 20 explains 91% of the variance; more adds little.", suggestion.Verdict);
    }

    [Fact]
    public void AStraightCurveHasNoBend()
    {
        var suggestion = SuggestedComponents.Choose(Curve([2, 4, 6, 8, 10], k => 0.05 * k));
        Assert.Equal(10, suggestion.Components);
        Assert.False(suggestion.IsElbow);
        Assert.Contains("still rises", suggestion.Verdict, StringComparison.Ordinal);
    }

    [Fact]
    public void ABendThatLeavesMuchSaysSo()
    {
        var suggestion = SuggestedComponents.Choose(Curve([1, 2, 4, 8, 16, 32, 64], k => 0.2 * Math.Log2(k) / 1.5));
        Assert.True(suggestion.IsElbow);
        Assert.Contains("k = 64 would explain 80%", suggestion.Verdict, StringComparison.Ordinal);
    }

    [Fact]
    public void FewerStableConceptsArePreferred()
    {
        var curve = Curve([5, 10, 20, 30, 40], k => k <= 20 ? 0.9 * k / 20 : 0.9 + (0.0005 * (k - 20)), k => k <= 10 ? 0.97 : 0.6);
        var suggestion = SuggestedComponents.Choose(curve);
        Assert.Equal(10, suggestion.Components);
        Assert.True(suggestion.IsStable);
        Assert.False(suggestion.IsElbow);
        Assert.Contains("k = 20 explains more, but its concepts change from fit to fit", suggestion.Verdict, StringComparison.Ordinal);

        var none = SuggestedComponents.Choose(Curve([5, 10, 20, 30, 40], k => Math.Min(0.9, 0.045 * k), _ => 0.5));
        Assert.Equal(20, none.Components);
        Assert.False(none.IsStable);
        Assert.Contains("No number that was tried is stable", none.Verdict, StringComparison.Ordinal);
    }

    [Fact]
    public void UndefinedCurvesSuggestNothing()
    {
        Assert.Null(SuggestedComponents.Choose([]).Components);
        Assert.Null(SuggestedComponents.Choose([new ComponentPoint(3, double.NaN, double.NaN)]).Components);
        var byError = SuggestedComponents.Choose([new(2, double.NaN, 0.8), new(4, double.NaN, 0.3), new(8, double.NaN, 0.28)]);
        Assert.Equal(4, byError.Components);
        Assert.Equal("k = 4 leaves 30% of an activation unexplained; more adds little.", byError.Verdict);
        Assert.Equal(7, SuggestedComponents.Choose([new ComponentPoint(7, 0.4, 0.5)]).Components);
    }

    private static ComponentPoint[] Curve(int[] numbers, Func<int, double> explained, Func<int, double>? stability = null) =>
        [.. numbers.Select(k => new ComponentPoint(k, explained(k), Math.Sqrt(Math.Max(0, 1 - explained(k))), stability?.Invoke(k) ?? double.NaN))];
}
