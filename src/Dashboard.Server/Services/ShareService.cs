using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Dashboard.Client.Contracts;
using Dashboard.Server.Data;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Services;

/// <summary>
/// Makes, finds and ends read-only links. A token has 128 random bits; only its hash is looked up, and the copy that lets
/// the owner see the link again is encrypted with the keys of this installation.
/// </summary>
internal sealed class ShareService(IDbContextFactory<DashboardDbContext> databases, AnalysisService analyses, IDataProtectionProvider protection) : IShareService
{
    private const int TokenBytes = 16;
    private const int TokenLength = 22;
    private readonly IDataProtector _protector = protection.CreateProtector("Dashboard.Shares");

    public async Task<ShareLink> ShareClassAsync(string analysisId, int classIndex, CancellationToken cancellation = default)
    {
        var analysis = await RequireAsync(analysisId, cancellation);
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var name = await database.Classes.Where(row => row.AnalysisKey == analysis.Key && row.Index == classIndex && row.Ready)
            .Select(row => row.DisplayName).FirstOrDefaultAsync(cancellation)
            ?? throw new ServiceException($"The analysis has no finished class {classIndex}.");
        return await AddAsync(database, analysis, $"{name} · {analysis.Name}", classIndex, null, cancellation);
    }

    public async Task<ShareLink> ShareOutliersAsync(string analysisId, OutlierFilter filter, CancellationToken cancellation = default)
    {
        var analysis = await RequireAsync(analysisId, cancellation);
        await using var database = await databases.CreateDbContextAsync(cancellation);
        return await AddAsync(
            database, analysis, $"Outliers{(filter.Kind is null ? "" : $" ({filter.Kind})")} · {analysis.Name}", null, JsonSerializer.Serialize(filter, Json.Options), cancellation);
    }

    public async Task<IReadOnlyList<ShareLink>> ListAsync(string analysisId, CancellationToken cancellation = default)
    {
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var rows = await database.Shares.AsNoTracking()
            .Where(row => database.Analyses.Any(analysis => analysis.Id == analysisId && analysis.Key == row.AnalysisKey))
            .OrderByDescending(row => row.Created).ToListAsync(cancellation);
        var links = new List<ShareLink>();
        foreach (var row in rows)
        {
            try
            {
                links.Add(Link(_protector.Unprotect(row.ProtectedToken), row));
            }
            catch (CryptographicException)
            {
                // Made with keys that are gone: the link still works for those who have it, and ends with the analysis.
            }
        }

        return links;
    }

    public async Task RevokeAsync(string token, CancellationToken cancellation = default)
    {
        var hash = Hash(token);
        await using var database = await databases.CreateDbContextAsync(cancellation);
        if (await database.Shares.Where(row => row.TokenHash == hash).ExecuteDeleteAsync(cancellation) == 0)
        {
            throw new ServiceException("There is no such link, or it was ended already.");
        }
    }

    /// <summary>What a token shows; null where there is no such link. Counts the view.</summary>
    public async Task<(string AnalysisId, int? Class, OutlierFilter? Filter)?> OpenAsync(string token, CancellationToken cancellation)
    {
        if (token.Length != TokenLength)
        {
            return null;
        }

        var hash = Hash(token);
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var row = await database.Shares.AsNoTracking().FirstOrDefaultAsync(share => share.TokenHash == hash, cancellation);
        if (row is null)
        {
            return null;
        }

        var id = await database.Analyses.Where(analysis => analysis.Key == row.AnalysisKey).Select(analysis => analysis.Id).FirstAsync(cancellation);
        await database.Shares.Where(share => share.Key == row.Key).ExecuteUpdateAsync(set => set.SetProperty(share => share.Views, share => share.Views + 1), cancellation);
        return (id, row.Class, row.Filter is null ? null : JsonSerializer.Deserialize<OutlierFilter>(row.Filter, Json.Options));
    }

    private async Task<ShareLink> AddAsync(
        DashboardDbContext database, AnalysisEntity analysis, string title, int? classIndex, string? filter, CancellationToken cancellation)
    {
        var token = WebEncoders.Base64UrlEncode(RandomNumberGenerator.GetBytes(TokenBytes));
        var row = new ShareEntity
        {
            AnalysisKey = analysis.Key,
            TokenHash = Hash(token),
            ProtectedToken = _protector.Protect(token),
            Title = title,
            Class = classIndex,
            Filter = filter,
            Created = DateTimeOffset.UtcNow,
        };
        database.Shares.Add(row);
        await database.SaveChangesAsync(cancellation);
        return Link(token, row);
    }

    private async Task<AnalysisEntity> RequireAsync(string analysisId, CancellationToken cancellation) =>
        await analyses.FindAsync(analysisId, cancellation) ?? throw new ServiceException($"There is no analysis '{analysisId}'.");

    private static ShareLink Link(string token, ShareEntity row) => new(token, "/shared/" + token, row.Title, row.Created, row.Views);

    private static string Hash(string token) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(token)));
}
