using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Client.Urls;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Pages.Samples;

/// <summary>A sample: why the network says what it says, what stands out, and what is like it.</summary>
public sealed partial class SamplePage
{
    private SampleView? _view;
    private IReadOnlyList<WaterfallStep> _steps = [];
    private string? _loaded;
    private bool _missing;

    /// <summary>The analysis.</summary>
    [Parameter]
    public string Id { get; set; } = "";

    /// <summary>The sample's row.</summary>
    [Parameter]
    public int Row { get; set; }

    /// <summary>Concept whose map lies over the image.</summary>
    [SupplyParameterFromQuery]
    public int? Map { get; set; }

    [Inject]
    private IAtlasService Atlas { get; set; } = default!;

    [Inject]
    private NavigationManager Navigation { get; set; } = default!;

    private ConceptCard? Shown => _view is { HasMaps: true } view ? view.Concepts.FirstOrDefault(c => c.Id == Map) : null;

    private string FileName => _view is null ? "" : _view.Sample.Path[(_view.Sample.Path.LastIndexOf('/') + 1)..];

    private IEnumerable<(string, string?)> ClassStep => _view is { Sample.Class: >= 0 } view ? [(view.Sample.ClassName, PageUrls.Class(Id, view.Sample.Class))] : [];

    private bool IsPrediction => _view is not null && (_view.Sample.Predicted.Length == 0 || _view.ContributionsTo == _view.Sample.Predicted);

    private string? RunnerUp => _view is null ? null : _view.Top.Select(t => t.Name).FirstOrDefault(n => n != _view.ContributionsTo);

    /// <inheritdoc/>
    protected override async Task OnParametersSetAsync()
    {
        var key = FormattableString.Invariant($"{Id}/{Row}");
        if (_loaded == key)
        {
            return;
        }

        _loaded = key;
        await LoadAsync();
        Follow(Id);
    }

    /// <inheritdoc/>
    protected override async Task<bool> OnProgressAsync(AnalysisProgress progress)
    {
        if (!_missing && _view?.Analysis.State == progress.State)
        {
            return false;
        }

        await LoadAsync();
        return true;
    }

    private async Task LoadAsync()
    {
        _view = await Atlas.SampleAsync(Id, Row, Lifetime);
        _missing = _view is null;
        _steps = _view is null ? [] : Waterfall.Steps(_view.Contributions);
    }

    private void Choose(int? concept) => Navigation.NavigateTo(Navigation.GetUriWithQueryParameter("map", concept), replace: true);

    private void Turn(string key)
    {
        if ((key == "ArrowLeft" ? _view?.Previous : _view?.Next) is { } other)
        {
            Navigation.NavigateTo(PageUrls.Sample(Id, other));
        }
    }
}
