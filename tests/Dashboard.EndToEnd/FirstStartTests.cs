namespace Dashboard.EndToEnd;

/// <summary>A newcomer's first minutes.</summary>
public sealed partial class FirstStartTests(Stage stage)
{
    // What a person can tell apart: the sentence, the stages with their counts, the share, the classes that are ready.
    private const string Record = """
        () => {
          window.seen = new Set();
          const look = () => {
            const stages = document.querySelector('.stages'), ready = document.querySelector('[data-testid=ready-count]');
            if (stages) window.seen.add(stages.innerText + '|' + (ready?.innerText ?? ''));
          };
          look();
          new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true, attributes: true });
        }
        """;

    [Fact]
    public async Task The_sample_is_watched_being_made_and_then_browsed_down_to_its_outliers()
    {
        var site = stage.Site;
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync("/");
        // The card appears by itself once the sample's images are made.
        await page.GetByRole(AriaRole.Link, new() { Name = "Watch it being made" }).ClickAsync();
        await Expect(page.Locator(".stages li")).Not.ToHaveCountAsync(0);
        await page.EvaluateAsync(Record);
        var id = AnalysisId().Match(page.Url).Groups[1].Value;

        // A class is open to people before the run has ended.
        var first = page.Locator("a.tile").First;
        await first.WaitForAsync(new() { Timeout = 120_000 });
        var duringRun = await site.GetAsync<AnalysisProgress>($"/api/analyses/{id}/progress");
        Assert.Equal(AnalysisState.Running, duringRun.State);
        Assert.NotEmpty(duringRun.ReadyClasses);
        Assert.True((await site.Http.GetAsync($"/api/analyses/{id}/classes/{duringRun.ReadyClasses[0]}", TestContext.Current.CancellationToken)).IsSuccessStatusCode);

        // Who comes later sees the same.
        await using var late = await stage.VisitorAsync();
        await late.GoAsync($"/analyses/{id}");
        await Expect(late.Page.Locator(".stages li")).ToHaveCountAsync(await page.Locator(".stages li").CountAsync());

        var badge = page.GetByRole(AriaRole.Status).Filter(new() { HasText = "Done" });
        await Expect(badge).ToBeVisibleAsync(new() { Timeout = 120_000 });
        await Expect(late.Page.GetByRole(AriaRole.Status).Filter(new() { HasText = "Done" })).ToBeVisibleAsync();
        await Expect(late.Page.Locator(".stages")).ToHaveTextAsync(await page.Locator(".stages").InnerTextAsync(), new() { UseInnerText = true });
        await Expect(late.Page.GetByTestId("ready-count")).ToHaveTextAsync(await page.GetByTestId("ready-count").InnerTextAsync());
        await Expect(late.Page.Locator("a.tile")).ToHaveCountAsync(await page.Locator("a.tile").CountAsync());
        var states = await page.EvaluateAsync<int>("window.seen.size");
        TestContext.Current.TestOutputHelper?.WriteLine($"{states} distinct states were seen in the browser");
        Assert.True(states >= 10, $"only {states} distinct states were seen");

        // A class, and an image of its strategic cluster graph.
        var name = (await first.InnerTextAsync()).Trim();
        await first.ClickAsync();
        await Expect(page.GetByRole(AriaRole.Heading, new() { Level = 1, Name = name })).ToBeVisibleAsync();
        await PointAtASampleAsync(page);
        await Expect(page.Locator(".cloud-tip img")).ToHaveJSPropertyAsync("complete", true);
        Assert.True(await page.Locator(".cloud-tip img").EvaluateAsync<int>("i => i.naturalWidth") > 0);
        await Expect(page.Locator(".cloud-tip")).ToContainTextAsync(new Regex("strategy|predicted"));

        // A concept, one of its images, and the outliers.
        await page.Locator(".concepts a.name").First.ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("/concepts/[0-9]+$"));
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Numbers" })).ToBeVisibleAsync();
        await page.Locator(".concept-grid .wall a").First.ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("/samples/[0-9]+$"));
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Predictions" })).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Navigation, new() { Name = "You are here" }).GetByRole(AriaRole.Link, new() { Name = "Sample atlas" }).ClickAsync();
        await page.GetByRole(AriaRole.Navigation, new() { Name = "Parts of the atlas" }).GetByRole(AriaRole.Link, new() { NameRegex = new("Outliers") }).ClickAsync();
        await page.Locator($"main a[href^='/analyses/{id}/outliers']").First.ClickAsync();
        await Expect(page.GetByRole(AriaRole.Heading, new() { Level = 1, Name = "Outliers" })).ToBeVisibleAsync();
        await page.Locator(".outlier-tile").First.ClickAsync();
        await Expect(page.GetByRole(AriaRole.Complementary, new() { Name = "The image in focus" }).Locator("code")).Not.ToBeEmptyAsync();

        visitor.AssertNoFault();
        late.AssertNoFault();
    }

    /// <summary>Moves the mouse over the graph until it meets a point.</summary>
    internal static async Task PointAtASampleAsync(IPage page)
    {
        var plot = page.Locator(".cloud .plot");
        await plot.ScrollIntoViewIfNeededAsync();
        await Expect(plot.Locator(".cloud-wait")).ToBeHiddenAsync();
        var box = (await plot.BoundingBoxAsync())!;
        // Points lie around the middle; a grid finer than a point's reach cannot pass between them.
        for (var row = 1; row < 20; row++)
        {
            for (var column = 1; column < 30; column++)
            {
                await page.Mouse.MoveAsync(box.X + (box.Width * column / 30), box.Y + (box.Height * row / 20));
                if (await page.Locator(".cloud-tip").IsVisibleAsync())
                {
                    return;
                }
            }
        }

        Assert.Fail("No point of the graph was met.");
    }

    [GeneratedRegex("/analyses/([0-9a-f]{12})")]
    private static partial Regex AnalysisId();
}
