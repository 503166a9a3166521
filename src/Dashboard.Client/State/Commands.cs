using Dashboard.Client.Contracts;
using Dashboard.Client.Urls;

namespace Dashboard.Client.State;

/// <summary>A page or an action that the command palette offers.</summary>
/// <param name="Kind">page or action.</param>
/// <param name="Title">What it is called.</param>
/// <param name="Target">Address of a page; name of an action.</param>
/// <param name="Words">Further words by which it is found.</param>
public sealed record Command(string Kind, string Title, string Target, string Words = "");

/// <summary>What can be reached from anywhere, and from the pages of an analysis.</summary>
public static class Commands
{
    /// <summary>Shows the keyboard shortcuts.</summary>
    public const string Help = "help";

    /// <summary>Copies the address of what is shown.</summary>
    public const string Copy = "copy";

    /// <summary>Chooses colours: followed by light, dark or system.</summary>
    public const string Colours = "colours-";

    private static readonly Command[] Everywhere =
    [
        new("page", "All analyses", PageUrls.Home, "home start"),
        new("page", "New analysis", PageUrls.New, "run start create"),
        new("page", "Compare methods and runs", PageUrls.Compare(), "comparison"),
        new("action", "Keyboard shortcuts", Help, "help keys ?"),
        new("action", "Copy the address of this view", Copy, "link url share deep"),
        new("action", "Light colours", Colours + "light", "theme mode"),
        new("action", "Dark colours", Colours + "dark", "theme mode"),
        new("action", "Colours as the system", Colours + "system", "theme mode light dark"),
    ];

    /// <summary>The analysis to which an address belongs; null where it belongs to none.</summary>
    /// <param name="relative">Address relative to the site, without a slash in front.</param>
    public static string? AnalysisOf(string relative)
    {
        var parts = relative.Split('?', '#')[0].Split('/');
        return parts is ["analyses", { Length: > 0 } id, ..] ? id : null;
    }

    /// <summary>Pages and actions whose title or words contain every word of a text, those of the analysis first.</summary>
    public static IReadOnlyList<Command> Find(string text, string? analysisId)
    {
        var words = text.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return [.. (analysisId is null ? [] : OfAnalysis(analysisId)).Concat(Everywhere)
            .Where(command => words.All(word => command.Title.Contains(word, StringComparison.OrdinalIgnoreCase) || command.Words.Contains(word, StringComparison.OrdinalIgnoreCase)))];
    }

    /// <summary>Whether the title alone contains every word; else the further words were needed.</summary>
    public static bool IsNamed(Command command, string text) =>
        text.Split(' ', StringSplitOptions.RemoveEmptyEntries).All(word => command.Title.Contains(word, StringComparison.OrdinalIgnoreCase));

    // A page of an analysis is added here in a line.
    private static Command[] OfAnalysis(string id) =>
    [
        new("page", "Atlas", PageUrls.Atlas(id), "classes concepts"),
        new("page", "Map of all concepts", PageUrls.Atlas(id, "map"), "atlas points"),
        new("page", "Shared concepts", PageUrls.Atlas(id, "shared"), "atlas"),
        new("page", "Search images", PageUrls.Search(id), "find samples concepts combination like similar"),
        new("page", "An image of your own", PageUrls.OwnImage(id), "upload paste drop explain try picture"),
        new("page", "Outliers", PageUrls.Outliers(id), "odd unusual triage"),
        new("page", "Labels", PageUrls.Labels(id), "neurons formulas"),
        new("page", "Probes", PageUrls.Probes(id), "concepts defined by people"),
        new("page", "Define a concept", PageUrls.DefineConcept(id), "probe new own tag"),
        new("page", "Smallest changes", PageUrls.Backpropagation(id), "concept backpropagation"),
        new("page", "Training images", PageUrls.TrainingImages(id), "attribution influence trak taught"),
        new("page", "Remove and retrain", PageUrls.Retraining(id), "retraining without images"),
        new("page", "Compare this analysis", PageUrls.Compare(id), "comparison methods"),
        new("page", "About this analysis", PageUrls.Analysis(id), "progress log recipe"),
    ];
}
