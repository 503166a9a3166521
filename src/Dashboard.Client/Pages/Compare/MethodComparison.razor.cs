using System.Text.Json;
using Dashboard.Client.Charts;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Client.Urls;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Pages.Compare;

/// <summary>The result of a comparison of methods.</summary>
public sealed partial class MethodComparison
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);
    private ComparisonView? _view;
    private string? _read;
    private string? _analyse;

    /// <summary>The finished task.</summary>
    [Parameter, EditorRequired]
    public TaskView Task { get; set; } = default!;

    /// <summary>What was asked for.</summary>
    [Parameter, EditorRequired]
    public CompareQuery Query { get; set; } = default!;

    /// <summary>Called with another number of concepts for the table.</summary>
    [Parameter]
    public EventCallback<int> OnAt { get; set; }

    [Inject]
    private ITaskService Tasks { get; set; } = default!;

    [Inject]
    private IAnalysisService Analyses { get; set; } = default!;

    [Inject]
    private IMethodService Methods { get; set; } = default!;

    [Inject]
    private NavigationManager Navigation { get; set; } = default!;

    private List<int> Ks => _view is null ? [] : [.. _view.Methods.SelectMany(m => m.Cells.Select(c => c.Components)).Distinct().Order()];

    private int At => Query.At is { } chosen && Ks.Contains(chosen) ? chosen : Suggested is { } suggested && Ks.Contains(suggested.Components) ? suggested.Components : Ks.LastOrDefault();

    private (string Name, string Title, int Components)? Suggested
    {
        get
        {
            // Where none stands out, the first method that has a suggestion of its own.
            var method = _view?.Methods.FirstOrDefault(m => m.Name == _view.SuggestedMethod) ?? _view?.Methods.FirstOrDefault(m => m.SuggestedComponents is not null);
            return method is not null && (_view?.SuggestedComponents ?? method.SuggestedComponents) is { } k ? (method.Name, method.Title, k) : null;
        }
    }

    /// <inheritdoc/>
    protected override async Task OnParametersSetAsync()
    {
        if (_read == Task.Id)
        {
            return;
        }

        _read = Task.Id;
        _view = await Tasks.ResultAsync(Task.AnalysisId, Task.Id) is { } text ? JsonSerializer.Deserialize<ComparisonView>(text, Json) : null;
        if (Suggested is { } suggested && Methods.Catalogue.Method(suggested.Name) is not null && await Analyses.RequestAsync(Task.AnalysisId) is { } request)
        {
            var wanted = request with { Method = suggested.Name, Concepts = suggested.Components, Scope = "class", Granularity = suggested.Name == "unique" ? "pooled" : Query.Granularity, Parameters = new Dashboard.Client.Contracts.NewAnalysis().Parameters, Name = null };
            _analyse = Navigation.GetUriWithQueryParameters(PageUrls.New, new Wizard("review", wanted, "").ToQuery());
        }
    }

    private static List<SeriesChart.Series> Lines(ComparisonView view, ComparisonMetric metric) =>
    [
        .. view.Methods.Select((method, place) => new SeriesChart.Series(
                method.Title, place, [.. method.Cells.Select(c => (double)c.Components)], [.. method.Cells.Select(c => c.Figures is { } figures ? metric.Of(figures) : null)]))
            .Where(line => line.Y.Any(y => y is not null)),
    ];

    private static string Words(ComparisonView view, ComparisonMetric metric) => $"{metric.Title} against the number of concepts, {metric.Direction}: " + string.Join("; ", view.Methods
        .Select(m => (m.Title, Last: m.Cells.LastOrDefault(c => c.Figures is not null && metric.Of(c.Figures) is not null)))
        .Where(m => m.Last is not null)
        .Select(m => $"{m.Title} {metric.Text(metric.Of(m.Last!.Figures!)!.Value)} with {m.Last.Components}"));

    private static string Where(ComparisonView view) =>
        $"Layer {view.Layer}, {Format.Count(view.Channels, "channel")}; {Format.Count(view.Classes.Sum(c => c.Rows), "row")} of {string.Join(", ", view.Classes.Take(6).Select(c => c.DisplayName))}{(view.Classes.Count > 6 ? " and others" : "")}. {view.ClassNote}";

    private IReadOnlyList<int> Best(ComparisonView view, ComparisonMetric metric) => metric.Best(
        [.. view.Methods.Select(m => m.Cells.FirstOrDefault(c => c.Components == At)?.Figures is { } figures ? metric.Of(figures) : null)]);

    // Random orders are dotted, the oracle is dashed; both are grey.
    private static IEnumerable<(EstimatorFiguresView Estimator, int Place)> Placed(FaithfulnessView faith)
    {
        var place = 0;
        foreach (var estimator in faith.Estimators)
        {
            yield return (estimator, estimator.Reference ? estimator.Name == "random" ? -1 : -2 : place++);
        }
    }

    private static List<SeriesChart.Series> FaithLines(FaithfulnessView faith, Func<EstimatorFiguresView, IReadOnlyList<double>> curve) =>
    [
        .. Placed(faith).Where(e => curve(e.Estimator).Count > 0).Select(e => new SeriesChart.Series(
            e.Estimator.Title, e.Place, [.. Enumerable.Range(0, curve(e.Estimator).Count).Select(i => (double)i)], [.. curve(e.Estimator).Select(v => (double?)v)])),
    ];

    private static RenderFragment Mark(FaithfulnessView faith, EstimatorFiguresView own, Func<EstimatorFiguresView, double?> value, bool higher) => builder =>
    {
        if (value(own) is not { } number)
        {
            return;
        }

        var real = faith.Estimators.Where(e => !e.Reference).ToList();
        if (!own.Reference && ComparisonMetric.Best([.. real.Select(value)], higher).Any(i => real[i] == own))
        {
            builder.OpenElement(0, "b");
            builder.AddAttribute(1, "class", "best");
            builder.AddContent(2, "★ " + Format.Number(number));
            builder.CloseElement();
        }
        else
        {
            builder.AddContent(3, Format.Number(number));
        }
    };
}
