using System.CommandLine;
using System.Globalization;
using System.Text;
using Analysis.Probes;

namespace Dashboard.Server.Cli;

/// <summary><c>probe</c>: finds where in the network of a result a concept can be read, and how well.</summary>
internal static class ProbeCommand
{
    public static Command Create()
    {
        var command = new Command("probe", "Finds the layers of a result's network at which a concept can be read, with controls.");
        var task = new TaskOptions("Folder for the probes.");
        var concept = new DefinitionOptions();
        var layers = new Option<string?>("--layers") { Description = "Layers separated by commas; all by default." };
        var penalty = new Option<string?>("--penalty") { Description = "l2 or l1." };
        var strength = new Option<double?>("--strength") { Description = "Strength of the penalty; chosen for each layer by default." };
        var seeds = new Option<int?>("--seeds") { Description = "Divisions into fitting and testing, 3 to 20." };
        var seed = new Option<int?>("--seed") { Description = "Seed of the first division." };
        var noSparsity = new Option<bool>("--no-sparsity") { Description = "Do not measure on how few neurons the concept can be read." };
        var noTcav = new Option<bool>("--no-tcav") { Description = "Do not test the influence on the classes." };
        task.AddTo(command, [.. concept.All, layers, penalty, strength, seeds, seed, noSparsity, noTcav]);
        concept.RequireOne(command);
        command.SetAction(parsed => CommandRunner.Run(cancellation => task.Run<ProbeReport>(
            parsed,
            "probe",
            new Dictionary<string, object?>
            {
                ["concept"] = concept.Read(parsed),
                ["layers"] = TaskOptions.Parts(parsed.GetValue(layers)),
                ["penalty"] = parsed.GetValue(penalty),
                ["strength"] = parsed.GetValue(strength),
                ["seeds"] = parsed.GetValue(seeds),
                ["seed"] = parsed.GetValue(seed),
                ["sparsity"] = parsed.GetValue(noSparsity) ? false : null,
                ["tcav"] = parsed.GetValue(noTcav) ? false : null,
            },
            "probes",
            Text,
            cancellation)));
        return command;
    }

    private static string Text(ProbeReport report, string folder)
    {
        var text = new StringBuilder();
        var counts = report.Continuous
            ? FormattableString.Invariant($"{report.Samples - report.LeftOut:N0} images with a number")
            : FormattableString.Invariant($"{report.Positives:N0} images show it, {report.Negatives:N0} do not");
        text.AppendLine(CultureInfo.InvariantCulture, $"{report.Request.Concept.Name}: {counts}; {report.Request.Seeds} divisions");
        text.AppendLine(CultureInfo.InvariantCulture, $"{"layer",-24}{(report.Continuous ? "R²" : "balanced accuracy"),20}{"AUC",8}{"control",16}{"neurons",9}");
        foreach (var layer in report.Layers)
        {
            var mark = layer.Layer == report.Location.Layer ? " *" : "";
            text.AppendLine(CultureInfo.InvariantCulture, $"{layer.Layer,-24}{Of(layer.Scores.Score),20}{layer.Scores.Auc?.Mean,8:0.000}{Of(layer.Control.Score),16}{layer.Sparsity?.NonZeros?.Mean,9:0.#}{mark}");
        }

        foreach (var entry in report.Tcav?.Classes.Where(c => c.Significant).OrderBy(c => c.PCorrected).Take(20) ?? [])
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"{(entry.Derivative.Mean > 0 ? "raises" : "lowers")} {entry.Name}: TCAV {entry.Score.Mean:0.00}, control {entry.Control.Mean:0.00}, corrected p {entry.PCorrected:0.0000}");
        }

        foreach (var note in report.Notes)
        {
            text.AppendLine(note);
        }

        return text.Append(CultureInfo.InvariantCulture, $"Read best at {report.Location.Layer}. Result: {folder}").ToString();

        static string Of(Spread? spread) => spread is null ? "" : FormattableString.Invariant($"{spread.Mean:0.000} ± {spread.Deviation:0.000}");
    }
}
