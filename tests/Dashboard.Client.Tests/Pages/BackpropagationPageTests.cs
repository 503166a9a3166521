using Bunit;
using Dashboard.Client.Contracts;
using Dashboard.Client.Pages.Backpropagation;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dashboard.Client.Tests.Pages;

/// <summary>The page of smallest changes: what is asked for stands in the address, and what came of it in words and pictures.</summary>
public sealed class BackpropagationPageTests : AnalysisPageContext
{
    public BackpropagationPageTests()
    {
        Fakes.Outliers.Add(Samples.Sample(7, cls: 1));
        Fakes.SampleConcepts = [Samples.Card(3, 0.6, "stripes") with { Id = 23 }];
        Concepts.Keep("aaaaaaaaaaaa", new ConceptDraft { Name = "paws", Source = "samples", Positives = ["a.png"] });
        Concepts.Attributes = new AttributesView([new AttributeColumn("colour", "words", 4, [new AttributeValue("red", 2)]), new AttributeColumn("watermark", "yesno", 4, [])], null);
    }

    [Fact]
    public void The_concepts_of_the_sample_of_people_of_attributes_and_of_classes_can_be_chosen()
    {
        var page = Page("?sample=7");
        Assert.Equal(["choose one", "c3 of class 1", "paws", "colour: red", "watermark", "cat", "dog"], page.FindAll("select")[0].QuerySelectorAll("option").Select(o => o.TextContent.Replace("stripes", "c3", StringComparison.Ordinal)));
        Assert.Contains("Which concept?", page.Markup);
        Assert.Empty(Tasks.Wishes);
        page.FindAll("select")[0].Change("u:aaaaaaaaaaaa");
        Assert.EndsWith("sample=7&concept=u%3Aaaaaaaaaaaaa", Services.GetRequiredService<NavigationManager>().Uri);
    }

    [Fact]
    public void What_is_asked_is_what_the_address_says()
    {
        Tasks.Result = Result();
        var page = Page("?concept=a:colour%3Dred&sample=7&others=k:dog&direction=no&way=place&layer=layer2&sparse=true&region=0.5,0.5,0.25,0.25");
        page.FindAll("button").Single(b => b.TextContent == "Find the smallest change").Click();
        Assert.Equal(
            """{"concept":{"name":"colour = red","source":"attribute","attribute":"colour","value":"red"},"others":[{"name":"dog","source":"classes","classes":["dog"]}],"samples":[7],"layer":"layer2","probe":"l1","direction":"no","space":"pixels","l1":1,"l2":0,"totalVariation":1,"concentrations":2,"region":{"left":0.5,"top":0.5,"width":0.25,"height":0.25}}""",
            Tasks.Wishes.Single());
    }

    [Fact]
    public void The_result_is_told_in_words_shown_in_pictures_and_followed_by_the_slider()
    {
        Tasks.Result = Result();
        var page = Page("?concept=k:dog&sample=7&others=k:cat");
        page.FindAll("button").Single(b => b.TextContent == "Find the smallest change").Click();
        page.WaitForAssertion(() => Assert.Contains("takes the probe of dog from 2% to 91%: 4% of the pixels change, by at most 30% of the range from black to white; and the network now says dog instead of cat. 95% of the change lies inside", page.Find("p.sentence").TextContent));
        Assert.Equal(["s7-original.png", "s7-1.png", "s7-1-difference.png"], page.FindAll(".pictures img").Select(i => i.GetAttribute("src")!.Split('/')[^1]));
        Assert.Equal("91.0%", page.FindAll(".answer b")[1].TextContent);
        Assert.Contains("smallest that succeeds", page.Markup);

        page.Find("#change-step").Input("0");
        Assert.EndsWith("step=0", Services.GetRequiredService<NavigationManager>().Uri);
        page.WaitForAssertion(() => Assert.Equal("20.0%", page.FindAll(".answer b")[1].TextContent));
        Assert.Contains("s7-0.png", page.FindAll(".pictures img")[1].GetAttribute("src"));
        Assert.DoesNotContain("smallest that succeeds", page.Markup);

        // Entangled one way: changing for dog moves cat by −0.6 of its own change.
        Assert.Contains("1 pair is entangled. Most of all: changing images for dog moves cat by 60%", page.Markup);
        Assert.Single(page.FindAll("td.entangled"));
        Assert.Contains("4 of 5 succeed against 1 of 1 succeed for the concept", page.Markup);
        Assert.Contains("times as large", page.Markup);
    }

    [Fact]
    public void What_cannot_be_reached_is_said()
    {
        Tasks.Result = Result().Replace("\"changed\"", "\"unreachable\"", StringComparison.Ordinal);
        var page = Page("?concept=k:dog&sample=7");
        page.FindAll("button").Single(b => b.TextContent == "Find the smallest change").Click();
        page.WaitForAssertion(() => Assert.Contains("Not reachable: even without any limit", page.Find("p.sentence").TextContent));
    }

    [Theory]
    [InlineData("c30", true)]
    [InlineData("n0", true)]
    [InlineData("k:a, b", true)]
    [InlineData("a:x=y=z", true)]
    [InlineData("u:abc", false)]
    [InlineData("c", false)]
    [InlineData("cx", false)]
    [InlineData("", false)]
    public void Codes_say_what_they_mean(string code, bool known)
    {
        Assert.Equal(known, ConceptChoice.DefinitionOf(code) is not null);
        Assert.Equal(code.Length == 0 ? [] : [code, "k:b"], BackpropagationQuery.Codes(BackpropagationQuery.Join(code.Length == 0 ? [] : [code, "k:b"])));
    }

    private IRenderedComponent<BackpropagationPage> Page(string query) => Open<BackpropagationPage>("backpropagation" + query);

    private static string Result() => System.Text.Json.JsonSerializer.Serialize(
        new BackpropagationView
        {
            Layer = "layer3",
            Space = "pixels",
            Probes = [new ChangeProbe("dog", false, 50, 50, 0.95, 0.99, null), new ChangeProbe("cat", false, 50, 50, 0.95, 0.99, null)],
            Samples =
            [
                new ChangedSampleView
                {
                    Row = 7,
                    Path = "cat/7.png",
                    Yes = true,
                    Goal = 1,
                    Outcome = "changed",
                    Before = [0.02, 0.9],
                    After = [0.91, 0.4],
                    Size = new ChangeSizeView(5, 1, 0.3, 0.01, 0.04),
                    Inside = 0.95,
                    RegionArea = 0.06,
                    Region = new RegionView(0.5, 0.5, 0.25, 0.25),
                    PredictedBefore = "cat",
                    PredictedAfter = "dog",
                    Outputs = [new OutputChangeView("dog", 0, 4, 0.01, 0.9)],
                    Pictures = new ChangePicturesView("s7-original.png", "s7-changed.png", "s7-difference.png", 0.3, 32, 32),
                    Frames =
                    [
                        new ChangeFrameView(2, 0.2, 1, 0.4, "cat", "s7-0.png", "s7-0-difference.png", false),
                        new ChangeFrameView(1, 0.91, 5, 1, "dog", "s7-1.png", "s7-1-difference.png", true),
                    ],
                },
            ],
            Entanglement = new EntanglementView(
                ["dog", "cat"], [[0.89, -0.5], [-0.1, 0.6]], [[1, -0.6], [-0.2, 1]], [[1, 1], [0, 1]], [[1, -0.3], [-0.3, 1]], [1, 1], [1, 0], [1, 0.8]),
            Summary = new ChangeFigures(1, 1, 0, 5, 1, 0.95, 1, 0.89, 0.95),
            Control = new ChangeFigures(5, 4, 0, 15, 3, 0.1, 0.2, 0.1, 0.5),
        },
        System.Text.Json.JsonSerializerOptions.Web);
}
