using static TorchSharp.torch;

namespace Analysis.Outliers;

/// <summary>What kind of oddity a sample shows.</summary>
public enum OutlierKind
{
    /// <summary>Nothing odd.</summary>
    None,

    /// <summary>The network is sure of another class than the label.</summary>
    Mislabelled,

    /// <summary>A pattern that a group of samples of a class shares and others lack, at the same place: a likely shortcut.</summary>
    Confounded,

    /// <summary>Blank, grey where others are coloured, noisy, or otherwise damaged.</summary>
    Corrupted,

    /// <summary>Belongs to no class: far from all.</summary>
    Foreign,

    /// <summary>The same picture as another sample.</summary>
    Duplicate,

    /// <summary>Unusual for its class in other ways.</summary>
    Rare,
}

/// <summary>
/// Activations of one layer pooled to a small grid, for position-wise comparison. Read in parts: at 20,000 images all values
/// together would be hundreds of megabytes, and memory must not grow with the number of images. Keep a reference subset of
/// bounded size and stream the rest past it.
/// </summary>
/// <param name="Layer">Layer name.</param>
/// <param name="Channels">Channels C.</param>
/// <param name="Grid">Cells per side G.</param>
/// <param name="Read">
/// Reads rows (ascending indices into the samples) as count·C·G·G values, row by row.
/// </param>
public sealed record GridFeature(string Layer, int Channels, int Grid, Func<int[], float[]> Read);

/// <summary>Everything the detectors look at. Rows are samples in the order of the result folder. Nothing is owned.</summary>
public sealed record OutlierInput
{
    /// <summary>Class index per sample, 0-based; −1 where the data set has no classes. Length N.</summary>
    public required IReadOnlyList<int> Class { get; init; }

    /// <summary>Class names for messages.</summary>
    public required IReadOnlyList<string> ClassNames { get; init; }

    /// <summary>Output index of the network that the class maps to; −1 where there is none. Length N.</summary>
    public required IReadOnlyList<int> Label { get; init; }

    /// <summary>Names of the network's outputs for messages; may be empty.</summary>
    public required IReadOnlyList<string> OutputNames { get; init; }

    /// <summary>Logits, N×K float32.</summary>
    public required Tensor Logits { get; init; }

    /// <summary>Pooled activations of the analysed layer, N×C float32.</summary>
    public required Tensor Pooled { get; init; }

    /// <summary>Share of the activation that no concept of the class explains, ||a − uV|| / ||a||, length N; NaN where undefined.</summary>
    public required IReadOnlyList<double> Residual { get; init; }

    /// <summary>Position-wise features at several depths, early to late.</summary>
    public required IReadOnlyList<GridFeature> Grids { get; init; }

    /// <summary>Pixel statistics, N×P float32; columns named by <see cref="PixelStatisticNames"/>.</summary>
    public required Tensor PixelStatistics { get; init; }

    /// <summary>Names of the columns of <see cref="PixelStatistics"/>.</summary>
    public required IReadOnlyList<string> PixelStatisticNames { get; init; }

    /// <summary>SHA-256 of the decoded pixels, 16 hex digits, for exact duplicates. Length N.</summary>
    public required IReadOnlyList<string> ContentHash { get; init; }

    /// <summary>Seed for reference subsets.</summary>
    public int Seed { get; init; }
}

/// <summary>How odd one sample is.</summary>
/// <param name="Score">0 (ordinary) to 1 (most odd); comparable between samples of one analysis.</param>
/// <param name="Rank">1 for the most odd.</param>
/// <param name="Kind">The most likely kind; <see cref="OutlierKind.None"/> below the threshold.</param>
/// <param name="Reason">In words, one sentence; empty for <see cref="OutlierKind.None"/>.</param>
/// <param name="Detectors">Score of each detector in [0, 1], in the order of <see cref="OutlierResult.DetectorNames"/>.</param>
public sealed record SampleOutlier(double Score, int Rank, OutlierKind Kind, string Reason, IReadOnlyList<float> Detectors);

/// <summary>The outcome for a data set.</summary>
/// <param name="Samples">One entry a sample.</param>
/// <param name="DetectorNames">Names of the detectors, for display.</param>
public sealed record OutlierResult(IReadOnlyList<SampleOutlier> Samples, IReadOnlyList<string> DetectorNames);
