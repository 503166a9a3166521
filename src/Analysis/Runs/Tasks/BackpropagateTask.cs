using System.Diagnostics;
using System.Text.Json;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Probes;
using Analysis.Probes.Backpropagation;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Runs.Tasks;

/// <summary>
/// The smallest change of an input that makes a probe say yes or no (concept backpropagation, METHODS 3.2 and 3.3), with its
/// effect on other probes and on the outputs, and probes of shuffled labels as control.
/// </summary>
public sealed class BackpropagateTask : IAnalysisTask
{
    /// <summary>Name of this kind.</summary>
    public const string KindName = "backpropagate";

    private const string PreviewFile = "preview.png";
    private const int MostSamples = 32;
    private const int MostOthers = 7;
    private const int MostPictured = 6;
    private const int TopOutputs = 5;

    /// <summary>Pixels that the network sees as one batch at most: bounds the memory of the backward pass.</summary>
    private const int BatchPixels = 32 * 64 * 64;
    private const int FewestRows = 4;

    /// <summary>λ of the frames in units of the chosen one: from hardly any change to more than needed.</summary>
    private static readonly double[] FrameFactors = [16, 8, 5.6, 4, 2.8, 2, 1.4, 1, 0.5, 0.25];

    private static readonly TimeSpan PreviewEvery = TimeSpan.FromMilliseconds(400);

    private static readonly string[] Known =
    [
        "concept", "others", "samples", "layer", "probe", "direction", "goal", "space", "l1", "l2", "totalVariation", "concentrations", "lambda", "threshold", "starts", "steps", "randomProbes", "region",
        "ranges", "immutable", "seed",
    ];

    /// <inheritdoc/>
    public string Kind => KindName;

    /// <inheritdoc/>
    public int Version => 1;

    /// <inheritdoc/>
    public string Normalise(JsonElement parameters)
    {
        _ = new TaskParameters(Kind, parameters, Known);
        BackpropagationRequest request;
        try
        {
            request = parameters.Deserialize<BackpropagationRequest>(AnalysisJson.Line)!;
        }
        catch (JsonException fault)
        {
            throw new AnalysisException($"The parameters of the task {Kind} cannot be read: {fault.Message}", $"Give an object with a concept, samples, and any of: {string.Join(", ", Known)}.");
        }

        foreach (var concept in (IEnumerable<ConceptDefinition>)[request.Concept, .. request.Others])
        {
            ConceptResolver.Validate(concept ?? throw new AnalysisException("A concept is null.", "Leave it out, or say what it means."));
        }

        Require(request.Samples.Count is >= 1 and <= MostSamples && request.Samples.All(s => s >= 0), "samples", $"Name 1 to {MostSamples} rows of the samples table.");
        Require(request.Others.Count <= MostOthers, "others", $"Name at most {MostOthers} concepts to compare with.");
        Require(request.Direction is "yes" or "no" or "flip", "direction", "Choose yes, no or flip.");
        Require(request.Probe is "l1" or "l2", "probe", "Choose l2 or l1.");
        Require(request.Space is "pixels" or "fourier" or "latent", "space", "Choose pixels, fourier or latent.");
        foreach (var (name, weight) in new[] { ("l1", request.L1), ("l2", request.L2), ("totalVariation", request.TotalVariation) })
        {
            Require(weight is >= 0 and <= 1e6, name, "Choose a weight from 0 to 1000000.");
        }

        Require(request.L1 + request.L2 + request.TotalVariation > 0, "l1", "Give at least one of l1, l2 and totalVariation a weight above 0: without it no change is the smallest.");
        Require(request.Concentrations is 0 || (request.Concentrations is > 0 and <= 5 && request is { Space: "pixels", L1: > 0, Lambda: null }), "concentrations", "Choose 0 to 5; other than 0 only for pixels with a weight of l1 and without a fixed λ.");
        Require(request.Lambda is null or (> 0 and <= 1e9), "lambda", "Choose a number above 0, or leave it out to look for the largest that works.");
        Require(request.Threshold is > 0.5 and <= 0.999, "threshold", "Choose a probability above 0.5 and at most 0.999.");
        Require(request.Starts is >= 1 and <= 20, "starts", "Choose 1 to 20.");
        Require(request.Steps is >= 10 and <= 5000, "steps", "Choose 10 to 5000.");
        Require(request.RandomProbes is >= 0 and <= 20, "randomProbes", "Choose 0 to 20.");
        Require(request.Seed >= 0, "seed", "Choose a whole number of at least 0.");
        Require(request.Goal is null || double.IsFinite(request.Goal.Value), "goal", "Choose a number.");
        Require(
            request.Region is not { } region || (region is { Left: >= 0, Top: >= 0, Width: > 0, Height: > 0 } && region.Left + region.Width <= 1 + 1e-6 && region.Top + region.Height <= 1 + 1e-6),
            "region", "Give left, top, width and height as shares from 0 to 1.");
        Require(
            request.Ranges.Count <= 100_000 && request.Ranges.All(r => r is { Column: >= 0 } && !(r.Minimum > r.Maximum)) && request.Immutable.Count <= 100_000 && request.Immutable.All(c => c >= 0),
            "ranges", "Give columns from 0 on, each minimum at most its maximum.");
        return JsonSerializer.Serialize(request with { Samples = [.. request.Samples.Distinct()] }, AnalysisJson.Line);
    }

    /// <inheritdoc/>
    public void Run(TaskContext context, string parameters, string folder, ITaskObserver observer, CancellationToken cancellation) =>
        new Work(context, JsonSerializer.Deserialize<BackpropagationRequest>(parameters, AnalysisJson.Line)!, folder, observer, cancellation).Run();

    private static void Require(bool good, string name, string remedy)
    {
        if (!good)
        {
            throw new AnalysisException($"The parameter {name} of the task {KindName} is not possible.", remedy);
        }
    }

    /// <summary>One run of the task.</summary>
    private sealed class Work(TaskContext context, BackpropagationRequest request, string folder, ITaskObserver observer, CancellationToken cancellation)
    {
        private readonly List<string> _notes = [];
        private readonly Stopwatch _sincePreview = Stopwatch.StartNew();
        private IReadOnlyList<string> _outputNames = [];
        private INetwork _network = null!;
        private string _layer = "";
        private bool _columns;
        private string? _preview;
        private int _done;
        private double[] _columnScale = [];
        private IAutoencoder? _autoencoder;

        private IReadOnlyList<int> Rows => request.Samples;

        public void Run()
        {
            // Opened first: what the context keeps must not belong to a scope of this method.
            var samples = context.Samples;
            _network = context.Plan.Network;
            _columns = _network is RecordedNetwork;
            _layer = request.Layer ?? context.Plan.Layer.Name;
            _outputNames = Atlas.OutputNames.All(_network);
            if (Rows.FirstOrDefault(r => r >= samples.Count, -1) is >= 0 and var unknown)
            {
                throw new AnalysisException($"The analysis has no sample {unknown}.", $"Choose 0 to {samples.Count - 1}.");
            }

            var total = request.RandomProbes + 1 + request.Others.Count;
            Report(0, "Fitting probes");
            ConceptDefinition[] concepts = [request.Concept, .. request.Others];
            var labels = concepts.Select(c => ConceptResolver.Resolve(context, c, request.Seed)).ToArray();
            var probes = new FittedProbe[concepts.Length];
            for (var i = 0; i < concepts.Length; i++)
            {
                cancellation.ThrowIfCancellationRequested();
                Report(0, $"Fitting the probe of {concepts[i].Name}");
                probes[i] = ProbeFitter.Fit(context, labels[i], _layer, new ProbeOptions { Penalty = request.Probe, Seed = request.Seed });
            }

            var shuffled = Shuffled(labels[0], probes[0], total);
            if (probes[0].HeldOut.Auc is < 0.7)
            {
                _notes.Add(FormattableString.Invariant($"The probe hardly knows the concept (AUC {probes[0].HeldOut.Auc:0.00} on held-out images): what it reacts to may be something else."));
            }

            using var scope = NewDisposeScope();
            var inputs = Inputs(samples);
            var space = Space(inputs);
            var regulariser = new ChangeRegulariser(request.L1, request.L2, _columns ? 0 : request.TotalVariation);
            if (_columns && request.TotalVariation > 0)
            {
                _notes.Add("Total variation is for pictures and was left out.");
                regulariser = regulariser with { L1 = regulariser.L1 + regulariser.L2 == 0 ? 1 : regulariser.L1 };
            }

            var batch = _columns ? 256 : Math.Max(FewestRows, BatchPixels / (_network.Preprocessing.Height * _network.Preprocessing.Width));
            var search = new ChangeSearch(
                space, Pooled, regulariser, new ChangeSolverOptions { Steps = request.Steps },
                new ChangeSearchOptions { Lambda = request.Lambda, Starts = request.Starts, Concentrations = _columns ? 0 : request.Concentrations, Seed = request.Seed, Batch = batch });
            var (answersBefore, outputsBefore) = Look(inputs, probes);

            // Wishes: the concept on every sample, then the others, then the shuffled.
            var wishes = new List<ChangeWish>();
            for (var p = 0; p < probes.Length + shuffled.Count; p++)
            {
                var probe = p < probes.Length ? probes[p] : shuffled[p - probes.Length];
                var logits = p < probes.Length ? [.. answersBefore.Select(a => a.Logits[p])] : Look(inputs, [probe]).Answers.Select(a => a.Logits[0]).ToArray();
                var (weights, bias) = probe.Probe.Raw();
                for (var s = 0; s < Rows.Count; s++)
                {
                    wishes.Add(Wish(s, probe.Probe, weights, bias, logits[s], p < probes.Length ? labels[p] : labels[0], p == 0));
                }
            }

            var found = search.Find(inputs, wishes, Rows.Count, progress => Watch(progress, inputs, space, wishes[0]), cancellation);
            try
            {
                var report = Describe(samples, inputs, space, search, probes, shuffled, labels, wishes, found, answersBefore, outputsBefore);
                AtomicFile.WriteText(Path.Combine(folder, TaskRunner.ResultFile), JsonSerializer.Serialize(report, AnalysisJson.Line));
                Report(100, "Done");
            }
            finally
            {
                Array.ForEach(found, f => f.Dispose());
                _autoencoder?.Dispose();
            }
        }

        private void Report(int done, string doing)
        {
            // Several passes over the same values of λ: the count never goes back.
            _done = Math.Max(_done, done);
            observer.OnProgress(new TaskProgress(_done, 100, doing, _preview));
        }

        /// <summary>Probes of the same labels dealt out anew: as many samples say yes, and nothing is to be learnt.</summary>
        private List<FittedProbe> Shuffled(ConceptLabels labels, FittedProbe probe, int total)
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

                result.Add(ProbeFitter.Fit(context, labels with { Targets = targets }, _layer, new ProbeOptions { Seed = request.Seed, Penalty = probe.Penalty, Strength = probe.Strength }));
            }

            return result;
        }

        private Tensor Inputs(IReadOnlyList<SampleRow> samples)
        {
            Report(15, "Reading the samples");
            if (_columns)
            {
                return context.Store.GatherTensor("pooled.0", [.. Rows]).to(ScalarType.Float64).to(_network.Device);
            }

            var (mean, std) = Normalisation();
            var parts = new List<Tensor>();
            foreach (var (_, images) in Stages.ClassConcepts.Images(context).Images([.. Rows], 16, cancellation))
            {
                using (images)
                {
                    parts.Add((images * std).add(mean, Scalars.One).clamp(Scalars.Of(0.0), Scalars.Of(1.0)));
                }
            }

            return cat(parts, 0);
        }

        private (Tensor Mean, Tensor Std) Normalisation() => (
            tensor(_network.Preprocessing.Mean.ToArray(), device: _network.Device).view(1, 3, 1, 1), tensor(_network.Preprocessing.Std.ToArray(), device: _network.Device).view(1, 3, 1, 1));

        private ChangeSpace Space(Tensor inputs)
        {
            if (!_columns)
            {
                return request.Space switch
                {
                    "fourier" => new FourierSpace(),
                    "latent" => new LatentSpace(OpenAutoencoder(inputs)),
                    _ => new PixelSpace(),
                };
            }

            var columns = (int)inputs.shape[1];
            if (request.Ranges.Select(r => r.Column).Concat(request.Immutable).FirstOrDefault(c => c >= columns, -1) is >= 0 and var unknown)
            {
                throw new AnalysisException($"The samples have no column {unknown}.", $"Choose 0 to {columns - 1}.");
            }

            var (minimum, maximum) = ObservedRanges(columns);
            foreach (var range in request.Ranges)
            {
                minimum[range.Column] = range.Minimum ?? minimum[range.Column];
                maximum[range.Column] = range.Maximum ?? maximum[range.Column];
            }

            var immutable = new bool[columns];
            foreach (var column in request.Immutable)
            {
                immutable[column] = true;
            }

            return new ColumnSpace(_columnScale, minimum, maximum, immutable);
        }

        private IAutoencoder OpenAutoencoder(Tensor inputs)
        {
            _autoencoder = AutoencoderLoader.Load(context.Plan.Request.Network, _network.Preprocessing, _network.Device);
            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            var error = (_autoencoder.Decode(_autoencoder.Encode(inputs)).clamp(Scalars.Of(0.0), Scalars.Of(1.0)) - inputs).abs().mean().to(ScalarType.Float64).cpu().item<double>();
            _notes.Add(FormattableString.Invariant($"The autoencoder draws the images with a mean error of {error:0.###} of the range from black to white; that error is part of every change."));
            return _autoencoder;
        }

        private (double[] Minimum, double[] Maximum) ObservedRanges(int columns)
        {
            const int Part = 4096;
            var minimum = new double[columns];
            var maximum = new double[columns];
            var sums = new double[columns];
            var squares = new double[columns];
            Array.Fill(minimum, double.PositiveInfinity);
            Array.Fill(maximum, double.NegativeInfinity);
            for (var start = 0; start < context.Store.Rows; start += Part)
            {
                cancellation.ThrowIfCancellationRequested();
                using var values = context.Store.ReadTensor("pooled.0", start, Math.Min(Part, context.Store.Rows - start));
                var matrix = DenseMatrix.FromTensor(values);
                for (var i = 0; i < matrix.Rows; i++)
                {
                    var row = matrix.Row(i);
                    for (var c = 0; c < columns; c++)
                    {
                        minimum[c] = Math.Min(minimum[c], row[c]);
                        maximum[c] = Math.Max(maximum[c], row[c]);
                        sums[c] += row[c];
                        squares[c] += row[c] * row[c];
                    }
                }
            }

            _columnScale = new double[columns];
            for (var c = 0; c < columns; c++)
            {
                var mean = sums[c] / context.Store.Rows;
                var deviation = Math.Sqrt(Math.Max(0, (squares[c] / context.Store.Rows) - (mean * mean)));
                _columnScale[c] = RobustStatistics.IsDegenerate(deviation, mean) ? 1 : deviation;
            }

            return (minimum, maximum);
        }

        private Tensor Pooled(Tensor inputs)
        {
            if (_columns)
            {
                return inputs;
            }

            var activation = Activation(inputs);
            return activation.dim() == 4 ? activation.mean([2L, 3L]) : activation.flatten(1);
        }

        private Tensor Activation(Tensor inputs)
        {
            var (mean, std) = Normalisation();
            return _network.Backbone((inputs - mean) / std, _layer);
        }

        /// <summary>Logits of probes, and logits of the network.</summary>
        private (List<(double[] Logits, double[] Answers)> Answers, DenseMatrix Outputs) Look(Tensor inputs, IReadOnlyList<FittedProbe> probes)
        {
            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            var outputs = new List<Tensor>();
            var pooled = new List<Tensor>();
            var part = _columns ? 1024 : Math.Max(FewestRows, BatchPixels / (_network.Preprocessing.Height * _network.Preprocessing.Width));
            for (var first = 0L; first < inputs.shape[0]; first += part)
            {
                var rows = inputs.narrow(0, first, Math.Min(part, inputs.shape[0] - first));
                var activation = _columns ? rows.to(ScalarType.Float32).view(rows.shape[0], -1, 1, 1) : Activation(rows);
                pooled.Add(activation.dim() == 4 ? activation.mean([2L, 3L]) : activation.flatten(1));
                outputs.Add(_network.Head(_layer, activation));
            }

            var matrix = DenseMatrix.FromTensor(cat(pooled, 0));
            var answers = new List<(double[] Logits, double[] Answers)>();
            for (var i = 0; i < matrix.Rows; i++)
            {
                var logits = new double[probes.Count];
                for (var p = 0; p < probes.Count; p++)
                {
                    var (weights, bias) = probes[p].Probe.Raw();
                    logits[p] = Vectors.Dot(matrix.Row(i), weights) + bias;
                }

                answers.Add((logits, [.. logits.Select((l, p) => probes[p].Probe.Continuous ? l : LinearBackpropagation.Logistic(l))]));
            }

            return (answers, DenseMatrix.FromTensor(cat(outputs, 0)));
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

        private void Watch(ChangeProgress progress, Tensor inputs, ChangeSpace space, ChangeWish wish)
        {
            if (_preview is not null && _sincePreview.Elapsed < PreviewEvery)
            {
                return;
            }

            _sincePreview.Restart();
            if (!_columns)
            {
                using var scope = NewDisposeScope();
                using var quiet = no_grad();
                var first = inputs.narrow(0, wish.Input, 1);
                var (width, height) = (_network.Preprocessing.Width, _network.Preprocessing.Height);
                var picture = ThumbnailMaker.EncodePng(ChangePainter.SideBySide(Pixels(first), Pixels(space.Changed(progress.Change, first)), width, height));
                AtomicFile.Write(Path.Combine(folder, PreviewFile), stream => stream.Write(picture));
                _preview = PreviewFile;
            }

            var answer = wish.Answer(progress.Logit);
            Report(
                Math.Min(90, 20 + (6 * progress.Round)),
                progress.Round == 0
                    ? FormattableString.Invariant($"Looking whether the probe can be moved at all · it says {answer:0.00}")
                    : FormattableString.Invariant($"Looking for the smallest change · λ {progress.Lambda:G3}, step {progress.Step}, the probe says {answer:0.00}"));
        }

        private static float[] Pixels(Tensor image)
        {
            using var host = image.to(ScalarType.Float32).cpu().contiguous();
            return host.data<float>().ToArray();
        }

        private BackpropagationReport Describe(
            IReadOnlyList<SampleRow> samples, Tensor inputs, ChangeSpace space, ChangeSearch search, FittedProbe[] probes, List<FittedProbe> shuffled, ConceptLabels[] labels,
            List<ChangeWish> wishes, FoundChange[] found, List<(double[] Logits, double[] Answers)> before, DenseMatrix outputsBefore)
        {
            Report(92, "Looking at what else changed");
            using var quiet = no_grad();
            var changed = Changed(inputs, space, wishes, found);
            var (after, outputsAfter) = Look(changed, probes);
            var count = Rows.Count;
            double[] Difference(int wish)
            {
                var difference = (changed[wish] - inputs[wishes[wish].Input]).flatten();
                return DenseMatrix.FromTensor(difference.unsqueeze(0)).Row(0).ToArray();
            }

            var sizes = found.Select((_, i) => Size(Difference(i))).ToArray();
            var masks = Enumerable.Range(0, count).Select(s => Mask(samples[Rows[s]].Path, Rows[s])).ToArray();
            var inside = found.Select((_, i) => masks[wishes[i].Input] is { } mask ? InsideShare(Difference(i), mask.Mask) : null).ToArray();
            bool ClassMoved(int wish) => Largest(outputsBefore.Row(wishes[wish].Input)) != Largest(outputsAfter.Row(wish));
            var entries = new List<ChangedSample>();
            for (var s = 0; s < count; s++)
            {
                cancellation.ThrowIfCancellationRequested();
                var gain = after[s].Answers[0] - before[s].Answers[0];
                var entry = new ChangedSample
                {
                    Row = Rows[s],
                    Path = samples[Rows[s]].Path,
                    Class = samples[Rows[s]].Class,
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
                    PredictedBefore = _outputNames[Largest(outputsBefore.Row(s))],
                    PredictedAfter = _outputNames[Largest(outputsAfter.Row(s))],
                    Outputs = Outputs(outputsBefore.Row(s), outputsAfter.Row(s)),
                };
                entries.Add(_columns ? entry with { Columns = Columns(inputs, changed, s) } : Paint(entry, s, inputs, changed, space, search, wishes[s], found[s].Costs, probes[0], s < MostPictured));
            }

            return new BackpropagationReport
            {
                Request = request,
                Layer = _layer,
                Space = _columns ? "columns" : request.Space,
                Probes = [.. probes.Select((p, i) => new ProbeEntry(
                    i == 0 ? request.Concept.Name : request.Others[i - 1].Name, p.Probe.Continuous, labels[i].Positives, labels[i].Negatives,
                    Number(p.HeldOut.BalancedAccuracy), Number(p.HeldOut.Auc), Number(p.HeldOut.R2)))],
                Samples = entries,
                Entanglement = probes.Length > 1 ? Entanglement(probes, found, sizes, before, after, ClassMoved) : null,
                Summary = Summary(0, count, [probes[0]]),
                Control = shuffled.Count > 0 ? Summary(probes.Length * count, shuffled.Count * count, shuffled) : null,
                Notes = _notes,
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

        private Tensor Changed(Tensor inputs, ChangeSpace space, List<ChangeWish> wishes, FoundChange[] found)
        {
            var parts = new List<Tensor>();
            const int Part = 64;
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

        private ChangedSample Paint(
            ChangedSample entry, int s, Tensor inputs, Tensor changed, ChangeSpace space, ChangeSearch search, ChangeWish wish, Tensor? costs, FittedProbe probe, bool frames)
        {
            var (width, height) = (_network.Preprocessing.Width, _network.Preprocessing.Height);
            var (original, now) = (Pixels(inputs[s]), Pixels(changed[s]));
            var scale = Math.Max(ChangePainter.Signed(original, now).Max(Math.Abs), 1.0 / 255);
            var stem = FormattableString.Invariant($"s{entry.Row}");
            Save($"{stem}-original.png", ChangePainter.Image(original, width, height));
            Save($"{stem}-changed.png", ChangePainter.Image(now, width, height));
            Save($"{stem}-difference.png", ChangePainter.Difference(original, now, width, height, scale));
            entry = entry with { Pictures = new ChangePictures($"{stem}-original.png", $"{stem}-changed.png", $"{stem}-difference.png", Rounding.Significant(scale), width, height) };
            if (!frames || entry.Outcome != ChangeOutcome.Changed || entry.Lambda <= 0)
            {
                return entry;
            }

            Report(94, $"Taking the way apart, {s + 1} of {Math.Min(MostPictured, Rows.Count)}");
            var path = search.Path(inputs, wish, [.. FrameFactors.Select(f => f * entry.Lambda)], costs, cancellation);
            var list = new List<ChangeFrame>();
            try
            {
                var row = inputs.narrow(0, s, 1);
                // The chosen change itself takes the place of the one found anew at its λ.
                var pictures = cat([.. path.Select((p, i) => FrameFactors[i] == 1 ? changed.narrow(0, s, 1) : space.Changed(p.Change.to(inputs.device), row))], 0);
                var (answers, outputs) = Look(pictures, [probe]);
                for (var i = 0; i < path.Length; i++)
                {
                    var pixels = Pixels(pictures[i]);
                    var size = Size(DenseMatrix.FromTensor((pictures[i] - inputs[s]).flatten().unsqueeze(0)).Row(0).ToArray());
                    Save($"{stem}-{i}.png", ChangePainter.Image(pixels, width, height));
                    Save($"{stem}-{i}-difference.png", ChangePainter.Difference(original, pixels, width, height, scale));
                    list.Add(new ChangeFrame(
                        Rounding.Significant(FrameFactors[i] * entry.Lambda), Rounding.Significant(answers[i].Answers[0]), size.L1, size.L2, _outputNames[Largest(outputs.Row(i))],
                        $"{stem}-{i}.png", $"{stem}-{i}-difference.png", FrameFactors[i] == 1));
                }
            }
            finally
            {
                Array.ForEach(path, p => p.Dispose());
            }

            return entry with { Frames = list };
        }

        private void Save(string name, RgbImage image)
        {
            var bytes = ThumbnailMaker.EncodePng(image);
            AtomicFile.Write(Path.Combine(folder, name), stream => stream.Write(bytes));
        }

        private ChangeSize Size(double[] difference)
        {
            double l1 = 0, l2 = 0, largest = 0;
            if (_columns)
            {
                difference = [.. difference.Zip(_columnScale, (d, s) => d / s)];
            }

            foreach (var value in difference)
            {
                l1 += Math.Abs(value);
                l2 += value * value;
                largest = Math.Max(largest, Math.Abs(value));
            }

            double share;
            if (_columns)
            {
                share = difference.Count(d => Math.Abs(d) > 1e-9) / (double)difference.Length;
            }
            else
            {
                var plane = difference.Length / 3;
                share = Enumerable.Range(0, plane).Count(i => Math.Max(Math.Abs(difference[i]), Math.Max(Math.Abs(difference[i + plane]), Math.Abs(difference[i + (2 * plane)]))) > 0.5 / 255) / (double)plane;
            }

            return new ChangeSize(Rounding.Significant(l1), Rounding.Significant(Math.Sqrt(l2)), Rounding.Significant(largest), Rounding.Significant(l1 / difference.Length), Rounding.Significant(share));
        }

        /// <summary>Pixels inside the region as the network sees the image; null without a region or a picture.</summary>
        private (bool[] Mask, BackpropagationRegion? Shown)? Mask(string path, int row)
        {
            if (_columns)
            {
                return null;
            }

            var regions = request.Region is { } given
                ? [given]
                : request.Concept.Regions.Where(r => r.Path == path).Select(r => new BackpropagationRegion(r.Left, r.Top, r.Width, r.Height)).ToList();
            if (regions.Count == 0)
            {
                return null;
            }

            var preparation = _network.Preprocessing;
            var visible = RelativeRectangle.All;
            if (preparation.Resize != ResizeMode.Stretch)
            {
                var image = ImageDecoder.Decode(context.Plan.Dataset.Read(context.Plan.Samples[context.Store.ScanIndices()[row]]));
                visible = ImagePreparation.VisiblePart(image.Width, image.Height, preparation);
            }

            BackpropagationRegion[] seen = [.. regions.Select(r => new BackpropagationRegion(
                (r.Left - visible.Left) / visible.Width, (r.Top - visible.Top) / visible.Height, r.Width / visible.Width, r.Height / visible.Height))];
            var mask = new bool[preparation.Width * preparation.Height];
            for (var y = 0; y < preparation.Height; y++)
            {
                for (var x = 0; x < preparation.Width; x++)
                {
                    // By the pixel's centre.
                    var (u, v) = ((x + 0.5) / preparation.Width, (y + 0.5) / preparation.Height);
                    mask[(y * preparation.Width) + x] = seen.Any(r => u >= r.Left && u <= r.Left + r.Width && v >= r.Top && v <= r.Top + r.Height);
                }
            }

            return mask.Any(m => m) ? (mask, seen.Length == 1 ? seen[0] : null) : null;
        }

        private static double? InsideShare(double[] difference, bool[] mask)
        {
            double inside = 0, all = 0;
            for (var i = 0; i < difference.Length; i++)
            {
                all += Math.Abs(difference[i]);
                inside += mask[i % mask.Length] ? Math.Abs(difference[i]) : 0;
            }

            return all > 0 ? Rounding.Significant(inside / all) : null;
        }

        private List<OutputChange> Outputs(ReadOnlySpan<double> before, ReadOnlySpan<double> after)
        {
            var (b, a) = (before.ToArray(), after.ToArray());
            var (pb, pa) = (Softmax(b), Softmax(a));
            return [.. Enumerable.Range(0, b.Length).OrderByDescending(k => Math.Max(pb[k], pa[k])).ThenBy(k => k).Take(TopOutputs).Select(k => new OutputChange(
                _outputNames[k], Rounding.Significant(b[k]), Rounding.Significant(a[k]), Rounding.Significant(pb[k]), Rounding.Significant(pa[k])))];
        }

        private List<ColumnChange> Columns(Tensor inputs, Tensor changed, int s)
        {
            var before = DenseMatrix.FromTensor(inputs.narrow(0, s, 1)).Row(0).ToArray();
            var after = DenseMatrix.FromTensor(changed.narrow(0, s, 1)).Row(0).ToArray();
            return [.. Enumerable.Range(0, before.Length)
                .Select(c => new ColumnChange(c, Rounding.Significant(before[c]), Rounding.Significant(after[c]), Rounding.Significant((after[c] - before[c]) / _columnScale[c])))
                .Where(c => Math.Abs(c.Deviations) > 1e-9).OrderByDescending(c => Math.Abs(c.Deviations)).Take(100)];
        }

        private EntanglementEntry Entanglement(
            FittedProbe[] probes, FoundChange[] found, ChangeSize[] sizes, List<(double[] Logits, double[] Answers)> before, List<(double[] Logits, double[] Answers)> after, Func<int, bool> classMoved)
        {
            var (count, n) = (probes.Length, Rows.Count);
            var change = new List<IReadOnlyList<double?>>();
            var ratio = new List<IReadOnlyList<double?>>();
            var entangled = new List<IReadOnlyList<double?>>();
            var changedSamples = new List<int>();
            var classes = new List<double?>();
            var lengths = new List<double?>();
            for (var i = 0; i < count; i++)
            {
                int[] moved = [.. Enumerable.Range(0, n).Where(s => found[(i * n) + s].Outcome != ChangeOutcome.Already && Effect(i, i, s) != 0)];
                changedSamples.Add(moved.Length);
                change.Add([.. Enumerable.Range(0, count).Select(j => Mean(moved.Select(s => Effect(i, j, s))))]);
                ratio.Add([.. Enumerable.Range(0, count).Select(j => Mean(moved.Select(s => Effect(i, j, s) / Effect(i, i, s))))]);
                entangled.Add([.. Enumerable.Range(0, count).Select(j => Mean(moved.Select(s => Math.Abs(Effect(i, j, s) / Effect(i, i, s)) >= 0.5 ? 1.0 : 0)))]);
                classes.Add(Mean(moved.Select(s => classMoved((i * n) + s) ? 1.0 : 0)));
                lengths.Add(Mean(moved.Select(s => sizes[(i * n) + s].L2)));
            }

            var weights = probes.Select(p => Vectors.Unit(p.Probe.Raw().Weights)).ToArray();
            return new EntanglementEntry(
                [request.Concept.Name, .. request.Others.Select(o => o.Name)], change, ratio, entangled,
                [.. weights.Select(a => (IReadOnlyList<double>)[.. weights.Select(b => Rounding.Significant(Vectors.Dot(a, b)))])], changedSamples, classes, lengths);

            double Effect(int i, int j, int s) => after[(i * n) + s].Answers[j] - before[s].Answers[j];
        }

        private static int Largest(ReadOnlySpan<double> values)
        {
            var best = 0;
            for (var i = 1; i < values.Length; i++)
            {
                best = values[i] > values[best] ? i : best;
            }

            return best;
        }

        private static double[] Softmax(double[] logits)
        {
            var most = logits.Max();
            var exponentials = Array.ConvertAll(logits, l => Math.Exp(l - most));
            var sum = exponentials.Sum();
            return Array.ConvertAll(exponentials, e => e / sum);
        }

        private static double? Mean(IEnumerable<double> values)
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
}
