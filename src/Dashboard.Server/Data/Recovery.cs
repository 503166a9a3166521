using System.Text.Json;
using Analysis.Runs.Tasks;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Jobs;
using Dashboard.Server.Services;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Data;

/// <summary>Puts things right at the start: runs that were at work are queued again, and folders of deleted analyses go.</summary>
internal sealed class Recovery(IDbContextFactory<DashboardDbContext> databases, ProgressStore progress, DataFolders folders)
{
    public async Task RestoreAsync(CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        await database.Analyses.Where(row => row.State == AnalysisState.Running)
            .ExecuteUpdateAsync(set => set.SetProperty(row => row.State, AnalysisState.Queued), cancellation);
        var rows = await database.Analyses.AsNoTracking().Select(row => new { row.Key, row.Id, row.State, row.Message, row.Progress, row.Share }).ToListAsync(cancellation);
        var ready = (await database.Classes.AsNoTracking().Where(row => row.Ready).Select(row => new { row.AnalysisKey, row.Index }).ToListAsync(cancellation))
            .ToLookup(row => row.AnalysisKey, row => row.Index);
        foreach (var row in rows)
        {
            var kept = row.Progress is null ? null : JsonSerializer.Deserialize<AnalysisProgress>(row.Progress, Json.Options);
            progress.Restore((kept ?? new AnalysisProgress { AnalysisId = row.Id, Sequence = 0, State = row.State, Share = row.Share }) with
            {
                State = row.State,
                Message = row.Message,
                SecondsLeft = null,
                ReadyClasses = [.. ready[row.Key].Order()],
            });
        }

        await RestoreTasksAsync(database, rows.ToDictionary(row => row.Key, row => row.Id), cancellation);
        var known = rows.Select(row => row.Id).ToHashSet();
        foreach (var folder in Directory.EnumerateDirectories(folders.Runs).Where(folder => IsRunFolder(folder) && !known.Contains(Path.GetFileName(folder))))
        {
            TryDelete(folder);
        }
    }

    /// <summary>Tasks at work are queued again; those of another version of their kind go, since nobody can ask for their results.</summary>
    private async Task RestoreTasksAsync(DashboardDbContext database, Dictionary<int, string> analyses, CancellationToken cancellation)
    {
        var versions = TaskCatalogue.All.ToDictionary(task => task.Kind, task => task.Version);
        foreach (var row in await database.Tasks.AsNoTracking().ToListAsync(cancellation))
        {
            if (versions.GetValueOrDefault(row.Kind, -1) != row.Version)
            {
                await database.Tasks.Where(task => task.Key == row.Key).ExecuteDeleteAsync(cancellation);
                TryDelete(folders.Task(analyses[row.AnalysisKey], row.TaskKey));
                continue;
            }

            if (row.State == AnalysisState.Running)
            {
                row.State = AnalysisState.Queued;
                await database.Tasks.Where(task => task.Key == row.Key)
                    .ExecuteUpdateAsync(set => set.SetProperty(task => task.State, AnalysisState.Queued), cancellation);
            }

            progress.RestoreTask(TaskService.View(row, analyses[row.AnalysisKey]));
        }
    }

    private static void TryDelete(string folder)
    {
        try
        {
            Disk.DeleteFolder(folder);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            // It costs space only, and the next start tries again.
        }
    }

    private static bool IsRunFolder(string folder) => Path.GetFileName(folder) is { Length: 12 } name && name.All(char.IsAsciiHexDigitLower);
}
