using System.CommandLine;
using System.Text.Json;
using Analysis;
using Analysis.Labels;
using Analysis.Probes;

namespace Dashboard.Server.Cli;

/// <summary>The ways to say a concept on the command line.</summary>
internal sealed class DefinitionOptions
{
    private const int LongestName = 100;

    private readonly Option<string?> _definition = new("--concept") { Description = "The concept: JSON as docs/file-formats.md describes, or a file that holds it." };
    private readonly Option<string?> _classes = new("--classes") { Description = "The concept is shown by the images of these classes: folder names separated by commas." };
    private readonly Option<string?> _attribute = new("--attribute") { Description = "The concept is a column of attributes.csv: NAME, or NAME=VALUE." };
    private readonly Option<string?> _samples = new("--samples") { Description = "The concept is shown by the images of this CSV: a column 'path' and, optionally, a column 'shows' of yes and no." };
    private readonly Option<string?> _name = new("--name") { Description = "Name of the concept." };

    /// <summary>All of them.</summary>
    public IEnumerable<Option> All => [_definition, _classes, _attribute, _samples, _name];

    /// <summary>Refuses a concept that is said twice, or never.</summary>
    /// <param name="command">The command.</param>
    /// <param name="others">What may be said instead of a concept.</param>
    public void RequireOne(Command command, params Option[] others) => command.Validators.Add(parsed =>
    {
        Option[] ways = [_definition, _classes, _attribute, _samples, .. others];
        if (ways.Count(o => parsed.GetResult(o) is { Implicit: false }) != 1)
        {
            parsed.AddError($"Say {(others.Length == 0 ? "the concept" : "it")} once: give one of {string.Join(", ", ways.Select(o => o.Name))}.");
        }
    });

    /// <summary>What was said; null for nothing.</summary>
    /// <exception cref="AnalysisException">A file cannot be read.</exception>
    public object? Read(ParseResult parsed)
    {
        var name = parsed.GetValue(_name);
        if (parsed.GetValue(_definition) is { } definition)
        {
            return Json(definition);
        }

        if (TaskOptions.Parts(parsed.GetValue(_classes)) is { } folders)
        {
            return new ConceptDefinition { Name = name ?? Short(string.Join(", ", folders)), Source = "classes", Classes = folders };
        }

        if (parsed.GetValue(_attribute) is { } attribute)
        {
            var (column, value) = attribute.Split('=', 2) is [var c, var v] ? (c.Trim(), v.Trim()) : (attribute.Trim(), null);
            return new ConceptDefinition { Name = name ?? Short(value is null ? column : $"{column} {value}"), Source = "attribute", Attribute = column, Value = value };
        }

        if (parsed.GetValue(_samples) is not { } table)
        {
            return null;
        }

        var (positives, negatives) = LabelSources.Tagged(LabelSources.ReadText(table));
        return new ConceptDefinition { Name = name ?? Short(Path.GetFileNameWithoutExtension(table)), Source = "samples", Positives = positives, Negatives = negatives };
    }

    /// <summary>JSON given as it is, or in a file.</summary>
    /// <param name="text">The JSON, or the path of a file.</param>
    /// <exception cref="AnalysisException">There is no such file, or it is no JSON.</exception>
    public static JsonElement Json(string text)
    {
        var written = text.TrimStart() is ['{' or '[', ..];
        try
        {
            using var document = JsonDocument.Parse(written ? text : LabelSources.ReadText(text));
            return document.RootElement.Clone();
        }
        catch (JsonException fault)
        {
            throw new AnalysisException(
                $"{(written ? "The definition of the concept" : text)} is not readable JSON: {fault.Message}",
                "Write an object with name and source, such as {\"name\":\"round\",\"source\":\"attribute\",\"attribute\":\"shape\",\"value\":\"disc\"}.", fault);
        }
    }

    private static string Short(string text) => text.Length <= LongestName ? text : text[..LongestName];
}
