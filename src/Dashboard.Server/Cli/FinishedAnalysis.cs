using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Analysis;
using Analysis.Runs;
using Analysis.Runs.Tasks;

namespace Dashboard.Server.Cli;

/// <summary>What commands need of an analysis that <c>analyze</c> has finished.</summary>
internal static class FinishedAnalysis
{
    /// <summary>Activations lie in the data directory where one is named, else beside the result, where analyze left them.</summary>
    public static string Store(ParseResult parsed, string analysis) =>
        (parsed.GetValue(GlobalOptions.DataDirectory) ?? Environment.GetEnvironmentVariable("Dashboard__DataDirectory")) is { Length: > 0 } data
            ? Path.Combine(Path.GetFullPath(data), "store")
            : Path.Combine(analysis, "work");

    /// <summary>The request that the result folder was made from.</summary>
    /// <exception cref="AnalysisException">The folder holds no finished analysis.</exception>
    public static AnalysisRequest Request(string analysis)
    {
        var path = Path.Combine(analysis, "manifest.json");
        try
        {
            return JsonSerializer.Deserialize<Manifest>(File.ReadAllBytes(path), AnalysisJson.Options)!.Request;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new AnalysisException($"{path} cannot be read: {failure.Message}", "Give the result folder of a finished analysis.", failure);
        }
    }
}

/// <summary>Writes what a task is at to the standard error, a line for each new thing.</summary>
internal sealed class ConsoleTaskObserver : ITaskObserver
{
    private string _doing = "";

    /// <inheritdoc/>
    public void OnProgress(TaskProgress progress)
    {
        if (progress.Doing != _doing)
        {
            _doing = progress.Doing;
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{(progress.Total == 0 ? 0 : 100 * progress.Done / progress.Total),3}% {progress.Doing}"));
        }
    }
}
