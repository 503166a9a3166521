namespace Dashboard.EndToEnd;

/// <summary>A page in a state worth looking at.</summary>
/// <param name="Name">What it is called in messages.</param>
/// <param name="Address">Address with the state in its query.</param>
/// <param name="Ready">Selector of what is visible once the page is complete.</param>
/// <param name="Live">False for a page of one file without scripts.</param>
/// <param name="Status">Status of the answer; the browser reports another than 200 on its console.</param>
public sealed record SitePage(string Name, string Address, string Ready, bool Live = true, int Status = 200);

/// <summary>Every page of the site: a page that is added to the site is added here, and what holds for all pages is tried on it.</summary>
public static class SitePages
{
    /// <summary>All pages of the sample atlas, which must be complete.</summary>
    public static async Task<IReadOnlyList<SitePage>> OfAsync(Site site, AnalysisSummary sample)
    {
        var view = await site.GetAsync<ClassView>($"/api/analyses/{sample.Id}/classes/0");
        var concept = view.Concepts[0].Id;
        var chosen = $"/new?data={Uri.EscapeDataString(site.SampleImages)}&network={Uri.EscapeDataString(site.SampleNetwork)}";
        var shared = await site.ShareClassAsync(sample.Id, 0);
        var atlas = await site.GetAsync<AtlasView>($"/api/analyses/{sample.Id}/atlas");
        // Folders have the classes' names in the sample; of other analyses the first two are as good.
        var names = sample.IsSample ? ["dotted ring", "dotted star"] : atlas.Classes.Take(2).Select(c => c.Name).ToArray();
        var own = await site.UserConceptAsync(sample.Id, "Anything with dots", names);
        var other = await site.SecondRunAsync();
        var image = await site.OwnImageAsync(sample.Id, view.Strategies[0].Prototype);
        return
        [
            new("home", PageUrls.Home, ".row-item"),
            new("new analysis, nothing chosen", PageUrls.New, ".entries"),
            new("new analysis, data", chosen, ".examples img"),
            new("new analysis, network", chosen + "&step=network", ".layer"),
            new("new analysis, method", chosen + "&step=method", ".preset"),
            new("new analysis, review", chosen + "&step=review", ".costs"),
            new("analysis", PageUrls.Analysis(sample.Id), ".stages"),
            new("atlas", PageUrls.Atlas(sample.Id), ".class-row .tile"),
            new("atlas, nothing found", PageUrls.Atlas(sample.Id) + "?search=nothing-is-called-so", ".empty"),
            new("atlas, map", PageUrls.Atlas(sample.Id, "map"), "h1"),
            new("atlas, shared concepts", PageUrls.Atlas(sample.Id, "shared"), ".tabs"),
            new("atlas, outliers", PageUrls.Atlas(sample.Id, "outliers"), ".kind"),
            new("class", PageUrls.Class(sample.Id, 0), ".charts svg.main-svg"),
            new("class, a concept chosen, with maps", PageUrls.Class(sample.Id, 0) + $"?concept={concept}&maps=true&colour=strategy", ".gallery .pic"),
            new("strategy", PageUrls.Strategy(sample.Id, 0, 0), ".mixture-table tbody tr"),
            new("concept", PageUrls.Concept(sample.Id, concept), ".concept-grid .wall .pic"),
            new("sample", PageUrls.Sample(sample.Id, view.Strategies[0].Prototype), ".detectors"),
            new("search images", PageUrls.Search(sample.Id), ".empty"),
            new("search images by concepts", $"{PageUrls.Search(sample.Id, with: concept)}&without={view.Concepts[^1].Id}&top=25", ".one .pic"),
            new("search images, more like one", PageUrls.Search(sample.Id, like: view.Strategies[0].Prototype), ".one .pic"),
            new("an image of one's own", PageUrls.OwnImage(sample.Id), ".drop input"),
            new("an image of one's own, explained", PageUrls.OwnImage(sample.Id, image), ".own-grid .wall .pic"),
            new("outliers", PageUrls.Outliers(sample.Id), ".outlier-tile"),
            new("labels", PageUrls.Labels(sample.Id), ".task-panel button, table.units"),
            new("probes", PageUrls.Probes(sample.Id), "h1"),
            new("define a concept", PageUrls.DefineConcept(sample.Id), "form, .tools, h1"),
            new("define a concept by attribute", PageUrls.DefineConcept(sample.Id, "attribute"), "h1"),
            new("probe", PageUrls.Probe(sample.Id, own.Id), "h1"),
            new("smallest changes", PageUrls.Backpropagation(sample.Id), "h1"),
            new("training images", PageUrls.TrainingImages(sample.Id), "h1"),
            new("remove and retrain", PageUrls.Retraining(sample.Id), "h1"),
            new("compare", PageUrls.Compare(sample.Id), ".task-panel button, [data-testid=verdict]"),
            new("compare runs", PageUrls.CompareRuns(sample.Id), ".runs tbody tr"),
            new("compare runs, two", PageUrls.CompareRuns(sample.Id, other.Id) + "&class=red%20disc&sort=similarity", ".pair-list .pic"),
            new("compare runs, an unknown one", PageUrls.CompareRuns(sample.Id, "ffffffffffff"), ".note"),
            new("shared report", shared.Url, "h1", Live: false),
            new("no such page", "/nothing/here", "h1", Status: 404),
        ];
    }
}
