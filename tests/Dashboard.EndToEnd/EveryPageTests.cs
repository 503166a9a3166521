using Microsoft.AspNetCore.Components;

namespace Dashboard.EndToEnd;

/// <summary>What holds for every page of the site.</summary>
public sealed class EveryPageTests(Stage stage)
{
    [Fact]
    public async Task Every_address_of_a_page_is_in_the_list()
    {
        var site = stage.Site;
        var places = await SitePages.OfAsync(site, await site.CompleteSampleAsync());
        var paths = places.Select(place => new Uri(new Uri(site.Address), place.Address).AbsolutePath).ToList();
        var templates = typeof(Client.Routes).Assembly.GetTypes().SelectMany(type => type.GetCustomAttributes(typeof(RouteAttribute), false).Cast<RouteAttribute>())
            .Select(route => route.Template).Where(template => template != "/not-found").ToList();
        Assert.True(templates.Count > 15);
        Assert.DoesNotContain(templates, template => !paths.Exists(path => Regex.IsMatch(path, "^" + Regex.Replace(template, @"\{[^}]*\}", "[^/]+") + "$")));
    }

    [Fact]
    public async Task Every_page_works_on_a_phone_without_scrolling_sideways_and_with_only_the_server_in_reach()
    {
        var site = stage.Site;
        var sample = await site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync(390, 844);
        await visitor.CutOffAsync();
        var wide = new List<string>();
        foreach (var place in await SitePages.OfAsync(site, sample))
        {
            await visitor.OpenAsync(place);
            await Expect(visitor.Page.Locator("h1").First).Not.ToBeEmptyAsync();
            var over = await visitor.Page.EvaluateAsync<int>("document.documentElement.scrollWidth - document.documentElement.clientWidth");
            if (over > 0)
            {
                wide.Add($"{place.Name} ({place.Address}) is {over} pixels too wide");
            }

            visitor.AssertNoFault();
        }

        Assert.Empty(wide);
        Assert.DoesNotContain(visitor.Addresses, address => !address.StartsWith(site.Address + "/", StringComparison.Ordinal)
            && !address.StartsWith("data:", StringComparison.Ordinal) && !address.StartsWith("blob:", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_visitor_who_is_cut_off_reaches_the_site_and_nothing_else()
    {
        await using var visitor = await stage.VisitorAsync();
        await visitor.CutOffAsync();
        await visitor.GoAsync("/");
        visitor.AssertNoFault();
        Assert.Equal("refused", await visitor.Page.EvaluateAsync<string>("() => new Promise(done => { const i = new Image(); i.onload = () => done('loaded'); i.onerror = () => done('refused'); i.src = 'http://192.0.2.1/picture.png'; })"));
        Assert.ThrowsAny<Exception>(visitor.AssertNoFault);
        visitor.Forgive();
    }

    [Fact]
    public async Task Axe_finds_no_violation_on_any_page_in_light_and_dark()
    {
        var site = stage.Site;
        var sample = await site.CompleteSampleAsync();
        await using var visitor = await stage.VisitorAsync();
        var found = new List<string>();
        foreach (var place in await SitePages.OfAsync(site, sample))
        {
            await visitor.OpenAsync(place);
            found.Add(await visitor.ViolationsAsync(place.Name));
            visitor.AssertNoFault();
        }

        Assert.True(found.All(violations => violations.Length == 0), string.Concat(found));
    }

    [Fact]
    public async Task Axe_finds_no_violation_in_what_opens_on_pages_and_in_what_went_wrong()
    {
        var site = stage.Site;
        var sample = await site.CompleteSampleAsync();
        var own = await site.UserConceptAsync(sample.Id, "Anything with dots", "dotted ring", "dotted star");
        const string Missing = "000000000000";
        (string Name, string Address, string? Press, string Seen)[] states =
        [
            ("tagging", PageUrls.Class(sample.Id, 0), "Tag images", "[data-testid=tagging-bar]"),
            ("share dialog", PageUrls.Outliers(sample.Id), "Share", ".mud-dialog li, .mud-dialog .empty, .mud-dialog button"),
            ("name of a concept", PageUrls.Concept(sample.Id, 1), "Name it", ".name-field"),
            ("place in an image", PageUrls.Sample(sample.Id, 5), "Mark a place", "[data-testid=place-marker]"),
            ("deleting a concept", PageUrls.Probe(sample.Id, own.Id), "Delete", ".btn.danger"),
            ("deleting an analysis", PageUrls.Analysis(sample.Id), "Delete", ".btn.danger"),
            ("no such analysis", PageUrls.Atlas(Missing), null, ".empty h1, .empty h2"),
            ("no such class", PageUrls.Class(sample.Id, 9999), null, ".empty h1, .empty h2"),
            ("no such concept of one's own", PageUrls.Probe(sample.Id, Missing), null, ".empty h1, .empty h2"),
            ("data that cannot be read", $"/new?data={Uri.EscapeDataString(site.SampleNetwork)}", null, ".note.bad, [role=alert]"),
            ("a network that is none", $"/new?data={Uri.EscapeDataString(site.SampleImages)}&network={Uri.EscapeDataString(site.SampleImages)}&step=network", null, ".note.bad, [role=alert]"),
            ("comparison of no analysis", PageUrls.Compare(Missing), null, "main [role=status]"),
            ("smallest change of no concept", PageUrls.Backpropagation(sample.Id) + "?sample=5", null, ".empty h2"),
        ];
        await using var visitor = await stage.VisitorAsync();
        var found = new List<string>();
        foreach (var (name, address, press, seen) in states)
        {
            await visitor.GoAsync(address);
            if (press is not null)
            {
                await visitor.Page.GetByRole(AriaRole.Button, new() { Name = press, Exact = true }).First.ClickAsync();
            }

            await Expect(visitor.Page.Locator(seen).First).ToBeVisibleAsync();
            found.Add(await visitor.ViolationsAsync(name));
        }

        visitor.AssertNoFault();
        Assert.True(found.All(violations => violations.Length == 0), string.Concat(found));
    }
}
