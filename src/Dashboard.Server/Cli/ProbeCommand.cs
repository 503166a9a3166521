using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Analysis;
using Analysis.Labels;
using Analysis.Probes;
using Analysis.Runs;
using Analysis.Runs.Tasks;

namespace Dashboard.Server.Cli;

/// <summary><c>probe</c>: finds where in the network of a result a concept can be read, and how well.</summary>
internal static class ProbeCommand
{
    public static Command Create()
    {
        var command = new Command("probe", "Finds the layers of a result's network at which a concept can be read, with controls.");
        var result = new Option<string>("--result") { Required = true, Description = "Result folder of an analysis." };
        var output = new Option<string>("--out") { Required = true, Description = "Folder for the probes." };
        var concept = new Option<string?>("--concept") { Description = "The concept: JSON as docs/file-formats.md describes." };
        var classes = new Option<string?>("--classes") { Description = "The concept is shown by the images of these classes: folder names separated by commas." };
        var attribute = new Option<string?>("--attribute") { Description = "The concept is a column of attributes.csv: NAME, or NAME=VALUE." };
        var samples = new Option<string?>("--samples") { Description = "The concept is shown by the images of this CSV: a column 'path' and, optionally, a column 'shows' of yes and no." };
        var name = new Option<string?>("--name") { Description = "Name of the concept." };
        var layers = new Option<string?>("--layers") { Description = "Layers separated by commas; all by default." };
        var penalty = new Option<string?>("--penalty") { Description = "l2 or l1." };
        var strength = new Option<double?>("--strength") { Description = "Strength of the penalty; chosen for each layer by default." };
        var seeds = new Option<int?>("--seeds") { Description = "Divisions into fitting and testing, 3 to 20." };
        var seed = new Option<int?>("--seed") { Description = "Seed of the first division." };
        var noSparsity = new Option<bool>("--no-sparsity") { Description = "Do not measure on how few neurons the concept can be read." };
        var noTcav = new Option<bool>("--no-tcav") { Description = "Do not test the influence on the classes." };
        var json = new Option<bool>("--json") { Description = "Print the result as JSON." };
        foreach (var option in new Option[]
        {
            result, output, concept, classes, attribute, samples, name, layers, penalty, strength, seeds, seed, noSparsity, noTcav, json, GlobalOptions.DataDirectory,
        })
        {
            command.Options.Add(option);
        }

        command.Validators.Add(parsed =>
        {
            if (new[] { concept, classes, attribute, samples }.Count(o => parsed.GetValue(o) is not null) != 1)
            {
                parsed.AddError("Say the concept once: give one of --concept, --classes, --attribute, --samples.");
            }
        });
        command.SetAction(parsed => CommandRunner.Run(cancellation =>
        {
            object meant = parsed.GetValue(concept) is { } file
                ? ReadConcept(file)
                : Definition(parsed.GetValue(classes), parsed.GetValue(attribute), parsed.GetValue(samples), parsed.GetValue(name));
            var wishes = new Dictionary<string, object?>
            {
                ["concept"] = meant,
                ["layers"] = parsed.GetValue(layers)?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries),
                ["penalty"] = parsed.GetValue(penalty),
                ["strength"] = parsed.GetValue(strength),
                ["seeds"] = parsed.GetValue(seeds),
                ["seed"] = parsed.GetValue(seed),
                ["sparsity"] = parsed.GetValue(noSparsity) ? false : null,
                ["tcav"] = parsed.GetValue(noTcav) ? false : null,
            };
            var parameters = new ProbeTask().Normalise(JsonSerializer.SerializeToElement(wishes.Where(w => w.Value is not null).ToDictionary(), AnalysisJson.Line));
            var analysis = Path.GetFullPath(parsed.GetValue(result)!);
            var folder = Path.GetFullPath(parsed.GetValue(output)!);
            var path = Path.Combine(folder, TaskRunner.ResultFile);
            if (File.Exists(path))
            {
                Replace(path);
            }

            TaskRunner.Run("probe", parameters, FinishedAnalysis.Request(analysis), FinishedAnalysis.Store(parsed, analysis), analysis, folder, new ConsoleTaskObserver(), cancellation);
            Console.WriteLine(parsed.GetValue(json) ? File.ReadAllText(path) : Text(JsonSerializer.Deserialize<ProbeReport>(File.ReadAllBytes(path), AnalysisJson.Options)!, folder));
        }));
        return command;
    }

    private static JsonElement ReadConcept(string path)
    {
        try
        {
            using var document = JsonDocument.Parse(LabelSources.ReadText(path));
            return document.RootElement.Clone();
        }
        catch (JsonException fault)
        {
            throw new AnalysisException($"{path} is not readable JSON: {fault.Message}", "Write an object with name and source.", fault);
        }
    }

    private static ConceptDefinition Definition(string? classes, string? attribute, string? samples, string? name)
    {
        if (classes is not null)
        {
            string[] folders = [.. classes.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)];
            return new ConceptDefinition { Name = name ?? Short(string.Join(", ", folders)), Source = "classes", Classes = folders };
        }

        if (attribute is not null)
        {
            var (column, value) = attribute.Split('=', 2) is [var c, var v] ? (c.Trim(), v.Trim()) : (attribute.Trim(), null);
            return new ConceptDefinition { Name = name ?? Short(value is null ? column : $"{column} {value}"), Source = "attribute", Attribute = column, Value = value };
        }

        var (positives, negatives) = LabelSources.Tagged(LabelSources.ReadText(samples!));
        return new ConceptDefinition { Name = name ?? Short(Path.GetFileNameWithoutExtension(samples!)), Source = "samples", Positives = positives, Negatives = negatives };
    }

    private static string Short(string text) => text.Length <= 100 ? text : text[..100];

    /// <summary>Probes of another wish make way; anything else stays.</summary>
    private static void Replace(string path)
    {
        try
        {
            if (JsonSerializer.Deserialize<ProbeReport>(File.ReadAllBytes(path), AnalysisJson.Options) is not null)
            {
                File.Delete(path);
                return;
            }
        }
        catch (JsonException)
        {
            // Not ours to delete; said below.
        }

        throw new AnalysisException($"{path} is there already and holds no probes.", "Choose another folder for --out.");
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
