using Dashboard.Client.Contracts;

namespace Dashboard.Client.Tests.Pages;

/// <summary>Finds three samples for any concepts, and three concepts for any words.</summary>
internal sealed class FakeSearch : ISampleSearchService, ISearchService
{
    public SampleSearch? Asked { get; private set; }

    public int Take { get; private set; }

    public int Matches { get; set; } = 3;

    public string? Problem { get; set; }

    /// <summary>Matches that chance would bring.</summary>
    public double Expected { get; set; } = 5;

    /// <summary>What a search waits for.</summary>
    public Task Gate { get; set; } = Task.CompletedTask;

    public async Task<SampleSearchView?> FindAsync(string analysisId, SampleSearch wanted, int skip = 0, int take = 60, CancellationToken cancellation = default)
    {
        if (wanted.Like == 999)
        {
            throw new ServiceException("The analysis has no sample 999.");
        }

        (Asked, Take) = (wanted, take);
        await Gate;
        var concepts = wanted.With.Select(id => (id, true)).Concat(wanted.Without.Select(id => (id, false)))
            .Select(pair => new SoughtConcept(new SharedMember(pair.id / 10, $"class {pair.id / 10}", new ConceptTile(pair.id, $"c{pair.id % 10}", pair.id % 10, 0.1)), pair.Item2, 10)).ToList();
        return new SampleSearchView
        {
            Analysis = Samples.Analysis(), Samples = 200, Concepts = concepts, Problem = Problem,
            Matches = concepts.Count == 0 ? 0 : Matches, Expected = Expected,
            Classes = concepts.Count == 0 || Matches == 0 ? [] : [new ClassMatches(1, "class 1", 3, 50)],
            Found = concepts.Count == 0 ? [] : [.. Enumerable.Range(7, Matches).Select(row => new FoundSample(Samples.Sample(row), [.. concepts.Select(c => c.Present ? 0.02 : 0.8)], null))],
        };
    }

    public Task<IReadOnlyList<SearchHit>> FindAsync(string? analysisId, string text, int take = 6, CancellationToken cancellation = default) =>
        Task.FromResult<IReadOnlyList<SearchHit>>(
        [
            new("class", "zebra", "", "/c"), new("concept", "striped of zebra", "", "/k", null, 7), new("label", "stripes AND NOT grass", "concept 1 of zebra", "/l", null, 21),
            new("label", "striped neuron", "neuron 4", "/l"), new("label", "again", "", "/l", null, 7),
        ]);
}
