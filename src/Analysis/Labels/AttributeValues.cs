using System.Globalization;

namespace Analysis.Labels;

/// <summary>What a column of attributes holds.</summary>
public enum AttributeKind
{
    /// <summary>Yes and no.</summary>
    YesNo,

    /// <summary>Numbers; nothing written is an unknown number.</summary>
    Numbers,

    /// <summary>Words.</summary>
    Words,
}

/// <summary>The one place that judges values of attributes: labels, definitions of concepts and pages ask here.</summary>
public static class AttributeValues
{
    /// <summary>Most different numbers that also count as levels: each can be named like a word.</summary>
    public const int MostLevels = 10;

    private static readonly string[] Absent = ["", "0", "false", "no", "none", "null"];
    private static readonly string[] Present = ["1", "true", "yes"];

    /// <summary>What a column holds.</summary>
    /// <param name="values">Value of each sample; null where unknown.</param>
    public static AttributeKind KindOf(IEnumerable<string?> values)
    {
        var distinct = Distinct(values);
        return distinct.All(v => YesOrNo(v) is not null) ? AttributeKind.YesNo
            : distinct.All(v => v.Length == 0 || double.IsFinite(Number(v))) ? AttributeKind.Numbers
            : AttributeKind.Words;
    }

    /// <summary>Whether single values of a column can be named: words always, numbers where there are at most <see cref="MostLevels"/>.</summary>
    /// <param name="values">Value of each sample; null where unknown.</param>
    public static bool HasLevels(IReadOnlyCollection<string?> values) =>
        KindOf(values) is var kind && (kind == AttributeKind.Words || (kind == AttributeKind.Numbers && Distinct(values).Count <= MostLevels));

    /// <summary>The values of a column, most frequent first, without regard to case; nothing written is no value.</summary>
    /// <param name="values">Value of each sample; null where unknown.</param>
    public static IEnumerable<(string Value, int Count)> Levels(IEnumerable<string?> values) =>
        values.Where(v => !string.IsNullOrEmpty(v)).GroupBy(v => v!, StringComparer.OrdinalIgnoreCase)
            .OrderByDescending(g => g.Count()).ThenBy(g => g.Key, StringComparer.Ordinal).Select(g => (g.Key, g.Count()));

    /// <summary>True for a word that says yes: <c>1</c>, <c>true</c>, <c>yes</c>; false for one that says no (nothing counts as no); null for any other.</summary>
    public static bool? YesOrNo(string value) =>
        Present.Contains(value, StringComparer.OrdinalIgnoreCase) ? true : Absent.Contains(value, StringComparer.OrdinalIgnoreCase) ? false : null;

    /// <summary>A finite number; NaN for anything else.</summary>
    public static double Number(string? value) =>
        double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? number : double.NaN;

    private static List<string> Distinct(IEnumerable<string?> values) => [.. values.Where(v => v is not null).Select(v => v!).Distinct(StringComparer.OrdinalIgnoreCase)];
}
