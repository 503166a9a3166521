using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using Dashboard.Client.Contracts;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;
using Xunit;

namespace Dashboard.Server.Tests;

/// <summary>Two analyses side by side, over HTTP, on analyses whose concepts are known.</summary>
public sealed class RunPairTests
{
    private const string One = "0123456789ab";
    private const string Other = "ba9876543210";
    private static readonly string[] Cats = [.. Enumerable.Range(0, 30).Select(i => $"cat/{i:000}.png")];
    private static readonly string[] Dogs = [.. Enumerable.Range(0, 30).Select(i => $"dog/{i:000}.png")];

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Concepts_of_the_same_layer_are_matched_by_their_vectors()
    {
        await using var site = await TestSite.StartAsync();
        var key = await First().WriteAsync(site);
        // Cats: another order and other lengths, one lost, one gained. Dogs: the same, with the weight moved.
        await new PlantedRun
        {
            Id = Other, Name = "second",
            Classes =
            [
                new PlantedClass("cat", Cats, [Concept(0.6, 1, length: 3), Concept(0.3, 0), Concept(0.1, 4)]) { Wrong = [0, 5], Odd = [7] },
                new PlantedClass("dog", Dogs, [Concept(0.5, 3), Concept(0.5, 2)]),
            ],
        }.WriteAsync(site);
        await NameAsync(site, key, 0, "whiskers");

        var view = (await site.Http.GetFromJsonAsync<PairView>($"/api/analyses/{One}/compare/{Other}", Json.Options, Stop))!;
        Assert.Equal((MatchMeasure.Cosine, 0.9, "", 60), (view.Measure, view.Least, view.Problem, view.Common));
        var (cat, dog) = (view.Classes[0], view.Classes[1]);
        Assert.Equal((2, 1, 1, false), (cat.Matched, cat.Lost, cat.Gained, cat.SameStrongest));
        Assert.Equal(1, cat.Similarity!.Value, 1e-6);
        // |0.5 − 0.3| + |0.3 − 0.6| + 0.2 + 0.1, halved.
        Assert.Equal(0.4, cat.Shift!.Value, 1e-9);
        Assert.Equal((2, 0, 0, true), (dog.Matched, dog.Lost, dog.Gained, dog.SameStrongest));
        Assert.Equal(0.3, dog.Shift!.Value, 1e-9);

        // One image was wrong in both; another turned wrong, a third turned right.
        Assert.Equal((2, 1, 1), (view.Changed, view.Mended, view.Broken));
        Assert.Equal((28.0 / 30, 28.0 / 30), (cat.FirstSide.Accuracy!.Value, cat.SecondSide.Accuracy!.Value));
        Assert.Equal((2, 1), (cat.FirstSide.Outliers, cat.SecondSide.Outliers));

        var detail = (await site.Http.GetFromJsonAsync<ClassPairView>($"/api/analyses/{One}/compare/{Other}/class?name=cat", Json.Options, Stop))!;
        Assert.Equal([(0, 1), (1, 0)], detail.Pairs.Select(pair => (pair.First, pair.Second)));
        Assert.Equal((5, 5, 5), (detail.Top, detail.Pairs[0].SharedTop, detail.Pairs[1].SharedTop));
        Assert.Equal("whiskers", detail.First.Concepts[0].Name);
        Assert.Equal(2, Assert.Single(detail.Lost).Rank);
        Assert.Equal(2, Assert.Single(detail.Gained).Rank);
        Assert.Equal(0.01 / 1.01, detail.Lost[0].Similarity, 1e-6);
        Assert.Equal(1, detail.StrategyAgreement);
        Assert.Equal(["cat/003.png"], detail.OutliersOnlyFirst.Items.Select(tile => tile.Path));
        Assert.Equal(0, detail.OutliersOnlySecond.Total);

        var changed = (await site.Http.GetFromJsonAsync<Paged<ChangedSample>>($"/api/analyses/{One}/compare/{Other}/changed?class=cat", Json.Options, Stop))!;
        Assert.Equal([("cat/000.png", "cat", "dog"), ("cat/009.png", "dog", "cat")], changed.Items.Select(c => (c.First.Path, c.First.Predicted, c.Second.Predicted)));
        Assert.Equal(0, (await site.Http.GetFromJsonAsync<Paged<ChangedSample>>($"/api/analyses/{One}/compare/{Other}/changed?class=dog", Json.Options, Stop))!.Total);
    }

    [Fact]
    public async Task Concepts_of_another_method_are_matched_by_what_they_respond_to_unless_no_image_is_in_both()
    {
        await using var site = await TestSite.StartAsync();
        await First().WriteAsync(site);
        static PlantedRun Second(string id, string[] cats) => new()
        {
            Id = id, Name = "second", Method = "nmf",
            Classes = [new PlantedClass("cat", cats, [Concept(0.7, 5, responds: 1), Concept(0.3, 5, responds: 4)])],
        };
        await Second(Other, Cats).WriteAsync(site);
        var view = (await site.Http.GetFromJsonAsync<PairView>($"/api/analyses/{One}/compare/{Other}", Json.Options, Stop))!;
        Assert.Equal((MatchMeasure.Correlation, "methods", 1), (view.Measure, view.Apart, view.Classes[0].Matched));

        await Second("cccccccccccc", [.. Enumerable.Range(100, 30).Select(i => $"cat/{i:000}.png")]).WriteAsync(site);
        view = (await site.Http.GetFromJsonAsync<PairView>($"/api/analyses/{One}/compare/cccccccccccc", Json.Options, Stop))!;
        Assert.Equal((MatchMeasure.Cosine, "", 0), (view.Measure, view.Apart, view.Common));
    }

    [Fact]
    public async Task Concepts_of_other_layers_are_matched_by_the_images_both_saw()
    {
        await using var site = await TestSite.StartAsync();
        await First().WriteAsync(site);
        // Half of the images, under other rows, with vectors that say nothing; the dogs are too few to tell.
        string[] cats = [.. Cats.Where((_, i) => i % 2 == 0).Reverse()];
        await new PlantedRun
        {
            Id = Other, Name = "second", Layer = "layer2",
            Classes =
            [
                new PlantedClass("cat", cats, [Concept(0.7, 5, responds: 1), Concept(0.3, 5, responds: 4)]),
                new PlantedClass("dog", [.. Dogs.Take(4)], [Concept(1, 5, responds: 2)]),
                new PlantedClass("eel", ["eel/0.png"], [Concept(1, 5, responds: 2)]),
            ],
        }.WriteAsync(site);

        var view = (await site.Http.GetFromJsonAsync<PairView>($"/api/analyses/{One}/compare/{Other}", Json.Options, Stop))!;
        Assert.Equal((MatchMeasure.Correlation, "layers", 19), (view.Measure, view.Apart, view.Common));
        Assert.Equal(["eel"], view.OnlySecond);
        Assert.Equal((1, 15), (view.Classes[0].Matched, view.Classes[0].Common));
        Assert.InRange(view.Classes[0].Least, 0.6, 0.8);
        Assert.Contains("Too few images in common (4)", view.Classes[1].Problem, StringComparison.Ordinal);
        var detail = (await site.Http.GetFromJsonAsync<ClassPairView>($"/api/analyses/{One}/compare/{Other}/class?name=cat", Json.Options, Stop))!;
        Assert.Equal([(1, 0)], detail.Pairs.Select(pair => (pair.First, pair.Second)));
        Assert.Equal(1, detail.Pairs[0].Similarity, 1e-6);
    }

    [Fact]
    public async Task A_data_set_that_lies_a_folder_deeper_is_the_same()
    {
        await using var site = await TestSite.StartAsync();
        await First().WriteAsync(site);
        await new PlantedRun { Id = Other, Layer = "layer2", Classes = [new PlantedClass("cat", [.. Cats.Select(path => "val/" + path)], [Concept(1, 5, responds: 1)])] }.WriteAsync(site);
        var view = (await site.Http.GetFromJsonAsync<PairView>($"/api/analyses/{One}/compare/{Other}", Json.Options, Stop))!;
        Assert.Equal((30, 1), (view.Common, view.Classes[0].Matched));
        Assert.Equal(["dog"], view.OnlyFirst);
    }

    [Fact]
    public async Task What_cannot_be_compared_says_why()
    {
        await using var site = await TestSite.StartAsync();
        await First().WriteAsync(site);
        await new PlantedRun { Id = Other, Name = "elsewhere", Network = "another", Classes = [new PlantedClass("cat", ["z/1.png"], [Concept(1, 0)])] }.WriteAsync(site);
        await new PlantedRun { Id = "cccccccccccc", Classes = [new PlantedClass("eel", ["eel/1.png"], [Concept(1, 0)])] }.WriteAsync(site);
        await new PlantedRun { Id = "dddddddddddd", Name = "to come", State = AnalysisState.Running }.WriteAsync(site);
        Assert.Contains("no image is in both", await ProblemAsync(Other), StringComparison.Ordinal);
        Assert.Contains("no class in common", await ProblemAsync("cccccccccccc"), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.NotFound, (await site.Http.GetAsync($"/api/analyses/{One}/compare/dddddddddddd", Stop)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await site.Http.GetAsync($"/api/analyses/{One}/compare/{Other}/class?name=..%2F..", Stop)).StatusCode);

        var runs = (await site.Http.GetFromJsonAsync<RunComparison>($"/api/analyses/compare?ids={One},dddddddddddd,eeeeeeeeeeee", Json.Options, Stop))!;
        Assert.Equal((One, "to come", "eeeeeeeeeeee"), (Assert.Single(runs.Runs).Analysis.Id, Assert.Single(runs.Unfinished).Name, Assert.Single(runs.Unknown)));

        async Task<string> ProblemAsync(string other) => (await site.Http.GetFromJsonAsync<PairView>($"/api/analyses/{One}/compare/{other}", Json.Options, Stop))!.Problem;
    }

    [Fact]
    public async Task The_sign_counts_unless_the_method_leaves_it_open()
    {
        await using var site = await TestSite.StartAsync();
        foreach (var (first, id, method) in new[] { (One, Other, "nmf"), ("dddddddddddd", "cccccccccccc", "pca") })
        {
            await First(first, method).WriteAsync(site);
            await new PlantedRun { Id = id, Method = method, Classes = [new PlantedClass("cat", Cats, [Concept(0.5, 0, length: -2), Concept(0.3, 1), Concept(0.2, 2)])] }.WriteAsync(site);
        }

        var kept = (await site.Http.GetFromJsonAsync<PairView>($"/api/analyses/{One}/compare/{Other}", Json.Options, Stop))!;
        var open = (await site.Http.GetFromJsonAsync<PairView>($"/api/analyses/dddddddddddd/compare/cccccccccccc", Json.Options, Stop))!;
        Assert.Equal((2, false, 3, true), (kept.Classes[0].Matched, kept.SignIgnored, open.Classes[0].Matched, open.SignIgnored));
    }

    // Cats with three concepts along channels 0 to 2, dogs with two along 3 and 2.
    private static PlantedRun First(string id = One, string method = "unique") => new()
    {
        Id = id,
        Name = "first",
        Method = method,
        Classes =
        [
            new PlantedClass("cat", Cats, [Concept(0.5, 0), Concept(0.3, 1), Concept(0.2, 2)]) { Wrong = [5, 9], Odd = [3, 7] },
            new PlantedClass("dog", Dogs, [Concept(0.8, 3), Concept(0.2, 2)]),
        ],
    };

    // A concept responds to images by a pattern of its own, the same in every analysis.
    private static PlantedConcept Concept(double importance, int channel, double length = 1, int? responds = null) => new(
        importance, PlantedRun.Vector(channel, length), path => (float)Math.Cos((3 + (2.7 * (responds ?? channel))) * int.Parse(path.AsSpan(path.LastIndexOf('/') + 1, path.LastIndexOf('.') - path.LastIndexOf('/') - 1), CultureInfo.InvariantCulture)));

    private static async Task NameAsync(TestSite site, int key, int concept, string name)
    {
        await using var database = await site.Get<IDbContextFactory<DashboardDbContext>>().CreateDbContextAsync(Stop);
        database.Annotations.Add(new AnnotationEntity { AnalysisKey = key, Kind = AnnotationEntity.Concept, Target = concept, Name = name });
        await database.SaveChangesAsync(Stop);
    }
}
