using Analysis.Numerics;
using Analysis.Runs.Tasks;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Probes.Backpropagation;

/// <summary>Describes found changes: their size and place, what else they changed, their pictures.</summary>
/// <param name="context">The analysis.</param>
/// <param name="request">The wish.</param>
/// <param name="network">The network with its layer.</param>
/// <param name="inputs">The inputs.</param>
/// <param name="space">What is varied.</param>
/// <param name="search">The search that found the changes.</param>
/// <param name="measures">Measures of changes.</param>
/// <param name="gallery">Paints them.</param>
/// <param name="notes">Doubts and assumptions, in words.</param>
/// <param name="progress">Receives what is being done.</param>
/// <param name="cancellation">Honoured between samples.</param>
internal sealed class ChangeReporter(
    TaskContext context, BackpropagationRequest request, ProbedNetwork network, Tensor inputs, ChangeSpace space, ChangeSearch search, ChangeMeasures measures, ChangeGallery gallery,
    IReadOnlyList<string> notes, Action<string> progress, CancellationToken cancellation)
{
    private const int MostPictured = 6;
    private const int TopOutputs = 5;
    private const int Part = 64;

    /// <summary>Describes.</summary>
    /// <param name="probes">Probes of the concept and of the others.</param>
    /// <param name="shuffled">Probes of shuffled labels.</param>
    /// <param name="labels">Labels of the concept and of the others.</param>
    /// <param name="wishes">Wishes: of every probe in turn, on every sample.</param>
    /// <param name="found">What was found for each wish.</param>
    /// <param name="before">What the probes say of the unchanged inputs.</param>
    /// <param name="outputsBefore">What the network says of them, N×outputs.</param>
    public BackpropagationReport Describe(
        FittedProbe[] probes, IReadOnlyList<FittedProbe> shuffled, ConceptLabels[] labels, IReadOnlyList<ChangeWish> wishes, FoundChange[] found,
        List<(double[] Logits, double[] Answers)> before, DenseMatrix outputsBefore)
    {
        using var quiet = no_grad();
        var changed = Changed(wishes, found);
        var (after, outputsAfter) = network.Look(changed, probes);
        var count = request.Samples.Count;
        double[] Difference(int wish)
        {
            var difference = (changed[wish] - inputs[wishes[wish].Input]).flatten();
            return DenseMatrix.FromTensor(difference.unsqueeze(0)).Row(0).ToArray();
        }

        var sizes = found.Select((_, i) => measures.Size(Difference(i))).ToArray();
        var masks = Enumerable.Range(0, count).Select(s => measures.Mask(context.Samples[request.Samples[s]].Path, request.Samples[s])).ToArray();
        var inside = found.Select((_, i) => masks[wishes[i].Input] is { } mask ? ChangeMeasures.InsideShare(Difference(i), mask.Mask) : null).ToArray();
        bool ClassMoved(int wish) => Largest(outputsBefore.Row(wishes[wish].Input)) != Largest(outputsAfter.Row(wish));
        var entries = new List<ChangedSample>();
        for (var s = 0; s < count; s++)
        {
            cancellation.ThrowIfCancellationRequested();
            var gain = after[s].Answers[0] - before[s].Answers[0];
            var sample = context.Samples[request.Samples[s]];
            var entry = new ChangedSample
            {
                Row = sample.Index,
                Path = sample.Path,
                Class = sample.Class,
                Yes = wishes[s].Continuous ? wishes[s].Goal >= wishes[s].Start : wishes[s].Goal > 0.5,
                Goal = wishes[s].Goal,
                Outcome = found[s].Outcome,
                Lambda = Rounding.Significant(found[s].Lambda),
                Start = found[s].Start,
                Steps = found[s].Steps,
                Before = [.. before[s].Answers.Select(Rounding.Significant)],
                After = [.. after[s].Answers.Select(Rounding.Significant)],
                Size = sizes[s],
                GainPerSize = sizes[s].L2 > 0 ? Rounding.Significant(gain / sizes[s].L2) : null,
                Inside = inside[s],
                RegionArea = masks[s] is { } mask ? Rounding.Significant(mask.Mask.Count(m => m) / (double)mask.Mask.Length) : null,
                Region = masks[s]?.Shown,
                PredictedBefore = network.OutputNames[Largest(outputsBefore.Row(s))],
                PredictedAfter = network.OutputNames[Largest(outputsAfter.Row(s))],
                Outputs = Outputs(outputsBefore.Row(s), outputsAfter.Row(s)),
            };
            if (network.Columns)
            {
                entries.Add(entry with { Columns = measures.ChangedColumns(inputs, changed, s) });
                continue;
            }

            entry = gallery.Paint(entry, inputs[s], changed[s]);
            if (s < MostPictured && entry is { Outcome: ChangeOutcome.Changed, Lambda: > 0 })
            {
                progress(FormattableString.Invariant($"Taking the way apart, {s + 1} of {Math.Min(MostPictured, count)}"));
                entry = gallery.Frames(entry, inputs, changed.narrow(0, s, 1), space, search, wishes[s], found[s].Costs, probes[0], cancellation);
            }

            entries.Add(entry);
        }

        return new BackpropagationReport
        {
            Request = request,
            Layer = network.Layer,
            Space = network.Columns ? "columns" : request.Space,
            Probes = [.. probes.Select((p, i) => new ProbeEntry(
                i == 0 ? request.Concept.Name : request.Others[i - 1].Name, p.Probe.Continuous, labels[i].Positives, labels[i].Negatives,
                Number(p.HeldOut.BalancedAccuracy), Number(p.HeldOut.Auc), Number(p.HeldOut.R2)))],
            Samples = entries,
            Entanglement = probes.Length > 1 ? EntanglementMatrix.Of([request.Concept.Name, .. request.Others.Select(o => o.Name)], probes, count, found, sizes, before, after, ClassMoved) : null,
            Summary = Summary(0, count, [probes[0]]),
            Control = shuffled.Count > 0 ? Summary(probes.Length * count, shuffled.Count * count, shuffled) : null,
            Notes = notes,
        };

        ChangeSummary Summary(int first, int length, IReadOnlyList<FittedProbe> of)
        {
            int[] reached = [.. Enumerable.Range(first, length).Where(i => found[i].Outcome == ChangeOutcome.Changed && found[i].Solution.Fulfilled)];
            return new ChangeSummary(
                length,
                reached.Length,
                Enumerable.Range(first, length).Count(i => found[i].Outcome == ChangeOutcome.Already),
                Median(reached.Select(i => sizes[i].L1)),
                Median(reached.Select(i => sizes[i].L2)),
                Mean(reached.Where(i => inside[i] is not null).Select(i => inside[i]!.Value)),
                Mean(reached.Select(i => ClassMoved(i) ? 1.0 : 0)),
                Mean(reached.Select(i => Math.Abs(after[i].Answers[0] - before[wishes[i].Input].Answers[0]))),
                Mean(of.Where(p => p.HeldOut.Score is not null).Select(p => p.HeldOut.Score!.Value)));
        }
    }

    /// <summary>Place of the largest value; the first of equals.</summary>
    internal static int Largest(ReadOnlySpan<double> values)
    {
        var best = 0;
        for (var i = 1; i < values.Length; i++)
        {
            best = values[i] > values[best] ? i : best;
        }

        return best;
    }

    private Tensor Changed(IReadOnlyList<ChangeWish> wishes, FoundChange[] found)
    {
        var parts = new List<Tensor>();
        for (var first = 0; first < found.Length; first += Part)
        {
            using var scope = NewDisposeScope();
            var count = Math.Min(Part, found.Length - first);
            var change = cat([.. Enumerable.Range(first, count).Select(i => found[i].Solution.Change)], 0).to(inputs.device);
            var rows = inputs.index_select(0, tensor(Enumerable.Range(first, count).Select(i => (long)wishes[i].Input).ToArray(), device: inputs.device));
            parts.Add(space.Changed(change, rows).MoveToOuterDisposeScope());
        }

        return cat(parts, 0);
    }

    private List<OutputChange> Outputs(ReadOnlySpan<double> before, ReadOnlySpan<double> after)
    {
        var (b, a) = (before.ToArray(), after.ToArray());
        var (pb, pa) = (Softmax(b), Softmax(a));
        return [.. Enumerable.Range(0, b.Length).OrderByDescending(k => Math.Max(pb[k], pa[k])).ThenBy(k => k).Take(TopOutputs).Select(k => new OutputChange(
            network.OutputNames[k], Rounding.Significant(b[k]), Rounding.Significant(a[k]), Rounding.Significant(pb[k]), Rounding.Significant(pa[k])))];
    }

    private static double[] Softmax(double[] logits)
    {
        var most = logits.Max();
        var exponentials = Array.ConvertAll(logits, l => Math.Exp(l - most));
        var sum = exponentials.Sum();
        return Array.ConvertAll(exponentials, e => e / sum);
    }

    internal static double? Mean(IEnumerable<double> values)
    {
        var list = values.ToList();
        return list.Count == 0 ? null : Rounding.Significant(list.Average());
    }

    private static double? Median(IEnumerable<double> values)
    {
        var list = values.ToArray();
        return list.Length == 0 ? null : Rounding.Significant(RobustStatistics.Percentile(list, 50));
    }

    private static double? Number(double? value) => value is { } v && !double.IsNaN(v) ? Rounding.Significant(v) : null;
}
