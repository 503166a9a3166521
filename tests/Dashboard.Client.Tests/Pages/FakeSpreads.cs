using Dashboard.Client.Contracts;

namespace Dashboard.Client.Tests.Pages;

/// <summary>A concept of class 1 that class 0 shows more of.</summary>
internal sealed class FakeSpreads : IConceptSpreadService
{
    public string? Problem { get; set; }

    public Task<ConceptSpread?> SpreadAsync(string analysisId, int conceptId, CancellationToken cancellation = default) => Task.FromResult<ConceptSpread?>(
        Problem is not null
            ? new ConceptSpread { Concept = conceptId, Class = 1, Problem = Problem }
            : new ConceptSpread
            {
                Concept = conceptId, Class = 1, Classes = 40, Auc = 0.93,
                Shown = [new(0, "cat", 0, 50, -1, 0, 1, 2, 3), new(1, "dog", 30, 60, -2, -1, 0, 1, 2)],
            });
}
