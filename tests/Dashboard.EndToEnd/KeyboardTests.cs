namespace Dashboard.EndToEnd;

/// <summary>The site without a mouse.</summary>
public sealed class KeyboardTests(Stage stage)
{
    [Fact]
    public async Task The_keyboard_alone_finds_a_class_a_concept_and_an_image_and_comes_back()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        var star = (await stage.Site.GetAsync<AtlasView>($"/api/analyses/{sample.Id}/atlas")).Classes.First(c => c.Name == "plain star");
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        var palette = page.GetByRole(AriaRole.Dialog, new() { Name = "Search everything" });
        // What belongs to the atlas that is looked at comes first; other tests make further atlases of the same images.
        await visitor.GoAsync(PageUrls.Outliers(sample.Id));

        // To a class by its name, from anywhere; Enter waits for what was typed last.
        await page.Keyboard.PressAsync("Control+k");
        await Expect(palette.GetByRole(AriaRole.Combobox)).ToBeFocusedAsync();
        await visitor.AssertAccessibleAsync("command palette");
        await page.Keyboard.TypeAsync("plain star");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page).ToHaveURLAsync(new Regex($"/analyses/{sample.Id}/classes/{star.Index}$"));
        await Expect(palette).ToBeHiddenAsync();
        await Expect(page.GetByRole(AriaRole.Heading, new() { Level = 1 })).ToHaveTextAsync("plain star");

        // Past the second result with the arrows; the screen reader is told which one is meant.
        await page.Keyboard.PressAsync("Control+k");
        await page.Keyboard.TypeAsync("plain star");
        await Expect(palette.Locator("[data-for='plain star']")).ToBeVisibleAsync();
        await page.Keyboard.PressAsync("ArrowDown");
        var second = palette.GetByRole(AriaRole.Option).Nth(1);
        await Expect(second).ToHaveAttributeAsync("aria-selected", "true");
        await Expect(palette.GetByRole(AriaRole.Combobox)).ToHaveAttributeAsync("aria-activedescendant", (await second.GetAttributeAsync("id"))!);
        await Expect(second).ToContainTextAsync("c0 of plain star");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page).ToHaveURLAsync(new Regex("/concepts/[0-9]+$"));
        var concept = page.Url;

        // Every stop of the focus can be seen, up to the first picture; then the arrows go from picture to picture.
        var pictures = page.Locator(".concept-grid .wall").First.Locator("a.pic");
        await pictures.First.WaitForAsync();
        var unseen = await TabToAsync(page, pictures.First);
        Assert.Empty(unseen);
        await page.Keyboard.PressAsync("ArrowRight");
        await Expect(pictures.Nth(1)).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("End");
        await Expect(pictures.Last).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("Home");
        await Expect(pictures.First).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("Enter");
        await Expect(page).ToHaveURLAsync(new Regex("/samples/[0-9]+$"));
        // What Alt+Left does in a browser with a window: keys of the browser itself do not exist without one.
        await page.GoBackAsync();
        await Expect(page).ToHaveURLAsync(concept);
        visitor.AssertNoFault();
    }

    [Fact]
    public async Task Help_search_field_skip_link_and_dialogs_work_and_give_the_focus_back()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;

        // The first stop leads past the bar.
        await visitor.GoAsync(PageUrls.Class(sample.Id, 0));
        await Expect(page.Locator(".concepts .concept").First).ToBeVisibleAsync();
        await page.EvaluateAsync("document.activeElement.blur()");
        await page.EvaluateAsync("document.querySelector('.skip-link').focus()");
        await Expect(page.Locator(".skip-link")).ToBeInViewportAsync();
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.Locator("#content")).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("Tab");
        Assert.True(await page.EvaluateAsync<bool>("document.getElementById('content').contains(document.activeElement)"));

        // A dialog of the kit and one of the browser.
        var share = page.GetByRole(AriaRole.Button, new() { Name = "Share" });
        await share.FocusAsync();
        await page.Keyboard.PressAsync("Enter");
        var dialog = page.GetByRole(AriaRole.Dialog);
        await Expect(dialog.GetByRole(AriaRole.Button, new() { Name = "Make a link" })).ToBeVisibleAsync();
        await visitor.AssertAccessibleAsync("share dialog");
        await page.Keyboard.PressAsync("Escape");
        await Expect(dialog).ToHaveCountAsync(0);
        await Expect(share).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("?");
        var help = page.GetByRole(AriaRole.Dialog, new() { Name = "Keyboard shortcuts" });
        await Expect(help).ToBeVisibleAsync();
        await visitor.AssertAccessibleAsync("shortcuts");
        await page.Keyboard.PressAsync("Escape");
        await Expect(help).ToBeHiddenAsync();
        await Expect(share).ToBeFocusedAsync();

        // An action, and the search field of a page.
        await page.Keyboard.PressAsync("Control+k");
        await page.Keyboard.TypeAsync("dark colours");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.Locator("html")).ToHaveAttributeAsync("data-theme", "dark");
        await visitor.GoAsync(PageUrls.Atlas(sample.Id));
        await page.Keyboard.PressAsync("/");
        await Expect(page.GetByPlaceholder("Search classes, concepts, labels")).ToBeFocusedAsync();
        await page.Keyboard.TypeAsync("st/?");
        await Expect(page.GetByPlaceholder("Search classes, concepts, labels")).ToHaveValueAsync("st/?");
        visitor.AssertNoFault();
    }

    [Fact]
    public async Task The_keyboard_alone_opens_a_class_and_judges_outliers()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync(PageUrls.Atlas(sample.Id));
        var tile = page.Locator(".class-row .tile .cover").First;
        await tile.WaitForAsync();
        Assert.Empty(await TabToAsync(page, tile));
        await page.Keyboard.PressAsync("Enter");
        await Expect(page).ToHaveURLAsync(new Regex("/classes/[0-9]+$"));
        await Expect(page.Locator(".concepts .concept").First).ToBeVisibleAsync();

        // Outliers: arrows move, f says fine and moves on, u takes it back and returns.
        await visitor.GoAsync(PageUrls.Outliers(sample.Id));
        var tiles = page.Locator(".outlier-tile");
        await tiles.First.WaitForAsync();
        var first = (await tiles.Nth(0).GetAttributeAsync("data-row"))!;
        var second = (await tiles.Nth(1).GetAttributeAsync("data-row"))!;
        await page.Keyboard.PressAsync("ArrowRight");
        await Expect(tiles.Nth(0)).ToBeFocusedAsync();
        await Expect(tiles.Nth(0)).ToHaveAttributeAsync("aria-current", "true");
        await page.Keyboard.PressAsync("ArrowRight");
        await Expect(tiles.Nth(1)).ToHaveAttributeAsync("aria-current", "true");
        await page.Keyboard.PressAsync("ArrowLeft");
        await Expect(tiles.Nth(0)).ToHaveAttributeAsync("aria-current", "true");
        await page.Keyboard.PressAsync("f");
        await Expect(page.Locator($".outlier-tile[data-row='{first}'] .verdict")).ToHaveTextAsync("Fine");
        await Expect(page.Locator($".outlier-tile[data-row='{second}']")).ToHaveAttributeAsync("aria-current", "true");
        Assert.Equal("fine", (await stage.Site.GetAsync<SampleView>($"/api/analyses/{sample.Id}/samples/{first}")).Sample.Verdict);
        await page.Keyboard.PressAsync("u");
        await Expect(page.Locator($".outlier-tile[data-row='{first}'] .verdict")).ToHaveCountAsync(0);
        await Expect(page.Locator($".outlier-tile[data-row='{first}']")).ToHaveAttributeAsync("aria-current", "true");
        Assert.Null((await stage.Site.GetAsync<SampleView>($"/api/analyses/{sample.Id}/samples/{first}")).Sample.Verdict);
        visitor.AssertNoFault();
    }

    /// <summary>Presses Tab until an element has the focus; what had it on the way without showing it.</summary>
    private static async Task<List<string>> TabToAsync(IPage page, ILocator goal)
    {
        var unseen = new List<string>();
        for (var presses = 0; presses < 80; presses++)
        {
            await page.Keyboard.PressAsync("Tab");
            var stop = await page.EvaluateAsync<string>("""
                () => {
                  const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
                  const ring = (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) > 0) || s.boxShadow !== 'none';
                  // The heading is given the focus after a navigation, for screen readers; Tab does not stop there.
                  return e.tagName === 'H1' || ring && r.width > 0 && r.height > 0 ? '' : e.outerHTML.slice(0, 160);
                }
                """);
            if (stop.Length > 0)
            {
                unseen.Add(stop);
            }

            if (await goal.EvaluateAsync<bool>("e => e === document.activeElement"))
            {
                return unseen;
            }
        }

        throw new TimeoutException("80 presses of Tab did not lead there.");
    }
}
