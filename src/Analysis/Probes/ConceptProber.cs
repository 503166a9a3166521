using System.Text.Json;
using Analysis.Atlas;
using Analysis.Networks;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Runs;
using Analysis.Runs.Tasks;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Probes;

/// <summary>
/// Probes a concept at layers of a network (METHODS 3.1, 4.1; Konz et al. 2023, arXiv 2310.03149): scores with controls over
/// several divisions, location, sparsity, and the influence of the concept's direction on the classes.
/// </summary>
internal static class ConceptProber
{
    private const int Shown = 12;
    private const int Neurons = 10;
    private const int Few = 30;
    private const int Compared = 256;
    private const double Recording = 0.4;
    private const double Fitting = 0.45;

    /// <summary>Does it.</summary>
    /// <param name="context">The analysis.</param>
    /// <param name="request">What is asked for; checked.</param>
    /// <param name="folder">Where the weights are written; a layer that is finished is kept here until all are.</param>
    /// <param name="observer">Receives progress.</param>
    /// <param name="cancellation">Honoured between fits and batches.</param>
    /// <exception cref="AnalysisException">The concept or a layer does not exist in the analysis.</exception>
    public static ProbeReport Run(TaskContext context, ProbeRequest request, string folder, ITaskObserver observer, CancellationToken cancellation)
    {
        void Report(double share, string doing) => observer.OnProgress(new TaskProgress((long)(1000 * share), 1000, doing));
        Report(0, "Reading the labels");
        var labels = ConceptResolver.Resolve(context, request.Concept, request.Seed);
        IReadOnlyList<LayerInfo> layers = request.Layers.Count == 0
            ? context.Layers.All
            : [.. context.Layers.All.Where(l => request.Layers.Select(n => context.Layers.Get(n).Name).Contains(l.Name))];
        var tcavLayer = request.TcavLayer is { } wanted ? context.Layers.Get(wanted).Name : null;
        context.Layers.Prepare(
            [.. layers.Select(l => l.Name), .. tcavLayer is null ? Array.Empty<string>() : [tcavLayer]],
            done => Report(Recording * done / Math.Max(1, context.Plan.Samples.Count), $"Recording all layers of {context.Plan.Network.Name}, once for all concepts"),
            cancellation);
        var divisions = Enumerable.Range(0, request.Seeds).Select(s => s == 0 ? labels : ConceptResolver.Split(context, labels, request.Seed + s)).ToList();
        foreach (var layer in layers.Where(l => PlacedActivations.Grid(l) is not null).Take(1))
        {
            // All at once: each pass runs the network over the marked images.
            _ = context.Layers.Placed(labels, [.. layers.Select(l => l.Name)], layer.Name);
        }

        var (probes, tensors) = (new List<LayerProbe>(), new List<(string Name, Tensor Tensor)>());
        var strength = new Dictionary<string, double>();
        using var scope = NewDisposeScope();
        foreach (var layer in layers)
        {
            Report(Recording + (Fitting * probes.Count / layers.Count), $"Fitting probes at {layer.Name}");
            // Some layers are read under two names, and pooling changes nothing that is averaged over positions.
            probes.Add(probes.FirstOrDefault(p => p.SameAs is null && Same(context, labels, p, layer)) is { } twin
                ? Twin(context, twin, layer, tensors)
                : Kept(context, request, folder, layer, tensors, () => Layer(context, request, divisions, layer, tensors, cancellation)));
        }

        // Positions are another measure than images: where there are places, the layers that know them are compared.
        var compared = probes.Any(p => p.Placed) ? probes.Where(p => p.Placed).ToList() : probes;
        var best = compared.MaxBy(p => p.Scores.Score?.Mean ?? double.NegativeInfinity)!;
        best = probes.FirstOrDefault(p => p.Analysed && p.SameAs == best.Layer) ?? best;
        var location = Locate(compared, best, labels.Continuous);
        var byClass = ByClass(context, divisions);
        // A concept that is said by classes is the class by definition.
        var notes = Notes(context, labels, location, best, request.Concept.Source == "classes" || best.Placed ? null : byClass);
        if (best.Placed)
        {
            notes.Add($"The probes are fitted to places: positions inside the marks against positions elsewhere, {best.FittedOn:N0} of them at {best.Layer}. Scores count positions; on whole images the same direction reaches an AUC of {best.ImageAuc?.Mean:0.00}.");
        }

        if (PlacedActivations.Unused(labels, layers) is { } unused)
        {
            notes.Add(unused);
        }

        ClassInfluence? influence = null;
        if (request.Tcav)
        {
            var at = tcavLayer ?? location.Layer;
            var options = Options(request) with { Strength = probes.FirstOrDefault(p => p.Layer == at)?.Strength ?? request.Strength };
            influence = ClassInfluenceTest.Run(
                context, labels, at, options, request.Seed, share => Report(Recording + Fitting + ((1 - Recording - Fitting) * share), $"Testing the influence on the classes at {at}"), cancellation);
            if (influence is null)
            {
                notes.Add("No class of the data set is an output of the network, so that no influence on classes can be tested.");
            }
            else if (context.Plan.Network.LinearHead(at) is not null)
            {
                notes.Add($"Behind {at} the network is linear: all images of a class agree, and a TCAV score is 0 or 1. Read the derivative.");
            }
        }

        var known = labels.Targets.Count(t => !double.IsNaN(t));
        var report = new ProbeReport
        {
            Request = request,
            Continuous = labels.Continuous,
            Samples = labels.Targets.Length,
            Positives = labels.Positives,
            Negatives = labels.Negatives,
            LeftOut = labels.Targets.Length - known,
            HeldOut = labels.HeldOut.Count(h => h),
            Measure = labels.Continuous ? "r2" : "balancedAccuracy",
            Chance = labels.Continuous ? 0 : 0.5,
            Majority = labels.Continuous ? null : Spread.Of(divisions.Select(d => Majority(d))),
            ByClass = byClass,
            Location = location,
            Layers = probes,
            Tcav = influence,
            Examples = Examples(context, request, labels, best),
            Notes = notes,
        };
        tensors.Add(("targets", tensor(labels.Targets, ScalarType.Float64)));
        tensors.Add(("held_out", tensor(divisions.SelectMany(d => d.HeldOut.Select(h => (byte)(h ? 1 : 0))).ToArray(), [divisions.Count, labels.Targets.Length], ScalarType.Byte)));
        var weightsPath = Path.Combine(folder, report.Weights);
        try
        {
            SafetensorsTensors.Save(weightsPath, tensors, new Dictionary<string, string> { ["concept"] = request.Concept.Name, ["layers"] = string.Join(',', layers.Select(l => l.Name)) });
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.Explain(weightsPath, failure);
        }

        return report;
    }

    /// <summary>Targets in random order.</summary>
    /// <param name="targets">Targets; not changed.</param>
    /// <param name="seed">Seed.</param>
    /// <param name="stream">Number of the order: others are independent.</param>
    internal static double[] Shuffle(double[] targets, int seed, int stream)
    {
        var random = new SplitMix64(unchecked(((ulong)(uint)seed << 32) ^ ((ulong)(uint)stream * 0x9E3779B97F4A7C15UL) ^ 0x5DEECE66DUL));
        int[] order = [.. Enumerable.Range(0, targets.Length)];
        random.Shuffle(order);
        return Array.ConvertAll(order, i => targets[i]);
    }

    private static ProbeOptions Options(ProbeRequest request) => new() { Penalty = request.Penalty, Strength = request.Strength, Balanced = request.Balanced, Seed = request.Seed };

    private static LayerProbe Layer(TaskContext context, ProbeRequest request, List<ConceptLabels> divisions, LayerInfo layer, List<(string Name, Tensor Tensor)> tensors, CancellationToken cancellation)
    {
        var placed = false;
        var imageAuc = new List<double?>();
        var (fits, controls, sparsity) = (new List<FittedProbe>(), new List<ProbeScores>(), new List<ProbeSparsityMeasure.Division>());
        var options = Options(request);
        for (var s = 0; s < divisions.Count; s++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var set = ProbeSet.Create(context.Layers, divisions[s], layer.Name);
            var fitted = set.Fit(set.TrainTargets, options);
            // One strength for all divisions, so that they differ in their samples only.
            options = options with { Strength = fitted.Strength };
            fits.Add(fitted);
            placed = set.OfPlaces;
            imageAuc.Add(placed ? ProbeFitter.ForImages(context, divisions[s], fitted).HeldOut.Auc : null);
            controls.Add(set.Fit(Shuffle(set.TrainTargets, request.Seed, 2 * s), options, Shuffle(set.TestTargets, request.Seed, (2 * s) + 1)).HeldOut);
            if (request.Sparsity)
            {
                sparsity.Add(ProbeSparsityMeasure.Measure(set, fitted, options, cancellation));
            }
        }

        var directions = fits.Select(f => f.Direction()).ToList();
        var cosines = directions.SelectMany((a, i) => directions.Skip(i + 1).Select(b => Vectors.Dot(a, b))).ToList();
        var mean = new double[layer.Channels];
        foreach (var fit in fits)
        {
            Vectors.AddScaled(mean, fit.Probe.Weights, 1.0 / fits.Count);
        }

        void Keep(string name, IEnumerable<double[]> rows) =>
            tensors.Add(($"{name}/{layer.Name}", tensor(rows.SelectMany(r => r.Select(Rounding.Significant)).ToArray(), [fits.Count, layer.Channels], ScalarType.Float64)));
        Keep("weights", fits.Select(f => f.Probe.Weights));
        Keep("mean", fits.Select(f => f.Probe.Mean));
        Keep("scale", fits.Select(f => f.Probe.Scale));
        tensors.Add(($"bias/{layer.Name}", tensor(fits.Select(f => Rounding.Significant(f.Probe.Bias)).ToArray(), ScalarType.Float64)));
        var sum = new double[layer.Channels];
        directions.ForEach(d => Vectors.Add(sum, d));
        tensors.Add(($"direction/{layer.Name}", tensor(Array.ConvertAll(Vectors.Unit(sum), Rounding.Significant), ScalarType.Float64)));
        return new LayerProbe
        {
            Layer = layer.Name,
            Channels = layer.Channels,
            Varying = fits[0].Probe.Scale.Zip(fits[0].Probe.Weights).Count(p => p.First != 1 || p.Second != 0),
            Depth = context.Layers.All.ToList().FindIndex(l => l.Name == layer.Name),
            Analysed = layer.Name == context.Plan.Layer.Name,
            Placed = placed,
            ImageAuc = placed ? Spread.Of(imageAuc) : null,
            Strength = Rounding.Significant(options.Strength!.Value),
            FittedOn = fits[0].Fitted.Samples,
            TestedOn = fits[0].HeldOut.Samples,
            Scores = ProbeFigures.Of([.. fits.Select(f => f.HeldOut)]),
            Fitted = ProbeFigures.Of([.. fits.Select(f => f.Fitted)]),
            Control = ProbeFigures.Of(controls),
            Selectivity = Spread.Of(fits.Zip(controls, (f, c) => f.HeldOut.Score - c.Score)),
            Agreement = cosines.Count == 0 ? 1 : Rounding.Significant(cosines.Average()),
            Sparsity = request.Sparsity ? ProbeSparsityMeasure.Summarise(sparsity) : null,
            Strongest = [.. Ranks.Descending(Array.ConvertAll(mean, Math.Abs)).Take(Neurons).Select(c => new ProbeNeuron(c, Rounding.Significant(mean[c])))],
        };
    }

    /// <summary>The probes of a layer: those of an earlier attempt with the same wish, or made and kept.</summary>
    private static LayerProbe Kept(TaskContext context, ProbeRequest request, string folder, LayerInfo layer, List<(string Name, Tensor Tensor)> tensors, Func<LayerProbe> make)
    {
        // A folder named by a person may hold what is left of another wish.
        var key = ArtifactKey.Of("probe-layer/2", JsonSerializer.Serialize(request with { Layers = [], Tcav = false, TcavLayer = null }, AnalysisJson.Line), context.Plan.ActivationsKey, layer.Name);
        var (text, arrays) = (Path.Combine(folder, $"layer-{key}.json"), Path.Combine(folder, $"layer-{key}.safetensors"));
        if (File.Exists(text) && JsonSerializer.Deserialize<LayerProbe>(File.ReadAllBytes(text), AnalysisJson.Line) is { } kept)
        {
            using var file = SafetensorsFile.Open(arrays);
            tensors.AddRange(file.Entries.Keys.Select(name => (name, file.Load(name))).ToList());
            return kept;
        }

        var before = tensors.Count;
        var made = make();
        try
        {
            SafetensorsTensors.Save(arrays, [.. tensors.Skip(before)]);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.Explain(arrays, failure);
        }

        AtomicFile.WriteText(text, JsonSerializer.Serialize(made, AnalysisJson.Line));
        return made;
    }

    /// <summary>Removes what was kept for a further attempt.</summary>
    public static void Tidy(string folder)
    {
        foreach (var path in Directory.EnumerateFiles(folder, "layer-*").ToList())
        {
            File.Delete(path);
        }
    }

    /// <summary>Whether two layers have the same pooled activations, but for rounding.</summary>
    private static bool Same(TaskContext context, ConceptLabels labels, LayerProbe earlier, LayerInfo layer)
    {
        // Averages may agree where positions do not.
        if (earlier.Channels != layer.Channels || (labels.Places is not null && context.Layers.Get(earlier.Layer) is var other && (other.Height, other.Width) != (layer.Height, layer.Width)))
        {
            return false;
        }

        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var rows = Enumerable.Range(0, Math.Min(Compared, labels.Targets.Length)).Select(i => (int)((long)i * labels.Targets.Length / Compared)).Distinct().ToArray();
        var (a, b) = (context.Layers.Read(earlier.Layer, rows), context.Layers.Read(layer.Name, rows));
        return (a - b).abs().max().item<double>() <= 1e-5 * a.abs().max().item<double>();
    }

    /// <summary>The probes of a layer under another name.</summary>
    private static LayerProbe Twin(TaskContext context, LayerProbe earlier, LayerInfo layer, List<(string Name, Tensor Tensor)> tensors)
    {
        foreach (var (name, values) in tensors.Where(t => t.Name.EndsWith("/" + earlier.Layer, StringComparison.Ordinal)).ToList())
        {
            tensors.Add(($"{name.Split('/', 2)[0]}/{layer.Name}", values.alias()));
        }

        return earlier with { Layer = layer.Name, Depth = context.Layers.All.ToList().FindIndex(l => l.Name == layer.Name), Analysed = layer.Name == context.Plan.Layer.Name, SameAs = earlier.Layer };
    }

    private static ProbeLocation Locate(List<LayerProbe> probes, LayerProbe best, bool continuous)
    {
        var score = best.Scores.Score ?? new Spread(double.NegativeInfinity, 0, []);
        var asGood = probes.Where(p => p.Scores.Score is { } other && other.Mean >= score.Mean - Math.Max(score.Deviation, other.Deviation)).Select(p => p.Layer).ToList();
        var control = best.Control.Score;
        var noise = 2 * Math.Sqrt((score.Deviation * score.Deviation) + ((control?.Deviation ?? 0) * (control?.Deviation ?? 0)));
        var readable = score.Mean > (continuous ? 0 : 0.5) + noise && score.Mean > (control?.Mean ?? 0) + noise;
        return new ProbeLocation(best.Layer, score.Mean, asGood, readable);
    }

    /// <summary>What is reached by knowing the class of a sample and nothing else.</summary>
    private static Spread? ByClass(TaskContext context, List<ConceptLabels> divisions)
    {
        if (context.Plan.ClassesArePredictions)
        {
            return null;
        }

        return Spread.Of(divisions.Select(division =>
        {
            var known = Enumerable.Range(0, division.Targets.Length).Where(i => !double.IsNaN(division.Targets[i])).ToList();
            var fit = known.Where(i => !division.HeldOut[i]).ToList();
            var overall = fit.Average(i => division.Targets[i]);
            var means = fit.GroupBy(i => context.Samples[i].Class).ToDictionary(g => g.Key, g => g.Average(i => division.Targets[i]));
            int[] test = [.. known.Where(i => division.HeldOut[i])];
            var answers = Array.ConvertAll(test, i => means.GetValueOrDefault(context.Samples[i].Class, overall) - (division.Continuous ? 0 : overall));
            return ProbeFitter.Score(answers, Array.ConvertAll(test, i => division.Targets[i]), division.Continuous).Score;
        }));
    }

    private static double? Majority(ConceptLabels division)
    {
        var held = Enumerable.Range(0, division.Targets.Length).Where(i => division.HeldOut[i]).ToList();
        var yes = held.Count(i => division.Targets[i] == 1);
        return held.Count == 0 ? null : Math.Max(yes, held.Count - yes) / (double)held.Count;
    }

    private static ProbeExamples Examples(TaskContext context, ProbeRequest request, ConceptLabels labels, LayerProbe best)
    {
        using var set = ProbeSet.Create(context.Layers, labels, best.Layer);
        var fitted = set.Fit(set.TrainTargets, Options(request) with { Strength = best.Strength });
        if (set.OfPlaces)
        {
            fitted = ProbeFitter.ForImages(context, labels, fitted);
            using var images = ProbeSet.Create(context.Layers, labels with { Places = null }, best.Layer);
            return Examples(labels, images, images.LogitsOf(fitted.Probe, testing: true));
        }

        return Examples(labels, set, set.TestLogits(fitted.Probe));
    }

    private static ProbeExamples Examples(ConceptLabels labels, ProbeSet set, double[] logits)
    {
        // How far the answer is above what the label says.
        var excess = labels.Continuous ? [.. logits.Zip(set.TestTargets, (f, y) => f - y)] : logits;
        int[] Of(int[] order, Func<double, bool> which) => [.. order.Where(i => labels.Continuous || which(set.TestTargets[i])).Take(Shown)];
        IReadOnlyList<ProbeExample> Rows(int[] chosen) => [.. chosen.Select(i => new ProbeExample(
            set.TestRows[i], Rounding.Significant(labels.Continuous ? logits[i] : LinearSolver.Logistic(logits[i])), set.TestTargets[i]))];
        return new ProbeExamples(
            Rows(Of(Ranks.Descending(logits), t => t == 1)),
            Rows([.. Of(Ranks.Ascending(excess), t => t == 1).Where(i => excess[i] < 0)]),
            Rows([.. Of(Ranks.Descending(excess), t => t == 0).Where(i => excess[i] >= 0)]));
    }

    private static List<string> Notes(TaskContext context, ConceptLabels labels, ProbeLocation location, LayerProbe best, Spread? byClass)
    {
        var notes = new List<string>();
        if (!labels.Continuous && Math.Min(labels.Positives, labels.Negatives) < Few)
        {
            notes.Add($"Only {Math.Min(labels.Positives, labels.Negatives)} images are on one side: scores vary much with the division.");
        }

        if (!location.Readable)
        {
            notes.Add("At no layer is the concept read better than chance and than shuffled labels by more than two deviations.");
        }
        else if (byClass is not null && location.Score <= byClass.Mean + byClass.Deviation && byClass.Mean > 0.5 + (labels.Continuous ? 0 : 0.4))
        {
            notes.Add("Knowing the class alone does as well: the probe may read the class and not the concept.");
        }

        if (best.Scores.Score is { } held && best.Fitted.Score is { } fitted && fitted.Mean - held.Mean > 0.1)
        {
            notes.Add("The probe does much better on the images that it was fitted to: more labelled images would help.");
        }

        if (!best.Placed && best.FittedOn + best.TestedOn < labels.Targets.Count(t => !double.IsNaN(t)))
        {
            notes.Add($"At {best.Layer} the probes were fitted to {best.FittedOn:N0} images and tested on {best.TestedOn:N0}, evenly chosen: more would take too long.");
        }

        if (context.Plan.Network is RecordedNetwork)
        {
            notes.Add("The activations were recorded elsewhere: only their own layer can be read.");
        }

        return notes;
    }
}
