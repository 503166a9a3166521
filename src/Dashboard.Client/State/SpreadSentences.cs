using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>How a concept is spread over classes, in words.</summary>
public static class SpreadSentences
{
    /// <summary>Whether the concept is its class's own.</summary>
    public static string Of(ConceptSpread spread)
    {
        if (spread.Shown.FirstOrDefault(row => row.Class == spread.Class) is not { } own)
        {
            return "No image of its class has a recorded activation.";
        }

        var place = own.Place == 0 ? $"Of {Format.Count(spread.Classes, "class", "classes")}, “{own.Name}” shows it most"
            : $"“{spread.Shown[0].Name}” shows it most; “{own.Name}”, for which it was found, is number {Format.Count(own.Place + 1)} of {Format.Count(spread.Classes)}";
        return spread.Auc is { } auc
            ? $"{place}. An image of “{own.Name}” shows more of it than one of another class in {Format.Percent(auc)} of pairs (50% would be chance)."
            : $"{place}.";
    }

    /// <summary>The quantiles of a class.</summary>
    public static string Row(ConceptInClass row) =>
        $"{row.Name}: median {Format.Number(row.Median)}, middle half {Format.Number(row.LowerQuarter)} to {Format.Number(row.UpperQuarter)}, 5th to 95th percentile {Format.Number(row.Low)} to {Format.Number(row.High)}; {Format.Count(row.Images, "image")}";
}
