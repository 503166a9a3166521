using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Client.Urls;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Pages.Backpropagation;

/// <summary>The smallest change of an image that makes a concept's probe change its answer: live, step by step, and with its side effects.</summary>
public sealed partial class BackpropagationPage
{
    private const int Offered = 36;

    private BackpropagationQuery _query = new();
    private IReadOnlyList<ConceptChoice> _choices = [];
    private IReadOnlyList<(int Row, string Title)>? _offered;
    private ConceptChoice? _chosen;
    private object? _parameters;
    private BackpropagationView? _result;
    private ChangedSampleView? _shown;
    private string? _asked;
    private string? _offeredFor;
    private string? _choicesFor;

    /// <summary>Code of the concept.</summary>
    [SupplyParameterFromQuery]
    public string? Concept { get; set; }

    /// <summary>Rows of samples, separated by commas.</summary>
    [SupplyParameterFromQuery]
    public string? Sample { get; set; }

    /// <summary>Which of them is shown.</summary>
    [SupplyParameterFromQuery]
    public int? Show { get; set; }

    /// <summary>Codes of other concepts, separated by commas.</summary>
    [SupplyParameterFromQuery]
    public string? Others { get; set; }

    /// <summary>flip, yes or no.</summary>
    [SupplyParameterFromQuery]
    public string? Direction { get; set; }

    /// <summary>Kind of change.</summary>
    [SupplyParameterFromQuery]
    public string? Way { get; set; }

    /// <summary>Where the change is expected: left, top, width, height as shares.</summary>
    [SupplyParameterFromQuery]
    public string? Region { get; set; }

    /// <summary>Layer of the probe; the analysis's where null.</summary>
    [SupplyParameterFromQuery]
    public string? Layer { get; set; }

    /// <summary>Whether the probe uses few channels.</summary>
    [SupplyParameterFromQuery]
    public bool? Sparse { get; set; }

    /// <summary>Place of the slider.</summary>
    [SupplyParameterFromQuery]
    public int? Step { get; set; }

    [Inject]
    private ITaskService Tasks { get; set; } = default!;

    [Inject]
    private IUserConceptService Defined { get; set; } = default!;

    /// <inheritdoc/>
    protected override string Key => $"{Concept}/{Sample}";

    private int Row => _query.Samples.Contains(Show ?? -1) ? Show!.Value : _query.Samples[0];

    /// <inheritdoc/>
    protected override async Task<AtlasView?> ReadAsync(CancellationToken cancellation)
    {
        var view = await Atlas.AtlasAsync(Id, cancellation);
        if (view is null)
        {
            return null;
        }

        var query = Read();
        if (_choicesFor != $"{Concept}/{Sample}")
        {
            _choices = await ConceptChoice.ListAsync(
                Atlas, Defined, view, [query.Concept, .. query.Others], query.Samples.Count > 0 ? query.Samples[0] : null, numbers: true, cancellation);
            _choicesFor = $"{Concept}/{Sample}";
        }

        if (query.Samples.Count == 0 && _offeredFor != query.Concept)
        {
            _offered = await OfferAsync(view, query, cancellation);
            _offeredFor = query.Concept;
        }

        return view;
    }

    /// <inheritdoc/>
    protected override void OnAddress()
    {
        _query = Read();
        _chosen = _choices.FirstOrDefault(c => c.Code == _query.Concept);
        _parameters = _query.Parameters(code => _choices.FirstOrDefault(c => c.Code == code)?.Definition);
        var asked = TaskServiceExtensions.ToParameters(_parameters)?.GetRawText();
        if (asked != _asked)
        {
            (_asked, _result) = (asked, null);
        }

        _shown = _result?.Samples.FirstOrDefault(s => s.Row == Row) ?? (_result?.Samples.Count > 0 ? _result.Samples[0] : null);
    }

    private static string Pressed(bool on) => on ? "true" : "false";

    private static string? Text(ChangeEventArgs change) => change.Value?.ToString() is { Length: > 0 } text ? text : null;

    private static IEnumerable<(string Name, string Own, string Other)> Figures(BackpropagationView view)
    {
        var (own, other) = (view.Summary, view.Control);
        yield return ("changes that succeed", $"{Format.Count(own.Reached)} of {Format.Count(own.Wishes - own.Already)}", other is null ? "–" : $"{Format.Count(other.Reached)} of {Format.Count(other.Wishes - other.Already)}");
        yield return ("said so already", Format.Count(own.Already), other is null ? "–" : Format.Count(other.Already));
        yield return ("size of the change (root of the sum of squares)", Number(own.MedianL2), Number(other?.MedianL2));
        yield return ("size (sum of magnitudes)", Number(own.MedianL1), Number(other?.MedianL1));
        if (own.Inside is not null)
        {
            yield return ("share inside the region", Share(own.Inside), Share(other?.Inside));
        }

        yield return ("the predicted class changes", Share(own.ClassChanged), Share(other?.ClassChanged));
        yield return ("the concept's probe moves by", Number(own.ConceptChange), Number(other?.ConceptChange));
        yield return ("the probe knows held-out images (balanced accuracy)", Share(own.HeldOut), Share(other?.HeldOut));

        static string Number(double? value) => value is { } v ? Format.Number(v) : "–";
        static string Share(double? value) => value is { } v ? Format.Percent(v) : "–";
    }

    private BackpropagationQuery Read() => BackpropagationQuery.From(Concept, Sample, Others, Direction, Way, Region, Layer, Sparse);

    /// <summary>Images to begin with: those that show a discovered concept and look-alikes without it, else the first of each class.</summary>
    private async Task<IReadOnlyList<(int Row, string Title)>> OfferAsync(AtlasView view, BackpropagationQuery query, CancellationToken cancellation)
    {
        if (query.Concept is ['c', .. var text] && int.TryParse(text, out var id) && await Atlas.ConceptAsync(Id, id, cancellation) is { } concept)
        {
            return [.. concept.Concept.Exemplars.OrderBy(e => e.Band is "top" ? 0 : e.Band is "counter" ? 1 : 2).Select(e => (e.Sample, e.Band == "counter" ? "looks alike, without it" : "shows it")).DistinctBy(e => e.Sample).Take(Offered)];
        }

        if (_choices.FirstOrDefault(c => c.Code == query.Concept) is { Definition: ConceptDraft draft } && RendererInfo.IsInteractive)
        {
            try
            {
                var preview = await Defined.PreviewAsync(Id, draft, cancellation);
                return [.. preview.PositiveExamples.Take(Offered / 2).Select(r => (r, "shows it")), .. preview.NegativeExamples.Take(Offered / 2).Select(r => (r, "does not show it"))];
            }
            catch (ServiceException)
            {
                // What it names is gone; the task says so when it is asked for.
            }
        }

        var offered = new List<(int Row, string Title)>();
        foreach (var item in view.Classes.Where(c => c.Ready).Take(Offered))
        {
            var samples = await Atlas.ClassSamplesAsync(Id, item.Index, null, 0, Math.Max(1, Offered / Math.Max(1, view.Classes.Count)), cancellation);
            offered.AddRange(samples.Items.Select(s => (s.Index, $"{item.Name}: {s.Path}")));
        }

        return [.. offered.Take(Offered)];
    }

    private void Toggle(string code)
    {
        var others = BackpropagationQuery.Codes(Selected("others"));
        Select(("others", BackpropagationQuery.Join(others.Contains(code) ? others.Where(o => o != code) : others.Append(code))), ("step", null));
    }

    private async Task OnTask(TaskView task)
    {
        _result = task.State == AnalysisState.Completed ? BackpropagationView.Parse(await Tasks.ResultAsync(Id, task.Id, Lifetime)) : null;
        if (_result?.Entanglement is { } entangled)
        {
            _result = _result with { Entanglement = entangled with { Names = [.. entangled.Names.Select(name => ConceptChoice.Called(name, _choices))] } };
        }

        OnAddress();
    }

    private string Address(params (string Name, object? Value)[] changes) => Navigation.GetUriWithQueryParameters(changes.ToDictionary(c => c.Name, c => c.Value));
}
