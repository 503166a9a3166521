using Bunit;
using Dashboard.Client.Contracts;
using Dashboard.Client.Pages.Retraining;
using Dashboard.Client.State;
using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dashboard.Client.Tests.Pages;

/// <summary>Remove and retrain: the plan with its cost, and the findings.</summary>
public sealed class RetrainingPageTests : AnalysisPageContext
{
    private const string Cost =
        """{"formatVersion":1,"architecture":"cifar_resnet8","recipe":{"epochs":12},"cost":{"secondsPerImage":0.002,"training":1000,"trainingPositives":34,"heldOut":400,"heldOutPositives":14,"parameters":75000,"layers":["layer1","layer3"]}}""";

    private const string Findings =
        """
        {"architecture":"cifar_resnet8","recipe":{"epochs":12,"batchSize":50,"rate":0.05,"momentum":0.9,"decay":0.0005,"flip":false},
         "report":{"layers":["layer1","layer3"],"layer":"layer3","training":1000,"trainingPositives":34,"heldOut":400,"heldOutPositives":14,"networks":9,"finished":9,
          "precision":[{"share":0.05,"removed":50,"positives":30}],
          "conditions":[
           {"set":"full","share":0,"removed":0,"removedPositives":0,"taskAccuracy":[0.9,0.92],"location":"layer3","layers":[{"layer":"layer1","balancedAccuracy":[0.7,0.72],"auc":[0.8,0.8],"nonZeros":[4,6],"cosine":1,"agreement":1},{"layer":"layer3","balancedAccuracy":[0.9,0.94],"auc":[0.95,0.96],"nonZeros":[3,3],"cosine":1,"agreement":1}]},
           {"set":"top","share":0.05,"removed":50,"removedPositives":30,"taskAccuracy":[0.88,0.9],"location":"layer1","layers":[{"layer":"layer1","balancedAccuracy":[0.6,0.62],"auc":[0.7,0.7],"nonZeros":[8,8],"cosine":0.4,"agreement":0.5},{"layer":"layer3","balancedAccuracy":[0.55,0.57],"auc":[0.6,0.6],"nonZeros":[9,9],"cosine":0.1,"agreement":0.2}]}],
          "effects":[{"set":"top","share":0.05,"layer":"layer1","againstFull":{"value":-0.1,"low":-0.2,"high":0.02},"againstRandom":{"value":-0.09,"low":-0.19,"high":0.01},"ratio":null},
           {"set":"top","share":0.05,"layer":"layer3","againstFull":{"value":-0.36,"low":-0.45,"high":-0.25},"againstRandom":{"value":-0.35,"low":-0.44,"high":-0.24},"ratio":12}],
          "verdict":["Read best at layer3.","Without the top 5% it falls: these images taught it."],"notes":["Only 14 held-out images show the concept."]}}
        """;

    [Fact]
    public void Without_a_concept_one_is_asked_for()
    {
        var page = Open("");
        Assert.Equal("Which concept?", page.Find(".empty h2").TextContent);
        Assert.Empty(Tasks.Wishes);
        Assert.Equal(["", "k:cat", "k:dog"], page.FindAll("select option").Select(o => o.GetAttribute("value")).Where(v => v is null or "" || v.StartsWith("k:", StringComparison.Ordinal)));
    }

    [Fact]
    public void The_cost_is_measured_before_anything_starts_and_follows_the_wish()
    {
        Tasks.Result = Cost;
        var page = Open("?concept=k:cat");
        Assert.DoesNotContain(page.FindAll("button"), b => b.TextContent.StartsWith("Start", StringComparison.Ordinal));
        page.FindAll("button").Single(b => b.TextContent == "Measure what it costs").Click();
        page.WaitForAssertion(() => Assert.Contains("15 networks × 12 epochs × 2.0 s an epoch", page.Find("[data-testid=cost]").TextContent));
        Assert.Equal("""{"concept":{"name":"cat","source":"classes","classes":["cat"]},"measure":true}""", Tasks.Wishes.Single());

        // 3 networks on 1,000 images and 4 × 3 on 950, 12 epochs, 2 ms each.
        page.WaitForAssertion(() => Assert.Contains(page.FindAll("button"), b => b.TextContent == "Start (5 min 46 s)"));
        page.FindAll("input[type=checkbox]")[2].Change(false);
        Assert.EndsWith("sets=top%2Crandom%2Clabelled", Services.GetRequiredService<NavigationManager>().Uri);
        page.WaitForAssertion(() => Assert.Contains("12 networks", page.Find("[data-testid=cost]").TextContent));
        Assert.Single(Tasks.Wishes);
    }

    [Fact]
    public void Findings_are_shown_in_words_and_by_layer()
    {
        Tasks.Store("retrain", """{"concept":{"name":"cat","source":"classes","classes":["cat"]},"measure":true}""", Cost);
        Tasks.Store("retrain", """{"concept":{"name":"cat","source":"classes","classes":["cat"]},"ranking":"attribution","sets":["top","random","bottom","labelled"],"shares":[0.05],"networks":3,"epochs":12}""", Findings);
        var page = Open("?concept=k:cat");
        page.WaitForAssertion(() => Assert.Equal("Read best at layer3.", page.FindAll(".verdict").Single().TextContent));
        Assert.Equal("Without the top 5% it falls: these images taught it.", page.Find(".sentence").TextContent);
        var row = page.FindAll("table tbody tr")[1];
        Assert.Equal("Top 5%", row.Children[0].TextContent);
        Assert.Equal("56.0%", row.Children[3].TextContent);
        Assert.Contains("−36.0", row.Children[4].TextContent);
        Assert.Contains("clear", row.Children[4].InnerHtml);
        Assert.Contains("30 of the top 50 images show the concept", page.Markup);

        page.Find("table").ParentElement!.ParentElement!.QuerySelector("select")!.Change("layer1");
        page.WaitForAssertion(() => Assert.Contains("−10.0", page.FindAll("table tbody tr")[1].Children[4].TextContent));
        Assert.DoesNotContain("clear", page.FindAll("table tbody tr")[1].Children[4].InnerHtml);
        Assert.EndsWith("layer=layer1", Services.GetRequiredService<NavigationManager>().Uri);
    }

    [Fact]
    public void The_last_set_and_the_last_share_stay()
    {
        var query = RetrainQuery.From("k:cat", "nonsense", "top", "0.05,0.1,7", 99, 0);
        Assert.Equal(("attribution", 3, 12), (query.Ranking, query.Networks, query.Epochs));
        Assert.Equal("top", query.Toggle("top"));
        Assert.Equal("top,random", query.Toggle("random"));
        Assert.Equal([0.05, 0.1], query.Shares);
        Assert.Null(query.Toggle(0.1));
        Assert.Equal("0.1", query.Toggle(0.05));
        Assert.Equal("0.1", RetrainQuery.From(null, null, null, "0.1", null, null).Toggle(0.1));
        Assert.Equal(9, query.AllNetworks);
        Assert.Null(RetrainView.Parse("[]"));
    }

    private IRenderedComponent<RetrainingPage> Open(string query) => Open<RetrainingPage>("retraining" + query);
}
