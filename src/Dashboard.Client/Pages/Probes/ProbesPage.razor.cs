using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Pages.Probes;

/// <summary>The concepts that people defined, where each is read best, and all of them against all layers.</summary>
public sealed partial class ProbesPage
{
    // Results are read for this many at most; the others are one click away.
    private const int MostRead = 60;
    private List<Row>? _rows;
    private List<string> _layers = [];
    private string? _error;
    private int _total;

    private sealed record Row(UserConcept Concept, TaskView? Task, ProbeView? Probe);

    /// <inheritdoc/>
    protected override string Key => "";

    [Inject]
    private IUserConceptService Concepts { get; set; } = default!;

    [Inject]
    private ITaskService Tasks { get; set; } = default!;

    private string Sentence
    {
        get
        {
            var trained = _rows!.Where(r => r.Probe is not null).ToList();
            if (trained.Count == 0)
            {
                return "Concepts that you mean, and whether the network knows them: a linear probe reads them from the activations of each layer.";
            }

            var known = trained.Where(r => r.Probe!.Location.Readable).ToList();
            return $"{Format.Count(known.Count)} of {Format.Count(trained.Count, "probed concept")} can be read from the network better than from shuffled labels."
                + (known.MaxBy(r => r.Probe!.Location.Score) is { } best ? $" The clearest is \u201C{best.Concept.Name}\u201D, at {best.Probe!.Location.Layer}." : "");
        }
    }

    /// <inheritdoc/>
    protected override async Task<AtlasView?> ReadAsync(CancellationToken cancellation)
    {
        var view = await Atlas.AtlasAsync(Id, cancellation);
        if (view is null)
        {
            return null;
        }

        var list = await Concepts.ListAsync(Id, 0, 500, cancellation);
        var rows = new List<Row>(list.Items.Count);
        try
        {
            foreach (var concept in list.Items)
            {
                var task = rows.Count < MostRead ? await Tasks.FindAsync(Id, ProbeView.TaskKind, new { concept = concept.Definition }, cancellation) : null;
                rows.Add(new Row(concept, task, task is { State: AnalysisState.Completed } ? ProbeView.Parse(await Tasks.ResultAsync(Id, task.Id, cancellation)) : null));
            }
        }
        catch (ServiceException fault)
        {
            _error = fault.Message;
            rows.AddRange(list.Items.Skip(rows.Count).Select(c => new Row(c, null, null)));
        }

        (_rows, _total) = (rows, list.Total);
        _layers = [.. rows.Select(r => r.Probe).OfType<ProbeView>().SelectMany(p => p.Layers.Select(l => l.Layer)).Distinct()];
        return view;
    }
}
