using System.Buffers.Binary;
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
using Xunit;

namespace Dashboard.Server.Tests;

/// <summary>Runs with the real engine in a real worker process, over HTTP and SignalR.</summary>
public sealed class RunTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Methods_are_listed_and_what_does_not_go_together_is_refused()
    {
        await using var site = await TestSite.StartAsync();
        var catalogue = (await site.Http.GetFromJsonAsync<MethodCatalogueView>("/api/methods", Json.Options, Stop))!;
        Assert.True(catalogue.Methods[0].IsUnique);
        Assert.All(catalogue.Methods, method => Assert.NotEmpty(method.Summary));
        Assert.Contains(catalogue.Estimators, estimator => estimator.Name == "occlusion");
        Assert.Contains("auto", catalogue.Importances);
        var response = await site.Http.PostAsJsonAsync("/api/analyses", new NewAnalysis { Dataset = site.Folder, Network = site.Folder, Granularity = "positions" }, Json.Options, Stop);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("Unique concepts are found on pooled activations.", await response.Content.ReadAsStringAsync(Stop));
    }

    [Fact]
    public async Task A_run_can_be_followed_browsed_annotated_shared_and_deleted()
    {
        await using var site = await TestSite.StartAsync();
        var images = TestNetwork.Images(site.Folder);
        var weights = TestNetwork.Weights(site.Folder);
        var started = await site.StartRunAsync(new NewAnalysis { Dataset = images, Network = weights, Name = "Follow <me>" });
        Assert.Equal(12, started.Id.Length);
        var api = $"/api/analyses/{started.Id}";

        // Early and late listeners of the hub end with the same state.
        await using var early = site.Connect();
        var states = new ConcurrentQueue<AnalysisProgress>();
        var ready = new ConcurrentQueue<int>();
        var finished = new TaskCompletionSource();
        early.On<AnalysisProgress>(nameof(IAnalysisHubClient.Progress), states.Enqueue);
        early.On<string, int>(nameof(IAnalysisHubClient.ClassReady), (_, index) => ready.Enqueue(index));
        early.On<string>(nameof(IAnalysisHubClient.Finished), _ => finished.TrySetResult());
        await early.StartAsync(Stop);
        await early.InvokeAsync(nameof(IAnalysisHub.Subscribe), started.Id, Stop);

        // The first class can be browsed while the run goes on.
        await site.WaitAsync(started.Id, progress => progress.ReadyClasses.Count > 0);
        var first = site.Get<IProgressFeed>().Current(started.Id)!.ReadyClasses[0];
        Assert.Equal(HttpStatusCode.OK, (await site.Http.GetAsync($"{api}/classes/{first}", Stop)).StatusCode);
        var end = await site.WaitAsync(started.Id, progress => progress.State is AnalysisState.Completed or AnalysisState.Failed);
        Assert.True(end.State == AnalysisState.Completed, end.Message);
        await finished.Task.WaitAsync(TimeSpan.FromSeconds(10), Stop);
        Assert.True(states.Select(state => state.Sequence).Distinct().Count() >= 10, $"only {states.Count} states were seen");
        Assert.Equal(states.Select(state => state.Sequence).Order(), states.Select(state => state.Sequence));

        await using var late = site.Connect();
        var current = new TaskCompletionSource<AnalysisProgress>();
        late.On<AnalysisProgress>(nameof(IAnalysisHubClient.Progress), progress => current.TrySetResult(progress));
        await late.StartAsync(Stop);
        await late.InvokeAsync(nameof(IAnalysisHub.Subscribe), started.Id, Stop);
        var seen = await current.Task.WaitAsync(TimeSpan.FromSeconds(10), Stop);
        Assert.Equal(AnalysisState.Completed, seen.State);
        Assert.Equal(states.Last().Sequence, seen.Sequence);

        // Lists are paged; states are words in lower case.
        var list = await site.Http.GetFromJsonAsync<JsonElement>("/api/analyses?skip=0&take=1", Stop);
        Assert.Equal(1, list.GetProperty("total").GetInt32());
        Assert.Equal("completed", list.GetProperty("items")[0].GetProperty("state").GetString());
        var samples = await site.Http.GetFromJsonAsync<JsonElement>($"{api}/samples?skip=3&take=2", Stop);
        Assert.Equal(2, samples.GetProperty("items").GetArrayLength());
        Assert.Equal(3, samples.GetProperty("items")[0].GetProperty("index").GetInt32());
        await ExpectProblemAsync(site, $"{api}/samples?take=100000", HttpStatusCode.BadRequest);
        await ExpectProblemAsync(site, $"{api}/classes/999", HttpStatusCode.NotFound);
        await ExpectProblemAsync(site, "/api/analyses/ffffffffffff", HttpStatusCode.NotFound);
        await ExpectProblemAsync(site, "/api/nothing", HttpStatusCode.NotFound);

        // Class, concept and sample.
        var atlas = site.Get<IAtlasService>();
        var view = (await atlas.ClassAsync(started.Id, first, Stop))!;
        Assert.NotEmpty(view.Strategies);
        Assert.Equal(view.Images, view.Strategies.Sum(strategy => strategy.Size));
        var classSamples = await atlas.ClassSamplesAsync(started.Id, first, 0, 0, 500, Stop);
        Assert.Equal(view.Strategies[0].Size, classSamples.Total);
        var sample = (await atlas.SampleAsync(started.Id, classSamples.Items[0].Index, Stop))!;
        Assert.Equal(first, sample.Sample.Class);
        Assert.Equal(sample.Logit, sample.Contributions.Sum(contribution => contribution.Value), 3);
        Assert.Equal(5, sample.Top.Count);
        Assert.NotEmpty(sample.Detectors);
        Assert.Equal(view.Concepts.Count, (await atlas.AtlasAsync(started.Id, Stop))!.Classes[first].Concepts);

        // Point cloud.
        var points = await site.Http.GetByteArrayAsync(ApiUrls.ClassPoints(started.Id, first), Stop);
        Assert.Equal("CAPC", Encoding.ASCII.GetString(points, 0, 4));
        var count = BinaryPrimitives.ReadInt32LittleEndian(points.AsSpan(8));
        Assert.Equal(view.Images, count);
        Assert.Equal(16 + (count * 17) + ((4 - (count % 4)) % 4) + (count * 4), points.Length);
        Assert.Equal(classSamples.Items[0].Class, (await atlas.SamplesAsync(started.Id, [BinaryPrimitives.ReadInt32LittleEndian(points.AsSpan(16 + (8 * count)))], Stop))[0].Class);

        // Pictures: WebP with an ETag that answers "not modified", listed sizes only.
        var thumbnail = await site.Http.GetAsync(ApiUrls.Thumbnail(started.Id, 0, 96), Stop);
        Assert.Equal("image/webp", thumbnail.Content.Headers.ContentType?.MediaType);
        Assert.Equal("RIFF", Encoding.ASCII.GetString(await thumbnail.Content.ReadAsByteArrayAsync(Stop), 0, 4));
        using var again = new HttpRequestMessage(HttpMethod.Get, ApiUrls.Thumbnail(started.Id, 0, 96));
        again.Headers.IfNoneMatch.Add(thumbnail.Headers.ETag!);
        Assert.Equal(HttpStatusCode.NotModified, (await site.Http.SendAsync(again, Stop)).StatusCode);
        await ExpectProblemAsync(site, ApiUrls.Thumbnail(started.Id, 0, 97), HttpStatusCode.BadRequest);
        await ExpectProblemAsync(site, ApiUrls.Thumbnail(started.Id, 999_999, 96), HttpStatusCode.NotFound);
        var concept = view.Concepts[0];
        Assert.Equal(HttpStatusCode.OK, (await site.Http.GetAsync(ApiUrls.Crop(started.Id, concept.Id, 0, 192), Stop)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await site.Http.GetAsync(ApiUrls.Map(started.Id, concept.Id, sample.Sample.Index), Stop)).StatusCode);
        File.Delete(Path.Combine(images, sample.Sample.Path));
        await ExpectProblemAsync(site, ApiUrls.Thumbnail(started.Id, sample.Sample.Index, 384), HttpStatusCode.UnprocessableEntity);

        // Annotations are kept and shown.
        await site.Get<IAnnotationService>().NameConceptAsync(started.Id, concept.Id, "  <b>stripes</b> ", Stop);
        Assert.Equal("<b>stripes</b>", (await atlas.ConceptAsync(started.Id, concept.Id, Stop))!.Concept.Name);
        Assert.Equal(
            HttpStatusCode.NoContent,
            (await site.Http.PutAsJsonAsync($"{api}/annotations/samples/0", new { verdict = "fine" }, Stop)).StatusCode);
        Assert.Equal("fine", (await atlas.SamplesAsync(started.Id, [0], Stop))[0].Verdict);

        // A strategy: its mixture is the profile, its images are its members, its name is everywhere.
        await site.Get<IAnnotationService>().NameStrategyAsync(started.Id, first, 0, "the <i>usual</i> way", Stop);
        var strategy = (await site.Http.GetFromJsonAsync<StrategyView>($"{api}/classes/{first}/strategies/0", Json.Options, Stop))!;
        Assert.Equal("the <i>usual</i> way", strategy.Strategy.Name);
        var whole = view.Strategies[0].Profile.Sum(Math.Abs);
        Assert.Equal(view.Strategies[0].Profile.Select(share => share / whole), strategy.Concepts.Select(entry => entry.Share), (a, b) => Math.Abs(a - b) < 1e-4);
        Assert.Equal(view.Strategies[0].Prototype, strategy.Typical[0].Index);
        var members = classSamples.Items.Select(item => item.Index).ToHashSet();
        Assert.All(strategy.Typical.Concat(strategy.Borderline.Select(entry => entry.Sample)), tile => Assert.Contains(tile.Index, members));
        Assert.Equal(classSamples.Items.Count(item => item.Correct == false), strategy.Confusions.Sum(confusion => confusion.Count));
        Assert.Equal("the <i>usual</i> way", (await atlas.ClassAsync(started.Id, first, Stop))!.Strategies[0].Name);
        Assert.Equal(classSamples.Items.Count(item => item.Correct == false), view.Confusions.Sum(confusion => confusion.Count));
        Assert.All(view.Confusions, confusion => Assert.Equal(view.Concepts.Count + 1, confusion.Pulls.Count));
        await ExpectProblemAsync(site, $"{api}/classes/{first}/strategies/99", HttpStatusCode.NotFound);
        await Assert.ThrowsAsync<ServiceException>(() => site.Get<IAnnotationService>().NameStrategyAsync(started.Id, first, 99, "none", Stop));

        // A report needs nothing else and escapes what people wrote; a link works until it is ended.
        var link = await site.Get<IShareService>().ShareClassAsync(started.Id, first, Stop);
        var html = await site.Http.GetStringAsync(link.Url, Stop);
        Assert.Contains("&lt;b&gt;stripes&lt;/b&gt;", html);
        Assert.Contains("the &lt;i&gt;usual&lt;/i&gt; way", html);
        Assert.DoesNotContain("<script", html);
        Assert.DoesNotContain("src=\"/", html);
        Assert.DoesNotContain("href=\"/", html);
        Assert.Contains("data:image/webp;base64,", html);
        Assert.Equal(1, (await site.Get<IShareService>().ListAsync(started.Id, Stop)).Single().Views);
        Assert.DoesNotContain(link.Token, Encoding.Latin1.GetString(await ReadSharedAsync(Path.Combine(site.Folder, "data", "catalogue.db"))));
        await site.Get<IShareService>().RevokeAsync(link.Token, Stop);
        Assert.Equal(HttpStatusCode.NotFound, (await site.Http.GetAsync(link.Url, Stop)).StatusCode);

        // Deleting leaves no files.
        await early.DisposeAsync();
        await late.DisposeAsync();
        Assert.Equal(HttpStatusCode.NoContent, (await site.Http.DeleteAsync(api, Stop)).StatusCode);
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(site.Folder, "data", "runs")));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(site.Folder, "data", "thumbnails")));
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(site.Folder, "data", "store")));
    }

    [Fact]
    public async Task A_killed_worker_is_replaced_and_the_run_ends_with_the_same_bytes()
    {
        await using var site = await TestSite.StartAsync();
        var images = TestNetwork.Images(site.Folder, perClass: 40);
        var weights = TestNetwork.Weights(site.Folder);
        var request = new NewAnalysis { Dataset = images, Network = weights };
        var killed = await site.StartRunAsync(request);
        await site.WaitAsync(killed.Id, progress => progress.Stages.Any(stage => stage.Name == "activations" && stage.Done > 0));
        var worker = site.Get<JobCoordinator>().WorkerProcessId!.Value;
        Process.GetProcessById(worker).Kill();
        await site.WaitAsync(killed.Id, progress => progress.Message?.Contains("killed", StringComparison.Ordinal) == true);
        Assert.Equal(HttpStatusCode.OK, (await site.Http.GetAsync("/", Stop)).StatusCode);
        var end = await site.WaitAsync(killed.Id, progress => progress.State is AnalysisState.Completed or AnalysisState.Failed);
        Assert.True(end.State == AnalysisState.Completed, end.Message);
        Assert.NotEqual(worker, site.Get<JobCoordinator>().WorkerProcessId);
        var bytes = await File.ReadAllBytesAsync(Path.Combine(site.Folder, "data", "runs", killed.Id, "tensors.safetensors"), Stop);

        await site.Get<IAnalysisService>().DeleteAsync(killed.Id, Stop);
        var undisturbed = await site.StartRunAsync(request);
        await site.WaitAsync(undisturbed.Id, progress => progress.State == AnalysisState.Completed);
        Assert.Equal(bytes, await File.ReadAllBytesAsync(Path.Combine(site.Folder, "data", "runs", undisturbed.Id, "tensors.safetensors"), Stop));
    }

    [Fact]
    public async Task A_run_whose_worker_keeps_dying_fails_with_a_message_and_the_next_one_runs()
    {
        await using var site = await TestSite.StartAsync();
        var images = TestNetwork.Images(site.Folder, perClass: 40);
        var request = new NewAnalysis { Dataset = images, Network = TestNetwork.Weights(site.Folder) };
        var run = await site.StartRunAsync(request);
        var killed = new HashSet<int>();
        using (site.Get<IProgressFeed>().Subscribe(run.Id, progress =>
        {
            if (progress.Stages.Any(stage => stage.Name == "activations" && stage.Status == StageStatus.Running)
                && site.Get<JobCoordinator>().WorkerProcessId is { } id && killed.Add(id))
            {
                using var process = Process.GetProcessById(id);
                process.Kill();
            }
        }))
        {
            var end = await site.WaitAsync(run.Id, progress => progress.State == AnalysisState.Failed);
            Assert.Equal(2, killed.Count);
            Assert.Contains("killed (signal 9)", end.Message);
            Assert.Contains("resume", end.Message);
        }

        await site.Get<IAnalysisService>().ResumeAsync(run.Id, Stop);
        await site.WaitAsync(run.Id, progress => progress.State == AnalysisState.Completed);
    }

    [Fact]
    public async Task A_run_that_meets_an_unexpected_fault_is_tried_once_more_in_a_new_process()
    {
        await using var site = await TestSite.StartAsync();
        var images = TestNetwork.Images(site.Folder, perClass: 40);
        var run = await site.StartRunAsync(new NewAnalysis { Dataset = images, Network = TestNetwork.Weights(site.Folder) });
        var coordinator = site.Get<JobCoordinator>();
        var faulted = 0;
        var seen = new HashSet<int>();
        using (site.Get<IProgressFeed>().Subscribe(run.Id, progress =>
        {
            if (progress.Stages.Any(stage => stage.Name == "activations" && stage.Status == StageStatus.Running)
                && coordinator.WorkerProcessId is { } id && seen.Add(id) && seen.Count == 1)
            {
                faulted = id;
                for (var attempt = 0; attempt < 10; attempt++)
                {
                    coordinator.OnEnded(run.Id, attempt, WorkOutcome.Faulted, "A number was not there.");
                }
            }
        }))
        {
            var end = await site.WaitAsync(run.Id, progress => progress.State is AnalysisState.Completed or AnalysisState.Failed);
            Assert.True(end.State == AnalysisState.Completed, end.Message);
        }

        Assert.NotEqual(0, faulted);
        Assert.NotEqual(faulted, coordinator.WorkerProcessId);
        Assert.Contains("A number was not there.", await File.ReadAllTextAsync(Path.Combine(site.Folder, "data", "runs", run.Id, "log.txt"), Stop), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Cancel_takes_effect_within_a_second_and_a_restarted_host_goes_on_with_a_running_one()
    {
        var folder = Directory.CreateTempSubdirectory("atlas-restart-").FullName;
        try
        {
            string id;
            await using (var site = await TestSite.StartAsync(folder))
            {
                var images = TestNetwork.Images(folder, perClass: 40);
                id = (await site.StartRunAsync(new NewAnalysis { Dataset = images, Network = TestNetwork.Weights(folder) })).Id;
                await site.WaitAsync(id, progress => progress.Stages.Any(stage => stage.Name == "activations" && stage.Done > 0));
                var watch = Stopwatch.StartNew();
                var response = await site.Http.PostAsync($"/api/analyses/{id}/cancel", null, Stop);
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
                Assert.Equal(AnalysisState.Cancelled, site.Get<IProgressFeed>().Current(id)!.State);
                Assert.True(watch.Elapsed < TimeSpan.FromSeconds(1), $"cancel took {watch.Elapsed.TotalSeconds:0.00} s");
                await ExpectProblemAsync(site, HttpMethod.Post, $"/api/analyses/{id}/cancel", HttpStatusCode.BadRequest);

                await site.Get<IAnalysisService>().ResumeAsync(id, Stop);
                await site.WaitAsync(id, progress => progress.State == AnalysisState.Running && progress.Stages.Any(stage => stage.Name == "activations" && stage.Status != StageStatus.Waiting));
            }

            await using var restarted = await TestSite.StartAsync(folder);
            var end = await restarted.WaitAsync(id, progress => progress.State is AnalysisState.Completed or AnalysisState.Failed);
            Assert.True(end.State == AnalysisState.Completed, end.Message);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task What_cannot_run_is_refused_with_the_remedy()
    {
        await using var site = await TestSite.StartAsync();
        var response = await site.Http.PostAsJsonAsync(
            "/api/analyses", new { dataset = site.Folder, network = site.Folder + "/none.safetensors", method = "magic", limit = 0 }, Stop);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var detail = (await response.Content.ReadFromJsonAsync<JsonElement>(Stop)).GetProperty("detail").GetString();
        Assert.Contains("'magic' is not known", detail);
        Assert.Contains("Choose at least 1", detail);
        var malformed = await site.Http.PostAsync("/api/analyses", new StringContent("{\"dataset\":5", Encoding.UTF8, "application/json"), Stop);
        Assert.Equal(HttpStatusCode.BadRequest, malformed.StatusCode);
        Assert.Equal("application/problem+json", malformed.Content.Headers.ContentType?.MediaType);
    }

    [Fact]
    public async Task A_network_that_cannot_be_read_fails_the_inspection_not_the_site()
    {
        await using var site = await TestSite.StartAsync();
        var broken = Path.Combine(site.Folder, "broken.safetensors");
        await File.WriteAllBytesAsync(broken, new byte[64], Stop);
        var fault = await Assert.ThrowsAsync<ServiceException>(() => site.Get<ISourceService>().PreviewNetworkAsync(broken, "", null, Stop));
        Assert.Contains("broken.safetensors", fault.Message);
        Assert.DoesNotContain("   at ", fault.Message);
        Assert.Equal(HttpStatusCode.OK, (await site.Http.GetAsync("/readyz", Stop)).StatusCode);
    }

    private static async Task<byte[]> ReadSharedAsync(string path)
    {
        await using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        var bytes = new byte[stream.Length];
        await stream.ReadExactlyAsync(bytes, Stop);
        return bytes;
    }

    private static Task ExpectProblemAsync(TestSite site, string url, HttpStatusCode status) => ExpectProblemAsync(site, HttpMethod.Get, url, status);

    private static async Task ExpectProblemAsync(TestSite site, HttpMethod method, string url, HttpStatusCode status)
    {
        using var request = new HttpRequestMessage(method, url);
        using var response = await site.Http.SendAsync(request, Stop);
        Assert.Equal(status, response.StatusCode);
        Assert.Equal("application/problem+json", response.Content.Headers.ContentType?.MediaType);
    }
}
