using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Xunit;

namespace Dashboard.Client.Tests.State;

public sealed class OutlierTriageTests
{
    private readonly OutlierTriage _triage = new();

    public OutlierTriageTests() => _triage.Load(
    [
        Samples.Sample(1, "rare", 0, 0.9), Samples.Sample(2, "mislabelled", 1, 0.5), Samples.Sample(3, "mislabelled", 0, 0.4), Samples.Sample(4, "mislabelled", 0, 0.8),
    ]);

    [Fact]
    public void The_wall_is_grouped_by_kind_then_class_most_odd_first()
    {
        Assert.Equal([4, 3, 2, 1], _triage.Items.Select(t => t.Index));
        Assert.Equal([("mislabelled", 0), ("mislabelled", 1), ("rare", 0)], _triage.Groups.Select(g => (g.Kind, g.Class)));
    }

    [Theory]
    [InlineData("f", "fine")]
    [InlineData("l", "wronglabel")]
    [InlineData("r", "remove")]
    [InlineData("C", "confounder")]
    public void A_key_judges_the_image_in_focus_and_moves_on(string key, string verdict)
    {
        _triage.MoveTo(4);
        Assert.Equal(new VerdictChange(4, verdict), _triage.Press(key));
        Assert.Equal(verdict, _triage.Items[0].Verdict);
        Assert.Equal(3, _triage.Focus);
    }

    [Fact]
    public void Without_focus_and_for_other_keys_nothing_happens()
    {
        Assert.Null(_triage.Press("f"));
        _triage.MoveTo(4);
        Assert.Null(_triage.Press("x"));
        Assert.Null(_triage.Press("u"));
        Assert.False(_triage.MoveTo(99));
        Assert.Equal(4, _triage.Focus);
    }

    [Fact]
    public void Undo_restores_the_earlier_verdict_and_goes_back()
    {
        _triage.MoveTo(3);
        _triage.Press("r");
        _triage.MoveTo(3);
        _triage.Press("l");
        Assert.Equal(2, _triage.Focus);
        Assert.Equal(new VerdictChange(3, "remove"), _triage.Press("u"));
        Assert.Equal(3, _triage.Focus);
        Assert.Equal(new VerdictChange(3, null), _triage.Press("u"));
        Assert.Null(_triage.Focused!.Verdict);
        Assert.False(_triage.CanUndo);
    }

    [Fact]
    public void The_same_verdict_again_takes_it_back_and_stays()
    {
        _triage.MoveTo(2);
        _triage.Press("f");
        _triage.MoveTo(2);
        Assert.Equal(new VerdictChange(2, null), _triage.Press("f"));
        Assert.Equal(2, _triage.Focus);
    }

    [Fact]
    public void Loading_keeps_the_focus_only_where_its_image_remains()
    {
        _triage.MoveTo(2);
        _triage.Load([Samples.Sample(2, "rare"), Samples.Sample(9, "rare")]);
        Assert.Equal(2, _triage.Focus);
        _triage.Load([Samples.Sample(9, "rare")]);
        Assert.Null(_triage.Focus);
    }

    [Fact]
    public void Missing_and_surplus_concepts_are_found_against_the_strategy()
    {
        var view = new SampleView
        {
            Analysis = Samples.Analysis(),
            Sample = Samples.Sample(1),
            Strategy = Samples.Strategy(0, 10, 0.8, 0.2, 0.0),
            Contributions = [new(Samples.Tile(0, 0), "usual", 0), new(Samples.Tile(1, 0), "same", 0.25), new(Samples.Tile(2, 0), "mark", 0.75), new(null, "bias", 5)],
        };
        var found = ConceptDifference.Of(view);
        Assert.Equal([0, 2], found.Select(d => d.Concept.Id));
        Assert.Equal(-0.8, found[0].Difference, 12);
        Assert.Equal(0.75, found[1].Difference, 12);
        Assert.Empty(ConceptDifference.Of(view with { Strategy = null }));
    }
}
