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
    public async Task Two_runs_stand_side_by_side_with_their_concepts_matched()
    {
        var site = stage.Site;
        var sample = await site.CompleteSampleAsync();
        var run = await site.StartRunAsync(new NewAnalysis { Dataset = site.SampleImages, Network = site.SampleNetwork, Limit = 400, Concepts = 5, Name = "Fewer images" });
        await site.WaitAsync(run.Id, progress => progress.State == AnalysisState.Completed);
        await using var visitor = await stage.VisitorAsync();
        await visitor.GoAsync(PageUrls.CompareRuns(sample.Id, run.Id));
        var page = visitor.Page;
        await Expect(page.Locator(".runs thead a")).ToHaveCountAsync(2);
        await Expect(page.Locator(".runs tbody tr").Filter(new() { HasText = "Accuracy" })).ToContainTextAsync("%");
        await Expect(page.GetByText(new Regex("Of [0-9]+ pairs of concepts, [0-9]+"))).ToBeVisibleAsync();
        await page.Locator(".class-match summary").First.ClickAsync();
        await Expect(page.Locator(".class-match[open] .pairs-list img").First).ToBeVisibleAsync();
        visitor.AssertNoFault();
    }
}
