using System.Globalization;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Client.Urls;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Pages.TrainingImages;

/// <summary>The training images that taught a concept, a class or the answer on one image, and how far that can be trusted.</summary>
public sealed partial class TrainingImagesPage
{

    private TrainingImagesQuery _query = new();
    private IReadOnlyList<ConceptChoice> _choices = [];
    private object? _parameters;
    private TrainingImagesView? _result;
    private TaskView? _task;
    private string? _asked;
    private string? _name;

    /// <summary>concept, class or sample.</summary>
    [SupplyParameterFromQuery]
    public string? Target { get; set; }

    /// <summary>Code of the concept, index of the class, or row of the sample.</summary>
    [SupplyParameterFromQuery]
    public string? Of { get; set; }

    /// <summary>probe for the images that the probe was fitted to.</summary>
    [SupplyParameterFromQuery]
    public string? Variant { get; set; }

    /// <summary>Path of the training images.</summary>
    [SupplyParameterFromQuery]
    public string? Dataset { get; set; }

    /// <summary>Paths of more networks, a line each.</summary>
    [SupplyParameterFromQuery]
    public string? Networks { get; set; }

    /// <summary>auto, dense or factorised.</summary>
    [SupplyParameterFromQuery]
    public string? Projection { get; set; }

    /// <summary>Number of features.</summary>
    [SupplyParameterFromQuery]
    public int? Dimensions { get; set; }

    /// <summary>Layer of the probe.</summary>
    [SupplyParameterFromQuery]
    public string? Layer { get; set; }

    [Inject]
    private ITaskService Tasks { get; set; } = default!;

    [Inject]
    private IUserConceptService Defined { get; set; } = default!;

    /// <inheritdoc/>
    protected override string Key => $"{Target}/{Of}";

    /// <summary>Score that counts as 100.</summary>
    private double Largest => _result is { Top.Count: > 0 } result && result.Top[0].Score > 0 ? result.Top[0].Score : _result?.Top.Concat(_result.Bottom).Select(i => Math.Abs(i.Score)).DefaultIfEmpty(1).Max() is > 0 and var most ? most : 1;

    private (string Href, string Text)? Back => (_query.Target, _query.Of) switch
    {
        ("concept", ['c', .. var text]) when int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id) => (PageUrls.Concept(Id, id), "The concept"),
        ("concept", ['u', ':', .. var defined]) => (PageUrls.Probe(Id, defined), "Its probe"),
        ("class", _) when _query.Number is { } index => (PageUrls.Class(Id, index), "The class"),
        ("sample", _) when _query.Number is { } row => (PageUrls.Sample(Id, row), "The image"),
        _ => null,
    };

    private IEnumerable<(double X, double Height)> Bars
    {
        get
        {
            var counts = _result!.Diffuseness.Histogram;
            // Most scores lie near zero: the few at the ends would not be seen on a plain scale.
            var most = Math.Log(1 + counts.DefaultIfEmpty(0).Max());
            return counts.Select((c, i) => (i * 10.0, most > 0 ? 66 * Math.Log(1 + c) / most : 0));
        }
    }

    private double? Zero => _result!.Diffuseness is { HistogramFrom: < 0, HistogramTo: > 0 } spread ? 400 * -spread.HistogramFrom / (spread.HistogramTo - spread.HistogramFrom) : null;

    /// <inheritdoc/>
    protected override async Task<AtlasView?> ReadAsync(CancellationToken cancellation)
    {
        var view = await Atlas.AtlasAsync(Id, cancellation);
        if (view is not null)
        {
            (_choices, _name) = await ChoicesAsync(view, Read(), cancellation);
        }

        return view;
    }

    /// <inheritdoc/>
    protected override void OnAddress()
    {
        _query = Read();
        _parameters = _query.Parameters(_choices.FirstOrDefault(c => c.Code == _query.Of)?.Definition);
        var asked = TaskServiceExtensions.ToParameters(_parameters)?.GetRawText();
        if (asked != _asked)
        {
            (_asked, _result, _task) = (asked, null, null);
        }
    }

    private static string? Text(ChangeEventArgs change) => change.Value?.ToString() is { Length: > 0 } text ? text : null;

    private TrainingImagesQuery Read() => TrainingImagesQuery.From(Target, Of, Variant, Dataset, Networks, Projection, Dimensions, Layer);

    /// <summary>What can be chosen, and the name of what is asked about.</summary>
    private async Task<(IReadOnlyList<ConceptChoice> Choices, string? Name)> ChoicesAsync(AtlasView view, TrainingImagesQuery query, CancellationToken cancellation)
    {
        if (query.Target == "class")
        {
            return ([], view.Classes.FirstOrDefault(c => c.Index == query.Number)?.DisplayName);
        }

        if (query.Target == "sample")
        {
            return ([], query.Number is { } row && await Atlas.SampleAsync(Id, row, cancellation) is { } sample ? sample.Sample.Path : null);
        }

        var choices = await ConceptChoice.ListAsync(Atlas, Defined, view, [query.Of], sample: null, numbers: true, cancellation);
        return (choices, choices.FirstOrDefault(c => c.Code == query.Of)?.Name);
    }

    private async Task OnTask(TaskView task)
    {
        _result = task.State == AnalysisState.Completed ? TrainingImagesView.Parse(await Tasks.ResultAsync(Id, task.Id, Lifetime)) : null;
        _task = task;
        StateHasChanged();
    }
}
