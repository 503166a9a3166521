using System.Text.Json;
using Analysis.Atlas;
using Analysis.Explanations;
using Analysis.Networks.Files;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using Analysis.Search;
using Analysis.Tests.Runs;
using Xunit;

namespace Analysis.Tests.Explanations;

/// <summary>Images that people bring: one of the data set's own is the planted truth, for everything is known of it.</summary>
public sealed class ExplainTaskTests(SampleRun sample) : IClassFixture<SampleRun>
{
    [Fact]
    public void An_image_of_the_data_set_gets_the_contributions_strategy_and_place_that_it_has_there() => CheckOwn(sample.Request, sample.Store, sample.Result, 1e-4);

    [Theory]
    [InlineData("nmf", "class", "positions")]
    [InlineData("nmf", "dataset", "pooled")]
    public void So_it_does_for_factorisations(string method, string scope, string granularity)
    {
        using var folder = new TemporaryFolder();
        var request = sample.Small with { Method = method, Scope = scope, Granularity = granularity, Concepts = 6 };
        SampleRun.Run(request, folder["result"], sample.Store);
        // The analysis kept spatial activations in half precision; here they are fresh.
        CheckOwn(request, sample.Store, folder["result"], 5e-3);
    }

    [Fact]
    public void What_cannot_be_explained_is_refused_with_the_remedy()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("not the name of an image", Refused("""{"image":"../../etc/passwd"}"""));
        Assert.Contains("not the name of an image", Refused("{}"));
        Assert.Contains("class", Refused($$"""{"image":"{{new string('a', 64)}}","class":-3}"""));
        Assert.Contains("not an image", Assert.Throws<AnalysisException>(() => OwnImages.Keep(folder["r"], "#!/bin/sh"u8.ToArray())).Message);
        Assert.Contains("20 MB", Assert.Throws<AnalysisException>(() => OwnImages.Keep(folder["r"], new byte[OwnImages.MostBytes + 1])).Message);
        Assert.False(Directory.Exists(folder["r"]));

        // A header may claim anything; it is refused before a pixel is decoded.
        var huge = File.ReadAllBytes(Bitmap(folder["huge.bmp"], 60_000, 60_000));
        Assert.Contains("megapixels", Assert.Throws<AnalysisException>(() => OwnImages.Keep(folder["r"], huge)).Message);

        using var context = new TaskContext(sample.Manifest.Request, sample.Store, sample.Result, CancellationToken.None);
        var bytes = File.ReadAllBytes(Path.Combine(sample.Images, context.Samples[0].Path));
        var (hash, width, height) = OwnImages.Keep(sample.Result, bytes);
        Assert.True(width > 0 && height > 0);
        Assert.Contains("no class 999", Assert.Throws<AnalysisException>(() => Explain(context, hash, 999, folder["a"])).Message);
        var file = OwnImages.PathOf(sample.Result, hash);
        File.WriteAllBytes(file, [.. bytes, 0]);
        Assert.Contains("was changed", Assert.Throws<AnalysisException>(() => Explain(context, hash, null, folder["a"])).Message);
        Assert.True(OwnImages.Delete(sample.Result, hash));
        Assert.False(OwnImages.Delete(sample.Result, hash));
        Assert.Contains("not kept any more", Assert.Throws<AnalysisException>(() => Explain(context, hash, null, folder["a"])).Message);

        static string Refused(string json)
        {
            using var document = JsonDocument.Parse(json);
            return Assert.Throws<AnalysisException>(() => new ExplainTask().Normalise(document.RootElement)).Message;
        }
    }

    [Fact]
    public void Only_so_many_images_are_kept_and_the_oldest_go()
    {
        using var folder = new TemporaryFolder();
        var kept = Directory.CreateDirectory(Path.Combine(folder["result"], "images")).FullName;
        for (var i = 0; i < OwnImages.MostImages; i++)
        {
            var old = Path.Combine(kept, $"{i:x64}");
            File.WriteAllBytes(old, [1]);
            File.SetLastWriteTimeUtc(old, DateTime.UnixEpoch.AddDays(i + 1));
        }

        var (hash, _, _) = OwnImages.Keep(folder["result"], File.ReadAllBytes(Bitmap(folder["small.bmp"], 2, 2)));
        Assert.Equal(OwnImages.MostImages, Directory.GetFiles(kept).Length);
        Assert.False(File.Exists(Path.Combine(kept, $"{0:x64}")));
        Assert.True(File.Exists(Path.Combine(kept, $"{1:x64}")));
        Assert.Equal(hash, OwnImages.Keep(folder["result"], File.ReadAllBytes(folder["small.bmp"])).Hash);
        Assert.Equal(OwnImages.MostImages, Directory.GetFiles(kept).Length);
    }

    private void CheckOwn(AnalysisRequest request, string store, string result, double tolerance)
    {
        using var folder = new TemporaryFolder();
        using var context = new TaskContext(request, store, result, CancellationToken.None);
        var scores = new SampleScores(result);
        // An image that the network takes for another class tells its label, to which contributions add up, from the prediction.
        var wrong = 0;
        foreach (var index in new[] { 0, 5 })
        {
            var arrays = ClassArraysFile.Read(ClassArraysFile.PathOf(result, index));
            int[] positions = [3, arrays.Sample.Length - 1, .. Enumerable.Range(0, arrays.Sample.Length).Where(p => arrays.Predicted[p] != arrays.Target[p]).Take(1)];
            wrong += positions.Length - 2;
            foreach (var position in positions)
            {
                var row = arrays.Sample[position];
                var (hash, _, _) = OwnImages.Keep(result, File.ReadAllBytes(Path.Combine(sample.Images, context.Samples[row].Path)));
                var task = folder[$"{index}-{position}"];
                var found = Explain(context, hash, index, task);
                Assert.Equal((index, arrays.Target[position], arrays.RunnerUp[position]), (found.Class, found.Target, found.RunnerUp));
                Assert.Equal(arrays.Predicted[position], found.Top[0].Output);
                Assert.Equal(context.Samples[row].Confidence, found.Top[0].Probability, 1e-3);
                Assert.Equal(arrays.Concepts + 1, found.Contributions.Count);
                var scale = 1 + Math.Abs(found.Logit);
                for (var c = 0; c <= arrays.Concepts; c++)
                {
                    Assert.Equal(arrays.Contributions[(position * (arrays.Concepts + 1)) + c], found.Contributions[c], tolerance * scale);
                    Assert.Equal(arrays.Against[(position * (arrays.Concepts + 1)) + c], found.Against[c], tolerance * scale);
                }

                Assert.Equal(row, found.Nearest[0].Sample);
                Assert.Equal(arrays.Strategy[position], found.Strategy);
                Assert.InRange(found.StrategyFit!.Value, 0, 1);
                Assert.All(found.Maps, rank => Assert.True(File.Exists(Path.Combine(task, ExplainTask.MapFile(rank)))));
                Assert.NotEmpty(found.Maps);
                using var activation = SafetensorsFile.Open(Path.Combine(task, ExplainTask.ActivationFile));
                var likeness = scores.Likeness(activation.Span<float>("pooled"), TestContext.Current.CancellationToken);
                Assert.Equal(1, likeness[row], 1e-3);
                Assert.Equal(likeness[row], likeness.Max(), 1e-3);
            }
        }

        Assert.True(wrong > 0, "No image is mispredicted: the label cannot be told from the prediction.");

        // Without a class it is that of the prediction.
        var first = context.Samples.First(s => s.Predicted == s.Label);
        var (own, _, _) = OwnImages.Keep(result, File.ReadAllBytes(Path.Combine(sample.Images, first.Path)));
        var chosen = Explain(context, own, null, folder["chosen"]);
        Assert.Equal((first.Class, first.Predicted), (context.Classes[chosen.Class].Description.Name, chosen.Target));
        Assert.DoesNotContain(chosen.Notes, note => note.Contains("none of the analysed classes", StringComparison.Ordinal));
    }

    private static ImageExplanation Explain(TaskContext context, string hash, int? index, string folder)
    {
        using var document = JsonDocument.Parse(JsonSerializer.Serialize(new { image = hash, @class = index }));
        Directory.CreateDirectory(folder);
        var task = new ExplainTask();
        task.Run(context, task.Normalise(document.RootElement), folder, new Silent(), TestContext.Current.CancellationToken);
        return JsonSerializer.Deserialize<ImageExplanation>(File.ReadAllText(Path.Combine(folder, TaskRunner.ResultFile)), AnalysisJson.Options)!;
    }

    /// <summary>A bitmap whose header claims a size; only small ones have pixels.</summary>
    private static string Bitmap(string path, int width, int height)
    {
        var pixels = (long)width * height <= 100 ? height * (((width * 3) + 3) / 4 * 4) : 0;
        var bytes = new byte[54 + pixels];
        "BM"u8.CopyTo(bytes);
        foreach (var (at, value) in new[] { (2, bytes.Length), (10, 54), (14, 40), (18, width), (22, height), (34, pixels) })
        {
            BitConverter.TryWriteBytes(bytes.AsSpan(at), value);
        }

        (bytes[26], bytes[28]) = (1, 24);
        File.WriteAllBytes(path, bytes);
        return path;
    }

    private sealed class Silent : ITaskObserver
    {
        public void OnProgress(TaskProgress progress)
        {
        }
    }
}
