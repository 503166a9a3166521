using Bunit;
using Dashboard.Client.Contracts;
using Dashboard.Client.Pages.Concepts;
using Dashboard.Client.Pages.Samples;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dashboard.Client.Tests.Pages;

/// <summary>What tasks beside an analysis add to the pages of samples and concepts.</summary>
public sealed class TaskPageTests : BunitContext
{
    private const string Id = "0123456789ab";
    private readonly FakeServices _fakes = new();
    private readonly FakeTasks _tasks = new();
    private readonly FakeSpreads _spreads = new();

    public TaskPageTests()
    {
        JSInterop.Mode = JSRuntimeMode.Loose;
        Services.AddDashboardClient();
        Services.AddSingleton<IAnalysisService>(_fakes).AddSingleton<IAtlasService>(_fakes).AddSingleton<IAnnotationService>(_fakes).AddSingleton<IProgressFeed>(_fakes).AddSingleton<ITaskService>(_tasks)
            .AddSingleton<IConceptSpreadService>(_spreads);
        SetRendererInfo(new RendererInfo("Server", isInteractive: true));
    }

    [Fact]
    public void An_attribution_map_is_made_for_the_concept_and_the_way_of_the_address()
    {
        _fakes.Outliers.Add(Samples.Sample(7, cls: 2));
        _fakes.SampleConcepts = [Samples.Card(3, 0.6, "stripes") with { Id = 23 }, Samples.Card(1, 0.2) with { Id = 21 }];
        _tasks.Result = "{\"coefficient\":1.25,\"largest\":0.5}";
        var navigation = Services.GetRequiredService<NavigationManager>();
        navigation.NavigateTo($"/analyses/{Id}/samples/7");
        var page = Render<SamplePage>(p => p.Add(s => s.Id, Id).Add(s => s.Row, 7));

        // The strongest concept, exactly, unless something else is chosen; the engine knows it by class and rank.
        page.FindAll("button").Single(b => b.TextContent == "Make the exact map").Click();
        page.WaitForAssertion(() => Assert.Equal($"/api/analyses/{Id}/tasks/000000000001/files/map.png", page.Find("img.made").GetAttribute("src")));
        Assert.Equal("{\"class\":2,\"concept\":3,\"sample\":7,\"kind\":\"exact\"}", _tasks.Wishes.Single());
        Assert.Contains("coefficient on this image is 1.25", page.Find("figcaption.why").TextContent);
        Assert.Contains("derivative of the concept's coefficient with respect to the pixels", page.Find("figcaption.why").TextContent);

        page.Find("[aria-labelledby=attribution-title] select").Change("21");
        page.WaitForAssertion(() => Assert.Empty(page.FindAll("img.made")));
        page.FindAll("[aria-labelledby=attribution-title] button").Single(b => b.TextContent == "Fast").Click();
        Assert.EndsWith("attribution=21&way=fast", navigation.Uri);
        page.WaitForAssertion(() => Assert.Contains(page.FindAll("button"), b => b.TextContent == "Make the fast map"));
        page.FindAll("button").Single(b => b.TextContent == "Make the fast map").Click();
        page.WaitForAssertion(() => Assert.Equal("{\"class\":2,\"concept\":1,\"sample\":7,\"kind\":\"fast\"}", _tasks.Wishes.First()));
    }

    [Fact]
    public void A_concept_shows_its_newest_label_beside_its_name_and_leads_to_the_evidence()
    {
        Concept(Samples.Card(3, 0.6, "my stripes") with { Id = 30 });
        _tasks.Store("label", "{}", Labels("old", 0.6));
        _tasks.Store("label", "{\"sources\":[\"classes\",\"attributes\"],\"length\":2,\"negative\":false}", Labels("striped AND red", 0.97, "artefact: watermark"));
        _tasks.Store("label", "{}", "", AnalysisState.Failed);
        var page = Render<ConceptPage>(p => p.Add(c => c.Id, Id).Add(c => c.ConceptId, 30));
        var link = page.Find("[data-testid=concept-label] a");
        Assert.Equal("striped AND red", link.TextContent);
        Assert.Equal($"/analyses/{Id}/labels?unit=c30&sources=classes%2Cattributes&length=2", link.GetAttribute("href"));
        var line = page.Find("[data-testid=concept-label]");
        Assert.Contains("(AUC 0.970 on images the search did not see)", line.TextContent);
        Assert.Equal("follows watermark", line.QuerySelector(".badge")!.TextContent);
        Assert.Contains("my stripes", page.Find("h1").TextContent);
        Assert.Equal(1, _tasks.Reads);
    }

    [Fact]
    public void Without_labels_a_concept_leads_to_where_they_are_found()
    {
        Concept(Samples.Card(3, 0.6) with { Id = 30 });
        var page = Render<ConceptPage>(p => p.Add(c => c.Id, Id).Add(c => c.ConceptId, 30));
        var link = page.Find("[data-testid=concept-label] a");
        Assert.Equal(("Find labels", $"/analyses/{Id}/labels"), (link.TextContent, link.GetAttribute("href")));
        Assert.Equal(0, _tasks.Reads);
    }

    [Fact]
    public void A_concept_shows_which_classes_show_it_most_and_always_its_own()
    {
        Concept(Samples.Card(3, 0.6) with { Id = 30 });
        var page = Render<ConceptPage>(p => p.Add(c => c.Id, Id).Add(c => c.ConceptId, 30));
        var rows = page.FindAll("[data-testid=by-class] tbody tr");
        Assert.Equal(["cat", "dog #31"], rows.Select(r => r.QuerySelector("th")!.TextContent));
        Assert.Equal([false, true], rows.Select(r => r.ClassList.Contains("own")));
        // The scale goes from −2 to 3: the middle half of "dog" from −1 to 1 lies from a fifth to three fifths.
        Assert.StartsWith("left:20%;width:40%", rows[1].QuerySelector(".half")!.GetAttribute("style"));
        Assert.Contains(page.FindAll("p").Select(p => p.TextContent), text =>
            text == "“cat” shows it most; “dog”, for which it was found, is number 31 of 40. An image of “dog” shows more of it than one of another class in 93% of pairs (50% would be chance).");

        _spreads.Problem = "This analysis kept no activations of other classes.";
        var without = Render<ConceptPage>(p => p.Add(c => c.Id, Id).Add(c => c.ConceptId, 30));
        Assert.Empty(without.FindAll("[data-testid=by-class]"));
        Assert.Contains(_spreads.Problem, without.Markup);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void What_runs_a_network_is_offered_only_where_there_is_one(bool network)
    {
        Concept(Samples.Card(3, 0.6) with { Id = 30 });
        _fakes.Concept = _fakes.Concept! with { Analysis = Samples.Analysis() with { HasNetwork = network } };
        var page = Render<ConceptPage>(p => p.Add(c => c.Id, Id).Add(c => c.ConceptId, 30));
        Assert.Equal(network, page.FindAll("a[href*='backpropagation']").Count > 0);
        Assert.Equal(network, page.FindAll("a[href*='training-images']").Count > 0);
        Assert.Equal(network, page.HasComponent<ConceptImageCard>());
        Assert.NotEmpty(page.FindAll("a[href*='probes/new']"));
    }

    private static string Labels(string label, double auc, string? artefact = null) => System.Text.Json.JsonSerializer.Serialize(
        new LabelView
        {
            Units =
            [
                new UnitView { Kind = "neuron", Index = 30, Label = "a neuron's", HeldOutAuc = 0.5, Significant = true },
                new UnitView { Kind = "concept", Index = 3, Concept = 30, Label = label, HeldOutAuc = auc, Significant = true, Spurious = artefact is null ? [] : [new ArtefactView(artefact, 0.9, null)] },
            ],
        },
        System.Text.Json.JsonSerializerOptions.Web);

    private void Concept(ConceptCard concept) =>
        _fakes.Concept = new ConceptView { Analysis = Samples.Analysis(), Class = 2, ClassName = "zucchini", Concept = concept };
}
