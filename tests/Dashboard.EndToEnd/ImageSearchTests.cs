namespace Dashboard.EndToEnd;

/// <summary>Images found by what they show, in the browser.</summary>
public sealed class ImageSearchTests(Stage stage)
{
    [Fact]
    public async Task Concepts_are_combined_turned_round_and_found_again_by_the_address()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        var view = await stage.Site.GetAsync<ClassView>($"/api/analyses/{sample.Id}/classes/0");
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync(PageUrls.Atlas(sample.Id));
        await page.GetByRole(AriaRole.Navigation, new() { Name = "Parts of the atlas" }).GetByRole(AriaRole.Link, new() { Name = "Search images" }).ClickAsync();
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = "What shall the images show?" })).ToBeVisibleAsync();

        // By the keyboard: words, Enter for the first, then one that must be absent.
        var words = page.GetByLabel("Concept by class, name, label or number");
        await words.FillAsync($"{view.DisplayName} c0");
        await Expect(page.Locator(".hits li").First).ToBeVisibleAsync();
        await words.PressAsync("Enter");
        await Expect(page).ToHaveURLAsync(new Regex("\\?with=[0-9]+$"));
        await Expect(page.Locator(".one").First).ToBeVisibleAsync();
        await Expect(page.Locator("p.sentence")).ToHaveTextAsync(new Regex($"show c0( “.*”)? of {view.DisplayName}\\."));
        await words.FillAsync("c1");
        await page.Locator(".hits li").First.GetByRole(AriaRole.Button, new() { Name = "Images that do not show" }).ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("with=[0-9]+&without=[0-9]+"));
        await Expect(page.Locator(".picked.without")).ToHaveCountAsync(1);

        // A wider share, the other sense, and back.
        await page.GetByLabel("Shows: strongest").SelectOptionAsync("25");
        await Expect(page).ToHaveURLAsync(new Regex("top=25"));
        // The address comes first, the answer after it.
        await Expect(page.Locator(".meaning")).ToContainTextAsync("at most 25%");
        await Expect(page.Locator(".one").First).ToBeVisibleAsync();
        var deep = page.Url;
        var found = await page.Locator("p.sentence").InnerTextAsync();
        await page.Locator(".picked.without .sense").ClickAsync();
        await Expect(page.Locator(".picked.with")).ToHaveCountAsync(2);
        await page.GoBackAsync();
        await Expect(page.Locator("p.sentence")).ToHaveTextAsync(found);

        // What is like a match, and its page.
        await page.Locator(".one").First.GetByText("more like it").ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("like=[0-9]+"));
        await Expect(page.Locator(".one").First).ToContainTextAsync("likeness");
        await page.Locator(".one a.pic").First.ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("/samples/[0-9]+$"));
        await page.GetByRole(AriaRole.Link, new() { Name = "More like this" }).ClickAsync();
        await Expect(page.GetByText("like this image")).ToBeVisibleAsync();

        await using var other = await stage.VisitorAsync();
        await other.GoAsync(deep);
        await Expect(other.Page.Locator("p.sentence")).ToHaveTextAsync(found);
        await Expect(other.Page.Locator(".picked")).ToHaveCountAsync(2);
        visitor.AssertNoFault();
        other.AssertNoFault();
    }

    [Fact]
    public async Task An_image_of_ones_own_is_chosen_or_pasted_explained_found_again_and_forgotten()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync(PageUrls.Atlas(sample.Id));
        await page.GetByRole(AriaRole.Link, new() { Name = "Try your own image" }).ClickAsync();
        var choose = page.Locator(".drop input[type=file]");
        await Expect(choose).ToBeEnabledAsync();

        // What is no image is refused in words, beside the place where it was given.
        await choose.SetInputFilesAsync(new FilePayload { Name = "photo.png", MimeType = "image/png", Buffer = "no picture at all"u8.ToArray() });
        await Expect(page.GetByRole(AriaRole.Alert)).ToContainTextAsync("not an image of a supported format");

        var file = Directory.EnumerateFiles(stage.Site.SampleImages, "*.png", SearchOption.AllDirectories).Order(StringComparer.Ordinal).First();
        await choose.SetInputFilesAsync(file);
        await Expect(page).ToHaveURLAsync(new Regex("/images/[0-9a-f]{64}$"));
        await Expect(page.Locator(".waterfall .row-w.total")).ToBeVisibleAsync(new() { Timeout = 120_000 });
        await Expect(page.Locator("p.sentence")).ToContainTextAsync("Predicted ");
        await Expect(page.Locator("[aria-labelledby=alike-title] .pic").First).ToBeVisibleAsync();
        await page.Locator(".map-strip button").Nth(1).ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("map=[0-9]+"));
        var address = page.Url;
        var said = await page.Locator("p.sentence").InnerTextAsync();

        // Its likes, its address elsewhere, and gone.
        await page.GetByRole(AriaRole.Link, new() { Name = "More like this" }).ClickAsync();
        await Expect(page.GetByText("like your image")).ToBeVisibleAsync();
        await Expect(page.Locator(".one").First).ToContainTextAsync("1.00");
        await using var other = await stage.VisitorAsync();
        await other.GoAsync(address);
        await Expect(other.Page.Locator("p.sentence")).ToHaveTextAsync(said);
        await Expect(other.Page.Locator(".large img.map")).ToBeVisibleAsync();
        await other.AnswersAsync();
        await other.Page.GetByRole(AriaRole.Button, new() { Name = "Forget it" }).ClickAsync();
        await Expect(other.Page).ToHaveURLAsync(new Regex("/images$"));
        var answer = await stage.Site.Http.GetAsync(new Uri(address).AbsolutePath.Replace("/analyses", "/api/analyses", StringComparison.Ordinal), TestContext.Current.CancellationToken);
        Assert.Equal(System.Net.HttpStatusCode.NotFound, answer.StatusCode);

        // Pasted, anywhere on the page.
        await Expect(other.Page.Locator(".drop input[type=file]")).ToBeEnabledAsync();
        await other.Page.EvaluateAsync(
            """
            async data => {
              const bytes = Uint8Array.from(atob(data), c => c.charCodeAt(0));
              const transfer = new DataTransfer();
              transfer.items.add(new File([bytes], 'pasted.png', { type: 'image/png' }));
              document.dispatchEvent(new ClipboardEvent('paste', { clipboardData: transfer, bubbles: true, cancelable: true }));
            }
            """,
            Convert.ToBase64String(await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken)));
        await Expect(other.Page).ToHaveURLAsync(new Regex("/images/[0-9a-f]{64}$"));
        await Expect(other.Page.Locator(".waterfall .row-w.total")).ToBeVisibleAsync(new() { Timeout = 120_000 });
    }
}
