using System.Globalization;
using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>What is shown of two analyses side by side, the same in the address.</summary>
public sealed record PairQuery
{
    /// <summary>Columns that classes can be sorted by.</summary>
    public static IReadOnlyList<string> Sorts { get; } = ["shift", "name", "matched", "lost", "gained", "similarity", "strongest", "accuracy", "changed"];

    /// <summary>Least similarities that can be chosen.</summary>
    public static IReadOnlyList<double> Leasts { get; } = [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95];

    /// <summary>The analysis that the first is compared with; null for the second of the list.</summary>
    public string? With { get; init; }

    /// <summary>Folder name of the class that is shown concept by concept; null for the first of the table.</summary>
    public string? Class { get; init; }

    /// <summary>Words that the shown classes contain; empty for all.</summary>
    public string Find { get; init; } = "";

    /// <summary>Column of <see cref="Sorts"/>.</summary>
    public string Sort { get; init; } = "shift";

    /// <summary>Least first where the largest comes first otherwise, and the other way round.</summary>
    public bool Reverse { get; init; }

    /// <summary>Least similarity of two concepts that are the same; null for the usual one of the measure.</summary>
    public double? Least { get; init; }

    /// <summary>From query parameters; what cannot be read takes its default.</summary>
    public static PairQuery FromQuery(IReadOnlyDictionary<string, string?> query)
    {
        static string? Text(string? value) => string.IsNullOrEmpty(value) ? null : value;
        return new PairQuery
        {
            With = Text(query.GetValueOrDefault("with")),
            Class = Text(query.GetValueOrDefault("class")),
            Find = query.GetValueOrDefault("find") ?? "",
            Sort = query.GetValueOrDefault("sort") is { } sort && Sorts.Contains(sort) ? sort : "shift",
            Reverse = query.GetValueOrDefault("reverse") is { } reverse && string.Equals(reverse, "true", StringComparison.OrdinalIgnoreCase),
            Least = double.TryParse(query.GetValueOrDefault("least"), NumberStyles.Float, CultureInfo.InvariantCulture, out var least) && least is > 0 and <= 1 ? least : null,
        };
    }

    /// <summary>As query parameters; what has its default value is null.</summary>
    public Dictionary<string, object?> ToQuery() => new()
    {
        ["with"] = With,
        ["class"] = Class,
        ["find"] = Find.Length == 0 ? null : Find,
        ["sort"] = Sort == "shift" ? null : Sort,
        ["reverse"] = Reverse ? "true" : null,
        ["least"] = Least,
    };

    /// <summary>The classes that contain every word, in the order asked for; classes that could not be matched come last.</summary>
    public IReadOnlyList<PairedClass> Apply(IEnumerable<PairedClass> classes)
    {
        var words = Find.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var shown = classes.Where(row => words.All(word => row.DisplayName.Contains(word, StringComparison.OrdinalIgnoreCase) || row.Name.Contains(word, StringComparison.OrdinalIgnoreCase)));
        if (Sort == "name")
        {
            var named = shown.OrderBy(row => row.DisplayName, StringComparer.OrdinalIgnoreCase);
            return Reverse ? [.. named.Reverse()] : [.. named];
        }

        // What changed most stands first; of shares and similarities that is the least.
        Func<PairedClass, double?> value = Sort switch
        {
            "matched" => row => row.FirstConcepts == 0 ? null : -(double)row.Matched / row.FirstConcepts,
            "lost" => row => row.Lost,
            "gained" => row => row.Gained,
            "similarity" => row => -row.Similarity,
            "accuracy" => row => Math.Abs((row.SecondSide.Accuracy - row.FirstSide.Accuracy) ?? 0),
            "changed" => row => row.Changed,
            "strongest" => row => row.SameStrongest switch { true => 0, false => 1, _ => null },
            _ => row => row.Shift,
        };
        return [.. shown.OrderBy(row => row.Problem.Length > 0).ThenBy(row => value(row) is null).ThenByDescending(row => (Reverse ? -1 : 1) * value(row)).ThenBy(row => row.First)];
    }
}
