using Dashboard.Client.Charts;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Client.Urls;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Web.Virtualization;

namespace Dashboard.Client.Pages.Atlas;

/// <summary>The map of all concepts of all classes. Points travel over HTTP; over the circuit come the identifiers inside a lasso.</summary>
public sealed partial class ConceptMap
{
    private static readonly (string Value, string Text)[] Modes = [("group", "group of like classes"), ("importance", "importance"), ("shared", "shared or a class's own")];

    private Virtualize<SharedMember>? _rows;
    private IReadOnlyList<int> _selected = [];

    /// <summary>The analysis.</summary>
    [Parameter, EditorRequired]
    public string AnalysisId { get; set; } = "";

    /// <summary>Number of concepts.</summary>
    [Parameter]
    public int Concepts { get; set; }

    /// <summary>All classes.</summary>
    [Parameter, EditorRequired]
    public IReadOnlyList<ClassTile> Classes { get; set; } = [];

    /// <summary>Groups of like classes.</summary>
    [Parameter]
    public IReadOnlyList<ClassGroup> Groups { get; set; } = [];

    /// <summary>group, importance or shared.</summary>
    [Parameter]
    public string Mode { get; set; } = "group";

    /// <summary>Group that stands out; all alike where null.</summary>
    [Parameter]
    public int? Group { get; set; }

    /// <summary>The lasso, as <see cref="LassoSelection.Outline"/>; none where null.</summary>
    [Parameter]
    public string? Lasso { get; set; }

    /// <summary>Asks for another address: names of the query with values, null to remove.</summary>
    [Parameter]
    public EventCallback<(string Name, object? Value)[]> Changed { get; set; }

    [Inject]
    private IAtlasService Atlas { get; set; } = default!;

    /// <inheritdoc/>
    protected override object Options => new
    {
        url = ApiUrls.ConceptPoints(AnalysisId),
        picture = Template(id => ApiUrls.Crop(AnalysisId, id, 0, 96)),
        preview = Template(id => ApiUrls.Crop(AnalysisId, id, 0, 192)),
        detail = Template(id => ApiUrls.ConceptTile(AnalysisId, id)),
        noun = "concepts",
        mode = Modes.Any(m => m.Value == Mode) ? Mode : "group",
        group = Group,
        groups = Groups.Select(g => g.Name).ToArray(),
        groupColours = ConceptPalette.Colours,
        grey = ConceptPalette.Grey,
        lasso = Lasso,
    };

    /// <inheritdoc/>
    protected override string Signature => FormattableString.Invariant($"{AnalysisId}/{Mode}/{Group}/{Lasso}");

    /// <inheritdoc/>
    protected override string AddressOf(int point) => PageUrls.Concept(AnalysisId, point);

    /// <inheritdoc/>
    protected override async Task SelectAsync(IReadOnlyList<int> points, string? outline)
    {
        _selected = points;
        await Changed.InvokeAsync([("lasso", outline)]);
        StateHasChanged();
        if (_rows is not null)
        {
            await _rows.RefreshDataAsync();
        }
    }

    private async ValueTask<ItemsProviderResult<SharedMember>> RowsAsync(ItemsProviderRequest request)
    {
        var part = _selected.Skip(request.StartIndex).Take(request.Count).ToList();
        return new ItemsProviderResult<SharedMember>(await Atlas.ConceptTilesAsync(AnalysisId, part, request.CancellationToken), _selected.Count);
    }

    private async Task ClearSelectionAsync()
    {
        _selected = [];
        await ClearAsync();
        await Changed.InvokeAsync([("lasso", null)]);
    }
}
