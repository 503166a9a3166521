using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>Search, order and filter of the classes on the atlas page; pure, and the same in the address.</summary>
/// <param name="Search">Words, any case, each part of the class's name, its folder's (wnid), or the name or label of a concept; empty for all.</param>
/// <param name="Sort">name, accuracy, images, concepts, strategies, outliers or concentration.</param>
/// <param name="Filter">all, outliers, shortcuts, weak or named.</param>
public sealed record AtlasQuery(string Search = "", string Sort = "name", string Filter = "all")
{
    /// <summary>Orders that can be chosen.</summary>
    public static IReadOnlyList<(string Value, string Text)> Sorts { get; } =
    [
        ("name", "Name"), ("accuracy", "Accuracy, lowest first"), ("outliers", "Outliers, most first"),
        ("concentration", "Strongest concept, most first"), ("strategies", "Strategies, most first"), ("images", "Images, most first"), ("concepts", "Concepts, most first"),
    ];

    /// <summary>Filters that can be chosen.</summary>
    public static IReadOnlyList<(string Value, string Text)> Filters { get; } =
    [
        ("all", "All classes"), ("outliers", "With outliers"), ("shortcuts", "With a likely shortcut"), ("weak", "Accuracy below 80%"), ("strategies", "Several strategies"),
    ];

    /// <summary>The classes that match, in order; equal ones keep the order of the data set.</summary>
    public IReadOnlyList<ClassTile> Apply(IReadOnlyList<ClassTile> classes)
    {
        var words = Search.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var found = classes.Where(c => words.All(w => Matches(c, w)) && Passes(c));
        return [.. Sort switch
        {
            "accuracy" => found.OrderBy(c => c.Accuracy ?? 2),
            "images" => found.OrderByDescending(c => c.Images),
            "concepts" => found.OrderByDescending(c => c.Concepts),
            "strategies" => found.OrderByDescending(c => c.Strategies),
            "outliers" => found.OrderByDescending(c => c.Outliers),
            "concentration" => found.OrderByDescending(c => c.Strongest.Count > 0 ? c.Strongest[0].Share : double.MinValue),
            _ => found.OrderBy(c => c.DisplayName, StringComparer.OrdinalIgnoreCase),
        }];
    }

    private static bool Matches(ClassTile tile, string word) =>
        tile.DisplayName.Contains(word, StringComparison.OrdinalIgnoreCase)
        || tile.Name.Contains(word, StringComparison.OrdinalIgnoreCase)
        || tile.Strongest.Any(c => c.Name.Contains(word, StringComparison.OrdinalIgnoreCase))
        || tile.Labels.Any(label => label.Contains(word, StringComparison.OrdinalIgnoreCase));

    private bool Passes(ClassTile tile) => Filter switch
    {
        "outliers" => tile.Outliers > 0,
        "shortcuts" => tile.Confounded > 0,
        "weak" => tile.Accuracy < 0.8,
        "strategies" => tile.Strategies > 1,
        _ => true,
    };
}
