using System.CommandLine;
using System.Globalization;
using Analysis;
using Dashboard.Server.Jobs;

namespace Dashboard.Server.Cli;

/// <summary><c>worker --host URL</c>: an engine worker. The host starts it by itself.</summary>
internal static class WorkerCommand
{
    public static Command Create()
    {
        var host = new Option<string>("--host") { Description = "Address of the site", HelpName = "URL", Required = true };
        var command = new Command("worker", "Runs analyses for a site. The site starts its worker by itself.") { host };
        command.SetAction((result, cancellation) => RunAsync(result.GetRequiredValue(host), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(string host, CancellationToken cancellation)
    {
        var secret = Environment.GetEnvironmentVariable(WorkerIdentity.SecretVariable);
        if (string.IsNullOrEmpty(secret))
        {
            throw new AnalysisException(
                $"The worker has no secret: {WorkerIdentity.SecretVariable} is not set.", "Start the site; it starts its worker by itself.");
        }

        // Processes started from here have no business with it.
        Environment.SetEnvironmentVariable(WorkerIdentity.SecretVariable, null);
        if (int.TryParse(Environment.GetEnvironmentVariable(WorkerIdentity.ParentVariable), CultureInfo.InvariantCulture, out var parent))
        {
            EngineWorker.FollowParent(parent);
        }

        try
        {
            await new EngineWorker(host, secret, AnalysisEngine.Run).ServeAsync(cancellation);
        }
        catch (HttpRequestException fault)
        {
            throw new AnalysisException($"The site at {host} cannot be reached: {fault.Message}", "Check that it runs.", fault);
        }

        return DashboardCommandLine.Done;
    }
}
