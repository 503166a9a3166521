using System.Runtime.ExceptionServices;
using Analysis.Atlas;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;
using static Dashboard.Server.Services.AtlasCards;
using static Dashboard.Server.Services.AtlasRows;

namespace Dashboard.Server.Services;

/// <content>Concepts, their nearest ones, and the bank of their vectors.</content>
internal sealed partial class AtlasService
{
    public async Task<IReadOnlyList<SharedMember>> ConceptTilesAsync(string analysisId, IReadOnlyList<int> concepts, CancellationToken cancellation = default)
    {
        if (await analyses.FindAsync(analysisId, cancellation) is not { } analysis)
        {
            return [];
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        var key = analysis.Key;
        var names = await NamesAsync(database, analysis, cancellation);
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
            || AtlasOf(row)?.Concepts.FirstOrDefault(concept => concept.Id == conceptId) is not { } entry)
        {
            return null;
        }

        var names = await NamesAsync(database, analysis, cancellation);
        var labels = await ClassOfOutputAsync(database, key, cancellation);
        var put = await PutAwayAsync(database, key, cancellation);
        var correct = await CorrectAsync(database, key, entry.Exemplars.Select(exemplar => exemplar.Sample), cancellation);
        var bank = await BankAsync(analysis, cancellation);
        var nearest = bank.Nearest(conceptId, NearestConcepts);
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
            Neurons = [.. bank.Channels(conceptId, NearestNeurons).Select(pair => new NeuronAlignment(pair.Channel, pair.Cosine, names.Labels.OfNeuron(pair.Channel)))],
            Siblings = [.. (AtlasOf(row)?.Concepts ?? []).Where(other => other.Id != conceptId).Select(other =>
                (other.Id, Names.Labelled(Tile(other, names)), put.GetValueOrDefault(other.Id)?.ListedUnder()))],
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

    public async Task<IReadOnlyDictionary<int, string>> ConceptNamesAsync(string analysisId, CancellationToken cancellation = default)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        return await analyses.FindAsync(analysisId, cancellation) is { } analysis
            ? (await AtlasRows.ConceptNamesAsync(database, analysis.Key, cancellation)).Where(pair => !string.IsNullOrWhiteSpace(pair.Value)).ToDictionary()
            : new Dictionary<int, string>();
    }

    public async Task<IReadOnlyDictionary<int, ShortLabel>> NeuronLabelsAsync(string analysisId, IReadOnlyCollection<int> channels, CancellationToken cancellation = default)
    {
        var found = new Dictionary<int, ShortLabel>();
        if (channels.Count > 0 && await analyses.FindAsync(analysisId, cancellation) is { State: AnalysisState.Completed } analysis)
        {
            var labels = await labelIndex.OfAsync(analysisId, analysis.Key, cancellation);
            foreach (var channel in channels)
            {
                if (labels.OfNeuron(channel) is { } label)
                {
                    found[channel] = label;
                }
            }
        }

        return found;
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
        var names = await NamesAsync(database, analysis, cancellation);
        var labels = await ClassOfOutputAsync(database, key, cancellation);
        var put = await PutAwayAsync(database, key, cancellation);
        var cards = new Dictionary<int, ConceptCard>();
        foreach (var index in page.Select(row => row.Class).Distinct())
        {
            if (await ClassRowAsync(database, key, index, cancellation) is { } row && AtlasOf(row) is { } atlas)
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
        try
        {
            return ConceptBank.From(concepts.GroupBy(row => row.Class).ToList().AsParallel().AsOrdered().Select(group =>
            {
                var path = ClassArraysFile.PathOf(runFolder, group.Key);
                return ((IReadOnlyList<int>)[.. group.Select(row => row.Id)], File.Exists(path) ? ClassArraysFile.ReadVectors(path) : []);
            }));
        }
        catch (AggregateException faults)
        {
            // The first tells as much as all.
            ExceptionDispatchInfo.Capture(faults.InnerExceptions[0]).Throw();
            throw;
        }
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
}
