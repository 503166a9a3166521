using System.Text.Json;
using Bunit;
using Dashboard.Client.Contracts;
using Dashboard.Client.Pages.Compare;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dashboard.Client.Tests.Pages;

public sealed class ComparePageTests : BunitContext
{
    private readonly FakeServices _fakes = new();
    private readonly Shelf _shelf = new();

    public ComparePageTests()
    {
        JSInterop.Mode = JSRuntimeMode.Loose;
        Services.AddDashboardClient();
        Services.AddSingleton<IAnalysisService>(_fakes).AddSingleton<IProgressFeed>(_fakes).AddSingleton<IMethodService>(_shelf).AddSingleton<ITaskService>(_shelf).AddSingleton<IComparisonService>(_shelf);
        SetRendererInfo(new RendererInfo("Server", isInteractive: true));
    }

    [Fact]
    public void A_stored_comparison_shows_its_verdict_marks_the_best_and_leads_to_an_analysis()
    {
        _fakes.Request = new NewAnalysis { Dataset = "/d", Network = "/n", Layer = "layer3" };
        Services.GetRequiredService<NavigationManager>().NavigateTo("/compare?analysis=0123456789ab&k=5,20");
        var page = Render<ComparePage>();
        page.WaitForAssertion(() => Assert.Equal("NMF with k = 20 explains 91% of the variance; more adds little.", page.Find("[data-testid=verdict]").TextContent));
        Assert.Equal("With k = 20", page.Find("#table-title").TextContent);
        Assert.Equal(["★ 0.10", "★ 91.0%"], page.FindAll(".best").Take(2).Select(b => b.TextContent));
        var link = page.FindAll("a.primary").Single(a => a.TextContent.Contains("Analyse with k = 20")).GetAttribute("href")!;
        Assert.Contains("method=nmf", link);
        Assert.Contains("concepts=20", link);
        Assert.Contains("step=review", link);
        Assert.Contains("needs activations without negative values", page.Find(".warn-text").TextContent);
        page.FindAll("[aria-label='Number of concepts'] button").Single(b => b.TextContent == "5").Click();
        page.WaitForAssertion(() => Assert.Equal("With k = 5", page.Find("#table-title").TextContent));
        Assert.EndsWith("at=5", Services.GetRequiredService<NavigationManager>().Uri);
    }

    [Fact]
    public void Another_choice_asks_for_another_comparison()
    {
        Services.GetRequiredService<NavigationManager>().NavigateTo("/compare?analysis=0123456789ab&k=5,20");
        var page = Render<ComparePage>();
        page.FindAll(".chip").Single(b => b.TextContent == "PCA").Click();
        page.WaitForAssertion(() => Assert.Empty(page.FindAll("[data-testid=verdict]")));
        Assert.Equal("Compare", page.FindAll("button.primary").Single().TextContent);
        Assert.Equal("false", page.FindAll(".chip").Single(b => b.TextContent == "PCA").GetAttribute("aria-pressed"));
        Assert.Contains("methods=unique%2Cnmf", Services.GetRequiredService<NavigationManager>().Uri);
    }

    [Fact]
    public void Runs_stand_side_by_side_with_what_is_found_again_in_words_and_pictures()
    {
        var page = Open("/compare?runs=0123456789ab,ba9876543210");
        page.WaitForAssertion(() => Assert.Equal(2, page.FindAll(".runs thead a").Count));
        Assert.Equal("★ 90.0%", page.FindAll(".runs b").First().TextContent);
        Assert.Equal(
            "In 1 of 2 classes the most important concept is the same. 3 of 4 concepts of “run 0” are found again in “run 1”; 1 is lost and 2 gained.",
            page.Find("[data-testid=pair-verdict]").TextContent);
        Assert.Contains("2 predictions differ: 1 turns right, 0 turn wrong.", page.Markup);
        // The class that changed most is opened by itself.
        Assert.Equal("dog", page.Find("#pair-class-title").TextContent);
        var pair = page.Find(".pair-list li");
        Assert.Equal(["/analyses/0123456789ab/concepts/3", "/analyses/ba9876543210/concepts/4"], pair.QuerySelectorAll("a.title").Select(a => a.GetAttribute("href")));
        Assert.Equal("green skin", pair.QuerySelector("a.title")!.TextContent);
        Assert.Equal("Importance 50% in the first, 40% in the second", pair.QuerySelector(".dumbbell")!.GetAttribute("aria-label"));
        Assert.Contains("−10.0", pair.QuerySelector(".values")!.TextContent);
        Assert.Contains("most like c1 in the second (0.31)", page.FindAll(".alone li")[0].TextContent);
        Assert.Equal(2, page.FindAll(".alone").Count);
        Assert.Single(page.FindAll(".alone")[1].Children);
    }

    [Fact]
    public void Classes_are_sorted_chosen_and_searched_by_the_address()
    {
        var page = Open("/compare?runs=0123456789ab,ba9876543210");
        page.WaitForAssertion(() => Assert.Equal(["dog", "cat"], page.FindAll(".pick").Select(b => b.TextContent)));
        page.FindAll(".sort").Single(b => b.TextContent.StartsWith("Class", StringComparison.Ordinal)).Click();
        page.WaitForAssertion(() => Assert.Equal(["cat", "dog"], page.FindAll(".pick").Select(b => b.TextContent)));
        Assert.Equal("ascending", page.FindAll("th[aria-sort]").Single().GetAttribute("aria-sort"));
        page.FindAll(".pick").Single(b => b.TextContent == "dog").Click();
        page.WaitForAssertion(() => Assert.Equal("true", page.FindAll(".pick").Single(b => b.TextContent == "dog").GetAttribute("aria-pressed")));
        page.Find(".verdict select").Change("0.6");
        page.WaitForAssertion(() => Assert.Equal(0.6, _shelf.Least));
        Assert.All(["sort=name", "class=dog", "least=0.6"], part => Assert.Contains(part, Services.GetRequiredService<NavigationManager>().Uri));
        page.FindAll(".verdict button").Single(b => b.TextContent == "Swap").Click();
        page.WaitForAssertion(() => Assert.Contains("runs=ba9876543210%2C0123456789ab", Services.GetRequiredService<NavigationManager>().Uri));
    }

    [Fact]
    public void What_cannot_be_compared_is_said_in_words()
    {
        _shelf.Unfinished = [Samples.Analysis() with { Name = "to come", State = AnalysisState.Running }];
        _shelf.Problem = "They have no class in common.";
        var page = Open("/compare?runs=0123456789ab,ba9876543210,cccccccccccc");
        page.WaitForAssertion(() => Assert.Contains("They have no class in common.", page.Find("[data-testid=pair-problem]").TextContent));
        Assert.Contains("“to come” is still being computed", page.Find("[aria-label='What cannot be shown']").TextContent);
        // What can be said of each by itself is still there.
        Assert.NotEmpty(page.FindAll(".runs tbody tr"));
    }

    [Fact]
    public void A_long_comparison_says_how_far_it_is()
    {
        var held = new TaskCompletionSource<PairView?>();
        _shelf.Held = held.Task;
        var page = Open("/compare?runs=0123456789ab,ba9876543210");
        page.WaitForAssertion(() => Assert.Equal("Comparing concepts: 340 of 1,000 classes…", page.Find("[role=status]").TextContent.Trim()), TimeSpan.FromSeconds(5));
        held.SetResult(null);
        page.WaitForAssertion(() => Assert.Contains("gone or has not finished", page.Find("[role=alert]").TextContent));
    }

    [Fact]
    public void The_address_of_a_pair_survives_the_round_trip_and_refuses_nonsense()
    {
        var query = new PairQuery { With = "ba9876543210", Class = "a b/c", Find = "cat", Sort = "lost", Reverse = true, Least = 0.6 };
        var back = PairQuery.FromQuery(query.ToQuery().ToDictionary(p => p.Key, p => p.Value is IFormattable number ? number.ToString(null, System.Globalization.CultureInfo.InvariantCulture) : p.Value as string));
        Assert.Equal(query, back);
        Assert.Equal(new PairQuery(), PairQuery.FromQuery(new Dictionary<string, string?> { ["sort"] = "colour", ["least"] = "7", ["reverse"] = "maybe" }));
        Assert.All(new PairQuery().ToQuery().Values, Assert.Null);
    }

    private IRenderedComponent<ComparePage> Open(string address)
    {
        Services.GetRequiredService<NavigationManager>().NavigateTo(address);
        return Render<ComparePage>();
    }

    /// <summary>One stored comparison of unique concepts and NMF with 5 and 20 concepts.</summary>
    private sealed class Shelf : ITaskService, IMethodService, IComparisonService
    {
        public MethodCatalogueView Catalogue => Samples.Catalogue;

        public Task<TaskView?> FindAsync(string analysisId, string kind, JsonElement? parameters, CancellationToken cancellation = default)
        {
            var wish = CompareQuery.FromParameters(analysisId, parameters!.Value);
            return Task.FromResult(wish.Methods.Contains("pca") && wish.Components.SequenceEqual([5, 20]) ? View() : null);
        }

        public Task<string?> ResultAsync(string analysisId, string taskId, CancellationToken cancellation = default)
        {
            static ComparisonCellView Cell(int k, double error) => new() { Components = k, Figures = new ExtractionFiguresView { Components = k, RelativeError = error, RSquared = 1 - error + 0.01, Stability = 0.9 } };
            return Task.FromResult<string?>(JsonSerializer.Serialize(
                new ComparisonView
                {
                    Layer = "layer3", Channels = 64, Verdict = ["NMF with k = 20 explains 91% of the variance; more adds little."], SuggestedMethod = "nmf", SuggestedComponents = 20,
                    Classes = [new ComparedClassView(0, "cat", 10, 10)],
                    Methods =
                    [
                        new ComparedMethodView { Name = "unique", Title = "Unique concepts", Cells = [Cell(5, 0.4), Cell(20, 0.3)] },
                        new ComparedMethodView { Name = "nmf", Title = "NMF", Cells = [Cell(5, 0.5), Cell(20, 0.1)], SuggestedComponents = 20 },
                        new ComparedMethodView { Name = "pca", Title = "PCA", Cells = [new() { Components = 20, Problem = "It needs activations without negative values." }] },
                    ],
                },
                JsonSerializerOptions.Web));
        }

        public Task<IReadOnlyList<TaskView>> ListAsync(string analysisId, string? kind = null, CancellationToken cancellation = default) => Task.FromResult<IReadOnlyList<TaskView>>([]);

        public IReadOnlyList<AnalysisSummary> Unfinished { get; set; } = [];

        public string Problem { get; set; } = "";

        public double? Least { get; private set; }

        /// <summary>What the comparison waits for; null where it is there at once.</summary>
        public Task<PairView?>? Held { get; set; }

        public (int Done, int Total)? Reading(string first, string second) => (340, 1000);

        public Task<RunComparison> RunsAsync(IReadOnlyList<string> analysisIds, CancellationToken cancellation = default) => Task.FromResult(new RunComparison(
            [.. analysisIds.Select((id, i) => new RunFigures { Analysis = Run(id, i), RelativeError = 0.1 })], Unfinished, []));

        public Task<PairView?> PairAsync(string first, string second, double? least = null, CancellationToken cancellation = default)
        {
            Least = least;
            return Held ?? Task.FromResult<PairView?>(new PairView
            {
                First = Run(first, 0), Second = Run(second, 1), Problem = Problem, Least = least ?? 0.9, Common = 20, Changed = 2, Mended = 1,
                FirstSide = new PairSide(0.9, 3), SecondSide = new PairSide(0.95, 2),
                Classes =
                [
                    new PairedClass { Name = "cat", DisplayName = "cat", FirstConcepts = 2, SecondConcepts = 2, Matched = 2, SameStrongest = true, Similarity = 1, Shift = 0.05 },
                    Dog,
                ],
            });
        }

        public Task<ClassPairView?> ClassPairAsync(string first, string second, string name, double? least = null, CancellationToken cancellation = default) => Task.FromResult<ClassPairView?>(new ClassPairView
        {
            Class = Dog with { Name = name, DisplayName = name },
            First = Class(first, [Samples.Card(0, 0.5, "green skin") with { Id = 3 }, Samples.Card(1, 0.2) with { Id = 5 }]),
            Second = Class(second, [Samples.Card(0, 0.4) with { Id = 4 }, Samples.Card(1, 0.2) with { Id = 6 }, Samples.Card(2, 0.1) with { Id = 7, Hidden = true }]),
            Pairs = [new PairedConcept(0, 0, 0.95)],
            Lost = [new LoneConcept(1, 1, 0.31)],
            Gained = [new LoneConcept(1, 1, 0.31), new LoneConcept(2, 1, 0.2)],
            OutliersOnlyFirst = new([], 0),
            OutliersOnlySecond = new([], 0),
        });

        public Task<Paged<ChangedSample>> ChangedAsync(string first, string second, string? name, int skip, int take, CancellationToken cancellation = default) => Task.FromResult(new Paged<ChangedSample>([], 0));

        public Task<TaskView> StartAsync(string analysisId, string kind, JsonElement? parameters, CancellationToken cancellation = default) => throw new NotSupportedException();

        public Task<TaskView?> GetAsync(string analysisId, string taskId, CancellationToken cancellation = default) => throw new NotSupportedException();

        public Task CancelAsync(string analysisId, string taskId, CancellationToken cancellation = default) => throw new NotSupportedException();

        public Task DeleteAsync(string analysisId, string taskId, CancellationToken cancellation = default) => throw new NotSupportedException();

        private static PairedClass Dog => new() { Name = "dog", DisplayName = "dog", First = 1, Second = 1, FirstConcepts = 2, SecondConcepts = 3, Matched = 1, SameStrongest = false, Similarity = 0.95, Shift = 0.4 };

        private static AnalysisSummary Run(string id, int place) => Samples.Analysis() with { Id = id, Name = $"run {place}", Accuracy = 0.9 - (0.1 * place) };

        private static ClassView Class(string id, IReadOnlyList<ConceptCard> concepts) => Samples.ClassView(concepts, []) with { Analysis = Run(id, 0) };

        private static TaskView View() => new() { Id = "aaaaaaaaaaaa", AnalysisId = "0123456789ab", Kind = ComparisonView.Kind, Parameters = default, State = AnalysisState.Completed };
    }
}
