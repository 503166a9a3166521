using System.CommandLine;
using System.Globalization;
using System.Text;
using Analysis;
using Analysis.Attribution.Retraining;
using Analysis.Runs;

namespace Dashboard.Server.Cli;

/// <summary><c>retrain</c>: trains the network of a result again without the images that teach a concept, and compares probes.</summary>
internal static class RetrainCommand
{
    public static Command Create()
    {
        var command = new Command("retrain", "Removes the training images that teach a concept, trains networks without them and compares the concept's probes.");
        var task = new TaskOptions("Folder for the networks and the report; killed and started again, the experiment goes on.");
        var concept = new DefinitionOptions();
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
        task.AddTo(command, [.. concept.All, ranking, layer, sets, shares, networks, epochs, rate, augment, seed, measure]);
        concept.RequireOne(command);
        command.SetAction(parsed => CommandRunner.Run(cancellation =>
        {
            var parameters = TaskOptions.Parameters("retrain", new Dictionary<string, object?>
            {
                ["concept"] = concept.Read(parsed),
                ["ranking"] = parsed.GetValue(ranking),
                ["layer"] = parsed.GetValue(layer),
                ["sets"] = TaskOptions.Parts(parsed.GetValue(sets)),
                ["shares"] = TaskOptions.Parts(parsed.GetValue(shares))?.Select(Share).ToArray(),
                ["networks"] = parsed.GetValue(networks),
                ["epochs"] = parsed.GetValue(epochs),
                ["rate"] = parsed.GetValue(rate),
                ["augment"] = parsed.GetValue(augment),
                ["seed"] = parsed.GetValue(seed),
                ["measure"] = parsed.GetValue(measure) ? true : null,
            });
            var folder = task.Folder(parsed);
            var wish = Path.Combine(folder, "parameters.json");
            if (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any() && !(File.Exists(wish) && File.ReadAllText(wish) == parameters))
            {
                throw new AnalysisException($"{folder} holds something else than this experiment.", "Choose another folder for --out, or give the parameters that it was started with.");
            }

            AtomicFile.WriteText(wish, parameters);
            task.Run<RetrainResult>(parsed, "retrain", parameters, (report, _) => Text(report), cancellation);
        }));
        return command;
    }

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
