using System.Text.Json;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Xunit;

namespace Dashboard.Client.Tests.State;

public sealed class LabelQueryTests
{
    private static readonly UnitView[] Units =
    [
        new() { Kind = "neuron", Index = 0, Label = "round", HeldOutAuc = 0.9 },
        new() { Kind = "neuron", Index = 1, Label = "Striped AND red", HeldOutAuc = 0.8, Significant = true },
        new() { Kind = "concept", Index = 2, Concept = 12, ClassName = "zucchini", Label = "striped", HeldOutAuc = 0.05, Significant = true, Spurious = [new ArtefactView("brightness", 0.9, null)] },
        new() { Kind = "concept", Index = 3, Concept = 13, ClassName = "zucchini" },
    ];

    [Theory]
    [InlineData(null, null, "c12 n1 n0 c13")]
    [InlineData("striped", null, "c12 n1")]
    [InlineData("RED striped", null, "n1")]
    [InlineData("zucchini", null, "c12 c13")]
    [InlineData("neuron 1", null, "n1")]
    [InlineData(null, "neurons", "n1 n0")]
    [InlineData(null, "concepts", "c12 c13")]
    [InlineData(null, "significant", "c12 n1")]
    [InlineData("striped", "flagged", "c12")]
    [InlineData("nowhere", null, "")]
    public void Units_are_found_by_words_and_kind_clearest_significant_label_first(string? search, string? show, string keys) =>
        Assert.Equal(keys, string.Join(' ', LabelQuery.Filter(Units, search, show).Select(u => u.Key)));

    [Fact]
    public void A_persons_name_is_the_title_of_its_unit_which_is_found_by_name_and_code()
    {
        var labels = new LabelView { Units = Units }.Named(new Dictionary<int, string> { [13] = "long and green" });
        Assert.Equal(["neuron 0", "neuron 1", "c2 of zucchini", "long and green"], labels.Units.Select(u => u.Title));
        Assert.Equal("c3 of zucchini", labels.Units[3].Code);
        Assert.Equal("c13", Assert.Single(LabelQuery.Filter(labels.Units, "GREEN", null)).Key);
        Assert.Equal("c13", Assert.Single(LabelQuery.Filter(labels.Units, "c3 zucchini", null)).Key);
        // The labels themselves are lent to all viewers.
        Assert.All(Units, unit => Assert.Null(unit.Name));
    }

    [Theory]
    [InlineData(null, null, null, "classes,hierarchy,attributes,metadata", 3, false)]
    [InlineData("attributes,classes", 1, true, "classes,attributes", 1, true)]
    [InlineData("nonsense", 9, false, "classes,hierarchy,attributes,metadata", 3, false)]
    [InlineData("metadata,nonsense", 0, null, "metadata", 3, false)]
    public void What_the_address_cannot_mean_becomes_the_default(string? sources, int? length, bool? negative, string source, int longest, bool low) =>
        Assert.Equal(new LabelQuery(source, longest, low), LabelQuery.From(sources, length, negative));

    [Fact]
    public void A_source_is_added_in_its_fixed_place_and_taken_away()
    {
        var query = LabelQuery.From("metadata,classes", null, null);
        Assert.Equal(["classes", "attributes", "metadata"], query.Toggle("attributes"));
        Assert.Equal(["metadata"], query.Toggle("classes"));
        Assert.Empty(LabelQuery.From("classes", null, null).Toggle("classes"));
    }

    [Theory]
    [InlineData("{\"sources\":[\"classes\"],\"length\":5,\"negative\":true,\"beam\":3}", "/analyses/a/labels?unit=n4&sources=classes&length=5&negative=true")]
    [InlineData("{}", "/analyses/a/labels?unit=n4")]
    [InlineData("{\"sources\":\"classes\",\"length\":\"5\"}", "/analyses/a/labels?unit=n4")]
    [InlineData("[]", "/analyses/a/labels?unit=n4")]
    public void A_stored_task_has_the_address_that_finds_it_again(string parameters, string address) =>
        Assert.Equal(address, LabelQuery.From(JsonDocument.Parse(parameters).RootElement).Address("a", "n4"));

    [Fact]
    public void Uses_count_each_significant_label_once_per_concept()
    {
        var labels = new LabelView
        {
            Concepts = [new("red", "attribute", 50, false), new("striped", "attribute", 40, false), new("round", "attribute", 60, false)],
            Units =
            [
                new() { Significant = true, Literals = [new(1, false, false), new(0, false, false), new(1, true, true)] },
                new() { Significant = true, Literals = [new(1, false, false)] },
                new() { Significant = false, Literals = [new(2, false, false)] },
            ],
        };
        Assert.Equal([("striped", 2), ("red", 1), ("round", 0)], LabelQuery.Uses(labels).Select(u => (u.Concept.Name, u.Used)));
    }
}
