using Analysis;
using Analysis.Datasets.Sample;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Dashboard.Server.Services;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Options;

namespace Dashboard.Server.Jobs;

/// <summary>
/// At the first start, when the catalogue is empty, makes the built-in sample's images and queues its analysis, so that a
/// newcomer watches a run and then has an atlas to browse.
/// </summary>
internal sealed class SampleStarter(
    IDbContextFactory<DashboardDbContext> databases,
    DataFolders folders,
    AnalysisService analyses,
    IOptions<DashboardOptions> options,
    HostAddress address,
    ILogger<SampleStarter> logger) : BackgroundService
{
    /// <summary>Name of the sample's analysis.</summary>
    public const string Name = "Sample atlas";

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var network = Path.Combine(AllowedRoots.SampleNetworkFolder, "sample.safetensors");
        if (!options.Value.Sample || !File.Exists(network))
        {
            return;
        }

        try
        {
            await address.Known.WaitAsync(stoppingToken);
            await using (var database = await databases.CreateDbContextAsync(stoppingToken))
            {
                if (await database.Analyses.AnyAsync(stoppingToken))
                {
                    return;
                }
            }

            var dataset = await Task.Run(() => SampleDataset.EnsureCreated(folders.Sample, cancellation: stoppingToken), stoppingToken);
            await analyses.QueueAsync(new NewAnalysis { Dataset = dataset, Network = network, Name = Name }, isSample: true, stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // The next start makes what is missing.
        }
        catch (Exception fault) when (fault is AnalysisException or IOException or UnauthorizedAccessException)
        {
            logger.LogError("The built-in sample could not be made: {Message}", fault.Message);
        }
    }
}
