using Analysis.Numerics;
using Analysis.Probes;
using Analysis.Runs.Tasks;
using Analysis.Tests.Runs;
using Xunit;

namespace Analysis.Tests.Probes;

/// <summary>Concepts of every source, resolved on the built-in sample.</summary>
public sealed class ConceptResolverTests(SampleRun run) : IClassFixture<SampleRun>
{
    [Fact]
    public void ClassesAreTheirFolders()
    {
        using var context = Open();
        var labels = ConceptResolver.Resolve(context, new ConceptDefinition { Name = "disc", Source = "classes", Classes = ["blue disc", "red disc"] });
        Assert.All(context.Samples, s => Assert.Equal(s.Class is "blue disc" or "red disc" ? 1 : 0, labels.Targets[s.Index]));
        Assert.InRange(Share(labels, 1), 0.28, 0.32);
        Assert.InRange(Share(labels, 0), 0.28, 0.32);
    }

    [Fact]
    public void TaggedSamplesAreComparedWithThoseThatAreSaidNotToShowIt()
    {
        using var context = Open();
        string[] yes = [.. context.Samples.Take(6).Select(s => s.Path)];
        string[] no = [.. context.Samples.Skip(300).Take(9).Select(s => s.Path)];
        var labels = ConceptResolver.Resolve(context, new ConceptDefinition { Name = "tagged", Source = "samples", Positives = yes, Negatives = no });
        Assert.Equal((6, 9), (labels.Positives, labels.Negatives));
        Assert.Equal(context.Samples.Count - 15, labels.Targets.Count(double.IsNaN));
        var all = ConceptResolver.Resolve(context, new ConceptDefinition { Name = "tagged", Source = "samples", Positives = yes });
        Assert.Equal((6, context.Samples.Count - 6), (all.Positives, all.Negatives));
        var region = ConceptResolver.Resolve(context, new ConceptDefinition { Name = "placed", Source = "region", Regions = [.. yes.Select(p => new ConceptRegion(p, 0, 0, 0.5, 0.5))] });
        Assert.Equal(all.Targets, region.Targets);
    }

    [Fact]
    public void AttributesAreYesAndNoOrOneOfSomeWords()
    {
        using var context = Open();
        var header = File.ReadLines(Path.Combine(run.Images, "attributes.csv")).First().Split(',');
        var rows = File.ReadLines(Path.Combine(run.Images, "attributes.csv")).Skip(1).Select(l => l.Split(',')).ToDictionary(c => c[Array.IndexOf(header, "path")]);
        var shape = Array.IndexOf(header, "shape");
        var disc = ConceptResolver.Resolve(context, new ConceptDefinition { Name = "disc", Source = "attribute", Attribute = "Shape", Value = "disc" });
        Assert.All(context.Samples, s => Assert.Equal(!rows.TryGetValue(s.Path, out var row) ? double.NaN : row[shape] == "disc" ? 1 : 0, disc.Targets[s.Index]));
        var mark = header.Single(h => h.Contains("watermark", StringComparison.Ordinal));
        var watermark = ConceptResolver.Resolve(context, new ConceptDefinition { Name = "mark", Source = "attribute", Attribute = mark });
        Assert.False(watermark.Continuous);
        Assert.Equal(rows.Values.Count(r => r[Array.IndexOf(header, mark)] is "1" or "true" or "yes"), watermark.Positives);
    }

    [Fact]
    public void NeuronsAndDiscoveredConceptsAreShownByTheStrongest()
    {
        using var context = Open();
        using var pooled = context.Store.ReadTensor("pooled.0", 0, context.Store.Rows);
        var activation = DenseMatrix.FromTensor(pooled).Column(3);
        var neuron = ConceptResolver.Resolve(context, new ConceptDefinition { Name = "n3", Source = "neuron", Unit = 3, Share = 0.1 });
        Assert.Equal((int)Math.Ceiling(0.1 * activation.Length), neuron.Positives);
        Assert.True(activation.Where((_, i) => neuron.Targets[i] == 1).Min() >= activation.Where((_, i) => neuron.Targets[i] == 0).Max());
        var id = Analysis.Runs.Stages.ClassConcepts.Read(context, 1).Concepts[0].Id;
        var concept = ConceptResolver.Resolve(context, new ConceptDefinition { Name = "c", Source = "concept", Unit = id });
        Assert.Equal((int)Math.Ceiling(0.05 * activation.Length), concept.Positives);
        // The first concept of a class is stronger in the class than elsewhere.
        var members = context.Classes[1].Rows;
        Assert.True(members.Average(i => concept.Targets[i]) > 2 * 0.05);
    }

    [Theory]
    [InlineData("classes", "purple disc", "no class 'purple disc'")]
    [InlineData("attribute", "weight", "no column 'weight'")]
    [InlineData("attribute:heptagon", "shape", "never holds 'heptagon'")]
    [InlineData("attribute", "shape", "holds words")]
    [InlineData("samples", "nowhere/1.png", "nowhere/1.png")]
    [InlineData("neuron", "9999", "no channel 9999")]
    [InlineData("concept", "99999", "identifier 99999")]
    [InlineData("colour", "red", "cannot be said by 'colour'")]
    public void WhatTheAnalysisDoesNotHaveIsSaidInWords(string source, string name, string message)
    {
        using var context = Open();
        var fault = Assert.Throws<AnalysisException>(() => ConceptResolver.Resolve(context, new ConceptDefinition
        {
            Name = "x",
            Source = source.Split(':')[0],
            Classes = [name],
            Positives = [name],
            Attribute = name,
            Value = source.Contains(':', StringComparison.Ordinal) ? source.Split(':')[1] : null,
            Unit = int.TryParse(name, out var number) ? number : 0,
        }));
        Assert.Contains(message, fault.Message, StringComparison.Ordinal);
        Assert.NotEmpty(fault.Remedy!);
    }

    [Fact]
    public void OneSideAloneIsRefused()
    {
        using var context = Open();
        var everything = new ConceptDefinition { Name = "all", Source = "classes", Classes = [.. context.Classes.Select(c => c.Description.Name)] };
        Assert.Contains("not by 0", Assert.Throws<AnalysisException>(() => ConceptResolver.Resolve(context, everything)).Message, StringComparison.Ordinal);
        var one = new ConceptDefinition { Name = "one", Source = "samples", Positives = [context.Samples[0].Path] };
        Assert.Contains("1 different", Assert.Throws<AnalysisException>(() => ConceptResolver.Resolve(context, one)).Message, StringComparison.Ordinal);
        var both = new ConceptDefinition { Name = "both", Source = "samples", Positives = [context.Samples[0].Path, context.Samples[1].Path], Negatives = [context.Samples[0].Path] };
        Assert.Throws<AnalysisException>(() => ConceptResolver.Resolve(context, both));
        Assert.Throws<AnalysisException>(() => ConceptResolver.Validate(new ConceptDefinition { Name = "r", Source = "region", Regions = [new ConceptRegion("a", 0.8, 0, 0.5, 1)] }));
        Assert.Throws<AnalysisException>(() => ConceptResolver.Validate(new ConceptDefinition { Name = "n", Source = "neuron", Unit = 1, Share = 0.9 }));
    }

    [Fact]
    public void DuplicatesStayOnOneSideAndSeedsDiffer()
    {
        var random = new SplitMix64(1);
        var (targets, groups) = (new double[400], new ulong[400]);
        for (var i = 0; i < 400; i++)
        {
            targets[i] = i < 60 ? 1 : i < 380 ? 0 : double.NaN;
            groups[i] = (ulong)random.NextInt(150);
        }

        var first = ConceptSplit.HeldOut(targets, continuous: false, groups, 0);
        Assert.Equal(first, ConceptSplit.HeldOut(targets, continuous: false, groups, 0));
        Assert.NotEqual(first, ConceptSplit.HeldOut(targets, continuous: false, groups, 1));
        foreach (var members in Enumerable.Range(0, 380).GroupBy(i => groups[i]))
        {
            Assert.Single(members.Select(i => first[i]).Distinct());
        }

        Assert.DoesNotContain(true, first[380..]);
        Assert.InRange(Enumerable.Range(0, 380).Count(i => first[i]), 0.25 * 380, 0.35 * 380);
        // Two of a kind: one on each side.
        var few = ConceptSplit.HeldOut([1, 1, 0, 0, 0, 0, 0, 0, 0, 0], continuous: false, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], 5);
        Assert.Equal(1, few[..2].Count(h => h));
        // Numbers: every fifth of the values on both sides.
        double[] numbers = [.. Enumerable.Range(0, 100).Select(i => (double)((i * 37) % 100))];
        var held = ConceptSplit.HeldOut(numbers, continuous: true, [.. Enumerable.Range(0, 100).Select(i => (ulong)i)], 2);
        for (var fifth = 0; fifth < 5; fifth++)
        {
            Assert.Equal(6, numbers.Where((v, i) => held[i] && (int)v / 20 == fifth).Count());
        }
    }

    private TaskContext Open() => new(run.Request, run.Store, run.Result, TestContext.Current.CancellationToken);

    private static double Share(ConceptLabels labels, double target)
    {
        var rows = Enumerable.Range(0, labels.Targets.Length).Where(i => labels.Targets[i] == target).ToArray();
        return rows.Count(i => labels.HeldOut[i]) / (double)rows.Length;
    }
}
