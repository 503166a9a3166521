using Dashboard.Client.Contracts;

namespace Dashboard.Client.Tests.Pages;

/// <summary>Services over a few values in memory; what is not needed by a test throws.</summary>
internal sealed class FakeServices : IAnalysisService, IAtlasService, IAnnotationService, IProgressFeed
{
    private readonly List<Action<AnalysisProgress>> _handlers = [];

    public AnalysisSummary? Analysis { get; set; } = Samples.Analysis();

    public AtlasView? View { get; set; }

    public List<SampleTile> Outliers { get; } = [];

    public List<VerdictCall> Verdicts { get; } = [];

    public int Cancelled { get; private set; }

    public int Listeners => _handlers.Count;

    public record VerdictCall(int Sample, string? Verdict);

    public void Publish(AnalysisProgress progress) => _handlers.ToList().ForEach(h => h(progress));

    public Task<AnalysisSummary?> GetAsync(string id, CancellationToken cancellation = default) => Task.FromResult(Analysis);

    public Task CancelAsync(string id, CancellationToken cancellation = default)
    {
        Cancelled++;
        return Task.CompletedTask;
    }

    public Task<AtlasView?> AtlasAsync(string analysisId, CancellationToken cancellation = default) => Task.FromResult(View);

    public Task<OutlierView?> OutliersAsync(string analysisId, OutlierFilter filter, int skip, int take, CancellationToken cancellation = default)
    {
        var found = Outliers.Where(t => filter.Kind is null || t.OutlierKind == filter.Kind).ToList();
        return Task.FromResult<OutlierView?>(new OutlierView
        {
            Analysis = Samples.Analysis(),
            Kinds = Outliers.GroupBy(t => t.OutlierKind).ToDictionary(g => g.Key, g => g.Count()),
            Samples = new Paged<SampleTile>([.. found.Skip(skip).Take(take)], found.Count),
        });
    }

    public Task<SampleView?> SampleAsync(string analysisId, int sample, CancellationToken cancellation = default) =>
        Task.FromResult<SampleView?>(new SampleView { Analysis = Samples.Analysis(), Sample = Outliers.Single(t => t.Index == sample), Concepts = SampleConcepts });

    public IReadOnlyList<ConceptCard> SampleConcepts { get; set; } = [];

    public ConceptView? Concept { get; set; }

    public Task JudgeSampleAsync(string analysisId, int sample, string? verdict, CancellationToken cancellation = default)
    {
        Verdicts.Add(new VerdictCall(sample, verdict));
        return Task.CompletedTask;
    }

    public IDisposable Subscribe(string analysisId, Action<AnalysisProgress> handler)
    {
        _handlers.Add(handler);
        return new Subscription(() => _handlers.Remove(handler));
    }

    public IDisposable SubscribeAll(Action<AnalysisProgress> handler) => Subscribe("", handler);

    public AnalysisProgress? Current(string analysisId) => null;

    public IDisposable SubscribeTask(string taskId, Action<TaskView> handler) => new Subscription(() => { });

    public TaskView? CurrentTask(string taskId) => null;

    public Task<Paged<AnalysisSummary>> ListAsync(int skip = 0, int take = 50, CancellationToken cancellation = default) =>
        Task.FromResult(new Paged<AnalysisSummary>(Analysis is null ? [] : [Analysis], Analysis is null ? 0 : 1));

    public Task<AnalysisSummary> StartAsync(NewAnalysis request, CancellationToken cancellation = default) => throw new NotSupportedException();

    public Task<NewAnalysis?> RequestAsync(string id, CancellationToken cancellation = default) => Task.FromResult(Request);

    public NewAnalysis? Request { get; set; }

    public Task ResumeAsync(string id, CancellationToken cancellation = default) => throw new NotSupportedException();

    public Task DeleteAsync(string id, CancellationToken cancellation = default) => throw new NotSupportedException();

    public Task<IReadOnlyList<string>> LogAsync(string id, int lines = 200, CancellationToken cancellation = default) => throw new NotSupportedException();

    public Task<IReadOnlyList<SkippedView>> SkippedAsync(string id, CancellationToken cancellation = default) => throw new NotSupportedException();

    public Task<string> ManifestAsync(string id, CancellationToken cancellation = default) => throw new NotSupportedException();

    public Task<ClassView?> ClassAsync(string analysisId, int classIndex, CancellationToken cancellation = default) => throw new NotSupportedException();

    public StrategyView? Strategy { get; set; }

    public Task<IReadOnlyList<SharedMember>> ConceptTilesAsync(string analysisId, IReadOnlyList<int> concepts, CancellationToken cancellation = default) =>
        Task.FromResult<IReadOnlyList<SharedMember>>([.. concepts.Select(id => new SharedMember(id / 10, $"class {id / 10}", new ConceptTile(id, $"c{id % 10}", id % 10, 0.1)))]);

    /// <summary>Names that people gave to concepts.</summary>
    public Dictionary<int, string> GivenNames { get; } = [];

    public Task<IReadOnlyDictionary<int, string>> ConceptNamesAsync(string analysisId, CancellationToken cancellation = default) => Task.FromResult<IReadOnlyDictionary<int, string>>(GivenNames);

    /// <summary>Labels of channels.</summary>
    public Dictionary<int, ShortLabel> Neurons { get; } = [];

    public Task<IReadOnlyDictionary<int, ShortLabel>> NeuronLabelsAsync(string analysisId, IReadOnlyCollection<int> channels, CancellationToken cancellation = default) =>
        Task.FromResult<IReadOnlyDictionary<int, ShortLabel>>(Neurons.Where(pair => channels.Contains(pair.Key)).ToDictionary());

    public Task<StrategyView?> StrategyAsync(string analysisId, int classIndex, int strategy, CancellationToken cancellation = default) =>
        Task.FromResult(Strategy?.Strategy.Index == strategy ? Strategy : null);

    /// <summary>Refuses the name "refused", as the host refuses one that is too long.</summary>
    public Task NameStrategyAsync(string analysisId, int classIndex, int strategy, string? name, CancellationToken cancellation = default)
    {
        if (name == "refused")
        {
            throw new ServiceException("The name has 300 characters. Use at most 200.");
        }

        var named = Strategy!.Strategy with { Name = name };
        Strategy = Strategy with { Strategy = named, Strategies = [.. Strategy.Strategies.Select(s => s.Index == strategy ? named : s)] };
        return Task.CompletedTask;
    }

    public Task NoteStrategyAsync(string analysisId, int classIndex, int strategy, string? note, CancellationToken cancellation = default) => throw new NotSupportedException();

    public Task<ConceptView?> ConceptAsync(string analysisId, int conceptId, CancellationToken cancellation = default) => Task.FromResult(Concept?.Concept.Id == conceptId ? Concept : null);

    public Task<IReadOnlyList<SampleTile>> SamplesAsync(string analysisId, IReadOnlyList<int> samples, CancellationToken cancellation = default) =>
        Task.FromResult<IReadOnlyList<SampleTile>>([.. samples.Select(row => Outliers.First(t => t.Index == row))]);

    public Task<Paged<SampleTile>> ClassSamplesAsync(string analysisId, int classIndex, int? strategy, int skip, int take, CancellationToken cancellation = default) =>
        Task.FromResult(new Paged<SampleTile>([], 0));

    public Task NameConceptAsync(string analysisId, int conceptId, string? name, CancellationToken cancellation = default) => throw new NotSupportedException();

    public Task NoteConceptAsync(string analysisId, int conceptId, string? note, CancellationToken cancellation = default) => throw new NotSupportedException();

    public List<(int Concept, bool Hidden, int? Into)> Placed { get; } = [];

    public Task HideConceptAsync(string analysisId, int conceptId, bool hidden, CancellationToken cancellation = default)
    {
        Placed.Add((conceptId, hidden, null));
        return Task.CompletedTask;
    }

    public Task MergeConceptAsync(string analysisId, int conceptId, int? into, CancellationToken cancellation = default)
    {
        Placed.Add((conceptId, false, into));
        return Task.CompletedTask;
    }

    private sealed class Subscription(Action end) : IDisposable
    {
        public void Dispose() => end();
    }
}
