using System.Security.Cryptography;
using System.Text.Json;
using Analysis.Datasets;
using Analysis;
using Analysis.Runs;
using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Dashboard.Server.Jobs;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Services;

/// <summary>Starts and steers analyses: writes the queue, and leaves running them to the <see cref="JobCoordinator"/>.</summary>
internal sealed class AnalysisService(
    IDbContextFactory<DashboardDbContext> databases,
    DataFolders folders,
    AllowedRoots roots,
    ProgressStore progress,
    TaskService tasks,
    JobCoordinator coordinator,
    IMethodService methods) : IAnalysisService
{
    /// <summary>Most rows of one page of a list.</summary>
    public const int MostRows = 500;

    private static readonly string[] Relevances = ["directional", "projected", "official"];

    public async Task<Paged<AnalysisSummary>> ListAsync(int skip = 0, int take = 50, CancellationToken cancellation = default)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var total = await database.Analyses.CountAsync(cancellation);
        var rows = await database.Analyses.AsNoTracking()
            .OrderByDescending(row => row.Created).ThenByDescending(row => row.Key)
            .Skip(Math.Max(0, skip)).Take(Math.Clamp(take, 0, MostRows))
            .ToListAsync(cancellation);
        return new Paged<AnalysisSummary>([.. rows.Select(Summary)], total);
    }

    public async Task<AnalysisSummary?> GetAsync(string id, CancellationToken cancellation = default) =>
        await FindAsync(id, cancellation) is { } row ? Summary(row) : null;

    public async Task<AnalysisSummary> StartAsync(NewAnalysis request, CancellationToken cancellation = default)
    {
        var faults = Faults(request).ToList();
        if (faults.Count > 0)
        {
            throw new ServiceException(string.Join(" ", faults));
        }

        var dataset = roots.Require(request.Dataset);
        var recorded = string.IsNullOrWhiteSpace(request.Network) && DatasetLoader.HoldsActivations(dataset);
        var network = recorded ? "" : roots.Require(request.Network);
        if (!recorded && !File.Exists(network))
        {
            throw new ServiceException($"'{request.Network}' is not a file. Give the file with the network's weights.");
        }

        return await QueueAsync(request with { Dataset = dataset, Network = network }, isSample: false, cancellation);
    }

    /// <summary>Queues a request whose paths have been checked.</summary>
    public async Task<AnalysisSummary> QueueAsync(NewAnalysis request, bool isSample, CancellationToken cancellation)
    {
        var id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(6));
        var networkName = Path.GetFileNameWithoutExtension(request.Network);
        var datasetName = Path.GetFileName(Path.TrimEndingDirectorySeparator(request.Dataset));
        var name = string.IsNullOrWhiteSpace(request.Name) ? networkName.Length == 0 ? datasetName : $"{networkName} · {datasetName}" : request.Name.Trim();
        var entity = new AnalysisEntity
        {
            Id = id,
            Name = name,
            Request = JsonSerializer.Serialize(ForEngine(request) with { Name = name }, Json.Options),
            State = AnalysisState.Queued,
            Created = DateTimeOffset.UtcNow,
            QueueOrder = DateTimeOffset.UtcNow.ToUnixTimeMilliseconds(),
            IsSample = isSample,
            NetworkName = networkName,
            DatasetName = datasetName,
            Layer = request.Layer ?? "",
            Method = request.Method,
        };
        await using (var database = await databases.CreateDbContextAsync(cancellation))
        {
            database.Analyses.Add(entity);
            await database.SaveChangesAsync(cancellation);
        }

        progress.Publish(id, old => old with { State = AnalysisState.Queued });
        coordinator.Wake();
        return Summary(entity);
    }

    public async Task<NewAnalysis?> RequestAsync(string id, CancellationToken cancellation = default) =>
        await FindAsync(id, cancellation) is { } row ? Asked(row) : null;

    public async Task CancelAsync(string id, CancellationToken cancellation = default)
    {
        var row = await RequireAsync(id, cancellation);
        if (row.State is not (AnalysisState.Queued or AnalysisState.Running))
        {
            throw new ServiceException($"The analysis is {Word(row.State)} and cannot be stopped.");
        }

        await coordinator.CancelAsync(id, cancellation);
    }

    public async Task ResumeAsync(string id, CancellationToken cancellation = default)
    {
        var row = await RequireAsync(id, cancellation);
        if (row.State is not (AnalysisState.Failed or AnalysisState.Cancelled))
        {
            throw new ServiceException($"The analysis is {Word(row.State)}; only a stopped or failed one can be resumed.");
        }

        await using (var database = await databases.CreateDbContextAsync(cancellation))
        {
            var changed = await database.Analyses.Where(entity => entity.Key == row.Key && entity.State == row.State).ExecuteUpdateAsync(
                set => set.SetProperty(entity => entity.State, AnalysisState.Queued)
                    .SetProperty(entity => entity.Message, (string?)null)
                    .SetProperty(entity => entity.Ended, (DateTimeOffset?)null)
                    .SetProperty(entity => entity.Failures, 0)
                    .SetProperty(entity => entity.FailureMark, 0)
                    .SetProperty(entity => entity.QueueOrder, DateTimeOffset.UtcNow.ToUnixTimeMilliseconds()),
                cancellation);
            if (changed == 0)
            {
                // Somebody else has resumed it in this moment; it may be running already.
                return;
            }
        }

        progress.Publish(id, old => old with { State = AnalysisState.Queued, Message = null });
        coordinator.Wake();
    }

    public async Task DeleteAsync(string id, CancellationToken cancellation = default)
    {
        var row = await RequireAsync(id, cancellation);
        if (row.State is AnalysisState.Queued or AnalysisState.Running)
        {
            await coordinator.CancelAsync(id, cancellation);
        }

        await tasks.ForgetAsync(id, cancellation);
        await using (var database = await databases.CreateDbContextAsync(cancellation))
        {
            await database.Analyses.Where(entity => entity.Key == row.Key).ExecuteDeleteAsync(cancellation);
        }

        progress.Remove(id);
        var shards = await UnusedShardsAsync(id, cancellation);
        foreach (var folder in shards.Append(folders.Run(id)).Append(Path.Combine(folders.Thumbnails, id)).Append(Path.Combine(folders.Generated, id)))
        {
            try
            {
                await Task.Run(() => Disk.DeleteFolder(folder), cancellation);
            }
            catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
            {
                throw new ServiceException($"The analysis is deleted, but its folder {folder} could not be removed: {fault.Message} Remove it by hand.");
            }
        }
    }

    public async Task<IReadOnlyList<string>> LogAsync(string id, int lines = 200, CancellationToken cancellation = default)
    {
        await RequireAsync(id, cancellation);
        return RunLog.Tail(folders.Run(id), Math.Clamp(lines, 1, 5000));
    }

    public async Task<IReadOnlyList<SkippedView>> SkippedAsync(string id, CancellationToken cancellation = default)
    {
        var row = await RequireAsync(id, cancellation);
        await using var database = await databases.CreateDbContextAsync(cancellation);
        return await database.Skipped.AsNoTracking()
            .Where(entry => entry.AnalysisKey == row.Key).OrderBy(entry => entry.Index)
            .Select(entry => new SkippedView(entry.Path, entry.Reason))
            .ToListAsync(cancellation);
    }

    public async Task<string> ManifestAsync(string id, CancellationToken cancellation = default)
    {
        var row = await RequireAsync(id, cancellation);
        var file = Path.Combine(folders.Run(id), "manifest.json");
        return row.State == AnalysisState.Completed && File.Exists(file)
            ? await File.ReadAllTextAsync(file, cancellation)
            : JsonSerializer.Serialize(JsonDocument.Parse(row.Request).RootElement, new JsonSerializerOptions { WriteIndented = true });
    }

    /// <summary>One row; null if there is none.</summary>
    public async Task<AnalysisEntity?> FindAsync(string id, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        return await database.Analyses.AsNoTracking().FirstOrDefaultAsync(row => row.Id == id, cancellation);
    }

    /// <summary>A row as lists show it, with the progress of this moment.</summary>
    public AnalysisSummary Summary(AnalysisEntity row)
    {
        var now = row.State is AnalysisState.Queued or AnalysisState.Running ? progress.Current(row.Id) : null;
        var asked = Asked(row);
        return new AnalysisSummary
        {
            Id = row.Id,
            Name = row.Name,
            State = row.State,
            NetworkName = row.NetworkName,
            HasNetwork = asked.Network.Length > 0,
            Layer = row.Layer,
            DatasetName = row.DatasetName,
            Method = row.Method,
            MethodText = MethodRules.Text(asked, methods.Catalogue),
            Images = row.Images,
            Classes = row.Classes,
            Concepts = row.Concepts,
            Accuracy = row.Accuracy,
            Created = row.Created,
            Ended = row.Ended,
            Message = row.Message ?? now?.Message,
            IsSample = row.IsSample,
            Share = row.State == AnalysisState.Completed ? 1 : now?.Share ?? row.Share,
        };
    }

    /// <summary>
    /// Folders in the store that only this analysis's manifest names. None while another analysis has no manifest yet: its
    /// checkpoints may be among them. The size limit of the store takes care of the rest.
    /// </summary>
    private async Task<IReadOnlyList<string>> UnusedShardsAsync(string id, CancellationToken cancellation)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var others = await database.Analyses.AsNoTracking().Where(row => row.Id != id).Select(row => row.Id).ToListAsync(cancellation);
        var own = Keys(id);
        var used = new HashSet<string>(StringComparer.Ordinal);
        foreach (var other in others)
        {
            if (Keys(other) is not { } keys)
            {
                return [];
            }

            used.UnionWith(keys);
        }

        return [.. (own ?? []).Where(key => key.All(char.IsAsciiLetterOrDigit) && !used.Contains(key)).Select(key => Path.Combine(folders.Store, key))];
    }

    private IReadOnlyCollection<string>? Keys(string id) => RunFiles.Keys(folders.Run(id))?.Values.ToArray();

    private async Task<AnalysisEntity> RequireAsync(string id, CancellationToken cancellation) =>
        await FindAsync(id, cancellation) ?? throw new ServiceException($"There is no analysis '{id}'.");

    private static string? Blank(string? text) => string.IsNullOrWhiteSpace(text) ? null : text;

    private static string Word(AnalysisState state) => state switch
    {
        AnalysisState.Queued => "waiting",
        AnalysisState.Running => "running",
        AnalysisState.Completed => "complete",
        AnalysisState.Failed => "failed",
        _ => "stopped",
    };

    private static AnalysisRequest ForEngine(NewAnalysis request) => new()
    {
        Dataset = request.Dataset,
        Network = request.Network,
        Architecture = Blank(request.Architecture),
        Layer = Blank(request.Layer),
        Classes = request.Classes is { Count: > 0 } ? request.Classes : null,
        Method = request.Method,
        Concepts = request.Concepts,
        Granularity = request.Granularity,
        Scope = request.Scope,
        PerClass = request.PerClass,
        Importance = request.Importance,
        Parameters = new SortedDictionary<string, double>(request.Parameters.ToDictionary(pair => pair.Key, pair => pair.Value), StringComparer.Ordinal),
        Relevance = request.Relevance,
        Device = Blank(request.Device),
        Seed = request.Seed,
        Limit = request.Limit,
    };

    private static NewAnalysis Asked(AnalysisEntity row)
    {
        var request = JsonSerializer.Deserialize<AnalysisRequest>(row.Request, Json.Options)!;
        return new NewAnalysis
        {
            Dataset = request.Dataset,
            Network = request.Network,
            Architecture = request.Architecture,
            Layer = request.Layer,
            Classes = request.Classes,
            Method = request.Method,
            Concepts = request.Concepts,
            Granularity = request.Granularity,
            Scope = request.Scope,
            PerClass = request.PerClass,
            Importance = request.Importance,
            Parameters = request.Parameters,
            Relevance = request.Relevance,
            Device = request.Device,
            Seed = request.Seed,
            Limit = request.Limit,
            Name = request.Name,
        };
    }

    private static string? MethodFault(NewAnalysis request)
    {
        try
        {
            ConceptOptions.Validate(ForEngine(request));
            return null;
        }
        catch (AnalysisException fault)
        {
            return fault.Message;
        }
    }

    private static IEnumerable<string> Faults(NewAnalysis request)
    {
        if (MethodFault(request) is { } fault)
        {
            yield return fault;
        }

        if (!Relevances.Contains(request.Relevance))
        {
            yield return $"The relevance score '{request.Relevance}' is not known. Choose one of: {string.Join(", ", Relevances)}.";
        }

        if (request.Limit is < 1)
        {
            yield return $"The image limit is {request.Limit}. Choose at least 1, or leave it out to use all images.";
        }

        if (request.Device is not (null or "" or "cpu" or "cuda"))
        {
            yield return $"The device '{request.Device}' is not known. Choose cpu or cuda.";
        }

        if (request.Name is { Length: > 200 })
        {
            yield return "The name is longer than 200 characters.";
        }

        if (request.Classes is { Count: > 100_000 })
        {
            yield return "More than 100,000 classes are named. Leave them out to use all.";
        }
    }
}
