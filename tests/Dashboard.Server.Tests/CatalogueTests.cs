using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Dashboard.Server.Jobs;
using Dashboard.Server.Services;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Xunit;

namespace Dashboard.Server.Tests;

public sealed class CatalogueTests
{
    [Fact]
    public async Task The_catalogue_writes_ahead_and_the_model_has_no_pending_change()
    {
        await using var site = await TestSite.StartAsync();
        await using var database = await site.Get<IDbContextFactory<DashboardDbContext>>().CreateDbContextAsync(TestContext.Current.CancellationToken);
        Assert.False(database.Database.HasPendingModelChanges());
        await database.Database.OpenConnectionAsync(TestContext.Current.CancellationToken);
        await using var command = database.Database.GetDbConnection().CreateCommand();
        command.CommandText = "PRAGMA journal_mode";
        Assert.Equal("wal", await command.ExecuteScalarAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public void The_store_gives_up_the_keys_unused_for_longest()
    {
        var store = Directory.CreateTempSubdirectory("atlas-store-").FullName;
        try
        {
            for (var age = 0; age < 4; age++)
            {
                var folder = Directory.CreateDirectory(Path.Combine(store, $"key{age}")).FullName;
                var file = Path.Combine(folder, "shard");
                File.WriteAllBytes(file, new byte[1000]);
                var time = DateTime.UtcNow.AddDays(-age);
                File.SetLastWriteTimeUtc(file, time);
                File.SetLastAccessTimeUtc(file, time);
                Directory.SetLastWriteTimeUtc(folder, time);
            }

            var cleaner = new StoreCleaner(new DataFolders(store), Options.Create(new DashboardOptions()), NullLogger<StoreCleaner>.Instance);
            Assert.Equal(2, cleaner.Trim(store, 2000, [], CancellationToken.None));
            Assert.Equal(["key0", "key1"], Directory.EnumerateDirectories(store).Select(Path.GetFileName).Order());
        }
        finally
        {
            Directory.Delete(store, recursive: true);
        }
    }

    [Fact]
    public void Likeness_of_concepts_is_the_cosine_of_their_vectors()
    {
        var bank = ConceptBank.From([([7, 8], [3f, 0, 0, 0, 2, 0]), ([9], [1f, 1, 0])]);
        Assert.Equal(0, bank.Cosine(7, 8)!.Value, 6);
        Assert.Equal(Math.Sqrt(0.5), bank.Cosine(7, 9)!.Value, 6);
        Assert.Null(bank.Cosine(7, 10));
        Assert.Equal(9, bank.Nearest(7, 1)[0].Id);
        Assert.Equal(6, bank.Plane().Length);
    }

    [Fact]
    public void A_full_disk_is_recognised_through_its_causes()
    {
        Assert.True(Disk.IsFull(new InvalidOperationException("x", new SqliteException("full", 13))));
        Assert.False(Disk.IsFull(new IOException("other")));
    }
}
