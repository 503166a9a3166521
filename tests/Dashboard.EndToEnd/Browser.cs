[assembly: AssemblyFixture(typeof(Dashboard.EndToEnd.Stage))]
[assembly: Xunit.v3.Parallelization(Mode = Xunit.Sdk.ParallelMode.None)]
[assembly: TestCollectionOrderer(typeof(Dashboard.EndToEnd.FirstStartFirst))]

namespace Dashboard.EndToEnd;

/// <summary>What all tests share: one browser, and one site, started once, whose first start makes the sample atlas.</summary>
public sealed class Stage : IAsyncLifetime
{
    private IPlaywright? _playwright;
    private IBrowser? _browser;
    private Site? _site;

    public Site Site => _site ?? throw new InvalidOperationException("The site was not started.");

    /// <summary>The browser: CHROMIUM_PATH, or Debian's.</summary>
    private static string Chromium => Environment.GetEnvironmentVariable("CHROMIUM_PATH") is { Length: > 0 } path ? path : "/usr/bin/chromium";

    public async ValueTask InitializeAsync()
    {
        if (!File.Exists(Chromium))
        {
            throw new FileNotFoundException($"The browser tests need Chromium, and there is none at {Chromium}. ./test.sh installs it; CHROMIUM_PATH names another.");
        }

        Assertions.SetDefaultExpectTimeout(Visitor.Patience);
        _playwright = await Playwright.CreateAsync();
        _browser = await _playwright.Chromium.LaunchAsync(new()
        {
            ExecutablePath = Chromium,
            Args = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
        });
        // Last, so that the browser is there while the sample is made.
        _site = await Site.StartAsync();
    }

    /// <summary>Somebody with an empty browser profile.</summary>
    public async Task<Visitor> VisitorAsync(int width = 1440, int height = 900, ColorScheme colours = ColorScheme.Light, bool offline = false) =>
        await Visitor.ArriveAsync(
            await _browser!.NewContextAsync(new()
            {
                BaseURL = Site.Address,
                ViewportSize = new() { Width = width, Height = height },
                ColorScheme = colours,
                Offline = offline,
                Permissions = ["clipboard-read", "clipboard-write"],
                Locale = "en-GB",
                TimezoneId = "UTC",
                ReducedMotion = ReducedMotion.Reduce,
            }),
            Site);

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null)
        {
            await _browser.DisposeAsync();
        }

        _playwright?.Dispose();
        if (_site is not null)
        {
            await _site.DisposeAsync();
        }
    }
}

/// <summary>The first start can be watched once only: its tests come before all others, which follow by name.</summary>
public sealed class FirstStartFirst : Xunit.v3.ITestCollectionOrderer
{
    public IReadOnlyCollection<TTestCollection> OrderTestCollections<TTestCollection>(IReadOnlyCollection<TTestCollection> testCollections)
        where TTestCollection : Xunit.Sdk.ITestCollection =>
        [.. testCollections.OrderByDescending(c => c.TestCollectionDisplayName.Contains(nameof(FirstStartTests), StringComparison.Ordinal))
            .ThenBy(c => c.TestCollectionDisplayName, StringComparer.Ordinal)];
}
