using Analysis.Atlas;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;
using static Dashboard.Server.Services.AtlasCards;
using static Dashboard.Server.Services.AtlasRows;

namespace Dashboard.Server.Services;

/// <content>Strategies and their pages.</content>
internal sealed partial class AtlasService
{
    public async Task<StrategyView?> StrategyAsync(string analysisId, int classIndex, int strategy, CancellationToken cancellation = default)
    {
        if (await analyses.FindAsync(analysisId, cancellation) is not { } analysis)
        {
            return null;
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        var key = analysis.Key;
        if (await ClassRowAsync(database, key, classIndex, cancellation) is not { } row || AtlasOf(row) is not { } atlas
            || atlas.Strategies.FirstOrDefault(candidate => candidate.Index == strategy) is not { } entry
            || arrays.Find(folders.Run(analysis.Id), classIndex) is not { } data || data.Concepts != atlas.Concepts.Count)
        {
            return null;
        }

        var names = await NamesAsync(database, analysis, cancellation);
        var labels = await ClassOfOutputAsync(database, key, cancellation);
        var put = await PutAwayAsync(database, key, cancellation);
        var cards = await StrategiesAsync(database, key, atlas, names, put, cancellation);
        var outputs = Outputs(analysis);
        int[] members = [.. Enumerable.Range(0, data.Sample.Length).Where(position => data.Strategy[position] == strategy)];
        var rows = members.Select(position => data.Sample[position]).ToHashSet();
        var flagged = await database.Samples.AsNoTracking()
            .Where(sample => sample.AnalysisKey == key && sample.Class == classIndex && sample.OutlierKind != "").Select(sample => sample.Index).ToListAsync(cancellation);
        IReadOnlyList<int> typical = entry.Typical.Count > 0 ? entry.Typical : [entry.Prototype];
        var tiles = (await SamplesAsync(analysisId, [.. typical, .. entry.Borderline], cancellation)).DistinctBy(tile => tile.Index).ToDictionary(tile => tile.Index);
        var target = AnnotationEntity.StrategyTarget(classIndex, strategy);
        var note = await database.Annotations.AsNoTracking()
            .Where(annotation => annotation.AnalysisKey == key && annotation.Kind == AnnotationEntity.Strategy && annotation.Target == target)
            .Select(annotation => annotation.Note).FirstOrDefaultAsync(cancellation);
        return new StrategyView
        {
            Analysis = analyses.Summary(analysis),
            Class = classIndex,
            ClassName = row.DisplayName,
            ClassImages = row.Images,
            ClassAccuracy = row.Accuracy,
            Strategy = cards.First(card => card.Index == strategy),
            Strategies = cards,
            Concepts = Mixture(atlas, data, members, names, put),
            Typical = [.. typical.Where(tiles.ContainsKey).Select(sample => tiles[sample])],
            Borderline =
            [
                .. entry.Borderline.Select((sample, place) => (Sample: sample, Next: place < entry.BorderlineNext.Count ? entry.BorderlineNext[place] : (int?)null))
                    .Where(pair => tiles.ContainsKey(pair.Sample))
                    .Select(pair => new BorderlineSample(tiles[pair.Sample], pair.Next)),
            ],
            Confusions =
            [
                .. members.Where(position => atlas.Label is { } label && data.Predicted[position] != label)
                    .GroupBy(position => data.Predicted[position])
                    .Select(group => new ConfusionView(Name(outputs, group.Key), group.Count(), Find(labels, group.Key)))
                    .OrderByDescending(confusion => confusion.Count).ThenBy(confusion => confusion.Name, StringComparer.Ordinal),
            ],
            Outliers = flagged.Count(rows.Contains),
            Note = note,
        };
    }

    /// <summary>
    /// Mean and population standard deviation of each concept's contribution over the strategy's images, as shares of the sum
    /// of the absolute means: the way in which shares of a whole class are made. Those that people hold to be one also together.
    /// </summary>
    private static List<StrategyConcept> Mixture(ClassAtlas atlas, ClassArrays data, int[] members, ConceptNames names, Dictionary<int, AnnotationEntity> put)
    {
        var width = data.Concepts + 1;
        (double Mean, double Spread) Moments(params int[] ranks)
        {
            var values = Array.ConvertAll(members, position => ranks.Sum(rank => (double)data.Contributions[(position * width) + rank]));
            var mean = values.Length > 0 ? values.Average() : 0;
            return (mean, values.Length > 0 ? Math.Sqrt(values.Average(value => (value - mean) * (value - mean))) : 0);
        }

        var alone = atlas.Concepts.Select(concept => Moments(concept.Rank)).ToList();
        var sum = alone.Sum(moments => Math.Abs(moments.Mean));
        var scale = sum > 0 ? sum : 1;
        var under = atlas.Concepts.Where(concept => put.GetValueOrDefault(concept.Id)?.ListedUnder() is not null).ToLookup(concept => put[concept.Id].ListedUnder()!.Value);
        return
        [
            .. atlas.Concepts.Select((concept, place) =>
            {
                var annotation = put.GetValueOrDefault(concept.Id);
                MergedStrategyShare? merged = null;
                if (under[concept.Id].ToList() is { Count: > 0 } others)
                {
                    var (mean, spread) = Moments([concept.Rank, .. others.Select(other => other.Rank)]);
                    merged = new(mean / scale, spread / scale, concept.Importance + others.Sum(other => other.Importance));
                }

                return new StrategyConcept(
                    Tile(concept, names), alone[place].Mean / scale, alone[place].Spread / scale, annotation?.Verdict == AnnotationEntity.Hidden, annotation?.ListedUnder(), merged);
            }),
        ];
    }

    private static async Task<List<StrategyCard>> StrategiesAsync(
        DashboardDbContext database, int key, ClassAtlas atlas, ConceptNames conceptNames, Dictionary<int, AnnotationEntity> put, CancellationToken cancellation)
    {
        var (from, to) = AnnotationEntity.StrategyTargets(atlas.Class);
        var names = await database.Annotations.AsNoTracking()
            .Where(row => row.AnalysisKey == key && row.Kind == AnnotationEntity.Strategy && row.Target >= from && row.Target < to && row.Name != null)
            .ToDictionaryAsync(row => row.Target, row => row.Name, cancellation);
        // Words name what lists name: nothing that was put away, and of what was merged the one that stands for all.
        var concepts = atlas.Concepts.Select(concept => put.ContainsKey(concept.Id) ? null : Names.Labelled(Tile(concept, conceptNames))).ToList();
        var standIns = ListedConcepts.StandIns([.. atlas.Concepts.Select(concept =>
            (concept.Id, put.GetValueOrDefault(concept.Id)?.Verdict == AnnotationEntity.Hidden, put.GetValueOrDefault(concept.Id)?.ListedUnder()))]);
        return
        [
            .. atlas.Strategies.Select(entry => new StrategyCard(
                entry.Index, entry.Size, entry.Accuracy, entry.Prototype, entry.Profile, Sentences.Mixture(ListedConcepts.Mixture(entry.Profile, standIns), concepts),
                names.GetValueOrDefault(AnnotationEntity.StrategyTarget(atlas.Class, entry.Index)))),
        ];
    }
}
