using System.Net.Http.Json;
using NetVips;

namespace Dashboard.EndToEnd;

/// <summary>
/// Takes the pictures of docs/images from the sample atlas; run on demand only (docs/images/README.md). Written as a test
/// because it needs the same browser and site, and fails where a page does.
/// </summary>
public sealed class Screenshots(Stage stage)
{
    // Bytes; beyond, a picture is reduced to a palette.
    private const int LargestTrueColour = 250_000;

    private static readonly (string Name, ColorScheme Colours, int Width, int Height)[] Formats =
    [
        ("light-desktop", ColorScheme.Light, 1440, 900), ("dark-desktop", ColorScheme.Dark, 1440, 900),
        ("light-phone", ColorScheme.Light, 390, 844), ("dark-phone", ColorScheme.Dark, 390, 844),
    ];

    /// <summary>Where the pictures go: SCREENSHOTS, or docs/images.</summary>
    private static string Folder
    {
        get
        {
            if (Environment.GetEnvironmentVariable("SCREENSHOTS") is { Length: > 0 } chosen)
            {
                return Directory.CreateDirectory(chosen).FullName;
            }

            var at = new DirectoryInfo(AppContext.BaseDirectory);
            while (!File.Exists(Path.Combine(at.FullName, "Dashboard.sln")))
            {
                at = at.Parent ?? throw new InvalidOperationException("The repository was not found above the tests.");
            }

            return Path.Combine(at.FullName, "docs", "images");
        }
    }

    /// <summary>SCREENSHOTS_FULL=1 takes the whole length of each page instead of its first screen.</summary>
    private static bool Full => Environment.GetEnvironmentVariable("SCREENSHOTS_FULL") == "1";

    // SCREENSHOTS_ONLY=labels,sample takes these pages only.
    private static bool Wanted(string page) =>
        Environment.GetEnvironmentVariable("SCREENSHOTS_ONLY") is not { Length: > 0 } only || only.Split(',').Contains(page);

    [Fact(Explicit = true)]
    public async Task Every_page_is_photographed()
    {
        var site = stage.Site;
        var visitors = new Dictionary<string, Visitor>();
        foreach (var (name, colours, width, height) in Formats)
        {
            visitors[name] = await stage.VisitorAsync(width, height, colours);
        }

        var sample = await site.SampleAsync();
        if (Wanted("analysis"))
        {
            await Task.WhenAll(visitors.Values.Select(visitor => visitor.GoAsync(PageUrls.Analysis(sample.Id))));
            await site.WaitAsync(sample.Id, progress => progress.State == AnalysisState.Completed || progress.ReadyClasses.Count >= 4);
            await Task.WhenAll(visitors.Select(async visitor =>
            {
                await Expect(visitor.Value.Page.Locator("a.tile").Nth(1)).ToBeVisibleAsync();
                await TakeAsync(visitor.Value, "analysis", visitor.Key);
            }));
        }

        await site.CompleteSampleAsync();

        // The class with the planted shortcut shows most; a marked image of it, with the map of what the network relies on.
        var atlas = await site.GetAsync<AtlasView>($"/api/analyses/{sample.Id}/atlas");
        var tile = atlas.Classes.First(c => c.Name == "plain star");
        var view = await site.GetAsync<ClassView>($"/api/analyses/{sample.Id}/classes/{tile.Index}");
        var outliers = await site.GetAsync<Paged<SampleTile>>($"/api/analyses/{sample.Id}/outliers?kind=confounded&class={tile.Index}&take=1");
        var odd = outliers.Items.FirstOrDefault()?.Index ?? view.Strategies[0].Prototype;
        // The same as somebody's own image, with the map of what speaks most for the class.
        var own = await site.OwnImageAsync(sample.Id, odd);
        var map = (await site.GetAsync<OwnImageView>($"/api/analyses/{sample.Id}/images/{own}")).Sample!.Contributions.MaxBy(c => c.Concept is null ? double.MinValue : c.Value)!.Concept!.Id;
        // Labels stand wherever a concept is met: in every picture or in none.
        var first = visitors.Values.First();
        await first.GoAsync(PageUrls.Labels(sample.Id));
        await StartedAsync(first.Page, "Find labels", first.Page.Locator(".detail .wall img").First);
        var chosen = $"/new?data={Uri.EscapeDataString(site.SampleImages)}&network={Uri.EscapeDataString(site.SampleNetwork)}";
        (string Name, string Address, Func<IPage, Task> Ready)[] pages =
        [
            ("home", PageUrls.Home, page => Expect(page.Locator(".featured img")).ToHaveCountAsync(4)),
            ("new-data", chosen, page => Expect(page.Locator(".examples img")).ToHaveCountAsync(12)),
            ("new-network", chosen + "&step=network", page => Expect(page.Locator(".layer").First).ToBeVisibleAsync()),
            ("new-method", chosen + "&step=method", page => Expect(page.Locator(".summary")).ToContainTextAsync("ResNet")),
            ("new-review", chosen + "&step=review", page => Expect(page.Locator(".costs")).ToBeVisibleAsync()),
            ("atlas", PageUrls.Atlas(sample.Id), page => Expect(page.Locator(".tile").First).ToBeVisibleAsync()),
            ("atlas-map", PageUrls.Atlas(sample.Id, "map"), page => Expect(page.Locator(".plot[data-count]")).ToBeVisibleAsync()),
            ("atlas-shared", PageUrls.Atlas(sample.Id, "shared"), _ => Task.CompletedTask),
            ("atlas-outliers", PageUrls.Atlas(sample.Id, "outliers"), page => Expect(page.Locator(".kind").First).ToBeVisibleAsync()),
            ("class", PageUrls.Class(sample.Id, tile.Index), async page =>
            {
                await Expect(page.Locator(".cloud-wait")).ToBeHiddenAsync();
                await Expect(page.Locator(".gallery img").First).ToBeAttachedAsync();
            }),
            ("strategy", PageUrls.Strategy(sample.Id, tile.Index, 0), async page =>
            {
                await Expect(page.Locator(".cloud-wait")).ToBeHiddenAsync();
                await Expect(page.Locator(".wall .pic").First).ToBeVisibleAsync();
            }),
            ("concept", PageUrls.Concept(sample.Id, view.Concepts[0].Id), page => Expect(page.Locator(".wall .pic").First).ToBeVisibleAsync()),
            ("sample", PageUrls.Sample(sample.Id, odd) + $"?map={view.Concepts[0].Id}", page => Expect(page.Locator(".detectors")).ToBeVisibleAsync()),
            ("own-image", $"{PageUrls.OwnImage(sample.Id, own)}?map={map}", async page =>
            {
                await Expect(page.Locator(".large img.map")).ToBeVisibleAsync();
                await Expect(page.Locator("[aria-labelledby=alike-title] .pic").First).ToBeVisibleAsync();
            }),
            ("search", $"{PageUrls.Search(sample.Id, with: view.Concepts[0].Id)}&without={view.Concepts[^1].Id}&top=25", page => Expect(page.Locator(".one .pic").First).ToBeVisibleAsync()),
            ("labels", PageUrls.Labels(sample.Id), page => StartedAsync(page, "Find labels", page.Locator(".detail .wall img").First)),
            ("define", PageUrls.DefineConcept(sample.Id, "attribute") + "&attribute=texture&value=striped", page => Expect(page.GetByTestId("draft-counts")).ToBeVisibleAsync()),
            ("probe", PageUrls.Probe(sample.Id, await DefinedAsync(site, sample.Id)), page => StartedAsync(page, "Train its probe", page.Locator(".probe-grid svg.main-svg").First)),
            ("probes", PageUrls.Probes(sample.Id), page => Expect(page.Locator("table a.name").First).ToBeVisibleAsync()),
            ("compare", PageUrls.Compare(sample.Id), async page =>
            {
                await StartedAsync(page, "Compare", page.GetByTestId("verdict"));
                await Expect(page.Locator(".curve svg.main-svg").First).ToBeVisibleAsync();
                if (!Full)
                {
                    await page.EvaluateAsync("document.querySelector('[data-testid=verdict]').closest('section').scrollIntoView()");
                }
            }),
            ("compare-analyses", PageUrls.CompareRuns(sample.Id, (await site.SecondRunAsync()).Id), page => Expect(page.Locator(".pair-list .pic").First).ToBeVisibleAsync()),
            ("smallest-change", $"{PageUrls.Backpropagation(sample.Id)}?concept=c{view.Concepts[0].Id}&sample={odd}", page => StartedAsync(page, "Find the smallest change", page.GetByRole(AriaRole.Slider).First)),
            ("training-images", $"{PageUrls.TrainingImages(sample.Id)}?target=class&of={tile.Index}", page => StartedAsync(page, "Find the training images", page.GetByRole(AriaRole.Heading, new() { Name = "Taught it most" }))),
            ("outliers", PageUrls.Outliers(sample.Id), async page =>
            {
                await page.Locator(".outlier-tile").First.ClickAsync();
                await Expect(page.Locator(".detail .verdicts")).ToBeVisibleAsync();
                await Expect(page.Locator(".detail .differences, .detail p").First).ToBeVisibleAsync();
                if (!Full)
                {
                    await page.EvaluateAsync("scrollTo(0, 0)");
                }
            }),
        ];
        foreach (var (format, visitor) in visitors)
        {
            foreach (var (name, address, ready) in pages.Where(p => Wanted(p.Name)))
            {
                await visitor.GoAsync(address);
                await ready(visitor.Page);
                await TakeAsync(visitor, name, format);
            }

            visitor.AssertNoFault();
            await visitor.DisposeAsync();
        }
    }

    /// <summary>SCREENSHOTS_ANALYSIS names an analysis of one's own, of a site that runs already (SITE_ADDRESS): its pages, for looking at.</summary>
    [Fact(Explicit = true)]
    public async Task Every_page_of_an_analysis_is_photographed()
    {
        var id = Environment.GetEnvironmentVariable("SCREENSHOTS_ANALYSIS");
        Assert.SkipWhen(string.IsNullOrEmpty(id), "left out: SCREENSHOTS_ANALYSIS names no analysis");
        var analysis = await stage.Site.GetAsync<AnalysisSummary>($"/api/analyses/{id}");
        var places = await SitePages.OfAsync(stage.Site, analysis);
        foreach (var (format, colours, width, height) in Formats)
        {
            await using var visitor = await stage.VisitorAsync(width, height, colours);
            foreach (var place in places.Where(place => place.Address.Contains(analysis.Id, StringComparison.Ordinal) && !place.Name.StartsWith("compare runs", StringComparison.Ordinal)))
            {
                var name = Regex.Replace(place.Name, "[^a-z]+", "-");
                if (Wanted(name))
                {
                    // What the sample has to show is not there in every analysis.
                    await visitor.GoAsync(place.Address);
                    await Expect(visitor.Page.Locator("h1").First).Not.ToBeEmptyAsync();
                    await TakeAsync(visitor, name, format);
                }
            }

            visitor.AssertNoFault();
        }
    }

    /// <summary>Something computed for the first picture, stored for the others.</summary>
    private static async Task StartedAsync(IPage page, string start, ILocator result)
    {
        var button = page.GetByRole(AriaRole.Button, new() { NameRegex = new($"^({start}|Go on)$") });
        await Expect(button.Or(result).First).ToBeVisibleAsync();
        if (await button.IsVisibleAsync())
        {
            await button.ClickAsync();
        }

        await Expect(result).ToBeVisibleAsync(new() { Timeout = 400_000 });
        await page.Mouse.MoveAsync(0, 0);
    }

    /// <summary>A concept that somebody defined; the same where it is there already.</summary>
    private static async Task<string> DefinedAsync(Site site, string analysis)
    {
        var place = $"/api/analyses/{analysis}/user-concepts";
        var draft = new ConceptDraft { Name = "striped", Source = "attribute", Attribute = "texture", Value = "striped" };
        await site.Http.PostAsJsonAsync(place, draft, TestContext.Current.CancellationToken);
        return (await site.GetAsync<Paged<UserConcept>>(place)).Items.Single(concept => concept.Name == draft.Name).Id;
    }

    private static async Task TakeAsync(Visitor visitor, string page, string format)
    {
        // Charts and pictures in sight are drawn, the typeface is there, and nothing moves.
        await visitor.Page.WaitForLoadStateAsync(LoadState.NetworkIdle);
        await Expect(visitor.Page.Locator(".skeleton")).ToHaveCountAsync(0);
        if (Full)
        {
            // Pictures further down are loaded when they come near.
            await visitor.Page.EvaluateAsync("document.querySelectorAll('img[loading=lazy]').forEach(i => i.loading = 'eager')");
        }

        await visitor.Page.EvaluateAsync("() => Promise.all([document.fonts.ready, ...[...document.images].filter(i => !i.complete && i.loading !== 'lazy').map(i => i.decode().catch(() => {}))])");
        var bytes = await visitor.Page.ScreenshotAsync(new() { Animations = ScreenshotAnimations.Disabled, FullPage = Full });
        using var image = Image.NewFromBuffer(bytes);
        using var flat = image.HasAlpha() ? image.Flatten() : image.Copy();
        var file = Path.Combine(Folder, $"{page}-{format}.png");
        flat.Pngsave(file, compression: 9, keep: Enums.ForeignKeep.None);
        if (new FileInfo(file).Length > LargestTrueColour)
        {
            // 256 colours keep the folder small.
            flat.Pngsave(file, compression: 9, palette: true, q: 100, effort: 8, keep: Enums.ForeignKeep.None);
        }
    }
}
