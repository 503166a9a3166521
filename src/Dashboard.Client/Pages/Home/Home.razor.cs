using Dashboard.Client.Contracts;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Pages.Home;

/// <summary>All analyses with their live state, and the sample atlas as a way in.</summary>
public sealed partial class Home
{
    private const int PageSize = 50;
    private readonly Dictionary<string, AnalysisProgress> _progress = [];
    private List<AnalysisSummary>? _items;
    private List<(ClassTile Class, ConceptTile Concept)> _pictures = [];
    private DateTimeOffset _now;
    private int _total;

    [Inject]
    private IAnalysisService Analyses { get; set; } = default!;

    [Inject]
    private IAtlasService Atlas { get; set; } = default!;

    [Inject]
    private TimeProvider Time { get; set; } = default!;

    private AnalysisSummary? Featured => _items?.FirstOrDefault(a => a.IsSample && a.State is not AnalysisState.Failed)
        ?? _items?.FirstOrDefault(a => a.State == AnalysisState.Completed);

    /// <inheritdoc/>
    protected override async Task OnInitializedAsync()
    {
        await LoadAsync();
        Follow(null);
    }

    /// <inheritdoc/>
    protected override async Task<bool> OnProgressAsync(AnalysisProgress progress)
    {
        var before = _progress.GetValueOrDefault(progress.AnalysisId);
        _progress[progress.AnalysisId] = progress;
        _now = Time.GetUtcNow();
        var item = _items?.FirstOrDefault(a => a.Id == progress.AnalysisId);
        // Counts and names come with the list; it is read again when something that the list shows has changed.
        if (item is null || item.State != progress.State || (before?.ReadyClasses.Count ?? 0) != progress.ReadyClasses.Count)
        {
            await LoadAsync();
        }

        return true;
    }

    private async Task LoadAsync()
    {
        var page = await Analyses.ListAsync(0, Math.Max(PageSize, _items?.Count ?? 0), Lifetime);
        _items = [.. page.Items];
        _total = page.Total;
        _now = Time.GetUtcNow();
        if (Featured is { } featured && _pictures.Count < 4 && await Atlas.AtlasAsync(featured.Id, Lifetime) is { } atlas)
        {
            _pictures = [.. atlas.Classes.Where(c => c.Ready && c.Strongest.Count > 0).Take(4).Select(c => (c, c.Strongest[0]))];
        }
    }

    private async Task MoreAsync()
    {
        var page = await Analyses.ListAsync(_items!.Count, PageSize, Lifetime);
        _items.AddRange(page.Items.Where(a => _items.All(b => b.Id != a.Id)));
        _total = page.Total;
    }

    private double ShareOf(AnalysisSummary analysis) => _progress.TryGetValue(analysis.Id, out var progress) ? progress.Share : analysis.Share;
}
