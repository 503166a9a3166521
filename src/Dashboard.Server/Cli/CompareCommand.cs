using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Analysis;
using Analysis.Evaluation.Comparison;
using Analysis.Runs;
using Analysis.Runs.Tasks;

namespace Dashboard.Server.Cli;

/// <summary><c>compare</c>: extraction methods, numbers of concepts and estimators of importance side by side.</summary>
internal static class CompareCommand
{
    public static Command Create()
    {
        var command = new Command("compare", "Compares methods, numbers of concepts and estimators of importance in a result folder.");
        var result = new Option<string>("--result") { Required = true, Description = "Result folder of an analysis." };
        var output = new Option<string>("--out") { Required = true, Description = "Folder for the comparison." };
        var methods = new Option<string?>("--methods") { Description = $"Separated by commas: {string.Join(", ", CompareTask.Methods)}." };
        var components = new Option<string?>("--components") { Description = "Numbers of concepts, separated by commas." };
        var granularity = new Option<string?>("--granularity") { Description = "pooled or positions." };
        var classes = new Option<string?>("--classes") { Description = "Class names, separated by commas; an even spread by default." };
        var classLimit = new Option<int?>("--class-limit") { Description = "Number of classes where none are named." };
        var rows = new Option<int?>("--row-limit") { Description = "Rows of a class that are used at most." };
        var folds = new Option<int?>("--folds") { Description = "Fits for the stability; 0 for none." };
        var importance = new Option<string?>("--importance") { Description = "Estimators of importance, separated by commas; none for no estimators." };
        var weighed = new Option<string?>("--importance-method") { Description = "Method whose concepts the estimators weigh." };
        var weighedComponents = new Option<int?>("--importance-components") { Description = "Number of concepts that they weigh." };
        var draws = new Option<int?>("--draws") { Description = "Draws of stochastic estimators; each one's own by default." };
        var seed = new Option<int?>("--seed") { Description = "Seed of every stochastic step." };
        var json = new Option<bool>("--json") { Description = "Print the result as JSON." };
        foreach (var option in new Option[]
        {
            result, output, methods, components, granularity, classes, classLimit, rows, folds, importance, weighed, weighedComponents, draws, seed, json,
            GlobalOptions.DataDirectory,
        })
        {
            command.Options.Add(option);
        }

        command.SetAction(parsed => CommandRunner.Run(cancellation =>
        {
            var wishes = new Dictionary<string, object?>
            {
                ["methods"] = List(parsed.GetValue(methods)),
                ["components"] = List(parsed.GetValue(components))?.Select(Number).ToArray(),
                ["granularity"] = parsed.GetValue(granularity),
                ["classes"] = List(parsed.GetValue(classes)),
                ["classLimit"] = parsed.GetValue(classLimit),
                ["rowLimit"] = parsed.GetValue(rows),
                ["folds"] = parsed.GetValue(folds),
                ["importance"] = parsed.GetValue(importance) == "none" ? [] : List(parsed.GetValue(importance)),
                ["importanceMethod"] = parsed.GetValue(weighed),
                ["importanceComponents"] = parsed.GetValue(weighedComponents),
                ["draws"] = parsed.GetValue(draws),
                ["seed"] = parsed.GetValue(seed),
            };
            var parameters = new CompareTask().Normalise(JsonSerializer.SerializeToElement(wishes.Where(w => w.Value is not null).ToDictionary()));
            var analysis = Path.GetFullPath(parsed.GetValue(result)!);
            var folder = Path.GetFullPath(parsed.GetValue(output)!);
            Forget(folder, parameters);
            TaskRunner.Run("compare", parameters, FinishedAnalysis.Request(analysis), FinishedAnalysis.Store(parsed, analysis), analysis, folder, new ConsoleTaskObserver(), cancellation);
            Console.WriteLine(parsed.GetValue(json)
                ? File.ReadAllText(Path.Combine(folder, ComparisonResult.FileName))
                : Text(ComparisonResult.Read(folder), ComparisonMeasurements.Read(folder), folder));
        }));
        return command;
    }

    /// <summary>The result of other wishes must not stand for these.</summary>
    private static void Forget(string folder, string parameters)
    {
        var path = Path.Combine(folder, ComparisonResult.FileName);
        if (!File.Exists(path))
        {
            return;
        }

        try
        {
            if (JsonSerializer.Serialize(ComparisonResult.Read(folder).Parameters, AnalysisJson.Line) == parameters)
            {
                return;
            }
        }
        catch (AnalysisException)
        {
            throw new AnalysisException($"{path} is there already and is no comparison.", "Choose another folder for --out.");
        }

        File.Delete(path);
    }

    private static string[]? List(string? text) => text?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    private static int Number(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
        ? number
        : throw new AnalysisException($"'{text}' is not a number of concepts.", "Give numbers separated by commas, for example 5,10,20.");

    private static string Text(ComparisonResult result, ComparisonMeasurements costs, string folder)
    {
        var text = new StringBuilder();
        foreach (var sentence in result.Verdict)
        {
            text.AppendLine(sentence);
        }

        text.AppendLine().AppendLine(CultureInfo.InvariantCulture, $"{"method",-16} {"k",4} {"R2",6} {"held",6} {"rel.l2",6} {"active",6} {"stable",6} {"OOD",6} {"seconds",8}");
        var place = 0;
        foreach (var method in result.Methods)
        {
            foreach (var cell in method.Cells)
            {
                var cost = costs.Fits[place++];
                var f = cell.Figures;
                text.AppendLine(CultureInfo.InvariantCulture, $"{method.Name,-16} {cell.Components,4} {Figure(f?.RSquared)} {Figure(f?.HeldOutRSquared)} {Figure(f?.RelativeError)} {Figure(f?.ActiveShare)} {Figure(f?.Stability)} {Figure(f?.OutOfDistribution)} {cost.Seconds,8:0.000}{(f is null ? "  " + cell.Problem : "")}");
            }
        }

        if (result.Faithfulness is { } faithfulness)
        {
            text.AppendLine().AppendLine(CultureInfo.InvariantCulture, $"{"importance of " + faithfulness.Components + " concepts by " + faithfulness.Method,-34} {"C-Del",8} {"C-Ins",8} {"C-uFid",8}");
            foreach (var e in faithfulness.Estimators)
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"{e.Title,-34} {e.Deletion,8:0.000} {e.Insertion,8:0.000} {e.MuFidelity,8:0.000}{(e.Problem is null ? "" : "  " + e.Problem)}");
            }
        }

        foreach (var note in result.Notes)
        {
            text.AppendLine().Append(note);
        }

        return text.AppendLine().Append(CultureInfo.InvariantCulture, $"{result.ClassNote} Result: {folder}").ToString();

        static string Figure(double? value) => value is { } number ? number.ToString("0.000", CultureInfo.InvariantCulture).PadLeft(6) : "     –";
    }
}
