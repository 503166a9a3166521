using System.Buffers.Binary;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;
using Microsoft.JSInterop;

namespace Dashboard.Client.Charts;

/// <summary>
/// A plot of many points, drawn by the browser (PointCloud.razor.js): points come from the server once, as columns. What comes
/// back over the circuit is an opened point or what lies inside a lasso.
/// </summary>
public abstract class PointPlot : ComponentBase, IAsyncDisposable
{
    // 4 bytes a point; far above any plot, and a bound on what a browser may send.
    private const long LargestSelectionBytes = 8_000_000;

    private IJSObjectReference? _module;
    private IJSObjectReference? _plot;
    private DotNetObjectReference<PointPlot>? _self;
    private string? _sent;
    private bool _disposed;

    /// <summary>The element that is drawn in.</summary>
    protected ElementReference Root { get; set; }

    /// <summary>Why the points could not be read; null where they could.</summary>
    protected string? Failure { get; private set; }

    /// <summary>What the browser draws.</summary>
    protected abstract object Options { get; }

    /// <summary>Differs where <see cref="Options"/> differ.</summary>
    protected abstract string Signature { get; }

    /// <summary>Where pages lie.</summary>
    [Inject]
    protected NavigationManager Navigation { get; set; } = default!;

    [Inject]
    private IJSRuntime Js { get; set; } = default!;

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
            _plot = await _module.InvokeAsync<IJSObjectReference>("create", Root, _self, Options);
        }
        else if (_plot is not null && _sent != Signature)
        {
            _sent = Signature;
            await _plot.InvokeVoidAsync("update", Options);
        }
    }

    /// <summary>Called by the browser when a point is opened.</summary>
    /// <param name="point">Its number: a row of the samples, or a concept.</param>
    [JSInvokable]
    public void Open(int point) => Navigation.NavigateTo(AddressOf(point));

    /// <summary>Called by the browser with the points inside the lasso, as little-endian int32, and its outline; null when cleared.</summary>
    /// <param name="points">Their numbers.</param>
    /// <param name="outline">The line drawn, for addresses.</param>
    [JSInvokable]
    public async Task Selected(IJSStreamReference? points, string? outline)
    {
        IReadOnlyList<int> numbers = [];
        if (points is not null)
        {
            await using var stream = await points.OpenReadStreamAsync(LargestSelectionBytes);
            using var buffer = new MemoryStream();
            await stream.CopyToAsync(buffer);
            numbers = Decode(buffer.GetBuffer().AsSpan(0, (int)buffer.Length));
        }

        await InvokeAsync(() => SelectAsync(numbers, outline));
    }

    /// <summary>Called by the browser when the points could not be read; null when they could.</summary>
    [JSInvokable]
    public Task Failed(string? message) => InvokeAsync(() =>
    {
        Failure = message;
        StateHasChanged();
    });

    /// <summary>Forgets the lasso's selection.</summary>
    public Task ClearAsync() => CallAsync("clear");

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _disposed = true;
        Browser.Release(_plot, _module, _self);
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    /// <summary>Numbers from little-endian bytes; a rest shorter than four bytes is left.</summary>
    internal static int[] Decode(ReadOnlySpan<byte> bytes)
    {
        var numbers = new int[bytes.Length / 4];
        for (var i = 0; i < numbers.Length; i++)
        {
            numbers[i] = BinaryPrimitives.ReadInt32LittleEndian(bytes[(4 * i)..]);
        }

        return numbers;
    }

    /// <summary>The page of a point.</summary>
    protected abstract string AddressOf(int point);

    /// <summary>Takes what lies inside the lasso, on the circuit; nothing and null when the selection is cleared.</summary>
    protected abstract Task SelectAsync(IReadOnlyList<int> points, string? outline);

    /// <summary>An address with a place for the number of a point, which the browser fills in.</summary>
    protected static string Template(Func<int, string> address) =>
        address(int.MaxValue).Replace(FormattableString.Invariant($"{int.MaxValue}"), "{sample}", StringComparison.Ordinal);

    /// <summary>Reads the points again.</summary>
    protected Task ReloadAsync()
    {
        Failure = null;
        return CallAsync("reload");
    }

    private async Task CallAsync(string name, params object?[] arguments)
    {
        if (_plot is not null)
        {
            await _plot.InvokeVoidAsync(name, arguments);
        }
    }
}
