using Analysis.Numerics;

namespace Analysis.Labels;

/// <summary>How labels are found and tested.</summary>
public sealed record LabellerOptions
{
    /// <summary>Length, beam, bounds of the search.</summary>
    public LabelSearchOptions Search { get; init; } = new();

    /// <summary>Seed of the split and of permutations.</summary>
    public int Seed { get; init; }

    /// <summary>Level of the corrected p-value below which a label counts as significant.</summary>
    public double Level { get; init; } = 0.05;

    /// <summary>Permutations for the null distribution of the winner's AUC; 0 for none.</summary>
    public int Permutations { get; init; }

    /// <summary>Units labelled at the same time.</summary>
    public int Parallel { get; init; } = 1;
}

/// <summary>The best formula of one length.</summary>
/// <param name="Length">Literals allowed.</param>
/// <param name="Auc">On the half that was searched.</param>
/// <param name="HeldOutAuc">On the other half.</param>
public sealed record LengthStep(int Length, double Auc, double HeldOutAuc);

/// <summary>A concept that should not matter and that a unit follows.</summary>
/// <param name="Concept">Number of the concept.</param>
/// <param name="Auc">Held-out AUC over all samples.</param>
/// <param name="WithinClass">Mean held-out AUC inside the groups in which the concept varies; NaN where there is none. High values are not explained by the group.</param>
public sealed record SpuriousConcept(int Concept, double Auc, double WithinClass);

/// <summary>The label of one unit (a neuron, or the projection on a concept vector).</summary>
public sealed record UnitLabel
{
    /// <summary>The formula; null for a constant unit or where no formula lies inside the bounds.</summary>
    public Formula? Formula { get; init; }

    /// <summary>AUC on the half that was searched; biased upwards, since it is the best of many.</summary>
    public double Auc { get; init; } = double.NaN;

    /// <summary>AUC on the half that was not searched.</summary>
    public double HeldOutAuc { get; init; } = double.NaN;

    /// <summary>Samples of both halves that fulfil the formula.</summary>
    public int Support { get; init; }

    /// <summary>log10 of the one-sided p on the half that was not searched; 0 without a formula.</summary>
    public double Log10P { get; init; }

    /// <summary>log10 of that p corrected over all units by Holm's method.</summary>
    public double Log10Corrected { get; init; }

    /// <summary>True where the corrected p is below the level.</summary>
    public bool Significant { get; init; }

    /// <summary>p of the winner's AUC among the winners of permuted activations; null where none were asked for.</summary>
    public double? PermutationP { get; init; }

    /// <summary>The best formula of each length.</summary>
    public IReadOnlyList<LengthStep> Steps { get; init; } = [];

    /// <summary>The last beam, best first.</summary>
    public IReadOnlyList<ScoredFormula> Beam { get; init; } = [];

    /// <summary>Artefacts that the unit follows, strongest first.</summary>
    public IReadOnlyList<SpuriousConcept> Spurious { get; init; } = [];
}

/// <summary>
/// Labels units with formulas that are tested honestly (METHODS 5.4): the search sees one half of the samples, the one winner
/// is tested one-sided on the other half, and the p-values of all units are corrected together. Samples of one group (equal
/// pictures, one scene) are never divided between the halves.
/// </summary>
public static class Labeller
{
    /// <summary>Held-out AUC from which a unit is said to follow an artefact.</summary>
    public const double SpuriousFrom = 0.8;

    /// <summary>AUC inside classes below which a high AUC over all samples is put down to the class.</summary>
    public const double NotByClassAlone = 0.65;

    private const int FewestSamples = 20;
    private const int FewestInGroup = 5;

    /// <summary>Labels units.</summary>
    /// <param name="labels">Labels of the n samples.</param>
    /// <param name="units">Number of units Q.</param>
    /// <param name="activation">Activation of a unit on the n samples; called from several threads, twice for each unit.</param>
    /// <param name="groups">Group of each sample that must stay together, length n; null where each stands alone.</param>
    /// <param name="classes">Class of each sample, for AUCs inside classes, length n; null for none.</param>
    /// <param name="options">Search, seed, level.</param>
    /// <param name="progress">Called with the number of units done.</param>
    /// <param name="cancellation">Honoured between units.</param>
    /// <exception cref="AnalysisException">Too few samples, no usable concept, NaN activations.</exception>
    public static UnitLabel[] Label(
        LabelMatrix labels,
        int units,
        Func<int, double[]> activation,
        int[]? groups,
        int[]? classes,
        LabellerOptions options,
        Action<int>? progress = null,
        CancellationToken cancellation = default)
    {
        var result = Test(labels, units, activation, groups, classes, options, progress, cancellation);
        Correct(result, options.Level);
        return result;
    }

    /// <summary>As <see cref="Label"/> without the correction, for units that come in blocks: <see cref="Correct"/> follows once for all of them.</summary>
    public static UnitLabel[] Test(
        LabelMatrix labels,
        int units,
        Func<int, double[]> activation,
        int[]? groups,
        int[]? classes,
        LabellerOptions options,
        Action<int>? progress = null,
        CancellationToken cancellation = default)
    {
        options.Search.Validate();
        if (labels.Samples < FewestSamples)
        {
            throw new AnalysisException($"{labels.Samples} samples are too few to find labels and test them.", $"Label an analysis of at least {FewestSamples} samples.");
        }

        if (labels.Concepts.Count == 0)
        {
            throw new AnalysisException("No label tells any samples from others: each is shown by all of them or by none.", "Choose more label sources, or add a table of attributes.");
        }

        var (searched, held) = Split(labels.Samples, groups, options.Seed);
        var (searchLabels, heldLabels) = (labels.Take(searched), labels.Take(held));
        var beams = new LabelSearch(searchLabels, options.Search).Search(units, q => Select(activation(q), searched), options.Parallel, progress, cancellation);
        var result = new UnitLabel[units];
        Parallel.For(0, units, new ParallelOptions { MaxDegreeOfParallelism = Math.Max(1, options.Parallel), CancellationToken = cancellation }, q =>
            result[q] = One(labels, heldLabels, searchLabels, beams[q], activation(q), searched, held, classes, options, cancellation));
        return result;
    }

    /// <summary>Divides samples into two halves, groups undivided; each half ascending.</summary>
    public static (int[] Searched, int[] Held) Split(int samples, int[]? groups, int seed)
    {
        var members = Enumerable.Range(0, samples).GroupBy(i => groups is null ? i : groups[i]).Select(g => g.ToArray()).ToArray();
        new Random(seed).Shuffle(members);
        var (first, second) = (new List<int>(), new List<int>());
        foreach (var group in members)
        {
            (first.Count <= second.Count ? first : second).AddRange(group);
        }

        first.Sort();
        second.Sort();
        return ([.. first], [.. second]);
    }

    private static UnitLabel One(
        LabelMatrix all,
        LabelMatrix held,
        LabelMatrix searchLabels,
        IReadOnlyList<IReadOnlyList<ScoredFormula>> beams,
        double[] activation,
        int[] searched,
        int[] heldRows,
        int[]? classes,
        LabellerOptions options,
        CancellationToken cancellation)
    {
        if (beams.Count == 0 || beams[^1].Count == 0)
        {
            return new UnitLabel();
        }

        var values = Select(activation, heldRows);
        var ranks = Ranks.Average(values);
        var best = beams[^1][0];
        var test = MannWhitney.Test(values, Unpack(best.Formula.Evaluate(held), held.Samples));
        var log10P = options.Search.Negative ? test.Log10Less : test.Log10Greater;
        return new UnitLabel
        {
            Formula = best.Formula,
            Auc = best.Auc,
            HeldOutAuc = test.Auc,
            Support = LabelMatrix.Count(best.Formula.Evaluate(all)),
            Log10P = double.IsNaN(test.Auc) ? 0 : log10P,
            PermutationP = options.Permutations > 0 ? Permuted(searchLabels, Select(activation, searched), best.Auc, options, cancellation) : null,
            Steps = [.. beams.Where(b => b.Count > 0).Select((b, i) => new LengthStep(i + 1, b[0].Auc, MannWhitney.AucFromRanks(ranks, Unpack(b[0].Formula.Evaluate(held), held.Samples))))],
            Beam = beams[^1],
            Spurious = Artefacts(held, beams[0][0].Formula.Literals[0], ranks, values, classes is null ? null : Array.ConvertAll(heldRows, r => classes[r])),
        };
    }

    private static double Permuted(LabelMatrix labels, double[] activation, double auc, LabellerOptions options, CancellationToken cancellation)
    {
        var random = new Random(options.Seed);
        var search = new LabelSearch(labels, options.Search);
        var shuffled = (double[])activation.Clone();
        var asGood = 0;
        for (var round = 0; round < options.Permutations; round++)
        {
            cancellation.ThrowIfCancellationRequested();
            random.Shuffle(shuffled);
            var found = search.Search(shuffled);
            asGood += found.Count > 0 && found[^1].Count > 0 && (options.Search.Negative ? found[^1][0].Auc <= auc : found[^1][0].Auc >= auc) ? 1 : 0;
        }

        return (1.0 + asGood) / (1 + options.Permutations);
    }

    private static IReadOnlyList<SpuriousConcept> Artefacts(LabelMatrix held, Literal best, double[] ranks, double[] values, int[]? classes)
    {
        var found = new List<SpuriousConcept>();
        for (var j = 0; j < held.Concepts.Count; j++)
        {
            if (!held.Concepts[j].Artefact || held.Counts[j] == 0 || held.Counts[j] == held.Samples)
            {
                continue;
            }

            var shown = Unpack(held.Column(j).ToArray(), held.Samples);
            var auc = MannWhitney.AucFromRanks(ranks, shown);
            var within = WithinClass(values, shown, classes);
            // A mark that sits on one class is followed by every unit of that class; only where the mark varies inside
            // classes can the two be told apart.
            var followed = auc >= SpuriousFrom && best == new Literal(j, false) && !(within < NotByClassAlone);
            if (followed || within >= SpuriousFrom)
            {
                found.Add(new SpuriousConcept(j, auc, within));
            }
        }

        return [.. found.OrderByDescending(f => double.IsNaN(f.WithinClass) ? f.Auc : Math.Max(f.Auc, f.WithinClass)).ThenBy(f => f.Concept)];
    }

    /// <summary>Mean over classes of the AUC inside the class, weighted by the smaller side; NaN where the concept varies in none.</summary>
    private static double WithinClass(double[] values, bool[] shown, int[]? classes)
    {
        if (classes is null)
        {
            return double.NaN;
        }

        double sum = 0, weight = 0;
        foreach (var group in Enumerable.Range(0, values.Length).GroupBy(i => classes[i]))
        {
            int[] rows = [.. group];
            var inside = Array.ConvertAll(rows, r => shown[r]);
            var fewer = Math.Min(inside.Count(s => s), inside.Count(s => !s));
            if (fewer >= FewestInGroup)
            {
                sum += fewer * MannWhitney.Auc(Array.ConvertAll(rows, r => values[r]), inside);
                weight += fewer;
            }
        }

        return weight > 0 ? sum / weight : double.NaN;
    }

    /// <summary>Holm's correction over all units, in place, in logarithms, since p-values of large samples leave the range of doubles.</summary>
    /// <param name="labels">Tested labels.</param>
    /// <param name="level">Level of the corrected p-value below which a label counts as significant.</param>
    public static void Correct(UnitLabel[] labels, double level)
    {
        var tested = Enumerable.Range(0, labels.Length).Where(q => labels[q].Formula is not null).OrderBy(q => labels[q].Log10P).ThenBy(q => q).ToArray();
        var running = double.NegativeInfinity;
        for (var i = 0; i < tested.Length; i++)
        {
            running = Math.Max(running, Math.Min(0, labels[tested[i]].Log10P + Math.Log10(tested.Length - i)));
            labels[tested[i]] = labels[tested[i]] with { Log10Corrected = running, Significant = running < Math.Log10(level) };
        }
    }

    private static double[] Select(double[] values, int[] rows) => Array.ConvertAll(rows, r => values[r]);

    private static bool[] Unpack(ulong[] set, int samples)
    {
        var shown = new bool[samples];
        for (var i = 0; i < samples; i++)
        {
            shown[i] = LabelMatrix.Contains(set, i);
        }

        return shown;
    }
}
