using System.Text.Json;

namespace Dashboard.Client.Contracts;

/// <summary>Remove and retrain as the task <c>retrain</c> writes it (docs/file-formats.md): its cost, or its findings, also while it runs.</summary>
public sealed record RetrainView
{
    /// <summary>Kind of the task.</summary>
    public const string TaskKind = "retrain";

    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web);

    /// <summary>Architecture that is trained.</summary>
    public string Architecture { get; init; } = "";

    /// <summary>How it is trained.</summary>
    public RecipeView Recipe { get; init; } = new();

    /// <summary>What it costs; null in a report.</summary>
    public RetrainCostView? Cost { get; init; }

    /// <summary>The findings; null where only the cost was measured.</summary>
    public RemovalView? Report { get; init; }

    /// <summary>Reads a result; null where it is none.</summary>
    public static RetrainView? Parse(string? json)
    {
        try
        {
            return json is null ? null : JsonSerializer.Deserialize<RetrainView>(json, Options);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>How networks are trained.</summary>
public sealed record RecipeView
{
    /// <summary>Passes over the images.</summary>
    public int Epochs { get; init; }

    /// <summary>Images a step.</summary>
    public int BatchSize { get; init; }

    /// <summary>Largest learning rate.</summary>
    public double Rate { get; init; }

    /// <summary>Momentum.</summary>
    public double Momentum { get; init; }

    /// <summary>Weight decay.</summary>
    public double Decay { get; init; }

    /// <summary>Whether images are mirrored.</summary>
    public bool Flip { get; init; }

    /// <summary>Largest shift in pixels.</summary>
    public int Shift { get; init; }
}

/// <summary>What an experiment would cost.</summary>
/// <param name="SecondsPerImage">Seconds of one image in one epoch.</param>
/// <param name="Training">Images that are trained on.</param>
/// <param name="TrainingPositives">How many of them show the concept.</param>
/// <param name="HeldOut">Images kept for testing.</param>
/// <param name="HeldOutPositives">How many of them show the concept.</param>
/// <param name="Parameters">Values that a network learns.</param>
/// <param name="Layers">Layers with a probe.</param>
public sealed record RetrainCostView(double SecondsPerImage, int Training, int TrainingPositives, int HeldOut, int HeldOutPositives, long Parameters, IReadOnlyList<string> Layers);

/// <summary>The findings.</summary>
public sealed record RemovalView
{
    /// <summary>Layers with a probe.</summary>
    public IReadOnlyList<string> Layers { get; init; } = [];

    /// <summary>The layer that sentences speak of.</summary>
    public string Layer { get; init; } = "";

    /// <summary>Images trained on where none is removed.</summary>
    public int Training { get; init; }

    /// <summary>How many of them show the concept.</summary>
    public int TrainingPositives { get; init; }

    /// <summary>Images kept for testing.</summary>
    public int HeldOut { get; init; }

    /// <summary>How many of them show the concept.</summary>
    public int HeldOutPositives { get; init; }

    /// <summary>Networks in all.</summary>
    public int Networks { get; init; }

    /// <summary>Networks finished.</summary>
    public int Finished { get; init; }

    /// <summary>How many of the highest scores show the concept.</summary>
    public IReadOnlyList<PrecisionView> Precision { get; init; } = [];

    /// <summary>Conditions, <c>full</c> first.</summary>
    public IReadOnlyList<ConditionView> Conditions { get; init; } = [];

    /// <summary>Differences with their intervals.</summary>
    public IReadOnlyList<EffectView> Effects { get; init; } = [];

    /// <summary>Sentences.</summary>
    public IReadOnlyList<string> Verdict { get; init; } = [];

    /// <summary>Doubts.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>The effect of a condition at a layer; null for <c>full</c>.</summary>
    public EffectView? Effect(ConditionView condition, string layer) => Effects.FirstOrDefault(e => e.Set == condition.Set && e.Share == condition.Share && e.Layer == layer);
}

/// <summary>How many of the highest scores show the concept.</summary>
/// <param name="Share">Share of the training images.</param>
/// <param name="Removed">How many that is.</param>
/// <param name="Positives">How many of them show it.</param>
public sealed record PrecisionView(double Share, int Removed, int Positives);

/// <summary>Networks of one condition.</summary>
public sealed record ConditionView
{
    /// <summary>full, top, random, bottom or labelled.</summary>
    public string Set { get; init; } = "";

    /// <summary>Share of the training images.</summary>
    public double Share { get; init; }

    /// <summary>Images removed.</summary>
    public double Removed { get; init; }

    /// <summary>How many of them show the concept.</summary>
    public double RemovedPositives { get; init; }

    /// <summary>Accuracy of each network.</summary>
    public IReadOnlyList<double> TaskAccuracy { get; init; } = [];

    /// <summary>Probe by layer.</summary>
    public IReadOnlyList<ConditionLayerView> Layers { get; init; } = [];

    /// <summary>Best layer.</summary>
    public string Location { get; init; } = "";
}

/// <summary>Refitted probes of a condition at a layer.</summary>
public sealed record ConditionLayerView
{
    /// <summary>Layer.</summary>
    public string Layer { get; init; } = "";

    /// <summary>Held-out balanced accuracy of each network's probe.</summary>
    public IReadOnlyList<double> BalancedAccuracy { get; init; } = [];

    /// <summary>Held-out AUC of each.</summary>
    public IReadOnlyList<double> Auc { get; init; } = [];

    /// <summary>Weights of the sparse probe of each.</summary>
    public IReadOnlyList<int> NonZeros { get; init; } = [];

    /// <summary>Cosine with the probe of the network that saw everything.</summary>
    public double Cosine { get; init; }

    /// <summary>Correlation of the answers of the two.</summary>
    public double Agreement { get; init; }
}

/// <summary>What removing a set does at a layer.</summary>
public sealed record EffectView
{
    /// <summary>Set.</summary>
    public string Set { get; init; } = "";

    /// <summary>Share.</summary>
    public double Share { get; init; }

    /// <summary>Layer.</summary>
    public string Layer { get; init; } = "";

    /// <summary>Removed less everything.</summary>
    public IntervalView AgainstFull { get; init; } = new(0, 0, 0);

    /// <summary>Removed less random removal.</summary>
    public IntervalView? AgainstRandom { get; init; }

    /// <summary>Removal effect / random effect.</summary>
    public double? Ratio { get; init; }
}

/// <summary>A difference of balanced accuracies with its 95% interval.</summary>
/// <param name="Value">The difference.</param>
/// <param name="Low">Lower end.</param>
/// <param name="High">Upper end.</param>
public sealed record IntervalView(double Value, double Low, double High)
{
    /// <summary>True where the interval leaves out 0.</summary>
    public bool Clear => Low > 0 || High < 0;
}
