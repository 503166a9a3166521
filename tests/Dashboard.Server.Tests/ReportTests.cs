using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using Analysis.Atlas;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Server.Data;
using Dashboard.Server.Jobs;
using Xunit;

namespace Dashboard.Server.Tests;

/// <summary>Saved and shared pages list concepts as the people who hide and merge them want them listed.</summary>
public sealed class ReportTests
{
    private const int Concepts = 5;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Hidden_concepts_are_left_out_and_merged_ones_are_one_with_their_common_share_and_spread()
    {
        var folder = Directory.CreateTempSubdirectory("atlas-report-").FullName;
        try
        {
            var (code, _, error) = await ChildProcess.RunAsync(
                ["seed", "--classes", "2", "--samples", "40", "--concepts", $"{Concepts}", "--data-directory", Path.Combine(folder, "data")], TimeSpan.FromSeconds(120), Stop);
            Assert.True(code == 0, error);
            await using var site = await TestSite.StartAsync(folder);
            var id = (await GetAsync<Paged<AnalysisSummary>>(site, "/api/analyses")).Items[0].Id;
            var before = await GetAsync<ClassView>(site, $"/api/analyses/{id}/classes/1");
            string[] names = ["feldspar", "basalt", "gneiss", "marble", "obsidian"];
            for (var rank = 0; rank < Concepts; rank++)
            {
                await PutAsync(site, $"/api/analyses/{id}/annotations/concepts/{before.Concepts[rank].Id}", new { name = names[rank] });
            }

            var address = $"/api/analyses/{id}/classes/1/report";
            var whole = await site.Http.GetStringAsync(address, Stop);
            Assert.All(names, name => Assert.Contains(name, whole));
            Assert.DoesNotContain("left out by people", whole);

            // The strongest is put away, the fourth is the same as the second.
            int Of(int rank) => before.Concepts[rank].Id;
            await PutAsync(site, $"/api/analyses/{id}/annotations/concepts/{Of(0)}/list", new { hidden = true });
            await PutAsync(site, $"/api/analyses/{id}/annotations/concepts/{Of(3)}/list", new { into = Of(1) });
            var view = await GetAsync<ClassView>(site, $"/api/analyses/{id}/classes/1");
            var listed = ListedConcepts.Of(view);
            Assert.Equal(new[] { Of(1), Of(2), Of(4) }.Order(), listed.Select(concept => concept.Id).Order());
            var joint = listed.Single(concept => concept.Id == Of(1)).Merged!;
            Assert.Equal([Of(3)], joint.Concepts);
            Assert.Equal(before.Concepts[1].Importance + before.Concepts[3].Importance, joint.Importance, 12);
            Assert.Equal(SpreadOfSum(Path.Combine(folder, "data", "runs", id), 1, 3), joint.ImportanceSpread!.Value, 9);
            Assert.All(listed.Where(concept => concept.Id != Of(1)), concept => Assert.Null(concept.Merged));
            Assert.All(view.Strategies, strategy =>
            {
                Assert.DoesNotContain("feldspar", strategy.Summary);
                Assert.DoesNotContain("marble", strategy.Summary);
            });
            var strategy = await GetAsync<StrategyView>(site, $"/api/analyses/{id}/classes/1/strategies/0");
            Assert.Equal([-1, 1, 2, 1, 4], ListedConcepts.StandIns(strategy));
            Assert.Equal(ListedConcepts.StandIns(view), ListedConcepts.StandIns(strategy));
            Assert.Equal([Of(1), Of(2), Of(4)], ListedConcepts.Of(strategy).Select(entry => entry.Concept.Id));
            var merged = ListedConcepts.Of(strategy)[0];
            Assert.Equal(strategy.Concepts[1].Share + strategy.Concepts[3].Share, merged.Share, 9);
            Assert.Equal(joint.Importance, merged.Concept.Share, 12);
            // Together they vary at most as much as both in step, and at least as much as the one without the other.
            Assert.InRange(merged.Spread, Math.Abs(strategy.Concepts[1].Spread - strategy.Concepts[3].Spread), strategy.Concepts[1].Spread + strategy.Concepts[3].Spread);
            Assert.NotEqual(strategy.Concepts[1].Spread, merged.Spread);

            var link = await site.Http.PostAsJsonAsync($"/api/analyses/{id}/shares", new { @class = 1 }, Stop);
            link.EnsureSuccessStatusCode();
            var shared = (await link.Content.ReadFromJsonAsync<ShareLink>(Json.Options, Stop))!;
            foreach (var page in new[] { await site.Http.GetStringAsync(address, Stop), await site.Http.GetStringAsync(shared.Url, Stop) })
            {
                Assert.DoesNotContain("feldspar", page);
                Assert.DoesNotContain("marble", page);
                Assert.All(new[] { "basalt", "gneiss", "obsidian" }, name => Assert.Contains(name, page));
                Assert.Contains("3 concepts", page);
                Assert.Contains("1 concept left out by people", page);
                Assert.Contains("2 concepts taken as one", page);
                Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"{100 * joint.Importance:0.#}% of the score"), page);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    // By the definition: how the sum of two columns varies over the images, as a share of the mean contributions' size.
    private static double SpreadOfSum(string runFolder, int first, int second)
    {
        var data = ClassArraysFile.Read(ClassArraysFile.PathOf(runFolder, 1), maps: false);
        var rows = data.Contributions.Chunk(Concepts + 1).ToList();
        var sums = rows.ConvertAll(row => (double)row[first] + row[second]);
        var scale = Enumerable.Range(0, Concepts).Sum(c => Math.Abs(rows.Average(row => (double)row[c])));
        return Math.Sqrt(sums.Average(sum => Math.Pow(sum - sums.Average(), 2))) / scale;
    }

    private static async Task PutAsync(TestSite site, string address, object body)
    {
        var answer = await site.Http.PutAsJsonAsync(address, body, Stop);
        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
    }

    private static async Task<T> GetAsync<T>(TestSite site, string address) => (await site.Http.GetFromJsonAsync<T>(address, Json.Options, Stop))!;
}
