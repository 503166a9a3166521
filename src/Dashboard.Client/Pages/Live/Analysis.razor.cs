using Dashboard.Client.Contracts;
using Dashboard.Client.Urls;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Pages.Live;

/// <summary>An analysis while it is made: stages, classes as they become ready, the engine; and how it ended.</summary>
public sealed partial class Analysis
{
    private const int RatesKept = 60;
    private readonly List<double> _rates = [];
    private AnalysisSummary? _analysis;
    private AnalysisProgress? _progress;
    private AtlasView? _atlas;
    private IReadOnlyList<string>? _log;
    private IReadOnlyList<SkippedView>? _skipped;
    private string? _manifest;
    private string? _error;
    private string? _loaded;
    private string? _ratesOf;
    private DateTimeOffset _now;
    private DateTimeOffset _rateAt;
    private bool _missing;
    private bool _busy;
    private bool _asking;
    private bool _logOpen;

    /// <summary>The analysis.</summary>
    [Parameter]
    public string Id { get; set; } = "";

    [Inject]
    private IAnalysisService Analyses { get; set; } = default!;

    [Inject]
    private IAtlasService Atlas { get; set; } = default!;

    [Inject]
    private NavigationManager Navigation { get; set; } = default!;

    [Inject]
    private TimeProvider Time { get; set; } = default!;

    private AnalysisState State => _progress?.State ?? _analysis?.State ?? AnalysisState.Queued;

    private StageView? Running => State == AnalysisState.Running ? _progress?.Stages.FirstOrDefault(s => s.Status == StageStatus.Running) : null;

    private double Spent => _progress?.Stages.Sum(s => s.Seconds) ?? 0;

    private int Ready => _atlas?.Classes.Count(c => c.Ready) ?? 0;

    // A thousand tiles, each changing while the run goes on, would be too much for a page that is looked at for minutes.
    private const int MostTiles = 60;

    // The pictures of the others come once the page answers: hundreds of them would hold it up.
    private const int FirstScreen = 16;

    /// <summary>The tiles around the class that was finished last.</summary>
    private static IEnumerable<ClassTile> InSight(IReadOnlyList<ClassTile> classes)
    {
        var last = 0;
        for (var i = 0; i < classes.Count && classes.Count > MostTiles; i++)
        {
            last = classes[i].Ready ? i : last;
        }

        return classes.All(c => c.Ready) ? classes.Take(MostTiles) : classes.Skip(Math.Clamp(last - (MostTiles / 2), 0, Math.Max(0, classes.Count - MostTiles))).Take(MostTiles);
    }

    /// <inheritdoc/>
    protected override async Task OnParametersSetAsync()
    {
        if (_loaded == Id)
        {
            return;
        }

        _loaded = Id;
        (_analysis, _progress, _atlas, _missing) = (null, Feed.Current(Id), null, false);
        await LoadAsync();
        Follow(Id);
    }

    /// <inheritdoc/>
    protected override async Task<bool> OnProgressAsync(AnalysisProgress progress)
    {
        var before = _progress;
        _progress = progress;
        _now = Time.GetUtcNow();
        KeepRate();
        if (_atlas is null || before?.State != progress.State || progress.ReadyClasses.Count != Ready)
        {
            await LoadAsync();
        }

        if (_logOpen && before?.State != progress.State)
        {
            await ReadLogAsync();
        }

        return true;
    }

    private async Task LoadAsync()
    {
        _analysis = await Analyses.GetAsync(Id, Lifetime);
        _missing = _analysis is null;
        _atlas = _missing ? null : await Atlas.AtlasAsync(Id, Lifetime);
        _now = Time.GetUtcNow();
    }

    // One value a second and stage: the chart shows the last minute of what is at work.
    private void KeepRate()
    {
        if (Running is not { ItemsPerSecond: > 0 } stage)
        {
            return;
        }

        if (_ratesOf != stage.Name)
        {
            _rates.Clear();
            _ratesOf = stage.Name;
        }

        if ((_now - _rateAt).TotalSeconds < 1)
        {
            return;
        }

        _rateAt = _now;
        _rates.Add(stage.ItemsPerSecond);
        if (_rates.Count > RatesKept)
        {
            _rates.RemoveAt(0);
        }
    }

    private async Task ActAsync(Func<Task> action)
    {
        (_busy, _error) = (true, null);
        try
        {
            await action();
            await LoadAsync();
        }
        catch (ServiceException exception)
        {
            _error = exception.Message;
        }
        finally
        {
            _busy = false;
        }
    }

    private async Task DeleteAsync()
    {
        await ActAsync(() => Analyses.DeleteAsync(Id, Lifetime));
        if (_error is null)
        {
            Navigation.NavigateTo(PageUrls.Home);
        }
    }

    private async Task ToggleLogAsync()
    {
        _logOpen = !_logOpen;
        if (_logOpen)
        {
            await ReadLogAsync();
        }
    }

    private async Task ReadLogAsync() => _log = await Analyses.LogAsync(Id, 400, Lifetime);

    private async Task ToggleSkippedAsync() => _skipped = await Analyses.SkippedAsync(Id, Lifetime);

    private async Task ToggleManifestAsync() => _manifest ??= await Analyses.ManifestAsync(Id, Lifetime);
}
