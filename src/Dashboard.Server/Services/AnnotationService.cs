using Dashboard.Client.Contracts;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Services;

/// <summary>Keeps what people write, apart from what the engine writes, so that it survives a run that is repeated.</summary>
internal sealed class AnnotationService(IDbContextFactory<DashboardDbContext> databases) : IAnnotationService
{
    private const int LongestName = 200;
    private const int LongestNote = 10_000;
    private static readonly string[] Verdicts = ["fine", "wronglabel", "remove", "confounder"];

    public Task NameConceptAsync(string analysisId, int conceptId, string? name, CancellationToken cancellation = default) =>
        NameAsync(analysisId, AnnotationEntity.Concept, conceptId, name, cancellation);

    public Task NoteConceptAsync(string analysisId, int conceptId, string? note, CancellationToken cancellation = default) =>
        NoteAsync(analysisId, AnnotationEntity.Concept, conceptId, note, cancellation);

    public Task HideConceptAsync(string analysisId, int conceptId, bool hidden, CancellationToken cancellation = default) =>
        WriteAsync(analysisId, AnnotationEntity.Concept, conceptId, row => row.Verdict = hidden ? AnnotationEntity.Hidden : null, cancellation);

    public async Task MergeConceptAsync(string analysisId, int conceptId, int? into, CancellationToken cancellation = default)
    {
        if (into is { } other)
        {
            await using var database = await databases.CreateDbContextAsync(cancellation);
            var key = await database.Analyses.Where(row => row.Id == analysisId).Select(row => (int?)row.Key).FirstOrDefaultAsync(cancellation);
            var places = await database.Concepts.Where(row => row.AnalysisKey == key && (row.Id == conceptId || row.Id == other)).ToDictionaryAsync(row => row.Id, row => row.Class, cancellation);
            if (conceptId == other || !places.TryGetValue(conceptId, out var from) || !places.TryGetValue(other, out var to) || from != to)
            {
                throw new ServiceException("Concepts can be merged with another one of the same class only.");
            }

            // One level: what is listed under another concept holds nothing itself.
            var notes = await database.Annotations.AsNoTracking()
                .Where(row => row.AnalysisKey == key && row.Kind == AnnotationEntity.Concept && row.Verdict != null && row.Verdict.StartsWith(AnnotationEntity.Into))
                .ToListAsync(cancellation);
            if (notes.Any(row => row.Target == other || row.ListedUnder() == conceptId))
            {
                throw new ServiceException("One of the two is merged already. Take that back first.");
            }
        }

        await WriteAsync(
            analysisId, AnnotationEntity.Concept, conceptId,
            row => row.Verdict = into is null ? null : FormattableString.Invariant($"{AnnotationEntity.Into}{into}"), cancellation);
    }

    public async Task NameStrategyAsync(string analysisId, int classIndex, int strategy, string? name, CancellationToken cancellation = default) =>
        await NameAsync(analysisId, AnnotationEntity.Strategy, await StrategyAsync(analysisId, classIndex, strategy, cancellation), name, cancellation);

    public async Task NoteStrategyAsync(string analysisId, int classIndex, int strategy, string? note, CancellationToken cancellation = default) =>
        await NoteAsync(analysisId, AnnotationEntity.Strategy, await StrategyAsync(analysisId, classIndex, strategy, cancellation), note, cancellation);

    public Task JudgeSampleAsync(string analysisId, int sample, string? verdict, CancellationToken cancellation = default) =>
        verdict is not null && !Verdicts.Contains(verdict)
            ? throw new ServiceException($"The verdict '{verdict}' is not known. Use one of: {string.Join(", ", Verdicts)}.")
            : WriteAsync(analysisId, AnnotationEntity.Sample, sample, row => row.Verdict = verdict, cancellation);

    private Task NameAsync(string analysisId, string kind, int target, string? name, CancellationToken cancellation)
    {
        name = string.IsNullOrWhiteSpace(name) ? null : name.Trim();
        return name is { Length: > LongestName }
            ? throw new ServiceException($"The name has {name.Length:N0} characters. Use at most {LongestName}.")
            : WriteAsync(analysisId, kind, target, row => row.Name = name, cancellation);
    }

    private Task NoteAsync(string analysisId, string kind, int target, string? note, CancellationToken cancellation)
    {
        note = string.IsNullOrWhiteSpace(note) ? null : note;
        return note is { Length: > LongestNote }
            ? throw new ServiceException($"The note has {note.Length:N0} characters. Use at most {LongestNote:N0}.")
            : WriteAsync(analysisId, kind, target, row => row.Note = note, cancellation);
    }

    private async Task<int> StrategyAsync(string analysisId, int classIndex, int strategy, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var count = await database.Analyses.Where(row => row.Id == analysisId)
            .Join(database.Classes.Where(row => row.Index == classIndex), row => row.Key, row => row.AnalysisKey, (_, row) => (int?)row.Strategies)
            .FirstOrDefaultAsync(cancellation);
        return strategy >= 0 && strategy < count
            ? AnnotationEntity.StrategyTarget(classIndex, strategy)
            : throw new ServiceException($"The analysis has no strategy {strategy} of class {classIndex}.");
    }

    private async Task WriteAsync(string analysisId, string kind, int target, Action<AnnotationEntity> change, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var key = await database.Analyses.Where(row => row.Id == analysisId).Select(row => (int?)row.Key).FirstOrDefaultAsync(cancellation)
            ?? throw new ServiceException($"There is no analysis '{analysisId}'.");
        var exists = kind switch
        {
            AnnotationEntity.Concept => await database.Concepts.AnyAsync(row => row.AnalysisKey == key && row.Id == target, cancellation),
            AnnotationEntity.Sample => await database.Samples.AnyAsync(row => row.AnalysisKey == key && row.Index == target, cancellation),
            _ => true,
        };
        if (!exists)
        {
            throw new ServiceException($"The analysis has no {kind} {target}.");
        }

        var row = await database.Annotations.FindAsync([key, kind, target], cancellation);
        if (row is null)
        {
            database.Annotations.Add(row = new AnnotationEntity { AnalysisKey = key, Kind = kind, Target = target });
        }

        change(row);
        row.Changed = DateTimeOffset.UtcNow;
        if (row is { Name: null, Note: null, Verdict: null })
        {
            database.Annotations.Remove(row);
        }

        await database.SaveChangesAsync(cancellation);
    }
}
