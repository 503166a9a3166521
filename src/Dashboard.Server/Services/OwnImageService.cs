using System.Text.Json;
using Analysis;
using Analysis.Explanations;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Dashboard.Server.Images;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Services;

/// <summary>Images that people bring: kept by the hash of their bytes, explained by the task <c>explain</c>, shown like samples.</summary>
internal sealed class OwnImageService(
    IDbContextFactory<DashboardDbContext> databases, AnalysisService analyses, AtlasService atlas, TaskService tasks, PictureService pictures, DataFolders folders) : IOwnImageService
{
    public async Task<OwnImage> BringAsync(string analysisId, byte[] file, CancellationToken cancellation = default)
    {
        var analysis = await analyses.GetAsync(analysisId, cancellation) ?? throw new ServiceException($"There is no analysis '{analysisId}'.");
        if (Problem(analysis) is { } problem)
        {
            throw new ServiceException(problem);
        }

        try
        {
            var (hash, width, height) = await Task.Run(() => OwnImages.Keep(folders.Run(analysisId), file), cancellation);
            var task = await tasks.StartAsync(analysisId, ExplainTask.KindName, OwnImageView.Parameters(hash, null), cancellation);
            return new OwnImage(hash, width, height, task);
        }
        catch (AnalysisException fault)
        {
            throw new ServiceException(fault.Message);
        }
    }

    public async Task<OwnImageView?> GetAsync(string analysisId, string? hash, int? classIndex = null, CancellationToken cancellation = default)
    {
        if (await analyses.GetAsync(analysisId, cancellation) is not { } analysis)
        {
            return null;
        }

        var view = new OwnImageView { Analysis = analysis, Hash = hash, Problem = Problem(analysis) };
        if (hash is null || view.Problem is not null)
        {
            return view;
        }

        if (!OwnImages.IsHash(hash))
        {
            return view with { Problem = "The address names no image. Bring the image again." };
        }

        view = view with { Kept = File.Exists(OwnImages.PathOf(folders.Run(analysisId), hash)), Classes = await ClassesAsync(analysisId, cancellation) };
        var task = await tasks.FindAsync(analysisId, ExplainTask.KindName, OwnImageView.Parameters(hash, classIndex), cancellation);
        return task is { State: AnalysisState.Completed } && await tasks.ResultAsync(analysisId, task.Id, cancellation) is { } text
            && JsonSerializer.Deserialize<ImageExplanation>(text, AnalysisJson.Options) is { } explanation
            ? await ShowAsync(view, explanation, task.Id, cancellation)
            : view;
    }

    public async Task<bool> DeleteAsync(string analysisId, string hash, CancellationToken cancellation = default)
    {
        if (!OwnImages.IsHash(hash))
        {
            return false;
        }

        var mine = (await tasks.ListAsync(analysisId, ExplainTask.KindName, cancellation)).Where(task => ImageOf(task) == hash).ToList();
        foreach (var task in mine)
        {
            await tasks.DeleteAsync(analysisId, task.Id, cancellation);
        }

        pictures.ForgetOwn(analysisId, hash);
        return await Task.Run(() => OwnImages.Delete(folders.Run(analysisId), hash), cancellation) || mine.Count > 0;
    }

    /// <summary>The image that a task of this kind explains.</summary>
    public static string? ImageOf(TaskView task) => task.Parameters.TryGetProperty("image", out var image) ? image.GetString() : null;

    private static string? Problem(AnalysisSummary analysis) => !analysis.HasNetwork
        ? "This analysis has no network that could look at another image: its activations come from a file, or it is generated. Analyse a network on images, then bring yours there."
        : analysis.State != AnalysisState.Completed ? "The network looks at your own images once the analysis is complete." : null;

    private async Task<IReadOnlyList<(int Index, string Name)>> ClassesAsync(string analysisId, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var rows = await (
            from row in database.Classes.AsNoTracking()
            join analysis in database.Analyses on row.AnalysisKey equals analysis.Key
            where analysis.Id == analysisId && row.Ready && row.Concepts > 0
            orderby row.Index
            select new { row.Index, row.DisplayName }).ToListAsync(cancellation);
        return [.. rows.Select(row => (row.Index, row.DisplayName))];
    }

    private async Task<OwnImageView> ShowAsync(OwnImageView view, ImageExplanation explanation, string taskId, CancellationToken cancellation)
    {
        var id = view.Analysis.Id;
        if (await atlas.ClassAsync(id, explanation.Class, cancellation) is not { } of || of.Concepts.Count + 1 != explanation.Contributions.Count)
        {
            return view;
        }

        var byRank = of.Concepts.OrderBy(concept => concept.Rank).ToList();
        var contributions = byRank
            .Select((concept, rank) => new ContributionView(
                new ConceptTile(concept.Id, Names.Concept(concept), concept.Rank, concept.Importance, Label: concept.Label), Names.Concept(concept), explanation.Contributions[rank], explanation.Against[rank]))
            .Append(new ContributionView(null, "not explained by a concept", explanation.Contributions[^1], explanation.Against[^1]))
            .Append(new ContributionView(null, "bias", explanation.Logit - explanation.Contributions.Sum()))
            .ToList();
        var strategy = of.Strategies.FirstOrDefault(entry => entry.Index == explanation.Strategy);
        var tiles = (await atlas.SamplesAsync(id, [.. explanation.Nearest.Select(near => near.Sample), .. strategy is null ? [] : new[] { strategy.Prototype }], cancellation))
            .DistinctBy(tile => tile.Index).ToDictionary(tile => tile.Index);
        return view with
        {
            TaskId = taskId,
            Sample = new SampleView
            {
                Analysis = view.Analysis,
                Sample = new SampleTile
                {
                    Index = -1,
                    Path = FormattableString.Invariant($"your image, {explanation.Width}×{explanation.Height} pixels"),
                    Class = of.Index,
                    ClassName = of.DisplayName,
                    Predicted = explanation.Top[0].Name,
                    Confidence = explanation.Top[0].Probability,
                    Strategy = explanation.Strategy,
                },
                Top = [.. explanation.Top.Select(output => (output.Name, output.Probability))],
                Contributions = contributions,
                ContributionsTo = explanation.TargetName,
                Logit = explanation.Logit,
                Concepts = [.. byRank.OrderByDescending(concept => explanation.Contributions[concept.Rank])],
                HasMaps = explanation.Maps.Count > 0,
                Strategy = strategy,
                Prototype = strategy is null ? null : tiles.GetValueOrDefault(strategy.Prototype),
                Nearest = [.. explanation.Nearest.Where(near => tiles.ContainsKey(near.Sample)).Select(near => (tiles[near.Sample], near.Distance))],
            },
            Maps = explanation.Maps.Where(rank => rank < byRank.Count).ToDictionary(rank => byRank[rank].Id, ExplainTask.MapFile),
            StrategyFit = explanation.StrategyFit,
            Residual = explanation.Residual,
            Notes = explanation.Notes,
        };
    }
}
