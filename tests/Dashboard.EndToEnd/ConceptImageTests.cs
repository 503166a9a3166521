namespace Dashboard.EndToEnd;

/// <summary>Pictures made on demand beside a finished analysis.</summary>
public sealed class ConceptImageTests(Stage stage)
{
    [Fact]
    public async Task A_concept_image_is_made_watched_kept_and_shown_on_the_class()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        var view = await stage.Site.GetAsync<ClassView>($"/api/analyses/{sample.Id}/classes/0");
        var concept = view.Concepts[0].Id;
        await using var visitor = await stage.VisitorAsync();
        await using var watcher = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync(PageUrls.Concept(sample.Id, concept));
        await page.GetByRole(AriaRole.Button, new() { Name = "Make it" }).ClickAsync();
        await KeepAsync(page, "concept-image-begun");
        var made = page.Locator("figure .made");
        await Expect(made).ToBeVisibleAsync(new() { Timeout = 120_000 });
        Assert.True(await made.EvaluateAsync<bool>("i => i.decode().then(() => i.naturalWidth === 96)"));
        await Expect(page.Locator("figcaption")).ToContainTextAsync("The network sees");
        await KeepAsync(page, "concept-image");
        await page.GetByLabel("Only where the network looked").CheckAsync();
        await Expect(made).ToHaveAttributeAsync("src", new Regex("transparent"));
        await KeepAsync(page, "concept-image-transparent");

        // Kept: there at once for somebody else, and on the card of the class.
        await watcher.GoAsync(PageUrls.Concept(sample.Id, concept));
        await Expect(watcher.Page.Locator("figure .made")).ToBeVisibleAsync();
        await watcher.GoAsync(PageUrls.Class(sample.Id, 0));
        await Expect(watcher.Page.Locator(".crops .made img").First).ToBeVisibleAsync();
        await KeepAsync(watcher.Page, "concept-image-class");

        // The other kind of picture is a wish of its own.
        await page.GetByRole(AriaRole.Button, new() { Name = "Free" }).ClickAsync();
        await Expect(page.GetByRole(AriaRole.Button, new() { Name = "Make it" })).ToBeVisibleAsync();
        visitor.AssertNoFault();
        watcher.AssertNoFault();
    }

    /// <summary>KEEP_PICTURES names a folder for pictures of what was seen on the way.</summary>
    private static async Task KeepAsync(IPage page, string name)
    {
        if (Environment.GetEnvironmentVariable("KEEP_PICTURES") is { Length: > 0 } folder)
        {
            await page.ScreenshotAsync(new() { Path = Path.Combine(folder, name + ".png") });
        }
    }
}
