using System.CommandLine;
using System.Globalization;
using System.Text;
using Analysis;
using Analysis.Probes.Backpropagation;

namespace Dashboard.Server.Cli;

/// <summary><c>backpropagate</c>: the smallest change of samples that makes a concept's probe say yes or no.</summary>
internal static class BackpropagateCommand
{
    public static Command Create()
    {
        var command = new Command("backpropagate", "Finds the smallest change of samples of a result folder that makes a concept's probe say yes or no.");
        var task = new TaskOptions("Folder for the changes and their pictures.");
        var concept = new DefinitionOptions();
        var others = new Option<string?>("--others") { Description = "More concepts to watch: a JSON list of definitions, or a file that holds one." };
        var samples = new Option<string>("--sample") { Required = true, Description = "Samples to change, by their rows in the table of samples, separated by commas." };
        var layer = new Option<string?>("--layer") { Description = "Layer of the probes; the analysed one by default." };
        var probe = new Option<string?>("--probe") { Description = "l2 (all channels a little) or l1 (few channels)." };
        var direction = new Option<string?>("--direction") { Description = "yes, no, or flip for the opposite of what the probe says." };
        var goal = new Option<double?>("--goal") { Description = "Wanted value of a concept of numbers." };
        var space = new Option<string?>("--space") { Description = "pixels, fourier or latent." };
        var l1 = new Option<double?>("--l1") { Description = "Weight of the sum of magnitudes; 1 by default." };
        var l2 = new Option<double?>("--l2") { Description = "Weight of the sum of squares; 0 by default." };
        var variation = new Option<double?>("--total-variation") { Description = "Weight of the total variation; 0 by default." };
        var concentrations = new Option<int?>("--concentrations") { Description = "Times that the search is done again around what it found, 0 to 5." };
        var lambda = new Option<double?>("--lambda") { Description = "Fixed regularisation; by default the largest that still works is looked for." };
        var threshold = new Option<double?>("--threshold") { Description = "Probability of the wanted answer that counts as reached; 0.9 by default." };
        var starts = new Option<int?>("--starts") { Description = "Starts of the search; 5 by default." };
        var steps = new Option<int?>("--steps") { Description = "Most steps of each; 500 by default." };
        var random = new Option<int?>("--random-probes") { Description = "Probes of shuffled labels as control; 5 by default." };
        var region = new Option<string?>("--region") { Description = "Where the change is expected: LEFT,TOP,WIDTH,HEIGHT as shares from 0 to 1." };
        var seed = new Option<int?>("--seed") { Description = "Seed of the division, the starts and the shuffled labels." };
        task.AddTo(
            command, [.. concept.All, others, samples, layer, probe, direction, goal, space, l1, l2, variation, concentrations, lambda, threshold, starts, steps, random, region, seed]);
        concept.RequireOne(command);
        command.SetAction(parsed => CommandRunner.Run(cancellation => task.Run<BackpropagationReport>(
            parsed,
            "backpropagate",
            new Dictionary<string, object?>
            {
                ["concept"] = concept.Read(parsed),
                ["others"] = parsed.GetValue(others) is { } list ? DefinitionOptions.Json(list) : null,
                ["samples"] = TaskOptions.Parts(parsed.GetValue(samples))!.Select(Row).ToArray(),
                ["layer"] = parsed.GetValue(layer),
                ["probe"] = parsed.GetValue(probe),
                ["direction"] = parsed.GetValue(direction),
                ["goal"] = parsed.GetValue(goal),
                ["space"] = parsed.GetValue(space),
                ["l1"] = parsed.GetValue(l1),
                ["l2"] = parsed.GetValue(l2),
                ["totalVariation"] = parsed.GetValue(variation),
                ["concentrations"] = parsed.GetValue(concentrations),
                ["lambda"] = parsed.GetValue(lambda),
                ["threshold"] = parsed.GetValue(threshold),
                ["starts"] = parsed.GetValue(starts),
                ["steps"] = parsed.GetValue(steps),
                ["randomProbes"] = parsed.GetValue(random),
                ["region"] = parsed.GetValue(region) is { } place ? Region(place) : null,
                ["seed"] = parsed.GetValue(seed),
            },
            "changes",
            Text,
            cancellation)));
        return command;
    }

    private static int Row(string text) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var row)
        ? row
        : throw new AnalysisException($"'{text}' is not the row of a sample.", "Give rows separated by commas, for example 3,17.");

    private static BackpropagationRegion Region(string text)
    {
        var numbers = TaskOptions.Parts(text)!.Select(part => double.TryParse(part, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : double.NaN).ToArray();
        return numbers.Length == 4 && numbers.All(double.IsFinite)
            ? new BackpropagationRegion(numbers[0], numbers[1], numbers[2], numbers[3])
            : throw new AnalysisException($"'{text}' is not a place.", "Give LEFT,TOP,WIDTH,HEIGHT, for example 0.5,0.5,0.25,0.25.");
    }

    private static string Text(BackpropagationReport report, string folder)
    {
        var text = new StringBuilder();
        var probe = report.Probes[0];
        text.AppendLine(CultureInfo.InvariantCulture, $"{probe.Name} at {report.Layer}: {(probe.Continuous ? $"R² {probe.R2:0.000}" : $"balanced accuracy {probe.BalancedAccuracy:0.000}, AUC {probe.Auc:0.000}")} on held-out images");
        foreach (var sample in report.Samples)
        {
            var inside = sample.Inside is { } share ? FormattableString.Invariant($", {share:P0} of it in the place") : "";
            var predicted = sample.PredictedBefore == sample.PredictedAfter ? "" : $", {sample.PredictedBefore} → {sample.PredictedAfter}";
            text.AppendLine(CultureInfo.InvariantCulture, $"{sample.Outcome,-12}{sample.Before[0],7:0.00} → {sample.After[0],-7:0.00} {sample.Size.Share,6:P1} changed, ‖δ‖₂ {sample.Size.L2:G4}{inside}{predicted}  {sample.Path}");
        }

        text.AppendLine(Sum("the concept", report.Summary));
        if (report.Control is { } control)
        {
            text.AppendLine(Sum("shuffled labels", control));
        }

        if (report.Entanglement is { } matrix)
        {
            for (var other = 1; other < matrix.Names.Count; other++)
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"{matrix.Names[other]} follows by {matrix.Ratio[0][other]:0.00} of the change");
            }
        }

        foreach (var note in report.Notes)
        {
            text.AppendLine(note);
        }

        return text.Append(CultureInfo.InvariantCulture, $"Result: {folder}").ToString();

        static string Sum(string what, ChangeSummary sum) => string.Create(
            CultureInfo.InvariantCulture, $"{what}: {sum.Reached} of {sum.Wishes - sum.Already} reached, median ‖δ‖₂ {sum.MedianL2:G4}, class changed in {sum.ClassChanged:P0}");
    }
}
