using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>One step of a waterfall.</summary>
/// <param name="Name">What contributes.</param>
/// <param name="Concept">The concept; null for the unexplained part, the bias and gathered rests.</param>
/// <param name="Value">Contribution to the logit.</param>
/// <param name="Against">Contribution to the runner-up's logit; null where unknown.</param>
/// <param name="From">Running sum before the step.</param>
/// <param name="To">Running sum after the step.</param>
public sealed record WaterfallStep(string Name, ConceptTile? Concept, double Value, double? Against, double From, double To);

/// <summary>
/// Contributions as running sums from 0 to the logit: the largest concepts first, small ones gathered in one step, then what
/// no concept explains and the bias. The last <see cref="WaterfallStep.To"/> equals the sum of all contributions.
/// </summary>
public static class Waterfall
{
    /// <summary>Steps in order.</summary>
    /// <param name="contributions">In any order.</param>
    /// <param name="largest">Number of concepts shown singly.</param>
    public static IReadOnlyList<WaterfallStep> Steps(IReadOnlyList<ContributionView> contributions, int largest = 8)
    {
        var concepts = contributions.Where(c => c.Concept is not null).OrderByDescending(c => Math.Abs(c.Value)).ToList();

        // What would be an invisible bar is not worth a row.
        var least = 0.005 * contributions.Sum(c => Math.Abs(c.Value));
        var ordered = concepts.Take(largest).TakeWhile(c => Math.Abs(c.Value) >= least).ToList();
        var small = concepts.Skip(ordered.Count).ToList();
        if (small.Count == 1)
        {
            ordered.Add(small[0]);
        }
        else if (small.Count > 1)
        {
            ordered.Add(new ContributionView(
                null,
                $"{small.Count} smaller concepts",
                small.Sum(c => c.Value),
                small.All(c => c.Against is not null) ? small.Sum(c => c.Against) : null));
        }

        ordered.AddRange(contributions.Where(c => c.Concept is null));
        var steps = new List<WaterfallStep>(ordered.Count);
        var sum = 0.0;
        foreach (var item in ordered)
        {
            steps.Add(new WaterfallStep(item.Name, item.Concept, item.Value, item.Against, sum, sum + item.Value));
            sum += item.Value;
        }

        return steps;
    }

    /// <summary>Ends of the axis: every running sum, and 0.</summary>
    public static (double From, double To) Range(IReadOnlyList<WaterfallStep> steps)
    {
        double from = 0, to = 0;
        foreach (var step in steps)
        {
            from = Math.Min(from, Math.Min(step.From, step.To));
            to = Math.Max(to, Math.Max(step.From, step.To));
        }

        return to > from ? (from, to) : (0, 1);
    }
}
