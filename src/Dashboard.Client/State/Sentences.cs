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
        AnalysisState.Completed => $"{Counts(analysis)}. See what {analysis.NetworkName} looks for, class by class, and which images it judges by something else.",
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
                : $"In {Format.Count(one)} of {Format.Count(ready.Count, "class", "classes")} one concept alone carries at least half of the score.",
        };
        if (view.Shared.Count > 0)
        {
            parts.Add(view.Shared.Count == 1 ? "One concept is shared between classes." : $"{Format.Count(view.Shared.Count)} concepts are shared between classes.");
        }

        var shortcuts = ready.Where(c => c.Confounded > 0).ToList();
        if (shortcuts.Count > 0)
        {
            parts.Add(shortcuts.Count == 1 ? $"{shortcuts[0].DisplayName} shows signs of a shortcut." : $"{Format.Count(shortcuts.Count)} classes show signs of a shortcut.");
        }

        return string.Join(' ', parts);
    }
}
