using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Analysis;
using Analysis.Atlas;
using Analysis.Attribution;
using Analysis.Runs;

namespace Dashboard.Server.Cli;

/// <summary><c>attribute</c>: which training images taught a concept, a class or the answer on a sample.</summary>
internal static class AttributeCommand
{
    private const int Shown = 20;

    public static Command Create()
    {
        var command = new Command("attribute", "Finds the training images that taught a concept, a class or the answer on a sample of a result folder.");
        var task = new TaskOptions("Folder for the scores.");
        var concept = new DefinitionOptions();
        var classes = new Option<string?>("--class") { Description = "Class by its folder's name or its number." };
        var sample = new Option<int?>("--sample") { Description = "Sample by its row in the table of samples." };
        var layer = new Option<string?>("--layer") { Description = "Layer of the concept's probe; the analysed one by default." };
        var variant = new Option<string?>("--variant") { Description = "representation (what taught the network) or probe (what shaped the probe itself, exact)." };
        var dataset = new Option<string?>("--dataset") { Description = "Images that the network was trained on; those of the analysis by default." };
        var networks = new Option<string?>("--networks") { Description = "More networks of the same recipe, separated by commas; scores are averaged." };
        var projection = new Option<string?>("--projection") { Description = "auto, dense or factorised." };
        var dimensions = new Option<int?>("--dimensions") { Description = "Features for each image, 8 to 4096." };
        var lambda = new Option<double?>("--lambda") { Description = "Regularisation as a multiple of the mean eigenvalue; by default 10 for a concept, 0.3 for a class or a sample." };
        var limit = new Option<int?>("--limit") { Description = "Use this many training images, spread evenly over the classes." };
        var seed = new Option<int?>("--seed") { Description = "Seed of projections and of the choice of images." };
        task.AddTo(command, [.. concept.All, classes, sample, layer, variant, dataset, networks, projection, dimensions, lambda, limit, seed]);
        concept.RequireOne(command, classes, sample);
        command.SetAction(parsed => CommandRunner.Run(cancellation => task.Run<AttributionReport>(
            parsed,
            "attribute",
            new Dictionary<string, object?>
            {
                ["target"] = parsed.GetValue(classes) is not null ? "class" : parsed.GetValue(sample) is not null ? "sample" : "concept",
                ["concept"] = concept.Read(parsed),
                ["class"] = parsed.GetValue(classes) is { } name ? ClassOf(task.Analysis(parsed), name) : null,
                ["sample"] = parsed.GetValue(sample),
                ["layer"] = parsed.GetValue(layer),
                ["variant"] = parsed.GetValue(variant),
                ["dataset"] = parsed.GetValue(dataset) is { } images ? Path.GetFullPath(images) : null,
                ["networks"] = TaskOptions.Parts(parsed.GetValue(networks))?.Select(Path.GetFullPath).ToArray(),
                ["projection"] = parsed.GetValue(projection),
                ["dimensions"] = parsed.GetValue(dimensions),
                ["lambda"] = parsed.GetValue(lambda),
                ["limit"] = parsed.GetValue(limit),
                ["seed"] = parsed.GetValue(seed),
            },
            "attribution",
            Text,
            cancellation)));
        return command;
    }

    private static int ClassOf(string analysis, string name)
    {
        if (int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
        {
            return number;
        }

        RunDescription? run;
        try
        {
            run = JsonSerializer.Deserialize<RunDescription>(File.ReadAllBytes(RunDescription.PathOf(analysis)), AnalysisJson.Options);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new AnalysisException($"The classes of {analysis} cannot be read: {failure.Message}", "Give the class by its number.", failure);
        }

        return run?.Classes.FirstOrDefault(c => c.Name == name || c.DisplayName == name)?.Index
            ?? throw new AnalysisException($"The analysis has no class '{name}'.", $"It has: {string.Join(", ", run?.Classes.Take(20).Select(c => c.Name) ?? [])}.");
    }

    private static string Text(AttributionReport report, string folder)
    {
        var text = new StringBuilder();
        text.AppendLine(CultureInfo.InvariantCulture, $"{report.Target.Name}: {report.Training.Images:N0} training images of {report.Training.Name}, {report.Checkpoints.Count} network{(report.Checkpoints.Count == 1 ? "" : "s")}, {report.Parameters:N0} parameters, {report.Projection} projection");
        foreach (var image in report.Top.Take(Shown))
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"{image.Score,12:G4}  {image.Path}");
        }

        text.AppendLine(CultureInfo.InvariantCulture, $"Spread: as if {report.Diffuseness.EffectiveNumber:N0} images carried it alike ({report.Diffuseness.EffectiveShare:P0}); Gini {report.Diffuseness.Gini:0.00}");
        if (report.Check is { } check)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"Projection: {(check.Good ? "sound" : "doubtful")}, cosines off by {check.Error:0.000} (ideal {check.Expected:0.000}), halves agree {check.Halves:0.00}");
        }

        if (report.Agreement is { } agreement)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"Networks agree: Spearman {agreement.MeanSpearman:0.00}, top images in common {agreement.TopOverlap:P0}");
        }

        foreach (var note in report.Notes)
        {
            text.AppendLine(note);
        }

        return text.Append(CultureInfo.InvariantCulture, $"Result: {folder}").ToString();
    }
}
