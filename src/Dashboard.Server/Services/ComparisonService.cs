using System.Collections.Concurrent;
using Analysis.Atlas;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Services;

/// <summary>Puts finished analyses side by side. Needs no tensor library; what two analyses have in common is found once and kept.</summary>
internal sealed class ComparisonService(
    IDbContextFactory<DashboardDbContext> databases, AnalysisService analyses, DataFolders folders, IAtlasService atlas) : IComparisonService
{
    private const double UsualCosine = 0.9;
    private const double UsualCorrelation = 0.5;
    private const int MostPairings = 6;
    private const int MostOutliers = 24;
    private readonly ConcurrentDictionary<(string First, string Second), (int First, int Second, Progress Progress, Task<RunPairing> Pairing)> _pairings = new();

    public async Task<RunComparison> RunsAsync(IReadOnlyList<string> analysisIds, CancellationToken cancellation = default)
    {
        var (runs, unfinished, unknown) = (new List<RunFigures>(), new List<AnalysisSummary>(), new List<string>());
        foreach (var id in analysisIds.Distinct(StringComparer.Ordinal).Take(IComparisonService.MostRuns))
        {
            switch (await analyses.FindAsync(id, cancellation))
            {
                case null:
                    unknown.Add(id);
                    break;
                case { State: AnalysisState.Completed } analysis:
                    runs.Add(await FiguresAsync(analysis, cancellation));
                    break;
                case { } analysis:
                    unfinished.Add(analyses.Summary(analysis));
                    break;
            }
        }

        return new RunComparison(runs, unfinished, unknown);
    }

    public async Task<PairView?> PairAsync(string first, string second, double? least = null, CancellationToken cancellation = default)
    {
        if (await FindAsync(first, second, cancellation) is not var (own, other, pairing))
        {
            return null;
        }

        var from = Least(pairing, least);
        return new PairView
        {
            First = analyses.Summary(own),
            Second = analyses.Summary(other),
            Problem = pairing.Problem,
            Measure = pairing.Measure,
            Apart = pairing.Apart,
            Least = from,
            SignIgnored = pairing.SignIgnored,
            Common = pairing.Common,
            FirstSide = pairing.FirstSide,
            SecondSide = pairing.SecondSide,
            Changed = pairing.Changed.Count,
            Mended = pairing.Mended,
            Broken = pairing.Broken,
            Classes = await Task.Run(() => pairing.Classes.Select(row => row.Row(from, row.Match(from, pairing.SignIgnored))).ToList(), cancellation),
            OnlyFirst = pairing.OnlyFirst,
            OnlySecond = pairing.OnlySecond,
        };
    }

    public async Task<ClassPairView?> ClassPairAsync(string first, string second, string name, double? least = null, CancellationToken cancellation = default)
    {
        if (await FindAsync(first, second, cancellation) is not var (own, other, pairing)
            || pairing.Classes.FirstOrDefault(row => row.Name == name) is not { } data
            || await atlas.ClassAsync(first, data.First, cancellation) is not { } left
            || await atlas.ClassAsync(second, data.Second, cancellation) is not { } right)
        {
            return null;
        }

        var from = Least(pairing, least);
        var pairs = data.Match(from, pairing.SignIgnored);
        var (top, shared) = await Task.Run(() => pairing.SharedTop(folders, first, second, data, pairs), cancellation);
        var (agreement, onlyFirst, onlySecond) = await ImagesAsync(own, other, pairing, data, cancellation);
        return new ClassPairView
        {
            Class = data.Row(from, pairs),
            First = left,
            Second = right,
            Pairs = [.. pairs.Select((pair, place) => new PairedConcept(pair.First, pair.Second, pair.Similarity, top > 0 ? shared[place] : 0))],
            Top = top,
            Lost = data.Similarity is null ? [] : Lone(data.FirstImportance.Count, pairs.Select(pair => pair.First), data.SecondImportance.Count, (i, j) => data.Similarity[i, j], pairing.SignIgnored),
            Gained = data.Similarity is null ? [] : Lone(data.SecondImportance.Count, pairs.Select(pair => pair.Second), data.FirstImportance.Count, (i, j) => data.Similarity[j, i], pairing.SignIgnored),
            StrategyAgreement = agreement,
            OutliersOnlyFirst = new(await atlas.SamplesAsync(first, [.. onlyFirst.Take(MostOutliers)], cancellation), onlyFirst.Count),
            OutliersOnlySecond = new(await atlas.SamplesAsync(second, [.. onlySecond.Take(MostOutliers)], cancellation), onlySecond.Count),
        };
    }

    public async Task<Paged<ChangedSample>> ChangedAsync(string first, string second, string? name, int skip, int take, CancellationToken cancellation = default)
    {
        if (await FindAsync(first, second, cancellation) is not var (own, _, pairing))
        {
            return new Paged<ChangedSample>([], 0);
        }

        var rows = pairing.Changed;
        if (name is not null)
        {
            await using var database = await databases.CreateDbContextAsync(cancellation);
            var index = pairing.Classes.FirstOrDefault(row => row.Name == name)?.First ?? -1;
            var members = await database.Samples.AsNoTracking().Where(row => row.AnalysisKey == own.Key && row.Class == index).Select(row => row.Index).ToListAsync(cancellation);
            rows = [.. rows.Intersect(members)];
        }

        var part = rows.Skip(Math.Max(0, skip)).Take(Math.Clamp(take, 0, AnalysisService.MostRows)).ToList();
        var left = (await atlas.SamplesAsync(first, part, cancellation)).ToDictionary(tile => tile.Index);
        var right = (await atlas.SamplesAsync(second, [.. part.Select(pairing.RowInSecond)], cancellation)).DistinctBy(tile => tile.Index).ToDictionary(tile => tile.Index);
        return new Paged<ChangedSample>(
            [.. part.Where(row => left.ContainsKey(row) && right.ContainsKey(pairing.RowInSecond(row))).Select(row => new ChangedSample(left[row], right[pairing.RowInSecond(row)]))],
            rows.Count);
    }

    public (int Done, int Total)? Reading(string first, string second) =>
        _pairings.TryGetValue((first, second), out var kept) && !kept.Pairing.IsCompleted ? kept.Progress.Last : null;

    private static double Least(RunPairing pairing, double? asked) =>
        asked is > 0 and <= 1 and var least ? least : pairing.Measure == MatchMeasure.Cosine ? UsualCosine : UsualCorrelation;

    private static List<LoneConcept> Lone(int count, IEnumerable<int> matched, int others, Func<int, int, double> similarity, bool ignoreSign)
    {
        var taken = matched.ToHashSet();
        return
        [
            .. Enumerable.Range(0, count).Where(rank => !taken.Contains(rank)).Select(rank => others == 0
                ? new LoneConcept(rank, null, 0)
                : Enumerable.Range(0, others).Select(other => new LoneConcept(rank, other, similarity(rank, other)))
                    .MaxBy(lone => ignoreSign ? Math.Abs(lone.Similarity) : lone.Similarity)!),
        ];
    }

    /// <summary>Both analyses, finished, with what they have in common; null where one does not exist or has not finished.</summary>
    private async Task<(AnalysisEntity First, AnalysisEntity Second, RunPairing Pairing)?> FindAsync(string first, string second, CancellationToken cancellation)
    {
        if (await analyses.FindAsync(first, cancellation) is not { State: AnalysisState.Completed } own
            || await analyses.FindAsync(second, cancellation) is not { State: AnalysisState.Completed } other)
        {
            return null;
        }

        // All who look at the same two share one reading; it goes on when the first of them leaves.
        (int First, int Second, Progress Progress, Task<RunPairing> Pairing) Read()
        {
            var progress = new Progress();
            return (own.Version, other.Version, progress, Task.Run(() => RunPairing.ReadAsync(databases, folders, own, other, progress, CancellationToken.None), CancellationToken.None));
        }

        var kept = _pairings.AddOrUpdate((first, second), _ => Read(), (_, old) => old.First == own.Version && old.Second == other.Version && !old.Pairing.IsFaulted ? old : Read());
        if (_pairings.Count > MostPairings && _pairings.Keys.FirstOrDefault(pair => pair != (first, second)) is { First: not null } one)
        {
            _pairings.TryRemove(one, out _);
        }

        return (own, other, await kept.Pairing.WaitAsync(cancellation));
    }

    /// <summary>What became of the images of a class: agreement of the strategies, and those that only one of the two flags.</summary>
    private async Task<(double? Agreement, IReadOnlyList<int> OnlyFirst, IReadOnlyList<int> OnlySecond)> ImagesAsync(
        AnalysisEntity own, AnalysisEntity other, RunPairing pairing, PairedClassData data, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var first = await RowsAsync(own, data.First);
        var second = await RowsAsync(other, data.Second);
        var both = first.Values.Where(row => second.ContainsKey(pairing.RowInSecond(row.Index))).Select(row => (First: row, Second: second[pairing.RowInSecond(row.Index)])).ToList();
        var divided = both.Where(pair => pair is { First.Strategy: >= 0, Second.Strategy: >= 0 }).ToList();
        return (
            divided.Count < 2 ? null : ClusterAgreement.AdjustedRand(divided.Select(pair => pair.First.Strategy!.Value).ToArray(), divided.Select(pair => pair.Second.Strategy!.Value).ToArray()),
            [.. both.Where(pair => pair.First.OutlierKind.Length > 0 && pair.Second.OutlierKind.Length == 0).OrderBy(pair => pair.First.OutlierRank).Select(pair => pair.First.Index)],
            [.. both.Where(pair => pair.First.OutlierKind.Length == 0 && pair.Second.OutlierKind.Length > 0).OrderBy(pair => pair.Second.OutlierRank).Select(pair => pair.Second.Index)]);

        Task<Dictionary<int, SampleEntity>> RowsAsync(AnalysisEntity analysis, int index) =>
            database.Samples.AsNoTracking().Where(row => row.AnalysisKey == analysis.Key && row.Class == index).ToDictionaryAsync(row => row.Index, cancellation);
    }

    private async Task<RunFigures> FiguresAsync(AnalysisEntity analysis, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var key = analysis.Key;
        var classes = await database.Classes.AsNoTracking().Where(row => row.AnalysisKey == key).Select(row => new { row.Index, row.Strategies }).ToListAsync(cancellation);
        var runFolder = folders.Run(analysis.Id);
        return new RunFigures
        {
            Analysis = analyses.Summary(analysis),
            RelativeError = await Task.Run(() => RelativeError(runFolder, [.. classes.Select(row => row.Index)], cancellation), cancellation),
            Stability = await database.Concepts.Where(row => row.AnalysisKey == key && row.Stability != null).AverageAsync(row => row.Stability, cancellation),
            Shared = await database.Concepts.Where(row => row.AnalysisKey == key && row.Shared != null).GroupBy(row => row.Shared).CountAsync(group => group.Count() > 1, cancellation),
            Strategies = classes.Sum(row => row.Strategies),
            Outliers = await database.Samples.CountAsync(row => row.AnalysisKey == key && row.OutlierKind != "", cancellation),
            Seconds = RunFiles.Manifest(runFolder)?.Stages.Sum(stage => stage.Seconds),
        };
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

    private sealed class Progress : IProgress<(int Done, int Total)>
    {
        // Both numbers in one, so that a reader never sees those of two reports.
        private long _last;

        public (int Done, int Total) Last
        {
            get
            {
                var last = Interlocked.Read(ref _last);
                return ((int)(last >> 32), (int)last);
            }
        }

        public void Report((int Done, int Total) value) => Interlocked.Exchange(ref _last, ((long)value.Done << 32) | (uint)value.Total);
    }
}
