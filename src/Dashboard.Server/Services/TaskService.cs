using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Analysis;
using Analysis.Atlas;
using Analysis.Runs.Tasks;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Dashboard.Server.Jobs;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Services;

/// <summary>Starts and steers tasks beside finished analyses: writes the queue, and leaves running them to the <see cref="JobCoordinator"/>.</summary>
internal sealed class TaskService(
    IDbContextFactory<DashboardDbContext> databases, DataFolders folders, ProgressStore progress, JobCoordinator coordinator, AllowedRoots roots) : ITaskService
{
    /// <summary>Most characters of a task's parameters: a concept may name some thousand images.</summary>
    public const int LongestParameters = 512 * 1024;
    private const int LongestText = 4 << 20;
    private const int SqliteConstraint = 19;

    // Labels of a large atlas take tens of megabytes: few are kept, and all viewers look at the same.
    private const int MostLabels = 3;
    private readonly List<(string Task, Task<LabelView?> Labels)> _labels = [];

    public async Task<TaskView> StartAsync(string analysisId, string kind, JsonElement? parameters, CancellationToken cancellation = default)
    {
        var (task, complete) = Normalise(kind, parameters);
        RequireRoots(complete);
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var analysis = await database.Analyses.AsNoTracking().FirstOrDefaultAsync(row => row.Id == analysisId, cancellation)
            ?? throw new ServiceException($"There is no analysis '{analysisId}'.");
        if (analysis.State != AnalysisState.Completed || RunFiles.Keys(folders.Run(analysisId)) is not { } keys)
        {
            throw new ServiceException("The analysis is not complete. Wait for its end, or resume it, then ask again.");
        }

        var key = TaskRunner.Key(task, complete, keys);
        if (keys.ContainsKey(GeneratedAtlas.ManifestKey) && !File.Exists(Path.Combine(folders.Task(analysisId, key), TaskRunner.ResultFile)))
        {
            throw new ServiceException("This atlas is generated: there is no network and no image behind it to compute on. Open the atlas of an analysis.");
        }

        var known = await database.Tasks.AsNoTracking().FirstOrDefaultAsync(row => row.AnalysisKey == analysis.Key && row.TaskKey == key, cancellation);
        if (known is null)
        {
            var row = new TaskEntity
            {
                AnalysisKey = analysis.Key,
                Id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(6)),
                Kind = task.Kind,
                Version = task.Version,
                Parameters = complete,
                TaskKey = key,
                State = AnalysisState.Queued,
                Created = DateTimeOffset.UtcNow,
                QueueOrder = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
            };
            try
            {
                database.Tasks.Add(row);
                await database.SaveChangesAsync(cancellation);
            }
            catch (DbUpdateException fault) when (fault.InnerException is SqliteException { SqliteErrorCode: SqliteConstraint })
            {
                // Somebody asked for the same at the same time, or the analysis was deleted.
                return await FindAsync(analysisId, kind, parameters, cancellation)
                    ?? throw new ServiceException($"There is no analysis '{analysisId}'.");
            }

            var view = View(row, analysisId);
            progress.RestoreTask(view);
            coordinator.WakeForTask();
            return view;
        }

        var stored = known.State == AnalysisState.Completed && File.Exists(Path.Combine(folders.Task(analysisId, key), TaskRunner.ResultFile));
        if (stored || known.State is AnalysisState.Queued or AnalysisState.Running)
        {
            return Current(known, analysisId);
        }

        // Stopped or failed, or its files were lost.
        var changed = await database.Tasks.Where(row => row.Key == known.Key && row.State == known.State).ExecuteUpdateAsync(
            set => set.SetProperty(row => row.State, AnalysisState.Queued)
                .SetProperty(row => row.Message, (string?)null)
                .SetProperty(row => row.Ended, (DateTimeOffset?)null)
                .SetProperty(row => row.Failures, 0)
                .SetProperty(row => row.FailureMark, 0)
                .SetProperty(row => row.QueueOrder, DateTimeOffset.UtcNow.ToUnixTimeMilliseconds()),
            cancellation);
        if (changed == 0)
        {
            return Current(known, analysisId);
        }

        var queued = progress.PublishTask(known.Id, old => old with { State = AnalysisState.Queued, Message = null, Ended = null, SecondsLeft = null });
        coordinator.WakeForTask();
        return queued ?? Current(known, analysisId);
    }

    public async Task<TaskView?> FindAsync(string analysisId, string kind, JsonElement? parameters, CancellationToken cancellation = default)
    {
        var (task, complete) = Normalise(kind, parameters);
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var row = await Of(database, analysisId)
            .Where(row => row.Kind == task.Kind && row.Version == task.Version && row.Parameters == complete)
            .OrderByDescending(row => row.Key).FirstOrDefaultAsync(cancellation);
        return row is null || (row.State == AnalysisState.Completed && !File.Exists(Path.Combine(folders.Task(analysisId, row.TaskKey), TaskRunner.ResultFile)))
            ? null
            : Current(row, analysisId);
    }

    public async Task<TaskView?> GetAsync(string analysisId, string taskId, CancellationToken cancellation = default) =>
        await RowAsync(analysisId, taskId, cancellation) is { } row ? Current(row, analysisId) : null;

    public async Task<IReadOnlyList<TaskView>> ListAsync(string analysisId, string? kind = null, CancellationToken cancellation = default)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var rows = await Of(database, analysisId).Where(row => kind == null || row.Kind == kind).OrderByDescending(row => row.Key).ToListAsync(cancellation);
        return [.. rows.Select(row => Current(row, analysisId))];
    }

    public async Task<string?> ResultAsync(string analysisId, string taskId, CancellationToken cancellation = default)
    {
        if (await RowAsync(analysisId, taskId, cancellation) is not { State: AnalysisState.Completed } row)
        {
            return null;
        }

        try
        {
            return await File.ReadAllTextAsync(Path.Combine(folders.Task(analysisId, row.TaskKey), TaskRunner.ResultFile), cancellation);
        }
        catch (Exception fault) when (fault is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    public async Task<LabelView?> LabelsAsync(string analysisId, string taskId, CancellationToken cancellation = default)
    {
        if (await RowAsync(analysisId, taskId, cancellation) is not { State: AnalysisState.Completed, Kind: LabelView.TaskKind } row)
        {
            return null;
        }

        Task<LabelView?> reading;
        lock (_labels)
        {
            var place = _labels.FindIndex(entry => entry.Task == taskId);
            if (place >= 0 && !_labels[place].Labels.IsFaulted)
            {
                reading = _labels[place].Labels;
                _labels.RemoveAt(place);
            }
            else
            {
                reading = Task.Run(() => ReadLabelsAsync(Path.Combine(folders.Task(analysisId, row.TaskKey), TaskRunner.ResultFile)), CancellationToken.None);
            }

            _labels.Add((taskId, reading));
            if (_labels.Count > MostLabels)
            {
                _labels.RemoveAt(0);
            }
        }

        return await reading.WaitAsync(cancellation);
    }

    private static async Task<LabelView?> ReadLabelsAsync(string path)
    {
        try
        {
            await using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 1 << 16, FileOptions.Asynchronous);
            return await LabelView.ParseAsync(stream);
        }
        catch (Exception fault) when (fault is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    public async Task<string?> TextAsync(string analysisId, string taskId, string name, CancellationToken cancellation = default)
    {
        if (await FileAsync(analysisId, taskId, name, cancellation) is not { ContentType: "application/json", Length: <= LongestText } file)
        {
            return null;
        }

        try
        {
            return await File.ReadAllTextAsync(file.Path, cancellation);
        }
        catch (Exception fault) when (fault is FileNotFoundException or DirectoryNotFoundException)
        {
            return null;
        }
    }

    public async Task CancelAsync(string analysisId, string taskId, CancellationToken cancellation = default)
    {
        var row = await RowAsync(analysisId, taskId, cancellation) ?? throw new ServiceException($"The analysis has no task '{taskId}'.");
        if (row.State is not (AnalysisState.Queued or AnalysisState.Running))
        {
            throw new ServiceException("The task has ended and cannot be stopped.");
        }

        await coordinator.CancelTaskAsync(taskId, cancellation);
    }

    public async Task DeleteAsync(string analysisId, string taskId, CancellationToken cancellation = default)
    {
        var row = await RowAsync(analysisId, taskId, cancellation) ?? throw new ServiceException($"The analysis has no task '{taskId}'.");
        await coordinator.CancelTaskAsync(taskId, cancellation);
        await using (var database = await databases.CreateDbContextAsync(cancellation))
        {
            await database.Tasks.Where(entity => entity.Key == row.Key).ExecuteDeleteAsync(cancellation);
        }

        lock (_labels)
        {
            _labels.RemoveAll(entry => entry.Task == taskId);
        }

        progress.RemoveTask(taskId);
        var folder = folders.Task(analysisId, row.TaskKey);
        try
        {
            await Task.Run(() => Disk.DeleteFolder(folder), cancellation);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new ServiceException($"The task is deleted, but its folder {folder} could not be removed: {fault.Message} Remove it by hand.");
        }
    }

    /// <summary>Stops the tasks of an analysis that is about to be deleted and forgets them; their rows and files go with it.</summary>
    public async Task ForgetAsync(string analysisId, CancellationToken cancellation)
    {
        foreach (var task in await ListAsync(analysisId, null, cancellation))
        {
            if (task.AtWork)
            {
                await coordinator.CancelTaskAsync(task.Id, cancellation);
            }

            progress.RemoveTask(task.Id);
        }
    }

    /// <summary>A file in the task's own folder; null where there is none of this name. Names with folders and hidden or half-written files are none.</summary>
    public async Task<TaskFile?> FileAsync(string analysisId, string taskId, string name, CancellationToken cancellation)
    {
        if (TaskFile.ContentTypeOf(name) is not { } type || await RowAsync(analysisId, taskId, cancellation) is not { } row)
        {
            return null;
        }

        var file = new FileInfo(Path.Combine(folders.Task(analysisId, row.TaskKey), name));
        // A link could lead anywhere.
        return file is { Exists: true, LinkTarget: null } ? new TaskFile(file.FullName, type, file.Length, file.LastWriteTimeUtc) : null;
    }

    /// <summary>A row as pages show it.</summary>
    public static TaskView View(TaskEntity row, string analysisId)
    {
        using var parameters = JsonDocument.Parse(row.Parameters);
        return new TaskView
        {
            Id = row.Id,
            AnalysisId = analysisId,
            Kind = row.Kind,
            Parameters = parameters.RootElement.Clone(),
            State = row.State,
            Message = row.Message,
            Done = row.Done,
            Total = row.Total,
            Created = row.Created,
            Started = row.Started,
            Ended = row.Ended,
        };
    }

    private TaskView Current(TaskEntity row, string analysisId) => progress.CurrentTask(row.Id) ?? View(row, analysisId);

    private static (IAnalysisTask Task, string Complete) Normalise(string kind, JsonElement? parameters)
    {
        using var empty = JsonDocument.Parse("{}");
        var given = parameters is { ValueKind: not (JsonValueKind.Null or JsonValueKind.Undefined) } json ? json : empty.RootElement;
        if (given.ValueKind != JsonValueKind.Object)
        {
            throw new ServiceException("The parameters are not a JSON object. Send for instance {\"kind\": \"…\", \"parameters\": {}}.");
        }

        if (given.GetRawText().Length > LongestParameters)
        {
            throw new ServiceException($"The parameters are longer than {LongestParameters / 1024} KiB. Ask for less at once.");
        }

        try
        {
            var task = TaskCatalogue.Get(kind ?? "");
            var told = JsonNode.Parse(given.GetRawText())!;
            LeaveOutNulls(told, "parameters");
            return (task, task.Normalise(JsonSerializer.SerializeToElement(told)));
        }
        catch (AnalysisException fault)
        {
            throw new ServiceException(fault.Message);
        }
    }

    /// <summary>A parameter that is null is not given. In a list, null stands for nothing that could be meant.</summary>
    private static void LeaveOutNulls(JsonNode node, string name)
    {
        if (node is JsonObject parts)
        {
            foreach (var (key, value) in parts.ToList())
            {
                if (value is null)
                {
                    parts.Remove(key);
                }
                else
                {
                    LeaveOutNulls(value, key);
                }
            }
        }
        else if (node is JsonArray list)
        {
            foreach (var value in list)
            {
                LeaveOutNulls(value ?? throw new ServiceException($"The list '{name}' holds null. Leave it out of the list."), name);
            }
        }
    }

    /// <summary>Paths that a task is to read lie below the allowed roots; whatever the kind, they stand under these names.</summary>
    private void RequireRoots(string complete)
    {
        using var document = JsonDocument.Parse(complete);
        if (document.RootElement.TryGetProperty("dataset", out var dataset) && dataset.ValueKind == JsonValueKind.String)
        {
            roots.Require(dataset.GetString()!);
        }

        if (document.RootElement.TryGetProperty("networks", out var networks) && networks.ValueKind == JsonValueKind.Array)
        {
            foreach (var network in networks.EnumerateArray())
            {
                roots.Require(network.GetString() ?? "");
            }
        }
    }

    private static IQueryable<TaskEntity> Of(DashboardDbContext database, string analysisId) =>
        from task in database.Tasks.AsNoTracking()
        join analysis in database.Analyses on task.AnalysisKey equals analysis.Key
        where analysis.Id == analysisId
        select task;

    private async Task<TaskEntity?> RowAsync(string analysisId, string taskId, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        return await Of(database, analysisId).FirstOrDefaultAsync(row => row.Id == taskId, cancellation);
    }
}

/// <summary>A file of a task.</summary>
/// <param name="Path">Full path.</param>
/// <param name="ContentType">Media type.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Changed">When it was written.</param>
internal sealed record TaskFile(string Path, string ContentType, long Length, DateTimeOffset Changed)
{
    private const int LongestName = 100;

    /// <summary>Media type by the name's ending; null where the name or its ending is none that is served.</summary>
    public static string? ContentTypeOf(string name) =>
        name is not { Length: > 0 and <= LongestName } || !char.IsAsciiLetterOrDigit(name[0]) || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '-' or '_')
            ? null
            : System.IO.Path.GetExtension(name) switch
            {
                ".json" => "application/json",
                ".png" => "image/png",
                ".webp" => "image/webp",
                ".csv" => "text/csv; charset=utf-8",
                ".txt" => "text/plain; charset=utf-8",
                ".npz" or ".safetensors" or ".parquet" => "application/octet-stream",
                _ => null,
            };
}
