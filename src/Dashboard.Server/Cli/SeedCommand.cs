using System.CommandLine;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Analysis.Atlas;
using Analysis.Datasets.Sample;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Dashboard.Server.Jobs;
using Microsoft.EntityFrameworkCore;

namespace Dashboard.Server.Cli;

/// <summary><c>seed</c>: puts a generated atlas into the catalogue, to see how the pages behave at any size.</summary>
internal static class SeedCommand
{
    public static Command Create()
    {
        var sizes = new GeneratedAtlasOptions();
        var command = new Command("seed", "Puts a generated atlas (synthetic numbers and images) into the catalogue, to try the pages at any size.");
        var classes = new Option<int>("--classes") { Description = "Classes, 1 to 10,000.", DefaultValueFactory = _ => sizes.Classes };
        var samples = new Option<int>("--samples") { Description = "Images of each class, 8 to 10,000.", DefaultValueFactory = _ => sizes.Samples };
        var concepts = new Option<int>("--concepts") { Description = "Concepts of each class, 1 to 100.", DefaultValueFactory = _ => sizes.Concepts };
        var seed = new Option<int>("--seed") { Description = "Seed of every number.", DefaultValueFactory = _ => sizes.Seed };
        foreach (var option in new Option[] { classes, samples, concepts, seed, GlobalOptions.DataDirectory })
        {
            command.Options.Add(option);
        }

        command.SetAction(parsed => CommandRunner.Run(cancellation => SeedAsync(
            new DataFolders(GlobalOptions.ResolveDataDirectory(parsed)),
            new GeneratedAtlasOptions
            {
                Classes = parsed.GetValue(classes),
                Samples = parsed.GetValue(samples),
                Concepts = parsed.GetValue(concepts),
                Seed = parsed.GetValue(seed),
            },
            cancellation).GetAwaiter().GetResult()));
        return command;
    }

    private static async Task SeedAsync(DataFolders folders, GeneratedAtlasOptions options, CancellationToken cancellation)
    {
        options.Validate();
        folders.Prepare();
        await using var services = new ServiceCollection().AddSingleton(folders).AddCatalogue().BuildServiceProvider();
        var databases = services.GetRequiredService<IDbContextFactory<DashboardDbContext>>();
        await Catalogue.OpenAsync(databases, folders, cancellation);
        var id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(6));
        var name = string.Create(CultureInfo.InvariantCulture, $"Generated atlas: {options.Classes:N0} classes × {options.Samples:N0} images × {options.Concepts:N0} concepts");
        var dataset = Path.Combine(folders.Generated, id);
        try
        {
            var manifest = Write(folders.Run(id), GeneratedDataset.Create(dataset, options.Classes, options.Samples, options.Seed), options, name, cancellation);
            await TakeInAsync(databases, folders, id, name, manifest, cancellation);
            await LabelAsync(databases, folders, id, options, manifest, cancellation);
        }
        catch
        {
            // Nobody can see what is not whole, and nobody would miss it.
            await using var database = await databases.CreateDbContextAsync(CancellationToken.None);
            await database.Analyses.Where(row => row.Id == id).ExecuteDeleteAsync(CancellationToken.None);
            Disk.DeleteFolder(folders.Run(id));
            Disk.DeleteFolder(dataset);
            throw;
        }

        Console.WriteLine($"{name}. Start the site with the same data directory and open /analyses/{id}/atlas.");
    }

    private static Manifest Write(string folder, GeneratedDataset dataset, GeneratedAtlasOptions options, string name, CancellationToken cancellation)
    {
        var step = Math.Max(1, options.Classes / 10);
        return GeneratedAtlas.Write(folder, dataset, options, name, new Told(done =>
        {
            if (done % step == 0)
            {
                Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{done:N0} of {options.Classes:N0} classes made"));
            }
        }), cancellation);
    }

    private static async Task TakeInAsync(
        IDbContextFactory<DashboardDbContext> databases, DataFolders folders, string id, string name, Manifest manifest, CancellationToken cancellation)
    {
        var entity = new AnalysisEntity
        {
            Id = id,
            Name = name,
            Request = JsonSerializer.Serialize(manifest.Request, Json.Options),
            // Until it is whole: a site that runs meanwhile leaves it alone.
            State = AnalysisState.Cancelled,
            Created = manifest.Created,
            Started = manifest.Created,
            Method = manifest.Request.Method,
        };
        await using (var database = await databases.CreateDbContextAsync(cancellation))
        {
            database.Analyses.Add(entity);
            await database.SaveChangesAsync(cancellation);
        }

        Console.Error.WriteLine("Taking the tables into the catalogue");
        var ingestion = new AtlasIngestion(databases);
        await ingestion.DescriptionAsync(entity.Key, folders.Run(id), cancellation);
        await ingestion.FinishAsync(entity.Key, folders.Run(id), cancellation);
        await using (var database = await databases.CreateDbContextAsync(cancellation))
        {
            await database.Analyses.Where(row => row.Key == entity.Key).ExecuteUpdateAsync(
                set => set.SetProperty(row => row.State, AnalysisState.Completed).SetProperty(row => row.Ended, DateTimeOffset.UtcNow).SetProperty(row => row.Share, 1),
                cancellation);
        }
    }

    /// <summary>Stores labels as if somebody had asked for them.</summary>
    private static async Task LabelAsync(
        IDbContextFactory<DashboardDbContext> databases, DataFolders folders, string id, GeneratedAtlasOptions options, Manifest manifest, CancellationToken cancellation)
    {
        var task = new LabelTask();
        using var nothing = JsonDocument.Parse("{}");
        var parameters = task.Normalise(nothing.RootElement);
        var key = TaskRunner.Key(task, parameters, manifest.Keys);
        AtomicFile.Write(
            Path.Combine(folders.Task(id, key), TaskRunner.ResultFile), stream => JsonSerializer.Serialize(stream, GeneratedAtlas.Labels(options), AnalysisJson.Line));
        await using var database = await databases.CreateDbContextAsync(cancellation);
        var analysis = await database.Analyses.Where(row => row.Id == id).Select(row => row.Key).FirstAsync(cancellation);
        database.Tasks.Add(new TaskEntity
        {
            AnalysisKey = analysis,
            Id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(6)),
            Kind = task.Kind,
            Version = task.Version,
            Parameters = parameters,
            TaskKey = key,
            State = AnalysisState.Completed,
            Created = manifest.Created,
            Started = manifest.Created,
            Ended = DateTimeOffset.UtcNow,
        });
        await database.SaveChangesAsync(cancellation);
    }

    /// <summary>Told where the work is done, in order; <see cref="Progress{T}"/> would tell later.</summary>
    private sealed class Told(Action<int> tell) : IProgress<int>
    {
        public void Report(int value) => tell(value);
    }
}
