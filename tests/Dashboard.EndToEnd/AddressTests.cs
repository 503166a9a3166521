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
