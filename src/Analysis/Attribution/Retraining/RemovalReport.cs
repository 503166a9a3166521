namespace Analysis.Attribution.Retraining;

/// <summary>What remove and retrain found.</summary>
public sealed record RemovalReport
{
    /// <summary>Version of the format.</summary>
    public int FormatVersion { get; init; } = 1;

    /// <summary>Layers whose probes were refitted, in the order of the forward pass.</summary>
    public required IReadOnlyList<string> Layers { get; init; }

    /// <summary>Channels of each layer.</summary>
    public required IReadOnlyList<int> Channels { get; init; }

    /// <summary>The layer that sentences speak of: where networks trained on everything show the concept best.</summary>
    public required string Layer { get; init; }

    /// <summary>Images that are trained on where none is removed.</summary>
    public required int Training { get; init; }

    /// <summary>How many of them show the concept.</summary>
    public required int TrainingPositives { get; init; }

    /// <summary>Images that probes and networks are tested on; never trained on.</summary>
    public required int HeldOut { get; init; }

    /// <summary>How many of them show the concept.</summary>
    public required int HeldOutPositives { get; init; }

    /// <summary>Networks in all, and those that are finished.</summary>
    public required int Networks { get; init; }

    /// <summary>Networks that are finished; fewer than <see cref="Networks"/> while the experiment runs.</summary>
    public required int Finished { get; init; }

    /// <summary>Share of the training images with the highest score that show the concept: how well the ranking finds them; null before scores are known.</summary>
    public IReadOnlyList<RankingPrecision> Precision { get; init; } = [];

    /// <summary>The conditions, <c>full</c> first.</summary>
    public required IReadOnlyList<ConditionResult> Conditions { get; init; }

    /// <summary>What each set does, against removing as many at random.</summary>
    public required IReadOnlyList<RemovalEffect> Effects { get; init; }

    /// <summary>The findings in sentences.</summary>
    public required IReadOnlyList<string> Verdict { get; init; }

    /// <summary>Doubts, in words.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

/// <summary>How many of the highest scores belong to images that show the concept.</summary>
/// <param name="Share">Share of the training images.</param>
/// <param name="Removed">How many that is.</param>
/// <param name="Positives">How many of them show the concept.</param>
public sealed record RankingPrecision(double Share, int Removed, int Positives);

/// <summary>The networks of one condition.</summary>
public sealed record ConditionResult
{
    /// <summary>Which images were removed.</summary>
    public required string Set { get; init; }

    /// <summary>Share of the training images that was asked for.</summary>
    public required double Share { get; init; }

    /// <summary>Images removed, mean over the networks.</summary>
    public required double Removed { get; init; }

    /// <summary>How many of them show the concept, mean over the networks.</summary>
    public required double RemovedPositives { get; init; }

    /// <summary>Share of the held-out images that each network recognises, in [0, 1].</summary>
    public required IReadOnlyList<double> TaskAccuracy { get; init; }

    /// <summary>Probe by layer.</summary>
    public required IReadOnlyList<ConditionLayer> Layers { get; init; }

    /// <summary>Layer with the best mean balanced accuracy.</summary>
    public required string Location { get; init; }
}

/// <summary>Refitted probes of one condition at one layer.</summary>
public sealed record ConditionLayer
{
    /// <summary>The layer.</summary>
    public required string Layer { get; init; }

    /// <summary>Held-out balanced accuracy of each network's probe; 0.5 is chance.</summary>
    public required IReadOnlyList<double> BalancedAccuracy { get; init; }

    /// <summary>Held-out area under the ROC curve of each.</summary>
    public required IReadOnlyList<double> Auc { get; init; }

    /// <summary>Weights of each that the l1 probe keeps (METHODS 4.1); empty where it was not asked for.</summary>
    public IReadOnlyList<int> NonZeros { get; init; } = [];

    /// <summary>
    /// Cosine between the probe vector and that of the network of the same seed that was trained on everything, mean over the
    /// networks; 1 for <c>full</c> itself. Networks that learnt apart have other channels, so that it falls for any removal:
    /// compare it with <c>random</c>.
    /// </summary>
    public required double Cosine { get; init; }

    /// <summary>Correlation of the held-out answers of the same two probes; does not depend on the channels.</summary>
    public required double Agreement { get; init; }
}

/// <summary>A difference with its interval.</summary>
/// <param name="Value">The difference.</param>
/// <param name="Low">Lower end of the 95% interval.</param>
/// <param name="High">Upper end.</param>
public sealed record EffectInterval(double Value, double Low, double High)
{
    /// <summary>True where the interval leaves out 0.</summary>
    public bool Clear => Low > 0 || High < 0;
}

/// <summary>What removing a set does to the probe at a layer, as differences of held-out balanced accuracy.</summary>
public sealed record RemovalEffect
{
    /// <summary>The set.</summary>
    public required string Set { get; init; }

    /// <summary>Share of the training images.</summary>
    public required double Share { get; init; }

    /// <summary>The layer.</summary>
    public required string Layer { get; init; }

    /// <summary>Removed less full: how far the probe falls (negative) without the images.</summary>
    public required EffectInterval AgainstFull { get; init; }

    /// <summary>Removed less random removal of as many, class by class; null where none was trained.</summary>
    public EffectInterval? AgainstRandom { get; init; }

    /// <summary>Removal effect / random effect; null where the random effect is not told apart from 0, or none was trained.</summary>
    public double? Ratio { get; init; }
}
