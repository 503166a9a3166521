using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>Sentences that pages open with, made from their numbers.</summary>
public static class Sentences
{
    /// <summary>One line under an analysis: classes, images, concepts; what is unknown is left out.</summary>
    public static string Counts(AnalysisSummary analysis)
    {
        var parts = new List<string>(3);
        if (analysis.Classes > 0)
        {
            parts.Add(Format.Count(analysis.Classes, "class", "classes"));
        }

        if (analysis.Images > 0)
        {
            parts.Add(Format.Count(analysis.Images, "image"));
        }

        if (analysis.Concepts > 0)
        {
            parts.Add(Format.Count(analysis.Concepts, "concept"));
        }

        return string.Join(" · ", parts);
    }

    /// <summary>The large card of Home.</summary>
    public static string Featured(AnalysisSummary analysis) => analysis.State switch
    {
        AnalysisState.Completed => $"{Counts(analysis)}. See what the network looks for, class by class, and which images do not fit.",
        AnalysisState.Queued => "The analysis is about to start.",
        AnalysisState.Running => "The engine is at work; classes can be browsed as soon as they are ready.",
        _ => "The analysis stopped before its end; open it to resume.",
    };

    /// <summary>What the live page says first.</summary>
    public static string Live(AnalysisSummary analysis, AnalysisProgress? progress)
    {
        var state = progress?.State ?? analysis.State;
        var ready = progress?.ReadyClasses.Count ?? 0;
        var browse = ready switch
        {
            0 => "Classes can be browsed as soon as they turn from grey to pictures.",
            1 => "One class can be browsed already.",
            _ => $"{Format.Count(ready)} classes can be browsed already.",
        };
        switch (state)
        {
            case AnalysisState.Queued:
                return "Waiting for the engine, which works on one analysis at a time.";
            case AnalysisState.Running:
                var stage = progress?.Stages.FirstOrDefault(s => s.Status == StageStatus.Running);
                return (stage is null ? "The engine is starting." : $"At work on: {LowerFirst(stage.Title)}.") + " " + browse;
            case AnalysisState.Completed:
                var seconds = progress?.Stages.Sum(s => s.Seconds) ?? 0;
                var took = seconds > 0 ? $" in {Format.Duration(seconds)}" : "";
                var left = progress?.Skipped > 0 ? $" {Format.Count(progress.Skipped, "image")} could not be used." : "";
                return analysis.Concepts > 0
                    ? $"Found {Format.Count(analysis.Concepts, "concept")} in {Format.Count(analysis.Classes, "class", "classes")}{took}.{left}"
                    : $"Finished{took}.{left}";
            default:
                return ready > 0 ? $"Stopped before its end. {browse}" : "Stopped before its end.";
        }
    }

    private static string LowerFirst(string text) =>
        text.Length > 1 && char.IsUpper(text[0]) && !char.IsUpper(text[1]) ? char.ToLowerInvariant(text[0]) + text[1..] : text;

    /// <summary>What the atlas says first.</summary>
    public static string Atlas(AtlasView view)
    {
        var ready = view.Classes.Where(c => c.Ready).ToList();
        if (ready.Count == 0)
        {
            return "No class is ready yet; the tiles fill in one by one.";
        }

        var one = ready.Count(c => c.Strongest.Count > 0 && c.Strongest[0].Share >= 0.5);
        var parts = new List<string>
        {
            one == 0
                ? "In no class does a single concept carry half of the score."
                : one == ready.Count && one > 1
                    ? "In every class one concept alone carries at least half of the score."
                    : $"In {Format.Count(one)} of {Format.Count(ready.Count, "class", "classes")} one concept alone carries at least half of the score.",
        };
        if (view.Shared.Count > 0)
        {
            parts.Add(view.Shared.Count == 1 ? "One concept is shared between classes." : $"{Format.Count(view.Shared.Count)} concepts are shared between classes.");
        }

        var shortcuts = ready.Where(c => c.Confounded > 0).ToList();
        if (shortcuts.Count > 0)
        {
            parts.Add(shortcuts.Count == 1 ? $"Images of the class “{shortcuts[0].DisplayName}” share a mark that may serve as a shortcut." : $"In {Format.Count(shortcuts.Count)} classes images share a mark that may serve as a shortcut.");
        }

        return string.Join(' ', parts);
    }

    /// <summary>What a class page says first: how many concepts, the strongest and its share, and whom the strategies set apart.</summary>
    public static string Class(ClassView view)
    {
        var sentences = new List<string>(3);
        var positive = ListedConcepts.Of(view).Where(c => ListedConcepts.Share(c) > 0).OrderByDescending(ListedConcepts.Share).ToList();
        if (positive.Count == 0)
        {
            sentences.Add($"No concept was found that speaks for “{view.DisplayName}”.");
        }
        else
        {
            var needed = CountFor(positive, 0.8);
            var strongest = positive[0];
            sentences.Add(needed switch
            {
                1 => $"To recognise “{view.DisplayName}” this network relies mainly on one concept, {Names.Labelled(strongest)}, which carries {Format.Percent(ListedConcepts.Share(strongest))} of the score.",
                <= 4 => $"To recognise “{view.DisplayName}” this network relies on {Word(needed)} concepts; the strongest, {Names.Labelled(strongest)}, carries {Format.Percent(ListedConcepts.Share(strongest))} of the score.",
                _ => $"The score of “{view.DisplayName}” is spread over many concepts; the strongest, {Names.Labelled(strongest)}, carries {Format.Percent(ListedConcepts.Share(strongest))} of it.",
            });
        }

        if (view.Concepts.Count > 0 && view.UnexplainedShare >= 0.1)
        {
            sentences.Add(view.UnexplainedShare > 0.5
                ? $"Most of the score, {Format.Percent(view.UnexplainedShare)}, is explained by no concept: the shares are those of the rest."
                : $"{Format.Percent(view.UnexplainedShare)} of the score is explained by no concept; the shares are those of the rest.");
        }

        var placed = view.Strategies.Sum(s => s.Size);
        if (view.Strategies.Count > 1 && placed > 0)
        {
            var largest = (double)view.Strategies.Max(s => s.Size) / placed;
            sentences.Add(largest > 0.5
                ? $"{Format.Percent(1 - largest)} of the images are recognised differently from the rest."
                : $"Its images are recognised in {Word(view.Strategies.Count)} different ways; the most frequent one covers {Format.Percent(largest)} of them.");
        }
        else if (view.Strategies.Count == 1)
        {
            sentences.Add("No separate ways of recognising its images stand out.");
        }

        if (view.Confusions.Count > 0 && view.Confusions[0].Count > 1 && view.Confusions.Skip(1).All(c => c.Count < view.Confusions[0].Count) && view.Images > 0 && (double)view.Confusions[0].Count / view.Images >= 0.02)
        {
            sentences.Add($"It is most often mistaken for “{view.Confusions[0].Name}” ({Format.Count(view.Confusions[0].Count, "image")}).");
        }

        return string.Join(' ', sentences);
    }

    /// <summary>What a strategy relies on, in a few words: "mainly wheels (66%)".</summary>
    /// <param name="profile">Mean share of each concept.</param>
    /// <param name="names">Their names; null for one that is not to be named.</param>
    public static string Mixture(IReadOnlyList<double> profile, IReadOnlyList<string?> names)
    {
        var total = profile.Sum(Math.Abs);
        var leading = Enumerable.Range(0, Math.Min(profile.Count, names.Count)).Where(i => profile[i] > 0 && names[i] is not null).OrderByDescending(i => profile[i]).Take(2).ToList();
        return leading.Count == 0 || total <= 0
            ? "no concept speaks for the class"
            : leading.Count == 1 || profile[leading[0]] >= 0.6 * total
                ? $"mainly {names[leading[0]]} ({Format.Percent(profile[leading[0]] / total, 0)})"
                : $"{names[leading[0]]} ({Format.Percent(profile[leading[0]] / total, 0)}) with {names[leading[1]]} ({Format.Percent(profile[leading[1]] / total, 0)})";
    }

    /// <summary>What a strategy's page says first: how many images, by which concepts, what sets it apart, how often it errs.</summary>
    public static string Strategy(StrategyView view)
    {
        var strategy = view.Strategy;
        var share = view.ClassImages > 0 ? $" ({Format.Percent((double)strategy.Size / view.ClassImages)})" : "";
        var many = view.Strategies.Count == 1
            ? $"Among the {Format.Count(strategy.Size, "image")} of “{view.ClassName}” no separate ways of recognising them stand out"
            : $"{Format.Count(strategy.Size)} of the {Format.Count(view.ClassImages, "image")} of “{view.ClassName}”{share} {(strategy.Size == 1 ? "is" : "are")} recognised in this way";
        var sentences = new List<string>(3) { $"{many}: {strategy.Summary}." };
        var apart = view.Strategies.Count > 1 ? ListedConcepts.Of(view).MaxBy(c => Math.Abs(c.Share - c.Concept.Share)) : null;
        if (apart is not null && Math.Abs(apart.Share - apart.Concept.Share) >= 0.1)
        {
            sentences.Add($"What sets it apart: {(apart.Share > apart.Concept.Share ? "more" : "less")} {Names.Labelled(apart.Concept)} ({Format.Percent(apart.Share)} of the score, {Format.Percent(apart.Concept.Share)} over the whole class).");
        }

        if (strategy.Accuracy is { } accuracy)
        {
            var against = view.ClassAccuracy is not { } whole || view.Strategies.Count == 1 ? ""
                : accuracy < whole - 0.02 ? $", less than the {Format.Percent(whole)} of the class"
                : accuracy > whole + 0.02 ? $", more than the {Format.Percent(whole)} of the class" : ", as in the whole class";
            var taken = view.Confusions.Count > 0 && view.Confusions[0].Count > 1 ? $"; the others are most often taken for “{view.Confusions[0].Name}”" : "";
            sentences.Add($"{Format.Percent(accuracy)} of them are predicted right{against}{taken}.");
        }

        return string.Join(' ', sentences);
    }

    /// <summary>Which estimators order concepts best, and how they stand to chance.</summary>
    public static string Faithfulness(FaithfulnessView faith)
    {
        static double? Quality(EstimatorFiguresView e) => e.DeletionQuality is { } deletion && e.InsertionQuality is { } insertion ? (deletion + insertion) / 2 : e.DeletionQuality ?? e.InsertionQuality;
        var judged = faith.Estimators.Where(e => !e.Reference && Quality(e) is not null).OrderByDescending(Quality).ToList();
        if (judged.Count == 0)
        {
            return "No estimator could be judged.";
        }

        // What differs by less than this on the scale from chance to the oracle is as good.
        var top = judged.Where(e => Quality(judged[0]) - Quality(e) <= 0.005).Select(e => e.Title).ToList();
        var below = judged.Where(e => Quality(e) <= 0).Select(e => e.Title).ToList();
        var best = top.Count == 1
            ? $"{top[0]} orders the concepts best"
            : top.Count == judged.Count && top.Count > 2 ? $"All {Format.Count(top.Count)} order the concepts equally well" : $"{string.Join(", ", top.SkipLast(1))} and {top[^1]} order the concepts best";
        return $"{best}: {Format.Percent(Math.Max(0, Quality(judged[0])!.Value))} of the way from a random order to the best that can be had."
            + (below.Count > 0 ? $" No better than chance: {string.Join(", ", below)}." : "");
    }

    /// <summary>Doubts about a concept as short badges with their reasons.</summary>
    public static IEnumerable<(string Text, string Why)> Badges(ConceptCard concept)
    {
        if (concept.Stability is < 0.7 and var stability)
        {
            yield return ("unstable", $"Stability {Format.Number(stability)}: another half of the images gives a different direction.");
        }

        if (concept.Notes.Count > 0)
        {
            yield return ("doubt", string.Join(' ', concept.Notes));
        }
    }

    /// <summary>A sample in a list, in words.</summary>
    public static string Tile(SampleTile tile)
    {
        var predicted = tile.Predicted.Length == 0 ? tile.ClassName : tile.Correct switch
        {
            true => $"{tile.Predicted}, predicted right ({Format.Percent(tile.Confidence)})",
            false => $"labelled {tile.ClassName}, predicted {tile.Predicted} ({Format.Percent(tile.Confidence)})",
            _ => $"predicted {tile.Predicted} ({Format.Percent(tile.Confidence)})",
        };
        return tile.OutlierReason.Length > 0 ? $"{predicted}: {tile.OutlierReason}" : predicted;
    }

    // The smallest number of strongest concepts that carry the share of everything that speaks for the class.
    private static int CountFor(List<ConceptCard> positive, double share)
    {
        var total = positive.Sum(ListedConcepts.Share);
        var sum = 0.0;
        for (var i = 0; i < positive.Count; i++)
        {
            sum += ListedConcepts.Share(positive[i]);
            if (sum >= share * total)
            {
                return i + 1;
            }
        }

        return positive.Count;
    }

    private static string Word(int count) => count switch
    {
        1 => "one",
        2 => "two",
        3 => "three",
        4 => "four",
        _ => Format.Count(count),
    };

    /// <summary>What a concept page says first.</summary>
    public static string Concept(ConceptView view)
    {
        var concept = view.Concept;
        var rank = concept.Rank switch { 0 => "the strongest concept", 1 => "the second strongest concept", 2 => "the third strongest concept", _ => $"concept number {concept.Rank + 1}" };
        var text = concept.Importance >= 0
            ? $"{Format.Capital(rank)} of “{view.ClassName}”: it carries {Format.Percent(concept.Importance)} of the score and is active in {Format.Percent(concept.ActiveShare)} of the images."
            : $"{Format.Capital(rank)} of “{view.ClassName}”: it takes {Format.Percent(-concept.Importance)} off the score and is active in {Format.Percent(concept.ActiveShare)} of the images.";
        var others = view.Nearest.Where(n => n.Cosine >= 0.8 && n.Member.Class != view.Class).Select(n => n.Member.ClassName).Distinct().Take(3).ToList();
        return others.Count == 0 ? text : $"{text} Nearly the same concept serves {List(others)}.";
    }

    /// <summary>Whether single neurons stand for a concept.</summary>
    public static string Neurons(ConceptCard concept) => Math.Abs(concept.ChannelCosine) switch
    {
        >= 0.95 => "One neuron nearly is this concept.",
        >= 0.7 => "One neuron carries most of it.",
        _ => $"No neuron stands for it alone: it is spread over about {Format.Number(concept.Spread)} channels.",
    };

    /// <summary>What a sample page says first.</summary>
    public static string Sample(SampleView view)
    {
        var sample = view.Sample;
        var predicted = sample.Predicted.Length == 0
            ? $"From the folder “{sample.ClassName}”; the network's prediction is not known."
            : sample.Correct switch
            {
                true => $"Predicted “{sample.Predicted}” ({Format.Percent(sample.Confidence)}), as labelled.",
                false => $"Predicted “{sample.Predicted}” ({Format.Percent(sample.Confidence)}), labelled “{sample.ClassName}”.",
                _ => $"Predicted “{sample.Predicted}” ({Format.Percent(sample.Confidence)}); the folder “{sample.ClassName}” maps to no output.",
            };
        var best = view.Contributions.Where(c => c.Concept is not null).OrderByDescending(c => c.Value).FirstOrDefault();
        if (best is { Value: > 0 } && view.Logit > 0)
        {
            // Where others take most of it off again, a share of the sum says nothing.
            var score = view.ContributionsTo.Length == 0 || view.ContributionsTo == sample.Predicted ? "the score" : $"the score of “{view.ContributionsTo}”";
            predicted += best.Value <= view.Logit
                ? $" The concept {Names.Labelled(best.Concept!)} adds most to {score}: {Format.Percent(best.Value / view.Logit)} of it."
                : $" The concept {Names.Labelled(best.Concept!)} adds most to {score}.";
        }

        return predicted;
    }

    /// <summary>Why a sample is or is not an outlier.</summary>
    public static string Outlier(SampleTile sample)
    {
        if (sample.OutlierScore is not { } score)
        {
            return "Not known yet: unusual images are looked for in the last stage.";
        }

        var rank = sample.OutlierRank is { } place ? $" It is number {Format.Count(place)} of the most unusual." : "";
        return sample.OutlierKind.Length == 0
            ? $"Nothing unusual: outlier score {Format.Number(score)} of 1."
            : $"{Format.Capital(sample.OutlierReason.Length > 0 ? sample.OutlierReason : Names.KindMeaning(sample.OutlierKind)).TrimEnd('.')}. Outlier score {Format.Number(score)} of 1.{rank}";
    }

    private static string List(List<string> names) => names.Count switch
    {
        1 => $"“{names[0]}”",
        _ => string.Join(", ", names.SkipLast(1).Select(n => $"“{n}”")) + $" and “{names[^1]}”",
    };

    /// <summary>What the outliers page says first.</summary>
    public static string Outliers(OutlierView view, string? className, bool all)
    {
        var where = className is null ? "" : $" of “{className}”";
        if (view.Pending)
        {
            return "Unusual images are looked for in the last stage of the analysis.";
        }

        if (all)
        {
            return $"Every image{where}, the most unusual first; {Format.Count(view.Kinds.Values.Sum())} are flagged in all.";
        }

        var total = view.Kinds.Values.Sum();
        if (total == 0)
        {
            return "No image stands out from the others.";
        }

        var (kind, count) = view.Kinds.OrderByDescending(k => k.Value).First();
        var share = view.Analysis.Images > 0 ? $" ({Format.Percent((double)total / view.Analysis.Images, 1)} of all)" : "";
        return $"{Format.Count(total, "image")}{share} {(total == 1 ? "stands" : "stand")} out; the most frequent reason is “{Names.Kind(kind).ToLowerInvariant()}” ({Format.Count(count)})."
            + (className is null ? "" : $" Shown: “{className}”.");
    }

    /// <summary>A reason in a few words, for under a picture.</summary>
    public static string Short(SampleTile tile)
    {
        if (tile.OutlierReason.Length == 0)
        {
            return tile.OutlierScore is { } score ? "score " + Format.Number(score) : "";
        }

        // Under a heading with the kind and the class, what another class it is taken for is all that is left to say.
        return tile.OutlierKind == "mislabelled" && tile.Correct == false && tile.Predicted.Length > 0
            ? "seen as " + tile.Predicted
            : tile.OutlierReason.Split([";", ":", " that "], StringSplitOptions.None)[0].TrimEnd('.');
    }

    /// <summary>What was recognised at a data set's path.</summary>
    public static string Dataset(DatasetPreview data)
    {
        var text = $"{Format.Count(data.Images, "image")} in {Format.Count(data.Classes.Count, "class", "classes")}";
        if (data.Classes.Count > 1)
        {
            int least = data.Classes.Min(c => c.Images), most = data.Classes.Max(c => c.Images);
            text += least == most ? $", {Format.Count(least)} each" : $", {Format.Count(least)} to {Format.Count(most)} each";
        }

        return text + ".";
    }

    /// <summary>What was recognised in a network file, with its accuracy on trial.</summary>
    public static string Network(NetworkPreview network, DatasetPreview? data)
    {
        var text = $"{Format.Count(network.Outputs, "output")}; ";
        text += network.MappedClasses == 0
            ? "none of the folders maps to an output, so there is no accuracy."
            : $"{Format.Count(network.MappedClasses)} of {Format.Count(data?.Classes.Count ?? network.MappedClasses + network.UnmappedClasses.Count, "folder")} map to an output.";
        if (network.Accuracy is { } accuracy)
        {
            text += $" On {Format.Count(network.Tried, "image")} it is right for {Format.Percent(accuracy, 1)}";
            text += network.AccuracyNote.Length > 0 ? $"; {network.AccuracyNote.TrimEnd('.')}." : ".";
        }

        return text;
    }

    /// <summary>Shape of a layer: "64 channels at 8×8".</summary>
    public static string LayerShape(LayerView layer) => layer.Height * layer.Width > 1
        ? $"{Format.Count(layer.Channels, "channel")} at {layer.Height}×{layer.Width}"
        : $"{Format.Count(layer.Channels, "channel")}, no spatial extent";

    /// <summary>A layer in words: shape, sign, and whether importance has a closed form.</summary>
    public static string Layer(LayerView layer) =>
        LayerShape(layer) + (layer.NonNegative ? ", never negative" : ", both signs") + (layer.LinearHead ? ", importance exact" : "");

    /// <summary>Advice on the number of concepts.</summary>
    public static string SuggestedConcepts(LayerView? layer) => layer is null
        ? "10 suits most networks"
        : $"suggested: {Math.Clamp(layer.Channels / 6, 4, 15)} for {Format.Count(layer.Channels, "channel")}";

    /// <summary>What a run makes.</summary>
    public static string Outcome(DatasetPreview? data, NewAnalysis request) => data is null
        ? "an atlas of concepts, strategies and outliers"
        : $"{(request.Scope == "dataset" ? Format.Count(request.Concepts, "concept") + " for" : "up to " + Format.Count((long)request.Concepts * data.Classes.Count, "concept") + " in")} {Format.Count(data.Classes.Count, "class", "classes")} with exemplars, maps and importance; a strategic cluster graph per class; and a list of outliers with reasons";

    /// <summary>The name an analysis gets where none is typed.</summary>
    public static string DefaultName(DatasetPreview? data, NetworkPreview? network) => $"{network?.Name ?? "network"} · {data?.Name ?? "data set"}";
}
