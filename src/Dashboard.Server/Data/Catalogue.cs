using Analysis;
using Dashboard.Server.Configuration;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Data;

/// <summary>Opens the catalogue.</summary>
internal static class Catalogue
{
    /// <summary>Registers the context factory for the catalogue in the data directory.</summary>
    public static IServiceCollection AddCatalogue(this IServiceCollection services) =>
        services.AddDbContextFactory<DashboardDbContext>((provider, options) =>
            options.UseSqlite(ConnectionString(provider.GetRequiredService<DataFolders>())));

    private static string ConnectionString(DataFolders folders) => new SqliteConnectionStringBuilder
    {
        DataSource = folders.Database,
        ForeignKeys = true,
        DefaultTimeout = 30,
    }.ToString();

    /// <summary>Applies the migrations and turns on write-ahead logging, so that readers and the writer do not wait for each other.</summary>
    /// <exception cref="AnalysisException">The catalogue cannot be opened or was made by a later version.</exception>
    public static async Task OpenAsync(IDbContextFactory<DashboardDbContext> factory, DataFolders folders, CancellationToken cancellation)
    {
        try
        {
            await using var database = await factory.CreateDbContextAsync(cancellation);
            var known = database.Database.GetMigrations().ToHashSet();
            if (File.Exists(folders.Database))
            {
                var later = (await database.Database.GetAppliedMigrationsAsync(cancellation)).FirstOrDefault(name => !known.Contains(name));
                if (later is not null)
                {
                    throw new AnalysisException(
                        $"The catalogue {folders.Database} was made by a later version ({later}).", "Start that version, or choose another folder with --data-directory.");
                }
            }

            await database.Database.MigrateAsync(cancellation);
            await database.Database.ExecuteSqlRawAsync("PRAGMA journal_mode=WAL;", cancellation);
        }
        catch (Exception fault) when (fault is SqliteException or IOException or UnauthorizedAccessException)
        {
            throw Disk.IsFull(fault)
                ? new AnalysisException($"The disk that holds the catalogue {folders.Database} is full.", "Free some space and start again.", fault)
                : new AnalysisException(
                    $"The catalogue {folders.Database} cannot be opened: {fault.Message}",
                    "Check that no other program uses the file and that it may be written, or choose another folder with --data-directory.",
                    fault);
        }
    }
}
