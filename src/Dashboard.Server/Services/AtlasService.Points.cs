using Analysis;
using Analysis.Atlas;
using Dashboard.Client.Contracts;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;
using static Dashboard.Server.Services.AtlasCards;
using static Dashboard.Server.Services.AtlasRows;

namespace Dashboard.Server.Services;

/// <content>Clouds of points, which travel as bytes over HTTP.</content>
internal sealed partial class AtlasService
{
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
}
