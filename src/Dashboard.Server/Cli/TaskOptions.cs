using System.CommandLine;
using System.Text.Json;
using Analysis;
using Analysis.Runs;
using Analysis.Runs.Tasks;

namespace Dashboard.Server.Cli;

/// <summary>What commands share that run a task beside a finished analysis: where it lies, where the result goes, how it is printed.</summary>
internal sealed class TaskOptions
{
    /// <param name="output">What the folder is for: the description of <c>--out</c>.</param>
    public TaskOptions(string output) => Output = new Option<string>("--out") { Required = true, Description = output };

    /// <summary>The analysis's result folder.</summary>
    public Option<string> Result { get; } = new("--result") { Required = true, Description = "Result folder of an analysis." };

    /// <summary>The task's folder.</summary>
    public Option<string> Output { get; }

    /// <summary>Print JSON instead of text.</summary>
    public Option<bool> Json { get; } = new("--json") { Description = "Print the result as JSON." };

    /// <summary>Adds these options and those of the command.</summary>
    public void AddTo(Command command, params IEnumerable<Option> own)
    {
        foreach (var option in (IEnumerable<Option>)[Result, Output, .. own, Json, GlobalOptions.DataDirectory])
        {
            command.Options.Add(option);
        }
    }

    /// <summary>The result folder of the analysis, a full path.</summary>
    public string Analysis(ParseResult parsed) => Path.GetFullPath(parsed.GetValue(Result)!);

    /// <summary>The task's folder, a full path.</summary>
    public string Folder(ParseResult parsed) => Path.GetFullPath(parsed.GetValue(Output)!);

    /// <summary>The complete parameters of a task.</summary>
    /// <param name="kind">Kind of task.</param>
    /// <param name="wishes">Parameters by name; null for what was not given.</param>
    /// <exception cref="AnalysisException">The task refuses them.</exception>
    public static string Parameters(string kind, Dictionary<string, object?> wishes) =>
        TaskCatalogue.Get(kind).Normalise(JsonSerializer.SerializeToElement(wishes.Where(w => w.Value is not null).ToDictionary(), AnalysisJson.Line));

    /// <summary>Runs a task and prints its result; the result of another wish makes way.</summary>
    /// <typeparam name="TReport">What the task writes.</typeparam>
    /// <param name="parsed">The command line.</param>
    /// <param name="kind">Kind of task.</param>
    /// <param name="wishes">Parameters by name; null for what was not given.</param>
    /// <param name="what">What the folder holds, in the plural: <c>labels</c>.</param>
    /// <param name="text">Result in words, given the folder.</param>
    /// <param name="cancellation">Cancels the task.</param>
    /// <exception cref="AnalysisException">The task refuses the parameters, fails, or the folder holds something else.</exception>
    public void Run<TReport>(ParseResult parsed, string kind, Dictionary<string, object?> wishes, string what, Func<TReport, string, string> text, CancellationToken cancellation)
    {
        var parameters = Parameters(kind, wishes);
        var path = Path.Combine(Folder(parsed), TaskRunner.ResultFile);
        if (File.Exists(path))
        {
            Replace<TReport>(path, what);
        }

        Run(parsed, kind, parameters, text, cancellation);
    }

    /// <summary>Runs a task with complete parameters and prints its result; what it left in the folder is used.</summary>
    public void Run<TReport>(ParseResult parsed, string kind, string parameters, Func<TReport, string, string> text, CancellationToken cancellation)
    {
        var (analysis, folder) = (Analysis(parsed), Folder(parsed));
        TaskRunner.Run(kind, parameters, FinishedAnalysis.Request(analysis), FinishedAnalysis.Store(parsed, analysis), analysis, folder, new ConsoleTaskObserver(), cancellation);
        var path = Path.Combine(folder, TaskRunner.ResultFile);
        Console.WriteLine(parsed.GetValue(Json) ? File.ReadAllText(path) : text(Read<TReport>(path)!, folder));
    }

    /// <summary>The parts of a list; null where it was not given.</summary>
    /// <param name="text">Parts separated by commas.</param>
    public static string[]? Parts(string? text) => text?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    private static TReport? Read<TReport>(string path) => JsonSerializer.Deserialize<TReport>(File.ReadAllBytes(path), AnalysisJson.Options);

    private static void Replace<TReport>(string path, string what)
    {
        try
        {
            if (Read<TReport>(path) is not null)
            {
                File.Delete(path);
                return;
            }
        }
        catch (JsonException)
        {
            // Not ours to delete; said below.
        }

        throw new AnalysisException($"{path} is there already and holds no {what}.", "Choose another folder for --out.");
    }
}
