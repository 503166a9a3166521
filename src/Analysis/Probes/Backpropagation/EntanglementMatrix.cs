using Analysis.Numerics;

namespace Analysis.Probes.Backpropagation;

/// <summary>Side effects of changes for one concept on the probes of the others (METHODS 3.3).</summary>
internal static class EntanglementMatrix
{
    /// <summary>Share of a concept's largest own effect that a change needs in order to count.</summary>
    public const double LeastEffect = 0.1;

    /// <summary>Measures them.</summary>
    /// <param name="names">Names of the m concepts.</param>
    /// <param name="probes">Their probes.</param>
    /// <param name="samples">Number of samples, n.</param>
    /// <param name="found">Changes: of every concept in turn, on every sample, m·n at least.</param>
    /// <param name="sizes">Their sizes.</param>
    /// <param name="before">Answers of the probes on the samples, n.</param>
    /// <param name="after">Answers of the probes on the changed samples, as <paramref name="found"/>.</param>
    /// <param name="classMoved">Whether a change moved the predicted class.</param>
    public static EntanglementEntry Of(
        IReadOnlyList<string> names, FittedProbe[] probes, int samples, FoundChange[] found, ChangeSize[] sizes, List<(double[] Logits, double[] Answers)> before, List<(double[] Logits, double[] Answers)> after, Func<int, bool> classMoved)
    {
        var (count, n) = (probes.Length, samples);
        var change = new List<IReadOnlyList<double?>>();
        var ratio = new List<IReadOnlyList<double?>>();
        var entangled = new List<IReadOnlyList<double?>>();
        var changedSamples = new List<int>();
        var classes = new List<double?>();
        var lengths = new List<double?>();
        for (var i = 0; i < count; i++)
        {
            // What hardly moved its own probe (an image for which the wish cannot be reached) says nothing of the others: its ratios
            // are those of next to nothing, and one of them would outweigh all that mean something.
            int[] changed = [.. Enumerable.Range(0, n).Where(s => found[(i * n) + s].Outcome != ChangeOutcome.Already && Effect(i, i, s) != 0)];
            var least = LeastEffect * changed.Select(s => Math.Abs(Effect(i, i, s))).DefaultIfEmpty(0).Max();
            int[] moved = [.. changed.Where(s => Math.Abs(Effect(i, i, s)) >= least)];
            changedSamples.Add(moved.Length);
            change.Add([.. Enumerable.Range(0, count).Select(j => ChangeReporter.Mean(moved.Select(s => Effect(i, j, s))))]);
            ratio.Add([.. Enumerable.Range(0, count).Select(j => ChangeReporter.Mean(moved.Select(s => Effect(i, j, s) / Effect(i, i, s))))]);
            entangled.Add([.. Enumerable.Range(0, count).Select(j => ChangeReporter.Mean(moved.Select(s => Math.Abs(Effect(i, j, s) / Effect(i, i, s)) >= 0.5 ? 1.0 : 0)))]);
            classes.Add(ChangeReporter.Mean(moved.Select(s => classMoved((i * n) + s) ? 1.0 : 0)));
            lengths.Add(ChangeReporter.Mean(moved.Select(s => sizes[(i * n) + s].L2)));
        }

        var weights = probes.Select(p => Vectors.Unit(p.Probe.Raw().Weights)).ToArray();
        return new EntanglementEntry(
            names, change, ratio, entangled,
            [.. weights.Select(a => (IReadOnlyList<double>)[.. weights.Select(b => Rounding.Significant(Vectors.Dot(a, b)))])], changedSamples, classes, lengths);

        double Effect(int i, int j, int s) => after[(i * n) + s].Answers[j] - before[s].Answers[j];
    }
}
