using System.Diagnostics;
using System.Text.Json;
using Analysis.Atlas;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using Xunit;

namespace Analysis.Tests.Runs;

public sealed class ConceptImageTaskTests(SampleRun sample) : IClassFixture<SampleRun>
{
    private static readonly string KeptPictures = Environment.GetEnvironmentVariable("ATLAS_KEEP_PICTURES") ?? "";

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    [Fact]
    public void The_picture_shows_more_of_the_concept_than_an_ordinary_image_and_is_the_same_each_time()
    {
        using var folder = new TemporaryFolder();
        var concept = Concepts(0)[0];
        var steps = new List<TaskProgress>();
        Run(concept, folder["first"], steps, 0, "maco");
        using var result = JsonDocument.Parse(File.ReadAllBytes(Path.Combine(folder["first"], "result.json")));
        var strength = result.RootElement.GetProperty("strength").GetDouble();
        Assert.True(strength > result.RootElement.GetProperty("averageImage").GetDouble(), $"strength {strength}");
        Assert.Equal(64, steps[^1].Done);
        Assert.Contains(steps, s => s.Preview is not null);
        Assert.Equal(["picture.png", "preview.png", "result.json", "transparent.png"], Directory.EnumerateFiles(folder["first"]).Select(Path.GetFileName).Order());

        Run(concept, folder["second"], [], 0, "maco");
        foreach (var file in Directory.EnumerateFiles(folder["first"]))
        {
            Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(Path.Combine(folder["second"], Path.GetFileName(file))));
        }

        Run(concept, folder["other"], [], 1, "maco");
        Assert.NotEqual(File.ReadAllBytes(Path.Combine(folder["first"], "picture.png")), File.ReadAllBytes(Path.Combine(folder["other"], "picture.png")));
    }

    [Fact]
    public void Cancelling_ends_it_within_a_second()
    {
        using var folder = new TemporaryFolder();
        using var stop = new CancellationTokenSource();
        var watch = new Stopwatch();
        var observer = new Observer(progress =>
        {
            if (progress.Done == 2)
            {
                watch.Start();
                stop.Cancel();
            }
        });
        var task = new ConceptImageTask();
        var parameters = task.Normalise(JsonSerializer.SerializeToElement(new { @class = 0, concept = Concepts(0)[0] }));
        Assert.Throws<OperationCanceledException>(() =>
            TaskRunner.Run(task.Kind, parameters, sample.Manifest.Request, sample.Store, sample.Result, folder["task"], observer, stop.Token));
        Assert.True(watch.Elapsed < TimeSpan.FromSeconds(1), $"{watch.Elapsed.TotalSeconds:0.0} s");
        Assert.False(File.Exists(Path.Combine(folder["task"], "result.json")));
    }

    [Theory]
    [InlineData("{\"class\": 0, \"concept\": 3, \"sise\": 96}", "no parameter 'sise'")]
    [InlineData("{\"class\": 0}", "concept is missing")]
    [InlineData("{\"class\": 0, \"concept\": 3, \"size\": 97}", "97 is odd")]
    [InlineData("{\"class\": 0, \"concept\": 3, \"size\": 4096}", "32 to 224")]
    [InlineData("{\"class\": \"zero\", \"concept\": 3}", "whole number")]
    [InlineData("{\"class\": 0, \"concept\": 3, \"method\": \"dream\"}", "maco, fourier")]
    public void Impossible_parameters_are_refused_with_the_remedy(string parameters, string part)
    {
        using var json = JsonDocument.Parse(parameters);
        var fault = Assert.Throws<AnalysisException>(() => new ConceptImageTask().Normalise(json.RootElement));
        Assert.Contains(part, fault.Message);
    }

    [Fact]
    public void Equal_wishes_have_equal_texts()
    {
        var task = new ConceptImageTask();
        using var sparse = JsonDocument.Parse("{\"concept\": 3, \"class\": 0}");
        using var full = JsonDocument.Parse("{\"class\": 0, \"method\": \"maco\", \"concept\": 3, \"seed\": 0, \"steps\": 128, \"size\": 96, \"crops\": 8}");
        Assert.Equal(task.Normalise(sparse.RootElement), task.Normalise(full.RootElement));
    }

    [Fact]
    public void A_concept_that_is_not_there_is_named_with_those_that_are()
    {
        using var folder = new TemporaryFolder();
        var fault = Assert.Throws<AnalysisException>(() => Run(99_999, folder["task"], [], 0, "maco"));
        Assert.Contains("no concept 99999", fault.Message);
        Assert.Contains($"{Concepts(0)[0]}", fault.Message);
    }

    [Fact]
    public void Pictures_of_a_whole_class_to_look_at()
    {
        if (KeptPictures.Length == 0)
        {
            Assert.Skip("left out: ATLAS_KEEP_PICTURES names no folder");
        }

        foreach (var method in new[] { "maco", "fourier" })
        {
            for (var c = 0; c < 4; c++)
            {
                foreach (var concept in Concepts(c).Take(3))
                {
                    var watch = Stopwatch.StartNew();
                    Run(concept, Path.Combine(KeptPictures, $"{method}-{c}-{concept}"), [], 0, method, c, 128);
                    TestContext.Current.TestOutputHelper?.WriteLine($"{method} {c} {concept}: {watch.Elapsed.TotalSeconds:0.0} s");
                }
            }
        }
    }

    private int[] Concepts(int index)
    {
        var atlas = JsonSerializer.Deserialize<ClassAtlas>(File.ReadAllBytes(ClassArraysFile.AtlasPathOf(sample.Result, index)), AnalysisJson.Options)!;
        return [.. atlas.Concepts.Select(c => c.Id)];
    }

    private void Run(int concept, string folder, List<TaskProgress> progress, int seed, string method, int @class = 0, int steps = 64)
    {
        var task = new ConceptImageTask();
        var parameters = task.Normalise(JsonSerializer.SerializeToElement(new { @class, concept, steps, seed, method, size = 64 }));
        TaskRunner.Run(task.Kind, parameters, sample.Manifest.Request, sample.Store, sample.Result, folder, new Observer(progress.Add), Stop);
    }

    private sealed class Observer(Action<TaskProgress> handle) : ITaskObserver
    {
        public void OnProgress(TaskProgress progress) => handle(progress);
    }
}
