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
}
