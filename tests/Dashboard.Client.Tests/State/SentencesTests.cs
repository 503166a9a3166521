using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Xunit;

namespace Dashboard.Client.Tests.State;

public sealed class SentencesTests
{
    [Fact]
    public void A_class_that_one_concept_carries()
    {
        var view = Samples.ClassView([Samples.Card(0, 0.9), Samples.Card(1, 0.02)], [Samples.Strategy(0, 100)]);
        Assert.Equal("To recognise “zucchini” this network relies mainly on one concept, c0, which carries 90% of the score. No separate ways of recognising its images stand out.", Sentences.Class(view));
        Assert.Contains("score. 30% of the score is explained by no concept; the shares are those of the rest. No", Sentences.Class(view with { UnexplainedShare = 0.3 }));
        Assert.Contains("Most of the score, 60%, is explained by no concept", Sentences.Class(view with { UnexplainedShare = 0.6 }));
    }

    [Fact]
    public void A_class_with_two_concepts_a_second_strategy_and_a_frequent_confusion()
    {
        var view = Samples.ClassView(
            [Samples.Card(0, 0.5, "green skin"), Samples.Card(1, 0.3), Samples.Card(2, 0.05), Samples.Card(3, -0.1)],
            [Samples.Strategy(0, 96), Samples.Strategy(1, 4)],
            new ConfusionView("cucumber", 12, null));
        Assert.Equal(
            "To recognise “zucchini” this network relies on two concepts; the strongest, green skin, carries 50% of the score. 4% of the images are recognised differently from the rest. It is most often mistaken for “cucumber” (12 images).",
            Sentences.Class(view));
    }

    [Fact]
    public void A_class_speaks_of_the_concepts_that_are_listed_and_takes_merged_ones_as_one()
    {
        ConceptCard[] concepts =
        [
            Samples.Card(0, 0.4) with { Hidden = true },
            Samples.Card(1, 0.3),
            Samples.Card(2, 0.2, "skin") with { Merged = new MergedShare([3], 0.35, 0.02) },
            Samples.Card(3, 0.15) with { Into = 2 },
        ];
        var view = Samples.ClassView(concepts, []);
        Assert.Equal([2, 1], ListedConcepts.Of(view).Select(concept => concept.Id));
        Assert.Equal("35.0% ± 2.0%", ListedConcepts.ShareText(concepts[2]));
        Assert.Equal("To recognise “zucchini” this network relies on two concepts; the strongest, skin, carries 35% of the score.", Sentences.Class(view));
        Assert.Equal("No concept was found that speaks for “zucchini”.", Sentences.Class(Samples.ClassView([concepts[0]], [])));
    }

    [Fact]
    public void A_mixture_shows_what_is_listed_and_keeps_the_rest_as_one()
    {
        // c1 was put away, c3 is the same as c0, c4 the same as what was put away.
        var standIns = ListedConcepts.StandIns([(10, false, null), (11, true, null), (12, false, null), (13, false, 10), (14, false, 11)]);
        Assert.Equal([0, -1, 2, 0, -1], standIns);
        Assert.Equal([0.4, 0, 0.3, 0, 0, 0.3], ListedConcepts.Mixture([0.5, 0.2, 0.3, -0.1, -0.1], standIns), (a, b) => Math.Abs(a - b) < 1e-12);
        Assert.Equal([0.5, 0.5, 0], ListedConcepts.Mixture([0.5, 0.5], []));
    }

    [Fact]
    public void A_mixture_does_not_name_what_was_put_away() => Assert.Equal("mainly seeds (60%)", Sentences.Mixture([0.3, 0.6, 0.1], [null, "seeds", null]));

    [Fact]
    public void A_strategy_says_how_many_by_what_what_sets_it_apart_and_how_often_it_errs() => Assert.Equal(
        "20 of the 100 images of “zucchini” (20%) are recognised in this way: c1 (75%) with c0 (25%). What sets it apart: less c0 (20% of the score, 60% over the whole class). "
        + "80% of them are predicted right, less than the 95% of the class; the others are most often taken for “cucumber”.",
        Sentences.Strategy(Samples.StrategyView()));

    [Theory]
    [InlineData(new[] { 0.7, 0.2, -0.1 }, "mainly skin (70%)")]
    [InlineData(new[] { 0.4, 0.5, 0.1 }, "seeds (50%) with skin (40%)")]
    [InlineData(new[] { -0.4, -0.5, 0.0 }, "no concept speaks for the class")]
    public void A_mixture_names_what_leads_it(double[] profile, string expected) => Assert.Equal(expected, Sentences.Mixture(profile, ["skin", "seeds", "light"]));

    [Fact]
    public void Equally_frequent_confusions_are_not_told_apart()
    {
        var view = Samples.ClassView([Samples.Card(0, 0.9)], [], new ConfusionView("cucumber", 9, null), new ConfusionView("gherkin", 9, null));
        Assert.DoesNotContain("mistaken", Sentences.Class(view));
    }

    [Fact]
    public void A_concept_that_others_outweigh_gets_no_share_of_the_score()
    {
        var view = new SampleView
        {
            Analysis = Samples.Analysis(),
            Sample = Samples.Sample(1) with { Predicted = "mushroom", Correct = false, Confidence = 0.26, ClassName = "umbrella" },
            Contributions = [new(Samples.Tile(1, 0.5), "c1", 1.2), new(null, "not explained by a concept", -1.1)],
            ContributionsTo = "umbrella",
            Logit = 0.1,
        };
        Assert.Equal("Predicted “mushroom” (26%), labelled “umbrella”. The concept c1 adds most to the score of “umbrella”.", Sentences.Sample(view));
    }

    [Fact]
    public void Many_ways_without_a_usual_one_are_counted()
    {
        var view = Samples.ClassView([Samples.Card(0, 0.9)], [Samples.Strategy(0, 40), Samples.Strategy(1, 30), Samples.Strategy(2, 30)]);
        Assert.EndsWith("Its images are recognised in three different ways; the most frequent one covers 40% of them.", Sentences.Class(view));
    }

    [Fact]
    public void Under_a_picture_stands_what_a_wrong_label_is_taken_for_and_else_the_first_clause()
    {
        var tile = Samples.Sample(1) with { OutlierKind = "mislabelled", OutlierReason = "The network sees ring with 99%, labelled disc; 9 of 20 agree.", Predicted = "ring", Correct = false };
        Assert.Equal("seen as ring", Sentences.Short(tile));
        Assert.Equal("The image is one colour", Sentences.Short(tile with { OutlierKind = "corrupted", OutlierReason = "The image is one colour; no detail is left." }));
    }

    [Fact]
    public void A_rare_confusion_is_not_worth_a_sentence()
    {
        var view = Samples.ClassView([Samples.Card(0, 0.9)], [], new ConfusionView("cucumber", 1, null));
        Assert.DoesNotContain("mistaken", Sentences.Class(view));
    }

    [Fact]
    public void A_class_without_a_concept_says_so() =>
        Assert.Equal("No concept was found that speaks for “zucchini”.", Sentences.Class(Samples.ClassView([Samples.Card(0, -0.2)], [])));

    [Fact]
    public void Doubts_become_badges_with_reasons()
    {
        var badges = Sentences.Badges(Samples.Card(0, 0.2, stability: 0.41) with { Notes = ["Only 12 images."] }).ToList();
        Assert.Equal(["unstable", "doubt"], badges.Select(b => b.Text));
        Assert.Contains("0.41", badges[0].Why);
        Assert.Empty(Sentences.Badges(Samples.Card(0, 0.2, stability: 0.7)));
        Assert.Empty(Sentences.Badges(Samples.Card(0, 0.2, stability: null)));
    }

    [Fact]
    public void A_sample_says_prediction_label_and_what_adds_most()
    {
        var view = new SampleView
        {
            Analysis = Samples.Analysis(),
            Sample = Samples.Sample(1) with { Predicted = "cat", Correct = false, Confidence = 0.71, ClassName = "dog" },
            Contributions = [new(Samples.Tile(0, 0.5, "whiskers"), "whiskers", 3), new(null, "bias", 1)],
            Logit = 4,
        };
        Assert.Equal("Predicted “cat” (71%), labelled “dog”. The concept whiskers adds most to the score: 75% of it.", Sentences.Sample(view));
    }

    [Fact]
    public void An_outlier_says_why_and_an_ordinary_sample_that_nothing_is_unusual()
    {
        Assert.StartsWith("Mark in the corner. Outlier score 0.90", Sentences.Outlier(Samples.Sample(1, "confounded", score: 0.9) with { OutlierReason = "mark in the corner" }));
        Assert.StartsWith("Nothing unusual", Sentences.Outlier(Samples.Sample(1, score: 0.1)));
        Assert.StartsWith("Not known yet", Sentences.Outlier(Samples.Sample(1) with { OutlierScore = null }));
    }

    [Theory]
    [InlineData(AnalysisState.Queued, "Waiting for the engine")]
    [InlineData(AnalysisState.Running, "At work on: read images.")]
    [InlineData(AnalysisState.Failed, "Stopped before its end.")]
    public void The_live_page_says_what_goes_on(AnalysisState state, string start)
    {
        var progress = new AnalysisProgress
        {
            AnalysisId = "a", Sequence = 1, State = state,
            Stages = [new("read", "Read images", StageStatus.Running, 1, 10, "image", 5, 1)],
        };
        Assert.StartsWith(start, Sentences.Live(Samples.Analysis(state), progress));
    }
}
