using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>What the comparison of two analyses says, made from its numbers.</summary>
public static class PairSentences
{
    /// <summary>Which concepts are in both, in one or two sentences.</summary>
    public static string Concepts(PairView view)
    {
        var classes = view.Classes.Where(row => row.Problem.Length == 0).ToList();
        if (classes.Count == 0)
        {
            return "In no class could concepts be matched.";
        }

        var (matched, lost, gained) = (classes.Sum(row => row.Matched), classes.Sum(row => row.Lost), classes.Sum(row => row.Gained));
        var known = classes.Where(row => row.SameStrongest is not null).ToList();
        var same = known.Count(row => row.SameStrongest == true);
        var strongest = known.Count == 0 ? ""
            : known.Count == 1 ? $"The most important concept is {(same == 1 ? "the same" : "another one")}. "
            : same == known.Count ? $"In all {Format.Count(known.Count)} classes the most important concept is the same. "
            : same == 0 ? $"In none of {Format.Count(known.Count)} classes is the most important concept the same. "
            : $"In {Format.Count(same)} of {Format.Count(known.Count)} classes the most important concept is the same. ";
        var (own, other) = view.First.Name == view.Second.Name ? ("the first", "the second") : ($"“{view.First.Name}”", $"“{view.Second.Name}”");
        return $"{strongest}{Format.Count(matched)} of {Format.Count(matched + lost, "concept")} of {own} {(matched == 1 ? "is" : "are")} found again in {other}; {Number(lost)} {(lost == 1 ? "is" : "are")} lost and {Number(gained)} gained.";
    }

    /// <summary>What became of the images that both saw; empty where there are none.</summary>
    public static string Images(PairView view)
    {
        if (view.Common == 0)
        {
            return "No image is in both, so that accuracy, predictions and outliers cannot be set against each other.";
        }

        var parts = new List<string>(3);
        var images = $"the {Format.Count(view.Common, "image")} that both saw";
        if (view is { FirstSide.Accuracy: { } before, SecondSide.Accuracy: { } after })
        {
            parts.Add(Format.Percent(before, 1) == Format.Percent(after, 1)
                ? $"Accuracy is the same on {images}: {Format.Percent(before, 1)}."
                : $"Accuracy {(after > before ? "rises" : "falls")} from {Format.Percent(before, 1)} to {Format.Percent(after, 1)} on {images}.");
        }

        var on = parts.Count == 0 ? $" of {images}" : "";
        parts.Add(view.Changed == 0
            ? $"Every one{(on.Length > 0 ? on : " of them")} is predicted alike."
            : $"{Format.Count(view.Changed, "prediction")}{on} {(view.Changed == 1 ? "differs" : "differ")}{Turned(view)}.");
        parts.Add($"Flagged as outliers: {Format.Count(view.FirstSide.Outliers)} in the first, {Format.Count(view.SecondSide.Outliers)} in the second.");
        return string.Join(' ', parts);
    }

    /// <summary>By what concepts were matched, and why by that.</summary>
    public static string Measure(PairView view)
    {
        var sign = view.SignIgnored ? " The sign is ignored, since one of the methods leaves it open." : "";
        if (view.Measure == MatchMeasure.Cosine)
        {
            var same = !view.First.HasNetwork ? "Both rest on the same recorded activations"
                : $"Both look at {view.First.Layer} of the same network" + (view.First.Method == view.Second.Method ? " by the same method" : ", by different methods and at different images");
            return $"{same}, so that concepts are matched by the direction they point in: cosine {Format.Number(view.Least)} or more counts as the same.{sign}";
        }

        var why = view.Apart == "methods" ? "They found concepts by different methods, whose directions start from different origins."
            : view.Apart == "networks" && (!view.First.HasNetwork || !view.Second.HasNetwork) ? "One rests on recorded activations, of which it is not known whether they are those of the other; directions cannot be compared."
            : $"They look at different {view.Apart}, whose directions cannot be compared.";
        return $"{why} Concepts are matched by what they respond to: correlation of their strengths over the images of the class that both saw, {Format.Number(view.Least)} or more counts as the same; more is asked for where images are few.{sign}";
    }

    /// <summary>Name of the measure.</summary>
    public static string Of(MatchMeasure measure) => measure == MatchMeasure.Cosine ? "cosine" : "correlation";

    /// <summary>A difference of shares in percentage points, signed.</summary>
    public static string Points(double difference)
    {
        var text = Math.Abs(100 * difference).ToString("0.0", System.Globalization.CultureInfo.InvariantCulture);
        return text == "0.0" ? "0" : (difference > 0 ? "+" : "−") + text;
    }

    /// <summary>What the chosen class says first.</summary>
    public static string Class(ClassPairView view)
    {
        var row = view.Class;
        if (row.Problem.Length > 0)
        {
            return row.Problem;
        }

        var text = $"{Format.Count(row.Matched)} of {Format.Count(row.FirstConcepts, "concept")} found again, {Number(row.Gained)} gained";
        var shift = row.Shift is { } moved ? $"; {Format.Percent(moved)} of the importance lies elsewhere" : "";
        var first = view.First.Concepts.FirstOrDefault();
        var second = view.Second.Concepts.FirstOrDefault();
        var strongest = first is null || second is null ? ""
            : row.SameStrongest == true ? $" The most important concept is the same: {Names.Labelled(first)}{(Names.Concept(first) == Names.Concept(second) ? "" : $", there called {Names.Labelled(second)}")}."
            : Names.Labelled(first) == Names.Labelled(second) ? " The most important concept is another one."
            : $" The most important concept changes from {Names.Labelled(first)} to {Names.Labelled(second)}.";
        return text + shift + "." + strongest;
    }

    /// <summary>How alike the two divisions into strategies are.</summary>
    public static string Strategies(ClassPairView view)
    {
        var counts = $"{Format.Count(view.First.Strategies.Count, "strategy", "strategies")} in the first, {Format.Count(view.Second.Strategies.Count)} in the second";
        return view.StrategyAgreement is not { } agreement ? counts + "."
            : $"{counts}; {(agreement >= 0.8 ? "the images are divided almost alike" : agreement >= 0.4 ? "the images are divided somewhat alike" : "the images are divided differently")} (adjusted Rand index {Format.Number(agreement)}).";
    }

    private static string Number(int count) => count == 0 ? "none" : Format.Count(count);

    private static string Turned(PairView view) => view.FirstSide.Accuracy is null ? ""
        : $": {Format.Count(view.Mended)} {(view.Mended == 1 ? "turns" : "turn")} right, {Format.Count(view.Broken)} {(view.Broken == 1 ? "turns" : "turn")} wrong";
}
