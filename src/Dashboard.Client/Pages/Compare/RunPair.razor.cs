using System.Globalization;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Pages.Compare;

/// <summary>Two finished analyses class by class. What is shown is in the address.</summary>
public sealed partial class RunPair : IDisposable
{
    // Milliseconds between two looks at how far the comparison is.
    private const int Pause = 300;

    private static readonly (string Sort, string Title, string Hint, string Style)[] Columns =
    [
        ("name", "Class", "Sort by name", "name"),
        ("matched", "Found again", "Concepts of the first that the second has too; sort by share", "right"),
        ("lost", "Lost", "Concepts of the first that the second lacks", "right"),
        ("gained", "Gained", "Concepts of the second that the first lacks", "right"),
        ("shift", "Importance moved", Glossary.Define("importance shift")!, "right"),
        ("similarity", "Similarity", "Mean similarity of the concepts found again", "right hide-narrow"),
        ("strongest", "Strongest", "Whether the most important concept is the same", "hide-narrow"),
        ("accuracy", "Accuracy", "In the second, with the difference in percentage points", "right hide-narrow"),
        ("changed", "Predictions changed", "Images that the second predicts differently", "right hide-narrow"),
    ];

    private readonly CancellationTokenSource _lifetime = new();
    private PairView? _view;
    private ClassPair? _detail;
    private List<PairedClass> _rows = [];
    private string? _read;
    private string? _failure;
    private (int Done, int Total)? _progress;
    private bool _chosen;

    /// <summary>The analysis whose concepts are looked for.</summary>
    [Parameter, EditorRequired]
    public string First { get; set; } = "";

    /// <summary>The analysis in which they are looked for.</summary>
    [Parameter, EditorRequired]
    public string Second { get; set; } = "";

    /// <summary>What is shown.</summary>
    [Parameter, EditorRequired]
    public PairQuery Query { get; set; } = new();

    /// <summary>Asks for a change of what is shown; it is made to what was asked for last.</summary>
    [Parameter]
    public EventCallback<Func<PairQuery, PairQuery>> Changed { get; set; }

    /// <summary>Asks for the two the other way round.</summary>
    [Parameter]
    public EventCallback OnSwap { get; set; }

    /// <summary>Stands between the verdict and the classes.</summary>
    [Parameter]
    public RenderFragment? ChildContent { get; set; }

    [Inject]
    private IComparisonService Comparisons { get; set; } = default!;

    // Without a choice the first row is shown; a class that a search hides stays.
    private string? Current => _view?.Classes.FirstOrDefault(row => row.Name == Query.Class)?.Name ?? _rows.FirstOrDefault(row => row.Problem.Length == 0)?.Name;

    /// <inheritdoc/>
    public void Dispose()
    {
        _lifetime.Cancel();
        _lifetime.Dispose();
    }

    /// <inheritdoc/>
    protected override async Task OnParametersSetAsync()
    {
        // Matching may take a second: the first page is not kept waiting for it.
        if (!RendererInfo.IsInteractive)
        {
            return;
        }

        var key = FormattableString.Invariant($"{First}/{Second}/{Query.Least}");
        if (_read != key)
        {
            if (_read is not null && !_read.StartsWith($"{First}/{Second}/", StringComparison.Ordinal))
            {
                (_view, _progress) = (null, null);
            }

            _read = key;
            try
            {
                var lifetime = _lifetime.Token;
                var reading = Comparisons.PairAsync(First, Second, Query.Least, lifetime);
                while (_read == key && !lifetime.IsCancellationRequested && await Task.WhenAny(reading, Task.Delay(Pause, lifetime)) != reading)
                {
                    _progress = Comparisons.Reading(First, Second);
                    StateHasChanged();
                }

                var view = await reading;
                if (_read != key)
                {
                    return;
                }

                _view = view;
                _failure = view is null ? "One of the two analyses is gone or has not finished. Choose another one above." : null;
            }
            catch (OperationCanceledException) when (_lifetime.IsCancellationRequested)
            {
                return;
            }
        }

        _rows = _view is null ? [] : [.. Query.Apply(_view.Classes)];
    }

    /// <inheritdoc/>
    protected override async Task OnAfterRenderAsync(bool firstRender)
    {
        if (_chosen && _detail is not null)
        {
            _chosen = false;
            await _detail.FocusAsync();
        }
    }

    private static string LeastText(double least) => least.ToString(CultureInfo.InvariantCulture);

    private static double? Parse(object? value) => double.TryParse(value as string, NumberStyles.Float, CultureInfo.InvariantCulture, out var least) ? least : null;

    private static string Only(IReadOnlyList<string> names, string analysis) =>
        $"Only in “{analysis}”: {string.Join(", ", names.Take(8))}{(names.Count > 8 ? $" and {Format.Count(names.Count - 8, "more class", "more classes")}" : "")}.";

    private Task SortAsync(string sort) => GoAsync(q => q with { Sort = sort, Reverse = q.Sort == sort && !q.Reverse });

    private async Task ChooseAsync(string name)
    {
        _chosen = true;
        await GoAsync(q => q with { Class = name });
    }

    private Task GoAsync(Func<PairQuery, PairQuery> change) => Changed.InvokeAsync(change);
}
