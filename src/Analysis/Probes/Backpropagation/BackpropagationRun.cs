using System.Diagnostics;
using System.Text.Json;
using Analysis.Numerics;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Probes.Backpropagation;

/// <summary>One run of the task <c>backpropagate</c>: fits the probes, looks for the changes, has them described.</summary>
/// <param name="context">The analysis.</param>
/// <param name="request">The wish; checked.</param>
/// <param name="folder">The task's folder.</param>
/// <param name="observer">Receives progress.</param>
/// <param name="cancellation">Honoured between steps.</param>
internal sealed class BackpropagationRun(TaskContext context, BackpropagationRequest request, string folder, ITaskObserver observer, CancellationToken cancellation)
{
    private static readonly TimeSpan PreviewEvery = TimeSpan.FromMilliseconds(400);

    private readonly Stopwatch _sincePreview = Stopwatch.StartNew();
    private string? _preview;
    private int _done;

    /// <summary>Runs.</summary>
    /// <exception cref="AnalysisException">The analysis does not have what the wish names.</exception>
    public void Run()
    {
        // Opened first: what the context keeps must not belong to a scope of this method.
        var samples = context.Samples;
        var network = new ProbedNetwork(context.Plan.Network, request.Layer ?? context.Plan.Layer.Name);
        if (request.Samples.FirstOrDefault(r => r >= samples.Count, -1) is >= 0 and var unknown)
        {
            throw new AnalysisException($"The analysis has no sample {unknown}.", $"Choose 0 to {samples.Count - 1}.");
        }

        var total = request.RandomProbes + 1 + request.Others.Count;
        var notes = new List<string>();
        Report(0, "Fitting probes");
        ConceptDefinition[] concepts = [request.Concept, .. request.Others];
        var labels = concepts.Select(c => ConceptResolver.Resolve(context, c, request.Seed)).ToArray();
        var probes = new FittedProbe[concepts.Length];
        for (var i = 0; i < concepts.Length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            Report(0, $"Fitting the probe of {concepts[i].Name}");
            probes[i] = ProbeFitter.Fit(context, labels[i], network.Layer, new ProbeOptions { Penalty = request.Probe, Seed = request.Seed });
        }

        var shuffled = Shuffled(labels[0], probes[0], network.Layer, total);
        foreach (var sentence in labels.Select(l => PlacedActivations.Unused(l, [context.Layers.Get(network.Layer)])).OfType<string>().Distinct())
        {
            notes.Add(sentence);
        }

        if (labels[0].Places is not null && PlacedActivations.Grid(context.Layers.Get(network.Layer)) is not null && shuffled.Count > 0)
        {
            notes.Add("The probes of shuffled labels, to compare with, are fitted to whole images: the marked places are not used for them.");
        }

        if (probes[0].HeldOut.Auc is < 0.7)
        {
            notes.Add(FormattableString.Invariant($"The probe hardly knows the concept (AUC {probes[0].HeldOut.Auc:0.00} on held-out images): what it reacts to may be something else."));
        }

        using var scope = NewDisposeScope();
        Report(15, "Reading the samples");
        using var reader = new ChangeInputs(context, request, network, notes, cancellation);
        var inputs = reader.Load();
        var space = reader.Space(inputs);
        var regulariser = new ChangeRegulariser(request.L1, request.L2, network.Columns ? 0 : request.TotalVariation);
        if (network.Columns && request.TotalVariation > 0)
        {
            notes.Add("Total variation is for pictures and was left out.");
            regulariser = regulariser with { L1 = regulariser.L1 + regulariser.L2 == 0 ? 1 : regulariser.L1 };
        }

        var search = new ChangeSearch(
            space, network.Pooled, regulariser, new ChangeSolverOptions { Steps = request.Steps },
            new ChangeSearchOptions { Lambda = request.Lambda, Starts = request.Starts, Concentrations = network.Columns ? 0 : request.Concentrations, Seed = request.Seed, Batch = network.Batch });
        var (answers, outputs) = network.Look(inputs, probes);

        // Wishes: the concept on every sample, then the others, then the shuffled.
        var wishes = new List<ChangeWish>();
        for (var p = 0; p < probes.Length + shuffled.Count; p++)
        {
            var probe = p < probes.Length ? probes[p] : shuffled[p - probes.Length];
            var logits = p < probes.Length ? [.. answers.Select(a => a.Logits[p])] : network.Look(inputs, [probe]).Answers.Select(a => a.Logits[0]).ToArray();
            var (weights, bias) = probe.Probe.Raw();
            for (var s = 0; s < request.Samples.Count; s++)
            {
                wishes.Add(Wish(s, probe.Probe, weights, bias, logits[s], p < probes.Length ? labels[p] : labels[0], p == 0));
            }
        }

        var measures = new ChangeMeasures(context, request, reader.ColumnScale);
        var gallery = new ChangeGallery(network, measures, folder);
        var found = search.Find(inputs, wishes, request.Samples.Count, progress => Watch(progress, inputs, space, wishes[0], network, gallery), cancellation);
        try
        {
            Report(92, "Looking at what else changed");
            var report = new ChangeReporter(context, request, network, inputs, space, search, measures, gallery, notes, doing => Report(94, doing), cancellation)
                .Describe(probes, shuffled, labels, wishes, found, answers, outputs);
            AtomicFile.WriteText(Path.Combine(folder, TaskRunner.ResultFile), JsonSerializer.Serialize(report, AnalysisJson.Line));
            Report(100, "Done");
        }
        finally
        {
            Array.ForEach(found, f => f.Dispose());
        }
    }

    private void Report(int done, string doing)
    {
        // Several passes over the same values of λ: the count never goes back.
        _done = Math.Max(_done, done);
        observer.OnProgress(new TaskProgress(_done, 100, doing, _preview));
    }

    /// <summary>Probes of the same labels dealt out anew: as many samples say yes, and nothing is to be learnt.</summary>
    private List<FittedProbe> Shuffled(ConceptLabels labels, FittedProbe probe, string layer, int total)
    {
        var result = new List<FittedProbe>();
        var known = Enumerable.Range(0, labels.Targets.Length).Where(i => !double.IsNaN(labels.Targets[i])).ToArray();
        for (var r = 0; r < request.RandomProbes; r++)
        {
            cancellation.ThrowIfCancellationRequested();
            Report(5 + (10 * r / total), $"Fitting a probe of shuffled labels, {r + 1} of {request.RandomProbes}");
            var random = new SplitMix64((ulong)((request.Seed * 7919L) + r + 1));
            // Within each side of the split, so that both keep their numbers.
            var targets = (double[])labels.Targets.Clone();
            foreach (var side in known.GroupBy(i => labels.HeldOut[i]))
            {
                int[] places = [.. side];
                var dealt = (int[])places.Clone();
                random.Shuffle(dealt);
                for (var i = 0; i < places.Length; i++)
                {
                    targets[places[i]] = labels.Targets[dealt[i]];
                }
            }

            result.Add(ProbeFitter.Fit(context, labels with { Targets = targets, Places = null }, layer, new ProbeOptions { Seed = request.Seed, Penalty = probe.Penalty, Strength = probe.Strength }));
        }

        return result;
    }

    private ChangeWish Wish(int sample, LinearProbe probe, double[] weights, double bias, double logit, ConceptLabels labels, bool own)
    {
        if (!probe.Continuous)
        {
            var yes = request.Direction == "yes" || (request.Direction == "flip" && logit < 0);
            return new ChangeWish(sample, weights, bias, yes ? 1 : 0, false, request.Threshold, logit);
        }

        var known = labels.Targets.Where(t => !double.IsNaN(t)).ToArray();
        var middle = (known.Min() + known.Max()) / 2;
        var up = request.Direction == "yes" || (request.Direction == "flip" && logit < middle);
        return new ChangeWish(sample, weights, bias, own && request.Goal is { } goal ? goal : up ? known.Max() : known.Min(), true, request.Threshold, logit);
    }

    private void Watch(ChangeProgress progress, Tensor inputs, ChangeSpace space, ChangeWish wish, ProbedNetwork network, ChangeGallery gallery)
    {
        if (_preview is not null && _sincePreview.Elapsed < PreviewEvery)
        {
            return;
        }

        _sincePreview.Restart();
        if (!network.Columns)
        {
            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            var first = inputs.narrow(0, wish.Input, 1);
            gallery.Preview(first, space.Changed(progress.Change, first));
            _preview = ChangeGallery.PreviewFile;
        }

        var answer = wish.Answer(progress.Logit);
        Report(
            Math.Min(90, 20 + (6 * progress.Round)),
            progress.Round == 0
                ? FormattableString.Invariant($"Looking whether the probe can be moved at all · it says {answer:0.00}")
                : FormattableString.Invariant($"Looking for the smallest change · λ {progress.Lambda:G3}, step {progress.Step}, the probe says {answer:0.00}"));
    }
}
