namespace Dashboard.EndToEnd;

/// <summary>
/// From a discovered concept to a concept of one's own and back to the images: what it is called, where the network reads what a
/// person means, what expresses it, and which training images taught it.
/// </summary>
public sealed class JourneyTests(Stage stage)
{
    private const int Minutes = 60_000;

    [Fact]
    public async Task A_concept_is_read_defined_by_tagging_probed_expressed_and_traced_to_its_training_images()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        var atlas = await stage.Site.GetAsync<AtlasView>($"/api/analyses/{sample.Id}/atlas");
        var striped = atlas.Classes.Single(c => c.Name == "striped ring").Index;
        var dotted = atlas.Classes.Single(c => c.Name == "dotted ring").Index;
        var concept = (await stage.Site.GetAsync<ClassView>($"/api/analyses/{sample.Id}/classes/{striped}")).Concepts[0];
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;

        // A concept, its label, and the evidence.
        await visitor.GoAsync(PageUrls.Concept(sample.Id, concept.Id));
        var label = page.GetByTestId("concept-label").GetByRole(AriaRole.Link);
        await Expect(label).ToBeVisibleAsync();
        if (await label.InnerTextAsync() == "Find labels")
        {
            await label.ClickAsync();
            await page.GetByRole(AriaRole.Button, new() { Name = "Find labels" }).ClickAsync();
            await Expect(page.Locator("table.units tbody tr:has(button.unit)").First).ToBeVisibleAsync(new() { Timeout = 4 * Minutes });
            await visitor.GoAsync(PageUrls.Concept(sample.Id, concept.Id));
        }

        await Expect(page.GetByTestId("concept-label")).ToContainTextAsync("AUC");
        await label.ClickAsync();
        await Expect(page.Locator(".detail p.formula")).ToBeVisibleAsync();
        await Expect(page.Locator(".detail .wall img").First).ToBeVisibleAsync();

        // A concept of one's own, by tagging: the first images by mouse, the others by keyboard; from page to page.
        await visitor.GoAsync(PageUrls.Class(sample.Id, striped));
        await page.GetByRole(AriaRole.Button, new() { Name = "Tag images" }).ClickAsync();
        var bar = page.GetByTestId("tagging-bar");
        await Expect(bar).ToContainTextAsync("Nothing tagged yet");
        await TagAsync(page, bar, "Shows it", "p", "show it, 0 do not");
        await SeenAsync(visitor, "tagging");
        await page.WaitForFunctionAsync("() => (sessionStorage.getItem('concept-atlas-tags') ?? '').split('row').length === 13");
        await visitor.GoAsync(PageUrls.Class(sample.Id, dotted));
        await Expect(bar).ToContainTextAsync("12 show it, 0 do not");
        await TagAsync(page, bar, "Does not show it", "n", "do not");
        await Expect(bar).ToContainTextAsync("12 show it, 12 do not");
        await page.WaitForFunctionAsync("() => (sessionStorage.getItem('concept-atlas-tags') ?? '').split('row').length === 25");

        // Loading the page again loses none.
        await page.ReloadAsync();
        await visitor.AnswersAsync();
        await Expect(bar).ToContainTextAsync("12 show it, 12 do not");
        await bar.GetByRole(AriaRole.Link, new() { Name = "Define the concept" }).ClickAsync();
        var counts = page.GetByTestId("draft-counts");
        await Expect(counts).ToBeVisibleAsync();
        await Expect(counts.Locator("tbody tr").Nth(0)).ToContainTextAsync("12");
        await Expect(counts.Locator("tbody tr").Nth(1)).ToContainTextAsync("12");
        await page.GetByTestId("concept-name").FillAsync("stripes of rings");
        await SeenAsync(visitor, "define-samples");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.GetByRole(AriaRole.Heading, new() { Level = 1, Name = "stripes of rings" })).ToBeVisibleAsync();

        // Its probe, at every layer.
        await page.GetByRole(AriaRole.Button, new() { Name = "Train its probe" }).ClickAsync();
        await Expect(page.GetByTestId("location")).ToContainTextAsync("can be read best at", new() { Timeout = 4 * Minutes });
        await Expect(page.Locator(".probe-grid svg.main-svg").First).ToBeVisibleAsync();
        await SeenAsync(visitor, "probe");
        var probed = page.Url;
        await page.GetByRole(AriaRole.Button, new() { Name = "conv1" }).ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("layer=conv1"));
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = "On how few neurons of conv1" })).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Link, new() { Name = "Compare with other concepts" }).ClickAsync();
        await Expect(page.Locator(".matrix tbody")).ToContainTextAsync("stripes of rings");
        await SeenAsync(visitor, "probes");

        // What in an image expresses it: the smallest change that makes the probe answer otherwise, live.
        await visitor.GoAsync(probed);
        await page.GetByRole(AriaRole.Link, new() { Name = "What in an image expresses it?" }).ClickAsync();
        await Expect(page.GetByRole(AriaRole.Heading, new() { Level = 1 })).ToContainTextAsync("stripes of rings");
        await page.Locator("a.pic").First.ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Find the smallest change" }).ClickAsync();
        await Expect(page.Locator("img.triple").Or(page.GetByRole(AriaRole.Slider)).First).ToBeVisibleAsync(new() { Timeout = 2 * Minutes });
        await Expect(page.GetByRole(AriaRole.Slider).First).ToBeVisibleAsync(new() { Timeout = 6 * Minutes });
        await SeenAsync(visitor, "expressed");

        // Which training images taught it, and one of them on its own page.
        await visitor.GoAsync(probed);
        await page.GetByRole(AriaRole.Link, new() { Name = "Which training images taught it?" }).ClickAsync();
        await Expect(page.GetByRole(AriaRole.Heading, new() { Level = 1 })).ToContainTextAsync("stripes of rings");
        await page.GetByRole(AriaRole.Button, new() { Name = "Find the training images" }).ClickAsync();
        var taught = page.Locator("main a[href*='/samples/']").First;
        await Expect(taught).ToBeVisibleAsync(new() { Timeout = 6 * Minutes });
        await SeenAsync(visitor, "taught");
        await taught.ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("/samples/[0-9]+$"));
        await Expect(page.Locator(".picture-card img").First).ToBeVisibleAsync();
        visitor.AssertNoFault();
    }

    [Fact]
    public async Task A_place_is_drawn_in_an_image_and_given_by_numbers()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync(PageUrls.Sample(sample.Id, 5));
        await page.GetByRole(AriaRole.Button, new() { Name = "Mark a place" }).ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("mark=[Tt]rue"));
        var area = page.GetByTestId("place-marker");
        var left = page.GetByLabel("Left, percent");
        await Expect(left).ToHaveValueAsync("");
        var box = (await area.BoundingBoxAsync())!;
        await page.Mouse.MoveAsync(box.X + (box.Width * 0.25f), box.Y + (box.Height * 0.5f));
        await page.Mouse.DownAsync();
        await page.Mouse.MoveAsync(box.X + (box.Width * 0.5f), box.Y + (box.Height * 0.75f), new() { Steps = 4 });
        await page.Mouse.UpAsync();
        await Expect(left).ToHaveValueAsync("25");
        await Expect(page.GetByLabel("Height, percent")).ToHaveValueAsync("25");
        await SeenAsync(visitor, "place");

        // The same by keyboard, on another image.
        await visitor.GoAsync(PageUrls.Sample(sample.Id, 6) + "?mark=true");
        await left.FocusAsync();
        await page.Keyboard.TypeAsync("10");
        await page.Keyboard.PressAsync("Tab");
        await page.GetByLabel("Width, percent").FillAsync("40");
        await page.Keyboard.PressAsync("Tab");
        await Expect(page.GetByTestId("tagging-bar")).ToContainTextAsync("2 show it, 0 do not");
        await page.Locator(".fields").GetByRole(AriaRole.Link, new() { Name = "Define the concept" }).ClickAsync();
        await Expect(page.Locator(".places li")).ToHaveCountAsync(2);
        await Expect(page.Locator(".places li").Nth(1)).ToContainTextAsync("left 10%");
        await Expect(page.GetByTestId("draft-counts").Locator("tbody tr").Nth(0)).ToContainTextAsync("2");
        visitor.AssertNoFault();
    }

    /// <summary>Two images by their buttons, ten by the key.</summary>
    private static async Task TagAsync(IPage page, ILocator bar, string button, string key, string said)
    {
        var pictures = page.Locator(".gallery .taggable");
        var tagging = page.GetByRole(AriaRole.Button, new() { Name = "Tag images" });
        if (await tagging.IsVisibleAsync())
        {
            await tagging.ClickAsync();
        }

        await Expect(pictures.Nth(11)).ToBeAttachedAsync();
        for (var i = 0; i < 2; i++)
        {
            await pictures.Nth(i).GetByRole(AriaRole.Button, new() { Name = button, Exact = true }).ClickAsync();
        }

        await Expect(bar).ToContainTextAsync($"2 {said}");
        for (var i = 2; i < 12; i++)
        {
            await pictures.Nth(i).Locator("a").FocusAsync();
            await page.Keyboard.PressAsync(key);
            await Expect(bar).ToContainTextAsync($"{i + 1} {said}");
        }
    }

    /// <summary>A state on the way: accessible, and kept as a picture where KEEP_PICTURES names a folder.</summary>
    private static async Task SeenAsync(Visitor visitor, string name)
    {
        if (Environment.GetEnvironmentVariable("KEEP_PICTURES") is { Length: > 0 } folder)
        {
            await visitor.Page.ScreenshotAsync(new() { Path = Path.Combine(folder, name + ".png"), FullPage = true });
        }

        await visitor.AssertAccessibleAsync(name);
    }
}
