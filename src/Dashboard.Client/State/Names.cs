using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>What things are called on every page.</summary>
public static class Names
{
    /// <summary>Kinds of outliers in the order in which they are shown.</summary>
    public static IReadOnlyList<string> Kinds { get; } = ["mislabelled", "confounded", "corrupted", "foreign", "duplicate", "rare"];

    // Formulas may be long: in a sentence, a list to choose from or a chart they are cut; what cuts them shows the whole elsewhere.
    private const int LongestLabel = 32;

    /// <summary>Short name of a concept: a person's, else "c3".</summary>
    public static string Concept(INamedConcept concept) => string.IsNullOrWhiteSpace(concept.Name) ? Code(concept.Rank) : concept.Name;

    /// <summary>Whether a person has named the concept.</summary>
    public static bool IsNamed(INamedConcept concept) => !string.IsNullOrWhiteSpace(concept.Name) && concept.Name != Code(concept.Rank);

    /// <summary>The label that stands beside the number of a concept; null where a person's name stands instead, or it has none.</summary>
    public static string? Label(INamedConcept concept) => IsNamed(concept) ? null : concept.Label?.Text;

    /// <summary>Name of a concept where there are only words: a person's, else "c3 “striped”", the label cut where it is long.</summary>
    public static string Labelled(INamedConcept concept) => IsNamed(concept) ? Concept(concept) : WithLabel(Concept(concept), concept.Label);

    /// <summary>The same with the whole label, for tooltips and accessible names.</summary>
    public static string Whole(INamedConcept concept) => Label(concept) is { } label ? $"{Concept(concept)} “{label}”" : Concept(concept);

    /// <summary>Name of a neuron: "channel 7", with its label where it has one, which is cut where it is long.</summary>
    public static string Channel(int channel, ShortLabel? label = null) => WithLabel(FormattableString.Invariant($"channel {channel}"), label);

    /// <summary>What nobody named, with its label where it has one, which is cut where it is long.</summary>
    public static string WithLabel(string name, ShortLabel? label) => label is null ? name : $"{name} “{Cut(label.Brief)}”";

    /// <summary>How surely a label fits, for tooltips.</summary>
    public static string Sureness(ShortLabel label) =>
        label.Text + (label.Auc is { } auc ? $": label, AUC {Format.Auc(auc)} on images that its search did not see" : ": label");

    // Between words, and not after one that joins: "disc AND blue…".
    private static string Cut(string label)
    {
        if (label.Length <= LongestLabel)
        {
            return label;
        }

        var words = label[..LongestLabel].Split(' ').SkipLast(1).ToList();
        while (words.Count > 1 && words[^1].Trim('(') is "AND" or "OR" or "NOT" or "")
        {
            words.RemoveAt(words.Count - 1);
        }

        // One word longer than all that there is room for.
        return (words.Count == 0 ? label[..(LongestLabel - 1)] : string.Join(' ', words)) + "…";
    }

    /// <summary>Code of a concept in its class: c0, c1, ….</summary>
    public static string Code(int rank) => FormattableString.Invariant($"c{rank}");

    /// <summary>Name of a strategy: a person's, else "strategy A".</summary>
    public static string Strategy(StrategyCard strategy) => string.IsNullOrWhiteSpace(strategy.Name) ? StrategyCode(strategy.Index) : strategy.Name;

    /// <summary>Name of a strategy as a title: a person's as it was typed, else "Strategy A".</summary>
    public static string StrategyTitle(StrategyCard strategy) => string.IsNullOrWhiteSpace(strategy.Name) ? "Strategy " + ConceptPalette.StrategyLetter(strategy.Index) : strategy.Name;

    /// <summary>Name of a strategy that nobody named: "strategy A".</summary>
    public static string StrategyCode(int index) => "strategy " + ConceptPalette.StrategyLetter(index);

    /// <summary>Title of an outlier kind.</summary>
    public static string Kind(string kind) => kind switch
    {
        "mislabelled" => "Wrong label",
        "confounded" => "Confounded",
        "corrupted" => "Corrupted",
        "foreign" => "Foreign",
        "duplicate" => "Duplicate",
        "rare" => "Rare",
        _ => "Not flagged",
    };

    /// <summary>What an outlier kind means.</summary>
    public static string KindMeaning(string kind) => kind switch
    {
        "mislabelled" => "The label does not fit what the image shows.",
        "confounded" => "Images of its class share a pattern at one place, such as a mark or a border, that others lack: the network may use it as a shortcut.",
        "corrupted" => "The image is damaged: noise, blank areas, wrong colours.",
        "foreign" => "The image shows something that belongs to none of the classes.",
        "duplicate" => "The same image, or nearly, occurs more than once.",
        "rare" => "Right label, but unlike all others of its class.",
        _ => "",
    };

    /// <summary>Short signs for the kinds, so that colour is never the only mark.</summary>
    public static string KindSign(string kind) => kind switch
    {
        "mislabelled" => "≠",
        "confounded" => "◈",
        "corrupted" => "▦",
        "foreign" => "?",
        "duplicate" => "=",
        "rare" => "✧",
        _ => "·",
    };

    /// <summary>A person's verdict in words.</summary>
    public static string Verdict(string? verdict) => verdict switch
    {
        "fine" => "Fine",
        "wronglabel" => "Wrong label",
        "remove" => "Remove",
        "confounder" => "Confounder",
        _ => "No verdict",
    };

    /// <summary>State of an analysis.</summary>
    public static string State(AnalysisState state) => state switch
    {
        AnalysisState.Queued => "Waiting",
        AnalysisState.Running => "Running",
        AnalysisState.Completed => "Done",
        AnalysisState.Failed => "Failed",
        _ => "Cancelled",
    };

    /// <summary>Style of the state's badge.</summary>
    public static string StateStyle(AnalysisState state) => state switch
    {
        AnalysisState.Running => "live",
        AnalysisState.Completed => "good",
        AnalysisState.Failed => "bad",
        AnalysisState.Cancelled => "warn",
        _ => "",
    };

    /// <summary>Where an analysis is best opened: the atlas once complete, the live page before.</summary>
    public static string Entry(AnalysisSummary analysis) =>
        analysis.State == AnalysisState.Completed ? Urls.PageUrls.Atlas(analysis.Id) : Urls.PageUrls.Analysis(analysis.Id);
}
