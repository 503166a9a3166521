using System.Text.Json;
using Analysis.Atlas;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Services;

/// <summary>What several pages of an atlas read of the catalogue.</summary>
internal static class AtlasRows
{
    /// <summary>Flagged outliers by kind, of one class or of all.</summary>
    public static async Task<IReadOnlyDictionary<string, int>> KindsAsync(DashboardDbContext database, int key, int? classIndex, CancellationToken cancellation) =>
        await database.Samples.AsNoTracking()
            .Where(row => row.AnalysisKey == key && row.OutlierKind != "" && (classIndex == null || row.Class == classIndex))
            .GroupBy(row => row.OutlierKind).Select(group => new { group.Key, Count = group.Count() })
            .ToDictionaryAsync(group => group.Key, group => group.Count, cancellation);

    /// <summary>A class; null where the analysis has none of this index.</summary>
    public static Task<ClassEntity?> ClassRowAsync(DashboardDbContext database, int key, int index, CancellationToken cancellation) =>
        database.Classes.AsNoTracking().FirstOrDefaultAsync(row => row.AnalysisKey == key && row.Index == index, cancellation);

    /// <summary>What the engine found in a class; null until it is ready.</summary>
    public static ClassAtlas? AtlasOf(ClassEntity row) => row.Atlas is null ? null : JsonSerializer.Deserialize<ClassAtlas>(row.Atlas, Json.Options);

    /// <summary>Names that people gave, by concept.</summary>
    public static async Task<Dictionary<int, string>> ConceptNamesAsync(DashboardDbContext database, int key, CancellationToken cancellation) =>
        await database.Annotations.AsNoTracking()
            .Where(row => row.AnalysisKey == key && row.Kind == AnnotationEntity.Concept && row.Name != null)
            .ToDictionaryAsync(row => row.Target, row => row.Name!, cancellation);

    /// <summary>Concepts that a person has hidden or merged.</summary>
    public static Task<Dictionary<int, AnnotationEntity>> PutAwayAsync(DashboardDbContext database, int key, CancellationToken cancellation) =>
        database.Annotations.AsNoTracking().Where(row => row.AnalysisKey == key && row.Kind == AnnotationEntity.Concept && row.Verdict != null)
            .ToDictionaryAsync(row => row.Target, cancellation);

    /// <summary>The class of each output of the network; the first where several classes map to one.</summary>
    public static async Task<Dictionary<int, int>> ClassOfOutputAsync(DashboardDbContext database, int key, CancellationToken cancellation)
    {
        var rows = await database.Classes.AsNoTracking().Where(row => row.AnalysisKey == key && row.Label != null)
            .OrderBy(row => row.Index).Select(row => new { row.Index, row.Label }).ToListAsync(cancellation);
        var classes = new Dictionary<int, int>();
        foreach (var row in rows)
        {
            classes.TryAdd(row.Label!.Value, row.Index);
        }

        return classes;
    }

    /// <summary>Whether samples are predicted as labelled; null where either is not known.</summary>
    public static async Task<Dictionary<int, bool?>> CorrectAsync(DashboardDbContext database, int key, IEnumerable<int> samples, CancellationToken cancellation)
    {
        var indices = samples.Distinct().ToList();
        return await database.Samples.AsNoTracking().Where(row => row.AnalysisKey == key && indices.Contains(row.Index))
            .Select(row => new { row.Index, row.Label, row.Predicted })
            .ToDictionaryAsync(row => row.Index, row => row.Label is null || row.Predicted is null ? (bool?)null : row.Label == row.Predicted, cancellation);
    }

    /// <summary>Names of the outputs; empty where the network has none.</summary>
    public static IReadOnlyList<string> Outputs(AnalysisEntity analysis) =>
        analysis.OutputNames is null ? [] : JsonSerializer.Deserialize<string[]>(analysis.OutputNames, Json.Options) ?? [];
}
