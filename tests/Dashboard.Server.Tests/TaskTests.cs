using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Dashboard.Client.Contracts;
using Dashboard.Client.Urls;
using Dashboard.Server.Data;
using Dashboard.Server.Jobs;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.EntityFrameworkCore;
using Xunit;

namespace Dashboard.Server.Tests;

/// <summary>Tasks beside a finished analysis with the real engine in a real worker process, over HTTP and SignalR.</summary>
public sealed class TaskTests
{
    private const string Kind = "concept-image";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_task_can_be_followed_read_and_deleted_and_an_equal_wish_is_answered_by_it()
    {
        await using var site = await TestSite.StartAsync();
        var (analysis, wish) = await CompleteAsync(site);
        var response = await site.Http.PostAsJsonAsync($"/api/analyses/{analysis}/tasks", new { kind = Kind, parameters = wish(24) }, Stop);
        Assert.Equal(HttpStatusCode.Accepted, response.StatusCode);
        var task = await ReadAsync(response);
        Assert.Equal($"/api/analyses/{analysis}/tasks/{task.Id}", response.Headers.Location?.OriginalString);
        Assert.Equal(24, task.Parameters.GetProperty("steps").GetInt32());
        Assert.Equal("maco", task.Parameters.GetProperty("method").GetString());

        // The hub: the current state first, in order, with the picture of the moment, and the end.
        await using var hub = site.Connect();
        var states = new ConcurrentQueue<TaskView>();
        var ended = new TaskCompletionSource();
        hub.On<TaskView>(nameof(IAnalysisHubClient.TaskProgress), state =>
        {
            states.Enqueue(state);
            if (!state.AtWork)
            {
                ended.TrySetResult();
            }
        });
        await hub.StartAsync(Stop);
        await hub.InvokeAsync(nameof(IAnalysisHub.SubscribeTask), task.Id, Stop);
        await ended.Task.WaitAsync(TimeSpan.FromSeconds(60), Stop);
        Assert.True(states.Last().State == AnalysisState.Completed, states.Last().Message);
        Assert.Equal(states.Select(state => state.Sequence).Order(), states.Select(state => state.Sequence));
        Assert.Equal(24, states.Last().Done);
        await Assert.ThrowsAsync<Microsoft.AspNetCore.SignalR.HubException>(() => hub.InvokeAsync(nameof(IAnalysisHub.SubscribeTask), "ffffffffffff", Stop));

        // The result, its files, and nothing else.
        var place = $"/api/analyses/{analysis}/tasks/{task.Id}";
        using var result = JsonDocument.Parse(await site.Http.GetStringAsync($"{place}/result", Stop));
        var picture = result.RootElement.GetProperty("picture").GetString()!;
        var file = await site.Http.GetAsync(ApiUrls.TaskFile(analysis, task.Id, picture), Stop);
        Assert.Equal("image/png", file.Content.Headers.ContentType?.MediaType);
        Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], (await file.Content.ReadAsByteArrayAsync(Stop))[..4]);
        using var again = new HttpRequestMessage(HttpMethod.Get, ApiUrls.TaskFile(analysis, task.Id, picture));
        again.Headers.IfNoneMatch.Add(file.Headers.ETag!);
        Assert.Equal(HttpStatusCode.NotModified, (await site.Http.SendAsync(again, Stop)).StatusCode);
        File.WriteAllText(Path.Combine(site.Folder, "data", "runs", analysis, "tasks", "secret.json"), "{}");
        File.CreateSymbolicLink(Path.Combine(TaskFolder(site, analysis), "link.json"), Path.Combine(site.Folder, "data", "catalogue.db"));
        foreach (var name in new[] { "..%2Fsecret.json", "..%2F..%2Fmanifest.json", "%2Fetc%2Fpasswd", "..\\secret.json", "link.json", ".hidden", "picture.png.1.partial", "none.png" })
        {
            var refused = await site.Http.GetAsync($"{place}/files/{name}", Stop);
            Assert.True(refused.StatusCode == HttpStatusCode.NotFound, $"{name}: {refused.StatusCode}");
            Assert.Equal("application/problem+json", refused.Content.Headers.ContentType?.MediaType);
        }

        // The same wish in other words is the same task, and nothing runs again.
        var stamp = File.GetLastWriteTimeUtc(Path.Combine(TaskFolder(site, analysis), "result.json"));
        var equal = await site.Http.PostAsync(
            $"/api/analyses/{analysis}/tasks",
            new StringContent($"{{\"kind\": \"{Kind}\", \"parameters\": {task.Parameters.GetRawText()}}}", Encoding.UTF8, "application/json"),
            Stop);
        Assert.Equal(HttpStatusCode.OK, equal.StatusCode);
        Assert.Equal(task.Id, (await ReadAsync(equal)).Id);
        Assert.Equal(stamp, File.GetLastWriteTimeUtc(Path.Combine(TaskFolder(site, analysis), "result.json")));
        Assert.Equal(task.Id, (await site.Get<ITaskService>().FindAsync(analysis, Kind, (object)wish(24), Stop))!.Id);
        Assert.Null(await site.Get<ITaskService>().FindAsync(analysis, Kind, (object)wish(25), Stop));
        var list = await site.Http.GetFromJsonAsync<JsonElement>($"/api/analyses/{analysis}/tasks?kind={Kind}&take=1", Stop);
        Assert.Equal(1, list.GetProperty("total").GetInt32());
        Assert.Equal("completed", list.GetProperty("items")[0].GetProperty("state").GetString());

        // Deleted with its files.
        Assert.Equal(HttpStatusCode.NoContent, (await site.Http.DeleteAsync(place, Stop)).StatusCode);
        Assert.Equal(HttpStatusCode.NotFound, (await site.Http.GetAsync(place, Stop)).StatusCode);
        Assert.Empty(Directory.EnumerateDirectories(Path.Combine(site.Folder, "data", "runs", analysis, "tasks")));
    }

    [Fact]
    public async Task What_cannot_be_done_is_refused_with_the_remedy()
    {
        await using var site = await TestSite.StartAsync();
        var (analysis, wish) = await CompleteAsync(site);
        var place = $"/api/analyses/{analysis}/tasks";
        Assert.Contains("Choose one of", await RefusedAsync(site, place, new { kind = "magic" }));
        Assert.Contains("32 to 224", await RefusedAsync(site, place, new { kind = Kind, parameters = new { @class = 0, concept = 0, size = 5000 } }));
        Assert.Contains("not a JSON object", await RefusedAsync(site, place, new { kind = Kind, parameters = 5 }));

        // What is null is not given; a list of nothing means nothing.
        Assert.Contains("Choose l2 or l1", await RefusedAsync(site, place, new { kind = "probe", parameters = new { penalty = "l3", layers = (string[]?)null, concept = new { name = "x", source = "classes", classes = new[] { "x" } } } }));
        Assert.Contains("1 to 5", await RefusedAsync(site, place, new { kind = "label", parameters = new { sources = (string[]?)null, length = 9 } }));
        Assert.Contains("'sources' holds null", await RefusedAsync(site, place, new { kind = "label", parameters = new { sources = new[] { "classes", null } } }));
        Assert.Contains("'sets' holds null", await RefusedAsync(site, place, new { kind = "retrain", parameters = new { sets = new string?[] { null } } }));
        Assert.Contains("Give its number", await RefusedAsync(site, place, new { kind = "attribute", parameters = new { target = "class", projection = (string?)null, entries = (string?)null } }));

        // Paths that a task would read lie below the allowed roots.
        Assert.Contains("outside the folders", await RefusedAsync(site, place, new { kind = "attribute", parameters = new { target = "class", @class = 0, dataset = "/etc" } }));
        Assert.Contains("outside the folders", await RefusedAsync(site, place, new { kind = "attribute", parameters = new { target = "class", @class = 0, networks = new[] { "/etc/passwd" } } }));

        // What only the data can tell fails the task, with the remedy too.
        var task = await site.Get<ITaskService>().StartAsync(analysis, Kind, (object)new { @class = 0, concept = 99_999 }, Stop);
        var end = await WaitAsync(site, task.Id, state => !state.AtWork);
        Assert.Equal(AnalysisState.Failed, end.State);
        Assert.Contains("has no concept 99999", end.Message);

        // An analysis that is not complete has nothing to ask about.
        var second = await site.StartRunAsync(new NewAnalysis
        {
            Dataset = Path.Combine(site.Folder, "images"), Network = Path.Combine(site.Folder, "random20.safetensors"), Seed = 3,
        });
        Assert.Contains("not complete", await RefusedAsync(site, $"/api/analyses/{second.Id}/tasks", new { kind = Kind, parameters = wish(8) }));
        await site.Get<IAnalysisService>().CancelAsync(second.Id, Stop);
    }

    [Fact]
    public async Task Cancel_takes_effect_within_a_second_and_a_new_wish_goes_on()
    {
        await using var site = await TestSite.StartAsync();
        var (analysis, wish) = await CompleteAsync(site);
        var tasks = site.Get<ITaskService>();
        var task = await tasks.StartAsync(analysis, Kind, (object)wish(600), Stop);
        await WaitAsync(site, task.Id, state => state.Done > 5);
        var second = await tasks.StartAsync(analysis, Kind, (object)wish(8), Stop);
        var watch = Stopwatch.StartNew();
        var response = await site.Http.PostAsync($"/api/analyses/{analysis}/tasks/{task.Id}/cancel", null, Stop);
        Assert.Equal(AnalysisState.Cancelled, (await ReadAsync(response)).State);
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(1), $"cancel took {watch.Elapsed.TotalSeconds:0.00} s");
        Assert.Equal(AnalysisState.Completed, (await WaitAsync(site, second.Id, state => !state.AtWork)).State);
        Assert.Equal(HttpStatusCode.BadRequest, (await site.Http.PostAsync($"/api/analyses/{analysis}/tasks/{task.Id}/cancel", null, Stop)).StatusCode);
        var resumed = await tasks.StartAsync(analysis, Kind, (object)wish(600), Stop);
        Assert.Equal(task.Id, resumed.Id);
        await WaitAsync(site, task.Id, state => state.State == AnalysisState.Running && state.Done > 5);

        // Deleting the analysis ends the running task and leaves nothing.
        await site.Get<IAnalysisService>().DeleteAsync(analysis, Stop);
        Assert.Null(site.Get<IProgressFeed>().CurrentTask(task.Id));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(site.Folder, "data", "runs")));
        await using var database = await site.Get<IDbContextFactory<DashboardDbContext>>().CreateDbContextAsync(Stop);
        Assert.Equal(0, await database.Tasks.CountAsync(Stop));
    }

    [Fact]
    public async Task A_killed_worker_and_a_restarted_site_end_with_the_same_bytes()
    {
        var folder = Directory.CreateTempSubdirectory("atlas-tasks-").FullName;
        try
        {
            string analysis, cut;
            byte[] undisturbed;
            Dictionary<string, object> parameters;
            await using (var site = await TestSite.StartAsync(folder))
            {
                (analysis, var wish) = await CompleteAsync(site);
                parameters = wish(200);
                var tasks = site.Get<ITaskService>();
                var plain = await tasks.StartAsync(analysis, Kind, (object)parameters, Stop);
                Assert.Equal(AnalysisState.Completed, (await WaitAsync(site, plain.Id, state => !state.AtWork)).State);
                undisturbed = await File.ReadAllBytesAsync(Path.Combine(TaskFolder(site, analysis), "picture.png"), Stop);
                await tasks.DeleteAsync(analysis, plain.Id, Stop);

                var killed = await tasks.StartAsync(analysis, Kind, (object)parameters, Stop);
                await WaitAsync(site, killed.Id, state => state.Done > 10);
                Process.GetProcessById(site.Get<JobCoordinator>().WorkerProcessId!.Value).Kill();
                var end = await WaitAsync(site, killed.Id, state => !state.AtWork);
                Assert.True(end.State == AnalysisState.Completed, end.Message);
                Assert.Equal(undisturbed, await File.ReadAllBytesAsync(Path.Combine(TaskFolder(site, analysis), "picture.png"), Stop));
                await tasks.DeleteAsync(analysis, killed.Id, Stop);

                cut = (await tasks.StartAsync(analysis, Kind, (object)parameters, Stop)).Id;
                await WaitAsync(site, cut, state => state.Done > 10);
            }

            await using var restarted = await TestSite.StartAsync(folder);
            Assert.True((await WaitAsync(restarted, cut, state => !state.AtWork)).State == AnalysisState.Completed, restarted.Get<IProgressFeed>().CurrentTask(cut)!.Message);
            Assert.Equal(undisturbed, await File.ReadAllBytesAsync(Path.Combine(TaskFolder(restarted, analysis), "picture.png"), Stop));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task A_task_that_keeps_killing_its_worker_fails_with_advice()
    {
        await using var site = await TestSite.StartAsync();
        var (analysis, wish) = await CompleteAsync(site);
        var task = await site.Get<ITaskService>().StartAsync(analysis, Kind, (object)wish(1000), Stop);
        var killed = new HashSet<int>();
        using (site.Get<IProgressFeed>().SubscribeTask(task.Id, state =>
        {
            if (state is { State: AnalysisState.Running, Total: > 0, Done: < 90 } && site.Get<JobCoordinator>().WorkerProcessId is { } id && killed.Add(id))
            {
                using var process = Process.GetProcessById(id);
                process.Kill();
            }
        }))
        {
            var end = await WaitAsync(site, task.Id, state => !state.AtWork);
            Assert.Equal(AnalysisState.Failed, end.State);
            Assert.Equal(2, killed.Count);
            Assert.Contains("killed (signal 9)", end.Message);
            Assert.Contains("ask again", end.Message);
        }
    }

    [Fact]
    public async Task A_recording_analysis_gives_way_to_a_task_and_goes_on_after_it()
    {
        await using var site = await TestSite.StartAsync();
        var (analysis, wish) = await CompleteAsync(site);
        var large = TestNetwork.Images(Path.Combine(site.Folder, "large"), perClass: 250);
        var recording = await site.StartRunAsync(new NewAnalysis { Dataset = large, Network = Path.Combine(site.Folder, "random20.safetensors") });
        await site.WaitAsync(recording.Id, progress => progress.Stages.Any(stage => stage.Name == "activations" && stage.Done > 0));
        var task = await site.Get<ITaskService>().StartAsync(analysis, Kind, (object)wish(8), Stop);
        var end = await WaitAsync(site, task.Id, state => !state.AtWork);
        Assert.True(end.State == AnalysisState.Completed, end.Message);
        Assert.NotEqual(AnalysisState.Completed, site.Get<IProgressFeed>().Current(recording.Id)!.State);
        var after = await site.WaitAsync(recording.Id, progress => progress.State is AnalysisState.Completed or AnalysisState.Failed, 180);
        Assert.True(after.State == AnalysisState.Completed, after.Message);
    }

    [Fact]
    public async Task The_api_document_describes_tasks()
    {
        await using var site = await TestSite.StartAsync();
        var paths = (await site.Http.GetFromJsonAsync<JsonElement>("/openapi/v1.json", Stop)).GetProperty("paths");
        Assert.True(paths.GetProperty("/api/analyses/{id}/tasks").GetProperty("post").GetProperty("responses").TryGetProperty("202", out _));
        Assert.True(paths.GetProperty("/api/analyses/{id}/tasks/{task}/files/{name}").TryGetProperty("get", out _));
    }

    /// <summary>A finished analysis, and the parameters of a picture of its first concept.</summary>
    private static async Task<(string Analysis, Func<int, Dictionary<string, object>> Wish)> CompleteAsync(TestSite site)
    {
        var run = await site.StartRunAsync(new NewAnalysis { Dataset = TestNetwork.Images(site.Folder), Network = TestNetwork.Weights(site.Folder) });
        var end = await site.WaitAsync(run.Id, progress => progress.State is AnalysisState.Completed or AnalysisState.Failed);
        Assert.True(end.State == AnalysisState.Completed, end.Message);
        var view = (await site.Get<IAtlasService>().ClassAsync(run.Id, 0, Stop))!;
        return (run.Id, steps => new() { ["class"] = 0, ["concept"] = view.Concepts[0].Id, ["size"] = 32, ["crops"] = 2, ["steps"] = steps });
    }

    private static string TaskFolder(TestSite site, string analysis) =>
        Directory.EnumerateDirectories(Path.Combine(site.Folder, "data", "runs", analysis, "tasks")).Single();

    private static async Task<TaskView> WaitAsync(TestSite site, string id, Func<TaskView, bool> condition)
    {
        var reached = new TaskCompletionSource<TaskView>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var subscription = site.Get<IProgressFeed>().SubscribeTask(id, state =>
        {
            if (condition(state))
            {
                reached.TrySetResult(state);
            }
        });
        try
        {
            return await reached.Task.WaitAsync(TimeSpan.FromSeconds(90), Stop);
        }
        catch (TimeoutException)
        {
            Assert.Fail($"Not reached; the state is {JsonSerializer.Serialize(site.Get<IProgressFeed>().CurrentTask(id), Json.Options)}");
            throw;
        }
    }

    private static async Task<TaskView> ReadAsync(HttpResponseMessage response)
    {
        var text = await response.Content.ReadAsStringAsync(Stop);
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonSerializer.Deserialize<TaskView>(text, Json.Options)!;
    }

    private static async Task<string> RefusedAsync(TestSite site, string place, object body)
    {
        var response = await site.Http.PostAsJsonAsync(place, body, Stop);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        return (await response.Content.ReadFromJsonAsync<JsonElement>(Stop)).GetProperty("detail").GetString()!;
    }
}
