using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Analysis.Explanations;
using Dashboard.Client.Contracts;
using Dashboard.Server.Data;
using Xunit;

namespace Dashboard.Server.Tests;

/// <summary>Images that people bring, over HTTP, looked at by a real worker.</summary>
public sealed class OwnImageTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_image_is_brought_explained_as_its_sample_is_found_again_and_forgotten()
    {
        await using var site = await TestSite.StartAsync();
        var images = TestNetwork.Images(site.Folder);
        var run = await site.StartRunAsync(new NewAnalysis { Dataset = images, Network = TestNetwork.Weights(site.Folder) });
        var place = $"/api/analyses/{run.Id}/images";
        var file = Directory.EnumerateFiles(images, "*.png", SearchOption.AllDirectories).Order(StringComparer.Ordinal).First();
        var bytes = await File.ReadAllBytesAsync(file, Stop);
        await RefusedAsync(await BringAsync(site, place, bytes), HttpStatusCode.BadRequest, "once the analysis is complete");
        var end = await site.WaitAsync(run.Id, progress => progress.State is AnalysisState.Completed or AnalysisState.Failed);
        Assert.True(end.State == AnalysisState.Completed, end.Message);

        // The same bytes as a sample: found by its path, and explained by the concepts of its class.
        var path = Path.GetRelativePath(images, file).Replace('\\', '/');
        var tile = (await GetAsync<Paged<SampleTile>>(site, $"/api/analyses/{run.Id}/samples?take=500")).Items.Single(s => s.Path == path);
        var sample = await GetAsync<SampleView>(site, $"/api/analyses/{run.Id}/samples/{tile.Index}");
        var answer = await BringAsync(site, place, bytes);
        Assert.Equal(HttpStatusCode.Accepted, answer.StatusCode);
        var own = (await answer.Content.ReadFromJsonAsync<OwnImage>(Json.Options, Stop))!;
        Assert.Equal(("explain", $"{place}/{own.Hash}"), (own.Task.Kind, answer.Headers.Location?.OriginalString));
        await DoneAsync(site, run.Id, own.Task.Id);

        // This network names no output as the folders are called: the class is that of the most alike image, its own.
        var guessed = await GetAsync<OwnImageView>(site, $"{place}/{own.Hash}");
        Assert.Equal(tile.Class, guessed.Sample!.Sample.Class);
        Assert.Contains("most alike image", Assert.Single(guessed.Notes, note => note.Contains("output", StringComparison.Ordinal)));
        var chosen = await site.Http.PostAsJsonAsync($"/api/analyses/{run.Id}/tasks", new { kind = "explain", parameters = new { image = own.Hash, @class = tile.Class } }, Stop);
        await DoneAsync(site, run.Id, (await chosen.Content.ReadFromJsonAsync<TaskView>(Json.Options, Stop))!.Id);
        var view = await GetAsync<OwnImageView>(site, $"{place}/{own.Hash}?class={tile.Class}");
        Assert.True(view.Kept);
        Assert.Equal(sample.Top[0].Name, view.Sample!.Top[0].Name);
        Assert.Equal((sample.ContributionsTo, sample.Strategy?.Index), (view.Sample.ContributionsTo, view.Sample.Strategy?.Index));
        Assert.Equal(sample.Contributions.Count, view.Sample.Contributions.Count);
        foreach (var (expected, found) in sample.Contributions.Zip(view.Sample.Contributions))
        {
            Assert.Equal(expected.Name, found.Name);
            Assert.Equal(expected.Value, found.Value, 1e-3);
            Assert.Equal(expected.Against ?? 0, found.Against ?? 0, 1e-3);
        }

        Assert.Equal(tile.Index, view.Sample.Nearest[0].Sample.Index);
        Assert.Contains(tile.Class, view.Classes.Select(c => c.Index));
        var map = view.Maps.First();
        var task = await GetAsync<Paged<TaskView>>(site, $"/api/analyses/{run.Id}/tasks?kind=explain");
        var overlay = await site.Http.GetAsync($"/api/analyses/{run.Id}/tasks/{view.TaskId}/files/{map.Value}", Stop);
        Assert.Equal((HttpStatusCode.OK, "image/webp", 2), (overlay.StatusCode, overlay.Content.Headers.ContentType?.MediaType, task.Total));

        // Most alike: the sample itself. Pictures are made anew, the file never leaves as it came.
        var alike = await GetAsync<SampleSearchView>(site, $"/api/analyses/{run.Id}/search?image={own.Hash}&take=3");
        Assert.Equal((tile.Index, own.Hash), (alike.Found[0].Sample.Index, alike.Image));
        Assert.Equal(1, alike.Found[0].Likeness!.Value, 1e-3);
        var thumbnail = await site.Http.GetAsync($"{place}/{own.Hash}/thumbnail?size=96", Stop);
        Assert.Equal((HttpStatusCode.OK, "image/webp"), (thumbnail.StatusCode, thumbnail.Content.Headers.ContentType?.MediaType));
        await RefusedAsync(await site.Http.GetAsync($"{place}/{own.Hash}/thumbnail?size=97", Stop), HttpStatusCode.BadRequest, "97");

        // Hostile things.
        await RefusedAsync(await BringAsync(site, place, "<svg onload=alert(1)>"u8.ToArray()), HttpStatusCode.BadRequest, "not an image");
        await RefusedAsync(await BringAsync(site, place, []), HttpStatusCode.BadRequest, "empty");
        await RefusedAsync(await BringAsync(site, place, bytes[..^20]), HttpStatusCode.BadRequest, "damaged");
        await RefusedAsync(await BringAsync(site, place, new byte[OwnImages.MostBytes + 1]), HttpStatusCode.RequestEntityTooLarge, "20 MB");
        await RefusedAsync(await site.Http.GetAsync($"{place}/..%2F..%2Fcatalogue.db/thumbnail", Stop), HttpStatusCode.NotFound, "");
        await RefusedAsync(await site.Http.GetAsync($"{place}/{new string('a', 64)}", Stop), HttpStatusCode.NotFound, "no such image");
        await RefusedAsync(await site.Http.GetAsync($"/api/analyses/{run.Id}/search?image={new string('a', 64)}", Stop), HttpStatusCode.BadRequest, "has not looked at this image");
        using var foreign = new HttpRequestMessage(HttpMethod.Post, place) { Content = new ByteArrayContent(bytes), Headers = { { "Origin", "http://elsewhere.example" } } };
        Assert.Equal(HttpStatusCode.Forbidden, (await site.Http.SendAsync(foreign, Stop)).StatusCode);

        Assert.Equal(HttpStatusCode.NoContent, (await site.Http.DeleteAsync($"{place}/{own.Hash}", Stop)).StatusCode);
        await RefusedAsync(await site.Http.DeleteAsync($"{place}/{own.Hash}", Stop), HttpStatusCode.NotFound, "no such image");
        await RefusedAsync(await site.Http.GetAsync($"{place}/{own.Hash}/thumbnail", Stop), HttpStatusCode.NotFound, "no such image");
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(site.Folder, "data", "runs", run.Id, "images")));
        Assert.Equal(0, (await GetAsync<Paged<TaskView>>(site, $"/api/analyses/{run.Id}/tasks?kind=explain")).Total);
    }

    private static Task<HttpResponseMessage> BringAsync(TestSite site, string place, byte[] bytes) => site.Http.PostAsync(place, new ByteArrayContent(bytes), Stop);

    private static async Task DoneAsync(TestSite site, string run, string task)
    {
        using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        for (var tries = 0; tries < 1200; tries++)
        {
            var view = await GetAsync<TaskView>(site, $"/api/analyses/{run}/tasks/{task}");
            if (!view.AtWork)
            {
                Assert.True(view.State == AnalysisState.Completed, view.Message);
                return;
            }

            await pause.WaitForNextTickAsync(Stop);
        }

        Assert.Fail("The image was not explained within a minute.");
    }

    private static async Task<T> GetAsync<T>(TestSite site, string path) => (await site.Http.GetFromJsonAsync<T>(path, Json.Options, Stop))!;

    private static async Task RefusedAsync(HttpResponseMessage response, HttpStatusCode status, string words)
    {
        Assert.Equal(status, response.StatusCode);
        using var problem = JsonDocument.Parse(await response.Content.ReadAsStringAsync(Stop));
        Assert.Contains(words, problem.RootElement.GetProperty("detail").GetString());
    }
}
