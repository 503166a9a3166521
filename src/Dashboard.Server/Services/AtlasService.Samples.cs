using Analysis.Atlas;
using Analysis.Networks.Files;
using Dashboard.Client.Contracts;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;
using static Dashboard.Server.Services.AtlasCards;
using static Dashboard.Server.Services.AtlasRows;

namespace Dashboard.Server.Services;

/// <content>Samples, and what the run stored of each.</content>
internal sealed partial class AtlasService
{
    public async Task<SampleView?> SampleAsync(string analysisId, int sample, CancellationToken cancellation = default)
    {
        if (await analyses.FindAsync(analysisId, cancellation) is not { } analysis)
        {
            return null;
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        var key = analysis.Key;
        var entity = await database.Samples.AsNoTracking().FirstOrDefaultAsync(row => row.AnalysisKey == key && row.Index == sample, cancellation);
        if (entity is null)
        {
            return null;
        }

        var tile = (await TilesAsync(database, analysis, [entity], cancellation))[0];
        var outputs = Outputs(analysis);
        var runFolder = folders.Run(analysis.Id);
        var view = new SampleView
        {
            Analysis = analyses.Summary(analysis),
            Sample = tile,
            Top = Top(runFolder, analysis, entity, outputs),
            Logit = entity.Logit,
            Detectors = Detectors(runFolder, analysis, sample),
            Previous = await database.Samples.Where(row => row.AnalysisKey == key && row.Class == entity.Class && row.Index < sample).MaxAsync(row => (int?)row.Index, cancellation),
            Next = await database.Samples.Where(row => row.AnalysisKey == key && row.Class == entity.Class && row.Index > sample).MinAsync(row => (int?)row.Index, cancellation),
        };
        var classRow = await ClassRowAsync(database, key, entity.Class, cancellation);
        var atlas = classRow is null ? null : AtlasOf(classRow);
        var data = atlas is null ? null : arrays.Find(runFolder, entity.Class);
        if (atlas is null || data is null || data.PositionOf(sample) is not (>= 0 and var position) || data.Concepts != atlas.Concepts.Count)
        {
            return view;
        }

        var names = await NamesAsync(database, analysis, cancellation);
        var labels = await ClassOfOutputAsync(database, key, cancellation);
        var put = await PutAwayAsync(database, key, cancellation);
        var correct = await CorrectAsync(database, key, atlas.Concepts.SelectMany(concept => concept.Exemplars.Select(exemplar => exemplar.Sample)), cancellation);
        var width = data.Concepts + 1;
        var row = data.Contributions.AsSpan(position * width, width).ToArray();
        var against = data.Against.AsSpan(position * width, width).ToArray();
        var contributions = atlas.Concepts
            .Select((concept, rank) => (Tile: Tile(concept, names), rank))
            .Select(entry => new ContributionView(entry.Tile, entry.Tile.Name, row[entry.rank], against[entry.rank]))
            .Append(new ContributionView(null, "not explained by a concept", row[^1], against[^1]))
            .ToList();
        var target = data.Target[position];
        var logit = Logits(runFolder, analysis, sample) is { } logits && target >= 0 && target < logits.Length ? logits[target]
            : target == entity.Predicted ? entity.Logit : (double?)null;
        if (logit is { } known)
        {
            contributions.Add(new ContributionView(null, "bias", known - row.Sum(value => (double)value)));
        }

        var nearest = data.Nearest(row, NearestSamples, position);
        var strategy = (await StrategiesAsync(database, key, atlas, names, put, cancellation)).FirstOrDefault(entry => entry.Index == data.Strategy[position]);
        var tiles = (await SamplesAsync(analysisId, [.. nearest.Select(pair => pair.Sample), .. strategy is null ? [] : new[] { strategy.Prototype }], cancellation))
            .DistinctBy(other => other.Index)
            .ToDictionary(other => other.Index);
        return view with
        {
            Contributions = contributions,
            ContributionsTo = Name(outputs, target),
            Logit = logit ?? row.Sum(value => (double)value),
            Concepts = [.. atlas.Concepts.OrderByDescending(concept => row[concept.Rank]).Select(concept => Card(concept, names, labels, correct, put))],
            HasMaps = data.MapHeight * data.MapWidth > 0 && data.Concepts > 0,
            Strategy = strategy,
            Prototype = strategy is null ? null : tiles.GetValueOrDefault(strategy.Prototype),
            Nearest = [.. nearest.Where(pair => tiles.ContainsKey(pair.Sample)).Select(pair => (tiles[pair.Sample], pair.Distance))],
        };
    }

    public async Task<IReadOnlyList<SampleTile>> SamplesAsync(string analysisId, IReadOnlyList<int> samples, CancellationToken cancellation = default)
    {
        if (await analyses.FindAsync(analysisId, cancellation) is not { } analysis)
        {
            return [];
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        var found = new Dictionary<int, SampleTile>();
        foreach (var part in samples.Distinct().Chunk(500))
        {
            var rows = await database.Samples.AsNoTracking().Where(row => row.AnalysisKey == analysis.Key && part.Contains(row.Index)).ToListAsync(cancellation);
            foreach (var tile in await TilesAsync(database, analysis, rows, cancellation))
            {
                found[tile.Index] = tile;
            }
        }

        return [.. samples.Where(found.ContainsKey).Select(index => found[index])];
    }

    public async Task<OutlierView?> OutliersAsync(string analysisId, OutlierFilter filter, int skip, int take, CancellationToken cancellation = default)
    {
        if (await analyses.FindAsync(analysisId, cancellation) is not { } analysis)
        {
            return null;
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        var key = analysis.Key;
        var rows = database.Samples.AsNoTracking().Where(row => row.AnalysisKey == key && row.OutlierRank != null);
        rows = filter switch
        {
            { Kind: { Length: > 0 } kind } => rows.Where(row => row.OutlierKind != "" && row.OutlierKind == kind),
            { All: false } => rows.Where(row => row.OutlierKind != ""),
            _ => rows,
        };
        if (filter.Class is { } index)
        {
            rows = rows.Where(row => row.Class == index);
        }

        if (filter.Unjudged)
        {
            rows = rows.Where(row => !database.Annotations.Any(annotation =>
                annotation.AnalysisKey == key && annotation.Kind == AnnotationEntity.Sample && annotation.Target == row.Index && annotation.Verdict != null));
        }

        var total = await rows.CountAsync(cancellation);
        var page = await rows.OrderBy(row => row.OutlierRank).Skip(Math.Max(0, skip)).Take(Math.Clamp(take, 0, AnalysisService.MostRows)).ToListAsync(cancellation);
        return new OutlierView
        {
            Analysis = analyses.Summary(analysis),
            Kinds = await KindsAsync(database, key, filter.Class, cancellation),
            Samples = new Paged<SampleTile>(await TilesAsync(database, analysis, page, cancellation), total),
            Pending = !await database.Samples.AnyAsync(row => row.AnalysisKey == key && row.OutlierRank != null, cancellation)
                && analysis.State is AnalysisState.Queued or AnalysisState.Running,
        };
    }

    public async Task<Paged<SampleTile>> ClassSamplesAsync(string analysisId, int classIndex, int? strategy, int skip, int take, CancellationToken cancellation = default)
    {
        if (await analyses.FindAsync(analysisId, cancellation) is not { } analysis)
        {
            return new Paged<SampleTile>([], 0);
        }

        if (strategy is { } chosen)
        {
            // Strategies are known from the class's arrays while the run goes on; the table has them at the end only.
            if (arrays.Find(folders.Run(analysis.Id), classIndex) is not { } data)
            {
                return new Paged<SampleTile>([], 0);
            }

            var members = data.Sample.Where((_, position) => data.Strategy[position] == chosen).ToList();
            var part = members.Skip(Math.Max(0, skip)).Take(Math.Clamp(take, 0, AnalysisService.MostRows)).ToList();
            return new Paged<SampleTile>(await SamplesAsync(analysisId, part, cancellation), members.Count);
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        return await PageAsync(
            database, analysis, database.Samples.AsNoTracking().Where(row => row.AnalysisKey == analysis.Key && row.Class == classIndex), skip, take, cancellation);
    }

    /// <summary>All samples in row order.</summary>
    public async Task<Paged<SampleTile>> AllSamplesAsync(string analysisId, int skip, int take, CancellationToken cancellation)
    {
        if (await analyses.FindAsync(analysisId, cancellation) is not { } analysis)
        {
            return new Paged<SampleTile>([], 0);
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        return await PageAsync(database, analysis, database.Samples.AsNoTracking().Where(row => row.AnalysisKey == analysis.Key), skip, take, cancellation);
    }

    private async Task<Paged<SampleTile>> PageAsync(
        DashboardDbContext database, AnalysisEntity analysis, IQueryable<SampleEntity> rows, int skip, int take, CancellationToken cancellation)
    {
        var total = await rows.CountAsync(cancellation);
        var page = await rows.OrderBy(row => row.Index).Skip(Math.Max(0, skip)).Take(Math.Clamp(take, 0, AnalysisService.MostRows)).ToListAsync(cancellation);
        return new Paged<SampleTile>(await TilesAsync(database, analysis, page, cancellation), total);
    }

    private async Task<IReadOnlyList<SampleTile>> TilesAsync(
        DashboardDbContext database, AnalysisEntity analysis, IReadOnlyList<SampleEntity> rows, CancellationToken cancellation)
    {
        var key = analysis.Key;
        var outputs = Outputs(analysis);
        var classIndices = rows.Select(row => row.Class).Distinct().ToList();
        var classNames = await database.Classes.AsNoTracking().Where(row => row.AnalysisKey == key && classIndices.Contains(row.Index))
            .Select(row => new { row.Index, row.DisplayName }).ToDictionaryAsync(row => row.Index, row => row.DisplayName, cancellation);
        var indices = rows.Select(row => row.Index).ToList();
        var verdicts = await database.Annotations.AsNoTracking()
            .Where(row => row.AnalysisKey == key && row.Kind == AnnotationEntity.Sample && row.Verdict != null && indices.Contains(row.Target))
            .ToDictionaryAsync(row => row.Target, row => row.Verdict, cancellation);
        var runFolder = folders.Run(analysis.Id);
        return
        [
            .. rows.Select(row => new SampleTile
            {
                Index = row.Index,
                Path = row.Path,
                Class = row.Class,
                ClassName = classNames.GetValueOrDefault(row.Class, ""),
                Predicted = row.Predicted is { } predicted ? Name(outputs, predicted) : "",
                Correct = row.Label is null || row.Predicted is null ? null : row.Label == row.Predicted,
                Confidence = row.Confidence,
                OutlierScore = row.OutlierScore,
                OutlierRank = row.OutlierRank,
                OutlierKind = row.OutlierKind,
                OutlierReason = row.OutlierReason,
                Strategy = row.Strategy,
                Verdict = verdicts.GetValueOrDefault(row.Index),
            }),
        ];
    }

    private static IReadOnlyList<(string Name, double Probability)> Top(
        string runFolder, AnalysisEntity analysis, SampleEntity sample, IReadOnlyList<string> outputs)
    {
        if (Logits(runFolder, analysis, sample.Index) is not { } logits)
        {
            return sample.Predicted is { } predicted ? [(Name(outputs, predicted), sample.Confidence)] : [];
        }

        var largest = logits.Max();
        var sum = logits.Sum(logit => Math.Exp(logit - largest));
        return [.. logits.Select((logit, output) => (Name(outputs, output), Math.Exp(logit - largest) / sum)).OrderByDescending(pair => pair.Item2).Take(5)];
    }

    /// <summary>Logits of one sample; null until the run is complete.</summary>
    private static float[]? Logits(string runFolder, AnalysisEntity analysis, int sample) => TensorRow(runFolder, analysis, "logits", sample);

    private static float[]? TensorRow(string runFolder, AnalysisEntity analysis, string name, int sample)
    {
        var path = Path.Combine(runFolder, "tensors.safetensors");
        if (analysis.State != AnalysisState.Completed || !File.Exists(path))
        {
            return null;
        }

        using var file = SafetensorsFile.Open(path);
        return file.TryGet(name, out var entry) && entry.Shape.Count == 2 && sample < entry.Shape[0] ? file.Rows<float>(name, sample, 1).ToArray() : null;
    }

    private static IReadOnlyList<(string Name, double Score)> Detectors(string runFolder, AnalysisEntity analysis, int sample)
    {
        var path = Path.Combine(runFolder, "atlas", "outliers.safetensors");
        if (analysis.State != AnalysisState.Completed || !File.Exists(path))
        {
            return [];
        }

        using var file = SafetensorsFile.Open(path);
        if (!file.Metadata.TryGetValue("names", out var names) || !file.TryGet("detectors", out var entry) || entry.Shape.Count != 2 || sample >= entry.Shape[0])
        {
            return [];
        }

        return [.. names.Split('\n').Zip(file.Rows<float>("detectors", sample, 1).ToArray(), (name, score) => (name, (double)score))];
    }
}
