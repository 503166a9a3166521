using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Xunit;

namespace Dashboard.Client.Tests.State;

public sealed class WaterfallTests
{
    private static readonly ContributionView[] Contributions =
    [
        new(Samples.Tile(0, 0.1), "small", 0.1, 0.2), new(Samples.Tile(1, 0.5), "large", 3, 1), new(Samples.Tile(2, -0.3), "against", -1.5, 0.5),
        new(Samples.Tile(3, 0.05), "tiny", 0.05, 0.1), new(null, "unexplained", 0.4, 0.1), new(null, "bias", -0.2, 0),
    ];

    [Fact]
    public void Steps_add_up_to_the_sum_of_all_contributions()
    {
        var steps = Waterfall.Steps(Contributions, largest: 2);
        Assert.Equal(Contributions.Sum(c => c.Value), steps[^1].To, 12);
        Assert.Equal(0, steps[0].From);
        Assert.All(steps.Zip(steps.Skip(1)), pair => Assert.Equal(pair.First.To, pair.Second.From));
    }

    [Fact]
    public void Largest_first_small_ones_gathered_unexplained_and_bias_last() =>
        Assert.Equal(["large", "against", "2 smaller concepts", "unexplained", "bias"], Waterfall.Steps(Contributions, largest: 2).Select(s => s.Name));

    [Fact]
    public void A_single_small_concept_keeps_its_name() => Assert.Contains(Waterfall.Steps(Contributions, largest: 3), s => s.Name == "tiny");

    [Fact]
    public void Gathering_keeps_the_runner_ups_part()
    {
        var gathered = Waterfall.Steps(Contributions, largest: 2)[2];
        Assert.Equal(0.15, gathered.Value, 12);
        Assert.Equal(0.3, gathered.Against!.Value, 12);
    }

    [Fact]
    public void The_axis_holds_every_running_sum_and_zero()
    {
        var (from, to) = Waterfall.Range(Waterfall.Steps([new(Samples.Tile(0, 0), "a", -2), new(null, "bias", 1)]));
        Assert.Equal((-2, 0), (from, to));
        Assert.Equal((0, 1), Waterfall.Range([]));
    }
}
