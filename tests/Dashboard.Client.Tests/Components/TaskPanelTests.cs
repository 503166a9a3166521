using System.Text.Json;
using Bunit;
using Dashboard.Client.Components;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dashboard.Client.Tests.Components;

public sealed class TaskPanelTests : BunitContext
{
    private const string Analysis = "0123456789ab";
    private readonly Desk _desk = new();

    public TaskPanelTests()
    {
        Services.AddSingleton<ITaskService>(_desk).AddSingleton<IProgressFeed>(_desk);
        SetRendererInfo(new RendererInfo("Server", isInteractive: true));
    }

    [Fact]
    public void A_wish_goes_from_the_button_over_progress_to_the_result()
    {
        var panel = Show(new { concept = 4 });
        panel.Find("button").Click();
        Assert.Equal("{\"concept\":4}", _desk.Asked);
        panel.WaitForAssertion(() => Assert.Contains("Waiting for the engine", panel.Markup));
        _desk.Tell(AnalysisState.Running, 30, 120, "Climbing", "preview.png", secondsLeft: 9);
        panel.WaitForAssertion(() => Assert.Contains("30 of 120", panel.Markup));
        Assert.Contains("preview.png", panel.Markup);
        Assert.Contains("about 10 s", panel.Markup);
        panel.Find("button").Click();
        Assert.Equal(1, _desk.Cancelled);
        _desk.Tell(AnalysisState.Completed, 120, 120, "");
        panel.WaitForAssertion(() => Assert.Contains("the result", panel.Markup));
        Assert.Equal(0, _desk.Listeners);
    }

    [Fact]
    public void A_stored_result_is_shown_at_once_and_another_wish_forgets_it()
    {
        _desk.Store(AnalysisState.Completed);
        var panel = Show(new { concept = 4 });
        Assert.Contains("the result", panel.Markup);
        _desk.Forget();
        panel.Render(parameters => parameters.Add(p => p.Parameters, new { concept = 5 }));
        Assert.DoesNotContain("the result", panel.Markup);
        Assert.Equal("Make it", panel.Find("button").TextContent);
    }

    [Fact]
    public void A_failure_is_told_with_its_remedy_and_can_be_tried_again()
    {
        _desk.Store(AnalysisState.Failed, "The class has no concept 9. Choose one of: 1, 2.");
        var panel = Show(null);
        Assert.Contains("Choose one of: 1, 2.", panel.Find("[role=alert]").TextContent);
        Assert.Equal("Go on", panel.Find("button").TextContent);
        _desk.Refuse = "The analysis is not complete.";
        panel.Find("button").Click();
        Assert.Contains(panel.FindAll("[role=alert]"), alert => alert.TextContent.Contains("not complete", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_state_older_than_the_last_is_dropped_and_leaving_stops_listening()
    {
        _desk.Store(AnalysisState.Running);
        var panel = Show(null);
        _desk.Tell(AnalysisState.Running, 50, 100, "now");
        panel.WaitForAssertion(() => Assert.Contains("50 of 100", panel.Markup));
        _desk.Tell(AnalysisState.Running, 20, 100, "before", sequence: 0);
        Assert.DoesNotContain("20 of 100", panel.Markup);
        Assert.Equal(1, _desk.Listeners);
        await DisposeComponentsAsync();
        Assert.Equal(0, _desk.Listeners);
    }

    [Theory]
    [InlineData(6, 4, "1.50 times as much")]
    [InlineData(4, 4, "about as much")]
    [InlineData(2, 4, "50% as much")]
    [InlineData(-1, 4, "hardly anything")]
    [InlineData(1, 0, "")]
    public void What_the_picture_shows_is_told_against_the_strongest_image(double strength, double strongest, string part)
    {
        var sentence = new ConceptImageResult(strength, strongest, 0, "maco", 128).Sentence;
        Assert.Contains(part, sentence);
        Assert.Equal(part.Length == 0, sentence.Length == 0);
    }

    private IRenderedComponent<TaskPanel> Show(object? wish) => Render<TaskPanel>(parameters => parameters
        .Add(p => p.AnalysisId, Analysis).Add(p => p.Kind, "concept-image").Add(p => p.Parameters, wish)
        .Add(p => p.Preview, task => task.Preview!).Add(p => p.Result, _ => "the result"));

    /// <summary>Takes wishes and tells states, in memory.</summary>
    private sealed class Desk : ITaskService, IProgressFeed
    {
        private readonly List<Action<TaskView>> _listeners = [];
        private TaskView? _task;

        public string? Asked { get; private set; }

        public string? Refuse { get; set; }

        public int Cancelled { get; private set; }

        public int Listeners => _listeners.Count;

        public void Store(AnalysisState state, string? message = null) => _task = View(state) with { Message = message };

        public void Forget() => _task = null;

        public void Tell(AnalysisState state, long done, long total, string doing, string? preview = null, double? secondsLeft = null, long? sequence = null)
        {
            var next = _task! with { State = state, Done = done, Total = total, Doing = doing, Preview = preview, SecondsLeft = secondsLeft, Sequence = sequence ?? _task.Sequence + 1 };
            _task = sequence is null ? next : _task;
            _listeners.ToList().ForEach(listener => listener(next));
        }

        public Task<TaskView> StartAsync(string analysisId, string kind, JsonElement? parameters, CancellationToken cancellation = default)
        {
            Asked = parameters?.GetRawText();
            return Refuse is null ? Task.FromResult(_task = View(AnalysisState.Queued)) : throw new ServiceException(Refuse);
        }

        public Task<TaskView?> FindAsync(string analysisId, string kind, JsonElement? parameters, CancellationToken cancellation = default) => Task.FromResult(_task);

        public Task CancelAsync(string analysisId, string taskId, CancellationToken cancellation = default)
        {
            Cancelled++;
            return Task.CompletedTask;
        }

        public IDisposable SubscribeTask(string taskId, Action<TaskView> handler)
        {
            _listeners.Add(handler);
            return new Ending(() => _listeners.Remove(handler));
        }

        public TaskView? CurrentTask(string taskId) => _task;

        public Task<TaskView?> GetAsync(string analysisId, string taskId, CancellationToken cancellation = default) => Task.FromResult(_task);

        public Task<IReadOnlyList<TaskView>> ListAsync(string analysisId, string? kind = null, CancellationToken cancellation = default) =>
            Task.FromResult<IReadOnlyList<TaskView>>(_task is null ? [] : [_task]);

        public Task<string?> ResultAsync(string analysisId, string taskId, CancellationToken cancellation = default) => Task.FromResult<string?>(null);

        public Task DeleteAsync(string analysisId, string taskId, CancellationToken cancellation = default) => Task.CompletedTask;

        public IDisposable Subscribe(string analysisId, Action<AnalysisProgress> handler) => new Ending(() => { });

        public IDisposable SubscribeAll(Action<AnalysisProgress> handler) => new Ending(() => { });

        public AnalysisProgress? Current(string analysisId) => null;

        private static TaskView View(AnalysisState state) => new()
        {
            Id = "ba9876543210", AnalysisId = Analysis, Kind = "concept-image", Parameters = JsonSerializer.SerializeToElement(new { }), State = state, Sequence = 1,
        };

        private sealed class Ending(Action end) : IDisposable
        {
            public void Dispose() => end();
        }
    }
}
