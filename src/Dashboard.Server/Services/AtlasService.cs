using System.Collections.Concurrent;
using Analysis;
using Analysis.Atlas;
using Analysis.Importance;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;
using static Dashboard.Server.Services.AtlasCards;
using static Dashboard.Server.Services.AtlasRows;

namespace Dashboard.Server.Services;

/// <summary>Reads the atlas: rows from the catalogue, per-image arrays from the run's folder.</summary>
internal sealed partial class AtlasService(
    IDbContextFactory<DashboardDbContext> databases,
    AnalysisService analyses,
    DataFolders folders,
    ClassArraysCache arrays,
    LabelIndex labelIndex) : IAtlasService
{
    private const int MostAtlases = 8;
    private const int NearestSamples = 12;
    private const int NearestConcepts = 12;
    private const int NearestNeurons = 5;
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
            return await ReadAtlasAsync(analysis, ShortLabels.None, cancellation);
        }

        // A finished atlas changes when somebody names a concept or finds labels: until then all viewers look at the same one.
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var named = await database.Annotations.AsNoTracking().Where(row => row.AnalysisKey == analysis.Key && row.Kind == AnnotationEntity.Concept)
            .GroupBy(row => 1).Select(rows => new { Count = rows.Count(), Last = rows.Max(row => (DateTimeOffset?)row.Changed) }).FirstOrDefaultAsync(cancellation);
        var labels = await labelIndex.OfAsync(database, analysisId, analysis.Key, cancellation);
        var stamp = FormattableString.Invariant($"{analysis.Version}/{analysis.Name}/{named?.Count}/{named?.Last?.ToUnixTimeMilliseconds()}/{labels.Task}");
        var reading = _atlases.AddOrUpdate(
            analysisId,
            _ => (stamp, Task.Run(() => ReadAtlasAsync(analysis, labels, CancellationToken.None), CancellationToken.None)),
            (_, old) => old.Stamp == stamp && !old.View.IsFaulted ? old : (stamp, Task.Run(() => ReadAtlasAsync(analysis, labels, CancellationToken.None), CancellationToken.None)));
        if (_atlases.Count > MostAtlases && _atlases.Keys.FirstOrDefault(id => id != analysisId) is { } other)
        {
            _atlases.TryRemove(other, out _);
        }

        return await reading.View.WaitAsync(cancellation);
    }

    /// <summary>How many concepts each two classes share; null where there is no such analysis.</summary>
    public async Task<byte[]?> ShareMatrixAsync(string analysisId, CancellationToken cancellation) =>
        await AtlasAsync(analysisId, cancellation) is { } view ? await Task.Run(() => ShareMatrix.Write(view), cancellation) : null;

    private async Task<AtlasView> ReadAtlasAsync(AnalysisEntity analysis, ShortLabels labels, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var key = analysis.Key;
        var classes = await database.Classes.AsNoTracking().Where(row => row.AnalysisKey == key).OrderBy(row => row.Index)
            .Select(row => new { row.Index, row.Name, row.DisplayName, row.Images, row.Accuracy, row.Concepts, row.Strategies, row.Outliers, row.Confounded, row.Ready })
            .ToListAsync(cancellation);
        var concepts = await database.Concepts.AsNoTracking().Where(row => row.AnalysisKey == key)
            .OrderBy(row => row.Class).ThenBy(row => row.Rank)
            .ToListAsync(cancellation);
        var names = new ConceptNames(await AtlasRows.ConceptNamesAsync(database, key, cancellation), labels);
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
                    Labels = labels.OfClass(row.Index),
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
        if (await ClassRowAsync(database, key, classIndex, cancellation) is not { } row || AtlasOf(row) is not { } atlas)
        {
            return null;
        }

        var names = await NamesAsync(database, analysis, cancellation);
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
            Confusions = Confusions(atlas, labels, folders.Run(analysis.Id), classIndex),
            Outliers = row.Outliers,
            Notes = atlas.Notes,
            Previous = await database.Classes.Where(other => other.AnalysisKey == key && other.Ready && other.Index < classIndex).MaxAsync(other => (int?)other.Index, cancellation),
            Next = await database.Classes.Where(other => other.AnalysisKey == key && other.Ready && other.Index > classIndex).MinAsync(other => (int?)other.Index, cancellation),
        };
    }

    private List<ConfusionView> Confusions(ClassAtlas atlas, Dictionary<int, int> labels, string runFolder, int classIndex)
    {
        var data = atlas.Confusions.Count > 0 ? arrays.Find(runFolder, classIndex) : null;
        return [.. atlas.Confusions.Select(confusion => new ConfusionView(confusion.Name, confusion.Count, Find(labels, confusion.Output))
        {
            Pulls = data?.Concepts == atlas.Concepts.Count ? ConfusionPulls.Of(data, confusion.Output) : [],
        })];
    }

    private async Task<ConceptNames> NamesAsync(DashboardDbContext database, AnalysisEntity analysis, CancellationToken cancellation) => new(
        await AtlasRows.ConceptNamesAsync(database, analysis.Key, cancellation),
        analysis.State == AnalysisState.Completed ? await labelIndex.OfAsync(database, analysis.Id, analysis.Key, cancellation) : ShortLabels.None);

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
}
