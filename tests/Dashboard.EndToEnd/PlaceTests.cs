namespace Dashboard.EndToEnd;

/// <summary>Every state has an address that brings it back, in another browser, by the back button, and after the connection was lost.</summary>
public sealed class PlaceTests(Stage stage)
{
    // What a person would compare: the words, what is chosen, what is pressed.
    private const string Look = """
        () => {
          const main = document.querySelector('main');
          const fields = [...main.querySelectorAll('input, select, textarea')].map(e => e.type === 'checkbox' || e.type === 'radio' ? e.checked : e.value);
          const pressed = [...main.querySelectorAll('[aria-pressed=true], [aria-current]')].map(e => e.textContent.trim());
          return JSON.stringify([main.innerText.replace(/\s+/g, ' '), fields, pressed]);
        }
        """;

    [Fact]
    public async Task The_address_of_every_state_opens_the_same_in_another_browser()
    {
        var site = stage.Site;
        var sample = await site.CompleteSampleAsync();
        var view = await site.GetAsync<ClassView>($"/api/analyses/{sample.Id}/classes/0");
        var chosen = $"/new?data={Uri.EscapeDataString(site.SampleImages)}&network={Uri.EscapeDataString(site.SampleNetwork)}";
        (string Name, string Start, Func<IPage, Task> Change, string Expected)[] states =
        [
            ("atlas", PageUrls.Atlas(sample.Id), async page =>
            {
                await page.GetByLabel("Sort").SelectOptionAsync("accuracy");
                await page.GetByLabel("Show").SelectOptionAsync("outliers");
                await page.GetByPlaceholder("Search classes, concepts, labels").FillAsync("star");
            }, "search=star"),
            ("class", PageUrls.Class(sample.Id, 0), async page =>
            {
                await page.GetByLabel("Colour by").SelectOptionAsync("correct");
                await page.GetByRole(AriaRole.Button, new() { Name = "Maps" }).First.ClickAsync();
                await page.GetByRole(AriaRole.Button, new() { Name = "Filter" }).First.ClickAsync();
            }, "concept="),
            ("class, lasso", PageUrls.Class(sample.Id, 0), async page =>
            {
                await Expect(page.Locator(".plot[data-count]")).ToBeVisibleAsync();
                await page.GetByRole(AriaRole.Button, new() { Name = "Lasso" }).ClickAsync();
                var box = (await page.Locator(".plot").BoundingBoxAsync())!;
                (double X, double Y)[] corners = [(0.02, 0.02), (0.6, 0.02), (0.6, 0.98), (0.02, 0.98), (0.02, 0.5)];
                await page.Mouse.MoveAsync((float)(box.X + corners[0].X * box.Width), (float)(box.Y + corners[0].Y * box.Height));
                await page.Mouse.DownAsync();
                foreach (var (x, y) in corners)
                {
                    await page.Mouse.MoveAsync((float)(box.X + x * box.Width), (float)(box.Y + y * box.Height), new() { Steps = 6 });
                }

                await page.Mouse.UpAsync();
                await Expect(page.Locator("#gallery-title")).ToContainTextAsync("inside the lasso");
                // The button stays pressed in this browser only: it says how the mouse works, not what is shown.
                await page.GetByRole(AriaRole.Button, new() { Name = "Lasso" }).ClickAsync();
            }, "lasso="),
            ("concept", PageUrls.Concept(sample.Id, view.Concepts[0].Id), page => page.GetByRole(AriaRole.Button, new() { Name = "Maps" }).ClickAsync(), "maps="),
            ("sample", PageUrls.Sample(sample.Id, view.Strategies[0].Prototype), page => page.Locator(".map-strip button").Nth(1).ClickAsync(), "map="),
            ("outliers", PageUrls.Outliers(sample.Id), async page =>
            {
                await page.Locator(".filters .chip").Nth(1).ClickAsync();
                await Expect(page).ToHaveURLAsync(new Regex("kind="));
                await page.GetByLabel("without a verdict").CheckAsync();
                await Expect(page).ToHaveURLAsync(new Regex("unjudged=true"));
                await page.Locator(".outlier-tile").First.ClickAsync();
                await Expect(page.Locator(".detail .verdicts")).ToBeVisibleAsync();
            }, "image="),
            ("new analysis", chosen + "&step=method", async page =>
            {
                await page.GetByText("Parameters").ClickAsync();
                await page.GetByLabel("Images, at most").FillAsync("300");
                await page.GetByLabel("Images, at most").BlurAsync();
            }, "300"),
        ];
        await using var visitor = await stage.VisitorAsync();
        foreach (var (name, start, change, expected) in states)
        {
            var page = visitor.Page;
            await visitor.GoAsync(start);
            await Expect(page.Locator(".skeleton")).ToHaveCountAsync(0);
            await change(page);
            await Expect(page).ToHaveURLAsync(new Regex(Regex.Escape(expected)));
            await page.WaitForLoadStateAsync(LoadState.NetworkIdle);
            await using var other = await stage.VisitorAsync();
            await other.GoAsync(page.Url);
            await LooksAlikeAsync(name, page, other.Page);
            other.AssertNoFault();
            visitor.AssertNoFault();
        }
    }

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

    private static async Task LooksAlikeAsync(string name, IPage page, IPage other)
    {
        var wanted = await page.EvaluateAsync<string>(Look);
        try
        {
            await other.WaitForFunctionAsync($"wanted => ({Look})() === wanted", wanted);
        }
        catch (TimeoutException)
        {
            Assert.Equal(wanted, await other.EvaluateAsync<string>(Look));
            Assert.Fail($"{name} came to look alike too late.");
        }
    }
}
