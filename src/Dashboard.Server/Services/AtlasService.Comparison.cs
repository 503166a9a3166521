using System.Text.Json;
using Analysis.Atlas;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Runs;
using Dashboard.Client.Contracts;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Services;

/// <content>Finished analyses side by side.</content>
internal sealed partial class AtlasService : IComparisonService
{
    // Matching is cubic in the concepts of a class; more classes than a page can show add nothing.
    private const int MostMatchedClasses = 200;

    public async Task<RunComparison> RunsAsync(IReadOnlyList<string> analysisIds, CancellationToken cancellation = default)
    {
        var found = new List<(AnalysisEntity Analysis, Manifest? Manifest)>();
        foreach (var id in analysisIds.Distinct(StringComparer.Ordinal).Take(IComparisonService.MostRuns))
        {
            if (await analyses.FindAsync(id, cancellation) is { State: AnalysisState.Completed } analysis)
            {
                found.Add((analysis, ReadManifest(folders.Run(id))));
            }
        }

        var runs = new List<RunFigures>(found.Count);
        foreach (var (analysis, manifest) in found)
        {
            runs.Add(await FiguresAsync(analysis, manifest, cancellation));
        }

        var matches = new List<RunMatch>();
        foreach (var (other, manifest) in found.Skip(1))
        {
            matches.Add(await MatchAsync(found[0], (other, manifest), cancellation));
        }

        return new RunComparison(runs, matches);
    }

    private async Task<RunFigures> FiguresAsync(AnalysisEntity analysis, Manifest? manifest, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var key = analysis.Key;
        var classes = await database.Classes.AsNoTracking().Where(row => row.AnalysisKey == key).Select(row => new { row.Index, row.Strategies }).ToListAsync(cancellation);
        return new RunFigures
        {
            Analysis = analyses.Summary(analysis),
            RelativeError = await Task.Run(() => RelativeError(folders.Run(analysis.Id), [.. classes.Select(row => row.Index)], cancellation), cancellation),
            Stability = await database.Concepts.Where(row => row.AnalysisKey == key && row.Stability != null).AverageAsync(row => row.Stability, cancellation),
            Shared = await database.Concepts.Where(row => row.AnalysisKey == key && row.Shared != null).GroupBy(row => row.Shared).CountAsync(group => group.Count() > 1, cancellation),
            Strategies = classes.Sum(row => row.Strategies),
            Outliers = await database.Samples.CountAsync(row => row.AnalysisKey == key && row.OutlierKind != "", cancellation),
            Seconds = manifest?.Stages.Sum(stage => stage.Seconds),
        };
    }

    private async Task<RunMatch> MatchAsync((AnalysisEntity Analysis, Manifest? Manifest) first, (AnalysisEntity Analysis, Manifest? Manifest) second, CancellationToken cancellation)
    {
        RunMatch None(string why) => new(first.Analysis.Id, second.Analysis.Id, null, why, []);
        if (first.Manifest is not { } left || second.Manifest is not { } right)
        {
            return None("The recipe of one of them cannot be read.");
        }

        if (left.Network.Sha256 != right.Network.Sha256 || left.Layer.Name != right.Layer.Name)
        {
            return None(left.Network.Sha256 != right.Network.Sha256 ? "They look at different networks: their concepts live in different spaces." : $"They look at different layers ({left.Layer.Name} and {right.Layer.Name}): their concepts live in different spaces.");
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        var (own, other) = (await ConceptsByClassAsync(database, first.Analysis.Key, cancellation), await ConceptsByClassAsync(database, second.Analysis.Key, cancellation));
        var common = own.Join(other, entry => entry.Name, entry => entry.Name, (a, b) => (First: a, Second: b)).Where(pair => pair.First.Concepts.Count > 0 && pair.Second.Concepts.Count > 0).Take(MostMatchedClasses).ToList();
        if (common.Count == 0)
        {
            return None("They have no class in common.");
        }

        var (bank, otherBank) = (await BankAsync(first.Analysis, cancellation), await BankAsync(second.Analysis, cancellation));
        var classes = await Task.Run(() => common.Select(pair => Match(pair.First, pair.Second, bank, otherBank)).Where(match => match.Pairs.Count > 0).OrderByDescending(match => match.Cosine).ToList(), cancellation);
        return classes.Count == 0
            ? None("Their concept vectors cannot be compared.")
            : new RunMatch(first.Analysis.Id, second.Analysis.Id, classes.Average(match => match.Cosine), "", classes);
    }

    private static ClassMatch Match(ClassConcepts first, ClassConcepts second, ConceptBank bank, ConceptBank other)
    {
        // The matching wants the smaller side as rows.
        var swapped = first.Concepts.Count > second.Concepts.Count;
        var (rows, columns) = swapped ? (second.Concepts, first.Concepts) : (first.Concepts, second.Concepts);
        var cosine = new DenseMatrix(rows.Count, columns.Count);
        var cost = new DenseMatrix(rows.Count, columns.Count);
        for (var i = 0; i < rows.Count; i++)
        {
            for (var j = 0; j < columns.Count; j++)
            {
                var value = (swapped ? ConceptBank.Cosine(bank, columns[j].Id, other, rows[i].Id) : ConceptBank.Cosine(bank, rows[i].Id, other, columns[j].Id)) ?? 0;
                cosine[i, j] = value;
                // The sign of a vector is arbitrary for some methods.
                cost[i, j] = 1 - Math.Abs(value);
            }
        }

        var chosen = Assignment.Minimize(cost);
        var pairs = chosen.Select((column, row) => swapped ? new ConceptMatch(columns[column], rows[row], cosine[row, column]) : new ConceptMatch(rows[row], columns[column], cosine[row, column]))
            .OrderByDescending(pair => Math.Abs(pair.Cosine)).ToList();
        return new ClassMatch(
            first.DisplayName, first.Index, second.Index, pairs.Count == 0 ? 0 : pairs.Average(pair => Math.Abs(pair.Cosine)), pairs, columns.Count - rows.Count);
    }

    private static async Task<List<ClassConcepts>> ConceptsByClassAsync(DashboardDbContext database, int key, CancellationToken cancellation)
    {
        var names = await ConceptNamesAsync(database, key, cancellation);
        var concepts = (await database.Concepts.AsNoTracking().Where(row => row.AnalysisKey == key).OrderBy(row => row.Rank).ToListAsync(cancellation)).ToLookup(row => row.Class);
        return
        [
            .. (await database.Classes.AsNoTracking().Where(row => row.AnalysisKey == key).OrderBy(row => row.Index).Select(row => new { row.Index, row.Name, row.DisplayName }).ToListAsync(cancellation))
                .Select(row => new ClassConcepts(row.Index, row.Name, row.DisplayName, [.. concepts[row.Index].Select(concept => Tile(concept, names))])),
        ];
    }

    /// <summary>Mean over images of ‖a − uV‖ / ‖a‖; null where no class has it.</summary>
    private static double? RelativeError(string runFolder, IReadOnlyList<int> classes, CancellationToken cancellation)
    {
        double sum = 0;
        long count = 0;
        foreach (var index in classes)
        {
            cancellation.ThrowIfCancellationRequested();
            var path = ClassArraysFile.PathOf(runFolder, index);
            if (!File.Exists(path))
            {
                continue;
            }

            using var file = SafetensorsFile.Open(path);
            if (!file.Entries.ContainsKey("residual"))
            {
                continue;
            }

            foreach (var value in file.Span<float>("residual"))
            {
                if (float.IsFinite(value))
                {
                    sum += value;
                    count++;
                }
            }
        }

        return count > 0 ? sum / count : null;
    }

    private static Manifest? ReadManifest(string runFolder)
    {
        try
        {
            return JsonSerializer.Deserialize<Manifest>(File.ReadAllBytes(Path.Combine(runFolder, "manifest.json")), AnalysisJson.Options);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    private sealed record ClassConcepts(int Index, string Name, string DisplayName, IReadOnlyList<ConceptTile> Concepts);
}
