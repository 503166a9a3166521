using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>Sentences about smallest changes.</summary>
public static class BackpropagationSentences
{
    /// <summary>Effects from this ratio on count as entangled.</summary>
    public const double EntangledFrom = 0.5;

    /// <summary>What happened to an image.</summary>
    /// <param name="view">The result.</param>
    /// <param name="sample">The image.</param>
    /// <param name="concept">Name of the concept.</param>
    public static string Sample(BackpropagationView view, ChangedSampleView sample, string concept)
    {
        var probe = view.Probes.Count > 0 && view.Probes[0].Continuous;
        string Answer(double value) => probe ? Format.Number(value) : Format.Percent(value);
        var (before, after) = (sample.Before.Count > 0 ? sample.Before[0] : 0, sample.After.Count > 0 ? sample.After[0] : 0);
        switch (sample.Outcome)
        {
            case "already":
                return $"The probe says so already ({Answer(before)}): nothing has to change.";
            case "unreachable":
                return $"Not reachable: even without any limit on the change the probe of {concept} only went from {Answer(before)} to {Answer(after)}. The image stays what it is for this concept.";
        }

        var what = view.Space == "columns"
            ? $"{Format.Count(sample.Columns.Count, "column")} change"
            : $"{Format.Percent(sample.Size.Share)} of the pixels change";
        var moved = sample.PredictedBefore == sample.PredictedAfter
            ? $"the network still says {sample.PredictedAfter}"
            : $"and the network now says {sample.PredictedAfter} instead of {sample.PredictedBefore}";
        var inside = sample.Inside is { } share ? $" {Format.Percent(share)} of the change lies inside the marked region, which covers {Format.Percent(sample.RegionArea ?? 0)} of the picture." : "";
        return $"The smallest change found takes the probe of {concept} from {Answer(before)} to {Answer(after)}: {what}, by at most {Format.Percent(view.Space == "columns" ? double.NaN : sample.Size.Largest)} of the range from black to white; {moved}.{inside}"
            .Replace(", by at most – of the range from black to white", "", StringComparison.Ordinal);
    }

    /// <summary>How much that is, against probes of shuffled labels.</summary>
    public static string Control(BackpropagationView view)
    {
        if (view.Control is not { } control)
        {
            return "";
        }

        var own = view.Summary;
        var size = own.MedianL2 is { } mine && control.MedianL2 is { } theirs && mine > 0
            ? theirs > 1.25 * mine
                ? $" They need changes {Format.Number(theirs / mine)} times as large."
                : theirs < 0.8 * mine
                    ? $" Their changes are only {Format.Percent(theirs / mine, 0)} as large: a network's answer to noise can be moved easily too, so a successful change alone proves nothing about the concept."
                    : " Their changes are about as large: a successful change alone proves nothing about the concept."
            : "";
        var touched = control.ConceptChange is { } change ? $" They move the concept's own probe by {(change < 0.005 ? "hardly anything" : Format.Number(change))} on average, the concept's own changes by {Format.Number(own.ConceptChange ?? 0)}." : "";
        return $"Probes trained on shuffled labels serve as control: {Reached(control)} against {Reached(own)} for the concept.{size}{touched}";
    }

    /// <summary>How the concepts hang together.</summary>
    public static string Entanglement(EntanglementView view)
    {
        var pairs = (from i in Enumerable.Range(0, view.Names.Count)
                     from j in Enumerable.Range(0, view.Names.Count)
                     where i != j && view.Entangled[i][j] > 0.5
                     select (From: view.Names[i], To: view.Names[j], Ratio: view.Ratio[i][j] ?? 0)).ToList();
        return pairs.Count == 0
            ? "No two of these concepts are entangled: changing an image for one moves the others by less than half as much."
            : $"{Format.Count(pairs.Count, "pair")} {(pairs.Count == 1 ? "is" : "are")} entangled. Most of all: changing images for {pairs.MaxBy(p => Math.Abs(p.Ratio)).From} moves {pairs.MaxBy(p => Math.Abs(p.Ratio)).To} by {Format.Percent(Math.Abs(pairs.Max(p => Math.Abs(p.Ratio))))} of its own change on average.";
    }

    private static string Reached(ChangeFigures figures) => $"{Format.Count(figures.Reached)} of {Format.Count(figures.Wishes - figures.Already)} succeed";
}
