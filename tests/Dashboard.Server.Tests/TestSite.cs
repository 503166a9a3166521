using System.Net.Http.Json;
using System.Text.Json;
using Dashboard.Client.Contracts;
using Dashboard.Server.Data;
using Dashboard.Server.Jobs;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace Dashboard.Server.Tests;

/// <summary>The real site on a free port with a data directory of its own, SQLite and, where a test starts a run, a real worker process.</summary>
internal sealed class TestSite : IAsyncDisposable
{
    private readonly bool _ownsFolder;

    private TestSite(WebApplication app, string folder, bool ownsFolder)
    {
        App = app;
        Folder = folder;
        _ownsFolder = ownsFolder;
        Address = app.Services.GetRequiredService<HostAddress>().ForWorker;
        Http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false }) { BaseAddress = new Uri(Address) };
    }

    public WebApplication App { get; }

    public string Folder { get; }

    public string Address { get; }

    public HttpClient Http { get; }

    public T Get<T>()
        where T : notnull => App.Services.GetRequiredService<T>();

    public static async Task<TestSite> StartAsync(
        string? folder = null, string urls = "http://127.0.0.1:0", IReadOnlyList<string>? roots = null, IReadOnlyDictionary<string, string>? settings = null)
    {
        var own = folder is null;
        folder ??= Directory.CreateTempSubdirectory("atlas-site-").FullName;
        var all = new Dictionary<string, string?>
        {
            ["Dashboard:Urls"] = urls,
            ["Dashboard:DataDirectory"] = Path.Combine(folder, "data"),
            ["Dashboard:Sample"] = "false",
        };
        foreach (var (root, index) in (roots ?? [folder]).Select((root, index) => (root, index)))
        {
            all[$"Dashboard:DataRoots:{index}"] = root;
        }

        foreach (var (key, value) in settings ?? new Dictionary<string, string>())
        {
            all[key] = value;
        }

        var app = await DashboardHost.CreateAsync(all, TestContext.Current.CancellationToken);
        await app.StartAsync(TestContext.Current.CancellationToken);
        return new TestSite(app, folder, own);
    }

    public HubConnection Connect() => new HubConnectionBuilder()
        .WithUrl(Address + "/hubs/analyses")
        .AddJsonProtocol(options => Json.Configure(options.PayloadSerializerOptions))
        .Build();

    public async Task<AnalysisSummary> StartRunAsync(NewAnalysis request)
    {
        var response = await Http.PostAsJsonAsync("/api/analyses", request, Json.Options, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonSerializer.Deserialize<AnalysisSummary>(text, Json.Options)!;
    }

    /// <summary>Waits until the progress of an analysis fulfils a condition.</summary>
    public async Task<AnalysisProgress> WaitAsync(string id, Func<AnalysisProgress, bool> condition, int seconds = 90)
    {
        var reached = new TaskCompletionSource<AnalysisProgress>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var subscription = Get<IProgressFeed>().Subscribe(id, progress =>
        {
            if (condition(progress))
            {
                reached.TrySetResult(progress);
            }
        });
        try
        {
            return await reached.Task.WaitAsync(TimeSpan.FromSeconds(seconds), TestContext.Current.CancellationToken);
        }
        catch (TimeoutException)
        {
            Assert.Fail($"Not reached within {seconds} s; the state is {JsonSerializer.Serialize(Get<IProgressFeed>().Current(id), Json.Options)}");
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await App.StopAsync(CancellationToken.None);
        await App.DisposeAsync();
        if (_ownsFolder)
        {
            Directory.Delete(Folder, recursive: true);
        }
    }
}
