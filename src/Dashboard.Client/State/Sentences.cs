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
}
