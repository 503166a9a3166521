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
    private const int PageSize = 120;

    // The pictures of the others come once the page answers, which they would hold up.
    private const int FirstScreen = 40;

    private readonly OutlierTriage _triage = new();
    private SortedDictionary<int, string> _classes = [];
    private CancellationTokenSource? _reading;
    private Keyboard? _keyboard;
    private SampleView? _detail;
    private string? _classesOf;
    private string? _error;
    private bool _busy;

    /// <summary>Kind; all where null.</summary>
    [SupplyParameterFromQuery]
    public string? Kind { get; set; }

    /// <summary>Class; all where null.</summary>
    [SupplyParameterFromQuery]
    public int? Class { get; set; }

    /// <summary>Only those without a verdict.</summary>
    [SupplyParameterFromQuery]
    public bool? Unjudged { get; set; }

    /// <summary>The image in focus.</summary>
    [SupplyParameterFromQuery]
    public int? Image { get; set; }

    /// <summary>Every image, flagged or not.</summary>
    [SupplyParameterFromQuery]
    public bool? All { get; set; }

    [Inject]
    private IAnnotationService Annotations { get; set; } = default!;

    [Inject]
    private IDialogService Dialogs { get; set; } = default!;

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
    protected override string Key => Filter.ToString();

    /// <inheritdoc/>
    protected override async Task<OutlierView?> ReadAsync(CancellationToken cancellation)
    {
        if (_classesOf != Id)
        {
            _classesOf = Id;
            _classes = await Atlas.AtlasAsync(Id, cancellation) is { } atlas
                ? new SortedDictionary<int, string>(atlas.Classes.ToDictionary(c => c.Index, c => c.DisplayName))
                : [];
        }

        var view = await Atlas.OutliersAsync(Id, Filter, 0, PageSize, cancellation);
        if (_detail is null && view?.Samples.Items.Any(tile => tile.Index == Image) == true)
        {
            _detail = await Atlas.SampleAsync(Id, Image!.Value, cancellation);
        }

        return view;
    }

    /// <inheritdoc/>
    protected override void OnRead()
    {
        _triage.Load(View?.Samples.Items ?? []);
        if (_triage.Focus is null && Image is { } image)
        {
            _triage.MoveTo(image);
        }

        if (_triage.Focus is null)
        {
            _detail = null;
        }
    }

    /// <inheritdoc/>
    protected override bool IsStale(AnalysisProgress progress) => View is null || (View.Pending && View.Analysis.State != progress.State);

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
        if (Image != _triage.Focus)
        {
            Select(("image", _triage.Focus));
        }

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
    private static (string Name, object? Value)[] Changes(string name, string? value) =>
        name is "kind" or "all" ? [(name, value), ("image", null), (name == "kind" ? "all" : "kind", null)] : [(name, value), ("image", null)];

    private string With(string name, string? value) => Navigation.GetUriWithQueryParameters(Changes(name, value).ToDictionary(c => c.Name, c => c.Value));

    private Task ShareAsync() => ShareDialog.OpenAsync(Dialogs, Id, "this list of outliers", s => s.ShareOutliersAsync(Id, Filter));
}
