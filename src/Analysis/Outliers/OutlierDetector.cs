using System.Globalization;
using Analysis.Numerics;
using Analysis.Outliers.Detectors;
using Analysis.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Outliers;

/// <summary>
/// Combines detectors that each see another kind of oddity into one score and one kind per sample. Every detector gives
/// log-odds that are 0 at its threshold and calibrated on the data set itself; the score is the probability that at least
/// one of them is right, were they independent. Costs O(N) for a data set of N samples: comparisons are with seeded subsets.
/// </summary>
public static class OutlierDetector
{
    /// <summary>Score below which no sample gets a kind; one detector has to reach as much by itself.</summary>
    public const double Threshold = 0.5;

    private static readonly string[] Names = ["Label", "Shared pattern", "Damage", "Foreign", "Copies", "Unexplained"];

    // Strangeness (in standard deviations) at which a sample that fits no class is called foreign, and the slopes of its
    // log-odds in strangeness and in the neighbours' disagreement.
    private const double ForeignFrom = 3.5;
    private const double StrangenessSlope = 1.2;
    private const double MisfitSlope = 0.5;
    private const double LargestMisfit = 4;

    // A sample that fits another class well is mislabelled, one that fits none is foreign: what the neighbours agree on
    // counts against being foreign.
    private const double AgreementWeight = 0.2;
    private const double ForeignRatherThanMislabelled = 0.2;

    // Residuals are skewed; only far ones count, and alone they are never very odd.
    private const double ResidualFrom = 4;
    private const double ResidualLimit = 0.5;

    private const int UsablePart = 8192;

    private const double CopyLogOdds = 0.4;
    private const double ContradictingCopyLogOdds = 1.5;

    /// <summary>Judges every sample. Deterministic for equal inputs, seed and device.</summary>
    /// <param name="input">What is known of the samples.</param>
    /// <param name="progress">Receives the share that is done, rising to 1; may be null.</param>
    /// <param name="cancellation">Checked between blocks.</param>
    /// <exception cref="ArgumentException">The parts of the input have different lengths.</exception>
    public static OutlierResult Detect(OutlierInput input, Action<double>? progress = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(input);
        Check(input);
        progress ??= _ => { };
        var n = input.Class.Count;
        if (n == 0)
        {
            progress(1);
            return new OutlierResult([], Names);
        }

        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var usable = Usable(input);
        var references = new ReferenceSet(input, usable);
        LabelDetector? labels = null;
        ForeignDetector? foreign = null;
        PatternDetector? pattern = null;
        DamageDetector? damage = null;
        Copies? copies = null;
        var shares = new double[2];
        Lock gate = new();
        Background.All(
            get_num_threads(),
            () =>
            {
                using var guard = no_grad();
                var (neighbours, k) = Neighbours(input, references, cancellation);
                Report(0, 0.2);
                labels = LabelDetector.Run(input, usable, neighbours, k);
                foreign = ForeignDetector.Run(input, usable, references, p => Report(0, 0.4 + (0.6 * p)), cancellation);
            },
            () =>
            {
                using var guard = no_grad();
                pattern = PatternDetector.Run(input, references, p => Report(1, p), cancellation);
                damage = DamageDetector.Run(input);
                copies = new Copies(input);
            });
        var residual = Evidence.Standardise([.. input.Residual]);

        var judged = new (double Score, double Key, OutlierKind Kind, string Reason, float[] Detectors)[n];
        for (var i = 0; i < n; i++)
        {
            var strange = usable[i]
                ? (StrangenessSlope * (foreign!.Strangeness[i] - ForeignFrom)) + (MisfitSlope * Math.Clamp(labels!.Misfit[i], -LargestMisfit, LargestMisfit))
                : Evidence.Absent;
            double[] evidence =
            [
                labels!.LogOdds[i],
                pattern!.LogOdds[i],
                damage!.LogOdds[i],
                strange,
                copies!.LogOdds[i],
                Math.Min(ResidualLimit, residual[i] - ResidualFrom),
            ];
            var (score, key) = Combine(evidence);
            var kind = Kind(evidence, score, foreign!.Strangeness[i] - (AgreementWeight * labels!.Agreement[i]), labels!.Misfit[i]);
            judged[i] = (score, key, kind, Reason(kind, i), [.. evidence.Select(e => (float)Evidence.Logistic(e))]);
        }

        var order = Ranks.Descending([.. judged.Select(j => j.Key)]);
        var rank = new int[n];
        for (var i = 0; i < n; i++)
            rank[order[i]] = i + 1;
        progress(1);
        return new OutlierResult(
            [.. judged.Select((j, i) => new SampleOutlier(j.Score, rank[i], j.Kind, j.Reason, j.Detectors))],
            Names);

        void Report(int part, double share)
        {
            lock (gate)
            {
                shares[part] = share;
                progress((0.5 * shares[0]) + (0.45 * shares[1]));
            }
        }

        string Reason(OutlierKind kind, int row) => kind switch
        {
            OutlierKind.None => "",
            OutlierKind.Mislabelled => labels!.Reason(row),
            OutlierKind.Confounded => pattern!.Reason(row),
            OutlierKind.Corrupted => damage!.Reason(row),
            OutlierKind.Duplicate => copies!.Reason(row),
            OutlierKind.Foreign => foreign!.Reason(row, foreign: true, labels!),
            _ => residual[row] - ResidualFrom > 0
                ? string.Create(CultureInfo.InvariantCulture, $"Unusual: {input.Residual[row]:P0} of its activation is explained by no concept of its class, {Median(input.Residual):P0} is usual.").Replace(" %", "%", StringComparison.Ordinal)
                : foreign!.Reason(row, foreign: false, labels!),
        };
    }

    /// <summary>
    /// 1 − Π(1 − p), and a key of the same order that does not saturate: the log-odds of it.
    /// </summary>
    private static (double Score, double Key) Combine(double[] evidence)
    {
        // log(1 − p) = −log(1 + e^x), computed without loss for large x.
        double logNone = 0;
        foreach (var x in evidence)
            logNone -= x > 0 ? x + Math.Log(1 + Math.Exp(-x)) : Math.Log(1 + Math.Exp(x));
        var score = 1 - Math.Exp(logNone);
        return (Math.Clamp(score, 0, 1), -logNone);
    }

    private static OutlierKind Kind(double[] evidence, double score, double rather, double misfit)
    {
        // Several weak doubts make a high rank, but a kind is only given where one detector reaches its own threshold.
        if (score < Threshold || evidence.Max() < 0)
            return OutlierKind.None;
        var (label, pattern, damage, strange, copies, residual) = (evidence[0], evidence[1], evidence[2], evidence[3], evidence[4], evidence[5]);

        // What can be pointed at goes first: damage explains any other oddity, a shared mark is plain to see.
        if (damage >= 0)
            return OutlierKind.Corrupted;
        if (pattern >= 0)
            return OutlierKind.Confounded;
        var strongest = Math.Max(Math.Max(label, strange), Math.Max(copies, residual));
        if (copies >= 0 && copies >= strongest)
            return OutlierKind.Duplicate;
        if (Math.Max(label, strange) >= residual)
        {
            // Its neighbours are of its own class: strange, but at home.
            if (label < 0 && misfit < 0)
                return OutlierKind.Rare;
            return rather > ForeignRatherThanMislabelled ? OutlierKind.Foreign
                : label > Evidence.Absent ? OutlierKind.Mislabelled
                : OutlierKind.Rare;
        }

        return OutlierKind.Rare;
    }

    private static (int[] Rows, int K) Neighbours(OutlierInput input, ReferenceSet references, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        var rows = tensor(references.Rows.Select(i => (long)i).ToArray(), device: input.Pooled.device);
        var reference = input.Pooled.index_select(0, rows).to(ScalarType.Float32);
        if (references.Rows.Length < 2)
            return ([], 0);
        var (mean, scale) = Scaling.Of(reference);
        var (index, _, k) = references.Nearest(
            input.Class.Count,
            (start, count) => (input.Pooled.narrow(0, start, count).to(ScalarType.Float32).nan_to_num(0, 0, 0) - mean) / scale,
            (reference - mean) / scale,
            LabelDetector.Neighbours,
            cancellation);
        for (var i = 0; i < index.Length; i++)
            index[i] = references.Rows[index[i]];
        return (index, k);
    }

    /// <summary>Samples with finite logits and pooled activations.</summary>
    private static bool[] Usable(OutlierInput input)
    {
        // In parts: the intermediate results of all samples at once would be several times their activations.
        var usable = new bool[input.Class.Count];
        for (var start = 0; start < usable.Length; start += UsablePart)
        {
            using var scope = NewDisposeScope();
            var count = Math.Min(UsablePart, usable.Length - start);
            var finite = input.Logits.narrow(0, start, count).isfinite().all(1).cpu().logical_and(input.Pooled.narrow(0, start, count).isfinite().all(1).cpu());
            finite.contiguous().data<bool>().CopyTo(usable.AsSpan(start, count));
        }

        return usable;
    }

    private static double Median(IReadOnlyList<double> values) => RobustStatistics.Median([.. values.Where(double.IsFinite)]);

    private static void Check(OutlierInput input)
    {
        var n = input.Class.Count;
        Require(input.Label.Count, nameof(input.Label));
        Require(input.Residual.Count, nameof(input.Residual));
        Require(input.ContentHash.Count, nameof(input.ContentHash));
        Require(input.Logits.shape[0], nameof(input.Logits));
        Require(input.Pooled.shape[0], nameof(input.Pooled));
        Require(input.PixelStatistics.shape[0], nameof(input.PixelStatistics));

        void Require(long count, string what)
        {
            if (count != n)
                throw new ArgumentException($"{what} has {count} rows, Class has {n}.", nameof(input));
        }
    }

    /// <summary>Exact copies, by the hash of the decoded pixels.</summary>
    private sealed class Copies
    {
        private readonly OutlierInput _input;
        private readonly Dictionary<string, List<int>> _groups = new(StringComparer.Ordinal);

        public Copies(OutlierInput input)
        {
            _input = input;
            for (var i = 0; i < input.ContentHash.Count; i++)
            {
                if (!_groups.TryGetValue(input.ContentHash[i], out var group))
                    _groups[input.ContentHash[i]] = group = [];
                group.Add(i);
            }

            LogOdds = new double[input.ContentHash.Count];
            for (var i = 0; i < LogOdds.Length; i++)
            {
                var group = _groups[input.ContentHash[i]];
                LogOdds[i] = group.Count < 2 ? Evidence.Absent
                    : group.Any(other => input.Class[other] != input.Class[i]) ? ContradictingCopyLogOdds
                    : CopyLogOdds;
            }
        }

        public double[] LogOdds { get; }

        public string Reason(int row)
        {
            var others = _groups[_input.ContentHash[row]].Where(other => other != row).ToList();
            var elsewhere = others.Where(other => _input.Class[other] >= 0 && _input.Class[other] != _input.Class[row])
                .Select(other => _input.ClassNames[_input.Class[other]]).Distinct().Take(3).ToList();
            var count = others.Count == 1 ? "one other image" : $"{others.Count} other images";
            return elsewhere.Count == 0
                ? $"The same pixels as {count}."
                : $"The same pixels as {count}, filed under {string.Join(", ", elsewhere)} too.";
        }
    }
}
