using Bunit;
using Dashboard.Client.Charts;
using Dashboard.Client.Components;
using Dashboard.Client.Contracts;
using Dashboard.Client.Pages.Samples;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;
using Xunit;

namespace Dashboard.Client.Tests.Components;

public sealed class ComponentTests : BunitContext
{
    public ComponentTests() => Services.AddDashboardClient();

    [Fact]
    public void The_stage_strip_shows_progress_rate_and_where_a_stage_came_from()
    {
        StageView[] stages =
        [
            new("read", "Read images", StageStatus.Reused, 0, 0, "image", 0, 0),
            new("net", "Pass images", StageStatus.Running, 500, 2000, "image", 412, 3),
            new("svd", "Find directions", StageStatus.Waiting, 0, 0, "class", 0, 0),
        ];
        var strip = Render<StageStrip>(p => p.Add(s => s.Stages, stages));
        var bars = strip.FindAll("[role=progressbar]");
        Assert.Equal(["100", "25", "0"], bars.Select(b => b.GetAttribute("aria-valuenow")));
        Assert.Equal(["taken from an earlier run", "500 of 2,000 · 412 images/s", "waiting"], strip.FindAll(".detail").Select(d => d.TextContent));
    }

    [Theory]
    [InlineData(StageStatus.Done, 3, 9, 100)]
    [InlineData(StageStatus.Running, 30, 9, 100)]
    [InlineData(StageStatus.Running, 3, 0, 0)]
    public void A_stages_bar_stays_between_0_and_100(StageStatus status, long done, long total, int expected) =>
        Assert.Equal(expected, StageStrip.Percent(new StageView("a", "A", status, done, total, "image", 0, 1)));

    [Fact]
    public async Task More_of_a_selection_that_is_no_longer_shown_is_not_put_under_the_next()
    {
        SetRendererInfo(new RendererInfo("Server", isInteractive: true));
        var more = new TaskCompletionSource<Paged<SampleTile>>();
        Func<int, int, CancellationToken, Task<Paged<SampleTile>>> first = (skip, _, _) => skip == 0 ? Task.FromResult(new Paged<SampleTile>([Samples.Sample(1)], 2)) : more.Task;
        Func<int, int, CancellationToken, Task<Paged<SampleTile>>> second = (_, _, _) => Task.FromResult(new Paged<SampleTile>([Samples.Sample(8)], 1));
        var gallery = Render<SampleGallery>(p => p.Add(g => g.AnalysisId, "a").Add(g => g.Selection, "one").Add(g => g.Source, first));
        var asking = gallery.Find("button.more").ClickAsync(new());
        gallery.Render(p => p.Add(g => g.Selection, "two").Add(g => g.Source, second));
        more.SetResult(new Paged<SampleTile>([Samples.Sample(2)], 2));
        await asking;
        Assert.Single(gallery.FindAll(".wall img"));
        Assert.Empty(gallery.FindAll("button.more"));
    }

    [Fact]
    public void A_term_shows_its_definition_to_pointer_keyboard_and_screen_reader()
    {
        var term = Render<Term>(p => p.Add(t => t.Of, "importance"));
        var element = term.Find(".term");
        Assert.Equal("0", element.GetAttribute("tabindex"));
        Assert.Equal(term.Find("[role=tooltip]").Id, element.GetAttribute("aria-describedby"));
        Assert.Equal(Glossary.Define("importance"), term.Find("[role=tooltip]").TextContent);
    }

    [Fact]
    public void An_unknown_term_is_plain_text() => Assert.Empty(Render<Term>(p => p.Add(t => t.Of, "no such term")).FindAll(".term"));

    [Fact]
    public void Definitions_are_sentences() =>
        Assert.All(Glossary.All, entry => Assert.True(char.IsUpper(entry.Value[0]) && entry.Value.EndsWith('.'), entry.Key));

    [Fact]
    public void A_wrong_prediction_is_marked_by_a_sign_and_not_by_colour_alone()
    {
        var wrong = Render<SamplePicture>(p => p.Add(s => s.AnalysisId, "a").Add(s => s.Sample, 3).Add(s => s.Correct, false).Add(s => s.Map, 7));
        Assert.Equal("×", wrong.Find(".mark").TextContent);
        Assert.Equal("/api/analyses/a/concepts/7/maps/3", wrong.Find("img.map").GetAttribute("src"));
        Assert.Equal("/analyses/a/samples/3", wrong.Find("a").GetAttribute("href"));
        Assert.Empty(Render<SamplePicture>(p => p.Add(s => s.AnalysisId, "a").Add(s => s.Sample, 3).Add(s => s.Correct, true)).FindAll(".mark"));
    }

    [Fact]
    public void The_waterfall_lists_steps_with_signs_and_the_score()
    {
        var steps = Waterfall.Steps([new(Samples.Tile(0, 0.5), "ears", 2, 0.5), new(null, "bias", -0.5, 0.25)]);
        var chart = Render<WaterfallChart>(p => p.Add(c => c.AnalysisId, "a").Add(c => c.Steps, steps).Add(c => c.To, "cat"));
        var rows = chart.FindAll(".row-w").Select(r => r.TextContent.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)).ToList();
        Assert.Contains("+2.00", string.Join(' ', rows[1]));
        Assert.Contains("+1.50", string.Join(' ', rows[1]));
        Assert.Contains("−0.50", string.Join(' ', rows[2]));
        Assert.Contains("1.50", string.Join(' ', rows[3]));
        Assert.NotNull(chart.Find("a[href='/analyses/a/concepts/0']"));
    }

    [Fact]
    public void A_spread_bar_starts_at_zero_for_either_sign()
    {
        var bar = Render<SpreadBar>(p => p.Add(b => b.Value, -0.5).Add(b => b.From, -1).Add(b => b.To, 1));
        Assert.Contains("left:25%;width:25%", bar.Find(".fill").GetAttribute("style"));
    }

    [Fact]
    public void Rows_of_a_lasso_are_read_as_little_endian_numbers() =>
        Assert.Equal([1, 256, -1], PointPlot.Decode([1, 0, 0, 0, 0, 1, 0, 0, 255, 255, 255, 255, 9]));

    [Theory]
    [InlineData("net.safetensors", true)]
    [InlineData("NET.PTH", true)]
    [InlineData("script.ts.pt", true)]
    [InlineData("net.json", false)]
    public void Only_files_that_can_hold_weights_are_offered(string name, bool expected) => Assert.Equal(expected, PathPicker.IsWeights(name));

    [Fact]
    public void An_address_that_answers_an_earlier_letter_does_not_write_over_what_was_typed_since()
    {
        List<string?> asked = [];
        var box = Render<SearchBox>(p => p.Add(b => b.Label, "Search").Add(b => b.Placeholder, "Search").Add(b => b.ValueChanged, asked.Add));
        string Shown() => box.Find("input").GetAttribute("value") ?? "";

        box.Find("input").Input("s");
        box.Find("input").Input("st");
        box.Find("input").Input("str");
        box.Render(p => p.Add(b => b.Value, "s"));
        Assert.Equal("str", Shown());
        box.Render(p => p.Add(b => b.Value, "str"));
        Assert.Equal("str", Shown());
        Assert.Equal(["s", "st", "str"], asked);

        // A link, or the browser's back, leads elsewhere: its words are shown, and also one that was typed before.
        box.Render(p => p.Add(b => b.Value, "st"));
        Assert.Equal("st", Shown());
        box.Find("input").Input("");
        Assert.Null(asked[^1]);
        box.Render(p => p.Add(b => b.Value, null));
        Assert.Equal("", Shown());
    }
}
