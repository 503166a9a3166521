using System.CommandLine;
using System.CommandLine.Parsing;
using Analysis;
using Dashboard.Server.Configuration;

namespace Dashboard.Server.Cli;

/// <summary>
/// The one executable's command line. Exit codes: 0 done, 1 failed with a message on standard error, 2 wrong usage,
/// 130 cancelled.
/// </summary>
internal static class DashboardCommandLine
{
    /// <summary>Done.</summary>
    public const int Done = 0;

    /// <summary>Failed; the message is on standard error.</summary>
    public const int Failed = 1;

    /// <summary>Wrong usage.</summary>
    public const int Usage = 2;

    /// <summary>Cancelled.</summary>
    public const int Cancelled = 130;

    /// <summary>Parses and runs.</summary>
    public static async Task<int> RunAsync(string[] arguments)
    {
        var root = new RootCommand("Concept Atlas shows what a vision model has learnt. Without a command it starts the dashboard.");
        ServeCommand.AddTo(root);
        root.Subcommands.Add(AnalyzeCommand.Create());
        root.Subcommands.Add(ExtractCommand.Create());
        root.Subcommands.Add(CompareCommand.Create());
        root.Subcommands.Add(LabelCommand.Create());
        root.Subcommands.Add(ProbeCommand.Create());
        root.Subcommands.Add(BackpropagateCommand.Create());
        root.Subcommands.Add(RetrainCommand.Create());
        root.Subcommands.Add(AttributeCommand.Create());
        root.Subcommands.Add(EvaluateCommand.Create());
        root.Subcommands.Add(InspectCommand.Create());
        root.Subcommands.Add(SeedCommand.Create());
        root.Subcommands.Add(WorkerCommand.Create());
        // An argument that begins with @ is a value like any other: read as a file of arguments, it would show that file's words in a
        // message to whoever gave the value, which may be a page.
        var parsed = root.Parse(arguments, new ParserConfiguration { ResponseFileTokenReplacer = null });
        if (parsed.Errors.Count > 0)
        {
            foreach (var error in parsed.Errors)
            {
                await Console.Error.WriteLineAsync(error.Message);
            }

            await Console.Error.WriteLineAsync($"See '{Path.GetFileName(Environment.ProcessPath)} {PathOf(parsed.CommandResult)}--help'.");
            return Usage;
        }

        try
        {
            return await parsed.InvokeAsync(new InvocationConfiguration
            {
                EnableDefaultExceptionHandler = false,
                ProcessTerminationTimeout = TimeSpan.FromSeconds(10),
            });
        }
        catch (OperationCanceledException)
        {
            return Cancelled;
        }
        catch (AnalysisException fault)
        {
            await Console.Error.WriteLineAsync(fault.Message);
            return Failed;
        }
        catch (Exception fault) when (Disk.IsFull(fault))
        {
            await Console.Error.WriteLineAsync("The disk is full. Free some space and start again: what is done is kept.");
            return Failed;
        }
        catch (Exception fault) when (Environment.GetEnvironmentVariable("ATLAS_TRACE") != "1")
        {
            await Console.Error.WriteLineAsync($"Unexpected fault: {fault.Message} Set ATLAS_TRACE=1 to see where it happened.");
            return Failed;
        }
    }

    private static string PathOf(CommandResult result) => result.Parent is CommandResult parent ? PathOf(parent) + result.Command.Name + " " : "";
}

/// <summary>Options that every command knows.</summary>
internal static class GlobalOptions
{
    /// <summary><c>--data-directory</c>: where the catalogue, runs and shards lie.</summary>
    public static readonly Option<string?> DataDirectory = new("--data-directory")
    {
        Description = $"Folder of the catalogue, runs and caches (default: {DashboardOptions.DefaultDataDirectory}; also Dashboard__DataDirectory)",
        HelpName = "PATH",
    };

    /// <summary>The data directory for a command without the site: the option, the environment variable, or the default.</summary>
    public static string ResolveDataDirectory(ParseResult result) => new DashboardOptions
    {
        DataDirectory = result.GetValue(DataDirectory) ?? Environment.GetEnvironmentVariable("Dashboard__DataDirectory") ?? "",
    }.ResolvedDataDirectory;
}
