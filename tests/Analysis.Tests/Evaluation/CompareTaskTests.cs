using System.Text.Json;
using Analysis.Evaluation.Comparison;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using Analysis.Tests.Runs;
using Xunit;

namespace Analysis.Tests.Evaluation;

/// <summary>A comparison beside a finished analysis of the sample.</summary>
public sealed class CompareTaskTests : IClassFixture<SampleRun>, IDisposable
{
    private const string Wishes = """{"methods":["unique","nmf","kmeans"],"components":[10,2,5],"classLimit":2,"importance":["closed-form","integrated-gradients","gradient","tcav"]}""";

    private readonly SampleRun _sample;
    private readonly TemporaryFolder _folder = new();

    public CompareTaskTests(SampleRun sample) => _sample = sample;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void It_compares_methods_and_estimators_and_says_what_it_found()
    {
        var seen = new List<TaskProgress>();
        Compare("whole", Wishes, new Watcher(seen.Add));
        var result = ComparisonResult.Read(_folder["whole"]);
        Assert.Equal([2, 5, 10], result.Parameters.Components);
        Assert.Equal(["unique", "nmf", "kmeans"], result.Methods.Select(m => m.Name));
        Assert.Equal(2, result.Classes.Count);
        Assert.All(result.Methods, m => Assert.Equal([2, 5, 10], m.Cells.Select(c => c.Components)));
        var nmf = result.Methods[1].Cells;
        Assert.All(nmf, c => Assert.NotNull(c.Figures));
        Assert.True(nmf[2].Figures!.RSquared > nmf[0].Figures!.RSquared, "more concepts explain more");
        Assert.All(nmf, c => Assert.InRange(c.Figures!.Stability!.Value, 0, 1.0001));
        Assert.True(nmf[2].Figures!.HeldOutRSquared < nmf[2].Figures!.RSquared, "what was left out of the fit is explained less well");
        // k-means has one active concept a row.
        Assert.Equal(0.1, result.Methods[2].Cells[2].Figures!.ActiveShare!.Value, 1e-9);

        var faithfulness = result.Faithfulness!;
        Assert.True(result.LinearHead);
        Assert.Equal(["closed-form", "integrated-gradients", "gradient", "tcav", "random", "oracle"], faithfulness.Estimators.Select(e => e.Name));
        var by = faithfulness.Estimators.ToDictionary(e => e.Name);
        Assert.Equal(by["oracle"].Deletion!.Value, by["closed-form"].Deletion!.Value, 1e-8);
        Assert.Equal(by["closed-form"].Insertion!.Value, by["integrated-gradients"].Insertion!.Value, 1e-5);
        Assert.Equal(1, by["closed-form"].DeletionQuality!.Value, 1e-6);
        Assert.True(by["closed-form"].Deletion < by["random"].Deletion && by["closed-form"].Deletion < by["tcav"].Deletion);
        Assert.True(by["closed-form"].Insertion > by["random"].Insertion && by["closed-form"].Insertion > by["tcav"].Insertion);
        Assert.True(by["closed-form"].MuFidelity > 0.999 && by["tcav"].MuFidelity < by["closed-form"].MuFidelity);
        Assert.All(by.Values, e => Assert.Equal(faithfulness.Components + 1, e.DeletionCurve.Count));
        // All are the same logit with everything, and without anything.
        Assert.All(by.Values, e => Assert.Equal(by["oracle"].DeletionCurve[0], e.DeletionCurve[0], 1e-6));
        Assert.All(by.Values, e => Assert.Equal(by["oracle"].DeletionCurve[^1], e.InsertionCurve[0], 1e-6));
        Assert.Equal(2, faithfulness.Tcav.Count);

        Assert.NotNull(result.SuggestedMethod);
        Assert.Contains(result.Verdict, s => s.Contains("of the variance", StringComparison.Ordinal));
        Assert.Contains(result.Verdict, s => s.StartsWith("Importance: Exact contribution and Integrated gradients tell best", StringComparison.Ordinal));
        var costs = ComparisonMeasurements.Read(_folder["whole"]);
        Assert.Equal(9, costs.Fits.Count);
        Assert.All(costs.Fits, f => Assert.Equal(f.Method == "unique", f.Seconds is null));
        Assert.All(seen.Zip(seen.Skip(1)), p => Assert.True(p.First.Done <= p.Second.Done && p.Second.Done <= p.Second.Total));
        Assert.Equal(seen[^1].Total, seen[^1].Done);
    }

    [Fact]
    public void Stopped_and_resumed_it_ends_with_the_same_bytes_as_at_one_go()
    {
        Compare("once", Wishes, new Watcher(_ => { }));
        using var stop = new CancellationTokenSource();
        Assert.ThrowsAny<OperationCanceledException>(() => Compare("twice", Wishes, new Watcher(p =>
        {
            if (p.Doing.StartsWith("k-means with 2", StringComparison.Ordinal))
            {
                stop.Cancel();
            }
        }), stop.Token));
        Assert.False(File.Exists(Path.Combine(_folder["twice"], ComparisonResult.FileName)));
        var cells = Directory.GetFiles(_folder["twice"], "nmf-*.json", SearchOption.AllDirectories);
        Assert.Equal(3, cells.Length);
        var written = cells.Select(File.GetLastWriteTimeUtc).ToArray();
        Compare("twice", Wishes, new Watcher(_ => { }));
        Assert.Equal(File.ReadAllBytes(Path.Combine(_folder["once"], ComparisonResult.FileName)), File.ReadAllBytes(Path.Combine(_folder["twice"], ComparisonResult.FileName)));
        Assert.Equal(written, cells.Select(File.GetLastWriteTimeUtc));
    }

    [Fact]
    public void Positions_serve_as_rows_too()
    {
        Compare("positions", """{"methods":["nmf"],"components":[4],"granularity":"positions","rowLimit":500,"classLimit":1,"folds":2,"importance":["occlusion"]}""", new Watcher(_ => { }));
        var result = ComparisonResult.Read(_folder["positions"]);
        Assert.Equal(500, result.Classes[0].Rows);
        Assert.InRange(result.Methods[0].Cells[0].Figures!.RSquared!.Value, 0.2, 1);
        Assert.Equal(1, result.Faithfulness!.Estimators[0].DeletionQuality!.Value, 1e-6);
    }

    [Fact]
    public void Equal_wishes_have_equal_texts_and_wrong_ones_a_remedy()
    {
        var task = new CompareTask();
        var text = task.Normalise(JsonDocument.Parse("{}").RootElement);
        Assert.Equal(text, task.Normalise(JsonDocument.Parse(text).RootElement));
        Assert.Equal(text, task.Normalise(JsonDocument.Parse("""{"seed":0,"components":[5,2,25,10,15,20,2]}""").RootElement));
        foreach (var (wrong, named) in new[]
        {
            ("""{"methods":["nonsense"]}""", "nonsense"),
            ("""{"methods":[]}""", "nmf"),
            ("""{"components":[0]}""", "concepts"),
            ("""{"granularity":"pixels"}""", "pixels"),
            ("""{"folds":1}""", "folds"),
            ("""{"importance":["guess"]}""", "guess"),
            ("""{"surprise":1}""", "surprise"),
            ("""{"rowLimit":-1}""", "rows"),
        })
        {
            Assert.Contains(named, Assert.Throws<AnalysisException>(() => task.Normalise(JsonDocument.Parse(wrong).RootElement)).Message);
        }

        Assert.Contains("no class 'x'", Assert.Throws<AnalysisException>(() => Compare("wrong", """{"classes":["x"]}""", new Watcher(_ => { }))).Message);
    }

    [Fact]
    public void Curves_over_fewer_concepts_are_stretched()
    {
        Assert.Equal([3, 2, 1, 0.5, 0], FaithfulnessComparer.Stretch([3, 1, 0], 4));
        Assert.Equal([3, 1, 0], FaithfulnessComparer.Stretch([3, 1, 0], 2));
    }

    private void Compare(string folder, string wishes, ITaskObserver observer, CancellationToken cancellation = default)
    {
        var parameters = new CompareTask().Normalise(JsonDocument.Parse(wishes).RootElement);
        TaskRunner.Run("compare", parameters, _sample.Manifest.Request, _sample.Store, _sample.Result, _folder[folder], observer, cancellation);
    }

    private sealed class Watcher(Action<TaskProgress> watch) : ITaskObserver
    {
        public void OnProgress(TaskProgress progress) => watch(progress);
    }
}
