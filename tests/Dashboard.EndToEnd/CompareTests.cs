namespace Dashboard.EndToEnd;

/// <summary>Comparisons in the browser, computed by the engine.</summary>
public sealed class CompareTests(Stage stage)
{
    [Fact]
    public async Task A_comparison_of_methods_ends_with_a_verdict_and_curves_and_its_address_brings_them_back()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync(PageUrls.Atlas(sample.Id));
        await page.GetByRole(AriaRole.Link, new() { Name = "Compare", Exact = true }).Last.ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("/compare\\?analysis="));
        await page.GetByLabel("Classes, at most").FillAsync("2");
        await page.GetByLabel("Classes, at most").BlurAsync();
        await Expect(page).ToHaveURLAsync(new Regex("classes=2"));
        // Two numbers of concepts fewer.
        foreach (var k in new[] { "15", "25" })
        {
            await page.GetByRole(AriaRole.Group, new() { Name = "Numbers of concepts" }).GetByRole(AriaRole.Button, new() { Name = k, Exact = true }).ClickAsync();
        }

        await Expect(page).ToHaveURLAsync(new Regex("k=5%2C10%2C20"));
        await page.GetByRole(AriaRole.Button, new() { Name = "Compare", Exact = true }).ClickAsync();
        var verdict = page.GetByTestId("verdict");
        await Expect(verdict).ToBeVisibleAsync(new() { Timeout = 240_000 });
        await Expect(page.Locator(".curve svg.main-svg").First).ToBeVisibleAsync();
        await Expect(page.Locator(".curves.two .curve svg.main-svg").First).ToBeVisibleAsync();
        Assert.True(await page.Locator(".best").CountAsync() >= 3);
        var said = await verdict.InnerTextAsync();
        Assert.NotEmpty(said);
        await page.GetByRole(AriaRole.Group, new() { Name = "Number of concepts", Exact = true }).GetByRole(AriaRole.Button, new() { Name = "5", Exact = true }).ClickAsync();
        await Expect(page.Locator("#table-title")).ToHaveTextAsync("With k = 5");
        await visitor.AssertAccessibleAsync("comparison of methods");

        // In another profile the address shows the same at once: nothing is computed again.
        await using (var other = await stage.VisitorAsync())
        {
            await other.GoAsync(page.Url);
            await Expect(other.Page.GetByTestId("verdict")).ToHaveTextAsync(said);
            await Expect(other.Page.Locator("#table-title")).ToHaveTextAsync("With k = 5");
            await Expect(other.Page.Locator(".curve svg.main-svg").First).ToBeVisibleAsync();
            await Expect(other.Page.Locator(".curves.two .curve svg.main-svg").Last).ToBeAttachedAsync();
            Assert.Single(await stage.Site.GetAsync<Paged<TaskView>>($"/api/analyses/{sample.Id}/tasks?kind=compare") is { } tasks ? tasks.Items : []);
            other.AssertNoFault();
        }

        // The suggestion opens the review of a new analysis of the same data and network.
        var analyse = page.GetByRole(AriaRole.Link, new() { NameRegex = new("^Analyse with k = ") });
        if (await analyse.CountAsync() > 0)
        {
            await analyse.ClickAsync();
            await Expect(page.Locator(".costs")).ToBeVisibleAsync();
            await Expect(page.Locator(".summary")).ToContainTextAsync("Own parameters");
        }

        visitor.AssertNoFault();
    }

    [Fact]
    public async Task A_concept_is_taken_apart_at_an_earlier_layer()
    {
        var sample = await stage.Site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync(PageUrls.Concept(sample.Id, 0));
        await page.GetByRole(AriaRole.Button, new() { Name = "Take it apart" }).ClickAsync();
        await Expect(page.Locator(".parts > li")).ToHaveCountAsync(5, new() { Timeout = 240_000 });
        await Expect(page.Locator(".patch img").First).ToBeAttachedAsync();
        await Expect(page.GetByText(new Regex("At .*layer2.* it is made of 5 parts"))).ToBeVisibleAsync();
        await page.GetByText("What is this part made of?").First.ClickAsync();
        await Expect(page.GetByRole(AriaRole.Button, new() { Name = "Take this part apart" })).ToBeVisibleAsync();
        visitor.AssertNoFault();
    }

    [Fact]
    public async Task Two_analyses_are_compared_concept_by_concept_and_the_address_brings_the_class_back()
    {
        var site = stage.Site;
        var sample = await site.CompleteSampleAsync();
        var run = await site.SecondRunAsync();
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync(PageUrls.CompareRuns(sample.Id));
        await page.GetByRole(AriaRole.Button, new() { Name = "Four concepts" }).ClickAsync();
        await Expect(page.Locator(".runs thead a")).ToHaveCountAsync(2);
        await Expect(page.Locator(".runs tbody tr").Filter(new() { HasText = "Accuracy" })).ToContainTextAsync("%");
        // Four of ten concepts are kept in each of ten classes; the network, and so what it predicts, is the same.
        var verdict = page.GetByTestId("pair-verdict");
        await Expect(verdict).ToContainTextAsync(new Regex("40 of 100 concepts of .* are found again in “Four concepts”; 60 are lost and none gained"));
        await Expect(page.GetByText("Every one of them is predicted alike.")).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "red disc" }).ClickAsync();
        var detail = page.GetByTestId("class-pair");
        await Expect(detail.Locator("#pair-class-title")).ToHaveTextAsync("red disc");
        await Expect(detail.Locator("#pair-class-title")).ToBeFocusedAsync();
        await Expect(detail.Locator(".pair-list > li")).ToHaveCountAsync(4);
        await Expect(detail.Locator(".alone > li")).ToHaveCountAsync(6);
        await Expect(detail.Locator(".pair-list img").First).ToBeVisibleAsync();
        await visitor.AssertAccessibleAsync("compare, a class of two analyses");
        await page.GetByRole(AriaRole.Button, new() { Name = "Lost" }).ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("sort=lost"));

        await using (var other = await stage.VisitorAsync())
        {
            await other.GoAsync(page.Url);
            await Expect(other.Page.Locator("#pair-class-title")).ToHaveTextAsync("red disc");
            await Expect(other.Page.Locator(".pair-list > li")).ToHaveCountAsync(4);
            await Expect(other.Page.Locator("th[aria-sort]")).ToContainTextAsync("Lost");
            other.AssertNoFault();
        }

        // The other way round nothing is lost; the concept leads to its page.
        await page.GetByRole(AriaRole.Button, new() { Name = "Swap" }).ClickAsync();
        await Expect(verdict).ToContainTextAsync(new Regex("40 of 40 concepts of “Four concepts” are found again in .*; none are lost and 60 gained"));
        await detail.Locator(".pair-list a.title").First.ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex($"/analyses/{run.Id}/concepts/"));
        visitor.AssertNoFault();
        site.AssertNoTensorLibrary();
    }
}
