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
    public void Runs_stand_side_by_side_with_their_matched_concepts()
    {
        Services.GetRequiredService<NavigationManager>().NavigateTo("/compare?runs=0123456789ab,ba9876543210");
        var page = Render<ComparePage>();
        page.WaitForAssertion(() => Assert.Equal(2, page.FindAll(".runs thead a").Count));
        Assert.Equal("★ 90.0%", page.FindAll(".runs b").First().TextContent);
        Assert.Contains("Of 1 pair of concepts, 1 is the same", page.Markup);
        Assert.Equal("/analyses/ba9876543210/concepts/4", page.FindAll(".pairs-list a")[1].GetAttribute("href"));
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

        public Task<RunComparison> RunsAsync(IReadOnlyList<string> analysisIds, CancellationToken cancellation = default) => Task.FromResult(new RunComparison(
            [.. analysisIds.Select((id, i) => new RunFigures { Analysis = Samples.Analysis() with { Id = id, Name = $"run {i}", Accuracy = 0.9 - 0.1 * i } })],
            [new RunMatch(analysisIds[0], analysisIds[1], 0.95, "", [new ClassMatch("cat", 0, 0, 0.95, [new ConceptMatch(Samples.Tile(3, 0.5), Samples.Tile(4, 0.4), -0.95)], 0)])]));

        public Task<TaskView> StartAsync(string analysisId, string kind, JsonElement? parameters, CancellationToken cancellation = default) => throw new NotSupportedException();

        public Task<TaskView?> GetAsync(string analysisId, string taskId, CancellationToken cancellation = default) => throw new NotSupportedException();

        public Task CancelAsync(string analysisId, string taskId, CancellationToken cancellation = default) => throw new NotSupportedException();

        public Task DeleteAsync(string analysisId, string taskId, CancellationToken cancellation = default) => throw new NotSupportedException();

        private static TaskView View() => new() { Id = "aaaaaaaaaaaa", AnalysisId = "0123456789ab", Kind = ComparisonView.Kind, Parameters = default, State = AnalysisState.Completed };
    }
}
