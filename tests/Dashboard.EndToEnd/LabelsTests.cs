namespace Dashboard.EndToEnd;

/// <summary>Labels and attribution maps in the browser, computed by the engine.</summary>
public sealed class LabelsTests(Stage stage)
{
    [Fact]
    public async Task Labels_are_found_searched_and_followed_to_their_evidence()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync(PageUrls.Labels(sample.Id));
        var find = page.GetByRole(AriaRole.Button, new() { Name = "Find labels" });
        var rows = page.Locator("table.units tbody tr:has(button.unit)");
        // Another test may have had them made.
        await Expect(find.Or(rows.First).First).ToBeVisibleAsync();
        if (await find.IsVisibleAsync())
        {
            await KeepAsync(page, "labels-empty");
            await find.ClickAsync();
        }

        await Expect(rows.First).ToBeVisibleAsync(new() { Timeout = 240_000 });
        await Expect(page.Locator(".sentence")).ToContainTextAsync("follow a formula of known concepts");

        await page.GetByPlaceholder("Search labels").FillAsync("striped");
        await Expect(page).ToHaveURLAsync(new Regex("q=striped"));
        await Expect(page.GetByText(new Regex("^[0-9,]+ of [0-9,]+ units$"))).ToBeVisibleAsync();
        await Expect(rows.First.Locator(".formula")).ToContainTextAsync("striped");
        await page.GetByLabel("Show").SelectOptionAsync("concepts");
        await Expect(page).ToHaveURLAsync(new Regex("show=concepts"));
        var unit = rows.First.Locator("button.unit");
        await Expect(unit).ToContainTextAsync(" of ");
        var title = await unit.InnerTextAsync();
        await unit.FocusAsync();
        await page.Keyboard.PressAsync("Enter");
        await Expect(page).ToHaveURLAsync(new Regex("unit=c[0-9]+"));
        var detail = page.Locator(".detail");
        await Expect(detail.GetByRole(AriaRole.Heading, new() { Name = title, Exact = true })).ToBeVisibleAsync();
        await Expect(detail.Locator("svg.density rect").First).ToBeAttachedAsync();
        await visitor.AssertAccessibleAsync("labels with evidence");
        var deep = page.Url;
        var formula = await detail.Locator("p.formula").InnerTextAsync();

        // Its page says the same and leads back to the evidence.
        await detail.GetByRole(AriaRole.Link, new() { Name = "Its page" }).ClickAsync();
        await Expect(page.GetByTestId("concept-label")).ToContainTextAsync("AUC");
        await KeepAsync(page, "concept-label");
        var label = page.GetByTestId("concept-label").GetByRole(AriaRole.Link);
        await Expect(label).ToContainTextAsync(formula);
        await label.ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("/labels\\?unit=c[0-9]+$"));
        await Expect(detail.Locator("p.formula")).ToHaveTextAsync(formula);

        // One image of the evidence, to its page.
        await detail.Locator(".wall a").First.ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("/samples/[0-9]+$"));
        await Expect(page.Locator(".picture-card img").First).ToBeVisibleAsync();

        // What nobody named has its label beside its number wherever it stands.
        await visitor.GoAsync(PageUrls.Class(sample.Id, 0));
        var beside = page.Locator(".concepts .head a.given").First;
        await Expect(beside).ToHaveAttributeAsync("title", new Regex("label, AUC 0\\.[0-9]+"));
        await Expect(beside).ToHaveAttributeAsync("href", new Regex("/labels\\?unit=c[0-9]+$"));
        await Expect(page.Locator(".legend").First).ToContainTextAsync(new Regex("c[0-9] “[a-zA-Z(]"));
        await visitor.AssertAccessibleAsync("class with labels");
        await visitor.GoAsync(PageUrls.Sample(sample.Id, 0));
        await Expect(page.Locator(".waterfall .concept-name .given").First).ToBeVisibleAsync();
        await Expect(page.Locator(".sentence")).ToContainTextAsync(new Regex("The concept c[0-9] “[a-zA-Z(].*” adds most"));
        await visitor.AssertAccessibleAsync("sample with labels");

        // The address brings selection, search and evidence back; nothing is computed again.
        await using var other = await stage.VisitorAsync();
        await other.GoAsync(deep);
        await Expect(other.Page.Locator(".detail p.formula")).ToHaveTextAsync(formula);
        await Expect(other.Page.GetByPlaceholder("Search labels")).ToHaveValueAsync("striped");
        await Expect(other.Page.Locator("tr.on button.unit")).ToHaveTextAsync(title);
        Assert.Single((await stage.Site.GetAsync<Paged<TaskView>>($"/api/analyses/{sample.Id}/tasks?kind=label")).Items);
        visitor.AssertNoFault();
        other.AssertNoFault();
    }

    [Fact]
    public async Task An_attribution_map_is_made_on_a_sample_by_keyboard_and_its_address_brings_it_back()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        var view = await stage.Site.GetAsync<ClassView>($"/api/analyses/{sample.Id}/classes/0");
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync(PageUrls.Sample(sample.Id, view.Strategies[0].Prototype) + $"?attribution={view.Concepts[0].Id}");
        var card = page.GetByRole(AriaRole.Region, new() { Name = "Attribution map" });
        await Expect(card.GetByRole(AriaRole.Combobox, new() { Name = "Concept" })).ToHaveValueAsync($"{view.Concepts[0].Id}");
        await card.GetByRole(AriaRole.Button, new() { Name = "Make the exact map" }).FocusAsync();
        await page.Keyboard.PressAsync("Enter");
        var made = card.Locator("img.made");
        await Expect(made).ToBeVisibleAsync(new() { Timeout = 120_000 });
        Assert.True(await made.EvaluateAsync<bool>("i => i.decode().then(() => i.naturalWidth > 16)"));
        await Expect(card.Locator("figcaption")).ToContainTextAsync("derivative");
        await Expect(card.Locator("figcaption")).Not.ToContainTextAsync("the map is empty");
        await KeepAsync(page, "attribution-exact");
        await page.ReloadAsync();
        await visitor.AnswersAsync();
        await Expect(made).ToBeVisibleAsync();
        await card.GetByRole(AriaRole.Button, new() { Name = "Fast", Exact = true }).ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("way=fast"));
        await card.GetByRole(AriaRole.Button, new() { Name = "Make the fast map" }).ClickAsync();
        await Expect(made).ToBeVisibleAsync(new() { Timeout = 120_000 });
        await KeepAsync(page, "attribution-fast");
        visitor.AssertNoFault();
    }

    /// <summary>KEEP_PICTURES names a folder for pictures of what was seen on the way.</summary>
    private static async Task KeepAsync(IPage page, string name)
    {
        if (Environment.GetEnvironmentVariable("KEEP_PICTURES") is { Length: > 0 } folder)
        {
            await page.ScreenshotAsync(new() { Path = Path.Combine(folder, name + ".png"), FullPage = true });
        }
    }
}
