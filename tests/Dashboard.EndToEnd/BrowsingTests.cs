using System.Net.Http.Json;

namespace Dashboard.EndToEnd;

/// <summary>A finished atlas in the browser.</summary>
public sealed class BrowsingTests(Stage stage)
{
    [Fact]
    public async Task Back_leads_to_the_same_selection()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync(PageUrls.Class(sample.Id, 0));
        await page.Locator("button.strategy").First.ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("strategy=0"));
        await Expect(page.Locator("button.strategy").First).ToHaveAttributeAsync("aria-pressed", "true");
        var chosen = await page.Locator("#gallery-title").InnerTextAsync();
        Assert.Contains("trategy A", chosen);
        await page.GetByLabel("Colour by").SelectOptionAsync("outlier");
        await Expect(page).ToHaveURLAsync(new Regex("colour=outlier"));
        var address = page.Url;

        await page.Locator(".concepts a.name").First.ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("/concepts/"));
        await page.GoBackAsync();
        await Expect(page).ToHaveURLAsync(address);
        await Expect(page.Locator("#gallery-title")).ToHaveTextAsync(chosen);
        visitor.AssertNoFault();
    }

    [Fact]
    public async Task A_strategy_has_an_address_and_a_name_that_is_read_wherever_it_is_met()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync(PageUrls.Class(sample.Id, 2));
        await Expect(page.Locator(".charts svg.main-svg").First).ToBeVisibleAsync();
        await page.Locator(".strategies .open").First.ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("/classes/2/strategies/0$"));
        await Expect(page.GetByRole(AriaRole.Heading, new() { Level = 1 })).ToHaveTextAsync("Strategy A");
        await Expect(page.Locator(".wall .pic").First).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Name it" }).ClickAsync();
        await page.GetByLabel("Name of the strategy").FillAsync("The usual way");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.GetByRole(AriaRole.Heading, new() { Level = 1 })).ToHaveTextAsync("The usual way");

        // In another profile: by its address, on the class, and from an image of it.
        await using var other = await stage.VisitorAsync();
        await other.GoAsync(page.Url);
        await Expect(other.Page.GetByRole(AriaRole.Heading, new() { Level = 1 })).ToHaveTextAsync("The usual way");
        await other.GoAsync(PageUrls.Class(sample.Id, 2));
        await Expect(other.Page.Locator("button.strategy").First).ToContainTextAsync("The usual way");
        await Expect(other.Page.Locator(".charts svg.main-svg").First).ToBeVisibleAsync();
        var view = await stage.Site.GetAsync<StrategyView>($"/api/analyses/{sample.Id}/classes/2/strategies/0");
        await other.GoAsync(PageUrls.Sample(sample.Id, view.Typical[^1].Index));
        await other.Page.GetByRole(AriaRole.Link, new() { Name = "The usual way" }).ClickAsync();
        await Expect(other.Page).ToHaveURLAsync(page.Url);
        other.AssertNoFault();
        visitor.AssertNoFault();
    }

    [Fact]
    public async Task A_concept_put_away_is_in_no_legend_at_no_point_and_in_no_strategy()
    {
        var site = stage.Site;
        var sample = await site.CompleteSampleAsync();
        var view = await site.GetAsync<ClassView>($"/api/analyses/{sample.Id}/classes/3");
        var strongest = view.Concepts.MaxBy(concept => concept.StrongestFor)!;
        var code = $"c{strongest.Rank}";
        var list = $"/api/analyses/{sample.Id}/annotations/concepts/{strongest.Id}/list";
        await using var visitor = await stage.VisitorAsync();
        Assert.Equal((1, true, 1), await MetAsync());
        try
        {
            (await site.Http.PutAsJsonAsync(list, new { hidden = true }, TestContext.Current.CancellationToken)).EnsureSuccessStatusCode();
            Assert.Equal((0, false, 0), await MetAsync());
            await Expect(visitor.Page.Locator(".put-away")).ToContainTextAsync(code);
        }
        finally
        {
            (await site.Http.PutAsJsonAsync(list, new { hidden = false }, TestContext.Current.CancellationToken)).EnsureSuccessStatusCode();
        }

        visitor.AssertNoFault();

        // In the legend, at the points that a walk with the arrow keys meets, among the concepts that decide in a strategy.
        async Task<(int Legend, bool Points, int Strategy)> MetAsync()
        {
            var page = visitor.Page;
            await visitor.GoAsync(PageUrls.Class(sample.Id, 3));
            var plot = page.Locator(".plot[data-count]");
            await plot.FocusAsync();
            var points = false;
            foreach (var key in Enumerable.Range(0, 24).Select(step => step % 8 < 3 ? "ArrowRight" : step % 8 < 4 ? "ArrowDown" : step % 8 < 7 ? "ArrowLeft" : "ArrowUp"))
            {
                await page.Keyboard.PressAsync(key);
                points |= (await plot.Locator("[aria-live]").InnerTextAsync()).Contains($"mostly {code},", StringComparison.Ordinal);
            }

            var legend = await page.Locator(".cloud .legend li").Filter(new() { HasTextRegex = new($"^\\s*{code}\\b") }).CountAsync();
            await visitor.GoAsync(PageUrls.Strategy(sample.Id, 3, 0));
            await Expect(page.Locator(".mixture-table tbody tr").First).ToBeVisibleAsync();
            return (legend, points, await page.Locator($".mixture-table a[href$='/concepts/{strongest.Id}']").CountAsync());
        }
    }

    [Fact]
    public async Task A_saved_class_opens_from_disk_without_any_request()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync(PageUrls.Class(sample.Id, 0));
        var name = await page.GetByRole(AriaRole.Heading, new() { Level = 1 }).InnerTextAsync();
        var download = await page.RunAndWaitForDownloadAsync(() => page.GetByRole(AriaRole.Link, new() { Name = "Save" }).ClickAsync());
        Assert.EndsWith(".html", download.SuggestedFilename);
        var file = Path.Combine(stage.Site.Folder, "saved.html");
        await download.SaveAsAsync(file);
        visitor.AssertNoFault();

        await using var reader = await stage.VisitorAsync(offline: true);
        await reader.Page.GotoAsync(new Uri(file).AbsoluteUri);
        await Expect(reader.Page.GetByRole(AriaRole.Heading, new() { Level = 1 })).ToContainTextAsync(name);
        Assert.True(await reader.Page.Locator("img").CountAsync() > 10);
        Assert.Equal(0, await reader.Page.Locator("img").EvaluateAllAsync<int>("all => all.filter(i => !i.naturalWidth).length"));
        // The file itself, and pictures that it carries within; nothing else, not even on disk.
        Assert.Equal(["file"], reader.Addresses.Select(address => address.Split(':')[0]).Where(scheme => scheme != "data"));
        reader.AssertNoFault();
    }

    [Fact]
    public async Task A_shared_link_is_read_by_strangers_until_it_is_ended()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync(PageUrls.Class(sample.Id, 1));
        var name = await page.GetByRole(AriaRole.Heading, new() { Level = 1 }).InnerTextAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Share" }).ClickAsync();
        var dialog = page.GetByRole(AriaRole.Dialog);
        await dialog.GetByRole(AriaRole.Button, new() { Name = "Make a link" }).ClickAsync();
        var link = await dialog.Locator("input[readonly]").First.InputValueAsync();

        await using var stranger = await stage.VisitorAsync();
        await stranger.Page.GotoAsync(link);
        await Expect(stranger.Page.GetByRole(AriaRole.Heading, new() { Level = 1 })).ToContainTextAsync(name);
        await Expect(stranger.Page.GetByRole(AriaRole.Button)).ToHaveCountAsync(0);
        stranger.AssertNoFault();

        // The newest link stands first. Its address is a property of the field, not an attribute a selector could see,
        // so the number of rows tells when the link has ended.
        var ends = dialog.GetByRole(AriaRole.Button, new() { Name = "End link" });
        var links = await ends.CountAsync();
        await ends.First.ClickAsync();
        await Expect(ends).ToHaveCountAsync(links - 1);
        var answer = await stranger.Page.GotoAsync(link);
        Assert.Equal(404, answer!.Status);
        visitor.AssertNoFault();
    }
}
