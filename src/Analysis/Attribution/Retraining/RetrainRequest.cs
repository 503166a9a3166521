using Analysis.Probes;

namespace Analysis.Attribution.Retraining;

/// <summary>Parameters of the task <c>retrain</c>.</summary>
public sealed record RetrainRequest
{
    /// <summary>The concept: yes or no.</summary>
    public ConceptDefinition? Concept { get; init; }

    /// <summary>True to measure only what it would cost: a few training steps.</summary>
    public bool Measure { get; init; }

    /// <summary>How training images are ranked: <c>attribution</c> (TRAK of the probe) or <c>probe</c> (its answer to the image itself).</summary>
    public string Ranking { get; init; } = "attribution";

    /// <summary>Layer of the probe that is ranked by; null for the analysis's.</summary>
    public string? Layer { get; init; }

    /// <summary>Layers at which probes are refitted; empty for all that matter.</summary>
    public IReadOnlyList<string> Layers { get; init; } = [];

    /// <summary>Sets to remove: top, random, bottom, labelled.</summary>
    public IReadOnlyList<string> Sets { get; init; } = RemovalSets.All;

    /// <summary>Shares of the training images to remove.</summary>
    public IReadOnlyList<double> Shares { get; init; } = [0.05];

    /// <summary>Networks a condition.</summary>
    public int Networks { get; init; } = 3;

    /// <summary>Passes over the training images.</summary>
    public int Epochs { get; init; } = 12;

    /// <summary>Images a step.</summary>
    public int BatchSize { get; init; } = 50;

    /// <summary>Largest learning rate of SGD with momentum 0.9.</summary>
    public double Rate { get; init; } = 0.05;

    /// <summary>
    /// <c>yes</c> to mirror images at random and shift them by up to an eighth of their width, <c>no</c>, or <c>auto</c>: not for the
    /// built-in sample, whose planted mark has its place in a corner.
    /// </summary>
    public string Augment { get; init; } = "auto";

    /// <summary>Seed of weights, order and random sets; network j uses seed + j.</summary>
    public int Seed { get; init; }

    /// <summary>The recipe.</summary>
    /// <param name="augment">Whether images are mirrored and shifted.</param>
    /// <param name="width">Width of the network's input.</param>
    public TrainingRecipe Recipe(bool augment, int width) => new()
    {
        Epochs = Epochs,
        BatchSize = BatchSize,
        Rate = Rate,
        Flip = augment,
        Shift = augment ? width / 8 : 0,
    };
}

/// <summary>What <c>retrain</c> writes.</summary>
public sealed record RetrainResult
{
    /// <summary>Version of the format.</summary>
    public int FormatVersion { get; init; } = 1;

    /// <summary>The wish.</summary>
    public required RetrainRequest Request { get; init; }

    /// <summary>Architecture that was trained.</summary>
    public required string Architecture { get; init; }

    /// <summary>How it was trained.</summary>
    public required TrainingRecipe Recipe { get; init; }

    /// <summary>What it costs; null in the report of an experiment.</summary>
    public RetrainCost? Cost { get; init; }

    /// <summary>The findings; null where only the cost was measured.</summary>
    public RemovalReport? Report { get; init; }
}

/// <summary>What an experiment would cost, from a few steps on this machine.</summary>
/// <param name="SecondsPerImage">Seconds that one image takes in one epoch.</param>
/// <param name="Training">Images that would be trained on.</param>
/// <param name="TrainingPositives">How many of them show the concept.</param>
/// <param name="HeldOut">Images kept for testing.</param>
/// <param name="HeldOutPositives">How many of them show the concept.</param>
/// <param name="Parameters">Values that a network learns.</param>
/// <param name="Layers">Layers at which probes would be refitted.</param>
public sealed record RetrainCost(
    double SecondsPerImage, int Training, int TrainingPositives, int HeldOut, int HeldOutPositives, long Parameters, IReadOnlyList<string> Layers);
