using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Xunit;

namespace Dashboard.Client.Tests.State;

/// <summary>Concepts as people want them listed.</summary>
public sealed class ListedConceptsTests
{
    [Fact]
    public void A_confusion_is_drawn_by_what_adds_more_to_it_merged_concepts_together_and_hidden_ones_not()
    {
        var confusion = new ConfusionView("cucumber", 4, 2) { Pulls = [0.5, -1, 0.75, 3, 0.25, 1] };
        ConceptCard[] cards = [Samples.Card(0, 0.5), Samples.Card(1, 0.3), Samples.Card(2, 0.1), Samples.Card(3, 0.05) with { Hidden = true }, Samples.Card(4, 0.02) with { Into = 0 }];
        var view = Samples.ClassView(cards, [], confusion);

        Assert.Equal([((int?)null, 1.0), (0, 0.75), (2, 0.75)], ListedConcepts.Pulls(view, confusion, 5).Select(pull => (pull.Concept?.Id, pull.Pull)));
        Assert.Equal(2, ListedConcepts.Pulls(view, confusion).Count);
        Assert.Empty(ListedConcepts.Pulls(view, confusion with { Pulls = [-1, -1, -1, -1, -1, -1] }));
        // Of an analysis that kept no arrays, nothing is known.
        Assert.Empty(ListedConcepts.Pulls(view, confusion with { Pulls = [] }));
    }
}
