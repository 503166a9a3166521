using Dashboard.Client.Components;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Client.Urls;
using Microsoft.AspNetCore.Components;
using MudBlazor;

namespace Dashboard.Client.Pages.Outliers;

/// <summary>Outliers as a wall grouped by kind and class, judged by keyboard.</summary>
public sealed partial class OutliersPage
{
    private const int PageSize = 300;
    private readonly OutlierTriage _triage = new();
    private SortedDictionary<int, string> _classes = [];
    private CancellationTokenSource? _reading;
    private Keyboard? _keyboard;
    private OutlierView? _view;
    private SampleView? _detail;
    private string? _loaded;
    private string? _error;
    private bool _missing;
    private bool _busy;

    /// <summary>The analysis.</summary>
    [Parameter]
    public string Id { get; set; } = "";

    /// <summary>Kind; all where null.</summary>
    [SupplyParameterFromQuery]
    public string? Kind { get; set; }

    /// <summary>Class; all where null.</summary>
    [SupplyParameterFromQuery]
    public int? Class { get; set; }

    /// <summary>Only those without a verdict.</summary>
    [SupplyParameterFromQuery]
    public bool? Unjudged { get; set; }

    /// <summary>Every image, flagged or not.</summary>
    [SupplyParameterFromQuery]
    public bool? All { get; set; }

    [Inject]
    private IAtlasService Atlas { get; set; } = default!;

    [Inject]
    private IAnnotationService Annotations { get; set; } = default!;

    [Inject]
    private IDialogService Dialogs { get; set; } = default!;

    [Inject]
    private NavigationManager Navigation { get; set; } = default!;

    private OutlierFilter Filter => new(Kind, Class, Unjudged == true, All == true);

    private string ReportUrl
    {
        get
        {
            var query = new Uri(Navigation.Uri).Query;
            return ApiUrls.OutlierReport(Id) + query;
        }
    }

    /// <inheritdoc/>
    protected override async Task OnParametersSetAsync()
    {
        var key = $"{Id}/{Filter}";
        if (_loaded == key)
        {
            return;
        }

        var other = _loaded is null || !_loaded.StartsWith(Id + "/", StringComparison.Ordinal);
        _loaded = key;
        if (other)
        {
            _classes = [];
            if (await Atlas.AtlasAsync(Id, Lifetime) is { } atlas)
            {
                _classes = new SortedDictionary<int, string>(atlas.Classes.ToDictionary(c => c.Index, c => c.DisplayName));
            }
        }

        await LoadAsync();
        Follow(Id);
    }

    /// <inheritdoc/>
    protected override async Task<bool> OnProgressAsync(AnalysisProgress progress)
    {
        if (_view is null || (_view.Pending && _view.Analysis.State != progress.State))
        {
            await LoadAsync();
            return true;
        }

        return false;
    }

    private async Task LoadAsync()
    {
        _view = await Atlas.OutliersAsync(Id, Filter, 0, PageSize, Lifetime);
        _missing = _view is null;
        _triage.Load(_view?.Samples.Items ?? []);
        if (_triage.Focus is null)
        {
            _detail = null;
        }
    }

    private async Task MoreAsync()
    {
        _busy = true;
        try
        {
            if (await Atlas.OutliersAsync(Id, Filter, _triage.Items.Count, PageSize, Lifetime) is { } more)
            {
                _triage.Load(_triage.Items.Concat(more.Samples.Items).DistinctBy(t => t.Index));
            }
        }
        finally
        {
            _busy = false;
        }
    }

    private async Task FocusAsync(int sample)
    {
        if (_triage.MoveTo(sample))
        {
            await ReadDetailAsync();
        }
    }

    // Arrow keys move fast: only the detail of the last image counts.
    private async Task ReadDetailAsync()
    {
        _reading?.Cancel();
        var reading = _reading = CancellationTokenSource.CreateLinkedTokenSource(Lifetime);
        try
        {
            if (_triage.Focus is { } sample)
            {
                var detail = await Atlas.SampleAsync(Id, sample, reading.Token);
                if (reading == _reading)
                {
                    _detail = detail;
                }
            }
        }
        catch (OperationCanceledException) when (reading.IsCancellationRequested)
        {
            // Another image is in focus now.
        }
    }

    private async Task PressAsync(string key)
    {
        _error = null;
        var before = _triage.Focus;
        if (_triage.Press(key) is not { } change)
        {
            return;
        }

        try
        {
            await Annotations.JudgeSampleAsync(Id, change.Sample, change.Verdict, Lifetime);
        }
        catch (ServiceException exception)
        {
            _error = exception.Message;
        }

        if (_triage.Focus is { } now && now != before)
        {
            if (_keyboard is not null)
            {
                await _keyboard.FocusAsync(FormattableString.Invariant($"[data-row=\"{now}\"]"));
            }

            await ReadDetailAsync();
        }
    }

    // Choosing a kind leaves "every image" and the other way round.
    private string With(string name, string? value)
    {
        var changes = new Dictionary<string, object?> { [name] = value };
        if (name is "kind" or "all")
        {
            changes[name == "kind" ? "all" : "kind"] = null;
        }

        return Navigation.GetUriWithQueryParameters(changes);
    }

    private Task ShareAsync() => ShareDialog.OpenAsync(Dialogs, Id, "this list of outliers", s => s.ShareOutliersAsync(Id, Filter));
}
