using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.SignalR.Client;
using Microsoft.Extensions.DependencyInjection;

namespace Dashboard.EndToEnd;

/// <summary>The site as people start it: the built executable as a process of its own, a free port, an empty data directory.</summary>
public sealed class Site : IAsyncDisposable
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);
    private readonly Process? _process;
    private readonly ConcurrentQueue<string> _output = new();
    private readonly TaskCompletionSource<string> _address = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private Task<AnalysisSummary>? _second;

    private Site(Process? process, string folder)
    {
        _process = process;
        Folder = folder;
    }

    /// <summary>Everything that the site writes lies below.</summary>
    public string Folder { get; }

    /// <summary>Address without a slash at the end.</summary>
    public string Address { get; private set; } = "";

    public HttpClient Http { get; private set; } = default!;

    /// <summary>What the host printed.</summary>
    public string Output => string.Join('\n', _output);

    public bool IsRunning => _process is null or { HasExited: false };

    /// <summary>Images of the built-in sample: class folders.</summary>
    public string SampleImages => Path.Combine(Folder, "data", "sample", "images");

    /// <summary>Weights of the built-in sample's network.</summary>
    public string SampleNetwork => Path.Combine(Folder, "networks", "sample.safetensors");

    // artifacts/<backend>/bin/Dashboard.EndToEnd/<configuration>/ lies beside that of the server.
    private static string Executable
    {
        get
        {
            var own = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
            var path = Path.Combine(own.Parent!.Parent!.FullName, "Dashboard.Server", own.Name, "Dashboard.Server" + (OperatingSystem.IsWindows() ? ".exe" : ""));
            return File.Exists(path) ? path : throw new FileNotFoundException($"The server was not built: there is no {path}.");
        }
    }

    /// <summary>Process of the site; SITE_PROCESS says it of a site that runs already; null where unknown.</summary>
    public int? ProcessId => _process?.Id ?? (int.TryParse(Environment.GetEnvironmentVariable("SITE_PROCESS"), CultureInfo.InvariantCulture, out var id) ? id : null);

    /// <summary>The site's own process computes nothing with tensors, so that no native fault can end it: it never loads the library.</summary>
    public void AssertNoTensorLibrary()
    {
        if (OperatingSystem.IsLinux() && ProcessId is { } id)
        {
            var maps = File.ReadAllText($"/proc/{id}/maps");
            Assert.Contains("libSystem.Native", maps, StringComparison.Ordinal);
            Assert.DoesNotContain("libtorch", maps, StringComparison.Ordinal);
        }
    }

    /// <summary>Starts it; in a folder that another one used, on the same port, it is that one again.</summary>
    public static async Task<Site> StartAsync(string? again = null, int port = 0, bool sample = true)
    {
        // SITE_ADDRESS: a site that runs already, for measurements on data of one's own. It is left running. SITE_FOLDER says where its files lie.
        if (again is null && sample && Environment.GetEnvironmentVariable("SITE_ADDRESS") is { Length: > 0 } known)
        {
            return new Site(null, Environment.GetEnvironmentVariable("SITE_FOLDER") ?? "") { Address = known.TrimEnd('/'), Http = new HttpClient { BaseAddress = new Uri(known) } };
        }

        // SITE_FOLDER: an empty folder of a name that may be seen in pictures.
        var folder = again is not null ? again : Environment.GetEnvironmentVariable("SITE_FOLDER") is { Length: > 0 } named
            ? Directory.CreateDirectory(named).FullName
            : Directory.CreateTempSubdirectory("atlas-e2e-").FullName;
        // Where people would keep their own.
        var networks = Directory.CreateDirectory(Path.Combine(folder, "networks"));
        foreach (var file in Directory.EnumerateFiles(Path.Combine(Path.GetDirectoryName(Executable)!, "samples", "network")))
        {
            File.Copy(file, Path.Combine(networks.FullName, Path.GetFileName(file)), overwrite: true);
        }

        var start = new ProcessStartInfo(Executable) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false, WorkingDirectory = folder };
        foreach (var argument in new[] { "--urls", FormattableString.Invariant($"http://127.0.0.1:{port}"), "--data-directory", Path.Combine(folder, "data"), "--data-root", folder })
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["Dashboard__Sample"] = sample ? "true" : "false";
        var process = new Process { StartInfo = start, EnableRaisingEvents = true };
        var site = new Site(process, folder);
        process.OutputDataReceived += (_, line) => site.Print(line.Data);
        process.ErrorDataReceived += (_, line) => site.Print(line.Data);
        process.Exited += (_, _) => site._address.TrySetException(new InvalidOperationException($"The site ended at its start:\n{site.Output}"));
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        try
        {
            site.Address = await site._address.Task.WaitAsync(TimeSpan.FromSeconds(60));
        }
        catch
        {
            await site.DisposeAsync();
            throw;
        }

        site.Http = new HttpClient { BaseAddress = new Uri(site.Address) };
        return site;
    }

    public async Task<T> GetAsync<T>(string path) =>
        (await Http.GetFromJsonAsync<T>(path, Json, TestContext.Current.CancellationToken))!;

    public async Task<AnalysisSummary> StartRunAsync(NewAnalysis request)
    {
        var answer = await Http.PostAsJsonAsync("/api/analyses", request, Json, TestContext.Current.CancellationToken);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(answer.IsSuccessStatusCode, text);
        return JsonSerializer.Deserialize<AnalysisSummary>(text, Json)!;
    }

    /// <summary>A read-only link to a class: one that there is, or a new one.</summary>
    public async Task<ShareLink> ShareClassAsync(string id, int classIndex)
    {
        var links = await GetAsync<Paged<ShareLink>>($"/api/analyses/{id}/shares");
        if (links.Items.Count > 0)
        {
            return links.Items[0];
        }

        var answer = await Http.PostAsJsonAsync($"/api/analyses/{id}/shares", new { @class = classIndex }, Json, TestContext.Current.CancellationToken);
        answer.EnsureSuccessStatusCode();
        return (await answer.Content.ReadFromJsonAsync<ShareLink>(Json, TestContext.Current.CancellationToken))!;
    }

    /// <summary>Brings a sample's own picture as an image of one's own; its hash once the network has looked at it.</summary>
    public async Task<string> OwnImageAsync(string id, int sample)
    {
        var cancellation = TestContext.Current.CancellationToken;
        var bytes = await Http.GetByteArrayAsync($"/api/analyses/{id}/samples/{sample}/thumbnail?size=192", cancellation);
        using var answer = await Http.PostAsync($"/api/analyses/{id}/images", new ByteArrayContent(bytes), cancellation);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync(cancellation));
        var own = (await answer.Content.ReadFromJsonAsync<OwnImage>(Json, cancellation))!;
        var address = $"/api/analyses/{id}/images/{own.Hash}";
        using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(100));
        for (var tries = 0; (await GetAsync<OwnImageView>(address)).Sample is null; tries++)
        {
            Assert.True(tries < 900, $"{address} was not explained within a minute and a half:\n{Output}");
            await pause.WaitForNextTickAsync(cancellation);
        }

        return own.Hash;
    }

    /// <summary>A concept that people defined: one that there is, or a new one of these classes.</summary>
    public async Task<UserConcept> UserConceptAsync(string id, string name, params string[] classes)
    {
        var known = await GetAsync<Paged<UserConcept>>($"/api/analyses/{id}/user-concepts");
        if (known.Items.FirstOrDefault(concept => concept.Name == name) is { } concept)
        {
            return concept;
        }

        var answer = await Http.PostAsJsonAsync(
            $"/api/analyses/{id}/user-concepts", new ConceptDraft { Name = name, Source = "classes", Classes = classes }, Json, TestContext.Current.CancellationToken);
        var text = await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(answer.IsSuccessStatusCode, text);
        return JsonSerializer.Deserialize<UserConcept>(text, Json)!;
    }

    /// <summary>Waits for the sample's analysis to be queued, which follows the making of its images, by the list that Home shows.</summary>
    public async Task<AnalysisSummary> SampleAsync()
    {
        using var pause = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        for (var tries = 0; tries < 1200; tries++)
        {
            var list = await GetAsync<Paged<AnalysisSummary>>("/api/analyses?take=500");
            if (list.Items.FirstOrDefault(item => item.IsSample) is { } sample)
            {
                return sample;
            }

            await pause.WaitForNextTickAsync(TestContext.Current.CancellationToken);
        }

        throw new TimeoutException($"The sample was not queued within a minute:\n{Output}");
    }

    /// <summary>The complete sample atlas.</summary>
    public async Task<AnalysisSummary> CompleteSampleAsync()
    {
        var sample = await SampleAsync();
        var end = await WaitAsync(sample.Id, progress => progress.State is not (AnalysisState.Queued or AnalysisState.Running));
        Assert.True(end.State == AnalysisState.Completed, end.Message);
        return sample;
    }

    /// <summary>A second analysis of the sample's images with the sample's network, of fewer concepts; made once.</summary>
    public Task<AnalysisSummary> SecondRunAsync()
    {
        lock (_output)
        {
            return _second ??= RunAsync();
        }

        async Task<AnalysisSummary> RunAsync()
        {
            await CompleteSampleAsync();
            var run = await StartRunAsync(new NewAnalysis { Dataset = SampleImages, Network = SampleNetwork, Concepts = 4, Name = "Four concepts" });
            await WaitAsync(run.Id, progress => progress.State == AnalysisState.Completed);
            return run;
        }
    }

    /// <summary>Waits, as a listener of the hub, until the progress of an analysis fulfils a condition.</summary>
    public async Task<AnalysisProgress> WaitAsync(string id, Func<AnalysisProgress, bool> condition, int seconds = 120)
    {
        await using var hub = Connect();
        var reached = new TaskCompletionSource<AnalysisProgress>(TaskCreationOptions.RunContinuationsAsynchronously);
        AnalysisProgress? last = null;
        hub.On<AnalysisProgress>(nameof(IAnalysisHubClient.Progress), progress =>
        {
            last = progress;
            if (condition(progress))
            {
                reached.TrySetResult(progress);
            }
        });
        await hub.StartAsync(TestContext.Current.CancellationToken);
        await hub.InvokeAsync(nameof(IAnalysisHub.Subscribe), id, TestContext.Current.CancellationToken);
        try
        {
            return await reached.Task.WaitAsync(TimeSpan.FromSeconds(seconds), TestContext.Current.CancellationToken);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"Not reached within {seconds} s; the state is {JsonSerializer.Serialize(last, Json)}\n{Output}");
        }
    }

    public HubConnection Connect() => new HubConnectionBuilder().WithUrl(Address + "/hubs/analyses").Build();

    /// <summary>Process ids of the engine workers: children of the host.</summary>
    public IReadOnlyList<int> Workers()
    {
        var found = new List<int>();
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), NumberStyles.None, CultureInfo.InvariantCulture, out var id))
            {
                continue;
            }

            try
            {
                // The name in brackets may hold anything; the state and the parent follow its end.
                var stat = File.ReadAllText(Path.Combine(folder, "stat"));
                if (stat[(stat.LastIndexOf(')') + 2)..].Split(' ')[1] == _process?.Id.ToString(CultureInfo.InvariantCulture)
                    && File.ReadAllText(Path.Combine(folder, "cmdline")).Split('\0').Contains("worker"))
                {
                    found.Add(id);
                }
            }
            catch (IOException)
            {
                // It has ended since.
            }
        }

        return found;
    }

    /// <summary>Ends it as a power cut does, and leaves its folder.</summary>
    public async Task KillAsync()
    {
        Http?.Dispose();
        if (_process is null)
        {
            return;
        }

        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        await _process.WaitForExitAsync(CancellationToken.None);
        _process.Dispose();
    }

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        // A site that ran already keeps its folder.
        if (_process is not null)
        {
            Directory.Delete(Folder, recursive: true);
        }
    }

    private void Print(string? line)
    {
        if (line is null)
        {
            return;
        }

        _output.Enqueue(line);
        const string Announcement = "Concept Atlas: ";
        if (line.StartsWith(Announcement, StringComparison.Ordinal))
        {
            _address.TrySetResult(line[Announcement.Length..].Trim().TrimEnd('/'));
        }
    }
}
