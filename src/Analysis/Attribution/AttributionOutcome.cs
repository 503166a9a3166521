using Analysis.Numerics;

namespace Analysis.Attribution;

/// <summary>Scores of the training images before they are written: n images, t targets, M networks.</summary>
internal sealed record AttributionOutcome
{
    /// <summary>The training images.</summary>
    public required AttributedTraining Training { get; init; }

    /// <summary>Which of them have a score, n.</summary>
    public required int[] Positions { get; init; }

    /// <summary>Their paths, n.</summary>
    public required string[] Paths { get; init; }

    /// <summary>Their class folders, n.</summary>
    public required string[] Classes { get; init; }

    /// <summary>Hashes of their content, n.</summary>
    public required string[] Hashes { get; init; }

    /// <summary>Their scores, n; NaN for an image that is the only target itself.</summary>
    public required double[] Scores { get; init; }

    /// <summary>Images that could not be read.</summary>
    public int Skipped { get; init; }

    /// <summary>What is attributed.</summary>
    public required AttributedTarget Target { get; init; }

    /// <summary>The networks, M.</summary>
    public required IReadOnlyList<AttributedCheckpoint> Checkpoints { get; init; }

    /// <summary>Agreement of the networks; null for a single one.</summary>
    public AttributionAgreement? Agreement { get; init; }

    /// <summary>Whether projections keep what they should; null where there is none.</summary>
    public ProjectionCheck? Check { get; init; }

    /// <summary>Parameters whose gradients were taken.</summary>
    public required long Parameters { get; init; }

    /// <summary><c>dense</c>, <c>factorised</c> or <c>none</c>.</summary>
    public string Projection { get; init; } = "none";

    /// <summary>Influence of each image on each target, n×t.</summary>
    public required DenseMatrix Influence { get; init; }

    /// <summary>1 − p of the images, M×n; empty where only the probe was asked for.</summary>
    public IReadOnlyList<double[]> OneMinusP { get; init; } = [];

    /// <summary>Scores from single networks, M×n; empty for a single one.</summary>
    public IReadOnlyList<double[]> Single { get; init; } = [];

    /// <summary>Spearman's correlation of TRAK with the exact influence; null where there is no exact one.</summary>
    public double? TrakAgainstExact { get; init; }
}
