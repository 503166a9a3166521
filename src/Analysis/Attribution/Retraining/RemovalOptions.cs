using Analysis.Networks;
using Analysis.Probes;
using static TorchSharp.torch;

namespace Analysis.Attribution.Retraining;

/// <summary>What remove and retrain does.</summary>
public sealed record RemovalOptions
{
    /// <summary>Sets to remove, of <see cref="RemovalSets.All"/>; networks on everything are always trained.</summary>
    public IReadOnlyList<string> Sets { get; init; } = RemovalSets.All;

    /// <summary>Shares of the training images to remove, each in (0, 0.5].</summary>
    public IReadOnlyList<double> Shares { get; init; } = [0.05];

    /// <summary>Networks a condition.</summary>
    public int Networks { get; init; } = 3;

    /// <summary>How each is trained.</summary>
    public TrainingRecipe Recipe { get; init; } = new();

    /// <summary>Layers at which probes are refitted.</summary>
    public required IReadOnlyList<string> Layers { get; init; }

    /// <summary>Layer of the probe whose answers are attributed; one of <see cref="Layers"/>.</summary>
    public required string RankingLayer { get; init; }

    /// <summary>Whether l1 probes are fitted too, for their number of weights.</summary>
    public bool Sparsity { get; init; } = true;

    /// <summary>Seed of everything; network j of every condition is trained with seed + j.</summary>
    public int Seed { get; init; }

    /// <summary>All conditions in the order in which they are trained.</summary>
    public IReadOnlyList<RemovalCondition> Conditions =>
        [new("full", 0), .. Shares.Order().SelectMany(share => RemovalSets.All.Where(Sets.Contains).Select(set => new RemovalCondition(set, share)))];

    /// <summary>
    /// The layers of a network that are worth a probe: not the logits, not second names, not what averaging gives again; at most
    /// nine, evenly spread.
    /// </summary>
    public static IReadOnlyList<string> DefaultLayers(IReadOnlyList<LayerInfo> layers)
    {
        const int most = 9;
        string[] usable = [.. layers.SkipLast(1).Where(l => !l.Note.StartsWith("The same as", StringComparison.Ordinal) && (l.Height > 1 || l.Width > 1)).Select(l => l.Name)];
        usable = usable.Length > 0 ? usable : [layers[^1].Name];
        return usable.Length <= most ? usable : [.. Enumerable.Range(0, most).Select(i => usable[i * (usable.Length - 1) / (most - 1)]).Distinct()];
    }
}

/// <summary>What a ranking of the training images may use.</summary>
/// <param name="Networks">Weights files of the networks that were trained on everything.</param>
/// <param name="Architecture">Their architecture.</param>
/// <param name="Probes">The concept's probe in each, at <paramref name="Layer"/>.</param>
/// <param name="Layer">Layer of the probes.</param>
/// <param name="Images">All images; row i is sample i.</param>
/// <param name="Training">Rows that were trained on.</param>
/// <param name="Labels">What each row shows; the held-out rows that show the concept are the targets.</param>
/// <param name="Device">Where to compute.</param>
public sealed record RankingInput(
    IReadOnlyList<string> Networks, string Architecture, IReadOnlyList<LinearProbe> Probes, string Layer, TrainingImages Images, IReadOnlyList<int> Training, ConceptLabels Labels, Device Device);

/// <summary>Orders the training images by how much they teach a concept.</summary>
public interface IRemovalRanking
{
    /// <summary>A score for each row of the images; only those of training rows count. Higher: teaches the concept more.</summary>
    /// <param name="input">Networks that were trained on everything, with their probes.</param>
    /// <param name="progress">Receives what is being done.</param>
    /// <param name="cancellation">Honoured within a second.</param>
    double[] Scores(RankingInput input, Action<string> progress, CancellationToken cancellation);
}

/// <summary>
/// The plainest ranking, and the one to beat: how strongly the probes answer yes to the image itself (mean of their logits, each
/// divided by its standard deviation).
/// </summary>
public sealed class ProbeRanking : IRemovalRanking
{
    /// <inheritdoc/>
    public double[] Scores(RankingInput input, Action<string> progress, CancellationToken cancellation)
    {
        var scores = new double[input.Images.Count];
        for (var j = 0; j < input.Networks.Count; j++)
        {
            progress($"Answers of the probe in network {j + 1} of {input.Networks.Count}");
            using var network = NetworkLoader.Load(input.Networks[j], input.Architecture, input.Device);
            using var pooled = PooledActivations.Read(network, input.Images, input.Training, [input.Layer], cancellation)[0];
            var (weights, _) = input.Probes[j].Raw();
            using var column = tensor(weights, [weights.Length, 1], ScalarType.Float64);
            using var product = pooled.mm(column);
            var logits = product.data<double>().ToArray();
            var spread = Math.Max(1e-12, Numerics.RobustStatistics.StandardDeviation(logits));
            for (var i = 0; i < logits.Length; i++)
            {
                scores[input.Training[i]] += logits[i] / spread / input.Networks.Count;
            }
        }

        return scores;
    }
}
