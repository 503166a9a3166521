using Analysis.Imaging;

namespace Analysis.Networks;

/// <summary>What can be said about a weights file without loading libtorch.</summary>
public sealed record NetworkDescription
{
    /// <summary>Display name: the sidecar's name or the file's.</summary>
    public required string Name { get; init; }

    /// <summary>Recognised architecture, for example <c>cifar_resnet20</c>, or <c>torchscript</c>.</summary>
    public required string Architecture { get; init; }

    /// <summary>SHA-256 of the weights file, 64 hex digits.</summary>
    public required string Sha256 { get; init; }

    /// <summary>How images are prepared.</summary>
    public required Preprocessing Preprocessing { get; init; }

    /// <summary>Outputs in order; empty where no sidecar names them.</summary>
    public IReadOnlyList<NetworkClass> Classes { get; init; } = [];

    /// <summary>Number of logits; 0 where only running the network would tell.</summary>
    public int Outputs { get; init; }

    /// <summary>Layers in the order of the forward pass; empty where only running the network would tell.</summary>
    public IReadOnlyList<LayerInfo> Layers { get; init; } = [];

    /// <summary>Number of trained parameters; 0 where unknown.</summary>
    public long Parameters { get; init; }

    /// <summary>Published or measured accuracy in [0, 1] as the sidecar states it; null where it does not.</summary>
    public double? Accuracy { get; init; }

    /// <summary>Assumptions that were made, in words.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}
