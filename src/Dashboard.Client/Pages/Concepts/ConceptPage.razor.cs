using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Pages.Concepts;

/// <summary>A concept: exemplars in four bands, its numbers, where else it occurs, and what people say of it.</summary>
public sealed partial class ConceptPage
{
    private static readonly (string Band, string Title, string Text)[] Bands =
    [
        ("top", "Strongest", "where it is clearest"),
        ("median", "Typical", "an ordinary amount of it"),
        ("edge", "Weakest that still count", "just enough of it"),
        ("counter", "Look-alikes without it", "similar images that lack it"),
    ];

    private ConceptView? _view;
    private ElementReference _nameField;
    private string? _loaded;
    private string? _name;
    private string? _error;
    private string _noteState = "";
    private bool _missing;
    private bool _editing;
    private bool _focusName;

    /// <summary>The analysis.</summary>
    [Parameter]
    public string Id { get; set; } = "";

    /// <summary>The concept.</summary>
    [Parameter]
    public int ConceptId { get; set; }

    /// <summary>Concept maps over whole images instead of crops.</summary>
    [SupplyParameterFromQuery]
    public bool? Maps { get; set; }

    [Inject]
    private IAtlasService Atlas { get; set; } = default!;

    [Inject]
    private IAnnotationService Annotations { get; set; } = default!;

    [Inject]
    private NavigationManager Navigation { get; set; } = default!;

    private static string Coefficients(List<ExemplarView> exemplars)
    {
        string least = Format.Number(exemplars.Min(e => e.Score)), most = Format.Number(exemplars.Max(e => e.Score));
        return least == most ? least : $"{least} to {most}";
    }

    /// <inheritdoc/>
    protected override async Task OnParametersSetAsync()
    {
        var key = FormattableString.Invariant($"{Id}/{ConceptId}");
        if (_loaded == key)
        {
            return;
        }

        _loaded = key;
        (_editing, _error, _noteState) = (false, null, "");
        await LoadAsync();
        Follow(Id);
    }

    /// <inheritdoc/>
    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (_focusName)
        {
            _focusName = false;
            await _nameField.FocusAsync();
        }
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
        _view = await Atlas.ConceptAsync(Id, ConceptId, Lifetime);
        _missing = _view is null;
    }

    // The lower end of each bin.
    private static string[] BinNames(ConceptCard concept)
    {
        var width = (concept.HistogramTo - concept.HistogramFrom) / concept.Histogram.Count;
        return [.. concept.Histogram.Select((_, i) => Format.Number(concept.HistogramFrom + i * width))];
    }

    private void EditName()
    {
        _name = _view?.Concept.Name;
        (_editing, _focusName, _error) = (true, true, null);
    }

    private Task SaveNameAsync() => SaveAsync(async () =>
    {
        var name = string.IsNullOrWhiteSpace(_name) ? null : _name.Trim();
        await Annotations.NameConceptAsync(Id, ConceptId, name, Lifetime);
        _view = _view! with { Concept = _view.Concept with { Name = name } };
        _editing = false;
    });

    private Task SaveNoteAsync(ChangeEventArgs e) => SaveAsync(async () =>
    {
        var note = e.Value as string;
        note = string.IsNullOrWhiteSpace(note) ? null : note;
        await Annotations.NoteConceptAsync(Id, ConceptId, note, Lifetime);
        _view = _view! with { Note = note };
        _noteState = "saved";
    });

    private async Task SaveAsync(Func<Task> save)
    {
        _error = null;
        try
        {
            await save();
        }
        catch (ServiceException exception)
        {
            _error = exception.Message;
        }
    }
}
