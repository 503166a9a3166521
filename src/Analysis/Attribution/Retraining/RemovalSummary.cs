using System.Globalization;
using Analysis.Numerics;

namespace Analysis.Attribution.Retraining;

/// <summary>Makes the report from what the networks gave.</summary>
internal static class RemovalSummary
{
    // Below that, in balanced accuracy, a probe reads nothing that counts.
    private const double Readable = 0.6;

    private const int Enough = 3;

    /// <summary>The report of the conditions whose networks are all finished.</summary>
    public static RemovalReport Create(
        RemovalOptions options, IReadOnlyDictionary<(RemovalCondition Condition, int Network), Measurement> done, Lazy<RemovalBootstrap> bootstrap, bool[] positive,
        RemovalCounts counts, IReadOnlyList<string> notes)
    {
        var conditions = options.Conditions.Where(c => Enumerable.Range(0, options.Networks).All(j => done.ContainsKey((c, j)))).ToList();
        var networks = conditions.ToDictionary(c => c, c => Enumerable.Range(0, options.Networks).Select(j => done[(c, j)]).ToArray());
        var channels = done.Values.First().Layers.Select(l => l.Channels).ToArray();
        var full = conditions.FirstOrDefault(c => c.Set == "full");
        var results = conditions.Select(c => Result(c, networks[c], full is null ? null : networks[full], positive)).ToList();
        var layer = results.FirstOrDefault()?.Location ?? options.RankingLayer;
        var effects = full is null ? [] : Effects(options, conditions, networks, bootstrap.Value, positive, full);
        var report = new RemovalReport
        {
            Layers = options.Layers,
            Channels = channels,
            Layer = layer,
            Training = counts.Training,
            TrainingPositives = counts.TrainingPositives,
            HeldOut = counts.HeldOut,
            HeldOutPositives = counts.HeldOutPositives,
            Networks = counts.Networks,
            Finished = done.Count,
            Precision = counts.Precision,
            Conditions = results,
            Effects = effects,
            Verdict = [],
            Notes = notes,
        };
        return report with { Verdict = [.. Sentences(report)] };
    }

    /// <summary>1 for each held-out image that the probe judges rightly.</summary>
    private static double[] Right(LayerMeasurement layer, bool[] positive)
    {
        var right = new double[positive.Length];
        for (var i = 0; i < right.Length; i++)
        {
            right[i] = layer.Answers[i] >= 0 == positive[i] ? 1 : 0;
        }

        return right;
    }

    private static double BalancedAccuracy(double[] right, bool[] positive)
    {
        var (yes, no, hits, rejections) = (0, 0, 0.0, 0.0);
        for (var i = 0; i < right.Length; i++)
        {
            (yes, no) = positive[i] ? (yes + 1, no) : (yes, no + 1);
            (hits, rejections) = positive[i] ? (hits + right[i], rejections) : (hits, rejections + right[i]);
        }

        return 0.5 * ((hits / yes) + (rejections / no));
    }

    private static ConditionResult Result(RemovalCondition condition, Measurement[] networks, Measurement[]? full, bool[] positive)
    {
        var layers = new List<ConditionLayer>();
        for (var l = 0; l < networks[0].Layers.Count; l++)
        {
            layers.Add(new ConditionLayer
            {
                Layer = networks[0].Layers[l].Layer,
                BalancedAccuracy = [.. networks.Select(n => BalancedAccuracy(Right(n.Layers[l], positive), positive))],
                Auc = [.. networks.Select(n => n.Layers[l].Auc)],
                NonZeros = [.. networks.Where(n => n.Layers[l].NonZeros is not null).Select(n => n.Layers[l].NonZeros!.Value)],
                Cosine = full is null ? 1 : networks.Select((n, j) => Cosine(n.Layers[l].Probe.Raw().Weights, full[j].Layers[l].Probe.Raw().Weights)).Average(),
                Agreement = full is null ? 1 : networks.Select((n, j) => Ranks.Pearson(
                    Array.ConvertAll(n.Layers[l].Answers, v => (double)v), Array.ConvertAll(full[j].Layers[l].Answers, v => (double)v))).Average(),
            });
        }

        return new ConditionResult
        {
            Set = condition.Set,
            Share = condition.Share,
            Removed = networks.Average(n => n.Removed),
            RemovedPositives = networks.Average(n => n.RemovedPositives),
            TaskAccuracy = [.. networks.Select(n => n.TaskAccuracy)],
            Layers = layers,
            Location = layers.MaxBy(l => l.BalancedAccuracy.Average())!.Layer,
        };
    }

    private static double Cosine(double[] a, double[] b) => Vectors.Norm(a) > 0 && Vectors.Norm(b) > 0 ? Vectors.Cosine(a, b) : 0;

    private static List<RemovalEffect> Effects(
        RemovalOptions options, List<RemovalCondition> conditions, Dictionary<RemovalCondition, Measurement[]> networks, RemovalBootstrap bootstrap, bool[] positive, RemovalCondition full)
    {
        var effects = new List<RemovalEffect>();
        for (var l = 0; l < options.Layers.Count; l++)
        {
            var layer = l;
            var values = conditions.ToDictionary(c => c, c =>
            {
                var right = networks[c].Select(n => Right(n.Layers[layer], positive)).ToArray();
                return (Mean: right.Average(r => BalancedAccuracy(r, positive)), Draws: bootstrap.Draws(right));
            });
            foreach (var condition in conditions.Where(c => c.Set != "full"))
            {
                var against = RemovalBootstrap.Difference(values[condition].Mean - values[full].Mean, values[condition].Draws, values[full].Draws);
                var effect = new RemovalEffect { Set = condition.Set, Share = condition.Share, Layer = options.Layers[l], AgainstFull = against };
                var random = new RemovalCondition("random", condition.Share);
                if (condition.Set != "random" && values.TryGetValue(random, out var chance))
                {
                    var drop = RemovalBootstrap.Difference(chance.Mean - values[full].Mean, chance.Draws, values[full].Draws);
                    effect = effect with
                    {
                        AgainstRandom = RemovalBootstrap.Difference(values[condition].Mean - chance.Mean, values[condition].Draws, chance.Draws),
                        Ratio = drop.Clear ? against.Value / drop.Value : null,
                    };
                }

                effects.Add(effect);
            }
        }

        return effects;
    }

    private static IEnumerable<string> Sentences(RemovalReport report)
    {
        if (report.Conditions.FirstOrDefault(c => c.Set == "full") is not { } full)
        {
            yield break;
        }

        var best = full.Layers.First(l => l.Layer == report.Layer).BalancedAccuracy.Average();
        yield return best < Readable
            ? $"Networks trained on everything hardly show the concept at any layer (best: {Percent(best)} at {report.Layer}, chance is 50%): there is nothing to remove."
            : $"Networks trained on everything show the concept best at {report.Layer}: probes are right on {Percent(best)} of the held-out images (balanced; chance is 50%).";
        foreach (var condition in report.Conditions.Where(c => c.Set is "top" or "labelled"))
        {
            var effect = report.Effects.First(e => e.Set == condition.Set && e.Share == condition.Share && e.Layer == report.Layer);
            yield return Sentence(report, condition, effect);
        }
    }

    private static string Sentence(RemovalReport report, ConditionResult condition, RemovalEffect effect)
    {
        var what = string.Create(
            CultureInfo.InvariantCulture,
            $"{Capital(RemovalExperiment.InWords(new RemovalCondition(condition.Set, condition.Share)))} ({condition.Removed:0} images, {condition.RemovedPositives:0} of the {report.TrainingPositives} that show it)");
        var change = $"the probe at {report.Layer} {Change(effect.AgainstFull)}";
        if (effect.AgainstRandom is not { } against)
        {
            return $"{what} {change}.";
        }

        var random = report.Effects.First(e => e.Set == "random" && e.Share == condition.Share && e.Layer == report.Layer).AgainstFull;
        var ratio = effect.Ratio is { } number
            ? string.Create(CultureInfo.InvariantCulture, $" Removal effect / random effect: {number:0.0}.")
            : $" Removal effect / random effect: {Points(effect.AgainstFull.Value)} / {Points(random.Value)} points, the latter not told apart from nothing.";
        // The interval of one or two networks knows of images only.
        var few = condition.TaskAccuracy.Count < Enough
            ? $"with {(condition.TaskAccuracy.Count == 1 ? "one network" : "two networks")} a condition this may be chance"
            : null;
        return against.High < 0
            ? $"{what} {change}, {Points(Math.Abs(against.Value))} points below random removal of as many (95% interval {Points(-against.High)} to {Points(-against.Low)}): {few ?? "these images taught it"}.{ratio}"
            : against.Low > 0
                ? $"{what} {change}, {Points(against.Value)} points above random removal of as many (95% interval {Points(against.Low)} to {Points(against.High)}): {few ?? "these images stood in its way"}.{ratio}"
                : $"{what} {change}; random removal of as many gives no clearly other result (difference {Points(against.Value)} points, 95% interval {Points(against.Low)} to {Points(against.High)}): no small set of images carries it, or the network reads it without being taught.{ratio}";
    }

    private static string Change(EffectInterval change) =>
        change.Value < 0
            ? $"falls by {Points(-change.Value)} points (95% interval {Points(-change.High)} to {Points(-change.Low)})"
            : $"rises by {Points(change.Value)} points (95% interval {Points(change.Low)} to {Points(change.High)})";

    private static string Capital(string text) => char.ToUpperInvariant(text[0]) + text[1..];

    private static string Percent(double share) => share.ToString("0.0%", CultureInfo.InvariantCulture);

    private static string Points(double difference) => (100 * difference).ToString("0.0", CultureInfo.InvariantCulture).Replace("-0.0", "0.0", StringComparison.Ordinal).Replace('-', '−');
}
