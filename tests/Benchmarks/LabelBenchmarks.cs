using System.Diagnostics;
using Analysis.Labels;
using Analysis.Numerics;

namespace Benchmarks;

/// <summary>Time of the search for formulas on made-up labels of ImageNet's form: classes and the unions of classes above them.</summary>
internal static class LabelBenchmarks
{
    private const double ShareOfClasses = 1000.0 / 1481;

    /// <summary>
    /// --components neurons (512), --rows samples, --columns concepts, length 3, beam 3. With --limit, that many neurons are
    /// searched again by evaluating and ranking every formula, and both answers are compared.
    /// </summary>
    public static BenchmarkReport Invert(BenchmarkOptions options)
    {
        options.Prepare();
        var (labels, classes, classOf) = Hierarchy(options.Rows, options.Columns);
        var search = new LabelSearchOptions();
        var neurons = options.Components;
        var threads = options.Threads > 0 ? options.Threads : Environment.ProcessorCount;
        var report = new BenchmarkReport("invert").With("rows", options.Rows).With("columns", labels.Concepts.Count).With("neurons", neurons).With("density", labels.Density);
        var found = report.Measure(options, () => new LabelSearch(labels, search).Search(neurons, q => Activation(q, classes, classOf), threads));
        report.With("meanAuc", found.Average(f => f[^1][0].Auc));
        if (options.Limit is { } limit)
        {
            var clock = Stopwatch.StartNew();
            var same = 0;
            for (var q = 0; q < limit; q++)
            {
                same += Same(Slowly(labels, Activation(q, classes, classOf), search), found[q], labels) ? 1 : 0;
            }

            report.With("slowNeurons", limit).With("slowSecondsPerNeuron", clock.Elapsed.TotalSeconds / limit).With("sameFormulas", same);
            report.With("sortedAucSeconds", SortedAuc(labels, Activation(0, classes, classOf)));
        }

        return report;
    }

    /// <summary>Classes of equal size, and unions of neighbouring classes of very different sizes.</summary>
    private static (LabelMatrix Labels, int Classes, int[] ClassOf) Hierarchy(int samples, int concepts)
    {
        var classes = Math.Max(2, (int)Math.Round(concepts * ShareOfClasses));
        var classOf = Enumerable.Range(0, samples).Select(i => (int)((long)i * classes / samples)).ToArray();
        var random = new Random(7);
        var columns = Enumerable.Range(0, classes).Select(c => (new LabelConcept($"class {c}", "class"), Array.ConvertAll(classOf, k => k == c)))
            .Concat(Enumerable.Range(0, concepts - classes).Select(h =>
            {
                var width = (int)Math.Min(classes / 2.0, 2 + Math.Pow(random.NextDouble(), 6) * classes / 2);
                var first = random.Next(classes - width);
                return (new LabelConcept($"group {h}", "hierarchy"), Array.ConvertAll(classOf, k => k >= first && k < first + width));
            }));
        return (LabelMatrix.Create(samples, columns), classes, classOf);
    }

    /// <summary>A rectified neuron that answers to a few neighbouring classes.</summary>
    private static double[] Activation(int neuron, int classes, int[] classOf)
    {
        var random = new Random(neuron);
        var (centre, width) = (random.Next(classes), 1 + random.Next(20));
        return Array.ConvertAll(classOf, k => Math.Max(0, (Math.Abs(k - centre) <= width ? 1.5 : 0) + Gaussian(random) - 0.5));
    }

    private static double Gaussian(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    private static double SortedAuc(LabelMatrix labels, double[] activation)
    {
        var mask = new bool[labels.Samples];
        foreach (var i in LabelMatrix.Members(labels.Column(0).ToArray()))
        {
            mask[i] = true;
        }

        const int Calls = 20;
        var clock = Stopwatch.StartNew();
        for (var i = 0; i < Calls; i++)
        {
            _ = MannWhitney.Auc(activation, mask);
        }

        return clock.Elapsed.TotalSeconds / Calls;
    }

    private static bool Same(List<ulong[]> slow, IReadOnlyList<IReadOnlyList<ScoredFormula>> found, LabelMatrix labels) =>
        slow.Count == found[^1].Count && slow.Zip(found[^1], (s, f) => s.AsSpan().SequenceEqual(f.Formula.Evaluate(labels))).All(equal => equal);

    /// <summary>The beam search that evaluates every formula on every sample. Ranks are computed once, which favours it.</summary>
    private static List<ulong[]> Slowly(LabelMatrix labels, double[] activation, LabelSearchOptions options)
    {
        var (n, m) = (labels.Samples, labels.Concepts.Count);
        var ranks = Ranks.Average(activation);
        var beam = new List<(double Auc, int Length, int Count, ulong[] Mask)>();
        for (var length = 1; length <= options.MaximumLength; length++)
        {
            var kept = beam.ToList();
            var parents = length == 1 ? [(0.0, 0, 0, new ulong[labels.Words])] : beam.ToArray();
            foreach (var parent in parents)
            {
                for (var j = 0; j < m; j++)
                {
                    for (var variant = 0; variant < (length == 1 ? 2 : 4); variant++)
                    {
                        var mask = Join(labels, parent.Item4, j, negated: variant % 2 == 1, or: length == 1 || variant >= 2);
                        var count = LabelMatrix.Count(mask);
                        if (count > 0 && count < n && count >= options.MinimumFraction * n && count <= options.MaximumFraction * n)
                        {
                            double sum = 0;
                            foreach (var i in LabelMatrix.Members(mask))
                            {
                                sum += ranks[i];
                            }

                            var auc = (sum - (count * (count + 1.0) / 2)) / ((double)count * (n - count));
                            kept.Add((auc, length, count, mask));
                        }
                    }
                }
            }

            var next = new List<(double Auc, int Length, int Count, ulong[] Mask)>();
            foreach (var candidate in kept.OrderByDescending(k => k.Auc).ThenBy(k => k.Length).ThenByDescending(k => k.Count))
            {
                if (next.Count < options.Beam && !next.Any(k => k.Mask.AsSpan().SequenceEqual(candidate.Mask)))
                {
                    next.Add(candidate);
                }
            }

            beam = next;
        }

        return [.. beam.Select(b => b.Mask)];
    }

    private static ulong[] Join(LabelMatrix labels, ulong[] parent, int concept, bool negated, bool or)
    {
        var column = labels.Column(concept);
        var mask = new ulong[parent.Length];
        for (var w = 0; w < mask.Length; w++)
        {
            var word = negated ? ~column[w] : column[w];
            mask[w] = or ? parent[w] | word : parent[w] & word;
        }

        if (labels.Samples % 64 is var rest and > 0)
        {
            mask[^1] &= (1UL << rest) - 1;
        }

        return mask;
    }
}
