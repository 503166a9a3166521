using System.Buffers.Binary;
using Dashboard.Client.State;
using Dashboard.Client.Urls;
using Microsoft.AspNetCore.Components;
using Microsoft.JSInterop;

namespace Dashboard.Client.Charts;

/// <summary>What a person drew around on a graph.</summary>
/// <param name="Rows">Rows of the samples inside, ascending; empty when nothing is selected.</param>
/// <param name="Outline">The line drawn, for addresses; null when nothing is selected.</param>
public sealed record LassoSelection(IReadOnlyList<int> Rows, string? Outline);

/// <summary>
/// The strategic cluster graph. Points come from the server once, as columns; colours, hovering, the lasso and pictures at
/// zoom are the browser's work. What comes back over the circuit is an opened sample or the rows inside a lasso.
/// </summary>
public sealed partial class PointCloud
{
    // 4 bytes a row; far above any class, and a bound on what a browser may send.
    private const long LargestSelectionBytes = 8_000_000;

    private ElementReference _root;
    private IJSObjectReference? _module;
    private IJSObjectReference? _plot;
    private DotNetObjectReference<PointCloud>? _self;
    private string? _sent;
    private string? _failure;
    private bool _lasso;
    private bool _disposed;

    /// <summary>Colourings that can be chosen.</summary>
    public static IReadOnlyList<(string Value, string Text)> Modes { get; } =
        [("concept", "strongest concept"), ("strategy", "strategy"), ("correct", "right or wrong"), ("outlier", "outlier score")];

    /// <summary>The analysis.</summary>
    [Parameter, EditorRequired]
    public string AnalysisId { get; set; } = "";

    /// <summary>The class.</summary>
    [Parameter, EditorRequired]
    public int ClassIndex { get; set; }

    /// <summary>concept, strategy, correct or outlier.</summary>
    [Parameter]
    public string Mode { get; set; } = "concept";

    /// <summary>Raised when another colouring is chosen.</summary>
    [Parameter]
    public EventCallback<string?> ModeChanged { get; set; }

    /// <summary>Names of the concepts by rank.</summary>
    [Parameter]
    public IReadOnlyList<string> Concepts { get; set; } = [];

    /// <summary>Strategies by index: what they are called, and the sample that stands for them.</summary>
    [Parameter]
    public IReadOnlyList<(string Name, int Prototype)> Strategies { get; set; } = [];

    /// <summary>Strategy that stands out; all alike where null.</summary>
    [Parameter]
    public int? Strategy { get; set; }

    /// <summary>Concept whose points stand out, by rank; all alike where null.</summary>
    [Parameter]
    public int? Concept { get; set; }

    /// <summary>Height in pixels.</summary>
    [Parameter]
    public int Height { get; set; } = 440;

    /// <summary>What the plot shows, for screen readers.</summary>
    [Parameter, EditorRequired]
    public string Label { get; set; } = "";

    /// <summary>A lasso to start with, as <see cref="LassoSelection.Outline"/>; none where null.</summary>
    [Parameter]
    public string? Lasso { get; set; }

    /// <summary>What lies inside the lasso; nothing when the selection is cleared.</summary>
    [Parameter]
    public EventCallback<LassoSelection> OnSelected { get; set; }

    [Inject]
    private IJSRuntime Js { get; set; } = default!;

    [Inject]
    private NavigationManager Navigation { get; set; } = default!;

    private IEnumerable<(string Colour, string Text, string Title)> Legend => Mode switch
    {
        "strategy" => Strategies.Select((s, i) => (ConceptPalette.ForStrategy(i), ConceptPalette.StrategyLetter(i), s.Name)).Take(8)
            .Append((ConceptPalette.Grey, "none", "Images in no strategy")),
        "correct" => [("#0f7ac2", "predicted as labelled", ""), ("#d55e00", "predicted as something else", ""), (ConceptPalette.Grey, "no label", "")],
        "outlier" => [("var(--scale-low)", "ordinary", "Outlier score near 0"), ("var(--scale-middle)", "unusual", "Outlier score near 0.5"), ("var(--scale-high)", "most unusual", "Outlier score near 1")],
        _ => Concepts.Take(ConceptPalette.Colours.Count).Select((name, i) => (ConceptPalette.ForRank(i), name, name))
            .Append((ConceptPalette.Grey, "others", "Concepts that are strongest for few images, and images without a strong one")),
    };

    private object Options => new
    {
        url = ApiUrls.ClassPoints(AnalysisId, ClassIndex),
        picture = ApiUrls.Thumbnail(AnalysisId, int.MaxValue, 96).Replace(FormattableString.Invariant($"{int.MaxValue}"), "{sample}", StringComparison.Ordinal),
        preview = ApiUrls.Thumbnail(AnalysisId, int.MaxValue, 192).Replace(FormattableString.Invariant($"{int.MaxValue}"), "{sample}", StringComparison.Ordinal),
        mode = Mode,
        conceptColours = ConceptPalette.Colours,
        strategyColours = ConceptPalette.StrategyColours,
        grey = ConceptPalette.Grey,
        concepts = Concepts,
        strategies = Strategies.Select((_, i) => ConceptPalette.StrategyLetter(i)).ToArray(),
        anchors = Strategies.Select(s => s.Prototype).ToArray(),
        kinds = Names.Kinds.Select(Names.Kind).Prepend("").ToArray(),
        lasso = Lasso,
        strategy = Strategy,
        concept = Concept,
    };

    private string Signature => FormattableString.Invariant($"{AnalysisId}/{ClassIndex}/{Mode}/{Strategy}/{Concept}/{string.Join('|', Concepts)}/{Strategies.Count}");

    /// <inheritdoc/>
    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (firstRender)
        {
            _module = await Js.InvokeAsync<IJSObjectReference>("import", "./_content/Dashboard.Client/Charts/PointCloud.razor.js");
            if (_disposed)
            {
                return;
            }

            _self = DotNetObjectReference.Create(this);
            _sent = Signature;
            _plot = await _module.InvokeAsync<IJSObjectReference>("create", _root, _self, Options);
        }
        else if (_plot is not null && _sent != Signature)
        {
            _sent = Signature;
            await _plot.InvokeVoidAsync("update", Options);
        }
    }

    /// <summary>Forgets the lasso's selection.</summary>
    public async Task ClearAsync()
    {
        if (_plot is not null)
        {
            await _plot.InvokeVoidAsync("clear");
        }
    }

    /// <summary>Called by the browser when a point is opened.</summary>
    [JSInvokable]
    public void Open(int sample) => Navigation.NavigateTo(PageUrls.Sample(AnalysisId, sample));

    /// <summary>Called by the browser with the rows inside the lasso, as little-endian int32, and its outline; null when cleared.</summary>
    [JSInvokable]
    public async Task Selected(IJSStreamReference? rows, string? outline)
    {
        IReadOnlyList<int> samples = [];
        if (rows is not null)
        {
            await using var stream = await rows.OpenReadStreamAsync(LargestSelectionBytes);
            using var buffer = new MemoryStream();
            await stream.CopyToAsync(buffer);
            samples = Decode(buffer.GetBuffer().AsSpan(0, (int)buffer.Length));
        }

        await InvokeAsync(() => OnSelected.InvokeAsync(new LassoSelection(samples, outline)));
    }

    /// <summary>Called by the browser when the points could not be read; null when they could.</summary>
    [JSInvokable]
    public Task Failed(string? message) => InvokeAsync(() =>
    {
        _failure = message;
        StateHasChanged();
    });

    /// <summary>Rows from little-endian bytes; a rest shorter than four bytes is left.</summary>
    internal static int[] Decode(ReadOnlySpan<byte> bytes)
    {
        var rows = new int[bytes.Length / 4];
        for (var i = 0; i < rows.Length; i++)
        {
            rows[i] = BinaryPrimitives.ReadInt32LittleEndian(bytes[(4 * i)..]);
        }

        return rows;
    }

    private async Task ToggleLassoAsync()
    {
        _lasso = !_lasso;
        if (_plot is not null)
        {
            await _plot.InvokeVoidAsync("lasso", _lasso);
        }
    }

    private async Task ResetAsync()
    {
        if (_plot is not null)
        {
            await _plot.InvokeVoidAsync("reset");
        }
    }

    private async Task ReloadAsync()
    {
        _failure = null;
        if (_plot is not null)
        {
            await _plot.InvokeVoidAsync("reload");
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _disposed = true;
        try
        {
            if (_plot is not null)
            {
                await _plot.InvokeVoidAsync("dispose");
                await _plot.DisposeAsync();
            }

            if (_module is not null)
            {
                await _module.DisposeAsync();
            }
        }
        catch (JSDisconnectedException)
        {
            // The browser is gone, and the plot with it.
        }

        _self?.Dispose();
    }
}
