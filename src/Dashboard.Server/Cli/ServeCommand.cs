using System.CommandLine;
using System.Globalization;
using System.Net.Sockets;
using Analysis;
using Dashboard.Server.Configuration;
using Dashboard.Server.Jobs;

namespace Dashboard.Server.Cli;

/// <summary>Starts the dashboard: what the program does without a command.</summary>
internal static class ServeCommand
{
    private static readonly Option<string?> Urls = new("--urls")
    {
        Description = $"Addresses to listen on, separated by semicolons (default: {DashboardOptions.DefaultUrls})",
        HelpName = "URLS",
    };

    private static readonly Option<string[]> DataRoots = new("--data-root")
    {
        Description = "Folder below which data sets and networks may be read; repeatable (default: the home folder)",
        HelpName = "PATH",
    };

    public static void AddTo(RootCommand root)
    {
        root.Options.Add(GlobalOptions.DataDirectory);
        root.Options.Add(Urls);
        root.Options.Add(DataRoots);
        root.SetAction((result, cancellation) => ServeAsync(Settings(result), cancellation));
    }

    private static Dictionary<string, string?> Settings(ParseResult result)
    {
        var settings = new Dictionary<string, string?>();
        if (result.GetValue(Urls) is { } urls)
        {
            settings["Dashboard:Urls"] = urls;
        }

        if (result.GetValue(GlobalOptions.DataDirectory) is { } data)
        {
            settings["Dashboard:DataDirectory"] = data;
        }

        var roots = result.GetValue(DataRoots) ?? [];
        for (var index = 0; index < roots.Length; index++)
        {
            settings[string.Create(CultureInfo.InvariantCulture, $"Dashboard:DataRoots:{index}")] = roots[index];
        }

        return settings;
    }

    private static async Task<int> ServeAsync(Dictionary<string, string?> settings, CancellationToken cancellation)
    {
        await using var app = await DashboardHost.CreateAsync(settings, cancellation);
        try
        {
            await app.StartAsync(cancellation);
        }
        catch (IOException fault)
        {
            throw new AnalysisException(
                $"The site cannot listen: {fault.InnerException?.Message ?? fault.Message}",
                "Another program, perhaps another dashboard, uses the address. End it, or choose another address with --urls, for example --urls http://127.0.0.1:5081.",
                fault);
        }
        catch (SocketException fault)
        {
            throw new AnalysisException($"The site cannot listen: {fault.Message}", "Choose another address with --urls, for example --urls http://127.0.0.1:5081.", fault);
        }

        var address = app.Services.GetRequiredService<HostAddress>();
        foreach (var url in address.Addresses)
        {
            Console.WriteLine(address.LoopbackOnly ? $"Concept Atlas: {url}" : $"Concept Atlas: {url}/login?t={address.Token}");
        }

        if (!address.LoopbackOnly)
        {
            Console.WriteLine("Whoever has this link can use the site. It holds until the next start, unless Dashboard__Token fixes the token.");
        }

        Console.WriteLine($"Data directory: {app.Services.GetRequiredService<DataFolders>().Root}");
        try
        {
            await app.WaitForShutdownAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            // Ended by Ctrl+C: the ordinary end of a site.
        }

        return DashboardCommandLine.Done;
    }
}
