using System.CommandLine;
using System.Text.Json;
using Analysis.Evaluation;
using Analysis.Runs;

namespace Dashboard.Server.Cli;

/// <summary><c>evaluate</c>: compares a result with a planted truth.</summary>
internal static class EvaluateCommand
{
    public static Command Create()
    {
        var command = new Command("evaluate", "Compares a result folder with a planted truth: outliers by kind, attributes found by concepts.");
        var result = new Option<string>("--result") { Required = true, Description = "Result folder." };
        var truth = new Option<string>("--truth") { Required = true, Description = "truth.json of the data set." };
        var json = new Option<bool>("--json") { Description = "Print JSON." };
        command.Options.Add(result);
        command.Options.Add(truth);
        command.Options.Add(json);
        command.Options.Add(GlobalOptions.DataDirectory);
        command.SetAction(parsed => CommandRunner.Run(_ =>
        {
            var report = PlantedTruth.Evaluate(Path.GetFullPath(parsed.GetValue(result)!), Path.GetFullPath(parsed.GetValue(truth)!));
            Console.WriteLine(parsed.GetValue(json) ? JsonSerializer.Serialize(report, AnalysisJson.Options) : report.ToText());
        }));
        return command;
    }
}
