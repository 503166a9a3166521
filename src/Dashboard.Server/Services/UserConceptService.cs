using System.Security.Cryptography;
using System.Text.Json;
using Analysis;
using Dashboard.Client.Contracts;
using Dashboard.Server.Data;
using Dashboard.Server.Images;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Services;

/// <summary>Keeps the concepts that people define, apart from what the engine writes, so that they survive a run that is repeated.</summary>
internal sealed class UserConceptService(IDbContextFactory<DashboardDbContext> databases, AnalysisService analyses, DraftResolver resolver, PictureService pictures) : IUserConceptService
{
    private const int LongestName = 200;
    private const int MostConcepts = 1000;
    private const int SqliteConstraint = 19;

    // A task takes the definition inline, and its parameters are limited.
    private const int LongestDefinition = TaskService.LongestParameters - 4096;

    public async Task<Paged<UserConcept>> ListAsync(string analysisId, int skip = 0, int take = 500, CancellationToken cancellation = default)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var rows = Of(database, analysisId);
        var page = await rows.OrderByDescending(row => row.Key).Skip(skip).Take(take).ToListAsync(cancellation);
        return new Paged<UserConcept>([.. page.Select(View)], await rows.CountAsync(cancellation));
    }

    public async Task<UserConcept?> GetAsync(string analysisId, string conceptId, CancellationToken cancellation = default)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        return await Of(database, analysisId).FirstOrDefaultAsync(row => row.Id == conceptId, cancellation) is { } row ? View(row) : null;
    }

    public async Task<ConceptPreview> PreviewAsync(string analysisId, ConceptDraft draft, CancellationToken cancellation = default) =>
        await resolver.PreviewAsync(await RequireAsync(analysisId, cancellation), Tidy(draft), cancellation);

    public async Task<AttributesView> AttributesAsync(string analysisId, CancellationToken cancellation = default) =>
        await resolver.AttributesAsync(await RequireAsync(analysisId, cancellation), cancellation);

    public async Task<PictureFrame?> FrameAsync(string analysisId, int sample, CancellationToken cancellation = default)
    {
        try
        {
            return await pictures.FrameAsync(analysisId, sample, cancellation) is { } part ? new PictureFrame(part.Left, part.Top, part.Width, part.Height) : null;
        }
        catch (AnalysisException fault)
        {
            throw new ServiceException(fault.Message);
        }
    }

    public async Task<UserConcept> CreateAsync(string analysisId, ConceptDraft draft, CancellationToken cancellation = default)
    {
        var analysis = await RequireAsync(analysisId, cancellation);
        var complete = Tidy(draft) with { Name = Name(draft.Name) };
        if ((await resolver.PreviewAsync(analysis, complete, cancellation)).Problem is { } problem)
        {
            throw new ServiceException(problem);
        }

        await using var database = await databases.CreateDbContextAsync(cancellation);
        if (await database.UserConcepts.CountAsync(row => row.AnalysisKey == analysis.Key, cancellation) >= MostConcepts)
        {
            throw new ServiceException($"The analysis has {MostConcepts:N0} defined concepts already. Delete some first.");
        }

        var row = new UserConceptEntity
        {
            AnalysisKey = analysis.Key,
            Id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(6)),
            Name = complete.Name,
            Definition = JsonSerializer.Serialize(complete, Json.Options),
            Created = DateTimeOffset.UtcNow,
        };
        if (row.Definition.Length > LongestDefinition)
        {
            throw new ServiceException("The concept lists too many images. Say it by classes or by a column of attributes.csv instead.");
        }

        database.UserConcepts.Add(row);
        await SaveAsync(database, row.Name, cancellation);
        return View(row);
    }

    public async Task<UserConcept> RenameAsync(string analysisId, string conceptId, string name, CancellationToken cancellation = default)
    {
        var wanted = Name(name);
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var key = await Of(database, analysisId).Where(row => row.Id == conceptId).Select(row => (int?)row.Key).FirstOrDefaultAsync(cancellation) ?? throw Missing(conceptId);
        var row = await database.UserConcepts.SingleAsync(entity => entity.Key == key, cancellation);
        row.Name = wanted;
        await SaveAsync(database, wanted, cancellation);
        return View(row);
    }

    public async Task DeleteAsync(string analysisId, string conceptId, CancellationToken cancellation = default)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var key = await Of(database, analysisId).Where(row => row.Id == conceptId).Select(row => (int?)row.Key).FirstOrDefaultAsync(cancellation) ?? throw Missing(conceptId);
        await database.UserConcepts.Where(row => row.Key == key).ExecuteDeleteAsync(cancellation);
    }

    private static async Task SaveAsync(DashboardDbContext database, string name, CancellationToken cancellation)
    {
        try
        {
            await database.SaveChangesAsync(cancellation);
        }
        catch (DbUpdateException fault) when (fault.InnerException is SqliteException { SqliteErrorCode: SqliteConstraint })
        {
            throw new ServiceException($"There is a concept named '{name}' already. Choose another name.");
        }
    }

    private static IQueryable<UserConceptEntity> Of(DashboardDbContext database, string analysisId) =>
        from concept in database.UserConcepts.AsNoTracking()
        join analysis in database.Analyses on concept.AnalysisKey equals analysis.Key
        where analysis.Id == analysisId
        select concept;

    private static UserConcept View(UserConceptEntity row) => new()
    {
        Id = row.Id,
        Name = row.Name,
        Definition = JsonSerializer.Deserialize<ConceptDraft>(row.Definition, Json.Options)!,
        Created = row.Created,
    };

    private static string Name(string? name)
    {
        var trimmed = name?.Trim() ?? "";
        return trimmed.Length switch
        {
            0 => throw new ServiceException("The concept has no name. Give it a short one."),
            > LongestName => throw new ServiceException($"The name has {trimmed.Length:N0} characters. Use at most {LongestName}."),
            _ => trimmed,
        };
    }

    // Only what the source takes: the rest would change the content address of what is made from it.
    private static ConceptDraft Tidy(ConceptDraft draft)
    {
        var classes = draft.Source == "classes";
        var tagged = draft.Source is "samples" or "region";
        var unit = draft.Source is "concept" or "neuron";
        IEnumerable<string?> paths = [.. draft.Classes ?? [], .. draft.Positives ?? [], .. draft.Negatives ?? [], .. (draft.Regions ?? []).Select(region => region?.Path)];
        if (paths.Any(path => path is null))
        {
            // JSON may hold null where the type does not.
            throw new ServiceException("A list of the concept holds an entry without a name. Give the path of each image, and the name of each class.");
        }

        return new ConceptDraft
        {
            Name = draft.Name ?? "",
            Source = draft.Source ?? "",
            Classes = classes ? [.. (draft.Classes ?? []).Distinct(StringComparer.Ordinal)] : [],
            Positives = draft.Source == "samples" ? [.. (draft.Positives ?? []).Distinct(StringComparer.Ordinal)] : [],
            Negatives = tagged ? [.. (draft.Negatives ?? []).Distinct(StringComparer.Ordinal)] : [],
            Attribute = draft.Source == "attribute" ? draft.Attribute?.Trim() : null,
            Value = draft.Source == "attribute" && !string.IsNullOrEmpty(draft.Value) ? draft.Value : null,
            Regions = draft.Source == "region" ? draft.Regions ?? [] : [],
            Unit = unit ? draft.Unit : null,
            Share = unit ? draft.Share : new ConceptDraft().Share,
        };
    }

    private async Task<AnalysisEntity> RequireAsync(string analysisId, CancellationToken cancellation) =>
        await analyses.FindAsync(analysisId, cancellation) ?? throw new ServiceException($"There is no analysis '{analysisId}'.");

    private static ServiceException Missing(string conceptId) => new($"The analysis has no defined concept '{conceptId}'.");
}
