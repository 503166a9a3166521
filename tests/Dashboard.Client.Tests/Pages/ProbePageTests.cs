using System.Text.Json;
using Bunit;
using Dashboard.Client.Components;
using Dashboard.Client.Contracts;
using Dashboard.Client.Pages.Probes;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dashboard.Client.Tests.Pages;

/// <summary>Defining concepts, tagging for them, and what their probes say.</summary>
public sealed class ProbePageTests : AnalysisPageContext
{
    public ProbePageTests()
    {
        Fakes.View = new AtlasView { Analysis = Samples.Analysis(), Classes = [Samples.Class(0, "cat"), Samples.Class(1, "dog"), Samples.Class(2, "ox, old")] };
    }

    [Fact]
    public void Classes_are_chosen_in_the_address_and_the_concept_is_kept_with_what_they_mean()
    {
        var navigation = Navigate($"/analyses/{Id}/probes/new");
        var page = Render<DefinePage>(p => p.Add(d => d.Id, Id));
        Assert.Null(Concepts.Asked);
        Assert.True(page.Find("button.primary").HasAttribute("disabled"));
        page.FindAll("fieldset input[type=checkbox]")[2].Change(true);
        Assert.EndsWith("classes=2", navigation.Uri);
        page.FindAll("fieldset input[type=checkbox]")[0].Change(true);
        page.WaitForAssertion(() => Assert.Equal(["cat", "ox, old"], Concepts.Asked!.Classes));
        Assert.Equal("classes", Concepts.Asked!.Source);

        // Positives, negatives, and what is kept of each for testing.
        page.WaitForAssertion(() => Assert.Equal(["12", "8", "4", "28", "20", "8"], page.FindAll("[data-testid=draft-counts] td.right").Select(c => c.TextContent)));
        Assert.Contains("right in 70%", page.Markup);

        page.Find("[data-testid=concept-name]").Input("cattle");
        page.Find("form.keep").Submit();
        Assert.Equal("cattle", Concepts.Kept.Single().Name);
        Assert.EndsWith($"/analyses/{Id}/probes/000000000001", navigation.Uri);
    }

    [Fact]
    public void A_one_sided_definition_says_why_and_cannot_be_kept()
    {
        Concepts.Preview = new ConceptPreview { Positives = 40, Known = 40, Problem = "Every image lies in the chosen classes. Leave at least one class out." };
        Navigate($"/analyses/{Id}/probes/new?classes=0,1,2");
        var page = Render<DefinePage>(p => p.Add(d => d.Id, Id));
        page.WaitForAssertion(() => Assert.Equal("Every image lies in the chosen classes. Leave at least one class out.", page.Find("[data-testid=one-sided]").TextContent));
        Assert.True(page.Find("form.keep button").HasAttribute("disabled"));
    }

    [Fact]
    public void A_column_of_words_needs_its_value_and_one_of_numbers_none()
    {
        Concepts.Attributes = new AttributesView([new("texture", "words", 40, [new("striped", 20), new("dotted", 20)]), new("size", "numbers", 40, [])], null);
        var navigation = Navigate($"/analyses/{Id}/probes/new?from=attribute");
        var page = Render<DefinePage>(p => p.Add(d => d.Id, Id));
        page.WaitForElement("select.field").Change("texture");
        Assert.EndsWith("from=attribute&attribute=texture", navigation.Uri);
        page.WaitForElement("input[type=radio]").Change(true);
        page.WaitForAssertion(() => Assert.Equal(("texture", "striped"), (Concepts.Asked!.Attribute, Concepts.Asked.Value)));
        page.Find("select.field").Change("size");
        page.WaitForAssertion(() => Assert.Equal(("size", null), (Concepts.Asked!.Attribute, Concepts.Asked.Value)));
        Assert.Empty(page.FindAll("input[type=radio]"));
    }

    [Fact]
    public async Task Tagged_images_stay_from_page_to_page_and_the_browser_keeps_them()
    {
        var basket = Services.GetRequiredService<TagBasket>();
        Navigate($"/analyses/{Id}/classes/0");
        var bar = Render<TaggingBar>();
        var picture = Render<SamplePicture>(p => p.Add(s => s.AnalysisId, Id).Add(s => s.Sample, 7));
        Assert.Empty(picture.FindAll("button"));
        Assert.Empty(bar.FindAll("[data-testid=tagging-bar]"));

        basket.Turn(Id, true);
        picture.WaitForElement("button[aria-label='Shows it']").Click();
        picture.WaitForAssertion(() => Assert.Equal("true", picture.Find("button[aria-label='Shows it']").GetAttribute("aria-pressed")));
        bar.WaitForAssertion(() => Assert.Equal("1 shows it, 0 do not", bar.Find("[role=status]").TextContent));

        // The keys do what the buttons do; the same again takes it back.
        await bar.InvokeAsync(() => bar.Instance.Tagged(7, "n"));
        bar.WaitForAssertion(() => Assert.Equal("0 show it, 1 does not", bar.Find("[role=status]").TextContent));
        await bar.InvokeAsync(() => bar.Instance.Tagged(8, "p"));
        await bar.InvokeAsync(() => bar.Instance.Tagged(7, "n"));
        Assert.Null(basket.Of(Id, 7));
        basket.Set(Id, 9, new SampleTag(true, new TagPlace(0.1, 0.2, 0.3, 0.4)));

        // On another page of the analysis it is still there; what was kept is taken back by a new circuit.
        Navigate($"/analyses/{Id}/outliers");
        bar.WaitForAssertion(() => Assert.Equal("2 show it, 0 do not", bar.Find("[role=status]").TextContent));
        var other = new TagBasket();
        other.Restore(basket.Save());
        Assert.True(other.IsOn(Id));
        Assert.Equal([8, 9], other.Rows(Id, true));
        Assert.Equal(new TagPlace(0.1, 0.2, 0.3, 0.4), other.Of(Id, 9)!.Place);
        other.Restore("{ not json");
        other.Restore("[{\"id\":null,\"tags\":null}]");
        Assert.Equal(2, other.Tags(Id).Count);
        bar.FindAll("button").Single(b => b.TextContent == "Clear").Click();
        Assert.Empty(basket.Tags(Id));
    }

    [Fact]
    public void Tags_become_the_definition_by_their_paths()
    {
        Fakes.Outliers.AddRange([Samples.Sample(3), Samples.Sample(4), Samples.Sample(5)]);
        var basket = Services.GetRequiredService<TagBasket>();
        basket.Toggle(Id, 3, true);
        basket.Toggle(Id, 4, false);
        basket.Set(Id, 5, new SampleTag(true, new TagPlace(0.5, 0.5, 0.25, 0.25)));
        Navigate($"/analyses/{Id}/probes/new?from=samples");
        var page = Render<DefinePage>(p => p.Add(d => d.Id, Id));
        page.WaitForAssertion(() => Assert.Equal(["a/3.png", "a/5.png"], Concepts.Asked!.Positives));
        Assert.Equal(["a/4.png"], Concepts.Asked!.Negatives);
        Navigate($"/analyses/{Id}/probes/new?from=region");
        page.WaitForAssertion(() => Assert.Equal([new DraftRegion("a/5.png", 0.5, 0.5, 0.25, 0.25)], Concepts.Asked!.Regions));
        Assert.Empty(Concepts.Asked!.Positives);
    }

    [Fact]
    public void A_trained_probe_says_where_the_concept_is_and_all_concepts_stand_against_all_layers()
    {
        var draft = new ConceptDraft { Name = "stripes", Source = "classes", Classes = ["cat"] };
        Concepts.Keep("00000000000a", draft);
        Concepts.Keep("00000000000b", draft with { Name = "never probed", Classes = ["dog"] });
        var wish = TaskServiceExtensions.ToParameters(new { concept = draft })!.Value.GetRawText();
        Tasks.Store(ProbeView.TaskKind, wish, Result(readable: true));

        var list = Render<ProbesPage>(p => p.Add(d => d.Id, Id));
        list.WaitForAssertion(() => Assert.Contains("1 of 1 probed concept can be read", list.Find(".sentence").TextContent));
        Assert.Equal(["layer1", "layer2"], list.FindAll(".matrix thead code").Select(c => c.TextContent));
        Assert.Equal(["60%", "97%"], list.FindAll(".matrix td").Select(c => c.TextContent));
        Assert.Equal("97%", list.Find(".matrix td.best").TextContent);
        Assert.Contains("Train its probe", list.FindAll("tbody tr")[0].TextContent);

        Navigate($"/analyses/{Id}/probes/00000000000a");
        var page = Render<ProbePage>(p => p.Add(d => d.Id, Id).Add(d => d.ConceptId, "00000000000a"));
        page.WaitForAssertion(() => Assert.StartsWith("“stripes” can be read best at layer2: 97.0% ± 1.0% right, where shuffled labels give 50.0% ± 2.0% right.", page.Find("[data-testid=location]").TextContent));
        Assert.Contains("3 of its 16 channels are enough", page.Find("[data-testid=location]").TextContent);
        Assert.Contains("speaks for it", page.Markup);
        page.FindAll("button.unit").Single(b => b.TextContent == "layer1").Click();
        Assert.EndsWith("layer=layer1", Services.GetRequiredService<NavigationManager>().Uri);
        page.WaitForAssertion(() => Assert.Contains("channel 5", page.Markup));
    }

    [Fact]
    public void Layers_whose_probes_used_marked_places_are_told_from_those_of_whole_images_and_neurons_have_their_labels()
    {
        Concepts.Keep("00000000000a", new ConceptDraft { Name = "mark", Source = "neuron", Unit = 3, Share = 0.05 });
        Fakes.Neurons[9] = new ShortLabel("striped AND NOT green", 0.91, "/analyses/a/labels?unit=n9");
        Fakes.Neurons[3] = new ShortLabel("meadow", 0.8, "/analyses/a/labels?unit=n3");
        var view = ProbeView.Parse(Result(readable: true))!;
        Tasks.Result = JsonSerializer.Serialize(
            view with { Layers = [view.Layers[0], view.Layers[1] with { Placed = true, ImageAuc = new(0.874, 0.01, [0.874]), Analysed = true }] }, JsonSerializerOptions.Web);
        var page = Render<ProbePage>(p => p.Add(d => d.Id, Id).Add(d => d.ConceptId, "00000000000a"));
        page.WaitForAssertion(() => Assert.Contains("Train its probe", page.Markup));
        page.FindAll("button").Single(b => b.TextContent == "Train its probe").Click();
        page.WaitForAssertion(() => Assert.Equal(["whole images"], Badges(0)));
        Assert.Contains("not comparable", page.FindAll(".layer-table tbody tr")[0].QuerySelector(".badge")!.GetAttribute("title"), StringComparison.Ordinal);
        Assert.Equal(["best", "analysed", "places"], Badges(1));
        Assert.Contains("AUC of 0.874", page.FindAll(".layer-table tbody tr")[1].QuerySelectorAll(".badge")[2].GetAttribute("title"), StringComparison.Ordinal);
        var neuron = page.FindAll("td").Single(cell => cell.TextContent.StartsWith("channel 9", StringComparison.Ordinal));
        Assert.Equal("/analyses/a/labels?unit=n9", neuron.QuerySelector("a")!.GetAttribute("href"));
        Assert.Equal("striped AND NOT green", neuron.QuerySelector(".given")!.TextContent.Trim());
        Assert.Contains("channel 3 most: meadow", page.Find(".facts").TextContent, StringComparison.Ordinal);

        IEnumerable<string> Badges(int row) => page.FindAll(".layer-table tbody tr")[row].QuerySelectorAll(".badge").Select(badge => badge.TextContent);
    }

    [Fact]
    public void A_probe_that_reads_nothing_is_not_sold_as_one()
    {
        var draft = new ConceptDraft { Name = "noise", Source = "classes", Classes = ["cat"] };
        Concepts.Keep("00000000000a", draft);
        Tasks.Result = Result(readable: false);
        var page = Render<ProbePage>(p => p.Add(d => d.Id, Id).Add(d => d.ConceptId, "00000000000a"));
        page.WaitForAssertion(() => Assert.Contains("Train its probe", page.Markup));
        page.FindAll("button").Single(b => b.TextContent == "Train its probe").Click();
        page.WaitForAssertion(() => Assert.StartsWith("No layer tells “noise” apart better than chance", page.Find("[data-testid=location]").TextContent));
        using var wish = JsonDocument.Parse(Tasks.Wishes.Single());
        Assert.Equal("noise", wish.RootElement.GetProperty("concept").GetProperty("name").GetString());
        Assert.Empty(page.FindAll(".badge.good"));

        // Deleting asks once more.
        page.FindAll("button").Single(b => b.TextContent.Trim() == "Delete").Click();
        Assert.Single(Concepts.Kept);
        page.FindAll("button").Single(b => b.TextContent == "Delete").Click();
        Assert.Empty(Concepts.Kept);
        Assert.EndsWith($"/analyses/{Id}/probes", Services.GetRequiredService<NavigationManager>().Uri);
    }

    private NavigationManager Navigate(string address)
    {
        var navigation = Services.GetRequiredService<NavigationManager>();
        navigation.NavigateTo(address);
        return navigation;
    }

    private static string Result(bool readable)
    {
        static SpreadView Spread(double mean, double deviation) => new(mean, deviation, [mean, mean]);
        static LayerProbeView Layer(string name, double score, int channel) => new()
        {
            Layer = name, Channels = 16, Agreement = 0.9,
            Scores = new(Spread(score, 0.01), Spread(score, 0.01), Spread(score, 0.01), null),
            Control = new(Spread(0.5, 0.02), Spread(0.5, 0.02), Spread(0.5, 0.02), null),
            Sparsity = new ProbeSparsityView(Spread(3, 0), [new(1, Spread(0.7, 0.01)), new(2, Spread(0.9, 0.01))]),
            Strongest = [new(channel, 1.5)],
        };
        return JsonSerializer.Serialize(
            new ProbeView
            {
                Positives = 12, Negatives = 28, HeldOut = 12, Chance = 0.5, Majority = Spread(0.7, 0),
                Location = new("layer2", 0.97, ["layer2"], readable),
                Layers = [Layer("layer1", 0.6, 5), Layer("layer2", 0.97, 9)],
                Tcav = new("layer2", 10, 20, [new(0, "cat", 20, Spread(0.9, 0.05), Spread(0.5, 0.2), Spread(1.2, 0.1), 0.01, true)]),
            },
            JsonSerializerOptions.Web);
    }
}
