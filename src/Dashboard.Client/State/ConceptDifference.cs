using Dashboard.Client.Contracts;

namespace Dashboard.Client.State;

/// <summary>A concept that a sample has more or less of than its strategy.</summary>
/// <param name="Concept">The concept.</param>
/// <param name="Share">Its share of this sample's score.</param>
/// <param name="Usual">Mean share in the strategy.</param>
public sealed record ConceptDifference(ConceptTile Concept, double Share, double Usual)
{
    /// <summary>Positive: surplus; negative: missing.</summary>
    public double Difference => Share - Usual;

    /// <summary>Concepts whose share differs from the strategy's by at least <paramref name="least"/>, largest difference first.</summary>
    /// <param name="view">The sample with contributions and strategy.</param>
    /// <param name="least">Smallest difference that counts, as a share of the score.</param>
    public static IReadOnlyList<ConceptDifference> Of(SampleView view, double least = 0.08)
    {
        if (view.Strategy is not { } strategy)
        {
            return [];
        }

        var concepts = view.Contributions.Where(c => c.Concept is not null).ToList();
        var size = concepts.Sum(c => Math.Abs(c.Value));
        if (size <= 0 || strategy.Profile.Count < concepts.Count)
        {
            return [];
        }

        // Both sides as shares of the whole, so that images with a large and with a small score can be compared.
        var usual = strategy.Profile.Take(concepts.Count).Sum(Math.Abs);
        return [.. concepts
            .Select((c, i) => new ConceptDifference(c.Concept!, c.Value / size, usual > 0 ? strategy.Profile[i] / usual : 0))
            .Where(d => Math.Abs(d.Difference) >= least)
            .OrderByDescending(d => Math.Abs(d.Difference))];
    }
}
