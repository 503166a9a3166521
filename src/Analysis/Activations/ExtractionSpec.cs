using Analysis.Outliers;

namespace Analysis.Activations;

/// <summary>What one pass over the data set records.</summary>
public sealed record ExtractionSpec
{
    /// <summary>Layers whose pooled activations and gradients are recorded; the first is the one to analyse.</summary>
    public required IReadOnlyList<string> Layers { get; init; }

    /// <summary>Layers recorded on a grid for the outlier detectors.</summary>
    public required IReadOnlyList<OutlierDepth> Depths { get; init; }

    /// <summary>Keep the spatial activations of the first layer in half precision, so that maps need no second forward pass.</summary>
    public required bool KeepMaps { get; init; }

    /// <summary>Record gradients at the layers beside their pooled activations; one backward pass a layer and batch.</summary>
    public bool Gradients { get; init; } = true;

    /// <summary>Images in a batch.</summary>
    public required int BatchSize { get; init; }

    /// <summary>Images in a shard, the unit of a checkpoint; a multiple of the batch size.</summary>
    public required int ShardSize { get; init; }
}
