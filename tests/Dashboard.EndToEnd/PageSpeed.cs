using System.Diagnostics;
using System.Globalization;

namespace Dashboard.EndToEnd;

/// <summary>
/// How long pages take, in the browser; run on demand only (docs/operations.md). SITE_ADDRESS names a site that runs, and
/// SPEED_ANALYSIS one of its analyses (the first complete one else). Prints figures and fails where a target is missed and
/// SPEED_STRICT=1.
/// </summary>
public sealed class PageSpeed(Stage stage, ITestOutputHelper output)
{
    private const int Runs = 7;
    private readonly List<string> _missed = [];

    private static string? Wish => Environment.GetEnvironmentVariable("SPEED_ANALYSIS");

    private static int Viewers => int.TryParse(Environment.GetEnvironmentVariable("SPEED_VIEWERS"), CultureInfo.InvariantCulture, out var viewers) ? viewers : 50;

    [Fact(Explicit = true)]
    public async Task Pages_open_quickly()
    {
        var analysis = await AnalysisAsync();
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        var tile = await MiddleAsync(analysis);
        var view = await stage.Site.GetAsync<ClassView>($"/api/analyses/{analysis.Id}/classes/{tile}");
        var concept = view.Concepts[0].Id;
        var sample = view.Strategies.Count > 0 ? view.Strategies[0].Prototype : view.Concepts[0].Exemplars[0].Sample;
        Say($"{analysis.Name}: {analysis.Classes:N0} classes, {analysis.Images:N0} images, {analysis.Concepts:N0} concepts; median of {Runs} (longest)");
        await MeasureAsync(visitor, "Atlas", PageUrls.Atlas(analysis.Id), ".tile", 1500);
        await MeasureAsync(visitor, "Atlas, shared", PageUrls.Atlas(analysis.Id, "shared"), "nav.tabs", 1500);
        await MeasureAsync(visitor, "Atlas, outliers", PageUrls.Atlas(analysis.Id, "outliers"), "nav.tabs", 1500);
        await MeasureAsync(visitor, "Class", PageUrls.Class(analysis.Id, tile), ".plot[data-count]", 1000);
        await MeasureAsync(visitor, "Strategy", PageUrls.Strategy(analysis.Id, tile, 0), ".plot[data-count]", 1000);
        await MeasureAsync(visitor, "Concept", PageUrls.Concept(analysis.Id, concept), ".wall .pic", 1000);
        await MeasureAsync(visitor, "Sample", PageUrls.Sample(analysis.Id, sample), "h1", 1000);
        await MeasureAsync(visitor, "Outliers", PageUrls.Outliers(analysis.Id), ".outlier-tile, .empty", 1000);
        await MeasureAsync(visitor, "Labels", PageUrls.Labels(analysis.Id), "table.units tbody tr button, .card.make button", 1000);
        await MeasureAsync(visitor, "Compare", PageUrls.Compare(analysis.Id), "h1", 1000);
        await MeasureAsync(visitor, "Analysis", PageUrls.Analysis(analysis.Id), "h1", 1000);
        await MeasureAsync(visitor, "Home", PageUrls.Home, "h1", 1000);
        await page.CloseAsync();
        Finish();
    }

    [Fact(Explicit = true)]
    public async Task Search_answers_while_typing()
    {
        var analysis = await AnalysisAsync();
        var atlas = await stage.Site.GetAsync<AtlasView>($"/api/analyses/{analysis.Id}/atlas");
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await visitor.GoAsync(PageUrls.Atlas(analysis.Id));
        var box = page.GetByPlaceholder("Search classes");
        await box.WaitForAsync();
        // One word of a name, a folder's name, and a word that only labels have.
        var target = atlas.Classes[atlas.Classes.Count / 3];
        var words = new List<(string What, string Text)> { ("name", target.DisplayName), ("wnid", target.Name) };
        if (target.Labels is [var label, ..])
        {
            words.Add(("label", label));
            words.Add(("a part of a label", label.Split(' ')[^1]));
        }
        else
        {
            Say("  No label was found for the class: search by labels is left out.");
        }

        foreach (var (what, text) in words)
        {
            var times = new List<double>();
            for (var run = 0; run < Runs; run++)
            {
                await box.FillAsync("");
                await Expect(page.Locator("[data-testid=shown]")).ToHaveAttributeAsync("data-shown", atlas.Classes.Count.ToString(CultureInfo.InvariantCulture));
                // From the last letter's key to the list that shows what matches, timed in the browser: what a person waits for.
                times.Add(await page.EvaluateAsync<double>(
                    """
                    text => new Promise(done => {
                      const box = document.querySelector('input[type=search]'), shown = document.querySelector('[data-testid=shown]');
                      let began;
                      const watch = new MutationObserver(() => { if (shown.dataset.search === text) { watch.disconnect(); requestAnimationFrame(() => done(performance.now() - began)); } });
                      watch.observe(shown, { attributes: true, childList: true, characterData: true, subtree: true });
                      began = performance.now();
                      box.value = text;
                      box.dispatchEvent(new Event('input', { bubbles: true }));
                    })
                    """,
                    text));
            }

            Tell($"Search by {what} \"{(text.Length > 40 ? text[..40] + "…" : text)}\"", times, 100);
        }

        // The same words in the palette, which asks the catalogue.
        await page.Keyboard.PressAsync("Control+k");
        await Expect(page.Locator("dialog.palette")).ToBeVisibleAsync();
        foreach (var (what, text) in words)
        {
            var times = new List<double>();
            for (var run = 0; run < Runs; run++)
            {
                times.Add(await page.EvaluateAsync<double>(
                    """
                    text => new Promise(done => {
                      const box = document.querySelector('dialog.palette input'), list = document.getElementById('palette-list');
                      const watch = new MutationObserver(() => { if (list.dataset.for === text) { watch.disconnect(); requestAnimationFrame(() => done(performance.now() - began)); } });
                      box.value = '';
                      box.dispatchEvent(new Event('input', { bubbles: true }));
                      watch.observe(list, { attributes: true });
                      const began = performance.now();
                      box.value = text;
                      box.dispatchEvent(new Event('input', { bubbles: true }));
                    })
                    """,
                    text));
            }

            Tell($"Search everything by {what}", times, 100);
        }

        await page.CloseAsync();
        Finish();
    }

    [Fact(Explicit = true)]
    public async Task Map_of_all_concepts_opens_and_moves()
    {
        var analysis = await AnalysisAsync();
        await using var visitor = await stage.VisitorAsync();
        var page = visitor.Page;
        await MeasureAsync(visitor, "Map of all concepts", PageUrls.Atlas(analysis.Id, "map"), ".plot[data-count]", 2000);
        Say($"  {await page.Locator(".plot").GetAttributeAsync("data-count")} points, drawn by {await page.Locator(".plot").GetAttributeAsync("data-renderer")}");
        var plot = await page.Locator(".plot").BoundingBoxAsync() ?? throw new InvalidOperationException("The plot has no place.");
        var (x, y) = (plot.X + (plot.Width / 2), plot.Y + (plot.Height / 2));

        await page.Mouse.MoveAsync(x, y);
        await page.Mouse.DownAsync();
        // Moves come with every frame, as from a hand; frames are counted where they are drawn.
        var counted = page.EvaluateAsync<double>(
            """
            () => new Promise(done => {
              let frames = 0, began = performance.now();
              const tick = now => { frames++; if (now - began < 3000) requestAnimationFrame(tick); else done(1000 * frames / (now - began)); };
              requestAnimationFrame(tick);
            })
            """);
        var clock = Stopwatch.StartNew();
        for (var step = 0; clock.ElapsedMilliseconds < 3000; step++)
        {
            await page.Mouse.MoveAsync(x + (150 * (float)Math.Sin(step / 9.0)), y + (90 * (float)Math.Cos(step / 7.0)));
        }

        var rate = await counted;
        await page.Mouse.UpAsync();
        Say(FormattableString.Invariant($"  Panning: {rate:0} frames/s (at least 30){(rate < 30 ? "  MISSED" : "")}"));
        if (rate < 30)
        {
            _missed.Add("panning");
        }

        // A lasso around the middle of everything gives a list.
        await page.GetByRole(AriaRole.Button, new() { Name = "Show everything" }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Lasso" }).ClickAsync();
        clock.Restart();
        await page.Mouse.MoveAsync(x - 120, y - 80);
        await page.Mouse.DownAsync();
        foreach (var (dx, dy) in new[] { (120, -80), (120, 80), (-120, 80), (-120, -78) })
        {
            await page.Mouse.MoveAsync(x + dx, y + dy, new() { Steps = 6 });
        }

        clock.Restart();
        await page.Mouse.UpAsync();
        await Expect(page.GetByTestId("selection")).ToBeVisibleAsync();
        Say(FormattableString.Invariant($"  Lasso to list: {clock.ElapsedMilliseconds} ms ({await page.GetByTestId("selection").GetAttributeAsync("data-count")} concepts)"));
        await page.CloseAsync();
        Finish();
    }

    [Fact(Explicit = true)]
    public async Task Viewers_take_little_memory()
    {
        var analysis = await AnalysisAsync();
        var process = stage.Site.ProcessId ?? throw new InvalidOperationException("SITE_PROCESS must say which process the site is.");
        await using (var first = await stage.VisitorAsync())
        {
            await first.GoAsync(PageUrls.Atlas(analysis.Id));
            await first.Page.Locator(".tile").First.WaitForAsync();
        }

        var before = Memory(process);
        var visitors = new List<Visitor>();
        for (var i = 0; i < Viewers; i++)
        {
            var visitor = await stage.VisitorAsync();
            visitors.Add(visitor);
            await visitor.GoAsync(i % 2 == 0 ? PageUrls.Atlas(analysis.Id) : PageUrls.Class(analysis.Id, i));
            await visitor.Page.Locator(i % 2 == 0 ? ".tile" : "h1").First.WaitForAsync();
        }

        var after = Memory(process);
        var each = (after - before) / 1048576.0 / Viewers;
        Say(FormattableString.Invariant($"Memory of the server: {before / 1048576.0:0} MB with none, {after / 1048576.0:0} MB with {Viewers} viewers: {each:0.0} MB each (below 10){(each >= 10 ? "  MISSED" : "")}"));
        if (each >= 10)
        {
            _missed.Add("memory");
        }

        foreach (var visitor in visitors)
        {
            await visitor.DisposeAsync();
        }

        Finish();
    }

    private async Task<AnalysisSummary> AnalysisAsync()
    {
        var all = await stage.Site.GetAsync<Paged<AnalysisSummary>>("/api/analyses?take=500");
        return all.Items.FirstOrDefault(a => Wish is { Length: > 0 } ? a.Id == Wish || a.Name.Contains(Wish, StringComparison.OrdinalIgnoreCase) : a.State == AnalysisState.Completed)
            ?? throw new InvalidOperationException("The site has no such analysis.");
    }

    private async Task<int> MiddleAsync(AnalysisSummary analysis) =>
        (await stage.Site.GetAsync<AtlasView>($"/api/analyses/{analysis.Id}/atlas")).Classes is { Count: > 0 } classes ? classes[classes.Count / 2].Index : 0;

    /// <summary>From the wish for a page to the moment when it shows its content and answers; scripts and pictures may be in the browser's cache.</summary>
    private async Task MeasureAsync(Visitor visitor, string name, string address, string content, double target)
    {
        var page = visitor.Page;
        var times = new List<double>();
        // Seen by the page itself, from the start of the navigation: waiting from outside looks every half second only.
        await page.AddInitScriptAsync(
            $$"""
            (content => {
              delete window.shownAfter;
              const watch = new MutationObserver(look);
              function look() {
                if (document.querySelector('html[data-live][data-keys]') && document.querySelector(content)) { watch.disconnect(); window.shownAfter = performance.now(); }
              }
              window.shownWatch?.disconnect();
              window.shownWatch = watch;
              watch.observe(document, { subtree: true, childList: true, attributes: true });
            })({{System.Text.Json.JsonSerializer.Serialize(content)}});
            """);
        for (var run = -1; run < Runs; run++)
        {
            await page.GotoAsync("about:blank");
            await page.GotoAsync(address, new() { WaitUntil = WaitUntilState.Commit });
            await visitor.AnswersAsync();
            await page.Locator(content).First.WaitForAsync(new() { State = WaitForSelectorState.Attached });
            var shown = await page.EvaluateAsync<double>("() => window.shownAfter");
            if (run >= 0)
            {
                times.Add(shown);
            }
        }

        Tell(name, times, target);
        if (Environment.GetEnvironmentVariable("SPEED_PICTURES") is { Length: > 0 } folder)
        {
            await page.WaitForLoadStateAsync(LoadState.NetworkIdle);
            await page.ScreenshotAsync(new() { Path = Path.Combine(Directory.CreateDirectory(folder).FullName, name.Replace(' ', '-').Replace(",", "", StringComparison.Ordinal) + ".png") });
        }
    }

    private void Tell(string name, List<double> times, double target)
    {
        times.Sort();
        var median = times[times.Count / 2];
        Say(FormattableString.Invariant($"  {name}: {median:0} ms ({times[^1]:0}), at most {target:0}{(median > target ? "  MISSED" : "")}"));
        if (median > target)
        {
            _missed.Add(name);
        }
    }

    private void Say(FormattableString text) => Say(text.ToString(CultureInfo.InvariantCulture));

    private void Say(string text)
    {
        output.WriteLine(text);
        Console.WriteLine(text);
    }

    private void Finish()
    {
        if (Environment.GetEnvironmentVariable("SPEED_STRICT") == "1")
        {
            Assert.Empty(_missed);
        }
    }

    /// <summary>Resident bytes.</summary>
    private static long Memory(int process)
    {
        using var seen = Process.GetProcessById(process);
        return seen.WorkingSet64;
    }
}
