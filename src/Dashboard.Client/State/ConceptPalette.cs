namespace Dashboard.Client.State;

/// <summary>
/// Colours of concepts: the same concept of a class has the same colour on every panel and page. Eight colours that stay
/// apart under the common colour-vision deficiencies (after Okabe and Ito, 2008, with black and yellow exchanged for tones
/// that can be seen on light and dark surfaces); every further concept is grey.
/// </summary>
public static class ConceptPalette
{
    /// <summary>Colour of concepts beyond the palette, and of what belongs to none.</summary>
    public const string Grey = "#98a0a8";

    /// <summary>The colours by rank in the class.</summary>
    public static IReadOnlyList<string> Colours { get; } =
        ["#0f7ac2", "#e69f00", "#009e73", "#d173a8", "#56b4e9", "#d55e00", "#c6bd6b", "#8c6d4f"];

    /// <summary>Colours of strategies: the same hues, begun elsewhere, so that a strategy is not taken for a concept.</summary>
    public static IReadOnlyList<string> StrategyColours { get; } =
        ["#009e73", "#d55e00", "#56b4e9", "#c6bd6b", "#d173a8", "#0f7ac2", "#8c6d4f", "#e69f00"];

    /// <summary>Colour of the concept with a 0-based rank; grey from the ninth on and for negative ranks.</summary>
    public static string ForRank(int rank) => rank >= 0 && rank < Colours.Count ? Colours[rank] : Grey;

    /// <summary>Colour of the strategy with a 0-based index.</summary>
    public static string ForStrategy(int strategy) => strategy >= 0 && strategy < StrategyColours.Count ? StrategyColours[strategy] : Grey;

    /// <summary>Letter of a strategy: A, B, …, Z, then AA, AB, ….</summary>
    public static string StrategyLetter(int strategy)
    {
        var text = "";
        for (var i = strategy; i >= 0; i = i / 26 - 1)
        {
            text = (char)('A' + i % 26) + text;
        }

        return text;
    }
}
