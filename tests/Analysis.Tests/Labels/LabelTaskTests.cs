using System.Text.Json;
using Analysis.Atlas;
using Analysis.Labels;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using Analysis.Tests.Runs;
using Xunit;

namespace Analysis.Tests.Labels;

/// <summary>Labels of the built-in sample's neurons and concepts against what was planted.</summary>
public sealed class LabelTaskTests(SampleRun run) : IClassFixture<SampleRun>
{
    private const double Encodes = 0.9;

    [Fact]
    public void UnitsThatEncodeAPlantedAttributeAreLabelledByIt()
    {
        using var folder = new TemporaryFolder();
        using var context = new TaskContext(run.Request, run.Store, run.Result, TestContext.Current.CancellationToken);
        var report = Label(context, folder["task"], """{"sources":["attributes"]}""");
        Assert.Equal(report.Units.Count(u => u.Kind == "neuron"), run.Manifest.Layer.Channels);
        var planted = LabelSources.Attributes(File.ReadAllText(Path.Combine(run.Images, "attributes.csv")), [.. context.Samples.Select(s => s.Path)]);
        using var pooled = context.Store.ReadTensor("pooled.0", 0, context.Store.Rows);
        var activations = DenseMatrix.FromTensor(pooled);
        var (encoding, labelled, others) = (0, 0, new List<string>());
        foreach (var unit in report.Units)
        {
            var direction = unit.Class is { } index ? Vector(index, unit.Index) : null;
            var values = Enumerable.Range(0, activations.Rows).Select(i => direction is null ? activations[i, unit.Index] : Vectors.Dot(activations.Row(i), direction)).ToArray();
            var ranks = Ranks.Average(values);
            // Independent of the search: the planted attribute that the unit separates best over all samples.
            var best = planted.Select(a => (a.Concept.Name, Auc: MannWhitney.AucFromRanks(ranks, a.Shown))).MaxBy(a => a.Auc);
            if (best.Auc < Encodes)
            {
                continue;
            }

            encoding++;
            if (unit.Significant && unit.Literals.Any(l => !l.Negated && report.Concepts[l.Concept].Name.Split(" = ").Contains(best.Name)))
            {
                labelled++;
            }
            else
            {
                others.Add($"{unit.Kind} {unit.Index} of {unit.ClassName}: {best.Name} with {best.Auc:0.000}, but {unit.Label} with {unit.HeldOutAuc:0.000}");
            }
        }

        Assert.True(encoding >= 10, $"{encoding} units encode an attribute");
        Assert.True(labelled >= 0.9 * encoding, $"{labelled} of {encoding}; not: {string.Join("; ", others)}");
        TestContext.Current.TestOutputHelper?.WriteLine($"{labelled} of {encoding} units that encode an attribute are labelled by it");
    }

    [Fact]
    public void CopiesOfOnePictureAreNeverInBothHalves()
    {
        using var context = new TaskContext(run.Request, run.Store, run.Result, TestContext.Current.CancellationToken);
        var groups = LabelTask.Groups(context);
        Assert.InRange(groups.Distinct().Count(), 2, groups.Length - 1);
        var (searched, held) = Labeller.Split(groups.Length, groups, seed: 0);
        Assert.Empty(searched.Select(i => groups[i]).Intersect(held.Select(i => groups[i])));
    }

    [Fact]
    public void TheWatermarkIsFlagged()
    {
        using var folder = new TemporaryFolder();
        var report = Label(folder["task"], "{}");
        var flagged = report.Units.Where(u => u.Spurious.Any(s => s.Name.Contains("watermark", StringComparison.Ordinal))).ToList();
        Assert.NotEmpty(flagged);
        Assert.NotEmpty(report.Circuits);
        Assert.All(report.Circuits, c => Assert.Equal(c.Neurons.OrderByDescending(n => n.Contribution), c.Neurons));
    }

    [Fact]
    public void ConceptsThatPeopleDefinedNameUnitsAndOneThatMeansNothingIsLeftOutWithItsReason()
    {
        using var folder = new TemporaryFolder();
        using var context = new TaskContext(run.Request, run.Store, run.Result, TestContext.Current.CancellationToken);
        var report = Label(context, folder["task"], """
            {"sources":["concepts"],"length":1,"concepts":[
              {"name":"bands","source":"attribute","attribute":"texture","value":"striped"},
              {"name":"gone","source":"samples","positives":["no/such.png"]}]}
            """);
        var planted = LabelSources.Attributes(File.ReadAllText(Path.Combine(run.Images, "attributes.csv")), [.. context.Samples.Select(s => s.Path)]);
        var concept = Assert.Single(report.Concepts);
        Assert.Equal(("bands", "user", planted.Single(p => p.Concept.Name == "texture striped").Shown.Count(s => s)), (concept.Name, concept.Source, concept.Samples));
        Assert.Contains(report.Units, u => u is { Significant: true, Label: "bands", HeldOutAuc: > 0.8 });
        Assert.Contains("The concept gone was left out", Assert.Single(report.Notes));
        // A label is one of whole images; where in them is said to be of no account.
        var region = Label(context, folder["region"], $$"""
            {"sources":["concepts"],"length":1,"concepts":[{"name":"corner","source":"region","regions":[
              {{string.Join(',', context.Samples.Take(40).Select(s => $$"""{"path":{{JsonSerializer.Serialize(s.Path)}},"left":0,"top":0,"width":0.5,"height":0.5}"""))}}]}]}
            """);
        Assert.Contains("Where corner lies in the images is not used", Assert.Single(region.Notes));
        // Requests without them are written as before, so that stored labels are found.
        Assert.DoesNotContain("\"concepts\":", new LabelTask().Normalise(JsonDocument.Parse("{}").RootElement));
    }

    [Fact]
    public void TheSameRequestGivesTheSameBytes()
    {
        using var folder = new TemporaryFolder();
        Label(folder["a"], """{"units":"concepts"}""");
        Label(folder["b"], """{"units":"concepts"}""");
        Assert.Equal(File.ReadAllBytes(Path.Combine(folder["a"], "result.json")), File.ReadAllBytes(Path.Combine(folder["b"], "result.json")));
    }

    [Fact]
    public void TheTableOfConceptsHasTheLabelsFoundLast()
    {
        using var folder = new TemporaryFolder();
        var report = Label(folder["a"], """{"units":"concepts","length":2}""");
        var rows = ResultTables.Read<ConceptRow>(run.Result, ResultTables.Concepts);
        var expected = report.Units.ToDictionary(u => u.Concept!.Value, u => u.Significant ? (u.Label!, u.HeldOutAuc) : ("", null));
        Assert.Equal(expected.Count, rows.Count);
        Assert.Contains(rows, r => r is { Label.Length: > 0, LabelAuc: > 0.5 });
        Assert.All(rows, r => Assert.Equal(expected[r.Id], (r.Label, r.LabelAuc)));
        Assert.All(rows, r => Assert.True(r.Importance != 0 || r.Prevalence != 0));

        // Labels of neurons alone say nothing about concepts.
        Label(folder["b"], """{"units":"neurons","length":1}""");
        Assert.Equal(rows.Select(r => r.Label), ResultTables.Read<ConceptRow>(run.Result, ResultTables.Concepts).Select(r => r.Label));
    }

    [Theory]
    [InlineData("""{"sources":["unknown"]}""")]
    [InlineData("""{"sources":[]}""")]
    [InlineData("""{"units":"layers"}""")]
    [InlineData("""{"sources":["concepts"]}""")]
    [InlineData("""{"sources":["concepts"],"concepts":[{"name":"x","source":"magic"}]}""")]
    [InlineData("""{"length":9}""")]
    [InlineData("""{"permutations":-1}""")]
    [InlineData("""{"beam":"many"}""")]
    public void ImpossibleWishesAreRefused(string parameters) =>
        Assert.Throws<AnalysisException>(() => new LabelTask().Normalise(JsonDocument.Parse(parameters).RootElement));

    private LabelReport Label(string folder, string parameters)
    {
        using var context = new TaskContext(run.Request, run.Store, run.Result, TestContext.Current.CancellationToken);
        return Label(context, folder, parameters);
    }

    private static LabelReport Label(TaskContext context, string folder, string parameters)
    {
        var task = new LabelTask();
        Directory.CreateDirectory(folder);
        task.Run(context, task.Normalise(JsonDocument.Parse(parameters).RootElement), folder, new Silent(), TestContext.Current.CancellationToken);
        return JsonSerializer.Deserialize<LabelReport>(File.ReadAllBytes(Path.Combine(folder, "result.json")), AnalysisJson.Options)!;
    }

    private double[] Vector(int classIndex, int concept)
    {
        using var file = SafetensorsFile.Open(ClassArraysFile.PathOf(run.Result, classIndex));
        var width = (int)file.Entry("concept_vectors").Shape[1];
        return Array.ConvertAll(file.Span<float>("concept_vectors").Slice(concept * width, width).ToArray(), v => (double)v);
    }

    private sealed class Silent : ITaskObserver
    {
        public void OnProgress(TaskProgress progress)
        {
        }
    }
}
