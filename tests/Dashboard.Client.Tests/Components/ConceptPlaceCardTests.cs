using Bunit;
using Dashboard.Client.Contracts;
using Dashboard.Client.Pages.Concepts;
using Dashboard.Client.Tests.Pages;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dashboard.Client.Tests.Components;

public sealed class ConceptPlaceCardTests : BunitContext
{
    private readonly FakeServices _fakes = new();

    public ConceptPlaceCardTests() => Services.AddSingleton<IAnnotationService>(_fakes);

    [Fact]
    public void A_concept_is_merged_with_one_that_stands_for_itself_and_taken_back()
    {
        var changes = new List<(bool, int?)>();
        var card = Render<ConceptPlaceCard>(p => p.Add(c => c.AnalysisId, "a").Add(c => c.Concept, new ConceptCard { Id = 7, Rank = 2 })
            .Add(c => c.Siblings, [(5, "c0", null), (6, "c1", 5)]).Add(c => c.Changed, changes.Add));
        Assert.Equal(["", "5"], card.FindAll("option").Select(o => o.GetAttribute("value")));
        card.Find("select").Change("5");
        card.Find("select").Change("");
        Assert.Equal([(7, false, 5), (7, false, null)], _fakes.Placed);
        Assert.Equal([(false, 5), (false, null)], changes);
    }

    [Fact]
    public void A_concept_that_holds_another_one_cannot_go_under_a_third_but_can_be_hidden()
    {
        var card = Render<ConceptPlaceCard>(p => p.Add(c => c.AnalysisId, "a").Add(c => c.Concept, new ConceptCard { Id = 7, Rank = 2 })
            .Add(c => c.Siblings, [(5, "c0", null), (6, "stripes", 7)]));
        Assert.True(card.Find("select").HasAttribute("disabled"));
        Assert.Contains("stripes", card.Markup, StringComparison.Ordinal);
        card.Find("input[type=checkbox]").Change(true);
        Assert.Equal([(7, true, null)], _fakes.Placed);
    }
}
