using System.Globalization;
using Analysis;
using Analysis.Atlas;
using Analysis.Search;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Services;

/// <summary>
/// Spreads a concept's activation over the classes: one pass over the recorded activations, when it is first asked for. What was
/// found is kept, a few numbers each; one is computed at a time.
/// </summary>
internal sealed class ConceptSpreadService(
    IDbContextFactory<DashboardDbContext> databases, AnalysisService analyses, SampleSearchService samples, DataFolders folders) : IConceptSpreadService
{
    private const int MostClasses = 12;
    private const long MostBytes = 1L << 20;
    private const long BytesEach = 2048;

    private readonly SemaphoreSlim _reading = new(1);
    private readonly RecentValues _known = new(MostBytes);

    public async Task<ConceptSpread?> SpreadAsync(string analysisId, int conceptId, CancellationToken cancellation = default)
    {
        if (await analyses.FindAsync(analysisId, cancellation) is not { } analysis)
        {
            return null;
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        if (await database.Concepts.AsNoTracking().FirstOrDefaultAsync(row => row.AnalysisKey == analysis.Key && row.Id == conceptId, cancellation) is not { } concept)
        {
            return null;
        }

        var nothing = new ConceptSpread { Concept = conceptId, Class = concept.Class };
        var scores = new SampleScores(folders.Run(analysis.Id));
        if (analysis.State != AnalysisState.Completed || !scores.Exist)
        {
            return nothing with
            {
                Problem = analysis.State != AnalysisState.Completed ? "Known once the analysis is complete." : "This analysis kept no activations of other classes.",
            };
        }

        var key = string.Create(CultureInfo.InvariantCulture, $"{analysis.Id}/{analysis.Version}/{conceptId}");
        if (_known.TryGet<ConceptSpread>(key, out var known))
        {
            return known;
        }

        var names = await database.Classes.AsNoTracking().Where(row => row.AnalysisKey == analysis.Key).ToDictionaryAsync(row => row.Index, row => row.DisplayName, cancellation);
        await _reading.WaitAsync(cancellation);
        try
        {
            if (_known.TryGet(key, out known))
            {
                return known;
            }

            var classOf = await samples.ClassOf(analysis).WaitAsync(cancellation);
            var vector = ClassArraysFile.ReadVector(ClassArraysFile.PathOf(folders.Run(analysis.Id), concept.Class), concept.Rank);
            if (vector.Length == 0)
            {
                return nothing with { Problem = "This analysis kept no vector of the concept." };
            }

            var found = await Task.Run(() => Spread(nothing, scores, vector, classOf, names, cancellation), cancellation);
            _known.Add(key, found, BytesEach);
            return found;
        }
        catch (AnalysisException fault)
        {
            throw new ServiceException(fault.Message);
        }
        finally
        {
            _reading.Release();
        }
    }

    private static ConceptSpread Spread(
        ConceptSpread nothing, SampleScores scores, float[] vector, int[] classOf, Dictionary<int, string> names, CancellationToken cancellation)
    {
        var values = scores.Activations(vector, cancellation);
        var places = ClassSpreads.Of(values, classOf, names.Count)
            .OrderByDescending(spread => spread.Median).ThenBy(spread => spread.Class)
            .Select((spread, place) => new ConceptInClass(
                spread.Class, names.GetValueOrDefault(spread.Class, ""), place, spread.Samples, spread.Low, spread.LowerQuarter, spread.Median, spread.UpperQuarter, spread.High))
            .ToList();
        var auc = ClassSpreads.Auc(values, classOf, nothing.Class);
        return nothing with
        {
            Classes = places.Count,
            Auc = double.IsNaN(auc) ? null : auc,
            Shown = [.. places.Where(spread => spread.Place < MostClasses || spread.Class == nothing.Class)],
        };
    }
}
