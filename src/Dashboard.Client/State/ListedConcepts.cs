using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>The concepts of a class as people want them listed: without those put away, and those held to be the same as one.</summary>
public static class ListedConcepts
{
    /// <summary>Those that stand for themselves, strongest first.</summary>
    public static IReadOnlyList<ConceptCard> Of(ClassView view)
    {
        List<ConceptCard> listed = [.. view.Concepts.Where(concept => concept is { Hidden: false, Into: null })];
        // Together several may carry more than the strongest alone.
        return listed.Exists(concept => concept.Merged is not null) ? [.. listed.OrderByDescending(Share)] : listed;
    }

    /// <summary>What the concepts of a strategy's class that stand for themselves do in it, each with those listed under it, in the order of the concepts.</summary>
    public static IReadOnlyList<StrategyConcept> Of(StrategyView view) =>
    [
        .. view.Concepts.Where(concept => concept is { Hidden: false, Into: null }).Select(concept => concept.Merged is not { } merged
            ? concept
            : concept with { Share = merged.Share, Spread = merged.Spread, Concept = concept.Concept with { Share = merged.Usual } }),
    ];

    /// <summary>For each concept of a class the place of the one that stands for it in lists: its own where it is listed, −1 where it was put away.</summary>
    public static IReadOnlyList<int> StandIns(ClassView view) => StandIns([.. view.Concepts.Select(concept => (concept.Id, concept.Hidden, concept.Into))]);

    /// <inheritdoc cref="StandIns(ClassView)"/>
    public static IReadOnlyList<int> StandIns(StrategyView view) => StandIns([.. view.Concepts.Select(concept => (concept.Concept.Id, concept.Hidden, concept.Into))]);

    /// <inheritdoc cref="StandIns(ClassView)"/>
    public static IReadOnlyList<int> StandIns(IReadOnlyList<(int Id, bool Hidden, int? Into)> concepts)
    {
        var places = new int[concepts.Count];
        for (var place = 0; place < places.Length; place++)
        {
            var into = concepts[place].Into is not { } other ? place : Enumerable.Range(0, places.Length).FirstOrDefault(at => concepts[at].Id == other, place);
            places[place] = concepts[place].Hidden || concepts[into].Hidden ? -1 : into;
        }

        return places;
    }

    /// <summary>A mixture of concepts as they are listed: each share with those of the concepts listed under it, and, after the last, what was put away, as a sum of absolute shares.</summary>
    /// <param name="profile">Mean share of each concept.</param>
    /// <param name="standIns">As <see cref="StandIns(ClassView)"/>; a concept beyond its end stands for itself.</param>
    public static IReadOnlyList<double> Mixture(IReadOnlyList<double> profile, IReadOnlyList<int> standIns)
    {
        var shares = new double[profile.Count + 1];
        for (var place = 0; place < profile.Count; place++)
        {
            var at = place < standIns.Count ? standIns[place] : place;
            if (at >= 0 && at < profile.Count)
            {
                shares[at] += profile[place];
            }
            else
            {
                shares[^1] += Math.Abs(profile[place]);
            }
        }

        return shares;
    }

    /// <summary>
    /// What leads the network to a wrong answer: the concepts that add more to it than to the class's own output, most first, with
    /// those listed under each; null stands for what no concept explains. Those put away are left out.
    /// </summary>
    /// <param name="view">The class.</param>
    /// <param name="confusion">One of its confusions.</param>
    /// <param name="most">Most to give.</param>
    public static IReadOnlyList<(ConceptCard? Concept, double Pull)> Pulls(ClassView view, ConfusionView confusion, int most = 2)
    {
        if (confusion.Pulls.Count != view.Concepts.Count + 1)
        {
            return [];
        }

        var standIns = StandIns(view);
        var sums = new double[view.Concepts.Count];
        for (var place = 0; place < sums.Length; place++)
        {
            if (standIns[place] >= 0)
            {
                sums[standIns[place]] += confusion.Pulls[place];
            }
        }

        return
        [
            .. sums.Select((pull, place) => ((ConceptCard?)view.Concepts[place], pull)).Append((null, confusion.Pulls[^1]))
                .Where(pair => pair.Item2 > 0).OrderByDescending(pair => pair.Item2).Take(most),
        ];
    }

    /// <summary>Share of the score that a listed concept carries, with those listed under it.</summary>
    public static double Share(ConceptCard concept) => concept.Merged?.Importance ?? concept.Importance;

    /// <summary>Standard deviation of that share between images; null where it is not known.</summary>
    public static double? Spread(ConceptCard concept) => concept.Merged is { } merged ? merged.ImportanceSpread : concept.ImportanceSpread;

    /// <summary>The share with its spread: "12% ± 3%".</summary>
    public static string ShareText(ConceptCard concept) =>
        Spread(concept) is { } spread ? $"{Format.Percent(Share(concept), 1)} ± {Format.Percent(spread, 1)}" : Format.Percent(Share(concept), 1);
}
