namespace Dashboard.EndToEnd;

/// <summary>The place where a visitor is comes back, by the back button and after the connection was lost.</summary>
public sealed class PlaceTests(Stage stage)
{
    [Fact]
    public async Task Back_leads_to_the_place_where_a_page_was_left()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync(PageUrls.Class(sample.Id, 0));
        await Expect(page.Locator(".charts svg.main-svg").First).ToBeVisibleAsync();
        var link = page.Locator("table.align a").First;
        await link.ScrollIntoViewIfNeededAsync();
        await page.WaitForFunctionAsync("() => scrollY > 400");
        var left = await page.EvaluateAsync<double>("scrollY");
        await link.ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("/concepts/"));
        await Expect(page.GetByRole(AriaRole.Heading, new() { Level = 1 })).ToBeInViewportAsync();
        await page.GoBackAsync();
        await page.WaitForFunctionAsync("left => Math.abs(scrollY - left) < 40", left);
        await Expect(link).ToBeInViewportAsync();
        visitor.AssertNoFault();
    }

    [Fact]
    public async Task A_server_that_goes_and_comes_back_finds_the_visitor_in_the_same_place()
    {
        var site = await Site.StartAsync(sample: false);
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        var address = $"{site.Address}/new?data={Uri.EscapeDataString(site.Folder)}";
        try
        {
            await visitor.GoAsync(address);
            await Expect(page.Locator(".entries")).ToBeVisibleAsync();
            await site.KillAsync();
            await Expect(page.Locator("#components-reconnect-modal")).ToContainTextAsync("Reconnecting");
            await Expect(page.Locator("#components-reconnect-modal .trying")).ToBeVisibleAsync();
        }
        finally
        {
            site = await Site.StartAsync(site.Folder, new Uri(site.Address).Port, sample: false);
        }

        await using (site)
        {
            await page.BringToFrontAsync();
            await Expect(page.Locator("#components-reconnect-modal")).ToBeHiddenAsync(new() { Timeout = 60_000 });
            await visitor.AnswersAsync();
            await Expect(page.Locator(".entries")).ToBeVisibleAsync();
            Assert.Equal(address, page.Url);
            // It answers again.
            await page.Keyboard.PressAsync("Control+k");
            await Expect(page.GetByRole(AriaRole.Option).First).ToBeVisibleAsync();
            await page.CloseAsync();
        }
    }
}
