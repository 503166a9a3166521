using System.Text.Json;

namespace Analysis.Runs.Tasks;

/// <summary>Reads the parameters of a task from JSON that anybody may have sent.</summary>
internal sealed class TaskParameters
{
    private readonly JsonElement _json;

    /// <summary>Checks that there is nothing unknown.</summary>
    /// <param name="kind">Kind of task, for messages.</param>
    /// <param name="json">What was sent.</param>
    /// <param name="known">Names that the task knows; any other is refused.</param>
    /// <exception cref="AnalysisException">It is no JSON object, or holds an unknown name.</exception>
    public TaskParameters(string kind, JsonElement json, params string[] known)
    {
        if (json.ValueKind != JsonValueKind.Object)
        {
            throw new AnalysisException($"The parameters of the task {kind} are not a JSON object.", $"Give an object with any of: {string.Join(", ", known)}.");
        }

        if (json.EnumerateObject().FirstOrDefault(p => !known.Contains(p.Name)) is { Value.ValueKind: not JsonValueKind.Undefined } unknown)
        {
            throw new AnalysisException($"The task {kind} has no parameter '{Short(unknown.Name)}'.", $"It has: {string.Join(", ", known)}.");
        }

        _json = json;
    }

    /// <summary>A whole number.</summary>
    /// <param name="name">Name.</param>
    /// <param name="usual">Value where it is left out; null where it must be given.</param>
    /// <param name="least">Smallest value.</param>
    /// <param name="most">Largest value.</param>
    public int Integer(string name, int? usual, int least, int most)
    {
        if (!Given(name, out var value))
        {
            return usual ?? throw new AnalysisException($"The parameter {name} is missing.", $"Give a whole number from {least} to {most}.");
        }

        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number >= least && number <= most
            ? number
            : throw new AnalysisException($"The parameter {name} cannot be {Short(value.GetRawText())}.", $"Give a whole number from {least} to {most}.");
    }

    /// <summary>One of some texts.</summary>
    public string Choice(string name, string usual, IReadOnlyList<string> known)
    {
        var text = Text(name) ?? usual;
        return known.Contains(text) ? text : throw new AnalysisException($"The parameter {name} cannot be '{Short(text)}'.", $"Choose one of: {string.Join(", ", known)}.");
    }

    /// <summary>Any text of at most 200 characters; null where it is left out.</summary>
    public string? Text(string name)
    {
        if (!Given(name, out var value))
        {
            return null;
        }

        return value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 and <= 200 } text
            ? text
            : throw new AnalysisException($"The parameter {name} cannot be {Short(value.GetRawText())}.", "Give a text of at most 200 characters.");
    }

    /// <summary>A list of whole numbers of at least 0; empty where it is left out.</summary>
    public IReadOnlyList<int> Integers(string name, int longest)
    {
        if (!Given(name, out var value))
        {
            return [];
        }

        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() > longest)
        {
            throw new AnalysisException($"The parameter {name} cannot be {Short(value.GetRawText())}.", $"Give a list of at most {longest} whole numbers.");
        }

        return [.. value.EnumerateArray().Select(v => v.ValueKind == JsonValueKind.Number && v.TryGetInt32(out var number) && number >= 0
            ? number
            : throw new AnalysisException($"The parameter {name} cannot hold {Short(v.GetRawText())}.", "Give whole numbers of at least 0."))];
    }

    private bool Given(string name, out JsonElement value) => _json.TryGetProperty(name, out value) && value.ValueKind != JsonValueKind.Null;

    private static string Short(string text) => text.Length <= 40 ? text : text[..40] + "…";
}
