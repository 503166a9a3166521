using Analysis.Labels;
using Analysis.Numerics;
using TorchSharp;
using Xunit;

namespace Analysis.Tests.Labels;

public sealed class LabelSearchTests
{
    [Fact]
    public void SumsFindWhatTryingEveryFormulaFinds()
    {
        var random = new Random(3);
        for (var round = 0; round < 6; round++)
        {
            var (labels, shown) = Random(random, 230, 9, round % 2 == 0 ? 0.1 : 0.45);
            var activation = Enumerable.Range(0, 230).Select(i => Math.Round(Math.Max(0, random.NextDouble() - 0.4 + (shown[2][i] ? 0.5 : 0)), 1)).ToArray();
            var options = new LabelSearchOptions { MaximumLength = 3, Beam = 3, MinimumFraction = 0.01, MaximumFraction = 0.6, Negative = round == 4 };
            var search = new LabelSearch(labels, options);
            var slow = Slowly(labels, activation, options);
            torch.set_num_threads(1);
            foreach (var found in new[] { search.Search(activation), search.SearchDense(1, _ => activation, torch.CPU)[0] })
            {
                Assert.Equal(slow.Count, found.Count);
                for (var length = 0; length < slow.Count; length++)
                {
                    Assert.Equal(slow[length].Select(s => s.Auc), found[length].Select(f => f.Auc));
                    Assert.Equal(slow[length].Select(s => s.Mask), found[length].Select(f => f.Formula.Evaluate(labels)));
                    Assert.All(found[length], f => Assert.Equal(LabelMatrix.Count(f.Formula.Evaluate(labels)), f.Support));
                }
            }
        }
    }

    [Fact]
    public void APlantedFormulaComesOutOnTop()
    {
        var hits = 0;
        for (var seed = 0; seed < 20; seed++)
        {
            var random = new Random(seed);
            var (labels, shown) = Random(random, 3000, 12, 0.2);
            var truth = Enumerable.Range(0, 3000).Select(i => (shown[1][i] || shown[4][i]) && !shown[7][i]).ToArray();
            var activation = truth.Select(t => (t ? 1.5 : 0) + Gaussian(random)).ToArray();
            var best = new LabelSearch(labels, new LabelSearchOptions { Beam = 5, MinimumFraction = 0.05 }).Search(activation)[^1][0];
            hits += best.Formula.Evaluate(labels).AsSpan().SequenceEqual(LabelMatrix.Pack(truth)) ? 1 : 0;
        }

        Assert.True(hits >= 19, $"{hits} of 20");
    }

    [Fact]
    public void AConstantNeuronHasNoFormulaAndNaNIsRefused()
    {
        var (labels, _) = Random(new Random(1), 100, 4, 0.3);
        var search = new LabelSearch(labels, new LabelSearchOptions());
        Assert.Empty(search.Search(new double[100]));
        var broken = new double[100];
        broken[5] = double.NaN;
        Assert.Throws<AnalysisException>(() => search.Search(broken));
    }

    [Fact]
    public void ConceptsThatSeparateNothingAreLeftOutAndEqualOnesMerged()
    {
        bool[] a = [true, false, true, false];
        var labels = LabelMatrix.Create(4,
        [
            (new LabelConcept("never", "class"), new bool[4]),
            (new LabelConcept("always", "class"), [true, true, true, true]),
            (new LabelConcept("a", "class"), a),
            (new LabelConcept("b", "attribute", Artefact: true), (bool[])a.Clone()),
        ]);
        var only = Assert.Single(labels.Concepts);
        Assert.Equal(("a = b", true), (only.Name, only.Artefact));
        Assert.Equal([0, 1], labels.Take([2, 1, 3]).ConceptsOf(0).ToArray().Concat([1]));
    }

    [Theory]
    [InlineData(0, 3, 0.1, 0.5)]
    [InlineData(6, 3, 0.1, 0.5)]
    [InlineData(3, 11, 0.1, 0.5)]
    [InlineData(3, 3, 0.5, 0.5)]
    [InlineData(3, 3, double.NaN, 0.5)]
    public void OptionsOutOfRangeAreRefused(int length, int beam, double minimum, double maximum) =>
        Assert.Throws<AnalysisException>(() => new LabelSearchOptions { MaximumLength = length, Beam = beam, MinimumFraction = minimum, MaximumFraction = maximum }.Validate());

    [Fact]
    public void FormulasReadWell()
    {
        LabelConcept[] names = [new("dog", "class"), new("cat", "class"), new("indoors", "attribute")];
        var formula = new Formula(new Literal(0, false)).With(Connective.Or, new Literal(1, false)).With(Connective.And, new Literal(2, true));
        Assert.Equal("(dog OR cat) AND NOT indoors", formula.InWords(names));
        Assert.Equal("dog | cat | ~indoors", new Formula(new Literal(0, false)).With(Connective.Or, new Literal(1, false)).With(Connective.Or, new Literal(2, true)).InSymbols(names));
    }

    private static (LabelMatrix Labels, bool[][] Shown) Random(Random random, int samples, int concepts, double density)
    {
        var shown = Enumerable.Range(0, concepts).Select(_ => Enumerable.Range(0, samples).Select(_ => random.NextDouble() < density).ToArray()).ToArray();
        return (LabelMatrix.Create(samples, shown.Select((s, j) => (new LabelConcept($"c{j:00}", "attribute"), s))), shown);
    }

    private static double Gaussian(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    /// <summary>The beam search of METHODS 5.2 as it is written: every formula is evaluated and tested.</summary>
    private static List<List<(double Auc, ulong[] Mask)>> Slowly(LabelMatrix labels, double[] activation, LabelSearchOptions options)
    {
        var literals = Enumerable.Range(0, labels.Concepts.Count).SelectMany(j => new[] { new Literal(j, false), new Literal(j, true) }).ToArray();
        var beams = new List<List<(double Auc, ulong[] Mask)>>();
        List<Formula> beam = [];
        for (var length = 1; length <= options.MaximumLength; length++)
        {
            var candidates = beam.ToList();
            candidates.AddRange(length == 1
                ? literals.Select(l => new Formula(l))
                : beam.SelectMany(f => Enumerable.Range(0, labels.Concepts.Count).SelectMany(j => new[] { Connective.And, Connective.Or }
                    .SelectMany(c => new[] { false, true }.Select(negated => f.With(c, new Literal(j, negated)))))));
            var kept = new List<(double Auc, ulong[] Mask, Formula Formula, int Order)>();
            foreach (var formula in candidates)
            {
                var mask = formula.Evaluate(labels);
                var shown = LabelSearchGoldenTests.Unpack(mask, labels.Samples);
                var count = shown.Count(s => s);
                if (count > 0 && count < labels.Samples && count >= options.MinimumFraction * labels.Samples && count <= options.MaximumFraction * labels.Samples)
                {
                    kept.Add((MannWhitney.Auc(activation, shown), mask, formula, kept.Count));
                }
            }

            var distinct = new List<(double Auc, ulong[] Mask, Formula Formula, int Order)>();
            foreach (var candidate in kept.OrderByDescending(k => options.Negative ? 1 - k.Auc : k.Auc).ThenBy(k => k.Formula.Length).ThenByDescending(k => LabelMatrix.Count(k.Mask)).ThenBy(k => k.Order))
            {
                if (distinct.Count < options.Beam && !distinct.Any(d => d.Mask.AsSpan().SequenceEqual(candidate.Mask)))
                {
                    distinct.Add(candidate);
                }
            }

            beam = [.. distinct.Select(d => d.Formula)];
            beams.Add([.. distinct.Select(d => (d.Auc, d.Mask))]);
        }

        return beams;
    }
}
