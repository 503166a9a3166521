using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>Sentences about probes, made from their numbers.</summary>
public static class ProbeSentences
{
    /// <summary>What the scores of a layer count, where a concept is said by places.</summary>
    public static string Measured(LayerProbeView layer) => !layer.Placed
        ? "Fitted to whole images: the layer has no positions to tell inside from outside, so that its scores are not comparable with those of places"
        : "Fitted to positions inside the marks against positions elsewhere; scores count positions"
            + (layer.ImageAuc is { } auc ? $". On whole images the same direction reaches an AUC of {Format.Auc(auc.Mean)}" : "");

    /// <summary>Figures that a curve can show.</summary>
    public static IReadOnlyList<(string Value, string Text)> Figures { get; } = [("balancedAccuracy", "Balanced accuracy"), ("accuracy", "Accuracy"), ("auc", "AUC")];

    /// <summary>Where the concept is, and how surely.</summary>
    public static string Location(string name, ProbeView probe)
    {
        var score = probe.Layer(probe.Location.Layer)?.Scores.Of(probe.Measure);
        var control = probe.Layer(probe.Location.Layer)?.Control.Of(probe.Measure);
        var (best, shuffled) = (Figure(probe, score), control is null ? "" : $", where shuffled labels give {Figure(probe, control)}");
        if (!probe.Location.Readable)
        {
            return $"No layer tells \u201C{name}\u201D apart better than chance: the best, {probe.Location.Layer}, reaches {best}{shuffled}. Either the network does not hold it in a form that a weighted sum of channels can tell, or too few images show it.";
        }

        var others = probe.Location.AsGood.Where(l => l != probe.Location.Layer).ToList();
        return $"\u201C{name}\u201D can be read best at {probe.Location.Layer}: {best}{shuffled}."
            + (others.Count == 0 ? "" : $" {Join(others)} {(others.Count == 1 ? "is" : "are")} as good within the spread of the seeds.")
            + Few(probe);
    }

    /// <summary>A figure with its spread, in the unit of the probe.</summary>
    public static string Figure(ProbeView probe, SpreadView? figure) => figure is null || !double.IsFinite(figure.Mean) ? "nothing"
        : probe.Continuous ? $"R\u00B2 {Format.Number(figure.Mean)} ± {Format.Number(figure.Deviation)}"
        : $"{Format.Percent(figure.Mean, 1)} ± {Format.Percent(figure.Deviation, 1)} right";

    /// <summary>Short form of a score for a table.</summary>
    public static string Score(ProbeView probe, SpreadView? figure) => figure is null || !double.IsFinite(figure.Mean) ? "–" : probe.Continuous ? Format.Number(figure.Mean) : Format.Percent(figure.Mean);

    /// <summary>How far a score lies between chance (0) and perfect (1).</summary>
    public static double Strength(ProbeView probe, double score) => Math.Clamp((score - probe.Chance) / Math.Max(1e-9, 1 - probe.Chance), 0, 1);

    /// <summary>What a class's score says of the concept.</summary>
    public static string Influence(ClassInfluenceRow row) => !row.Significant ? "may be chance" : row.Derivative.Mean > 0 ? "speaks for it" : "speaks against it";

    private static string Few(ProbeView probe)
    {
        if (probe.Layer(probe.Location.Layer) is not { Sparsity.NonZeros: { } few } layer)
        {
            return "";
        }

        var count = (int)Math.Round(few.Mean);
        return $" {Format.Count(count)} of its {Format.Count(layer.Channels, "channel")} {(count == 1 ? "is" : "are")} enough for nearly the same.";
    }

    private static string Join(List<string> names) => names.Count switch
    {
        1 => names[0],
        <= 4 => string.Join(", ", names.Take(names.Count - 1)) + " and " + names[^1],
        _ => $"{names[0]}, {names[1]} and {Format.Count(names.Count - 2)} more layers",
    };
}
