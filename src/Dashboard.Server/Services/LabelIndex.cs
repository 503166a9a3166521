using System.Text.Json;
using Analysis.Runs.Tasks;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Services;

/// <summary>
/// The newest labels of analyses in short, for every page that names a concept or a neuron. Results may take tens of megabytes:
/// each is read once, and only what is shown beside names is kept, for a few analyses. Which task is the newest is asked of the
/// catalogue each time, so that labels come with the end of their task and go when it is deleted.
/// </summary>
internal sealed class LabelIndex(IDbContextFactory<DashboardDbContext> databases, DataFolders folders)
{
    private const int MostKept = 4;
    private readonly Lock _gate = new();
    private readonly List<(string Task, Task<ShortLabels?> Labels)> _kept = [];

    /// <summary>The newest labels of an analysis; <see cref="ShortLabels.None"/> where there are none, or their file is lost.</summary>
    /// <param name="analysisId">The analysis.</param>
    /// <param name="key">Its key in the catalogue.</param>
    /// <param name="cancellation">Gives up waiting.</param>
    public async Task<ShortLabels> OfAsync(string analysisId, int key, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        return await OfAsync(database, analysisId, key, cancellation);
    }

    /// <summary>The same over an open catalogue.</summary>
    public async Task<ShortLabels> OfAsync(DashboardDbContext database, string analysisId, int key, CancellationToken cancellation)
    {
        var newest = await database.Tasks.AsNoTracking()
            .Where(row => row.AnalysisKey == key && row.Kind == LabelView.TaskKind && row.State == AnalysisState.Completed)
            .OrderByDescending(row => row.Key).Select(row => new { row.Id, row.TaskKey, row.Parameters }).FirstOrDefaultAsync(cancellation);
        if (newest is null)
        {
            return ShortLabels.None;
        }

        Task<ShortLabels?> reading;
        lock (_gate)
        {
            var place = _kept.FindIndex(entry => entry.Task == newest.Id);
            // What could not be read is tried again: the file may have come back.
            if (place >= 0 && _kept[place].Labels is { IsFaulted: false } known && !(known.IsCompletedSuccessfully && known.Result is null))
            {
                reading = known;
            }
            else
            {
                var path = Path.Combine(folders.Task(analysisId, newest.TaskKey), TaskRunner.ResultFile);
                reading = Task.Run(() => ReadAsync(path, analysisId, newest.Id, newest.Parameters), CancellationToken.None);
            }

            if (place >= 0)
            {
                _kept.RemoveAt(place);
            }

            _kept.Add((newest.Id, reading));
            if (_kept.Count > MostKept)
            {
                _kept.RemoveAt(0);
            }
        }

        return await reading.WaitAsync(cancellation) ?? ShortLabels.None;
    }

    private static async Task<ShortLabels?> ReadAsync(string path, string analysisId, string task, string parameters)
    {
        try
        {
            await using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 1 << 16, FileOptions.Asynchronous);
            var result = await JsonSerializer.DeserializeAsync<Result>(file, JsonSerializerOptions.Web);
            using var wish = JsonDocument.Parse(parameters);
            return new ShortLabels(analysisId, task, LabelQuery.From(wish.RootElement), result?.Units ?? []);
        }
        catch (Exception fault) when (fault is IOException or JsonException or UnauthorizedAccessException)
        {
            // Lost or damaged: the page of labels says so.
            return null;
        }
    }

    // What pages need of a result that may be large.
    private sealed record Result(IReadOnlyList<LabelledUnit>? Units);
}

/// <summary>A neuron or concept with its label.</summary>
/// <param name="Kind">neuron or concept.</param>
/// <param name="Index">Channel of a neuron; rank of a concept in its class.</param>
/// <param name="Concept">Identifier of a concept.</param>
/// <param name="Class">Class of a concept.</param>
/// <param name="ClassName">Display name of that class.</param>
/// <param name="Label">The formula in words.</param>
/// <param name="HeldOutAuc">AUC on the half that was not searched.</param>
/// <param name="Significant">Whether the label is more than chance.</param>
internal sealed record LabelledUnit(string Kind, int Index, int? Concept, int? Class, string? ClassName, string? Label, double? HeldOutAuc, bool Significant)
{
    /// <summary>Key in addresses.</summary>
    public string Key => new UnitView { Kind = Kind, Index = Index, Concept = Concept }.Key;

    /// <summary>Name for people.</summary>
    public string Title => new UnitView { Kind = Kind, Index = Index, ClassName = ClassName }.Title;
}

/// <summary>The labels of one task.</summary>
internal sealed class ShortLabels
{
    private readonly string _analysisId;
    private readonly LabelQuery _query;
    private readonly Dictionary<int, LabelledUnit> _concepts = [];
    private readonly Dictionary<int, LabelledUnit> _neurons = [];
    private readonly Dictionary<int, List<string>> _classes = [];

    /// <summary>Takes what has a label.</summary>
    /// <param name="analysisId">The analysis.</param>
    /// <param name="task">The task; null where there is none.</param>
    /// <param name="query">What the labels are made of, for addresses.</param>
    /// <param name="units">Neurons and concepts.</param>
    public ShortLabels(string analysisId, string? task, LabelQuery query, IReadOnlyList<LabelledUnit> units)
    {
        (_analysisId, Task, _query) = (analysisId, task, query);
        // Many units share a formula or a class: each text is kept once.
        var texts = new HashSet<string>(StringComparer.Ordinal);
        string? Once(string? text) => text is null ? null : texts.TryGetValue(text, out var kept) ? kept : texts.Add(text) ? text : text;
        Units = [.. units.Where(unit => unit.Label is not null).Select(unit => unit with { Kind = Once(unit.Kind)!, ClassName = Once(unit.ClassName), Label = Once(unit.Label) })];
        foreach (var unit in Units.Where(unit => unit.Significant))
        {
            (unit.Concept is { } concept ? _concepts : _neurons)[unit.Concept ?? unit.Index] = unit;
            if (unit.Class is { } index)
            {
                var labels = _classes.TryGetValue(index, out var known) ? known : _classes[index] = [];
                if (!labels.Contains(unit.Label!))
                {
                    labels.Add(unit.Label!);
                }
            }
        }
    }

    /// <summary>No labels.</summary>
    public static ShortLabels None { get; } = new("", null, new LabelQuery(), []);

    /// <summary>The task that found them; null where there is none.</summary>
    public string? Task { get; }

    /// <summary>Everything that has a label, those that may be chance among them, in the order of the result.</summary>
    public IReadOnlyList<LabelledUnit> Units { get; }

    /// <summary>Significant label of a concept, by its identifier; null where it has none.</summary>
    public ShortLabel? OfConcept(int id) => Short(_concepts.GetValueOrDefault(id));

    /// <summary>Significant label of a channel; null where it has none.</summary>
    public ShortLabel? OfNeuron(int channel) => Short(_neurons.GetValueOrDefault(channel));

    /// <summary>Significant labels of the concepts of a class, each once.</summary>
    public IReadOnlyList<string> OfClass(int index) => _classes.TryGetValue(index, out var labels) ? labels : [];

    private ShortLabel? Short(LabelledUnit? unit) =>
        unit is null ? null : new ShortLabel(unit.Label!, unit.HeldOutAuc, _query.Address(_analysisId, unit.Key)) { WithinClass = WithinClass(unit.Label!, unit.ClassName) };

    // Behind an OR the class would not be a condition of the whole.
    private static string? WithinClass(string label, string? className) =>
        className is { Length: > 0 } && label.StartsWith(className + " AND ", StringComparison.Ordinal) && label[(className.Length + 5)..] is var rest && !rest.Contains(" OR ", StringComparison.Ordinal)
            ? rest
            : null;
}

/// <summary>How the concepts of an analysis are called: the names that people gave, and labels.</summary>
/// <param name="Given">Names by people, by concept.</param>
/// <param name="Labels">The newest labels.</param>
internal sealed record ConceptNames(Dictionary<int, string> Given, ShortLabels Labels)
{
    /// <summary>Name by a person; null where nobody gave one.</summary>
    public string? Of(int id) => Given.GetValueOrDefault(id);
}
