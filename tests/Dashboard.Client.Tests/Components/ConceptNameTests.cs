using Bunit;
using Dashboard.Client.Components;
using Dashboard.Client.Contracts;
using Dashboard.Client.Pages.Atlas;
using Dashboard.Client.Pages.Samples;
using Dashboard.Client.State;
using Xunit;

namespace Dashboard.Client.Tests.Components;

public sealed class ConceptNameTests : BunitContext
{
    private const string Formula = "NOT striped AND (green OR hills OR grass)";
    private static readonly ShortLabel Label = new(Formula, 0.934, "/analyses/a/labels?unit=c7");

    [Fact]
    public void A_label_stands_beside_the_number_and_is_whole_in_the_tooltip()
    {
        var name = Render<ConceptName>(p => p.Add(c => c.Concept, new ConceptCard { Id = 7, Rank = 3, Label = Label })).Find(".concept-name");
        Assert.Equal($"c3 “{Formula}”", name.TextContent);
        Assert.Equal("c3", name.QuerySelector(".own")!.TextContent);
        Assert.Equal(Formula, name.QuerySelector(".given")!.TextContent);
        Assert.Equal($"c3 · {Formula}: label, AUC 0.934 on images that its search did not see", name.GetAttribute("title"));
        Assert.Empty(name.QuerySelectorAll("a"));
    }

    [Fact]
    public void A_persons_name_wins_over_the_label_which_stays_in_the_tooltip()
    {
        ConceptCard named = new() { Id = 7, Rank = 3, Name = "meadow", Label = Label };
        var name = Render<ConceptName>(p => p.Add(c => c.Concept, named).Add(c => c.Link, true)).Find(".concept-name");
        Assert.Equal("meadow", name.TextContent);
        Assert.Contains(Formula, name.GetAttribute("title"), StringComparison.Ordinal);
        Assert.Empty(name.QuerySelectorAll("a"));
        Assert.Equal("meadow", Names.Labelled(named));
        Assert.Equal("meadow", Names.Whole(named));
        Assert.Null(Names.Label(named));
    }

    [Fact]
    public void A_tile_says_c3_where_nobody_named_it()
    {
        var tile = new ConceptTile(7, "c3", 3, 0.4, Label: Label);
        Assert.False(Names.IsNamed(tile));
        Assert.Equal(Formula, Names.Label(tile));
        // What somebody else's rank is called is a name all the same.
        Assert.True(Names.IsNamed(tile with { Name = "c1" }));
        Assert.Equal("c1", Names.Labelled(tile with { Name = "c1" }));
    }

    [Fact]
    public void Without_a_label_the_number_stands_alone()
    {
        var name = Render<ConceptName>(p => p.Add(c => c.Concept, new ConceptTile(7, "c3", 3, 0.4))).Find(".concept-name");
        Assert.Equal("c3", name.TextContent);
        Assert.Equal("c3", name.GetAttribute("title"));
        Assert.Empty(name.QuerySelectorAll(".given"));
    }

    [Fact]
    public void Where_there_is_room_the_label_leads_to_its_evidence()
    {
        var name = Render<ConceptName>(p => p.Add(c => c.Concept, new ConceptTile(7, "c3", 3, 0.4, Label: Label)).Add(c => c.Link, true).Add(c => c.Stacked, true)).Find(".concept-name.stacked");
        Assert.Equal(Label.Evidence, name.QuerySelector("a.given")!.GetAttribute("href"));
    }

    [Fact]
    public void A_waterfall_and_an_atlas_tile_have_the_labels_of_their_concepts()
    {
        ConceptTile tile = new(7, "c3", 3, 0.4, Label: Label);
        var steps = Waterfall.Steps([new(tile, "c3", 2), new(tile with { Id = 8, Rank = 4, Name = "ears" }, "ears", 1), new(null, "bias", 0.5)]);
        var chart = Render<WaterfallChart>(p => p.Add(c => c.AnalysisId, "a").Add(c => c.Steps, steps).Add(c => c.To, "cat"));
        Assert.Equal(["c3 “" + Formula + "”", "ears"], chart.FindAll(".concept-name").Select(name => name.TextContent));

        var card = Render<ClassCard>(p => p.Add(c => c.AnalysisId, "a").Add(c => c.Tile, Samples.Class(0, "cat", strongest: [tile, tile with { Id = 8, Name = "ears" }, tile with { Id = 9, Label = null }])));
        Assert.Equal([Formula, "ears"], card.FindAll(".share .given").Select(label => label.TextContent));
        Assert.Equal([$"Concept c3 “{Formula}”", "Concept ears", "Concept c3"], card.FindAll("img").Select(image => image.GetAttribute("alt")));
    }

    [Fact]
    public void Choices_carry_labels_and_results_that_name_them_by_number_are_called_alike()
    {
        ConceptChoice[] choices = [new("c7", "c3 of cat", "Discovered concepts", new { }, Label), new("n5", "channel 5", "Neurons", new { })];
        Assert.Equal("c3 of cat “NOT striped AND (green OR hills…”", choices[0].Text);
        Assert.Equal("channel 5", choices[1].Text);
        Assert.Equal([choices[0].Text, "channel 5", "concept 8", "stripes"], new[] { "concept 7", "neuron 5", "concept 8", "stripes" }.Select(name => ConceptChoice.Called(name, choices)));
    }

    [Fact]
    public void In_words_long_labels_are_cut_and_short_ones_are_not()
    {
        ConceptTile tile = new(7, "c3", 3, 0.4, Label: Label);
        Assert.Equal("c3 “NOT striped AND (green OR hills…”", Names.Labelled(tile));
        // Not after a word that joins.
        Assert.Equal("c3 “NOT striped AND grass…”", Names.Labelled(tile with { Label = Label with { Text = "NOT striped AND grass AND NOT sky" } }));
        Assert.Equal($"c3 “{Formula}”", Names.Whole(tile));
        Assert.Equal("c3 “striped”", Names.Labelled(tile with { Label = Label with { Text = "striped" } }));
        Assert.Equal("c3 “" + new string('x', 31) + "…”", Names.Labelled(tile with { Label = Label with { Text = new string('x', 40) } }));
        // Beside its class, without it; whole in tooltips.
        var within = tile with { Label = Label with { Text = "cat AND striped", WithinClass = "striped" } };
        Assert.Equal(("c3 “striped”", "c3 “cat AND striped”"), (Names.Labelled(within), Names.Whole(within)));
        Assert.Equal("striped", Render<ConceptName>(p => p.Add(c => c.Concept, within)).Find(".given").TextContent);
        Assert.Equal("channel 12", Names.Channel(12));
        Assert.Equal("channel 12 “striped”", Names.Channel(12, Label with { Text = "striped" }));
    }
}
