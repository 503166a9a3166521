using Analysis.Numerics;
using Analysis.Runs.Tasks;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Probes;

/// <summary>How a probe is fitted.</summary>
public sealed record ProbeOptions
{
    /// <summary>Smallest l2 of a probe with l2: on data that a plane separates, weights would grow without end.</summary>
    public const double SmallestStrength = 1e-4;

    /// <summary><c>l2</c> or <c>l1</c>.</summary>
    public string Penalty { get; init; } = "l2";

    /// <summary>Strength of the penalty beside the mean loss (l2: λ/2 ‖w‖², l1: λ ‖w‖₁); null to choose it on a part of the samples for fitting.</summary>
    public double? Strength { get; init; }

    /// <summary>Weigh samples so that both answers count the same.</summary>
    public bool Balanced { get; init; } = true;

    /// <summary>Seed of the part on which the strength is chosen.</summary>
    public int Seed { get; init; }
}

/// <summary>How well a probe answers on some samples.</summary>
public sealed record ProbeScores
{
    /// <summary>Samples.</summary>
    public required int Samples { get; init; }

    /// <summary>Samples that show the concept; 0 where it is continuous.</summary>
    public int Positives { get; init; }

    /// <summary>Share of right answers (logit at least 0 is a yes); null where the concept is continuous.</summary>
    public double? Accuracy { get; init; }

    /// <summary>Share of right answers of always giving the more frequent answer; null where the concept is continuous.</summary>
    public double? Majority { get; init; }

    /// <summary>Mean of the shares of right answers on samples that show it and that do not; null where one side is empty.</summary>
    public double? BalancedAccuracy { get; init; }

    /// <summary>Area under the ROC curve of the logit, ties ½; null where one side is empty.</summary>
    public double? Auc { get; init; }

    /// <summary>1 − Σ (f − y)² / Σ (y − mean y)²; null where the concept is yes or no.</summary>
    public double? R2 { get; init; }

    /// <summary>2 (accuracy − ½): the score of Hammersborg and Strümke's notebooks.</summary>
    public double? Rescaled => Accuracy is { } accuracy ? 2 * (accuracy - 0.5) : null;

    /// <summary>The figure that probes are compared by: <see cref="BalancedAccuracy"/>, or <see cref="R2"/> where the concept is continuous.</summary>
    public double? Score => R2 ?? BalancedAccuracy;
}

/// <summary>A fitted probe with its scores.</summary>
/// <param name="Probe">The probe.</param>
/// <param name="HeldOut">On samples that it was not fitted to.</param>
/// <param name="Fitted">On those that it was fitted to.</param>
/// <param name="Penalty"><c>l2</c> or <c>l1</c>.</param>
/// <param name="Strength">Strength of the penalty.</param>
public sealed record FittedProbe(LinearProbe Probe, ProbeScores HeldOut, ProbeScores Fitted, string Penalty, double Strength)
{
    /// <summary>The concept activation vector: unit direction of the activation in which the logit rises fastest, C; zeros where the probe is flat.</summary>
    public double[] Direction() => Vectors.Unit(Probe.Raw().Weights);
}

/// <summary>Fits linear probes (METHODS 3.1, 4.1).</summary>
public static class ProbeFitter
{
    private static readonly double[] L2Grid = [1, 1e-1, 1e-2, 1e-3, 1e-4];
    private static readonly double[] L1Shares = [0.3, 0.1, 0.03, 0.01, 0.003];

    /// <summary>Fits a probe at a layer to the samples that are not held out, and scores it on the others.</summary>
    /// <param name="context">The analysis.</param>
    /// <param name="labels">What the samples show.</param>
    /// <param name="layer">Any layer of the network; one other than the analysis's is recorded first, once for all concepts.</param>
    /// <param name="options">How.</param>
    /// <exception cref="AnalysisException">The layer or the penalty is not known, or one side has no sample to fit to.</exception>
    public static FittedProbe Fit(TaskContext context, ConceptLabels labels, string layer, ProbeOptions options)
    {
        using var set = ProbeSet.Create(context.Layers, labels, layer);
        var fitted = set.Fit(set.TrainTargets, options);
        return set.OfPlaces ? ForImages(context, labels, fitted) : fitted;
    }

    /// <summary>
    /// A probe of positions as one of images: the direction stays, and two numbers, its scale and its intercept, are fitted to
    /// activations averaged over positions, where a small place moves the logit less.
    /// </summary>
    /// <param name="context">The analysis.</param>
    /// <param name="labels">What the images show.</param>
    /// <param name="fitted">The probe of positions.</param>
    internal static FittedProbe ForImages(TaskContext context, ConceptLabels labels, FittedProbe fitted)
    {
        using var images = ProbeSet.Create(context.Layers, labels with { Places = null }, fitted.Probe.Layer);
        return ForImages(images, fitted);
    }

    /// <summary>The same on images that were read already.</summary>
    /// <param name="images">Images for fitting and testing, at the probe's layer.</param>
    /// <param name="fitted">The probe of positions.</param>
    internal static FittedProbe ForImages(ProbeSet images, FittedProbe fitted)
    {
        var (train, test) = (images.LogitsOf(fitted.Probe, testing: false), images.LogitsOf(fitted.Probe, testing: true));
        var mean = RobustStatistics.Mean(train);
        var deviation = Math.Sqrt(train.Sum(v => (v - mean) * (v - mean)) / train.Length);
        deviation = deviation > 0 ? deviation : 1;
        using var column = NativeData.Matrix(Array.ConvertAll(train, v => (v - mean) / deviation), train.Length, 1);
        using var solver = new LinearSolver(column);
        var line = solver.Solve(images.TrainTargets, Weights(images.TrainTargets, continuous: false, balanced: true), LinearLoss.Logistic, ProbeOptions.SmallestStrength);
        // The direction means the concept; it is never turned round.
        var slope = Math.Max(line.Weights[0], 1e-3) / deviation;
        double[] Answers(double[] logits) => Array.ConvertAll(logits, v => (slope * (v - mean)) + line.Bias);
        return new FittedProbe(
            fitted.Probe with { Weights = Array.ConvertAll(fitted.Probe.Weights, w => slope * w), Bias = (slope * (fitted.Probe.Bias - mean)) + line.Bias },
            Score(Answers(test), images.TestTargets, continuous: false),
            Score(Answers(train), images.TrainTargets, continuous: false),
            fitted.Penalty,
            fitted.Strength);
    }

    /// <summary>Checks options.</summary>
    /// <exception cref="AnalysisException">They are out of range; says how.</exception>
    public static void Validate(ProbeOptions options)
    {
        if (options.Penalty is not ("l1" or "l2"))
        {
            throw new AnalysisException($"The penalty '{options.Penalty}' is not known.", "Choose l2 or l1.");
        }

        if (options.Strength is { } strength && !(strength >= (options.Penalty == "l2" ? ProbeOptions.SmallestStrength : 1e-8) && strength <= 1e6))
        {
            throw new AnalysisException(
                FormattableString.Invariant($"A strength of {strength} is not possible."), "Choose at least 0.0001 for l2: without it weights grow without end where the samples can be separated.");
        }
    }

    /// <summary>Weights of the samples: ones, or n / (2 n of the sample's answer).</summary>
    internal static double[]? Weights(double[] targets, bool continuous, bool balanced)
    {
        if (continuous || !balanced)
        {
            return null;
        }

        var positives = targets.Count(t => t == 1);
        var (yes, no) = (targets.Length / (2.0 * positives), targets.Length / (2.0 * (targets.Length - positives)));
        return Array.ConvertAll(targets, t => t == 1 ? yes : no);
    }

    /// <summary>Scores answers.</summary>
    /// <param name="logits">w·x + b of each sample.</param>
    /// <param name="targets">1, 0 or a number for each sample.</param>
    /// <param name="continuous">True where targets are numbers.</param>
    public static ProbeScores Score(double[] logits, double[] targets, bool continuous)
    {
        if (continuous)
        {
            var mean = RobustStatistics.Mean(targets);
            double error = 0, total = 0;
            for (var i = 0; i < targets.Length; i++)
            {
                error += (logits[i] - targets[i]) * (logits[i] - targets[i]);
                total += (targets[i] - mean) * (targets[i] - mean);
            }

            return new ProbeScores { Samples = targets.Length, R2 = total > 0 ? 1 - (error / total) : null };
        }

        var positive = Array.ConvertAll(targets, t => t == 1);
        var (yes, hits, rejections) = (positive.Count(p => p), 0, 0);
        for (var i = 0; i < logits.Length; i++)
        {
            hits += positive[i] && logits[i] >= 0 ? 1 : 0;
            rejections += !positive[i] && logits[i] < 0 ? 1 : 0;
        }

        var no = targets.Length - yes;
        return new ProbeScores
        {
            Samples = targets.Length,
            Positives = yes,
            Accuracy = targets.Length == 0 ? null : (hits + rejections) / (double)targets.Length,
            Majority = targets.Length == 0 ? null : Math.Max(yes, no) / (double)targets.Length,
            BalancedAccuracy = yes == 0 || no == 0 ? null : 0.5 * ((hits / (double)yes) + (rejections / (double)no)),
            Auc = yes == 0 || no == 0 ? null : MannWhitney.Auc(logits, positive),
        };
    }

    internal static IReadOnlyList<double> Strengths(string penalty, double largest) => penalty == "l2" ? L2Grid : [.. L1Shares.Select(s => s * largest)];
}

/// <summary>Standardised activations of a layer for one division into fitting and testing; many probes are fitted to it.</summary>
internal sealed class ProbeSet : IDisposable
{
    /// <summary>Multiplications of a Newton step, rows × channels², that are still quick.</summary>
    private const double MostWork = 2e10;

    private const int FewestKept = 4_000;
    private const int MostKept = 20_000;

    private readonly Tensor _train;
    private readonly Tensor _test;
    private readonly string _layer;
    private readonly bool _continuous;
    private readonly double[] _mean;
    private readonly double[] _scale;
    private LinearSolver? _solver;
    private int[]? _sampleOf;

    private ProbeSet(string layer, bool continuous, Tensor train, Tensor test, double[] mean, double[] scale, int[] trainRows, int[] testRows, double[] trainTargets, double[] testTargets)
    {
        (_layer, _continuous, _train, _test, _mean, _scale) = (layer, continuous, train, test, mean, scale);
        (TrainRows, TestRows, TrainTargets, TestTargets) = (trainRows, testRows, trainTargets, testTargets);
    }

    /// <summary>Rows of the samples for fitting.</summary>
    public int[] TrainRows { get; }

    /// <summary>Rows of the samples for testing.</summary>
    public int[] TestRows { get; }

    /// <summary>Their targets.</summary>
    public double[] TrainTargets { get; }

    /// <summary>Their targets.</summary>
    public double[] TestTargets { get; }

    /// <summary>Standardised activations for fitting, n×C float64; owned by this object.</summary>
    public Tensor Train => _train;

    /// <summary>The solver over all samples for fitting; owned by this object.</summary>
    public LinearSolver Solver => _solver ??= new LinearSolver(_train);

    /// <summary>Whether rows are positions, inside and outside of marked places, instead of images.</summary>
    public bool OfPlaces => _sampleOf is not null;

    /// <summary>Reads and standardises: images, or positions where the concept is marked by places and the layer has positions.</summary>
    public static ProbeSet Create(LayerActivations layers, ConceptLabels labels, string layer)
    {
        if (layers.Placed(labels, [layer], layer) is { } placed)
        {
            return OfPositions(placed, labels, layer);
        }

        // Recorded first, outside of any scope: the store stays open.
        layers.Prepare([layer], _ => { }, layers.Cancellation);
        var channels = (double)layers.Get(layer).Channels;
        return Create(rows => layers.Read(layer, rows), labels, layer, (int)Math.Clamp(MostWork / (channels * channels), FewestKept, MostKept));
    }

    /// <summary>Standardises positions inside and outside of marked places; those of an image are on one side.</summary>
    /// <param name="placed">The positions.</param>
    /// <param name="labels">What the images show, and which are for testing.</param>
    /// <param name="layer">Name of the layer.</param>
    public static ProbeSet OfPositions(PlacedActivations placed, ConceptLabels labels, string layer)
    {
        var positions = labels with { Targets = placed.Targets, HeldOut = Array.ConvertAll(placed.Samples, row => labels.HeldOut[row]), Places = null };
        var set = Create(
            rows =>
            {
                using var index = tensor(Array.ConvertAll(rows, r => (long)r));
                using var chosen = placed.Values.index_select(0, index);
                return chosen.to(ScalarType.Float64);
            },
            positions,
            layer);
        set._sampleOf = placed.Samples;
        return set;
    }

    /// <summary>Standardises activations from anywhere.</summary>
    /// <param name="read">Pooled activations of rows, rows×C float64 on the CPU, made anew.</param>
    /// <param name="labels">What the rows show.</param>
    /// <param name="layer">Name of the layer.</param>
    /// <param name="most">Most rows on either side; more are thinned out evenly.</param>
    /// <exception cref="AnalysisException">The samples for fitting all show the same.</exception>
    public static ProbeSet Create(Func<int[], Tensor> read, ConceptLabels labels, string layer, int most = MostKept)
    {
        var known = Enumerable.Range(0, labels.Targets.Length).Where(i => !double.IsNaN(labels.Targets[i])).ToArray();
        int[] trainRows = [.. known.Where(i => !labels.HeldOut[i])];
        int[] testRows = [.. known.Where(i => labels.HeldOut[i])];
        (trainRows, testRows) = (Thin(trainRows, labels, most), Thin(testRows, labels, most));
        var trainTargets = Array.ConvertAll(trainRows, i => labels.Targets[i]);
        if (trainRows.Length < 2 || trainTargets.Distinct().Count() < 2)
        {
            throw new AnalysisException("The samples for fitting all show the same.", "Name more different images on both sides.");
        }

        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var train = read(trainRows);
        var mean = train.mean([0L]);
        var centred = train - mean;
        var deviation = centred.pow(Scalars.Of(2)).mean([0L]).sqrt();
        double[] centre = [.. mean.data<double>()];
        double[] scale = [.. deviation.data<double>()];
        var varies = new double[scale.Length];
        for (var c = 0; c < scale.Length; c++)
        {
            if (RobustStatistics.IsDegenerate(scale[c], centre[c]))
            {
                scale[c] = 1;
            }
            else
            {
                varies[c] = 1;
            }
        }

        var factor = tensor(varies, ScalarType.Float64) / tensor(scale, ScalarType.Float64);
        return new ProbeSet(
            layer,
            labels.Continuous,
            (centred * factor).DetachFromDisposeScope(),
            ((read(testRows) - mean) * factor).DetachFromDisposeScope(),
            centre,
            scale,
            trainRows,
            testRows,
            trainTargets,
            Array.ConvertAll(testRows, i => labels.Targets[i]));
    }

    /// <summary>
    /// At most so many rows, evenly spread; the samples that show a concept give way only where they are more than half, since
    /// each of them says more.
    /// </summary>
    internal static int[] Thin(int[] rows, ConceptLabels labels, int most)
    {
        if (rows.Length <= most)
        {
            return rows;
        }

        if (labels.Continuous)
        {
            return Spread(rows, most);
        }

        int[] rare = [.. rows.Where(i => labels.Targets[i] == 1)];
        int[] common = [.. rows.Where(i => labels.Targets[i] != 1)];
        var flipped = rare.Length > common.Length;
        (rare, common) = flipped ? (common, rare) : (rare, common);
        var kept = Spread(rare, Math.Max(most / 2, most - common.Length));
        return [.. kept.Concat(Spread(common, most - kept.Length)).Order()];

        static int[] Spread(int[] rows, int most) =>
            rows.Length <= most ? rows : [.. Enumerable.Range(0, most).Select(i => rows[(int)((long)i * rows.Length / most)])];
    }

    /// <summary>Fits a probe.</summary>
    /// <param name="targets">Targets of the samples for fitting.</param>
    /// <param name="options">How.</param>
    /// <param name="testTargets">What to score against; null for the true targets.</param>
    public FittedProbe Fit(double[] targets, ProbeOptions options, double[]? testTargets = null)
    {
        ProbeFitter.Validate(options);
        var strength = options.Strength ?? ChooseStrength(targets, options);
        var solution = Solve(Solver, targets, options, strength, null);
        return Finish(solution, targets, testTargets ?? TestTargets, options.Penalty, strength);
    }

    /// <summary>Solves on standardised targets, so that strengths mean the same whatever the unit of a continuous concept.</summary>
    public LinearSolution Solve(LinearSolver solver, double[] targets, ProbeOptions options, double strength, LinearSolution? start)
    {
        var (y, centre, scale) = Standardise(targets);
        var loss = _continuous ? LinearLoss.Squared : LinearLoss.Logistic;
        var weights = ProbeFitter.Weights(targets, _continuous, options.Balanced);
        var begin = start is null ? null : start with { Weights = Array.ConvertAll(start.Weights, v => v / scale), Bias = (start.Bias - centre) / scale };
        var solution = options.Penalty == "l2" ? solver.Solve(y, weights, loss, strength, 0, begin) : solver.Solve(y, weights, loss, 0, strength, begin);
        return solution with { Weights = Array.ConvertAll(solution.Weights, v => v * scale), Bias = (solution.Bias * scale) + centre };
    }

    /// <summary>The smallest l1 at which all weights are zero.</summary>
    public double LargestL1(LinearSolver solver, double[] targets, bool balanced) =>
        solver.LargestL1(Standardise(targets).Targets, ProbeFitter.Weights(targets, _continuous, balanced));

    /// <summary>Scores a solution on the samples for testing.</summary>
    /// <param name="solution">Weights of all channels, or of some.</param>
    /// <param name="columns">The channels that the weights belong to; null for all.</param>
    public ProbeScores Test(LinearSolution solution, int[]? columns = null) => ProbeFitter.Score(Logits(_test, solution, columns), TestTargets, _continuous);

    /// <summary>Logits of a probe that was standardised by other rows.</summary>
    /// <param name="probe">The probe.</param>
    /// <param name="testing">The rows for testing instead of those for fitting.</param>
    public double[] LogitsOf(LinearProbe probe, bool testing)
    {
        var (weights, bias) = probe.Raw();
        for (var c = 0; c < weights.Length; c++)
        {
            bias += weights[c] * _mean[c];
            weights[c] *= _scale[c];
        }

        return Logits(testing ? _test : _train, new LinearSolution(weights, bias, 0, 0, 0), null);
    }

    /// <summary>Logits of the samples for testing.</summary>
    public double[] TestLogits(LinearProbe probe) => Logits(_test, new LinearSolution(probe.Weights, probe.Bias, 0, 0, 0), null);

    /// <summary>Wraps a solution as a probe with its scores.</summary>
    public FittedProbe Finish(LinearSolution solution, double[] targets, double[] testTargets, string penalty, double strength)
    {
        var probe = new LinearProbe(_layer, _continuous, solution.Weights, solution.Bias, _mean, _scale);
        return new FittedProbe(
            probe,
            ProbeFitter.Score(Logits(_test, solution, null), testTargets, _continuous),
            ProbeFitter.Score(Logits(_train, solution, null), targets, _continuous),
            penalty,
            strength);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _train.Dispose();
        _test.Dispose();
        _solver?.Dispose();
    }

    /// <summary>The strength with the smallest loss on a part of the samples for fitting; the stronger of equals.</summary>
    private double ChooseStrength(double[] targets, ProbeOptions options)
    {
        // Neighbours in the list of rows are no duplicates here: the outer division has kept those on one side, and a few do no harm.
        var groups = Array.ConvertAll(TrainRows, r => (ulong)(_sampleOf?[r] ?? r));
        var aside = ConceptSplit.HeldOut(targets, _continuous, groups, options.Seed);
        int[] fit = [.. Enumerable.Range(0, targets.Length).Where(i => !aside[i])];
        int[] check = [.. Enumerable.Range(0, targets.Length).Where(i => aside[i])];
        var (fitTargets, checkTargets) = (Array.ConvertAll(fit, i => targets[i]), Array.ConvertAll(check, i => targets[i]));
        if (fitTargets.Distinct().Count() < 2 || checkTargets.Length == 0 || (!_continuous && checkTargets.Distinct().Count() < 2))
        {
            return ProbeFitter.Strengths(options.Penalty, LargestL1(Solver, targets, options.Balanced))[2];
        }

        using var scope = NewDisposeScope();
        using var guard = no_grad();
        using var solver = new LinearSolver(_train.index_select(0, tensor(Array.ConvertAll(fit, i => (long)i))));
        var checking = _train.index_select(0, tensor(Array.ConvertAll(check, i => (long)i)));
        var weights = ProbeFitter.Weights(checkTargets, _continuous, options.Balanced);
        var loss = _continuous ? LinearLoss.Squared : LinearLoss.Logistic;
        var (best, least) = (double.NaN, double.PositiveInfinity);
        LinearSolution? last = null;
        foreach (var strength in ProbeFitter.Strengths(options.Penalty, LargestL1(solver, fitTargets, options.Balanced)))
        {
            last = Solve(solver, fitTargets, options, strength, last);
            var logits = Logits(checking, last, null);
            double sum = 0;
            for (var i = 0; i < logits.Length; i++)
            {
                sum += (weights?[i] ?? 1) * LinearSolver.Loss(loss, logits[i], checkTargets[i]);
            }

            // A tenth of a percent is within rounding and luck.
            if (sum < least * 0.999)
            {
                (best, least) = (strength, sum);
            }
        }

        return best;
    }

    private (double[] Targets, double Centre, double Scale) Standardise(double[] targets)
    {
        if (!_continuous)
        {
            return (targets, 0, 1);
        }

        var mean = RobustStatistics.Mean(targets);
        var scale = Math.Sqrt(targets.Sum(t => (t - mean) * (t - mean)) / targets.Length);
        scale = scale > 0 ? scale : 1;
        return (Array.ConvertAll(targets, t => (t - mean) / scale), mean, scale);
    }

    private static double[] Logits(Tensor x, LinearSolution solution, int[]? columns)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var part = columns is null ? x : x.index_select(1, tensor(Array.ConvertAll(columns, c => (long)c)));
        using var product = part.mm(NativeData.Matrix(solution.Weights, solution.Weights.Length, 1)).contiguous();
        return Array.ConvertAll(product.data<double>().ToArray(), v => v + solution.Bias);
    }
}
