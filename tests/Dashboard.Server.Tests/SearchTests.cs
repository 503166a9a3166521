using System.Net.Http.Json;
using Analysis.Runs.Tasks;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;
using Xunit;

namespace Dashboard.Server.Tests;

/// <summary>Search over a catalogue of known rows.</summary>
public sealed class SearchTests
{
    private const string One = "0123456789ab";
    private const string Other = "ba9876543210";

    [Fact]
    public async Task Words_find_classes_concepts_strategies_labels_and_analyses_by_their_names()
    {
        await using var site = await TestSite.StartAsync();
        await FillAsync(site);

        Assert.Equal(["class: tabby cat", "concept: c0 of tabby cat", "concept: c1 of tabby cat"], await FindAsync(site, One, "CAT tabby"));
        Assert.Equal(["concept: c1 of tabby cat"], await FindAsync(site, One, "tabby c1"));
        // A name by a person comes first, and its code says where it belongs.
        Assert.Equal(["concept: striped fur"], await FindAsync(site, One, "fur"));
        Assert.Equal(["strategy: by the whiskers"], await FindAsync(site, One, "whiskers"));
        Assert.Equal(["label: stripes AND NOT grass"], await FindAsync(site, One, "grass"));
        Assert.Equal(["probe: lawn behind"], await FindAsync(site, One, "lawn"));
        Assert.Equal(["analysis: Second run"], await FindAsync(site, One, "second"));
        Assert.Equal(["class: n02123045"], await FindAsync(site, null, "n0212"));
        Assert.Empty(await FindAsync(site, One, "n0212"));
    }

    [Fact]
    public async Task Hits_lead_to_their_pages()
    {
        await using var site = await TestSite.StartAsync();
        await FillAsync(site);
        var hits = await site.Get<ISearchService>().FindAsync(One, "fur", cancellation: TestContext.Current.CancellationToken);
        Assert.Equal($"/analyses/{One}/concepts/11", Assert.Single(hits).Url);
        hits = await site.Get<ISearchService>().FindAsync(One, "whiskers", cancellation: TestContext.Current.CancellationToken);
        Assert.Equal($"/analyses/{One}/classes/4/strategies/2", Assert.Single(hits).Url);
        hits = await site.Get<ISearchService>().FindAsync(One, "grass", cancellation: TestContext.Current.CancellationToken);
        Assert.Equal(($"/analyses/{One}/labels?unit=n7", "neuron 7"), (Assert.Single(hits).Url, hits[0].Detail));
        var answer = await site.Http.GetFromJsonAsync<List<SearchHit>>($"/api/search?analysis={One}&text=fur", Json.Options, TestContext.Current.CancellationToken);
        Assert.Equal("striped fur", Assert.Single(answer!).Title);
    }

    [Theory]
    [InlineData("%")]
    [InlineData("_")]
    [InlineData("\\")]
    [InlineData("   ")]
    [InlineData("' OR 1=1 --")]
    public async Task Signs_of_the_query_language_stand_for_themselves(string text)
    {
        await using var site = await TestSite.StartAsync();
        await FillAsync(site);
        Assert.Empty(await FindAsync(site, null, text));
        Assert.Empty(await FindAsync(site, "ffffffffffff", "cat"));
    }

    private static async Task<IEnumerable<string>> FindAsync(TestSite site, string? analysis, string text) =>
        (await site.Get<ISearchService>().FindAsync(analysis, text, cancellation: TestContext.Current.CancellationToken)).Select(hit => $"{hit.Kind}: {hit.Title}");

    private static async Task FillAsync(TestSite site)
    {
        await using var database = await site.Get<IDbContextFactory<DashboardDbContext>>().CreateDbContextAsync(TestContext.Current.CancellationToken);
        var one = new AnalysisEntity { Id = One, Name = "First run", Request = "{}", State = AnalysisState.Completed };
        var other = new AnalysisEntity { Id = Other, Name = "Second run", Request = "{}", State = AnalysisState.Completed };
        database.Analyses.AddRange(one, other);
        await database.SaveChangesAsync(TestContext.Current.CancellationToken);
        database.Classes.AddRange(
            new ClassEntity { AnalysisKey = one.Key, Index = 3, Name = "tabby", DisplayName = "tabby cat", Ready = true },
            new ClassEntity { AnalysisKey = one.Key, Index = 4, Name = "dog", DisplayName = "dog", Ready = true },
            new ClassEntity { AnalysisKey = one.Key, Index = 5, Name = "cat to come", DisplayName = "tabby cat to come", Ready = false },
            new ClassEntity { AnalysisKey = other.Key, Index = 0, Name = "n02123045", DisplayName = "n02123045", Ready = true });
        database.Concepts.AddRange(
            new ConceptEntity { AnalysisKey = one.Key, Id = 10, Class = 3, Rank = 0 },
            new ConceptEntity { AnalysisKey = one.Key, Id = 12, Class = 3, Rank = 1 },
            new ConceptEntity { AnalysisKey = one.Key, Id = 11, Class = 4, Rank = 0 });
        database.Annotations.AddRange(
            new AnnotationEntity { AnalysisKey = one.Key, Kind = AnnotationEntity.Concept, Target = 11, Name = "striped fur" },
            new AnnotationEntity { AnalysisKey = one.Key, Kind = AnnotationEntity.Strategy, Target = AnnotationEntity.StrategyTarget(4, 2), Name = "by the whiskers" });
        database.UserConcepts.Add(new UserConceptEntity { AnalysisKey = one.Key, Id = "cccccccccccc", Name = "lawn behind", Definition = "{}" });
        database.Tasks.Add(new TaskEntity { AnalysisKey = one.Key, Id = "aaaaaaaaaaaa", Kind = LabelView.TaskKind, Parameters = "{}", TaskKey = "key", State = AnalysisState.Completed });
        await database.SaveChangesAsync(TestContext.Current.CancellationToken);
        var folder = Directory.CreateDirectory(site.Get<DataFolders>().Task(One, "key")).FullName;
        await File.WriteAllTextAsync(
            Path.Combine(folder, TaskRunner.ResultFile),
            """{"units":[{"kind":"neuron","index":7,"label":"stripes AND NOT grass"},{"kind":"neuron","index":8,"label":null}]}""",
            TestContext.Current.CancellationToken);
    }
}
