using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Analysis.Probes;
using Analysis.Runs.Tasks;
using Dashboard.Client.Contracts;
using Dashboard.Server.Cli;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Dashboard.Server.Jobs;
using Dashboard.Server.Services;
using Microsoft.EntityFrameworkCore;
using Xunit;

namespace Dashboard.Server.Tests;

/// <summary>Concepts that people define, over HTTP, beside a finished analysis of the real engine.</summary>
public sealed class UserConceptTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Concepts_are_previewed_defined_listed_renamed_and_deleted_and_survive_a_repeated_run()
    {
        await using var site = await TestSite.StartAsync();
        var run = await CompleteAsync(site);
        var place = $"/api/analyses/{run}/user-concepts";
        var atlas = await GetAsync<AtlasView>(site, $"/api/analyses/{run}/atlas");
        var striped = atlas.Classes.Where(c => c.Name.StartsWith("striped", StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(striped);
        var draft = new ConceptDraft { Name = "  stripes ", Source = "classes", Classes = [.. striped.Select(c => c.Name)] };

        // By classes: the counts are those of the classes, and three in ten of each side are kept for testing.
        var preview = await PreviewAsync(site, place, draft);
        Assert.Equal(striped.Sum(c => c.Images), preview.Positives);
        Assert.Equal(atlas.Classes.Sum(c => c.Images) - preview.Positives, preview.Negatives);
        Assert.InRange(preview.HeldOutPositives, 0.2 * preview.Positives, 0.4 * preview.Positives);
        Assert.InRange(preview.HeldOutNegatives, 0.2 * preview.Negatives, 0.4 * preview.Negatives);
        Assert.Null(preview.Problem);
        var shown = await site.Get<IAtlasService>().SamplesAsync(run, preview.PositiveExamples, Stop);
        Assert.All(shown, tile => Assert.StartsWith("striped", tile.ClassName, StringComparison.Ordinal));

        var response = await site.Http.PostAsJsonAsync(place, draft, Json.Options, Stop);
        Assert.Equal(HttpStatusCode.Created, response.StatusCode);
        var made = (await response.Content.ReadFromJsonAsync<UserConcept>(Json.Options, Stop))!;
        Assert.Equal($"{place}/{made.Id}", response.Headers.Location?.OriginalString);
        Assert.Equal("stripes", made.Name);

        // Names are told apart without regard to case; the page of a list is what was asked for.
        await RefusedAsync(await site.Http.PostAsJsonAsync(place, draft with { Name = "STRIPES" }, Json.Options, Stop), HttpStatusCode.BadRequest, "already");
        var other = (await (await site.Http.PostAsJsonAsync(place, draft with { Name = "other" }, Json.Options, Stop)).Content.ReadFromJsonAsync<UserConcept>(Json.Options, Stop))!;
        var list = await GetAsync<Paged<UserConcept>>(site, $"{place}?skip=1&take=1");
        Assert.Equal((2, made.Id), (list.Total, list.Items.Single().Id));
        await RefusedAsync(await site.Http.GetAsync($"{place}?take=-1", Stop), HttpStatusCode.BadRequest, "take");

        // A new name keeps the definition, by which results are found.
        var renamed = await site.Http.PatchAsJsonAsync($"{place}/{made.Id}", new { name = "banded" }, Json.Options, Stop);
        Assert.Equal(HttpStatusCode.OK, renamed.StatusCode);
        await RefusedAsync(await site.Http.PatchAsJsonAsync($"{place}/{other.Id}", new { name = "Banded" }, Json.Options, Stop), HttpStatusCode.BadRequest, "already");
        await RefusedAsync(await site.Http.PatchAsJsonAsync($"{place}/{other.Id}", new { name = "  " }, Json.Options, Stop), HttpStatusCode.BadRequest, "no name");

        // What the engine writes again replaces its own rows only.
        var key = await KeyAsync(site, run);
        var folder = Path.Combine(site.Folder, "data", "runs", run);
        await site.Get<AtlasIngestion>().DescriptionAsync(key, folder, Stop);
        await site.Get<AtlasIngestion>().FinishAsync(key, folder, Stop);
        var kept = await GetAsync<UserConcept>(site, $"{place}/{made.Id}");
        Assert.Equal(("banded", "stripes", "classes"), (kept.Name, kept.Definition.Name, kept.Definition.Source));
        Assert.Equal(draft.Classes, kept.Definition.Classes);

        Assert.Equal(HttpStatusCode.NoContent, (await site.Http.DeleteAsync($"{place}/{made.Id}", Stop)).StatusCode);
        await RefusedAsync(await site.Http.GetAsync($"{place}/{made.Id}", Stop), HttpStatusCode.NotFound, "defined concept");
        await RefusedAsync(await site.Http.DeleteAsync($"{place}/{made.Id}", Stop), HttpStatusCode.NotFound, "defined concept");
        await RefusedAsync(await site.Http.PatchAsJsonAsync($"{place}/ffffffffffff", new { name = "x" }, Json.Options, Stop), HttpStatusCode.NotFound, "defined concept");
        await RefusedAsync(await site.Http.GetAsync("/api/analyses/ffffffffffff/user-concepts", Stop), HttpStatusCode.NotFound, "analysis");

        // With the analysis they go.
        Assert.Equal(HttpStatusCode.NoContent, (await site.Http.DeleteAsync($"/api/analyses/{run}", Stop)).StatusCode);
        await using var database = await site.Get<IDbContextFactory<DashboardDbContext>>().CreateDbContextAsync(Stop);
        Assert.Equal(0, await database.UserConcepts.CountAsync(Stop));
    }

    [Fact]
    public async Task Every_way_to_say_a_concept_is_resolved_and_one_sided_ones_are_refused_with_the_remedy()
    {
        await using var site = await TestSite.StartAsync();
        var run = await CompleteAsync(site);
        var place = $"/api/analyses/{run}/user-concepts";
        var samples = await SamplesAsync(site, run);
        var paths = samples.Select(s => s.Path).ToList();

        // Tagged: only what is tagged takes part; without a tagged negative everything else does not show it.
        var tagged = new ConceptDraft { Source = "samples", Positives = [.. paths.Take(4)], Negatives = [.. paths.Skip(40).Take(6), "gone/x.png"] };
        var preview = await PreviewAsync(site, place, tagged);
        Assert.Equal((4, 6, paths.Count - 10, 1), (preview.Positives, preview.Negatives, preview.Unused, preview.Missing));
        Assert.InRange(preview.HeldOutPositives, 1, 3);
        Assert.Equal([0, 1, 2, 3], preview.PositiveExamples);
        Assert.Equal(paths.Count - 4, (await PreviewAsync(site, place, tagged with { Negatives = [] })).Negatives);
        await RefusedAsync(await site.Http.PostAsJsonAsync($"{place}/preview", tagged with { Negatives = [paths[0]] }, Json.Options, Stop), HttpStatusCode.BadRequest, paths[0]);

        // By a place in images: these show it.
        var region = new ConceptDraft { Source = "region", Regions = [.. paths.Take(3).Select(p => new DraftRegion(p, 0.5, 0.5, 0.5, 0.25))] };
        preview = await PreviewAsync(site, place, region);
        Assert.Equal((3, paths.Count - 3), (preview.Positives, preview.Negatives));
        await RefusedAsync(
            await site.Http.PostAsJsonAsync($"{place}/preview", region with { Regions = [new DraftRegion(paths[0], 0.8, 0, 0.5, 1)] }, Json.Options, Stop), HttpStatusCode.BadRequest, "does not lie");

        // By a column: the table of the sample is served with its values, and resolved by it.
        var attributes = await GetAsync<AttributesView>(site, $"/api/analyses/{run}/attributes");
        Assert.Null(attributes.Message);
        var words = attributes.Columns.First(c => c.Kind == "words");
        Assert.Equal(words.Values.Select(v => v.Images).OrderDescending(), words.Values.Select(v => v.Images));
        preview = await PreviewAsync(site, place, new ConceptDraft { Source = "attribute", Attribute = words.Name, Value = words.Values[0].Value });
        Assert.Equal(words.Values[0].Images, preview.Positives);
        await RefusedAsync(await site.Http.PostAsJsonAsync($"{place}/preview", new ConceptDraft { Source = "attribute", Attribute = words.Name }, Json.Options, Stop), HttpStatusCode.BadRequest, "Choose the value");
        await RefusedAsync(await site.Http.PostAsJsonAsync($"{place}/preview", new ConceptDraft { Source = "attribute", Attribute = "nothing" }, Json.Options, Stop), HttpStatusCode.BadRequest, "no column 'nothing'");

        // By a discovered concept or a neuron: the images that activate it most.
        var concept = (await GetAsync<ClassView>(site, $"/api/analyses/{run}/classes/0")).Concepts[0].Id;
        foreach (var (source, unit) in new[] { ("concept", concept), ("neuron", 3) })
        {
            preview = await PreviewAsync(site, place, new ConceptDraft { Source = source, Unit = unit, Share = 0.1 });
            Assert.Equal((int)Math.Ceiling(0.1 * paths.Count), preview.Positives);
        }

        await RefusedAsync(await site.Http.PostAsJsonAsync($"{place}/preview", new ConceptDraft { Source = "neuron", Unit = 64 }, Json.Options, Stop), HttpStatusCode.BadRequest, "0 to 63");
        await RefusedAsync(await site.Http.PostAsJsonAsync($"{place}/preview", new ConceptDraft { Source = "neuron", Unit = 1, Share = 0.7 }, Json.Options, Stop), HttpStatusCode.BadRequest, "at most 0.5");

        // JSON may hold null where nothing is meant by it.
        foreach (var nothing in new object[]
        {
            new { source = "samples", positives = new string?[] { null } }, new { source = "classes", classes = new string?[] { null } },
            new { source = "region", regions = new object?[] { null } }, new { source = "region", regions = new[] { new { left = 0 } } },
        })
        {
            await RefusedAsync(await site.Http.PostAsJsonAsync($"{place}/preview", nothing, Stop), HttpStatusCode.BadRequest, "without a name");
        }

        // One-sided: the preview says so, and nothing is kept.
        var all = new ConceptDraft { Name = "everything", Source = "classes", Classes = [.. (await GetAsync<AtlasView>(site, $"/api/analyses/{run}/atlas")).Classes.Select(c => c.Name)] };
        Assert.Contains("Leave at least one class out", (await PreviewAsync(site, place, all)).Problem);
        await RefusedAsync(await site.Http.PostAsJsonAsync(place, all, Json.Options, Stop), HttpStatusCode.BadRequest, "Leave at least one class out");
        await RefusedAsync(await site.Http.PostAsJsonAsync(place, tagged with { Name = "one", Positives = [paths[0]] }, Json.Options, Stop), HttpStatusCode.BadRequest, "at least two different");
        await RefusedAsync(await site.Http.PostAsJsonAsync(place, tagged, Json.Options, Stop), HttpStatusCode.BadRequest, "no name");
        await RefusedAsync(await site.Http.PostAsJsonAsync(place, tagged with { Name = "x", Source = "magic" }, Json.Options, Stop), HttpStatusCode.BadRequest, "'magic'");
        Assert.Equal(0, (await GetAsync<Paged<UserConcept>>(site, place)).Total);
    }

    [Fact]
    public async Task The_preview_and_the_engine_mean_the_same_samples_by_every_kind_of_definition()
    {
        await using var site = await TestSite.StartAsync();
        var run = await CompleteAsync(site);
        var analysis = (await site.Get<AnalysisService>().FindAsync(run, Stop))!;
        var paths = (await SamplesAsync(site, run)).Select(s => s.Path).ToList();
        // A column of many numbers, with gaps, and one of few, beside those of the sample.
        var root = TestNetwork.Images(site.Folder);
        var table = Path.Combine(root, "attributes.csv");
        var lines = await File.ReadAllLinesAsync(table, Stop);
        await File.WriteAllLinesAsync(table, lines.Select((line, i) => i == 0 ? $"{line},weight,grade" : $"{line},{(i % 7 == 0 ? "" : (i * 37 % 101 / 4.0).ToString(CultureInfo.InvariantCulture))},{2 + (i % 3)}"), Stop);
        var columns = (await GetAsync<AttributesView>(site, $"/api/analyses/{run}/attributes")).Columns.ToDictionary(c => c.Name);
        Assert.Equal(("numbers", 0, "numbers", 3), (columns["weight"].Kind, columns["weight"].Values.Count, columns["grade"].Kind, columns["grade"].Values.Count));
        var words = columns.Values.First(c => c.Kind == "words");
        var atlas = await GetAsync<AtlasView>(site, $"/api/analyses/{run}/atlas");
        var concept = (await GetAsync<ClassView>(site, $"/api/analyses/{run}/classes/1")).Concepts[^1].Id;
        ConceptDraft[] drafts =
        [
            new() { Source = "classes", Classes = [atlas.Classes[0].Name, atlas.Classes[2].Name] },
            new() { Source = "samples", Positives = [.. paths.Take(9)] },
            new() { Source = "samples", Positives = [.. paths.Take(9)], Negatives = [.. paths.Skip(50).Take(12)] },
            new() { Source = "region", Regions = [.. paths.Skip(20).Take(7).Select(p => new DraftRegion(p, 0.1, 0.2, 0.3, 0.4))], Negatives = [.. paths.Take(8)] },
            new() { Source = "attribute", Attribute = words.Name.ToUpperInvariant(), Value = words.Values[0].Value },
            new() { Source = "attribute", Attribute = columns.Values.First(c => c.Kind == "yesno").Name },
            new() { Source = "attribute", Attribute = "weight" },
            new() { Source = "attribute", Attribute = "grade" },
            new() { Source = "attribute", Attribute = "grade", Value = "3" },
            new() { Source = "concept", Unit = concept, Share = 0.13 },
            new() { Source = "neuron", Unit = 5, Share = 0.5 },
        ];
        Assert.Equal(ConceptResolver.Sources.Order(), drafts.Select(d => d.Source).Distinct().Order());
        var folders = site.Get<DataFolders>();
        using var context = new TaskContext(FinishedAnalysis.Request(folders.Run(run)), folders.Store, folders.Run(run), Stop);
        foreach (var draft in drafts.Select(d => d with { Name = "it" }))
        {
            var shown = await site.Get<DraftResolver>().TargetsAsync(analysis, draft, Stop);
            // As a task takes it: the page sends the draft itself.
            var fitted = ConceptResolver.Resolve(context, JsonSerializer.Deserialize<ConceptDefinition>(JsonSerializer.Serialize(draft, Json.Options), Json.Options)!);
            var what = $"{draft.Source} {draft.Attribute} {draft.Value}";
            Assert.True(fitted.Continuous == shown.Targets.Continuous, what);
            Assert.True(fitted.Targets.SequenceEqual(shown.Targets.Targets), what);
            Assert.True(fitted.HeldOut.SequenceEqual(shown.HeldOut), what);
            Assert.True(fitted.HeldOut.Count(h => h) > 1, what);
        }

        // What the engine refuses, the preview refuses as well, in the same words.
        foreach (var draft in new ConceptDraft[]
        {
            new() { Source = "classes", Classes = ["purple disc"] }, new() { Source = "attribute", Attribute = words.Name }, new() { Source = "attribute", Attribute = words.Name, Value = "heptagon" },
            new() { Source = "neuron", Unit = 64 }, new() { Source = "region", Regions = [new DraftRegion(paths[0], 0.9, 0, 0.2, 1)] }, new() { Source = "samples" },
        })
        {
            var named = draft with { Name = "it" };
            var refused = await Assert.ThrowsAsync<ServiceException>(() => site.Get<DraftResolver>().TargetsAsync(analysis, named, Stop));
            var definition = JsonSerializer.Deserialize<ConceptDefinition>(JsonSerializer.Serialize(named, Json.Options), Json.Options)!;
            var fault = Assert.Throws<Analysis.AnalysisException>(() => ConceptResolver.Resolve(context, definition));
            Assert.Equal(fault.Message, refused.Message);
        }
    }

    private static async Task<string> CompleteAsync(TestSite site)
    {
        var run = await site.StartRunAsync(new NewAnalysis { Dataset = TestNetwork.Images(site.Folder), Network = TestNetwork.Weights(site.Folder) });
        var end = await site.WaitAsync(run.Id, progress => progress.State is AnalysisState.Completed or AnalysisState.Failed);
        Assert.True(end.State == AnalysisState.Completed, end.Message);
        return run.Id;
    }

    private static async Task<IReadOnlyList<SampleTile>> SamplesAsync(TestSite site, string run)
    {
        var all = new List<SampleTile>();
        for (Paged<SampleTile> page; (page = await GetAsync<Paged<SampleTile>>(site, $"/api/analyses/{run}/samples?skip={all.Count}&take=200")).Items.Count > 0;)
        {
            all.AddRange(page.Items);
        }

        return all;
    }

    private static async Task<int> KeyAsync(TestSite site, string run)
    {
        await using var database = await site.Get<IDbContextFactory<DashboardDbContext>>().CreateDbContextAsync(Stop);
        return await database.Analyses.Where(row => row.Id == run).Select(row => row.Key).SingleAsync(Stop);
    }

    private static async Task<ConceptPreview> PreviewAsync(TestSite site, string place, ConceptDraft draft)
    {
        var response = await site.Http.PostAsJsonAsync($"{place}/preview", draft, Json.Options, Stop);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(Stop));
        return (await response.Content.ReadFromJsonAsync<ConceptPreview>(Json.Options, Stop))!;
    }

    private static async Task<T> GetAsync<T>(TestSite site, string path) => (await site.Http.GetFromJsonAsync<T>(path, Json.Options, Stop))!;

    private static async Task RefusedAsync(HttpResponseMessage response, HttpStatusCode status, string words)
    {
        Assert.Equal(status, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        using var problem = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Stop));
        Assert.Contains(words, problem.RootElement.GetProperty("detail").GetString());
    }
}
