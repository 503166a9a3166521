using System.Net.Http.Json;
using System.Text.Json;
using Analysis.Runs.Tasks;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;
using Xunit;

namespace Dashboard.Server.Tests;

/// <summary>Labels beside the names of concepts and neurons over HTTP: they come with a task, yield to people's names, and go with the task.</summary>
public sealed class LabelNameTests
{
    private const string Run = "0123456789ab";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Every_view_carries_the_newest_labels_and_loses_them_when_their_task_is_deleted()
    {
        await using var site = await TestSite.StartAsync();
        var key = await PlantAsync(site);
        Assert.All(await AllAsync(site), label => Assert.Null(label));

        await LabelAsync(site, key, "aaaaaaaaaaaa", "striped", "{\"length\":2}");
        Assert.All(await AllAsync(site), label => Assert.Equal(new ShortLabel("striped", 0.91, $"/analyses/{Run}/labels?unit=c0&length=2"), label));
        var view = await GetAsync<ClassView>(site, "classes/0");
        // What may be chance stays on the pages of labels and of the concept.
        Assert.Null(view.Concepts[1].Label);
        var own = (await GetAsync<ConceptView>(site, "concepts/0")).Neurons;
        Assert.Equal("green", own.Single(neuron => neuron.Channel == 0).Label!.Text);
        Assert.All(own.Where(neuron => neuron.Channel > 0), neuron => Assert.Null(neuron.Label));
        Assert.Contains("striped", view.Strategies[0].Summary, StringComparison.Ordinal);
        Assert.Equal(["striped"], (await GetAsync<AtlasView>(site, "")).Classes[0].Labels);
        Assert.Contains("striped", await site.Http.GetStringAsync($"/api/analyses/{Run}/classes/0/report", Stop), StringComparison.Ordinal);
        var neurons = await site.Get<IAtlasService>().NeuronLabelsAsync(Run, [0, 1, 2], Stop);
        Assert.Equal($"/analyses/{Run}/labels?unit=n0&length=2", Assert.Single(neurons).Value.Evidence);
        var hits = await site.Http.GetFromJsonAsync<List<SearchHit>>($"/api/search?analysis={Run}&text=cat+c0", Json.Options, Stop) ?? [];
        Assert.Equal("striped", Assert.Single(hits, hit => hit.Kind == "concept").Detail);

        // A newer task's labels replace them, a person's name does not.
        await LabelAsync(site, key, "bbbbbbbbbbbb", "spotted", "{}");
        Assert.All(await AllAsync(site), label => Assert.Equal("spotted", label?.Text));
        (await site.Http.PutAsJsonAsync($"/api/analyses/{Run}/annotations/concepts/0", new { name = "fur" }, Stop)).EnsureSuccessStatusCode();
        view = await GetAsync<ClassView>(site, "classes/0");
        Assert.Equal("fur", Assert.Single(await site.Get<IAtlasService>().ConceptNamesAsync(Run, Stop), pair => pair.Key == 0).Value);
        Assert.Equal(("fur", "spotted"), (view.Concepts[0].Name, view.Concepts[0].Label!.Text));
        Assert.DoesNotContain("spotted", view.Strategies[0].Summary, StringComparison.Ordinal);

        (await site.Http.DeleteAsync($"/api/analyses/{Run}/tasks/bbbbbbbbbbbb", Stop)).EnsureSuccessStatusCode();
        Assert.All(await AllAsync(site), label => Assert.Equal("striped", label?.Text));
        (await site.Http.DeleteAsync($"/api/analyses/{Run}/tasks/aaaaaaaaaaaa", Stop)).EnsureSuccessStatusCode();
        Assert.All(await AllAsync(site), label => Assert.Null(label));
        Assert.Empty(await site.Get<IAtlasService>().NeuronLabelsAsync(Run, [0, 1, 2], Stop));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("{\"units\": [{\"kind\": ")]
    [InlineData("{}")]
    public async Task Lost_or_damaged_labels_leave_pages_as_they_were(string? result)
    {
        await using var site = await TestSite.StartAsync();
        var key = await PlantAsync(site);
        await LabelAsync(site, key, "aaaaaaaaaaaa", "striped", "{}", result ?? "");
        var path = Path.Combine(site.Get<DataFolders>().Task(Run, "aaaaaaaaaaaa"), TaskRunner.ResultFile);
        if (result is null)
        {
            File.Delete(path);
        }

        Assert.All(await AllAsync(site), label => Assert.Null(label));
        if (result != "{}")
        {
            // What could not be read is read once it is there.
            await File.WriteAllTextAsync(path, Result("striped"), Stop);
            Assert.All(await AllAsync(site), label => Assert.Equal("striped", label?.Text));
        }
    }

    [Theory]
    [InlineData("cat AND striped AND NOT red", "striped AND NOT red")]
    [InlineData("cat", "cat")]
    [InlineData("catfish AND striped", "catfish AND striped")]
    [InlineData("cat AND striped OR red", "cat AND striped OR red")]
    public async Task Beside_its_class_a_label_leaves_the_class_out(string label, string brief)
    {
        await using var site = await TestSite.StartAsync();
        var key = await PlantAsync(site);
        await LabelAsync(site, key, "aaaaaaaaaaaa", label, "{}");
        Assert.All(await AllAsync(site), found => Assert.Equal((label, brief), (found?.Text, found?.Brief)));
    }

    /// <summary>The label of the first concept as each view has it.</summary>
    private static async Task<List<ShortLabel?>> AllAsync(TestSite site)
    {
        var sample = await GetAsync<SampleView>(site, "samples/0");
        return
        [
            (await GetAsync<ClassView>(site, "classes/0")).Concepts[0].Label,
            (await GetAsync<AtlasView>(site, "")).Classes[0].Strongest[0].Label,
            (await GetAsync<StrategyView>(site, "classes/0/strategies/0")).Concepts[0].Concept.Label,
            sample.Contributions.First(contribution => contribution.Concept?.Rank == 0).Concept!.Label,
            sample.Concepts.Single(concept => concept.Rank == 0).Label,
            (await GetAsync<ConceptView>(site, "concepts/0")).Concept.Label,
            (await GetAsync<SharedMember>(site, "concepts/0/tile")).Concept.Label,
        ];
    }

    private static async Task<int> PlantAsync(TestSite site) => await new PlantedRun
    {
        Id = Run,
        Classes =
        [
            new("cat", ["cat/0.png", "cat/1.png"], [new(0.6, PlantedRun.Vector(0), _ => 1), new(0.4, PlantedRun.Vector(1), _ => 1)]),
            new("dog", ["dog/0.png"], [new(1, PlantedRun.Vector(2), _ => 1)]),
        ],
    }.WriteAsync(site);

    private static async Task LabelAsync(TestSite site, int key, string task, string label, string parameters, string? result = null)
    {
        await using var database = await site.Get<IDbContextFactory<DashboardDbContext>>().CreateDbContextAsync(Stop);
        database.Tasks.Add(new TaskEntity { AnalysisKey = key, Id = task, Kind = LabelView.TaskKind, Parameters = parameters, TaskKey = task, State = AnalysisState.Completed });
        await database.SaveChangesAsync(Stop);
        var folder = Directory.CreateDirectory(site.Get<DataFolders>().Task(Run, task)).FullName;
        await File.WriteAllTextAsync(Path.Combine(folder, TaskRunner.ResultFile), result ?? Result(label), Stop);
    }

    private static string Result(string label) => $$"""
        {"units":[
        {"kind":"neuron","index":0,"label":"green","heldOutAuc":0.8,"significant":true},
        {"kind":"neuron","index":1,"label":"chance","heldOutAuc":0.52,"significant":false},
        {"kind":"concept","index":0,"concept":0,"class":0,"className":"cat","label":"{{label}}","heldOutAuc":0.91,"significant":true},
        {"kind":"concept","index":1,"concept":1,"class":0,"className":"cat","label":"chance","heldOutAuc":0.55,"significant":false},
        {"kind":"concept","index":0,"concept":2,"class":1,"className":"dog","label":null,"significant":false}]}
        """;

    private static async Task<T> GetAsync<T>(TestSite site, string path) =>
        await site.Http.GetFromJsonAsync<T>($"/api/analyses/{Run}/{path}".TrimEnd('/') + (path.Length == 0 ? "/atlas" : ""), Json.Options, Stop)
        ?? throw new JsonException($"Nothing at {path}.");
}
