using Bunit;
using Dashboard.Client.Components;
using Dashboard.Client.Contracts;
using Dashboard.Client.Pages.Samples;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dashboard.Client.Tests.Pages;

/// <summary>The page of an image of one's own: where to bring it, what the network makes of it, why not.</summary>
public sealed class OwnImagePageTests : AnalysisPageContext
{
    private static readonly string Hash = new('a', 64);

    [Fact]
    public async Task Without_an_image_there_is_a_place_to_bring_one_and_a_refusal_is_told_there()
    {
        var page = OpenImage(null);
        Assert.Contains("at most 20 MB", page.Find(".drop").TextContent);
        var drop = page.FindComponent<ImageDrop>();
        await page.InvokeAsync(drop.Instance.OnSending);
        Assert.Equal("Sending the image", page.Find(".drop [role=status]").TextContent);
        await page.InvokeAsync(() => drop.Instance.OnRefused("The file is empty."));
        Assert.Equal("The file is empty.", page.Find("[role=alert]").TextContent);
        await page.InvokeAsync(() => drop.Instance.OnBrought(Hash));
        Assert.EndsWith($"/analyses/{Id}/images/{Hash}", Services.GetRequiredService<NavigationManager>().Uri);
    }

    [Fact]
    public void An_analysis_without_a_network_says_why()
    {
        Images.View = Images.View with { Problem = "This analysis has no network." };
        var page = OpenImage(null);
        Assert.Contains("This analysis has no network.", page.Find(".empty").TextContent);
        Assert.Empty(page.FindAll("input[type=file]"));
    }

    [Fact]
    public void Until_it_is_explained_the_image_and_the_task_are_shown()
    {
        Images.View = Images.View with { Kept = true };
        var page = OpenImage(Hash);
        Assert.Contains($"/images/{Hash}/thumbnail?size=384", page.Find(".picture-only img").GetAttribute("src"));
        page.FindAll("button").Single(b => b.TextContent == "Let the network look at it").Click();
        Assert.Equal($$"""{"image":"{{Hash}}","class":null}""", Tasks.Wishes.Single());
    }

    [Fact]
    public void Explained_it_shows_what_the_page_of_a_sample_shows()
    {
        Images.View = Images.View with
        {
            Kept = true, TaskId = "cccccccccccc", StrategyFit = 0.25, Notes = ["A doubt."], Classes = [(0, "cat"), (1, "dog")], Maps = new Dictionary<int, string> { [2] = "map-2.webp" },
            Sample = new SampleView
            {
                Analysis = Samples.Analysis(), Sample = Samples.Sample(-1, cls: 1) with { Predicted = "dog", ClassName = "dog", Confidence = 0.8 }, HasMaps = true,
                Top = [("dog", 0.8), ("cat", 0.1)], ContributionsTo = "dog", Logit = 4,
                Contributions = [new(Samples.Tile(2, 0.4, "ears"), "ears", 3, 1), new(Samples.Tile(0, 0.1), "c0", 0.5, 0.5), new(null, "bias", 0.5)],
                Concepts = [Samples.Card(2, 0.4, "ears"), Samples.Card(0, 0.1)], Strategy = Samples.Strategy(0, 40, 0.5), Prototype = Samples.Sample(9), Nearest = [(Samples.Sample(7), 0.5)],
            },
        };
        var page = OpenImage(Hash);
        Assert.Equal("Predicted dog (80%); next is cat (10%). Of the concepts of dog, ears speaks most for “dog”: it adds 3.00 to a score of 4.00.", page.Find("p.sentence").TextContent);
        Assert.Contains("25% of them lie further from its middle", page.Markup);
        Assert.Equal("A doubt.", page.Find("p.note").TextContent);
        // Only maps that are there are offered.
        Assert.Equal(2, page.FindAll(".map-strip button").Count);
        Assert.Contains("/tasks/cccccccccccc/files/map-2.webp", page.Find(".map-strip .map").GetAttribute("src"));
        page.FindAll(".map-strip button")[1].Click();
        Assert.Contains("map=2", Services.GetRequiredService<NavigationManager>().Uri);
        page.FindAll("button").Single(b => b.TextContent == "Forget it").Click();
        Assert.Equal(Hash, Images.Deleted);
        Assert.EndsWith($"/analyses/{Id}/images", Services.GetRequiredService<NavigationManager>().Uri);
    }

    [Fact]
    public void Until_the_concepts_of_another_class_have_explained_it_the_page_stays()
    {
        Images.View = Images.View with
        {
            Kept = true, TaskId = "cccccccccccc", Classes = [(0, "cat"), (1, "dog")],
            Sample = new SampleView
            {
                Analysis = Samples.Analysis(), Sample = Samples.Sample(-1, cls: 1) with { Predicted = "dog", ClassName = "dog", Confidence = 0.8 },
                Top = [("dog", 0.8), ("cat", 0.1)], ContributionsTo = "dog", Logit = 4, Contributions = [new(Samples.Tile(2, 0.4), "ears", 4)], Concepts = [Samples.Card(2, 0.4, "ears")],
            },
        };
        var page = OpenImage(Hash);
        Images.View = Images.View with { Sample = null, TaskId = null };
        page.Find(".actions select").Change("0");
        Assert.Equal($$"""{"image":"{{Hash}}","class":0}""", Tasks.Wishes.Single());
        Assert.NotNull(page.Find(".waterfall"));
        Assert.Equal("0", page.Find(".actions select").GetAttribute("value"));
        Assert.Equal($$"""{"image":"{{Hash}}","class":0}""", TaskServiceExtensions.ToParameters(page.FindComponent<TaskPanel>().Instance.Parameters)!.Value.GetRawText());

        // Another image is another page.
        page.Render(p => p.Add(c => c.Id, Id).Add(c => c.Hash, new string('b', 64)));
        Assert.Empty(page.FindAll(".waterfall"));
    }

    [Fact]
    public async Task While_its_likes_are_sought_the_page_shows_one_explanation_whole()
    {
        Images.View = By(1, 2);
        var page = OpenImage(Hash);
        var likes = new TaskCompletionSource();
        Search.Gate = likes.Task;
        Images.View = By(0, 5);
        page.Find(".actions select").Change("0");
        page.Render();
        Assert.Contains("map-2.webp", page.Find(".map-strip .map").GetAttribute("src"));
        await page.InvokeAsync(likes.SetResult);
        page.WaitForAssertion(() => Assert.Contains("map-5.webp", page.Find(".map-strip .map").GetAttribute("src")));

        OwnImageView By(int index, int concept) => new()
        {
            Analysis = Samples.Analysis(), Hash = Hash, Kept = true, TaskId = "cccccccccccc", Classes = [(0, "cat"), (1, "dog")],
            Maps = new Dictionary<int, string> { [concept] = FormattableString.Invariant($"map-{concept}.webp") },
            Sample = new SampleView
            {
                Analysis = Samples.Analysis(), Sample = Samples.Sample(-1, cls: index) with { Predicted = "dog", ClassName = "dog", Confidence = 0.8 }, HasMaps = true,
                Top = [("dog", 0.8), ("cat", 0.1)], ContributionsTo = "dog", Logit = 4, Contributions = [new(Samples.Tile(concept, 0.4), "ears", 4)], Concepts = [Samples.Card(concept, 0.4, "ears")],
            },
        };
    }

    private IRenderedComponent<OwnImagePage> OpenImage(string? hash)
    {
        Services.GetRequiredService<NavigationManager>().NavigateTo($"/analyses/{Id}/images" + (hash is null ? "" : "/" + hash));
        return Render<OwnImagePage>(p => p.Add(c => c.Id, Id).Add(c => c.Hash, hash));
    }
}
