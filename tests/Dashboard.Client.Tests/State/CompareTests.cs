using System.Globalization;
using System.Text.Json;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Xunit;

namespace Dashboard.Client.Tests.State;

public sealed class CompareTests
{
    private static readonly CompareQuery Usual = new() { Methods = ["unique", "nmf"], Estimators = ["sobol"] };

    [Fact]
    public void What_is_compared_survives_the_address()
    {
        var query = new CompareQuery
        {
            Tab = "runs", Analysis = "0123456789ab", Methods = ["nmf", "pca"], Components = [5, 40], Granularity = "positions", Estimators = [], Classes = 3, At = 40, Runs = ["0123456789ab", "ba9876543210"],
        };
        var back = CompareQuery.FromQuery(Address(query), Usual);
        Assert.Equal(JsonSerializer.Serialize(query), JsonSerializer.Serialize(back));
        Assert.All(Usual.ToQuery(Usual).Values, Assert.Null);
    }

    [Fact]
    public void What_cannot_be_read_takes_its_default()
    {
        var query = CompareQuery.FromQuery(new Dictionary<string, string?> { ["k"] = "ten,,-3,7", ["classes"] = "many", ["granularity"] = "atoms", ["tab"] = "what" }, Usual);
        Assert.Equal([7], query.Components);
        Assert.Equal((5, "pooled", "methods"), (query.Classes, query.Granularity, query.Tab));
        Assert.Equal(Usual.Methods, query.Methods);
    }

    [Fact]
    public void A_stored_comparison_is_asked_for_by_the_same_parameters()
    {
        var query = Usual with { Analysis = "0123456789ab", Components = [5, 10] };
        var stored = JsonSerializer.SerializeToElement(query.Parameters);
        Assert.Equal(JsonSerializer.Serialize(query), JsonSerializer.Serialize(CompareQuery.FromParameters("0123456789ab", stored)));
    }

    [Fact]
    public void Choices_keep_the_order_of_the_list()
    {
        Assert.Equal(["a", "b", "c"], CompareQuery.Toggle(["a", "c"], "b", ["a", "b", "c"]));
        Assert.Equal(["c"], CompareQuery.Toggle(["a", "c"], "a", ["a", "b", "c"]));
    }

    [Theory]
    [InlineData(true, new[] { 0.5, 0.9, 0.9 }, new[] { 1, 2 })]
    [InlineData(false, new[] { 0.5, 0.9, 0.9 }, new[] { 0 })]
    [InlineData(true, new[] { 0.5, 0.5 }, new int[0])]
    [InlineData(true, new[] { 0.5 }, new int[0])]
    [InlineData(true, new[] { double.NaN, 0.5, 0.2 }, new[] { 1 })]
    public void The_best_is_marked_in_the_direction_of_the_figure_and_never_among_equals(bool higher, double[] values, int[] best) =>
        Assert.Equal(best, ComparisonMetric.Best([.. values.Select(v => (double?)v)], higher));

    [Fact]
    public void Where_a_value_is_ideal_both_sides_of_it_are_worse() =>
        Assert.Equal([1], ComparisonMetric.All.Single(m => m.Ideal is not null).Best([0.7, 0.95, 1.2, null]));

    [Fact]
    public void Estimators_are_ordered_by_what_they_gain_over_chance()
    {
        var faith = new FaithfulnessView
        {
            Estimators =
            [
                new EstimatorFiguresView { Name = "a", Title = "Closed form", DeletionQuality = 0.9, InsertionQuality = 0.8 },
                new EstimatorFiguresView { Name = "b", Title = "Occlusion", DeletionQuality = 0.9, InsertionQuality = 0.8 },
                new EstimatorFiguresView { Name = "c", Title = "TCAV", DeletionQuality = -0.1, InsertionQuality = 0 },
                new EstimatorFiguresView { Name = "oracle", Title = "Oracle", Reference = true, DeletionQuality = 1, InsertionQuality = 1 },
            ],
        };
        Assert.Equal("Closed form and Occlusion order the concepts best: 85% of the way from a random order to the best that can be had. No better than chance: TCAV.", Sentences.Faithfulness(faith));
    }

    private static Dictionary<string, string?> Address(CompareQuery query) =>
        query.ToQuery(Usual).Where(p => p.Value is not null).ToDictionary(p => p.Key, p => Convert.ToString(p.Value, CultureInfo.InvariantCulture));
}
