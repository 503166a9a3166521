using System.Net;
using System.Net.Http.Json;
using Dashboard.Client.Contracts;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;
using Xunit;

namespace Dashboard.Server.Tests;

/// <summary>Concepts that people hide or hold to be the same.</summary>
public sealed class ConceptPlaceTests
{
    private const string Id = "0123456789ab";

    [Fact]
    public async Task A_concept_is_hidden_merged_and_taken_back_and_keeps_its_name()
    {
        await using var site = await FilledAsync();
        var annotations = site.Get<IAnnotationService>();
        var stop = TestContext.Current.CancellationToken;
        await annotations.NameConceptAsync(Id, 1, "stripes", stop);
        await PutAsync(site, 1, new { hidden = true });
        Assert.Equal(("stripes", AnnotationEntity.Hidden, null), await StoredAsync(site, 1));
        await PutAsync(site, 1, new { into = 2 });
        Assert.Equal(("stripes", "into:2", 2), await StoredAsync(site, 1));
        await PutAsync(site, 1, new { hidden = false });
        Assert.Equal(("stripes", null, null), await StoredAsync(site, 1));
        await annotations.NameConceptAsync(Id, 1, null, stop);
        Assert.Null(await StoredAsync(site, 1));
    }

    [Theory]
    [InlineData(1, 1)] // itself
    [InlineData(1, 9)] // of another class
    [InlineData(1, 77)] // not there
    [InlineData(77, 1)]
    [InlineData(2, 1)] // holds another one already
    [InlineData(1, 3)] // is listed under another one already
    public async Task What_cannot_be_merged_is_refused(int concept, int into)
    {
        await using var site = await FilledAsync();
        await site.Get<IAnnotationService>().MergeConceptAsync(Id, 3, 2, TestContext.Current.CancellationToken);
        await Assert.ThrowsAsync<ServiceException>(() => site.Get<IAnnotationService>().MergeConceptAsync(Id, concept, into, TestContext.Current.CancellationToken));
    }

    private static async Task PutAsync(TestSite site, int concept, object body)
    {
        var answer = await site.Http.PutAsJsonAsync($"/api/analyses/{Id}/annotations/concepts/{concept}/list", body, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
    }

    private static async Task<(string? Name, string? Verdict, int? Into)?> StoredAsync(TestSite site, int concept)
    {
        await using var database = await site.Get<IDbContextFactory<DashboardDbContext>>().CreateDbContextAsync(TestContext.Current.CancellationToken);
        var row = await database.Annotations.AsNoTracking().FirstOrDefaultAsync(entry => entry.Kind == AnnotationEntity.Concept && entry.Target == concept, TestContext.Current.CancellationToken);
        return row is null ? null : (row.Name, row.Verdict, row.ListedUnder());
    }

    private static async Task<TestSite> FilledAsync()
    {
        var site = await TestSite.StartAsync();
        await using var database = await site.Get<IDbContextFactory<DashboardDbContext>>().CreateDbContextAsync(TestContext.Current.CancellationToken);
        var analysis = new AnalysisEntity { Id = Id, Name = "Run", Request = "{}", State = AnalysisState.Completed };
        database.Analyses.Add(analysis);
        await database.SaveChangesAsync(TestContext.Current.CancellationToken);
        database.Classes.AddRange(
            new ClassEntity { AnalysisKey = analysis.Key, Index = 0, Name = "one", DisplayName = "one", Ready = true },
            new ClassEntity { AnalysisKey = analysis.Key, Index = 1, Name = "two", DisplayName = "two", Ready = true });
        database.Concepts.AddRange(new[] { (1, 0), (2, 0), (3, 0), (9, 1) }.Select(c => new ConceptEntity { AnalysisKey = analysis.Key, Id = c.Item1, Class = c.Item2, Rank = c.Item1 }));
        await database.SaveChangesAsync(TestContext.Current.CancellationToken);
        return site;
    }
}
