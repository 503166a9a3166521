using System.Collections.Concurrent;
using System.Text.Json;
using Analysis;
using Analysis.Atlas;
using Analysis.Importance;
using Analysis.Networks.Files;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Services;

/// <summary>Reads the atlas: rows from the catalogue, per-image arrays from the run's folder.</summary>
internal sealed partial class AtlasService(
    IDbContextFactory<DashboardDbContext> databases,
    AnalysisService analyses,
    DataFolders folders,
    ClassArraysCache arrays,
    TaskService tasks) : IAtlasService
{
    private const int MostAtlases = 8;
    private const int NearestSamples = 12;
    private const int NearestConcepts = 12;
    private readonly ConcurrentDictionary<string, (int Version, Task<ConceptBank> Bank)> _banks = new();
    private readonly ConcurrentDictionary<string, (string Stamp, Task<AtlasView> View)> _atlases = new();

    public async Task<AtlasView?> AtlasAsync(string analysisId, CancellationToken cancellation = default)
    {
        if (await analyses.FindAsync(analysisId, cancellation) is not { } analysis)
        {
            return null;
        }

        if (analysis.State != AnalysisState.Completed)
        {
            return await ReadAtlasAsync(analysis, null, cancellation);
        }

        // A finished atlas changes when somebody names a concept or finds labels: until then all viewers look at the same one.
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var named = await database.Annotations.AsNoTracking().Where(row => row.AnalysisKey == analysis.Key && row.Kind == AnnotationEntity.Concept)
            .GroupBy(row => 1).Select(rows => new { Count = rows.Count(), Last = rows.Max(row => (DateTimeOffset?)row.Changed) }).FirstOrDefaultAsync(cancellation);
        var task = (await tasks.ListAsync(analysisId, LabelView.TaskKind, cancellation)).FirstOrDefault(entry => entry.State == AnalysisState.Completed);
        var stamp = FormattableString.Invariant($"{analysis.Version}/{analysis.Name}/{named?.Count}/{named?.Last?.ToUnixTimeMilliseconds()}/{task?.Id}");
        var reading = _atlases.AddOrUpdate(
            analysisId,
            _ => (stamp, Task.Run(() => ReadAtlasAsync(analysis, task?.Id, CancellationToken.None), CancellationToken.None)),
            (_, old) => old.Stamp == stamp && !old.View.IsFaulted ? old : (stamp, Task.Run(() => ReadAtlasAsync(analysis, task?.Id, CancellationToken.None), CancellationToken.None)));
        if (_atlases.Count > MostAtlases && _atlases.Keys.FirstOrDefault(id => id != analysisId) is { } other)
        {
            _atlases.TryRemove(other, out _);
        }

        return await reading.View.WaitAsync(cancellation);
    }

    /// <summary>How many concepts each two classes share; null where there is no such analysis.</summary>
    public async Task<byte[]?> ShareMatrixAsync(string analysisId, CancellationToken cancellation) =>
        await AtlasAsync(analysisId, cancellation) is { } view ? await Task.Run(() => ShareMatrix.Write(view), cancellation) : null;

    public async Task<IReadOnlyList<SharedMember>> ConceptTilesAsync(string analysisId, IReadOnlyList<int> concepts, CancellationToken cancellation = default)
    {
        if (await analyses.FindAsync(analysisId, cancellation) is not { } analysis)
        {
            return [];
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        var key = analysis.Key;
        var names = await ConceptNamesAsync(database, key, cancellation);
        var found = new Dictionary<int, SharedMember>();
        foreach (var part in concepts.Distinct().Chunk(500))
        {
            var rows = await database.Concepts.AsNoTracking().Where(row => row.AnalysisKey == key && part.Contains(row.Id))
                .Join(database.Classes.Where(row => row.AnalysisKey == key), row => row.Class, row => row.Index, (row, of) => new { Concept = row, of.DisplayName })
                .ToListAsync(cancellation);
            foreach (var row in rows)
            {
                found[row.Concept.Id] = new SharedMember(row.Concept.Class, row.DisplayName, Tile(row.Concept, names));
            }
        }

        return [.. concepts.Where(found.ContainsKey).Select(id => found[id])];
    }

    private async Task<AtlasView> ReadAtlasAsync(AnalysisEntity analysis, string? labelTask, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var key = analysis.Key;
        var classes = await database.Classes.AsNoTracking().Where(row => row.AnalysisKey == key).OrderBy(row => row.Index)
            .Select(row => new { row.Index, row.Name, row.DisplayName, row.Images, row.Accuracy, row.Concepts, row.Strategies, row.Outliers, row.Confounded, row.Ready })
            .ToListAsync(cancellation);
        var concepts = await database.Concepts.AsNoTracking().Where(row => row.AnalysisKey == key)
            .OrderBy(row => row.Class).ThenBy(row => row.Rank)
            .ToListAsync(cancellation);
        var names = await ConceptNamesAsync(database, key, cancellation);
        var put = await PutAwayAsync(database, key, cancellation);
        var byClass = concepts.ToLookup(row => row.Class);
        var exemplars = (await database.Exemplars.AsNoTracking()
                .Where(row => row.AnalysisKey == key && row.Band == "top" && row.Index < 6)
                .Join(database.Concepts.Where(row => row.AnalysisKey == key && row.Rank < 3), row => row.Concept, row => row.Id, (row, _) => new { row.Concept, row.Index, row.Sample })
                .ToListAsync(cancellation))
            .OrderBy(row => row.Index).ToLookup(row => row.Concept, row => (row.Index, row.Sample));
        var classNames = classes.ToDictionary(row => row.Index, row => row.DisplayName);
        var shared = concepts.Where(row => row.Shared is not null).GroupBy(row => row.Shared!.Value).Where(group => group.Count() > 1).ToList();
        var bank = shared.Count > 0 || analysis.State == AnalysisState.Completed ? await BankAsync(analysis, cancellation) : null;
        var labels = labelTask is null ? null : await tasks.LabelsAsync(analysis.Id, labelTask, cancellation);
        var labelsOf = (labels?.Units ?? []).Where(unit => unit is { Class: not null, Label: not null, Significant: true }).ToLookup(unit => unit.Class!.Value, unit => unit.Label!);
        // Groups are of what is finished: they would change with every class of a run.
        var (groupOf, members) = bank is null || analysis.State != AnalysisState.Completed
            ? ([], [])
            : ClassGroups.Of([.. classes.Select(row => bank.Mean(byClass[row.Index].Select(concept => (concept.Id, Math.Max(0, concept.Importance)))))]);
        return new AtlasView
        {
            Analysis = analyses.Summary(analysis),
            Classes =
            [
                .. classes.Select((row, position) => new ClassTile
                {
                    Index = row.Index,
                    Name = row.Name,
                    DisplayName = row.DisplayName,
                    Images = row.Images,
                    Accuracy = row.Accuracy,
                    Concepts = row.Concepts,
                    Strongest = Distinct([.. byClass[row.Index].Where(concept => concept.Rank < 3 && !put.ContainsKey(concept.Id)).Select(concept => Tile(concept, names))], exemplars),
                    Labels = [.. labelsOf[row.Index].Distinct()],
                    Group = groupOf.Length > 0 ? groupOf[position] : -1,
                    Strategies = row.Strategies,
                    Outliers = row.Outliers,
                    Confounded = row.Confounded,
                    Ready = row.Ready,
                }),
            ],
            Shared =
            [
                .. shared.Select(group => new SharedConcept(
                        group.Key,
                        [.. group.Select(row => new SharedMember(row.Class, classNames.GetValueOrDefault(row.Class, ""), Tile(row, names)))],
                        MeanCosine([.. group.Select(row => row.Id)], bank!)))
                    .OrderByDescending(entry => entry.Members.Count).ThenBy(entry => entry.Number),
            ],
            Groups = [.. members.Select(list => new ClassGroup(string.Join(", ", list.Take(2).Select(position => classes[position].DisplayName)), list.Count))],
            OutlierKinds = await KindsAsync(database, key, null, cancellation),
        };
    }

    public async Task<ClassView?> ClassAsync(string analysisId, int classIndex, CancellationToken cancellation = default)
    {
        if (await analyses.FindAsync(analysisId, cancellation) is not { } analysis)
        {
            return null;
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        var key = analysis.Key;
        if (await ClassRowAsync(database, key, classIndex, cancellation) is not { } row || Atlas(row) is not { } atlas)
        {
            return null;
        }

        var names = await ConceptNamesAsync(database, key, cancellation);
        var labels = await ClassOfOutputAsync(database, key, cancellation);
        var put = await PutAwayAsync(database, key, cancellation);
        var correct = await CorrectAsync(database, key, atlas.Concepts.SelectMany(concept => concept.Exemplars.Select(exemplar => exemplar.Sample)), cancellation);
        return new ClassView
        {
            Analysis = analyses.Summary(analysis),
            Index = classIndex,
            Name = row.Name,
            DisplayName = row.DisplayName,
            Images = row.Images,
            Accuracy = row.Accuracy,
            Concepts = Merged([.. atlas.Concepts.Select(concept => Card(concept, names, labels, correct, put))], folders.Run(analysis.Id), classIndex),
            UnexplainedShare = atlas.UnexplainedShare,
            Strategies = await StrategiesAsync(database, key, atlas, names, put, cancellation),
            Embedding = atlas.Embedding,
            Trustworthiness = atlas.Trustworthiness,
            LeftOut = atlas.LeftOut,
            ImportantFrom = atlas.ImportantFrom,
            Confusions = [.. atlas.Confusions.Select(confusion => new ConfusionView(confusion.Name, confusion.Count, Find(labels, confusion.Output)))],
            Outliers = row.Outliers,
            Notes = atlas.Notes,
            Previous = await database.Classes.Where(other => other.AnalysisKey == key && other.Ready && other.Index < classIndex).MaxAsync(other => (int?)other.Index, cancellation),
            Next = await database.Classes.Where(other => other.AnalysisKey == key && other.Ready && other.Index > classIndex).MinAsync(other => (int?)other.Index, cancellation),
        };
    }

    // What concepts that a person has merged carry together; images are read only where somebody has.
    private List<ConceptCard> Merged(List<ConceptCard> cards, string runFolder, int classIndex)
    {
        var under = cards.Where(card => card.Into is not null).ToLookup(card => card.Into!.Value);
        if (under.Count == 0)
        {
            return cards;
        }

        var data = arrays.Find(runFolder, classIndex);
        return cards.ConvertAll(card => under[card.Id].ToList() is not { Count: > 0 } others ? card : card with
        {
            Merged = new MergedShare(
                [.. others.Select(other => other.Id)],
                card.Importance + others.Sum(other => other.Importance),
                data?.Concepts == cards.Count ? Shares.JointSpread(data.Contributions, data.Concepts, [card.Rank, .. others.Select(other => other.Rank)]) : null),
        });
    }

    public async Task<ConceptView?> ConceptAsync(string analysisId, int conceptId, CancellationToken cancellation = default)
    {
        if (await analyses.FindAsync(analysisId, cancellation) is not { } analysis)
        {
            return null;
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        var key = analysis.Key;
        var place = await database.Concepts.AsNoTracking().FirstOrDefaultAsync(row => row.AnalysisKey == key && row.Id == conceptId, cancellation);
        if (place is null || await ClassRowAsync(database, key, place.Class, cancellation) is not { } row
            || Atlas(row)?.Concepts.FirstOrDefault(concept => concept.Id == conceptId) is not { } entry)
        {
            return null;
        }

        var names = await ConceptNamesAsync(database, key, cancellation);
        var labels = await ClassOfOutputAsync(database, key, cancellation);
        var put = await PutAwayAsync(database, key, cancellation);
        var correct = await CorrectAsync(database, key, entry.Exemplars.Select(exemplar => exemplar.Sample), cancellation);
        var nearest = (await BankAsync(analysis, cancellation)).Nearest(conceptId, NearestConcepts);
        var ids = nearest.Select(pair => pair.Id).ToList();
        var others = await database.Concepts.AsNoTracking().Where(other => other.AnalysisKey == key && ids.Contains(other.Id)).ToDictionaryAsync(other => other.Id, cancellation);
        var classNames = await database.Classes.AsNoTracking().Where(other => other.AnalysisKey == key)
            .Select(other => new { other.Index, other.DisplayName }).ToDictionaryAsync(other => other.Index, other => other.DisplayName, cancellation);
        var note = await database.Annotations.AsNoTracking()
            .Where(annotation => annotation.AnalysisKey == key && annotation.Kind == AnnotationEntity.Concept && annotation.Target == conceptId)
            .Select(annotation => annotation.Note).FirstOrDefaultAsync(cancellation);
        return new ConceptView
        {
            Analysis = analyses.Summary(analysis),
            Class = row.Index,
            ClassName = row.DisplayName,
            Concept = Card(entry, names, labels, correct, put),
            Siblings = [.. (Atlas(row)?.Concepts ?? []).Where(other => other.Id != conceptId).Select(other =>
                (other.Id, NameOf(other.Id, other.Rank, names), put.GetValueOrDefault(other.Id)?.ListedUnder()))],
            Nearest =
            [
                .. nearest.Where(pair => others.ContainsKey(pair.Id)).Select(pair =>
                {
                    var other = others[pair.Id];
                    return (new SharedMember(other.Class, classNames.GetValueOrDefault(other.Class, ""), Tile(other, names)), pair.Cosine);
                }),
            ],
            Note = note,
        };
    }

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
        var atlas = classRow is null ? null : Atlas(classRow);
        var data = atlas is null ? null : arrays.Find(runFolder, entity.Class);
        if (atlas is null || data is null || data.PositionOf(sample) is not (>= 0 and var position) || data.Concepts != atlas.Concepts.Count)
        {
            return view;
        }

        var names = await ConceptNamesAsync(database, key, cancellation);
        var labels = await ClassOfOutputAsync(database, key, cancellation);
        var put = await PutAwayAsync(database, key, cancellation);
        var correct = await CorrectAsync(database, key, atlas.Concepts.SelectMany(concept => concept.Exemplars.Select(exemplar => exemplar.Sample)), cancellation);
        var width = data.Concepts + 1;
        var row = data.Contributions.AsSpan(position * width, width).ToArray();
        var against = data.Against.AsSpan(position * width, width).ToArray();
        var contributions = atlas.Concepts
            .Select((concept, rank) => new ContributionView(Tile(concept, names), NameOf(concept.Id, concept.Rank, names), row[rank], against[rank]))
            .Append(new ContributionView(null, "not explained by a concept", row[^1], against[^1]))
            .ToList();
        var target = data.Target[position];
        var logit = Logits(runFolder, analysis, sample) is { } logits && target >= 0 && target < logits.Length ? logits[target]
            : target == entity.Predicted ? entity.Logit : (double?)null;
        if (logit is { } known)
        {
            contributions.Add(new ContributionView(null, "bias", known - row.Sum(value => (double)value)));
        }

        var nearest = Nearest(data, position);
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

    /// <summary>Concepts of all classes by identifier.</summary>
    public async Task<Paged<ConceptCard>> ConceptsAsync(string analysisId, int skip, int take, CancellationToken cancellation)
    {
        if (await analyses.FindAsync(analysisId, cancellation) is not { } analysis)
        {
            return new Paged<ConceptCard>([], 0);
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        var key = analysis.Key;
        var total = await database.Concepts.CountAsync(row => row.AnalysisKey == key, cancellation);
        var page = await database.Concepts.AsNoTracking().Where(row => row.AnalysisKey == key).OrderBy(row => row.Id).Skip(skip).Take(take).ToListAsync(cancellation);
        var names = await ConceptNamesAsync(database, key, cancellation);
        var labels = await ClassOfOutputAsync(database, key, cancellation);
        var put = await PutAwayAsync(database, key, cancellation);
        var cards = new Dictionary<int, ConceptCard>();
        foreach (var index in page.Select(row => row.Class).Distinct())
        {
            if (await ClassRowAsync(database, key, index, cancellation) is { } row && Atlas(row) is { } atlas)
            {
                var correct = await CorrectAsync(database, key, atlas.Concepts.SelectMany(concept => concept.Exemplars.Select(exemplar => exemplar.Sample)), cancellation);
                foreach (var concept in atlas.Concepts)
                {
                    cards[concept.Id] = Card(concept, names, labels, correct, put);
                }
            }
        }

        return new Paged<ConceptCard>([.. page.Where(row => cards.ContainsKey(row.Id)).Select(row => cards[row.Id])], total);
    }

    /// <summary>Points of a class's strategic cluster graph; null where the class is not ready.</summary>
    public async Task<byte[]?> ClassPointsAsync(string analysisId, int classIndex, CancellationToken cancellation)
    {
        if (await analyses.FindAsync(analysisId, cancellation) is not { } analysis || arrays.Find(folders.Run(analysis.Id), classIndex) is not { } data)
        {
            return null;
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        var rows = await database.Samples.AsNoTracking()
            .Where(row => row.AnalysisKey == analysis.Key && row.Class == classIndex)
            .Select(row => new { row.Index, row.Label, row.Predicted, row.OutlierKind, row.OutlierScore })
            .ToDictionaryAsync(row => row.Index, cancellation);
        var points = new PointCloud(data.Sample.Length);
        for (var position = 0; position < data.Sample.Length; position++)
        {
            var row = rows.GetValueOrDefault(data.Sample[position]);
            points.X[position] = data.Layout[2 * position];
            points.Y[position] = data.Layout[(2 * position) + 1];
            points.Sample[position] = data.Sample[position];
            points.Strategy[position] = (short)data.Strategy[position];
            points.Strongest[position] = (short)data.Strongest[position];
            points.Flags[position] = PointCloud.FlagsOf(row?.Label is not null, row?.Label == row?.Predicted, row?.OutlierKind ?? "");
            points.OutlierScore[position] = (float)(row?.OutlierScore ?? double.NaN);
        }

        return points.Write();
    }

    /// <summary>Points of the map of all concepts: sample is the concept, strategy its class, strongest its shared group, flags the group of its class, score its importance.</summary>
    public async Task<byte[]?> ConceptPointsAsync(string analysisId, CancellationToken cancellation)
    {
        if (await analyses.FindAsync(analysisId, cancellation) is not { } analysis || await AtlasAsync(analysisId, cancellation) is not { } atlas)
        {
            return null;
        }

        // Made once for a finished analysis: the places by the engine where it laid them out, else by the first two components.
        var runFolder = folders.Run(analysisId);
        var (ids, places) = ConceptMapFile.TryRead(runFolder) ?? await PlaneAsync(analysis, cancellation);
        if (ids.Length == 0)
        {
            return null;
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        var rows = await database.Concepts.AsNoTracking().Where(row => row.AnalysisKey == analysis.Key)
            .Select(row => new { row.Id, row.Class, row.Shared, row.Importance }).ToDictionaryAsync(row => row.Id, cancellation);
        var groups = atlas.Classes.ToDictionary(row => row.Index, row => row.Group);
        var points = new PointCloud(ids.Length);
        for (var position = 0; position < ids.Length; position++)
        {
            var row = rows.GetValueOrDefault(ids[position]);
            points.X[position] = places[2 * position];
            points.Y[position] = places[(2 * position) + 1];
            points.Sample[position] = ids[position];
            points.Strategy[position] = (short)(row?.Class ?? -1);
            points.Strongest[position] = (short)(row?.Shared ?? -1);
            points.Flags[position] = (byte)(row is not null && groups.GetValueOrDefault(row.Class, -1) is >= 0 and var group ? group : byte.MaxValue);
            points.OutlierScore[position] = (float)(row?.Importance ?? double.NaN);
        }

        return points.Write();
    }

    private async Task<(int[] Concepts, float[] Positions)> PlaneAsync(AnalysisEntity analysis, CancellationToken cancellation)
    {
        var bank = await BankAsync(analysis, cancellation);
        var plane = await Task.Run(bank.Plane, cancellation);
        int[] ids = [.. bank.Ids];
        if (analysis.State == AnalysisState.Completed && ids.Length > 0)
        {
            try
            {
                ConceptMapFile.Write(folders.Run(analysis.Id), ids, plane);
            }
            catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or AnalysisException)
            {
                // It is made again the next time.
            }
        }

        return (ids, plane);
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

    private Task<ConceptBank> BankAsync(AnalysisEntity analysis, CancellationToken cancellation)
    {
        var entry = _banks.AddOrUpdate(
            analysis.Id,
            _ => (analysis.Version, LoadBankAsync(analysis)),
            (_, old) => old.Version == analysis.Version && !old.Bank.IsFaulted ? old : (analysis.Version, LoadBankAsync(analysis)));
        return entry.Bank.WaitAsync(cancellation);
    }

    private Task<ConceptBank> LoadBankAsync(AnalysisEntity analysis) => Task.Run(async () =>
    {
        await using var database = await databases.CreateDbContextAsync();
        var concepts = await database.Concepts.AsNoTracking().Where(row => row.AnalysisKey == analysis.Key)
            .OrderBy(row => row.Class).ThenBy(row => row.Rank).Select(row => new { row.Class, row.Id }).ToListAsync();
        var runFolder = folders.Run(analysis.Id);
        // Read past the cache of classes, which keeps those that people look at.
        return ConceptBank.From(concepts.GroupBy(row => row.Class).Select(group =>
        {
            var path = ClassArraysFile.PathOf(runFolder, group.Key);
            return ((IReadOnlyList<int>)[.. group.Select(row => row.Id)], File.Exists(path) ? ClassArraysFile.ReadVectors(path) : []);
        }));
    });

    private static double MeanCosine(IReadOnlyList<int> ids, ConceptBank bank)
    {
        var sum = 0.0;
        var pairs = 0;
        for (var first = 0; first < ids.Count; first++)
        {
            for (var second = first + 1; second < ids.Count; second++)
            {
                if (bank.Cosine(ids[first], ids[second]) is { } cosine)
                {
                    sum += cosine;
                    pairs++;
                }
            }
        }

        return pairs > 0 ? sum / pairs : 0;
    }

    /// <summary>Samples of the class with the most similar shares of contributions, nearest first (Euclidean distance).</summary>
    private static List<(int Sample, double Distance)> Nearest(ClassArrays data, int position)
    {
        var width = data.Concepts + 1;
        var row = data.Contributions.AsSpan(position * width, width).ToArray();
        var distances = new List<(int Sample, double Distance)>(data.Sample.Length);
        for (var other = 0; other < data.Sample.Length; other++)
        {
            if (other == position)
            {
                continue;
            }

            var sum = 0.0;
            for (var c = 0; c < width; c++)
            {
                var difference = (double)row[c] - data.Contributions[(other * width) + c];
                sum += difference * difference;
            }

            distances.Add((data.Sample[other], Math.Sqrt(sum)));
        }

        return [.. distances.OrderBy(pair => pair.Distance).ThenBy(pair => pair.Sample).Take(NearestSamples)];
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

    private static async Task<IReadOnlyDictionary<string, int>> KindsAsync(DashboardDbContext database, int key, int? classIndex, CancellationToken cancellation) =>
        await database.Samples.AsNoTracking()
            .Where(row => row.AnalysisKey == key && row.OutlierKind != "" && (classIndex == null || row.Class == classIndex))
            .GroupBy(row => row.OutlierKind).Select(group => new { group.Key, Count = group.Count() })
            .ToDictionaryAsync(group => group.Key, group => group.Count, cancellation);

    private static Task<ClassEntity?> ClassRowAsync(DashboardDbContext database, int key, int index, CancellationToken cancellation) =>
        database.Classes.AsNoTracking().FirstOrDefaultAsync(row => row.AnalysisKey == key && row.Index == index, cancellation);

    private static ClassAtlas? Atlas(ClassEntity row) => row.Atlas is null ? null : JsonSerializer.Deserialize<ClassAtlas>(row.Atlas, Json.Options);

    private static async Task<Dictionary<int, string>> ConceptNamesAsync(DashboardDbContext database, int key, CancellationToken cancellation) =>
        await database.Annotations.AsNoTracking()
            .Where(row => row.AnalysisKey == key && row.Kind == AnnotationEntity.Concept && row.Name != null)
            .ToDictionaryAsync(row => row.Target, row => row.Name!, cancellation);

    // Concepts that a person has hidden or merged.
    private static Task<Dictionary<int, AnnotationEntity>> PutAwayAsync(DashboardDbContext database, int key, CancellationToken cancellation) =>
        database.Annotations.AsNoTracking().Where(row => row.AnalysisKey == key && row.Kind == AnnotationEntity.Concept && row.Verdict != null)
            .ToDictionaryAsync(row => row.Target, cancellation);

    private static async Task<Dictionary<int, int>> ClassOfOutputAsync(DashboardDbContext database, int key, CancellationToken cancellation)
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

    private static async Task<Dictionary<int, bool?>> CorrectAsync(DashboardDbContext database, int key, IEnumerable<int> samples, CancellationToken cancellation)
    {
        var indices = samples.Distinct().ToList();
        return await database.Samples.AsNoTracking().Where(row => row.AnalysisKey == key && indices.Contains(row.Index))
            .Select(row => new { row.Index, row.Label, row.Predicted })
            .ToDictionaryAsync(row => row.Index, row => row.Label is null || row.Predicted is null ? (bool?)null : row.Label == row.Predicted, cancellation);
    }

    private static int? Find(Dictionary<int, int> classes, int output) => classes.TryGetValue(output, out var index) ? index : null;

    private static string NameOf(int id, int rank, Dictionary<int, string> names) => names.GetValueOrDefault(id) ?? FormattableString.Invariant($"c{rank}");

    // The strongest concepts of a class are often clearest in the same image: beside each other they show different ones.
    private static List<ConceptTile> Distinct(List<ConceptTile> tiles, ILookup<int, (int Index, int Sample)> exemplars)
    {
        var shown = new HashSet<int>();
        return tiles.ConvertAll(tile =>
        {
            var free = exemplars[tile.Id].Where(exemplar => !shown.Contains(exemplar.Sample)).ToList();
            var chosen = free.Count > 0 ? free[0] : exemplars[tile.Id].FirstOrDefault();
            shown.Add(chosen.Sample);
            return tile with { Exemplar = chosen.Index };
        });
    }

    private static ConceptTile Tile(ConceptEntity row, Dictionary<int, string> names) => new(row.Id, NameOf(row.Id, row.Rank, names), row.Rank, row.Importance);

    private static ConceptTile Tile(ConceptEntry row, Dictionary<int, string> names) => new(row.Id, NameOf(row.Id, row.Rank, names), row.Rank, row.Importance);

    private static ConceptCard Card(
        ConceptEntry entry, Dictionary<int, string> names, Dictionary<int, int> classes, Dictionary<int, bool?> correct, Dictionary<int, AnnotationEntity> put) => new()
    {
        Id = entry.Id,
        Rank = entry.Rank,
        Name = names.GetValueOrDefault(entry.Id),
        Hidden = put.GetValueOrDefault(entry.Id)?.Verdict == AnnotationEntity.Hidden,
        Into = put.GetValueOrDefault(entry.Id)?.ListedUnder(),
        Importance = entry.Importance,
        ImportanceSpread = entry.ImportanceSpread,
        Prevalence = entry.Prevalence,
        ActiveShare = entry.ActiveShare,
        Reliability = entry.Reliability,
        Relevance = entry.Relevance,
        Stability = entry.Stability,
        Shared = entry.Shared,
        Direction = entry.Direction,
        Cluster = entry.Cluster,
        Spread = entry.Spread,
        Channel = entry.Channel,
        ChannelCosine = entry.ChannelCosine,
        StrongestFor = entry.StrongestFor,
        X = entry.X,
        Y = entry.Y,
        Alignment = [.. entry.Alignment.Select(alignment => new AlignmentView(alignment.Output, alignment.Name, alignment.Cosine, Find(classes, alignment.Output)))],
        Exemplars = [.. entry.Exemplars.Select((exemplar, index) => new ExemplarView(index, exemplar.Sample, exemplar.Score, exemplar.Band, correct.GetValueOrDefault(exemplar.Sample)))],
        Histogram = entry.Histogram,
        HistogramFrom = entry.HistogramFrom,
        HistogramTo = entry.HistogramTo,
        Notes = entry.Notes,
    };

    private static IReadOnlyList<string> Outputs(AnalysisEntity analysis) =>
        analysis.OutputNames is null ? [] : JsonSerializer.Deserialize<string[]>(analysis.OutputNames, Json.Options) ?? [];

    private static string Name(IReadOnlyList<string> outputs, int output) =>
        output >= 0 && output < outputs.Count && outputs[output].Length > 0 ? outputs[output] : FormattableString.Invariant($"output {output}");
}
