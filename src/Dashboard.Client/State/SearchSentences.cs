using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>What a search over samples found, in words.</summary>
public static class SearchSentences
{
    /// <summary>The page in a sentence or two.</summary>
    public static string All(SampleSearchView view)
    {
        if (view.Problem is { } problem)
        {
            return problem;
        }

        if (view.Concepts.Count == 0 && view.Like is null && view.Image is null)
        {
            return $"Finds images by what the network sees in them: choose concepts that an image shall show or shall not show. All {Format.Count(view.Samples, "image")} are searched, whatever their class.";
        }

        var where = view.ClassName is { } name ? $" of {name}" : "";
        if (view.Concepts.Count == 0)
        {
            return $"These images{where} are most like the chosen one as the network sees them: their activations differ from the average image in the same way.";
        }

        var shown = view.Concepts.Where(c => c.Present).Select(Name).ToList();
        var absent = view.Concepts.Where(c => !c.Present).Select(Name).ToList();
        var found = view.Matches == 0 ? $"No image{where}" : Format.Count(view.Matches, "image") + where;
        var one = view.Matches <= 1;
        List<string> says = [];
        if (shown.Count > 0)
        {
            says.Add($"{(one ? "shows" : "show")} {Join(shown, "and")}");
        }

        if (absent.Count > 0)
        {
            says.Add($"{(one ? "does" : "do")} not show {Join(absent, "or")}");
        }

        var sentence = $"{found} of {Format.Count(view.Samples)} {string.Join(" but ", says)}.";
        return view.Like is null && view.Image is null ? sentence + Together(view) : sentence + " The most like the chosen one come first.";
    }

    /// <summary>What the network makes of an image of one's own.</summary>
    public static string OwnImage(SampleView view)
    {
        var second = view.Top.Count > 1 ? $"; next is {view.Top[1].Name} ({Format.Percent(view.Top[1].Probability)})" : "";
        var strongest = view.Contributions.Where(c => c.Concept is not null).MaxBy(c => c.Value);
        var because = strongest is not { Value: > 0 }
            ? $" None of the concepts of {view.Sample.ClassName} speaks for it."
            : $" Of the concepts of {view.Sample.ClassName}, {Names.Labelled(strongest.Concept!)} speaks most for “{view.ContributionsTo}”: it adds {Format.Number(strongest.Value)} to a score of {Format.Number(view.Logit)}.";
        return $"Predicted {view.Sample.Predicted} ({Format.Percent(view.Sample.Confidence)}){second}.{because}";
    }

    /// <summary>How a concept of a search is called: "c3 “striped” of zebra".</summary>
    public static string Name(SoughtConcept concept) => $"{Names.Labelled(concept.Concept.Concept)} of {concept.Concept.ClassName}";

    /// <summary>Place of an image by a concept: "top 0.3%", "lowest 18%".</summary>
    /// <param name="above">Share of the images that show it more strongly.</param>
    /// <param name="samples">Images in all.</param>
    public static string Place(double above, int samples) => above < 0.5
        ? $"top {Format.Percent(Math.Max(above, 1.0 / Math.Max(1, samples)))}"
        : $"lowest {Format.Percent(Math.Max(1 - above, 1.0 / Math.Max(1, samples)))}";

    /// <summary>What the shares mean in images.</summary>
    public static string Thresholds(SampleQuery query, int samples)
    {
        var shows = $"An image shows a concept when at most {query.Top}% of all images ({Format.Count((long)Math.Ceiling(query.Top / 100.0 * samples))}) show it more strongly";
        return query.Without.Count == 0
            ? shows + "."
            : shows + $", and does not show one when at least {query.Rest}% ({Format.Count((long)Math.Ceiling(query.Rest / 100.0 * samples))}) do.";
    }

    // Whether the concepts occur together more often than they would by chance; said of all images only.
    private static string Together(SampleSearchView view)
    {
        if (view.Concepts.Count < 2 || view.ClassName is not null || view.Expected < 1)
        {
            return "";
        }

        // Counts of rare events differ from what is expected by about its root: less than three of these may be chance.
        var ratio = Math.Abs(view.Matches - view.Expected) < 3 * Math.Sqrt(view.Expected) ? 1 : view.Matches / view.Expected;
        return ratio switch
        {
            >= 1.5 => $" That is {Format.Number(ratio)} times as many as by chance ({Format.Count((long)Math.Round(view.Expected))}): these go together.",
            <= 0.67 => $" By chance it would be {Format.Count((long)Math.Round(view.Expected))}: these rarely go together.",
            _ => $" About as many as would by chance ({Format.Count((long)Math.Round(view.Expected))}): nothing says that these have to do with each other.",
        };
    }

    private static string Join(IReadOnlyList<string> parts, string last) =>
        parts.Count == 1 ? parts[0] : $"{string.Join(", ", parts.Take(parts.Count - 1))} {last} {parts[^1]}";
}
