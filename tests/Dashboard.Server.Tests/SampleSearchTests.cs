using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Analysis.Atlas;
using Analysis.Networks.Files;
using Dashboard.Client.Contracts;
using Dashboard.Server.Data;
using Dashboard.Server.Jobs;
using Xunit;

namespace Dashboard.Server.Tests;

/// <summary>Search over samples, over HTTP, against the definition computed from the files.</summary>
public sealed class SampleSearchTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Samples_are_found_by_concepts_of_any_class_and_by_likeness_as_the_definition_says()
    {
        var folder = Directory.CreateTempSubdirectory("atlas-search-").FullName;
        try
        {
            var data = Path.Combine(folder, "data");
            var (code, _, error) = await ChildProcess.RunAsync(
                ["seed", "--classes", "10", "--samples", "40", "--concepts", "4", "--data-directory", data], TimeSpan.FromSeconds(120), Stop);
            Assert.True(code == 0, error);
            await using var site = await TestSite.StartAsync(folder);
            var id = (await GetAsync<Paged<AnalysisSummary>>(site, "/api/analyses")).Items.Single().Id;
            var place = $"/api/analyses/{id}/search";
            var run = Path.Combine(data, "runs", id);

            // Concept 13 is the second of class 3; concept 0 the strongest of class 0.
            var (first, second) = (Strengths(run, 3, 1), Strengths(run, 0, 0));
            int Above(float[] of, int row) => of.Count(s => s > of[row]);
            var expected = Enumerable.Range(0, 400).Where(row => Above(first, row) < 40 && Above(second, row) >= 100).OrderBy(row => Above(first, row)).ToList();
            var found = await GetAsync<SampleSearchView>(site, $"{place}?with=13&without=0&strongest=0.1&outside=0.25");
            Assert.NotEmpty(expected);
            Assert.Equal(expected, found.Found.Select(f => f.Sample.Index));
            Assert.Equal((400, expected.Count, 30.0), (found.Samples, found.Matches, found.Expected));
            Assert.Equal([(13, true, 40), (0, false, 300)], found.Concepts.Select(c => (c.Concept.Concept.Id, c.Present, c.Alone)));
            Assert.Equal(found.Matches, found.Classes.Sum(c => c.Matches));
            Assert.Equal(expected.CountBy(row => row / 40).MaxBy(c => c.Value).Value, found.Classes[0].Matches);
            Assert.All(found.Found, f => Assert.Equal([Above(first, f.Sample.Index) / 400.0, Above(second, f.Sample.Index) / 400.0], f.Above));

            // In parts, and in one class; counts stay those of all.
            var part = await GetAsync<SampleSearchView>(site, $"{place}?with=13&without=0&strongest=0.1&outside=0.25&skip=2&take=3");
            Assert.Equal(expected.Skip(2).Take(3), part.Found.Select(f => f.Sample.Index));
            var only = await GetAsync<SampleSearchView>(site, $"{place}?with=13&strongest=0.5&class=3&take=100");
            Assert.Equal(Enumerable.Range(120, 40).Count(row => Above(first, row) < 200), only.Matches);
            Assert.All(only.Found, f => Assert.Equal(3, f.Sample.Class));
            Assert.Equal(200, only.Concepts[0].Alone);

            // Like an image: itself is left out, its class comes first.
            var like = await GetAsync<SampleSearchView>(site, $"{place}?like=125&take=10");
            Assert.Equal((125, 399), (like.Like!.Index, like.Matches));
            Assert.DoesNotContain(125, like.Found.Select(f => f.Sample.Index));
            Assert.True(like.Found.Count(f => f.Sample.Class == 3) >= 8);
            Assert.Equal(like.Found.Select(f => f.Likeness).OrderDescending(), like.Found.Select(f => f.Likeness));
            Assert.Equal(like.Found.Select(f => f.Sample.Index), (await GetAsync<SampleSearchView>(site, $"{place}?like=125&take=10")).Found.Select(f => f.Sample.Index));

            // Nothing asked for, unknown things, impossible things.
            var nothing = await GetAsync<SampleSearchView>(site, place);
            Assert.Equal((0, 0, (string?)null), (nothing.Matches, nothing.Found.Count, nothing.Problem));
            Assert.Equal(10, nothing.Starters.Count);
            Assert.All(nothing.Starters, s => Assert.Equal((0, s.Class), (s.Concept.Rank, s.Concept.Id / 4)));
            Assert.Equal(nothing.Starters.Select(s => s.Concept.Share).OrderDescending(), nothing.Starters.Select(s => s.Concept.Share));
            Assert.Empty(found.Starters);

            // Spread over the classes, against the definition: class 3 of concept 13.
            var spread = await GetAsync<ConceptSpread>(site, $"/api/analyses/{id}/concepts/13/spread");
            float[] mean;
            using (var tensors = SafetensorsFile.Open(Path.Combine(run, "tensors.safetensors")))
            {
                mean = Array.ConvertAll(tensors.Span<double>("mean").ToArray(), value => (float)value);
            }

            var direction = ClassArraysFile.Read(ClassArraysFile.PathOf(run, 3)).Vectors.AsSpan(128, 128).ToArray();
            var average = mean.Zip(direction, (m, v) => (double)m * v).Sum();
            var own = first[120..160].Order().ToArray();
            var row = spread.Shown.Single(r => r.Class == 3);
            Assert.Equal((10, 10, 40), (spread.Classes, spread.Shown.Count, row.Images));
            Assert.Equal(((own[19] + own[20]) / 2.0) - average, row.Median, 1e-4);
            Assert.Equal(spread.Shown.OrderByDescending(r => r.Median).Select(r => r.Class), spread.Shown.Select(r => r.Class));
            Assert.Equal(Enumerable.Range(0, 10), spread.Shown.Select(r => r.Place));
            Assert.Equal(first[120..160].Average(s => first.Where((_, r) => r / 40 != 3).Average(o => s > o ? 1.0 : s == o ? 0.5 : 0)), spread.Auc!.Value, 1e-3);
            var neurons = (await GetAsync<ConceptView>(site, $"/api/analyses/{id}/concepts/13")).Neurons;
            var strongest = Enumerable.Range(0, 128).OrderByDescending(c => Math.Abs(direction[c])).Take(5).ToList();
            Assert.Equal(strongest, neurons.Select(n => n.Channel));
            var length = Math.Sqrt(direction.Sum(v => (double)v * v));
            Assert.All(neurons, n => Assert.Equal(direction[n.Channel] / length, n.Cosine, 1e-5));
            Assert.Equal(HttpStatusCode.NotFound, (await site.Http.GetAsync($"/api/analyses/{id}/concepts/99999/spread", Stop)).StatusCode);
            Assert.Equal(13, Assert.Single((await GetAsync<SampleSearchView>(site, $"{place}?with=13&without=99999")).Concepts).Concept.Concept.Id);
            await RefusedAsync(site, $"{place}?like=400", HttpStatusCode.BadRequest, "no sample 400");
            await RefusedAsync(site, $"{place}?class=77&with=13", HttpStatusCode.BadRequest, "no class 77");
            await RefusedAsync(site, $"{place}?with=13&strongest=0", HttpStatusCode.BadRequest, "above 0");
            await RefusedAsync(site, $"{place}?with=13&take=2001", HttpStatusCode.BadRequest, "first 2,000");
            await RefusedAsync(site, $"{place}?{string.Join('&', Enumerable.Range(0, 13).Select(c => $"with={c}"))}", HttpStatusCode.BadRequest, "at most 12");
            await RefusedAsync(site, $"{place}?with=13&without=0&without=13", HttpStatusCode.BadRequest, "concept 13 and do not show it");
            await RefusedAsync(site, "/api/analyses/ffffffffffff/search?with=1", HttpStatusCode.NotFound, "no analysis");

            // Without activations, as an analysis of an earlier version may be, it says so.
            File.Delete(Path.Combine(run, "tensors.safetensors"));
            await RefusedAsync(site, $"{place}?with=13", HttpStatusCode.Conflict, "kept no activations");
            await RefusedAsync(site, $"/api/analyses/{id}/concepts/14/spread", HttpStatusCode.Conflict, "kept no activations");
            await File.WriteAllBytesAsync(Path.Combine(run, "tensors.safetensors"), new byte[40], Stop);
            await RefusedAsync(site, $"{place}?with=14", HttpStatusCode.BadRequest, "tensors.safetensors");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static float[] Strengths(string run, int classIndex, int rank)
    {
        var vector = ClassArraysFile.Read(ClassArraysFile.PathOf(run, classIndex)).Vectors.AsSpan(rank * 128, 128).ToArray();
        using var file = SafetensorsFile.Open(Path.Combine(run, "tensors.safetensors"));
        var pooled = file.Span<float>("pooled").ToArray();
        return [.. Enumerable.Range(0, pooled.Length / 128).Select(row => (float)pooled.AsSpan(row * 128, 128).ToArray().Zip(vector, (a, v) => (double)a * v).Sum())];
    }

    private static async Task<T> GetAsync<T>(TestSite site, string path) => (await site.Http.GetFromJsonAsync<T>(path, Json.Options, Stop))!;

    private static async Task RefusedAsync(TestSite site, string path, HttpStatusCode status, string words)
    {
        var response = await site.Http.GetAsync(path, Stop);
        Assert.Equal(status, response.StatusCode);
        using var problem = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Stop));
        Assert.Contains(words, problem.RootElement.GetProperty("detail").GetString());
    }
}
