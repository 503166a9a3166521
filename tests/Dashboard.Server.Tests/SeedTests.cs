using System.Buffers.Binary;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Analysis.Atlas;
using Dashboard.Client.Contracts;
using Dashboard.Server.Data;
using Dashboard.Server.Jobs;
using Dashboard.Server.Services;
using Xunit;

namespace Dashboard.Server.Tests;

/// <summary>A generated atlas in the catalogue, and what pages of many classes read of it.</summary>
public sealed class SeedTests
{
    private const int Classes = 18;
    private const int Samples = 40;
    private const int Concepts = 6;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_seeded_atlas_is_browsed_like_any_other_says_that_it_is_generated_and_goes_without_a_trace()
    {
        var folder = Directory.CreateTempSubdirectory("atlas-seed-").FullName;
        try
        {
            var data = Path.Combine(folder, "data");
            var (code, _, error) = await ChildProcess.RunAsync(
                ["seed", "--classes", $"{Classes}", "--samples", $"{Samples}", "--concepts", $"{Concepts}", "--data-directory", data], TimeSpan.FromSeconds(120), Stop);
            Assert.True(code == 0, error);
            await using var site = await TestSite.StartAsync(folder);
            var list = await GetAsync<Paged<AnalysisSummary>>(site, "/api/analyses");
            var analysis = Assert.Single(list.Items);
            Assert.StartsWith("Generated atlas", analysis.Name);
            Assert.Equal((AnalysisState.Completed, Classes, Classes * Samples, Classes * Concepts), (analysis.State, analysis.Classes, analysis.Images, analysis.Concepts));

            var atlas = await GetAsync<AtlasView>(site, $"/api/analyses/{analysis.Id}/atlas");
            Assert.Equal(Classes, atlas.Classes.Count);
            Assert.All(atlas.Classes, tile => Assert.True(tile.Ready && tile.Images == Samples && tile.Strongest.Count == 3 && tile.Group >= 0 && tile.Labels.Count > 0));
            Assert.Equal(Classes, atlas.Groups.Sum(group => group.Classes));
            var view = await GetAsync<ClassView>(site, $"/api/analyses/{analysis.Id}/classes/7");
            Assert.Contains(GeneratedAtlas.Notice, view.Notes);
            Assert.Equal(Samples, view.Strategies.Sum(strategy => strategy.Size));

            // A logit is the sum of what concepts add: the bias, which is what would be left, is nothing.
            var right = (await GetAsync<Paged<SampleTile>>(site, $"/api/analyses/{analysis.Id}/samples?skip={7 * Samples}&take={Samples}")).Items.First(tile => tile.Correct == true);
            var sample = await GetAsync<SampleView>(site, $"/api/analyses/{analysis.Id}/samples/{right.Index}");
            Assert.Equal(0, sample.Contributions.Single(part => part.Name == "bias").Value, 3);

            var points = await site.Http.GetByteArrayAsync($"/api/analyses/{analysis.Id}/concepts/points", Stop);
            Assert.Equal(Classes * Concepts, (int)BinaryPrimitives.ReadUInt32LittleEndian(points.AsSpan(8)));
            var n = Classes * Concepts;
            // The group of a point is that of its class.
            for (var i = 0; i < n; i++)
            {
                var cls = BinaryPrimitives.ReadInt16LittleEndian(points.AsSpan(16 + (12 * n) + (2 * i)));
                Assert.Equal(atlas.Classes[cls].Group, points[16 + (16 * n) + i]);
            }

            var tile = await GetAsync<SharedMember>(site, $"/api/analyses/{analysis.Id}/concepts/{(5 * Concepts) + 1}/tile");
            Assert.Equal((5, 1), (tile.Class, tile.Concept.Rank));
            var picture = await site.Http.GetAsync($"/api/analyses/{analysis.Id}/samples/5/thumbnail?size=96", Stop);
            Assert.Equal((HttpStatusCode.OK, "image/webp"), (picture.StatusCode, picture.Content.Headers.ContentType?.MediaType));

            // There is nothing behind it to compute on.
            var refused = await site.Http.PostAsJsonAsync($"/api/analyses/{analysis.Id}/tasks", new { kind = "label", parameters = new { length = 2 } }, Stop);
            Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
            Assert.Contains("generated", await refused.Content.ReadAsStringAsync(Stop));

            // A new name is seen at once, though the atlas is kept for all viewers.
            var strongest = atlas.Classes[7].Strongest[0].Id;
            (await site.Http.PutAsJsonAsync($"/api/analyses/{analysis.Id}/annotations/concepts/{strongest}", new { name = "green skin" }, Stop)).EnsureSuccessStatusCode();
            Assert.Equal("green skin", (await GetAsync<AtlasView>(site, $"/api/analyses/{analysis.Id}/atlas")).Classes[7].Strongest[0].Name);

            (await site.Http.DeleteAsync($"/api/analyses/{analysis.Id}", Stop)).EnsureSuccessStatusCode();
            Assert.Empty(Directory.EnumerateDirectories(Path.Combine(data, "runs")));
            Assert.Empty(Directory.EnumerateDirectories(Path.Combine(data, "generated")));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task A_size_out_of_range_is_refused_before_anything_is_written()
    {
        var folder = Path.Combine(Path.GetTempPath(), $"atlas-seed-{Guid.NewGuid():N}");
        var (code, _, error) = await ChildProcess.RunAsync(["seed", "--classes", "0", "--data-directory", folder], TimeSpan.FromSeconds(60), Stop);
        Assert.Equal(1, code);
        Assert.Contains("0 classes", error);
        Assert.False(Directory.Exists(folder));
    }

    [Fact]
    public void Planted_groups_of_classes_are_found_largest_first_and_named_after_their_middle()
    {
        // Eighteen classes around three directions: 9, 6 and 3 of them.
        var random = new Random(4);
        var means = new List<float[]>();
        for (var c = 0; c < 18; c++)
        {
            var planted = c % 6 < 3 ? 0 : c % 6 < 5 ? 1 : 2;
            var vector = Enumerable.Range(0, 12).Select(i => (float)((i % 3 == planted ? 1 : 0) + (0.2 * random.NextDouble()))).ToArray();
            var norm = MathF.Sqrt(vector.Sum(v => v * v));
            means.Add([.. vector.Select(v => v / norm)]);
        }

        var (groupOf, members) = ClassGroups.Of(means);
        Assert.Equal([9, 6, 3], members.Select(group => group.Count));
        for (var c = 0; c < 18; c++)
        {
            Assert.Equal(c % 6 < 3 ? 0 : c % 6 < 5 ? 1 : 2, groupOf[c]);
        }
    }

    [Fact]
    public void Few_classes_are_groups_of_their_own()
    {
        var (groupOf, members) = ClassGroups.Of([[1, 0], [0, 1], [0.6f, 0.8f]]);
        Assert.Equal(3, groupOf.Distinct().Count());
        Assert.All(members, group => Assert.Single(group));
        Assert.Empty(ClassGroups.Of([]).GroupOf);
    }

    [Fact]
    public void The_matrix_counts_the_concepts_that_two_classes_share_in_the_order_of_groups()
    {
        static SharedMember Member(int cls) => new(cls, $"class {cls}", new ConceptTile(cls, "c0", 0, 0.5));
        var view = new AtlasView
        {
            Analysis = new AnalysisSummary { Id = "0123456789ab", Name = "a", State = AnalysisState.Completed },
            Classes = [.. new[] { 1, 0, 1 }.Select((group, index) => new ClassTile { Index = index, Name = $"{index}", DisplayName = $"class {index}", Group = group })],
            // Classes 0 and 2 share two concepts, one of them with class 1; a class that has two of a group counts once.
            Shared = [new(1, [Member(0), Member(2), Member(2)], 0.95), new(2, [Member(0), Member(1), Member(2)], 0.95)],
        };
        var bytes = Services.ShareMatrix.Write(view);
        var words = Enumerable.Range(1, (bytes.Length / 4) - 1).Select(at => BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(4 * at))).ToArray();
        // Version, classes, pairs; order 1, 0, 2; then row × 3 + column with its count.
        Assert.Equal([1, 3, 3, 1, 0, 2, 1, 1, 2, 1, 5, 2], words);
    }

    private static async Task<T> GetAsync<T>(TestSite site, string path) =>
        JsonSerializer.Deserialize<T>(await site.Http.GetStringAsync(path, Stop), Json.Options)!;
}
