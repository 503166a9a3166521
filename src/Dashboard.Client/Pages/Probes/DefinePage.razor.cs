using System.Globalization;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Client.Urls;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Pages.Probes;

/// <summary>Says what a concept means and shows which images that is, before it is kept. The choice is in the address, tags in the basket.</summary>
public sealed partial class DefinePage
{
    private const int MostClasses = 200;
    private DraftQuery _query = DraftQuery.Of(null, null, null, null, null, null);
    private IReadOnlyList<SampleTile> _tagged = [];
    private IReadOnlyList<ConceptCard> _concepts = [];
    private ShortLabel? _neuron;
    private AttributesView? _attributes;
    private ConceptPreview? _preview;
    private CancellationTokenSource? _asking;
    private string? _asked;
    private string? _error;
    private string? _saveError;
    private string _name = "";
    private string _search = "";
    private int? _class;
    private bool _reading;
    private bool _busy;

    /// <summary>How it is said.</summary>
    [SupplyParameterFromQuery]
    public string? From { get; set; }

    /// <summary>Chosen classes, separated by commas.</summary>
    [SupplyParameterFromQuery]
    public string? Classes { get; set; }

    /// <summary>Column of attributes.csv.</summary>
    [SupplyParameterFromQuery]
    public string? Attribute { get; set; }

    /// <summary>Value of the column.</summary>
    [SupplyParameterFromQuery]
    public string? Value { get; set; }

    /// <summary>Concept or channel.</summary>
    [SupplyParameterFromQuery]
    public int? Unit { get; set; }

    /// <summary>Share that counts, in percent.</summary>
    [SupplyParameterFromQuery]
    public double? Percent { get; set; }

    /// <inheritdoc/>
    protected override string Key => "";

    [Inject]
    private IUserConceptService Concepts { get; set; } = default!;

    [Inject]
    private TagBasket Basket { get; set; } = default!;

    private List<ClassTile> Found => [.. View!.Classes.Where(c => c.Images > 0 && (_query.Classes.Contains(c.Index)
        || c.DisplayName.Contains(_search.Trim(), StringComparison.OrdinalIgnoreCase) || c.Name.Contains(_search.Trim(), StringComparison.OrdinalIgnoreCase)))];

    private AttributeColumn? Column => _attributes?.Columns.FirstOrDefault(c => string.Equals(c.Name, _query.Attribute, StringComparison.OrdinalIgnoreCase));

    private List<(int Row, TagPlace Place)> Places => [.. Basket.Tags(Id).Where(t => t.Value is { Shows: true, Place: not null }).Select(t => (t.Key, t.Value.Place!))];

    // What the name would be where nobody types one.
    private string Suggested => _query.From switch
    {
        "classes" when _query.Classes.Count == 1 => View!.Classes.FirstOrDefault(c => c.Index == _query.Classes[0])?.DisplayName ?? "",
        "attribute" when _query.Attribute is not null => _query.Value ?? _query.Attribute,
        "neuron" when _query.Unit is { } unit => $"channel {unit}",
        "concept" when _concepts.FirstOrDefault(c => c.Id == _query.Unit) is { } concept => string.IsNullOrWhiteSpace(concept.Name)
            ? $"{Names.Code(concept.Rank)} of {View!.Classes.FirstOrDefault(c => c.Index == _class)?.DisplayName}" : concept.Name,
        _ => "",
    };

    private RenderFragment ShareChoice => builder =>
    {
        builder.OpenComponent<ShareSelect>(0);
        builder.AddComponentParameter(1, nameof(ShareSelect.Percent), _query.Percent);
        builder.AddComponentParameter(2, nameof(ShareSelect.PercentChanged), EventCallback.Factory.Create<double>(this, p => Select(("percent", p == DraftQuery.DefaultPercent ? null : p))));
        builder.CloseComponent();
    };

    /// <inheritdoc/>
    protected override void OnInitialized() => Basket.Changed += OnTags;

    /// <inheritdoc/>
    protected override Task<AtlasView?> ReadAsync(CancellationToken cancellation) => Atlas.AtlasAsync(Id, cancellation);

    /// <inheritdoc/>
    protected override async Task OnParametersSetAsync()
    {
        await base.OnParametersSetAsync();
        _query = DraftQuery.Of(From, Classes, Attribute, Value, Unit, Percent);
        if (View is null)
        {
            return;
        }

        if (_query.From == "attribute" && _attributes is null)
        {
            _attributes = await Concepts.AttributesAsync(Id, Lifetime);
        }

        if (_query is { From: "concept", Unit: { } unit } && _concepts.All(c => c.Id != unit) && await Atlas.ConceptAsync(Id, unit, Lifetime) is { } concept)
        {
            await ShowClassAsync(concept.Class);
        }

        _neuron = _query is { From: "neuron", Unit: { } channel } ? (await Atlas.NeuronLabelsAsync(Id, [channel], Lifetime)).GetValueOrDefault(channel) : null;
        await AskAsync();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        Basket.Changed -= OnTags;
        base.Dispose(disposing);
    }

    private static string? Text(ChangeEventArgs e) => e.Value?.ToString() is { Length: > 0 } text ? text : null;

    private int Tagged(string source) => source == "region" ? Places.Count : Basket.Tags(Id).Count;

    private async Task ChooseClassAsync(ChangeEventArgs e)
    {
        if (int.TryParse(Text(e), NumberStyles.None, CultureInfo.InvariantCulture, out var index))
        {
            await ShowClassAsync(index);
        }
    }

    private async Task ShowClassAsync(int index)
    {
        _class = index;
        _concepts = (await Atlas.ClassAsync(Id, index, Lifetime))?.Concepts ?? [];
    }

    private void OnTags() => _ = InvokeAsync(async () =>
    {
        if (View is not null && !Lifetime.IsCancellationRequested)
        {
            await AskAsync();
            StateHasChanged();
        }
    });

    // Of choices that follow each other fast only the last is asked for.
    private async Task AskAsync()
    {
        _asking?.Cancel();
        var asking = _asking = CancellationTokenSource.CreateLinkedTokenSource(Lifetime);
        try
        {
            var tags = Basket.Tags(Id);
            _tagged = tags.Count == 0 ? [] : await Atlas.SamplesAsync(Id, [.. tags.Keys], asking.Token);
            var draft = _query.Draft("", View!, _tagged, tags);
            var key = System.Text.Json.JsonSerializer.Serialize(draft);
            if (key == _asked)
            {
                return;
            }

            (_asked, _error, _saveError) = (key, null, null);
            if (!_query.IsSaid(_tagged))
            {
                _preview = null;
                return;
            }

            _reading = true;
            StateHasChanged();
            var preview = await Concepts.PreviewAsync(Id, draft, asking.Token);
            if (asking == _asking)
            {
                _preview = preview;
            }
        }
        catch (ServiceException fault)
        {
            (_error, _preview) = (fault.Message, null);
        }
        catch (OperationCanceledException) when (asking.IsCancellationRequested)
        {
            // Another choice was made meanwhile, or the page was left.
        }
        finally
        {
            if (asking == _asking)
            {
                _reading = false;
            }
        }
    }

    private async Task SaveAsync()
    {
        (_busy, _saveError) = (true, null);
        try
        {
            var name = string.IsNullOrWhiteSpace(_name) ? Suggested : _name;
            var made = await Concepts.CreateAsync(Id, _query.Draft(name, View!, _tagged, Basket.Tags(Id)), Lifetime);
            if (_query.From is "samples" or "region")
            {
                Basket.Turn(Id, false);
                Basket.Clear(Id);
            }

            Navigation.NavigateTo(PageUrls.Probe(Id, made.Id));
        }
        catch (ServiceException fault)
        {
            _saveError = fault.Message;
        }
        finally
        {
            _busy = false;
        }
    }
}
