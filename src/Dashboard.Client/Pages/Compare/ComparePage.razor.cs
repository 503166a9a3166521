using System.Globalization;
using Dashboard.Client.Contracts;
using Dashboard.Client.Realtime;
using Dashboard.Client.State;
using Dashboard.Client.Urls;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Routing;
using Microsoft.AspNetCore.WebUtilities;

namespace Dashboard.Client.Pages.Compare;

/// <summary>Methods of one analysis, or several analyses, side by side. What is compared is in the address.</summary>
public sealed partial class ComparePage : IDisposable
{
    private const int MostAnalyses = 200;
    private readonly CancellationTokenSource _lifetime = new();
    private CompareQuery _usual = new();
    private CompareQuery _query = new();
    private AddressTrail _trail = default!;
    private IReadOnlyList<AnalysisSummary>? _analyses;
    private IReadOnlyList<TaskView> _earlier = [];
    private TaskView? _done;
    private string? _listed;
    private DateTimeOffset _now;

    [Inject]
    private IAnalysisService Analyses { get; set; } = default!;

    [Inject]
    private ITaskService Tasks { get; set; } = default!;

    [Inject]
    private IMethodService Methods { get; set; } = default!;

    [Inject]
    private NavigationManager Navigation { get; set; } = default!;

    [Inject]
    private TimeProvider Time { get; set; } = default!;

    private AnalysisSummary? Chosen => _analyses?.FirstOrDefault(a => a.Id == _query.Analysis);

    /// <inheritdoc/>
    public void Dispose()
    {
        Navigation.LocationChanged -= OnLocationChanged;
        _lifetime.Cancel();
        _lifetime.Dispose();
    }

    /// <inheritdoc/>
    protected override async Task OnInitializedAsync()
    {
        _trail = new AddressTrail(Navigation);
        Navigation.LocationChanged += OnLocationChanged;
        _now = Time.GetUtcNow();
        _usual = Usual(Methods.Catalogue);
        Read();
        var list = await Analyses.ListAsync(0, MostAnalyses, _lifetime.Token);
        _analyses = [.. list.Items.Where(a => a.State == AnalysisState.Completed)];
        if (_analyses.Count > 0)
        {
            _usual = _usual with { Analysis = _analyses[0].Id };
        }

        Read();
        await ListEarlierAsync();
    }

    /// <summary>What is compared where nothing was chosen: the usual methods and estimators that there are.</summary>
    private static CompareQuery Usual(MethodCatalogueView catalogue)
    {
        string[] methods = ["unique", "nmf", "pca", "kmeans"];
        string[] estimators = ["closed-form", "gradient-input", "integrated-gradients", "occlusion", "sobol", "tcav"];
        return new CompareQuery
        {
            Methods = [.. catalogue.Methods.Select(m => m.Name).Where(methods.Contains)],
            Estimators = [.. catalogue.Estimators.Select(e => e.Name).Where(estimators.Contains)],
        };
    }

    private void Read()
    {
        _trail.Arrive();
        _query = At(Navigation.Uri);
    }

    private CompareQuery At(string address) =>
        CompareQuery.FromQuery(QueryHelpers.ParseQuery(new Uri(address).Query).ToDictionary(p => p.Key, p => (string?)p.Value.ToString()), _usual);

    private void OnLocationChanged(object? sender, LocationChangedEventArgs e) => _ = InvokeAsync(async () =>
    {
        if (!new Uri(Navigation.Uri).AbsolutePath.Equals("/compare", StringComparison.OrdinalIgnoreCase))
        {
            return;
        }

        try
        {
            var before = _query;
            Read();
            if (before with { At = _query.At, Tab = _query.Tab, Runs = _query.Runs, Pair = _query.Pair } is var same && _query.ToQuery(_usual with { Analysis = "" }).Any(p => !Equals(p.Value, same.ToQuery(_usual with { Analysis = "" })[p.Key])))
            {
                _done = null;
            }

            await ListEarlierAsync();
            StateHasChanged();
        }
        catch (OperationCanceledException) when (_lifetime.IsCancellationRequested)
        {
            // The page was left.
        }
    });

    private async Task ListEarlierAsync()
    {
        if (_query.Analysis.Length == 0 || _listed == _query.Analysis)
        {
            return;
        }

        _listed = _query.Analysis;
        _earlier = Chosen is null ? [] : [.. (await Tasks.ListAsync(_query.Analysis, ComparisonView.Kind, _lifetime.Token)).Where(t => t.State == AnalysisState.Completed).Take(12)];
    }

    private async Task TaskChangedAsync(TaskView task)
    {
        _done = task.State == AnalysisState.Completed ? task : null;
        if (_done is not null)
        {
            _listed = null;
            await ListEarlierAsync();
        }
    }

    private void ToggleRun(string id) =>
        Go(q => q with { Tab = "runs", Runs = q.Runs.Contains(id) ? [.. q.Runs.Where(r => r != id)] : [.. q.Runs, id] });

    private void Go(Func<CompareQuery, CompareQuery> change) => _trail.Go(Navigation.ToAbsoluteUri(Address(change(At(_trail.Latest)))).ToString());

    private string Address(CompareQuery query) => Navigation.GetUriWithQueryParameters(PageUrls.Compare(), query.ToQuery(_usual with { Analysis = "" }));

    private static string Pressed(bool on) => on ? "true" : "false";
}
