using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Client.Urls;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Services;

/// <summary>Searches the catalogue by words; labels are those of the newest result of their task.</summary>
internal sealed class SearchService(IDbContextFactory<DashboardDbContext> databases, LabelIndex labelIndex) : ISearchService
{
    private const int MostWords = 8;
    private const int LongestText = 200;
    private const int MostTaken = 50;
    private const string Escape = "\\";

    public async Task<IReadOnlyList<SearchHit>> FindAsync(string? analysisId, string text, int take = 6, CancellationToken cancellation = default)
    {
        take = Math.Clamp(take, 1, MostTaken);
        var words = (text.Length > LongestText ? text[..LongestText] : text).Split(' ', StringSplitOptions.RemoveEmptyEntries).Take(MostWords).ToArray();
        if (words.Length == 0)
        {
            return [];
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        var here = analysisId is null ? null : await database.Analyses.AsNoTracking().Where(row => row.Id == analysisId)
            .Select(row => new { row.Key, row.State }).FirstOrDefaultAsync(cancellation);
        if (analysisId is not null && here is null)
        {
            return [];
        }

        var patterns = words.Select(Pattern).ToArray();
        var labels = here is null ? ShortLabels.None : await labelIndex.OfAsync(database, analysisId!, here.Key, cancellation);
        var hits = new List<SearchHit>();
        hits.AddRange(await AnalysesAsync(database, patterns, take, cancellation));
        hits.AddRange(await ClassesAsync(database, here?.Key, patterns, take, cancellation));
        hits.AddRange(await ConceptsAsync(database, here?.Key, labels, patterns, take, cancellation));
        hits.AddRange(await UserConceptsAsync(database, here?.Key, patterns, take, cancellation));
        hits.AddRange(await StrategiesAsync(database, here?.Key, patterns, take, cancellation));
        if (here is not null)
        {
            hits.AddRange(labels.Units
                .Where(unit => words.All(word => unit.Label!.Contains(word, StringComparison.OrdinalIgnoreCase) || unit.Title.Contains(word, StringComparison.OrdinalIgnoreCase)))
                .Take(take)
                .Select(unit => new SearchHit(
                    "label", unit.Label!, unit.Title, PageUrls.Labels(analysisId!, unit.Key), unit.Concept is { } concept ? ApiUrls.Crop(analysisId!, concept, 0, 96) : null, unit.Concept)));
        }

        return hits;
    }

    // Wildcards of LIKE stand for themselves.
    private static string Pattern(string word) =>
        "%" + word.Replace(Escape, Escape + Escape, StringComparison.Ordinal).Replace("%", Escape + "%", StringComparison.Ordinal).Replace("_", Escape + "_", StringComparison.Ordinal) + "%";

    private static async Task<IEnumerable<SearchHit>> AnalysesAsync(DashboardDbContext database, string[] patterns, int take, CancellationToken cancellation)
    {
        var rows = database.Analyses.AsNoTracking();
        foreach (var pattern in patterns)
        {
            rows = rows.Where(row => EF.Functions.Like(row.Name, pattern, Escape));
        }

        var found = await rows.OrderByDescending(row => row.Key).Take(take)
            .Select(row => new { row.Id, row.Name, row.State, row.NetworkName, row.DatasetName }).ToListAsync(cancellation);
        return found.Select(row => new SearchHit(
            "analysis",
            row.Name,
            string.Join(" on ", new[] { row.NetworkName, row.DatasetName }.Where(name => name.Length > 0)),
            row.State == AnalysisState.Completed ? PageUrls.Atlas(row.Id) : PageUrls.Analysis(row.Id)));
    }

    private static async Task<IEnumerable<SearchHit>> ClassesAsync(DashboardDbContext database, int? key, string[] patterns, int take, CancellationToken cancellation)
    {
        var rows = database.Classes.AsNoTracking().Where(row => row.Ready && (key == null || row.AnalysisKey == key));
        foreach (var pattern in patterns)
        {
            rows = rows.Where(row => EF.Functions.Like(row.DisplayName, pattern, Escape) || EF.Functions.Like(row.Name, pattern, Escape));
        }

        var found = await rows.OrderBy(row => row.DisplayName.Length).ThenBy(row => row.DisplayName).ThenByDescending(row => row.AnalysisKey).Take(take)
            .Join(database.Analyses, row => row.AnalysisKey, analysis => analysis.Key, (row, analysis) => new { row.Index, row.DisplayName, analysis.Id, analysis.Name })
            .ToListAsync(cancellation);
        return found.Select(row => new SearchHit("class", row.DisplayName, row.Name, PageUrls.Class(row.Id, row.Index)));
    }

    // A concept is found by its own name, its code and its class: "plain star c0".
    private static async Task<IEnumerable<SearchHit>> ConceptsAsync(DashboardDbContext database, int? key, ShortLabels labels, string[] patterns, int take, CancellationToken cancellation)
    {
        var rows =
            from concept in database.Concepts.AsNoTracking()
            where key == null || concept.AnalysisKey == key
            join row in database.Classes on new { concept.AnalysisKey, Index = concept.Class } equals new { row.AnalysisKey, row.Index }
            join analysis in database.Analyses on concept.AnalysisKey equals analysis.Key
            join note in database.Annotations.Where(note => note.Kind == AnnotationEntity.Concept)
                on new { concept.AnalysisKey, Target = concept.Id } equals new { note.AnalysisKey, note.Target } into notes
            from note in notes.DefaultIfEmpty()
            select new { concept.Id, concept.Rank, ClassName = row.DisplayName, Analysis = analysis.Id, note.Name };
        foreach (var pattern in patterns)
        {
            rows = rows.Where(row => EF.Functions.Like(row.ClassName + " c" + row.Rank + " " + (row.Name ?? ""), pattern, Escape));
        }

        var found = await rows.OrderBy(row => row.Name == null).ThenBy(row => row.Rank).ThenBy(row => row.ClassName.Length).ThenBy(row => row.ClassName).Take(take).ToListAsync(cancellation);
        return found.Select(row => new SearchHit(
            "concept",
            string.IsNullOrWhiteSpace(row.Name) ? $"{Names.Code(row.Rank)} of {row.ClassName}" : row.Name,
            string.IsNullOrWhiteSpace(row.Name) ? labels.OfConcept(row.Id)?.Text ?? "" : $"{Names.Code(row.Rank)} of {row.ClassName}",
            PageUrls.Concept(row.Analysis, row.Id),
            ApiUrls.Crop(row.Analysis, row.Id, 0, 96),
            row.Id));
    }

    private static async Task<IEnumerable<SearchHit>> UserConceptsAsync(DashboardDbContext database, int? key, string[] patterns, int take, CancellationToken cancellation)
    {
        var rows = database.UserConcepts.AsNoTracking().Where(row => key == null || row.AnalysisKey == key);
        foreach (var pattern in patterns)
        {
            rows = rows.Where(row => EF.Functions.Like(row.Name, pattern, Escape));
        }

        var found = await rows.OrderByDescending(row => row.Key).Take(take)
            .Join(database.Analyses, row => row.AnalysisKey, analysis => analysis.Key, (row, analysis) => new { row.Id, row.Name, Analysis = analysis.Id })
            .ToListAsync(cancellation);
        return found.Select(row => new SearchHit("probe", row.Name, "defined by people", PageUrls.Probe(row.Analysis, row.Id)));
    }

    private static async Task<IEnumerable<SearchHit>> StrategiesAsync(DashboardDbContext database, int? key, string[] patterns, int take, CancellationToken cancellation)
    {
        var rows = database.Annotations.AsNoTracking()
            .Where(row => row.Kind == AnnotationEntity.Strategy && row.Name != null && (key == null || row.AnalysisKey == key));
        foreach (var pattern in patterns)
        {
            rows = rows.Where(row => EF.Functions.Like(row.Name!, pattern, Escape));
        }

        var found = await rows.OrderBy(row => row.Target).Take(take)
            .Join(database.Analyses, row => row.AnalysisKey, analysis => analysis.Key, (row, analysis) => new { row.Target, row.Name, analysis.Id, analysis.Key })
            .ToListAsync(cancellation);
        var hits = new List<SearchHit>();
        foreach (var row in found)
        {
            var (index, strategy) = AnnotationEntity.StrategyOf(row.Target);
            var name = await database.Classes.Where(other => other.AnalysisKey == row.Key && other.Index == index).Select(other => other.DisplayName).FirstOrDefaultAsync(cancellation);
            hits.Add(new SearchHit("strategy", row.Name!, $"{Names.StrategyCode(strategy)} of {name}", PageUrls.Strategy(row.Id, index, strategy)));
        }

        return hits;
    }
}
