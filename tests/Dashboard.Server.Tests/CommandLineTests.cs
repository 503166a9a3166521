using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Dashboard.Server.Jobs;
using Dashboard.Server.Services;
using Xunit;

namespace Dashboard.Server.Tests;

/// <summary>The executable as people start it: exit codes and messages, and the published layout.</summary>
public sealed class CommandLineTests
{
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Wrong_usage_ends_with_2_and_names_what_is_wrong()
    {
        var (code, _, error) = await ChildProcess.RunAsync(["--nonsense"], TimeSpan.FromSeconds(60), Stop);
        Assert.Equal(2, code);
        Assert.Contains("--nonsense", error);
    }

    [Fact]
    public async Task What_a_page_gives_as_an_architecture_opens_no_file_and_is_no_option()
    {
        var folder = Directory.CreateTempSubdirectory("atlas-argument-").FullName;
        var outside = Directory.CreateTempSubdirectory("atlas-outside-").FullName;
        try
        {
            var secret = Path.Combine(outside, "secret.txt");
            await File.WriteAllTextAsync(secret, "first-secret second-secret\nthird-secret\n", Stop);
            var (code, _, error) = await ChildProcess.RunAsync(["inspect", "--network", "/no/such", "--architecture", "@" + secret], TimeSpan.FromSeconds(60), Stop);
            Assert.Equal(1, code);
            Assert.DoesNotContain("-secret", error);

            var network = Path.Combine(folder, "weights.safetensors");
            await File.WriteAllTextAsync(network, "no weights", Stop);
            await using var site = await TestSite.StartAsync(folder);
            foreach (var architecture in new[] { "@" + secret, "--dataset=" + outside, "--help" })
            {
                var answer = await site.Http.GetAsync($"/api/networks/preview?path={Uri.EscapeDataString(network)}&dataset=&architecture={Uri.EscapeDataString(architecture)}", Stop);
                var text = await answer.Content.ReadAsStringAsync(Stop);
                Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
                Assert.DoesNotContain("-secret", text);
                Assert.Contains("weights.safetensors", text);
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
            Directory.Delete(outside, recursive: true);
        }
    }

    [Fact]
    public async Task A_port_in_use_ends_with_1_and_the_remedy()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var folder = Directory.CreateTempSubdirectory("atlas-port-").FullName;
        try
        {
            var port = ((IPEndPoint)taken.LocalEndpoint).Port;
            var (code, _, error) = await ChildProcess.RunAsync(["--urls", $"http://127.0.0.1:{port}", "--data-directory", folder], TimeSpan.FromSeconds(60), Stop);
            Assert.Equal(1, code);
            Assert.Contains("--urls", error);
            Assert.DoesNotContain("   at ", error);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task A_wrong_setting_ends_with_1_and_names_its_key()
    {
        var (code, _, error) = await ChildProcess.RunAsync(["--urls", "nonsense", "--data-root", "/no/such/folder"], TimeSpan.FromSeconds(60), Stop);
        Assert.Equal(1, code);
        Assert.Contains("Dashboard:Urls", error);
        Assert.Contains("Dashboard:DataRoots", error);
    }

    [Fact]
    public async Task The_worker_without_a_host_says_so()
    {
        var (code, _, error) = await ChildProcess.RunAsync(["worker", "--host", "http://127.0.0.1:1"], TimeSpan.FromSeconds(60), Stop);
        Assert.Equal(1, code);
        Assert.Contains("Start the site", error);
    }

    [Fact]
    public async Task A_concept_is_said_once()
    {
        var (code, _, error) = await ChildProcess.RunAsync(["probe", "--result", "nowhere", "--out", "nowhere"], TimeSpan.FromSeconds(60), Stop);
        Assert.Equal(2, code);
        Assert.Contains("--attribute", error);
        (code, _, error) = await ChildProcess.RunAsync(["probe", "--result", "nowhere", "--out", "nowhere", "--attribute", "shape", "--classes", "disc"], TimeSpan.FromSeconds(60), Stop);
        Assert.Equal(2, code);
        Assert.Contains("once", error);
        (code, _, error) = await ChildProcess.RunAsync(["attribute", "--result", "nowhere", "--out", "nowhere", "--sample", "0", "--attribute", "shape"], TimeSpan.FromSeconds(60), Stop);
        Assert.Equal(2, code);
        Assert.Contains("--class", error);
    }

    [Fact]
    public async Task Probes_changes_and_costs_of_an_analysis_are_printed_and_kept()
    {
        var folder = Directory.CreateTempSubdirectory("atlas-probe-").FullName;
        try
        {
            var result = Path.Combine(folder, "result");
            var (code, _, error) = await ChildProcess.RunAsync(
                ["analyze", "--dataset", TestNetwork.Images(folder), "--network", Path.Combine(AllowedRoots.SampleNetworkFolder, "sample.safetensors"), "--out", result], TimeSpan.FromMinutes(5), Stop);
            Assert.True(code == 0, error);
            var tagged = Path.Combine(folder, "tagged.csv");
            await File.WriteAllLinesAsync(tagged, ["path,shows", .. SamplePaths(result).Take(24).Select((path, i) => $"{path},{(i % 3 == 0 ? "yes" : "no")}")], Stop);
            (code, var output, error) = await ChildProcess.RunAsync(
                ["probe", "--result", result, "--out", Path.Combine(folder, "a"), "--attribute", "colour=red", "--layers", "conv1,layer3", "--no-tcav"], TimeSpan.FromMinutes(5), Stop);
            Assert.True(code == 0, error);
            Assert.Contains("balanced accuracy", output);
            Assert.Contains("layer3", output);
            Assert.True(File.Exists(Path.Combine(folder, "a", "probes.safetensors")));
            (code, output, error) = await ChildProcess.RunAsync(
                ["probe", "--result", result, "--out", Path.Combine(folder, "b"), "--samples", tagged, "--layers", "layer3", "--seeds", "4", "--json"], TimeSpan.FromMinutes(5), Stop);
            Assert.True(code == 0, error);
            using var report = System.Text.Json.JsonDocument.Parse(output);
            Assert.Equal((8, 16), (report.RootElement.GetProperty("positives").GetInt32(), report.RootElement.GetProperty("negatives").GetInt32()));
            Assert.Equal(4, report.RootElement.GetProperty("layers")[0].GetProperty("scores").GetProperty("auc").GetProperty("values").GetArrayLength());
            (code, _, error) = await ChildProcess.RunAsync(["probe", "--result", result, "--out", Path.Combine(folder, "c"), "--classes", "unicorn"], TimeSpan.FromMinutes(5), Stop);
            Assert.Equal(1, code);
            Assert.Contains("unicorn", error);

            // Changes of a sample, with the concept inline; the folder of other probes is left alone.
            string[] change =
            [
                "backpropagate", "--result", result, "--concept", """{"name":"red","source":"attribute","attribute":"colour","value":"red"}""", "--sample", "3,17", "--direction", "yes", "--starts", "1",
                "--steps", "40", "--random-probes", "1", "--region", "0.25,0.25,0.5,0.5",
            ];
            (code, output, error) = await ChildProcess.RunAsync([.. change, "--out", Path.Combine(folder, "changes")], TimeSpan.FromMinutes(5), Stop);
            Assert.True(code == 0, error);
            Assert.Contains("red at", output);
            Assert.Contains("shuffled labels:", output);
            Assert.True(File.Exists(Path.Combine(folder, "changes", "s17-changed.png")));
            await File.WriteAllTextAsync(Path.Combine(folder, "d.json"), "{}", Stop);
            Directory.CreateDirectory(Path.Combine(folder, "d"));
            File.Move(Path.Combine(folder, "d.json"), Path.Combine(folder, "d", "result.json"));
            (code, _, error) = await ChildProcess.RunAsync([.. change, "--out", Path.Combine(folder, "d")], TimeSpan.FromMinutes(5), Stop);
            Assert.Equal(1, code);
            Assert.Contains("holds no changes", error);
            (code, _, error) = await ChildProcess.RunAsync([.. change[..5], "--sample", "x", "--out", Path.Combine(folder, "d")], TimeSpan.FromMinutes(5), Stop);
            Assert.Equal(1, code);
            Assert.Contains("'x'", error);

            // What an experiment would cost; another experiment does not go on in its folder.
            string[] retrain = ["retrain", "--result", result, "--out", Path.Combine(folder, "retrain"), "--attribute", "colour=red"];
            (code, output, error) = await ChildProcess.RunAsync([.. retrain, "--measure", "--json"], TimeSpan.FromMinutes(5), Stop);
            Assert.True(code == 0, error);
            using var cost = System.Text.Json.JsonDocument.Parse(output);
            Assert.True(cost.RootElement.GetProperty("cost").GetProperty("trainingPositives").GetInt32() > 0);
            Assert.Equal(244, cost.RootElement.GetProperty("cost").GetProperty("training").GetInt32() + cost.RootElement.GetProperty("cost").GetProperty("heldOut").GetInt32());
            (code, _, error) = await ChildProcess.RunAsync([.. retrain, "--networks", "1"], TimeSpan.FromMinutes(5), Stop);
            Assert.Equal(1, code);
            Assert.Contains("something else", error);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        static IEnumerable<string> SamplePaths(string result)
        {
            var root = Path.Combine(Path.GetDirectoryName(result)!, "images");
            return File.ReadLines(Directory.EnumerateFiles(root, "attributes.csv", SearchOption.AllDirectories).First()).Skip(1).Select(line => line.Split(',')[0]);
        }
    }

    [Fact]
    public async Task A_published_site_serves_the_files_of_the_top_level_wwwroot()
    {
        var root = RepositoryRoot();
        var output = Directory.CreateTempSubdirectory("atlas-publish-").FullName;
        try
        {
            var start = new ProcessStartInfo("dotnet", ["publish", Path.Combine(root, "src", "Dashboard.Server"), "--no-build", "-c", Configuration, "-o", Path.Combine(output, "site")])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            using (var publish = Process.Start(start)!)
            {
                var log = await publish.StandardOutput.ReadToEndAsync(Stop);
                await publish.WaitForExitAsync(Stop);
                Assert.True(publish.ExitCode == 0, log);
            }

            Assert.True(File.Exists(Path.Combine(output, "site", "wwwroot", "favicon.svg")));
            using var site = Process.Start(new ProcessStartInfo(
                Path.Combine(output, "site", "Dashboard.Server"), ["--urls", "http://127.0.0.1:0", "--data-directory", Path.Combine(output, "data")])
            {
                RedirectStandardOutput = true,
                WorkingDirectory = "/",
                Environment = { ["Dashboard__Sample"] = "false" },
            })!;
            try
            {
                var line = await site.StandardOutput.ReadLineAsync(Stop);
                Assert.StartsWith("Concept Atlas: http://127.0.0.1:", line);
                using var http = new HttpClient { BaseAddress = new Uri(line!["Concept Atlas: ".Length..]) };
                Assert.All(
                    await Task.WhenAll(new[] { "/", "/favicon.svg", "/css/atlas.css", "/_framework/blazor.web.js", "/_content/MudBlazor/MudBlazor.min.css" }.Select(path => http.GetAsync(path, Stop))),
                    response => Assert.True(response.IsSuccessStatusCode, $"{response.RequestMessage?.RequestUri}: {response.StatusCode}"));
            }
            finally
            {
                site.Kill(entireProcessTree: true);
                await site.WaitForExitAsync(Stop);
            }
        }
        finally
        {
            Directory.Delete(output, recursive: true);
        }
    }

    private static string Configuration => AppContext.BaseDirectory.Contains("release", StringComparison.OrdinalIgnoreCase) ? "Release" : "Debug";

    private static string RepositoryRoot()
    {
        var folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Dashboard.sln")))
        {
            folder = Path.GetDirectoryName(folder) ?? throw new InvalidOperationException("The tests do not run below the repository.");
        }

        return folder;
    }
}
