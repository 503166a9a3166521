using System.Globalization;
using Analysis;
using Analysis.Atlas;
using Analysis.Networks.Files;
using Analysis.Runs.Tasks;
using Analysis.Search;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Services;

/// <summary>
/// Searches the samples of finished analyses. Places by a concept are computed when they are first asked for, one pass over the
/// activations for all that a search lacks, and kept for the next search while there is room.
/// </summary>
internal sealed class SampleSearchService(
    IDbContextFactory<DashboardDbContext> databases, AnalysisService analyses, AtlasService atlas, TaskService tasks, DataFolders folders) : ISampleSearchService
{
    /// <summary>Deepest match that can be asked for.</summary>
    public const int Deepest = 2000;

    private const int MostClasses = 12;
    private const int MostStarters = 18;

    // Four bytes a sample and concept: twelve concepts of a million samples.
    private const long MostBytes = 64L << 20;
    private const int MostAnalyses = 4;

    private readonly SemaphoreSlim _reading = new(1);
    private readonly RecentValues _columns = new(MostBytes);
    private readonly Lock _gate = new();
    private readonly LinkedList<(string Analysis, int Version, Task<int[]> ClassOf)> _classes = new();

    public async Task<SampleSearchView?> FindAsync(string analysisId, SampleSearch wanted, int skip = 0, int take = 60, CancellationToken cancellation = default)
    {
        if (await analyses.FindAsync(analysisId, cancellation) is not { } analysis)
        {
            return null;
        }

        Check(wanted, skip, take);
        var view = new SampleSearchView { Analysis = analyses.Summary(analysis), Samples = analysis.Images };
        var scores = new SampleScores(folders.Run(analysis.Id));
        if (analysis.State != AnalysisState.Completed || !scores.Exist)
        {
            return view with
            {
                Problem = analysis.State != AnalysisState.Completed ? "Images can be searched once the analysis is complete."
                    : "This analysis kept no activations to search. Run it again.",
            };
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        var concepts = await ConceptsAsync(database, analysis, wanted, cancellation);
        var chosen = wanted.Class is { } index
            ? await database.Classes.AsNoTracking().Where(row => row.AnalysisKey == analysis.Key && row.Index == index).Select(row => row.DisplayName).FirstOrDefaultAsync(cancellation)
                ?? throw new ServiceException($"The analysis has no class {index}.")
            : null;
        var like = wanted.Like is { } row ? (await atlas.SamplesAsync(analysisId, [row], cancellation)).FirstOrDefault() ?? throw new ServiceException($"The analysis has no sample {row}.") : null;
        var tiles = (await atlas.ConceptTilesAsync(analysisId, [.. concepts.Select(c => c.Id)], cancellation)).ToDictionary(tile => tile.Concept.Id);
        var own = like is null && wanted.Image is { } hash ? await OwnAsync(analysisId, hash, cancellation) : null;
        view = view with { ClassName = chosen, Like = like, Image = own is null ? null : wanted.Image, Concepts = [.. concepts.Select(c => new SoughtConcept(tiles[c.Id], c.Present, 0))] };
        if (concepts.Count == 0 && like is null && own is null)
        {
            // What is asked next needs it, and who has opened the page takes a while to ask.
            _ = ClassOf(analysis);
            var strongest = await database.Concepts.AsNoTracking().Where(row => row.AnalysisKey == analysis.Key && row.Rank == 0)
                .OrderByDescending(row => row.Importance).ThenBy(row => row.Id).Take(MostStarters).Select(row => row.Id).ToListAsync(cancellation);
            return view with { Starters = await atlas.ConceptTilesAsync(analysisId, strongest, cancellation) };
        }

        try
        {
            var found = await SearchAsync(analysis, scores, concepts, wanted, own, skip + take, cancellation);
            return await ShowAsync(database, analysis, view, found, skip, cancellation);
        }
        catch (AnalysisException fault)
        {
            throw new ServiceException(fault.Message);
        }
    }

    private static void Check(SampleSearch wanted, int skip, int take)
    {
        if (wanted.With.Count + wanted.Without.Count > SampleSearch.MostConcepts)
        {
            throw new ServiceException($"{wanted.With.Count + wanted.Without.Count} concepts are sought at once. Choose at most {SampleSearch.MostConcepts}.");
        }

        if (wanted.With.Intersect(wanted.Without).Select(id => (int?)id).FirstOrDefault() is { } both)
        {
            throw new ServiceException($"Images that show concept {both} and do not show it were asked for. Take it out of one of the two.");
        }

        if (!(wanted.Strongest is > 0 and <= 1) || !(wanted.Outside is >= 0 and < 1))
        {
            throw new ServiceException(FormattableString.Invariant(
                $"The shares {wanted.Strongest} and {wanted.Outside} are not possible. Choose strongest above 0 and at most 1, outside at least 0 and below 1."));
        }

        if (skip < 0 || take < 0 || (long)skip + take > Deepest)
        {
            throw new ServiceException($"The matches {skip} to {(long)skip + take} cannot be given. Ask for the first {Deepest:N0}; a narrower search brings others there.");
        }
    }

    private static async Task<IReadOnlyList<Sought>> ConceptsAsync(DashboardDbContext database, AnalysisEntity analysis, SampleSearch wanted, CancellationToken cancellation)
    {
        List<int> ids = [.. wanted.With, .. wanted.Without];
        var rows = await database.Concepts.AsNoTracking().Where(row => row.AnalysisKey == analysis.Key && ids.Contains(row.Id))
            .Select(row => new { row.Id, row.Class, row.Rank }).ToDictionaryAsync(row => row.Id, cancellation);
        return
        [
            .. wanted.With.Distinct().Select(id => (Id: id, Present: true)).Concat(wanted.Without.Distinct().Select(id => (Id: id, Present: false)))
                .Where(pair => rows.ContainsKey(pair.Id)).Select(pair => new Sought(pair.Id, rows[pair.Id].Class, rows[pair.Id].Rank, pair.Present)),
        ];
    }

    private async Task<Outcome> SearchAsync(
        AnalysisEntity analysis, SampleScores scores, IReadOnlyList<Sought> concepts, SampleSearch wanted, float[]? own, int deep, CancellationToken cancellation)
    {
        var classes = ClassOf(analysis);
        var placings = await PlacingsAsync(analysis, scores, concepts, cancellation);
        var likeness = await LikenessAsync(analysis, scores, wanted, own, cancellation);
        var classOf = await classes.WaitAsync(cancellation);
        return await Task.Run(
            () =>
            {
                var found = new CombinationSearch
                {
                    Present = [.. concepts.Where(c => c.Present).Select(c => placings[c.Id])],
                    Absent = [.. concepts.Where(c => !c.Present).Select(c => placings[c.Id])],
                    Strongest = wanted.Strongest,
                    Outside = wanted.Outside,
                    Likeness = likeness,
                    ClassOf = classOf,
                    Class = wanted.Class,
                    Except = wanted.Like,
                }.Find(deep);
                return new Outcome(found, [.. concepts.Select(c => placings[c.Id])], likeness);
            },
            cancellation);
    }

    private async Task<SampleSearchView> ShowAsync(
        DashboardDbContext database, AnalysisEntity analysis, SampleSearchView view, Outcome outcome, int skip, CancellationToken cancellation)
    {
        var found = outcome.Found;
        var rows = found.Rows.Skip(skip).ToList();
        var tiles = (await atlas.SamplesAsync(analysis.Id, rows, cancellation)).ToDictionary(tile => tile.Index);
        var most = found.ByClass.OrderByDescending(pair => pair.Value).ThenBy(pair => pair.Key).Take(MostClasses).ToList();
        var indices = most.Select(pair => pair.Key).ToList();
        var names = await database.Classes.AsNoTracking().Where(row => row.AnalysisKey == analysis.Key && indices.Contains(row.Index))
            .Select(row => new { row.Index, row.DisplayName, row.Images }).ToDictionaryAsync(row => row.Index, cancellation);
        return view with
        {
            Samples = found.Samples,
            Concepts = [.. view.Concepts.Select((concept, at) => concept with { Alone = found.Alone[at] })],
            Matches = found.Matches,
            Expected = found.Expected,
            Classes = [.. most.Select(pair => new ClassMatches(pair.Key, names.GetValueOrDefault(pair.Key)?.DisplayName ?? "no class", pair.Value, names.GetValueOrDefault(pair.Key)?.Images ?? 0))],
            Found =
            [
                .. rows.Where(tiles.ContainsKey).Select(row => new FoundSample(
                    tiles[row], [.. outcome.Placings.Select(placing => placing.Above[row] / (double)found.Samples)], outcome.Likeness?[row])),
            ],
        };
    }

    /// <summary>Places by each concept; those that are not kept are computed in one pass, one search after the other.</summary>
    private async Task<Dictionary<int, Placing>> PlacingsAsync(AnalysisEntity analysis, SampleScores scores, IReadOnlyList<Sought> concepts, CancellationToken cancellation)
    {
        var known = new Dictionary<int, Placing>();
        if (Take())
        {
            return known;
        }

        await _reading.WaitAsync(cancellation);
        try
        {
            // Another search may have brought them meanwhile.
            if (Take())
            {
                return known;
            }

            var missing = concepts.Where(c => !known.ContainsKey(c.Id)).DistinctBy(c => c.Id).ToList();
            var computed = await Task.Run(
                () =>
                {
                    var columns = scores.Project([.. missing.Select(c => Vector(analysis, c))], cancellation);
                    var placings = new Placing[columns.Length];
                    Parallel.For(0, columns.Length, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, at => placings[at] = Placing.Of(columns[at]));
                    return placings;
                },
                cancellation);
            for (var at = 0; at < missing.Count; at++)
            {
                known[missing[at].Id] = computed[at];
                _columns.Add(Key(analysis, missing[at]), computed[at], (long)computed[at].Above.Length * sizeof(int));
            }

            return known;
        }
        finally
        {
            _reading.Release();
        }

        bool Take()
        {
            foreach (var concept in concepts)
            {
                if (!known.ContainsKey(concept.Id) && _columns.TryGet<Placing>(Key(analysis, concept), out var placing))
                {
                    known[concept.Id] = placing;
                }
            }

            return concepts.All(concept => known.ContainsKey(concept.Id));
        }
    }

    private async Task<float[]?> LikenessAsync(AnalysisEntity analysis, SampleScores scores, SampleSearch wanted, float[]? own, CancellationToken cancellation)
    {
        if (wanted.Like is null && own is null)
        {
            return null;
        }

        var key = Key(analysis, "like", wanted.Like?.ToString(CultureInfo.InvariantCulture) ?? wanted.Image!);
        if (_columns.TryGet<float[]>(key, out var known))
        {
            return known;
        }

        await _reading.WaitAsync(cancellation);
        try
        {
            var likeness = await Task.Run(
                () => scores.Likeness(
                    (wanted.Like is { } row ? scores.Pooled(row) : own) ?? throw new AnalysisException("The image has no recorded activation.", "Run the analysis again."), cancellation),
                cancellation);
            _columns.Add(key, likeness, (long)likeness.Length * sizeof(float));
            return likeness;
        }
        finally
        {
            _reading.Release();
        }
    }

    private static string Key(AnalysisEntity analysis, Sought concept) => Key(analysis, "concept", concept.Id.ToString(CultureInfo.InvariantCulture));

    private static string Key(AnalysisEntity analysis, string kind, string of) => FormattableString.Invariant($"{analysis.Id}/{analysis.Version}/{kind}/{of}");

    /// <summary>Pooled activation of an image of one's own, which the task that explained it left.</summary>
    private async Task<float[]> OwnAsync(string analysisId, string hash, CancellationToken cancellation)
    {
        foreach (var task in await tasks.ListAsync(analysisId, ExplainTask.KindName, cancellation))
        {
            if (task.State == AnalysisState.Completed && OwnImageService.ImageOf(task) == hash
                && await tasks.FileAsync(analysisId, task.Id, ExplainTask.ActivationFile, cancellation) is { } found)
            {
                using var file = SafetensorsFile.Open(found.Path);
                return file.Span<float>("pooled").ToArray();
            }
        }

        throw new ServiceException("The network has not looked at this image. Bring it again.");
    }


    private float[] Vector(AnalysisEntity analysis, Sought concept)
    {
        var vectors = ClassArraysFile.ReadVector(ClassArraysFile.PathOf(folders.Run(analysis.Id), concept.Class), concept.Rank);
        return vectors.Length > 0 ? vectors : throw new AnalysisException($"The analysis kept no vector of the concept {concept.Id}.", "Run it again.");
    }

    /// <summary>Class of every sample of a finished analysis, from the classes' files; −1 for none. Not to be changed.</summary>
    public Task<int[]> ClassOf(AnalysisEntity analysis)
    {
        lock (_gate)
        {
            for (var node = _classes.First; node is not null; node = node.Next)
            {
                if (node.Value.Analysis == analysis.Id && node.Value.Version == analysis.Version && !node.Value.ClassOf.IsFaulted)
                {
                    return node.Value.ClassOf;
                }
            }

            var reading = Task.Run(() =>
            {
                var classOf = new int[analysis.Images];
                Array.Fill(classOf, -1);
                Parallel.For(0, analysis.Classes, index =>
                {
                    foreach (var row in ClassArraysFile.ReadSamples(ClassArraysFile.PathOf(folders.Run(analysis.Id), index)))
                    {
                        if ((uint)row < (uint)classOf.Length)
                        {
                            classOf[row] = index;
                        }
                    }
                });
                return classOf;
            });
            _classes.AddFirst((analysis.Id, analysis.Version, reading));
            while (_classes.Count > MostAnalyses)
            {
                _classes.RemoveLast();
            }

            return reading;
        }
    }

    private sealed record Sought(int Id, int Class, int Rank, bool Present);

    private sealed record Outcome(CombinationMatches Found, IReadOnlyList<Placing> Placings, float[]? Likeness);
}
