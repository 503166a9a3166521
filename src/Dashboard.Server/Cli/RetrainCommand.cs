using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Analysis;
using Analysis.Attribution.Retraining;
using Analysis.Labels;
using Analysis.Probes;
using Analysis.Runs;
using Analysis.Runs.Tasks;

namespace Dashboard.Server.Cli;

/// <summary><c>retrain</c>: trains the network of a result again without the images that teach a concept, and compares probes.</summary>
internal static class RetrainCommand
{
    public static Command Create()
    {
        var command = new Command("retrain", "Removes the training images that teach a concept, trains networks without them and compares the concept's probes.");
        var result = new Option<string>("--result") { Required = true, Description = "Result folder of an analysis." };
        var output = new Option<string>("--out") { Required = true, Description = "Folder for the networks and the report; killed and started again, the experiment goes on." };
        var concept = new Option<string?>("--concept") { Description = "The concept: a JSON file as docs/file-formats.md describes." };
        var classes = new Option<string?>("--classes") { Description = "The concept is shown by the images of these classes: folder names separated by commas." };
        var attribute = new Option<string?>("--attribute") { Description = "The concept is a column of attributes.csv: NAME, or NAME=VALUE." };
        var ranking = new Option<string?>("--ranking") { Description = "attribution (TRAK) or probe." };
        var layer = new Option<string?>("--layer") { Description = "Layer of the probe that images are ranked by." };
        var sets = new Option<string?>("--sets") { Description = "Separated by commas: top, random, bottom, labelled." };
        var shares = new Option<string?>("--shares") { Description = "Shares of the training images to remove, separated by commas; 0.05 by default." };
        var networks = new Option<int?>("--networks") { Description = "Networks a condition; 3 by default." };
        var epochs = new Option<int?>("--epochs") { Description = "Epochs of each training; 12 by default." };
        var rate = new Option<double?>("--rate") { Description = "Largest learning rate; 0.05 by default." };
        var augment = new Option<string?>("--augment") { Description = "yes, no or auto: mirror and shift training images." };
        var seed = new Option<int?>("--seed") { Description = "Seed." };
        var measure = new Option<bool>("--measure") { Description = "Only measure what it would cost." };
        var json = new Option<bool>("--json") { Description = "Print the result as JSON." };
        foreach (var option in new Option[]
        {
            result, output, concept, classes, attribute, ranking, layer, sets, shares, networks, epochs, rate, augment, seed, measure, json, GlobalOptions.DataDirectory,
        })
        {
            command.Options.Add(option);
        }

        command.Validators.Add(parsed =>
        {
            if (new[] { concept, classes, attribute }.Count(o => parsed.GetValue(o) is not null) != 1)
            {
                parsed.AddError("Say the concept once: give one of --concept, --classes, --attribute.");
            }
        });
        command.SetAction(parsed => CommandRunner.Run(cancellation =>
        {
            var wishes = new Dictionary<string, object?>
            {
                ["concept"] = Concept(parsed.GetValue(concept), parsed.GetValue(classes), parsed.GetValue(attribute)),
                ["ranking"] = parsed.GetValue(ranking),
                ["layer"] = parsed.GetValue(layer),
                ["sets"] = Parts(parsed.GetValue(sets)),
                ["shares"] = Parts(parsed.GetValue(shares))?.Select(Share).ToArray(),
                ["networks"] = parsed.GetValue(networks),
                ["epochs"] = parsed.GetValue(epochs),
                ["rate"] = parsed.GetValue(rate),
                ["augment"] = parsed.GetValue(augment),
                ["seed"] = parsed.GetValue(seed),
                ["measure"] = parsed.GetValue(measure) ? true : null,
            };
            var parameters = new RetrainTask().Normalise(JsonSerializer.SerializeToElement(wishes.Where(w => w.Value is not null).ToDictionary(), AnalysisJson.Line));
            var analysis = Path.GetFullPath(parsed.GetValue(result)!);
            var folder = Path.GetFullPath(parsed.GetValue(output)!);
            var path = Path.Combine(folder, TaskRunner.ResultFile);
            var wish = Path.Combine(folder, "parameters.json");
            if (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any() && !(File.Exists(wish) && File.ReadAllText(wish) == parameters))
            {
                throw new AnalysisException($"{folder} holds something else than this experiment.", "Choose another folder for --out, or give the parameters that it was started with.");
            }

            AtomicFile.WriteText(wish, parameters);
            TaskRunner.Run("retrain", parameters, FinishedAnalysis.Request(analysis), FinishedAnalysis.Store(parsed, analysis), analysis, folder, new ConsoleTaskObserver(), cancellation);
            Console.WriteLine(parsed.GetValue(json) ? File.ReadAllText(path) : Text(JsonSerializer.Deserialize<RetrainResult>(File.ReadAllBytes(path), AnalysisJson.Options)!));
        }));
        return command;
    }

    private static object Concept(string? file, string? classes, string? attribute)
    {
        if (file is not null)
        {
            try
            {
                using var document = JsonDocument.Parse(LabelSources.ReadText(file));
                return document.RootElement.Clone();
            }
            catch (JsonException fault)
            {
                throw new AnalysisException($"{file} is not readable JSON: {fault.Message}", "Write an object with name and source.", fault);
            }
        }

        if (classes is not null)
        {
            return new ConceptDefinition { Name = classes, Source = "classes", Classes = Parts(classes)! };
        }

        var parts = attribute!.Split('=', 2, StringSplitOptions.TrimEntries);
        return new ConceptDefinition { Name = attribute, Source = "attribute", Attribute = parts[0], Value = parts.Length > 1 ? parts[1] : null };
    }

    private static string[]? Parts(string? text) => text?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);

    private static double Share(string text) => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value)
        ? value
        : throw new AnalysisException($"'{text}' is not a share of the training images.", "Write for example 0.01,0.05,0.1.");

    private static string Text(RetrainResult result)
    {
        var text = new StringBuilder();
        if (result.Cost is { } cost)
        {
            return text.Append(CultureInfo.InvariantCulture, $"{cost.SecondsPerImage * 1000:0.00} ms an image and epoch; {cost.Training:N0} training images, {cost.TrainingPositives:N0} of them show the concept.").ToString();
        }

        var report = result.Report!;
        text.AppendLine(CultureInfo.InvariantCulture, $"{"removed",-22}{"images",8}{"shown",7}{"task",8}  balanced accuracy of the probe by layer");
        foreach (var condition in report.Conditions)
        {
            var name = condition.Set == "full" ? "nothing" : string.Create(CultureInfo.InvariantCulture, $"{condition.Set} {condition.Share:0.##%}");
            text.AppendLine(CultureInfo.InvariantCulture, $"{name,-22}{condition.Removed,8:0}{condition.RemovedPositives,7:0.#}{condition.TaskAccuracy.Average(),8:P1}  {string.Join("  ", condition.Layers.Select(l => string.Create(CultureInfo.InvariantCulture, $"{l.Layer} {l.BalancedAccuracy.Average():0.000}")))}");
        }

        foreach (var line in report.Verdict.Concat(report.Notes))
        {
            text.AppendLine(line);
        }

        return text.ToString().TrimEnd();
    }
}
