using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Xunit;

namespace Dashboard.Client.Tests.State;

public sealed class PairSentencesTests
{
    private static readonly PairView View = new() { First = Samples.Analysis() with { Layer = "layer3" }, Second = Samples.Analysis() with { Name = "Other" }, Least = 0.9 };

    [Fact]
    public void Concepts_are_counted_over_the_classes_that_could_be_matched()
    {
        var view = View with { Classes = [Row(10, 8, 7, true), Row(10, 10, 10, true), Row(5, 5, 0, null) with { Problem = "Too few images." }] };
        Assert.Equal("In all 2 classes the most important concept is the same. 17 of 20 concepts of “Shapes” are found again in “Other”; 3 are lost and 1 gained.", PairSentences.Concepts(view));
        view = view with { Second = view.First, Classes = [Row(1, 1, 1, false)] };
        Assert.Equal("The most important concept is another one. 1 of 1 concept of the first is found again in the second; none are lost and none gained.", PairSentences.Concepts(view));
        Assert.Equal("In no class could concepts be matched.", PairSentences.Concepts(view with { Classes = [] }));
    }

    [Fact]
    public void Images_are_told_by_what_is_known_of_them()
    {
        Assert.StartsWith("No image is in both", PairSentences.Images(View), StringComparison.Ordinal);
        var view = View with { Common = 400, FirstSide = new(0.95, 3), SecondSide = new(0.94, 1), Changed = 12, Mended = 4, Broken = 1 };
        Assert.Equal("Accuracy falls from 95.0% to 94.0% on the 400 images that both saw. 12 predictions differ: 4 turn right, 1 turns wrong. Flagged as outliers: 3 in the first, 1 in the second.", PairSentences.Images(view));
        Assert.StartsWith("Accuracy is the same on the 400 images that both saw: 95.0%. Every one of them", PairSentences.Images(view with { SecondSide = new(0.95004, 1), Changed = 0 }), StringComparison.Ordinal);
        // Without labels nothing is right or wrong.
        Assert.StartsWith("1 prediction of the 400 images that both saw differs. Flagged", PairSentences.Images(view with { FirstSide = new(null, 3), SecondSide = new(null, 1), Changed = 1 }), StringComparison.Ordinal);
    }

    [Fact]
    public void The_measure_is_named_with_its_reason()
    {
        Assert.Contains("Both look at layer3 of the same network", PairSentences.Measure(View), StringComparison.Ordinal);
        Assert.DoesNotContain("sign", PairSentences.Measure(View), StringComparison.Ordinal);
        var other = View with { Measure = MatchMeasure.Correlation, Apart = "layers", SignIgnored = true };
        Assert.StartsWith("They look at different layers", PairSentences.Measure(other), StringComparison.Ordinal);
        Assert.EndsWith("The sign is ignored, since one of the methods leaves it open.", PairSentences.Measure(other), StringComparison.Ordinal);
        Assert.StartsWith("They look at different networks", PairSentences.Measure(other with { Apart = "networks" }), StringComparison.Ordinal);
        Assert.StartsWith("They found concepts by different methods", PairSentences.Measure(other with { Apart = "methods" }), StringComparison.Ordinal);
        // Of recorded activations nobody knows the network.
        var recorded = View.First with { HasNetwork = false };
        Assert.StartsWith("Both rest on the same recorded activations", PairSentences.Measure(View with { First = recorded, Second = recorded }), StringComparison.Ordinal);
        Assert.StartsWith("One rests on recorded activations", PairSentences.Measure(other with { Apart = "networks", Second = recorded }), StringComparison.Ordinal);
        Assert.StartsWith("Both look at layer3 of the same network, by different methods", PairSentences.Measure(View with { Second = View.Second with { Method = "nmf" } }), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0.0004, "0")]
    [InlineData(-0.0004, "0")]
    [InlineData(0.0006, "+0.1")]
    [InlineData(-0.125, "−12.5")]
    public void Differences_are_percentage_points(double difference, string text) => Assert.Equal(text, PairSentences.Points(difference));

    private static PairedClass Row(int first, int second, int matched, bool? same) =>
        new() { Name = "n", DisplayName = "n", FirstConcepts = first, SecondConcepts = second, Matched = matched, SameStrongest = same };
}
