using Bunit;
using Dashboard.Client.Contracts;
using Dashboard.Client.Pages.Search;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dashboard.Client.Tests.Pages;

/// <summary>The page of a search over images: the address says what is sought, chips and words say it again.</summary>
public sealed class SearchPageTests : AnalysisPageContext
{
    private string Address => Services.GetRequiredService<NavigationManager>().Uri;

    [Fact]
    public void Without_a_wish_it_says_how_to_begin_and_finds_concepts_as_one_types()
    {
        var page = Open<SearchPage>("search");
        Assert.Contains("What shall the images show?", page.Markup);
        Assert.Contains("All 200 images are searched", page.Find("p.sentence").TextContent);
        page.Find("input[type=search]").Input("stripes");
        Assert.Equal(["striped of zebra", "stripes AND NOT grass"], page.FindAll(".hits b").Select(b => b.TextContent));
        page.FindAll(".hits li")[1].QuerySelectorAll("button")[1].Click();
        Assert.EndsWith("/search?without=21", Address);
    }

    [Fact]
    public void Chips_turn_round_and_go_and_enter_takes_the_first()
    {
        var page = Open<SearchPage>("search?with=3&without=12&rest=25&show=120");
        Assert.Equal((3, 12, 0.05, 0.25, 120), (Search.Asked!.With.Single(), Search.Asked.Without.Single(), Search.Asked.Strongest, Search.Asked.Outside, Search.Take));
        Assert.Equal(["shows c3 of class 0", "does not show c2 of class 1"], page.FindAll(".sense").Select(b => string.Join(' ', b.TextContent.Split(' ', '\n').Where(t => t.Length > 0))));
        page.FindAll(".sense")[1].Click();
        Assert.EndsWith("/search?with=3,12&rest=25", Address);
        page.Find("[aria-label='Leave c3 of class 0 out']").Click();
        Assert.EndsWith("/search?with=12&rest=25", Address);
        page.Find("input[type=search]").Input("stripes");
        page.Find("form").Submit();
        Assert.EndsWith("/search?with=12,7&rest=25", Address);
        page.FindAll("select")[0].Change("10");
        Assert.Contains("top=10", Address);
    }

    [Fact]
    public void Matches_are_told_in_words_with_their_places_and_classes()
    {
        var page = Open<SearchPage>("search?with=3&without=12");
        Assert.Equal("3 images of 200 show c3 of class 0 but do not show c2 of class 1. About as many as would by chance (5): nothing says that these have to do with each other.", page.Find("p.sentence").TextContent);
        Assert.Contains("at most 5% of all images (10) show it more strongly, and does not show one when at least 50% (100) do", page.Find(".meaning").TextContent);
        Assert.Equal(["top 2%", "lowest 20%"], page.FindAll(".one")[0].QuerySelectorAll(".place").Select(p => p.TextContent));
        Assert.EndsWith("/search?with=3&without=12&like=8", page.FindAll(".one")[1].QuerySelector("a.small")!.GetAttribute("href"));
        Assert.Equal($"/analyses/{Id}/search?with=3&without=12&class=1", page.Find(".classes a").GetAttribute("href"));
    }

    [Theory]
    [InlineData(3, 1.5, "About as many as would by chance")]
    [InlineData(30, 10, "3.00 times as many as by chance (10): these go together")]
    [InlineData(3, 40, "By chance it would be 40: these rarely go together")]
    public void What_goes_together_is_told_only_where_chance_would_seldom_bring_it(int matches, double expected, string words)
    {
        (Search.Matches, Search.Expected) = (matches, expected);
        Assert.Contains(words, Open<SearchPage>("search?with=3&without=12").Find("p.sentence").TextContent);
    }

    [Fact]
    public void No_match_offers_a_larger_share_and_faults_are_told()
    {
        Search.Matches = 0;
        var page = Open<SearchPage>("search?with=3&without=12");
        Assert.StartsWith("No image of 200 shows c3 of class 0 but does not show", page.Find("p.sentence").TextContent, StringComparison.Ordinal);
        page.FindAll("button").Single(b => b.TextContent == "Allow the strongest 10%").Click();
        Assert.Contains("top=10", Address);
        page = Open<SearchPage>("search?like=999");
        Assert.Equal("The analysis has no sample 999.", page.Find("[role=alert]").TextContent);
    }

    [Fact]
    public void An_analysis_that_cannot_be_searched_says_why()
    {
        Search.Problem = "Images can be searched once the analysis is complete.";
        var page = Open<SearchPage>("search?with=3");
        Assert.Equal(Search.Problem, page.Find("p.sentence").TextContent);
        Assert.Empty(page.FindAll("input"));
    }

    [Theory]
    [InlineData("1,2,x,2,-4", "2,3", 7, 50, 600, "?with=1,2&without=3&show=600")]
    [InlineData(null, null, 10, 10, 60, "?top=10&rest=10")]
    [InlineData("", "", null, null, 9999, "?show=600")]
    public void What_the_address_cannot_mean_is_left_out(string? with, string? without, int? top, int? rest, int? show, string address) =>
        Assert.Equal("/analyses/a/search" + address, SampleQuery.From(with, without, top, rest, null, null, show).Address("a"));
}
