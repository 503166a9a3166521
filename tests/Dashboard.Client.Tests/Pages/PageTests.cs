using Bunit;
using Dashboard.Client.Contracts;
using Dashboard.Client.Pages.Atlas;
using Dashboard.Client.Pages.Home;
using Dashboard.Client.Pages.Live;
using Dashboard.Client.Pages.Outliers;
using Dashboard.Client.Pages.Strategies;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dashboard.Client.Tests.Pages;

public sealed class PageTests : BunitContext
{
    private readonly FakeServices _fakes = new();

    public PageTests()
    {
        JSInterop.Mode = JSRuntimeMode.Loose;
        Services.AddDashboardClient();
        Services.AddSingleton<IAnalysisService>(_fakes).AddSingleton<IAtlasService>(_fakes).AddSingleton<IAnnotationService>(_fakes).AddSingleton<IProgressFeed>(_fakes);
        SetRendererInfo(new RendererInfo("Server", isInteractive: true));
    }

    [Fact]
    public async Task Classes_turn_from_grey_to_links_as_they_become_ready()
    {
        _fakes.Analysis = Samples.Analysis(AnalysisState.Running);
        _fakes.View = Atlas(AnalysisState.Running, Samples.Class(0, "cat") with { Ready = false }, Samples.Class(1, "dog") with { Ready = false });
        var page = Render<Analysis>(p => p.Add(a => a.Id, "0123456789ab"));
        Assert.Equal(2, page.FindAll(".tile.grey").Count);

        _fakes.View = Atlas(AnalysisState.Running, Samples.Class(0, "cat"), Samples.Class(1, "dog") with { Ready = false });
        await page.InvokeAsync(() => _fakes.Publish(Progress(2, AnalysisState.Running, 0)));
        page.WaitForAssertion(() => Assert.Equal("/analyses/0123456789ab/classes/0", page.Find("a.tile").GetAttribute("href")));
        Assert.Equal("1 of 2 ready", page.Find("[data-testid=ready-count]").TextContent);
    }

    [Fact]
    public async Task A_stale_message_changes_nothing()
    {
        _fakes.Analysis = Samples.Analysis(AnalysisState.Running);
        _fakes.View = Atlas(AnalysisState.Running);
        var page = Render<Analysis>(p => p.Add(a => a.Id, "0123456789ab"));
        await page.InvokeAsync(() => _fakes.Publish(Progress(5, AnalysisState.Running) with { Message = "newer" }));
        await page.InvokeAsync(() => _fakes.Publish(Progress(4, AnalysisState.Running) with { Message = "older" }));
        page.WaitForAssertion(() => Assert.Contains("newer", page.Markup));
        Assert.DoesNotContain("older", page.Markup);
    }

    [Fact]
    public async Task A_failed_run_shows_its_message_and_can_be_resumed_but_not_cancelled()
    {
        _fakes.Analysis = Samples.Analysis(AnalysisState.Running);
        _fakes.View = Atlas(AnalysisState.Running);
        var page = Render<Analysis>(p => p.Add(a => a.Id, "0123456789ab"));
        page.FindAll("button").Single(b => b.TextContent.Contains("Cancel")).Click();
        Assert.Equal(1, _fakes.Cancelled);

        _fakes.Analysis = Samples.Analysis(AnalysisState.Failed);
        await page.InvokeAsync(() => _fakes.Publish(Progress(9, AnalysisState.Failed) with { Message = "The disk is full. Free some space and resume." }));
        page.WaitForAssertion(() => Assert.Contains("The disk is full.", page.Find("[role=alert]").TextContent));
        Assert.Contains(page.FindAll("button"), b => b.TextContent.Contains("Resume"));
        Assert.DoesNotContain(page.FindAll("button"), b => b.TextContent.Contains("Cancel"));
    }

    [Fact]
    public async Task A_page_that_is_left_stops_listening()
    {
        _fakes.View = Atlas(AnalysisState.Completed);
        Render<Analysis>(p => p.Add(a => a.Id, "0123456789ab"));
        Assert.Equal(1, _fakes.Listeners);
        await DisposeComponentsAsync();
        Assert.Equal(0, _fakes.Listeners);
    }

    [Fact]
    public void An_unknown_analysis_is_said_to_be_missing()
    {
        _fakes.Analysis = null;
        var page = Render<Analysis>(p => p.Add(a => a.Id, "ffffffffffff"));
        Assert.Contains("There is no such analysis", page.Find("h1").TextContent);
    }

    [Fact]
    public void Home_without_analyses_says_what_to_bring()
    {
        _fakes.Analysis = null;
        var page = Render<Home>();
        Assert.Contains("No analysis yet", page.Find("h2").TextContent);
        Assert.Equal("/new", page.Find(".empty a").GetAttribute("href"));
    }

    [Fact]
    public void The_atlas_searches_by_its_address()
    {
        _fakes.View = Atlas(AnalysisState.Completed, Samples.Class(0, "cat", strongest: [Samples.Tile(1, 0.6)]), Samples.Class(1, "dog", strongest: [Samples.Tile(2, 0.4)]));
        Services.GetRequiredService<NavigationManager>().NavigateTo("/analyses/0123456789ab/atlas?search=do");
        var page = Render<AtlasPage>(p => p.Add(a => a.Id, "0123456789ab"));
        Assert.Equal("1 of 2 classes", page.Find(".tools [role=status]").TextContent);
    }

    [Fact]
    public void A_verdict_by_key_is_kept_shown_and_taken_back()
    {
        _fakes.Outliers.AddRange([Samples.Sample(7, "rare", score: 0.9), Samples.Sample(8, "rare", score: 0.8)]);
        _fakes.View = Atlas(AnalysisState.Completed, Samples.Class(0, "cat"));
        var page = Render<OutliersPage>(p => p.Add(o => o.Id, "0123456789ab"));
        page.Find("[data-row='7']").Click();
        page.Find("[aria-keyshortcuts=r]").Click();
        Assert.Equal([new(7, "remove")], _fakes.Verdicts);
        Assert.Equal("Remove", page.Find("[data-row='7'] .verdict").TextContent);
        Assert.Equal("true", page.Find("[data-row='8']").GetAttribute("aria-current"));

        page.Find("[aria-keyshortcuts=u]").Click();
        Assert.Equal(new FakeServices.VerdictCall(7, null), _fakes.Verdicts[^1]);
        Assert.Empty(page.FindAll(".verdict"));
    }

    [Fact]
    public void A_strategy_shows_its_mixture_images_and_confusions_and_leads_to_its_neighbour()
    {
        _fakes.Strategy = Samples.StrategyView();
        var page = Render<StrategyPage>(p => p.Add(s => s.Id, "0123456789ab").Add(s => s.Index, 4).Add(s => s.Strategy, 1));
        Assert.Equal("Strategy B", page.Find("h1").TextContent);
        Assert.Equal(["c1", "c0"], page.FindAll(".mixture-table .who").Select(w => w.TextContent.Trim()));
        Assert.Equal(2, page.FindAll(".mixture-table .usual").Count);
        Assert.Equal("or A", page.Find("a.next").TextContent);
        Assert.Equal("/analyses/0123456789ab/classes/4/strategies/0", page.Find("[aria-label='Previous strategy']").GetAttribute("href"));
        Assert.Null(page.Find("[aria-label='Next strategy']").GetAttribute("href"));
        Assert.Equal("/analyses/0123456789ab/classes/2", page.Find(".confusions a").GetAttribute("href"));
    }

    [Fact]
    public void A_strategy_leaves_out_what_people_put_away_and_takes_merged_concepts_as_one()
    {
        var view = Samples.StrategyView();
        _fakes.Strategy = view with
        {
            Concepts =
            [
                view.Concepts[0] with { Merged = new MergedStrategyShare(0.3, 0.04, 0.7) },
                view.Concepts[1] with { Hidden = true },
                new StrategyConcept(Samples.Tile(2, 0.1), 0.1, 0.01, Into: view.Concepts[0].Concept.Id),
            ],
            Strategies = [Samples.Strategy(0, 80, 0.7, 0.1, 0.2), Samples.Strategy(1, 20, 0.2, 0.6, 0.1)],
        };
        var page = Render<StrategyPage>(p => p.Add(s => s.Id, "0123456789ab").Add(s => s.Index, 4).Add(s => s.Strategy, 1));
        var row = Assert.Single(page.FindAll(".mixture-table tbody tr"));
        Assert.Equal("c0", row.QuerySelector(".names")!.FirstElementChild!.TextContent.Trim());
        Assert.Equal("with c2", row.QuerySelector(".same")!.TextContent);
        Assert.Contains("30%", row.TextContent);
        Assert.Contains("70%", row.TextContent);
        Assert.Contains("c1 (60%)", page.Find(".put-away").TextContent.Replace("\n", " ", StringComparison.Ordinal));
        // One colour for both, and grey for what was put away.
        Assert.Equal(
            [(ConceptPalette.ForRank(0), "0.9"), (ConceptPalette.Grey, "0.1"), (ConceptPalette.ForRank(0), "0.333"), (ConceptPalette.Grey, "0.667")],
            page.FindAll(".mixture i").Select(part => part.GetAttribute("style")!.Split(["flex-grow:", ";background:"], StringSplitOptions.RemoveEmptyEntries)).Select(s => (s[1], s[0])));
        Assert.DoesNotContain(page.FindAll(".legend li"), entry => entry.TextContent.Trim() is "c1" or "c2");
    }

    [Fact]
    public void A_strategy_is_named_everywhere_on_its_page_and_a_refused_name_stays_in_the_field()
    {
        _fakes.Strategy = Samples.StrategyView();
        var page = Render<StrategyPage>(p => p.Add(s => s.Id, "0123456789ab").Add(s => s.Index, 4).Add(s => s.Strategy, 1));
        page.FindAll("button").Single(b => b.TextContent.Contains("Name it")).Click();
        page.Find(".name-field").Input("refused");
        page.Find(".name-row form").Submit();
        Assert.Contains("at most 200", page.Find(".name-row [role=alert]").TextContent);
        page.Find(".name-field").Input(" sliced ");
        page.Find(".name-row form").Submit();
        page.WaitForAssertion(() => Assert.Equal("sliced", page.Find("h1").TextContent));
        Assert.Contains("sliced", page.Find(".others [aria-current]").TextContent);
    }

    [Fact]
    public void A_strategy_that_is_not_there_is_said_to_be_missing()
    {
        _fakes.Strategy = Samples.StrategyView();
        var page = Render<StrategyPage>(p => p.Add(s => s.Id, "0123456789ab").Add(s => s.Index, 4).Add(s => s.Strategy, 9));
        Assert.Contains("There is no such strategy", page.Find("h1").TextContent);
    }

    private static AtlasView Atlas(AnalysisState state, params ClassTile[] classes) => new() { Analysis = Samples.Analysis(state), Classes = classes };

    private static AnalysisProgress Progress(long sequence, AnalysisState state, params int[] ready) =>
        new() { AnalysisId = "0123456789ab", Sequence = sequence, State = state, ReadyClasses = ready };
}
