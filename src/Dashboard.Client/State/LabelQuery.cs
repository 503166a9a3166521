using System.Text.Json;
using Dashboard.Client.Contracts;
using Dashboard.Client.Urls;

namespace Dashboard.Client.State;

/// <summary>What labels are made of, as in the address; equal queries are answered by one stored result.</summary>
/// <param name="Source">Sources in their fixed order, separated by commas.</param>
/// <param name="Length">Most concepts in a formula.</param>
/// <param name="Negative">Whether what units are low on is labelled.</param>
public sealed record LabelQuery(string Source = "classes,hierarchy,attributes,metadata", int Length = LabelQuery.DefaultLength, bool Negative = false)
{
    /// <summary>Longest formula where none is chosen.</summary>
    public const int DefaultLength = 3;

    /// <summary>The source of concepts that people defined; not among the default ones, since most analyses have none.</summary>
    public const string UserConcepts = "concepts";

    /// <summary>Sources that can be chosen.</summary>
    public static IReadOnlyList<(string Value, string Text)> AllSources { get; } =
        [("classes", "Classes"), ("hierarchy", "Groups of classes"), ("attributes", "Attributes"), ("metadata", "Brightness, colour, noise"), (UserConcepts, "Concepts of your own")];

    /// <summary>Choices of units to show.</summary>
    public static IReadOnlyList<(string Value, string Text)> Shows { get; } =
        [("all", "All units"), ("neurons", "Neurons"), ("concepts", "Concepts"), ("significant", "With a significant label"), ("flagged", "That follow an artefact")];

    /// <summary>Chosen sources.</summary>
    public IReadOnlyList<string> Sources => Source.Split(',', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Parameters of the task.</summary>
    /// <param name="defined">Concepts that people defined, under their present names; they count where their source is chosen.</param>
    public object Parameters(IReadOnlyList<UserConcept> defined) => Sources.Contains(UserConcepts) && defined.Count > 0
        ? new { sources = Sources, length = Length, negative = Negative, concepts = defined.OrderBy(c => c.Id, StringComparer.Ordinal).Select(c => c.Definition with { Name = c.Name }) }
        : new { sources = Sources.All(s => s == UserConcepts) ? new LabelQuery().Sources : Sources.Where(s => s != UserConcepts), length = Length, negative = Negative };

    /// <summary>From the address; what is not possible becomes the default.</summary>
    public static LabelQuery From(string? sources, int? length, bool? negative)
    {
        var chosen = sources?.Split(',') ?? [];
        var known = AllSources.Select(s => s.Value).Where(s => chosen.Contains(s)).ToArray();
        return new LabelQuery(known.Length == 0 ? new LabelQuery().Source : string.Join(',', known), length is >= 1 and <= 5 ? length.Value : DefaultLength, negative ?? false);
    }

    /// <summary>From the parameters of a stored task; what is missing becomes the default.</summary>
    public static LabelQuery From(JsonElement parameters)
    {
        if (parameters.ValueKind != JsonValueKind.Object)
        {
            return new LabelQuery();
        }

        var sources = parameters.TryGetProperty("sources", out var list) && list.ValueKind == JsonValueKind.Array
            ? string.Join(',', list.EnumerateArray().Where(s => s.ValueKind == JsonValueKind.String).Select(s => s.GetString()))
            : null;
        return From(
            sources,
            parameters.TryGetProperty("length", out var length) && length.ValueKind == JsonValueKind.Number && length.TryGetInt32(out var most) ? most : null,
            parameters.TryGetProperty("negative", out var negative) && negative.ValueKind == JsonValueKind.True);
    }

    /// <summary>Address of the page of labels for this query, which <see cref="From(string?, int?, bool?)"/> reads again.</summary>
    /// <param name="analysisId">The analysis.</param>
    /// <param name="unit">The unit whose evidence is shown.</param>
    public string Address(string analysisId, string unit)
    {
        var address = PageUrls.Labels(analysisId, unit);
        if (Source != new LabelQuery().Source)
        {
            address += "&sources=" + Uri.EscapeDataString(Source);
        }

        if (Length != DefaultLength)
        {
            address += FormattableString.Invariant($"&length={Length}");
        }

        return Negative ? address + "&negative=true" : address;
    }

    /// <summary>The sources with one added or taken away.</summary>
    public IReadOnlyList<string> Toggle(string source) => [.. AllSources.Select(s => s.Value).Where(s => Sources.Contains(s) != (s == source))];

    /// <summary>Units that match, clearest label first.</summary>
    /// <param name="units">All units.</param>
    /// <param name="search">Words that must occur in the label or the name; null for all.</param>
    /// <param name="show">One of <see cref="Shows"/>.</param>
    public static IEnumerable<UnitView> Filter(IEnumerable<UnitView> units, string? search, string? show)
    {
        var words = (search ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return units
            .Where(u => show switch
            {
                "neurons" => u.Kind == "neuron",
                "concepts" => u.Kind == "concept",
                "significant" => u.Significant,
                "flagged" => u.Spurious.Count > 0,
                _ => true,
            })
            .Where(u => words.All(w => (u.Label ?? "").Contains(w, StringComparison.OrdinalIgnoreCase) || u.Title.Contains(w, StringComparison.OrdinalIgnoreCase) || u.Code.Contains(w, StringComparison.OrdinalIgnoreCase)))
            .OrderByDescending(u => u.Significant)
            .ThenByDescending(u => Math.Abs((u.HeldOutAuc ?? 0.5) - 0.5))
            .ThenBy(u => u.Kind)
            .ThenBy(u => u.Concept ?? u.Index);
    }

    /// <summary>Known concepts with the number of significant labels that name them, most used first.</summary>
    public static IReadOnlyList<(LabelSource Concept, int Used)> Uses(LabelView labels)
    {
        var used = new int[labels.Concepts.Count];
        foreach (var unit in labels.Units.Where(u => u.Significant))
        {
            foreach (var literal in unit.Literals.Select(l => l.Concept).Distinct())
            {
                used[literal]++;
            }
        }

        return [.. labels.Concepts.Zip(used).OrderByDescending(c => c.Second).ThenByDescending(c => c.First.Samples)];
    }
}
