using System.CommandLine;
using System.Globalization;
using System.Text;
using Analysis.Labels;

namespace Dashboard.Server.Cli;

/// <summary><c>label</c>: names the neurons and concepts of a result by formulas of known concepts.</summary>
internal static class LabelCommand
{
    private const int Shown = 40;

    public static Command Create()
    {
        var command = new Command("label", "Names neurons and concepts of a result folder by formulas of classes, attributes and measurements.");
        var task = new TaskOptions("Folder for the labels.");
        var attributes = new Option<string?>("--attributes") { Description = "Table of attributes: CSV with a column 'path'; attributes.csv in the data set's folder by default." };
        var hierarchy = new Option<string?>("--hierarchy") { Description = "Tree of classes: JSON with name, id and children; hierarchy.json in the data set's folder by default." };
        var sources = new Option<string?>("--sources") { Description = "Separated by commas: classes, hierarchy, attributes, metadata." };
        var units = new Option<string?>("--units") { Description = "all, neurons or concepts." };
        var length = new Option<int?>("--length") { Description = "Most concepts in a formula, 1 to 5." };
        var beam = new Option<int?>("--beam") { Description = "Formulas kept after each length, 1 to 10." };
        var minimum = new Option<double?>("--minimum-fraction") { Description = "Smallest share of samples that may fulfil a formula." };
        var maximum = new Option<double?>("--maximum-fraction") { Description = "Largest share of samples that may fulfil a formula." };
        var negative = new Option<bool>("--negative") { Description = "Label what units are low on." };
        var permutations = new Option<int?>("--permutations") { Description = "Searches on shuffled activations, for a null distribution." };
        var seed = new Option<int?>("--seed") { Description = "Seed of the halves and permutations." };
        task.AddTo(command, attributes, hierarchy, sources, units, length, beam, minimum, maximum, negative, permutations, seed);
        command.SetAction(parsed => CommandRunner.Run(cancellation => task.Run<LabelReport>(
            parsed,
            "label",
            new Dictionary<string, object?>
            {
                ["sources"] = TaskOptions.Parts(parsed.GetValue(sources)),
                ["units"] = parsed.GetValue(units),
                ["length"] = parsed.GetValue(length),
                ["beam"] = parsed.GetValue(beam),
                ["minimumFraction"] = parsed.GetValue(minimum),
                ["maximumFraction"] = parsed.GetValue(maximum),
                ["negative"] = parsed.GetValue(negative) ? true : null,
                ["permutations"] = parsed.GetValue(permutations),
                ["seed"] = parsed.GetValue(seed),
                ["attributesText"] = parsed.GetValue(attributes) is { } table ? LabelSources.ReadText(table) : null,
                ["hierarchyText"] = parsed.GetValue(hierarchy) is { } tree ? LabelSources.ReadText(tree) : null,
            },
            "labels",
            Text,
            cancellation)));
        return command;
    }

    private static string Text(LabelReport report, string folder)
    {
        var significant = report.Units.Where(u => u.Significant).OrderByDescending(u => Math.Abs((u.HeldOutAuc ?? 0.5) - 0.5)).ToList();
        var text = new StringBuilder();
        foreach (var unit in significant.Take(Shown))
        {
            var name = unit.Kind == "neuron" ? FormattableString.Invariant($"neuron {unit.Index}") : FormattableString.Invariant($"c{unit.Index} of {unit.ClassName}");
            var flag = unit.Spurious.Count > 0 ? $"   follows {unit.Spurious[0].Name}" : "";
            text.AppendLine(CultureInfo.InvariantCulture, $"{name,-28} AUC {unit.HeldOutAuc:0.000}  log10 p {unit.Log10Corrected,8:0.0}  {unit.Label}{flag}");
        }

        foreach (var note in report.Notes)
        {
            text.AppendLine(note);
        }

        return text.Append(CultureInfo.InvariantCulture, $"{significant.Count:N0} of {report.Units.Count:N0} units have a significant label{(significant.Count > Shown ? $" (the {Shown} clearest are shown)" : "")}. Result: {folder}").ToString();
    }
}
