using Dashboard.Client.Urls;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Dashboard.EndToEnd;

/// <summary>State in the address, where the browser is slower than the person.</summary>
public sealed class AddressTests(Stage stage)
{
    [Fact]
    public async Task Choices_that_follow_each_other_faster_than_the_browser_answers_are_all_kept()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        await visitor.GoAsync(PageUrls.DefineConcept(sample.Id));
        var boxes = visitor.Page.Locator("main input[type=checkbox]");
        await Expect(boxes.Nth(3)).ToBeVisibleAsync();

        await visitor.Page.EvaluateAsync("[0, 2, 3].forEach(i => document.querySelectorAll('main input[type=checkbox]')[i].click())");

        await Expect(visitor.Page).ToHaveURLAsync(new System.Text.RegularExpressions.Regex("classes=0(,|%2C)2(,|%2C)3"));
        foreach (var (box, chosen) in new[] { (0, true), (1, false), (2, true), (3, true) })
        {
            await Expect(boxes.Nth(box)).ToBeCheckedAsync(new() { Checked = chosen });
        }

        visitor.AssertNoFault();
    }

    [Fact]
    public async Task Methods_chosen_for_a_comparison_faster_than_the_browser_answers_are_all_kept()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        await visitor.GoAsync(PageUrls.Compare(sample.Id));
        var chips = visitor.Page.GetByRole(AriaRole.Group, new() { Name = "Methods" }).GetByRole(AriaRole.Button);
        await Expect(chips.Nth(2)).ToBeVisibleAsync();
        var before = new List<string?>();
        foreach (var chip in await chips.AllAsync())
        {
            before.Add(await chip.GetAttributeAsync("aria-pressed"));
        }

        await chips.First.EvaluateAsync("chip => [...chip.parentElement.querySelectorAll('button')].slice(0, 3).forEach(b => b.click())");

        for (var place = 0; place < before.Count; place++)
        {
            var expected = place < 3 ? (before[place] == "true" ? "false" : "true") : before[place]!;
            await Expect(chips.Nth(place)).ToHaveAttributeAsync("aria-pressed", expected);
        }

        visitor.AssertNoFault();
    }

    [Fact]
    public async Task Parameters_of_a_new_analysis_that_follow_each_other_faster_than_the_browser_answers_are_all_kept()
    {
        await stage.Site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        await visitor.GoAsync($"/new?data={Uri.EscapeDataString(stage.Site.SampleImages)}&network={Uri.EscapeDataString(stage.Site.SampleNetwork)}&step=method");
        await Expect(visitor.Page.Locator(".preset").First).ToBeVisibleAsync();

        await visitor.Page.EvaluateAsync(
            """
            () => {
              for (const [label, value] of [['Images, at most', '300'], ['Seed', '7'], ['Concepts per class', '6']]) {
                const field = [...document.querySelectorAll('main label')].find(l => l.textContent.startsWith(label)).querySelector('input');
                field.value = value;
                field.dispatchEvent(new Event('change', { bubbles: true }));
              }
            }
            """);

        foreach (var part in new[] { "limit=300", "seed=7", "concepts=6" })
        {
            await Expect(visitor.Page).ToHaveURLAsync(new System.Text.RegularExpressions.Regex(part));
        }

        visitor.AssertNoFault();
    }

    [Fact]
    public async Task Parts_of_a_search_taken_away_faster_than_the_browser_answers_are_all_gone_and_come_back_one_by_one()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        var view = await stage.Site.GetAsync<Dashboard.Client.Contracts.ClassView>($"/api/analyses/{sample.Id}/classes/0");
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync($"{PageUrls.Search(sample.Id, with: view.Concepts[0].Id)}&without={view.Concepts[2].Id}");
        await Expect(page.Locator(".picked")).ToHaveCountAsync(2);

        await page.EvaluateAsync("document.querySelectorAll('.picked button[aria-label^=Leave]').forEach(b => b.click())");

        await Expect(page.Locator(".picked")).ToHaveCountAsync(0);
        await Expect(page).ToHaveURLAsync(new System.Text.RegularExpressions.Regex("/search$"));
        await page.GoBackAsync();
        await Expect(page.Locator(".picked.without")).ToHaveCountAsync(1);

        // What is chosen after a step back comes on top of the page that is shown.
        await page.Locator(".picked .sense").ClickAsync();
        await Expect(page.Locator(".picked.with")).ToHaveCountAsync(1);
        visitor.AssertNoFault();
    }

    [Fact]
    public async Task Filters_of_outliers_that_follow_each_other_faster_than_the_browser_answers_are_both_kept()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        await visitor.GoAsync(PageUrls.Outliers(sample.Id));
        await Expect(visitor.Page.Locator(".outlier-tile").First).ToBeVisibleAsync();

        await visitor.Page.EvaluateAsync(
            """
            () => {
              const list = document.querySelector('.filters select');
              list.value = '1';
              list.dispatchEvent(new Event('change', { bubbles: true }));
              document.querySelector('.filters input[type=checkbox]').click();
            }
            """);

        foreach (var part in new[] { "class=1", "unjudged=true" })
        {
            await Expect(visitor.Page).ToHaveURLAsync(new System.Text.RegularExpressions.Regex(part));
        }

        visitor.AssertNoFault();
    }

    [Fact]
    public async Task Words_typed_faster_than_the_browser_answers_keep_all_their_letters()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        await visitor.GoAsync(PageUrls.Atlas(sample.Id, "shared"));
        var box = visitor.Page.GetByPlaceholder("Search classes");
        await box.PressSequentiallyAsync("striped green star", new() { Delay = 3 });
        await Expect(visitor.Page).ToHaveURLAsync(new System.Text.RegularExpressions.Regex("q=striped(\\+|%20)green(\\+|%20)star$"));
        await Expect(box).ToHaveValueAsync("striped green star");
        visitor.AssertNoFault();
    }
}
