using System.Net.Http.Json;

namespace Dashboard.EndToEnd;

/// <summary>What the site's own process does, and what it leaves to the engine's.</summary>
public sealed class HostProcessTests(Stage stage)
{
    [Fact]
    public async Task Methods_atlas_images_and_searches_are_served_without_the_tensor_library()
    {
        var cancellation = TestContext.Current.CancellationToken;
        var sample = await stage.Site.CompleteSampleAsync();
        foreach (var address in new[]
        {
            "/api/methods", $"/api/analyses/{sample.Id}/atlas", $"/api/analyses/{sample.Id}/classes/1", $"/api/analyses/{sample.Id}/samples/7", $"/api/analyses/{sample.Id}/samples/7/thumbnail",
            $"/api/analyses/{sample.Id}/search?with=3&without=40", $"/api/analyses/{sample.Id}/classes/1/report", PageUrls.Class(sample.Id, 1), PageUrls.Compare(sample.Id),
        })
        {
            using var answer = await stage.Site.Http.GetAsync(address, cancellation);
            Assert.True(answer.IsSuccessStatusCode, $"{address}: {answer.StatusCode}");
        }

        using var draft = await stage.Site.Http.PostAsJsonAsync($"/api/analyses/{sample.Id}/user-concepts/preview", new ConceptDraft { Name = "it", Source = "neuron", Unit = 5, Share = 0.1 }, cancellation);
        Assert.True(draft.IsSuccessStatusCode, $"preview: {draft.StatusCode}");
        stage.Site.AssertNoTensorLibrary();
    }
}
