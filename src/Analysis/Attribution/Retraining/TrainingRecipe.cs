namespace Analysis.Attribution.Retraining;

/// <summary>
/// How a network is trained. The same recipe, images and seed give the same weights, byte for byte, on the same device with
/// the same number of threads.
/// </summary>
public sealed record TrainingRecipe
{
    /// <summary>Passes over the training images.</summary>
    public int Epochs { get; init; } = 12;

    /// <summary>Images a step; a last part of fewer than half of it is left out of the epoch.</summary>
    public int BatchSize { get; init; } = 50;

    /// <summary>Largest learning rate; it rises linearly to it and falls along a cosine to 0.</summary>
    public double Rate { get; init; } = 0.05;

    /// <summary>Share of the steps in which the rate rises, in [0, 1).</summary>
    public double Warmup { get; init; } = 0.1;

    /// <summary>Optimiser: <c>sgd</c>, or <c>adamw</c> (Loshchilov and Hutter 2019, arXiv 1711.05101).</summary>
    public string Optimizer { get; init; } = "sgd";

    /// <summary>Momentum of SGD in [0, 1).</summary>
    public double Momentum { get; init; } = 0.9;

    /// <summary>Weight decay.</summary>
    public double Decay { get; init; } = 5e-4;

    /// <summary>Label smoothing of the cross-entropy in [0, 1).</summary>
    public double Smoothing { get; init; }

    /// <summary>True to mirror every image left to right with probability ½ each time it is seen.</summary>
    public bool Flip { get; init; }

    /// <summary>Largest shift in pixels, drawn anew each time an image is seen; what comes in is the mean colour.</summary>
    public int Shift { get; init; }

    /// <summary>Refuses what cannot be trained with.</summary>
    /// <exception cref="AnalysisException">Names the value and the range.</exception>
    public void Validate()
    {
        Require(Epochs is >= 1 and <= 1000, $"{Epochs} epochs", "1 to 1,000");
        Require(BatchSize is >= 2 and <= 4096, $"a batch of {BatchSize}", "2 to 4,096 images");
        Require(Rate is > 0 and <= 10, FormattableString.Invariant($"the rate {Rate}"), "a rate above 0 and at most 10");
        Require(Warmup is >= 0 and < 1, FormattableString.Invariant($"the warm-up {Warmup}"), "a share from 0 to below 1");
        Require(Momentum is >= 0 and < 1, FormattableString.Invariant($"the momentum {Momentum}"), "0 to below 1");
        Require(Decay is >= 0 and <= 1, FormattableString.Invariant($"the weight decay {Decay}"), "0 to 1");
        Require(Smoothing is >= 0 and < 1, FormattableString.Invariant($"the label smoothing {Smoothing}"), "0 to below 1");
        Require(Shift is >= 0 and <= 64, $"a shift of {Shift} pixels", "0 to 64");
        Require(Optimizer is "sgd" or "adamw", $"the optimiser '{Optimizer}'", "sgd or adamw");

        static void Require(bool holds, string what, string range)
        {
            if (!holds)
            {
                throw new AnalysisException($"A network cannot be trained with {what}.", $"Choose {range}.");
            }
        }
    }

    /// <summary>Learning rate of a step.</summary>
    /// <param name="done">Share of the steps that were made before, in [0, 1).</param>
    public double RateAt(double done) => done < Warmup
        ? Rate * (0.05 + (0.95 * done / Warmup))
        : Rate * 0.5 * (1 + Math.Cos(Math.PI * (done - Warmup) / (1 - Warmup)));
}
