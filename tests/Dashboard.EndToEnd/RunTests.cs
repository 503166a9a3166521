using System.Diagnostics;

namespace Dashboard.EndToEnd;

/// <summary>Runs that are stopped, broken and started by people.</summary>
public sealed class RunTests(Stage stage)
{
    [Fact]
    public async Task Cancel_takes_effect_within_a_second_and_resume_completes()
    {
        var site = stage.Site;
        await site.CompleteSampleAsync();
        // Another layer: nothing of the sample's run can be taken over.
        var run = await site.StartRunAsync(new NewAnalysis { Dataset = site.SampleImages, Network = site.SampleNetwork, Layer = "layer2", Name = "Cancel me" });
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync(PageUrls.Analysis(run.Id));
        await Expect(page.Locator(".stages .running")).ToBeVisibleAsync();

        // Clicked and awaited in the page itself, so that only what a person waits for is measured.
        var waited = await page.EvaluateAsync<double>("""
            () => new Promise((done, fail) => {
              const button = [...document.querySelectorAll('.actions button')].find(b => b.innerText.includes('Cancel'));
              if (!button) { fail('There is nothing to cancel.'); return; }
              const cancelled = () => document.querySelector('h1 .badge')?.innerText === 'Cancelled';
              const from = performance.now();
              new MutationObserver((_, watch) => { if (cancelled()) { watch.disconnect(); done(performance.now() - from); } })
                .observe(document.body, { subtree: true, childList: true, characterData: true });
              button.click();
            })
            """);
        TestContext.Current.TestOutputHelper?.WriteLine($"cancelled after {waited:0} ms");
        Assert.True(waited < 1500, $"cancelled after {waited:0} ms");
        Assert.Equal(AnalysisState.Cancelled, (await site.GetAsync<AnalysisSummary>($"/api/analyses/{run.Id}")).State);

        await page.GetByRole(AriaRole.Button, new() { Name = "Resume" }).ClickAsync();
        await Expect(page.Locator("h1 .badge")).ToHaveTextAsync("Done", new() { Timeout = 120_000 });
        visitor.AssertNoFault();
    }

    [Fact]
    public async Task A_killed_worker_neither_takes_the_site_down_nor_ends_the_run()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "left out: finds the worker in /proc");
        var site = stage.Site;
        await site.CompleteSampleAsync();
        var run = await site.StartRunAsync(new NewAnalysis { Dataset = site.SampleImages, Network = site.SampleNetwork, Layer = "layer1", Limit = 600, Name = "Kill my worker" });
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync(PageUrls.Analysis(run.Id));
        await site.WaitAsync(run.Id, progress => progress.Stages.Any(stage => stage.Done > 0) || progress.State == AnalysisState.Completed);
        var killed = site.Workers();
        Assert.NotEmpty(killed);
        foreach (var id in killed)
        {
            using var process = Process.GetProcessById(id);
            process.Kill();
        }

        // The site answers, and another engine ends the run.
        await using (var other = await stage.VisitorAsync())
        {
            await other.GoAsync(PageUrls.Home);
            await Expect(other.Page.Locator(".row-item").Filter(new() { HasText = "Kill my worker" })).ToBeVisibleAsync();
            other.AssertNoFault();
        }

        await Expect(page.Locator("h1 .badge")).ToHaveTextAsync("Done", new() { Timeout = 120_000 });
        Assert.True(site.IsRunning);
        Assert.Empty(site.Workers().Intersect(killed));
        visitor.AssertNoFault();
    }

    [Fact]
    public async Task New_analysis_leads_from_folders_to_a_finished_atlas()
    {
        var site = stage.Site;
        await site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync(PageUrls.Home);
        await page.GetByRole(AriaRole.Link, new() { Name = "New analysis" }).First.ClickAsync();

        // Data: down the folders from the allowed root.
        var folders = page.Locator(".entries");
        await folders.GetByRole(AriaRole.Button, new() { NameRegex = new($"{Regex.Escape(Path.GetFileName(site.Folder))}$") }).ClickAsync();
        await folders.GetByRole(AriaRole.Button, new() { Name = "data", Exact = true }).ClickAsync();
        await folders.GetByRole(AriaRole.Button, new() { Name = "sample", Exact = true }).ClickAsync();
        await folders.GetByRole(AriaRole.Button, new() { Name = "Use images" }).ClickAsync();
        await Expect(page.Locator(".examples img")).ToHaveCountAsync(12);
        await Expect(page.GetByText("2,040 images in 10 classes, 196 to 210 each.")).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Button, new() { NameRegex = new("^Next") }).ClickAsync();

        // Network: the same, to a file, which is tried.
        await folders.GetByRole(AriaRole.Button, new() { NameRegex = new($"{Regex.Escape(Path.GetFileName(site.Folder))}$") }).ClickAsync();
        await folders.GetByRole(AriaRole.Button, new() { Name = "networks", Exact = true }).ClickAsync();
        await folders.GetByRole(AriaRole.Button, new() { NameRegex = new("sample.safetensors") }).ClickAsync();
        await Expect(page.Locator(".layer.on")).ToContainTextAsync("suggested");
        await Expect(page.GetByText(new Regex("10 of 10 folders map to an output. On 200 images it is right for 9"))).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Button, new() { NameRegex = new("^Next") }).ClickAsync();

        // Method: a hundred images.
        await page.GetByText("Parameters").ClickAsync();
        await page.GetByLabel("Images, at most").FillAsync("100");
        await page.GetByLabel("Images, at most").BlurAsync();
        await Expect(page.Locator(".summary")).ToContainTextAsync("100 images");
        await page.GetByRole(AriaRole.Button, new() { NameRegex = new("^Next") }).ClickAsync();

        // Review.
        await Expect(page.Locator(".costs b")).ToHaveCountAsync(3);
        await page.GetByLabel("Name").FillAsync("A hundred images");
        await page.GetByLabel("Name").BlurAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Start" }).ClickAsync();
        await Expect(page).ToHaveURLAsync(new Regex("/analyses/[0-9a-f]{12}$"));
        await Expect(page.GetByRole(AriaRole.Heading, new() { Level = 1 })).ToContainTextAsync("A hundred images");
        await Expect(page.Locator("h1 .badge")).ToHaveTextAsync("Done", new() { Timeout = 120_000 });
        await page.GetByRole(AriaRole.Link, new() { Name = "Open the atlas" }).ClickAsync();
        await Expect(page.Locator(".class-row .tile")).ToHaveCountAsync(10);
        visitor.AssertNoFault();
    }
}
