using Bunit;
using Dashboard.Client.Contracts;
using Dashboard.Client.Pages.TrainingImages;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dashboard.Client.Tests.Pages;

/// <summary>The page of training images: the address says what is asked, words and pictures what came of it.</summary>
public sealed class TrainingImagesPageTests : AnalysisPageContext
{
    public TrainingImagesPageTests()
    {
        Concepts.Keep("aaaaaaaaaaaa", new ConceptDraft { Name = "paws", Source = "samples", Positives = ["a.png"] });
    }

    [Fact]
    public void Without_a_target_it_says_what_to_choose()
    {
        var page = Page("");
        Assert.Contains("What was taught?", page.Markup);
        Assert.Equal(["choose one", "paws", "cat", "dog"], page.FindAll("select")[1].QuerySelectorAll("option").Select(o => o.TextContent));
        page.FindAll("select")[1].Change("u:aaaaaaaaaaaa");
        Assert.EndsWith("of=u%3Aaaaaaaaaaaaa", Services.GetRequiredService<NavigationManager>().Uri);
        Assert.Empty(Tasks.Wishes);
    }

    [Fact]
    public void What_is_asked_is_what_the_address_says()
    {
        Tasks.Result = Result();
        var page = Page("?target=class&of=1&dataset=/data/train&projection=factorised&dimensions=1024&networks=/n/a.pth%0A/n/b.pth");
        page.FindAll("button").Single(b => b.TextContent == "Find the training images").Click();
        Assert.Equal(
            """{"target":"class","concept":null,"class":1,"sample":null,"variant":"representation","dataset":"/data/train","networks":["/n/a.pth","/n/b.pth"],"projection":"factorised","dimensions":1024,"layer":null}""",
            Tasks.Wishes.Single());
    }

    [Fact]
    public void The_result_is_told_in_words_and_pictures()
    {
        Tasks.Result = Result();
        var page = Page("?target=concept&of=k:dog");
        page.FindAll("button").Single(b => b.TextContent == "Find the training images").Click();
        page.WaitForAssertion(() => Assert.Contains("Of the 5 training images with the highest scores, 80% are of dog, which has 10% of all. Concentrated: the scores are spread as if 4 images carried them alike", page.Find("p.sentence").TextContent));
        Assert.Equal($"/analyses/{Id}/samples/7", page.Find("[aria-labelledby=top-title] a.pic").GetAttribute("href"));
        Assert.EndsWith("/files/image-3.webp", page.Find("[aria-labelledby=bottom-title] span.pic img").GetAttribute("src"));
        Assert.Equal("−50.0", page.Find("[aria-labelledby=bottom-title] .num").TextContent);
        Assert.Contains("projection doubtful", page.Markup);
        Assert.Contains("there is only one network", page.Find("[aria-labelledby=trust-title]").TextContent);
        Assert.Contains("a doubt", page.Find("p.note").TextContent);
    }

    [Theory]
    [InlineData(0.01, "Concentrated")]
    [InlineData(0.1, "Carried by a minority")]
    [InlineData(0.3, "Diffuse")]
    [InlineData(0.9, "Very diffuse")]
    public void The_spread_has_a_word(double share, string word) =>
        Assert.Equal(word, TrainingSentences.SpreadWord(new DiffusenessView(1, share, 0, 0, 0, 1, [])));

    private static string Result() => System.Text.Json.JsonSerializer.Serialize(
        new TrainingImagesView
        {
            Target = new AttributedTargetView("concept", "dog", "layer3", [1, 2], 0.9, 0.95),
            Training = new TrainingSetView("train", 100, false, 0, 0),
            Checkpoints = [new AttributedCheckpointView("n.pth", "00", 0.9, 0.1)],
            Parameters = 1000,
            Projection = "dense",
            Top = [new AttributedImageView(2, 7, "dog/1.png", "dog", 2, null)],
            Bottom = [new AttributedImageView(3, null, "cat/1.png", "cat", -1, "image-3.webp")],
            Diffuseness = new DiffusenessView(4, 0.04, 0.8, 0.5, -1, 2, [1, 98, 1]),
            Classes = [new AttributedClassView("dog", "dog", 10, 4, 0.5, 0.8), new AttributedClassView("cat", "cat", 90, 1, 0, 0.2)],
            TopCount = 5,
            Check = new ProjectionCheckView(48, 0.5, 0.4, 0.04, 3, 0.2, false),
            Notes = ["a doubt"],
        },
        System.Text.Json.JsonSerializerOptions.Web);

    private IRenderedComponent<TrainingImagesPage> Page(string query) => Open<TrainingImagesPage>("training-images" + query);
}
