using Analysis.Imaging;
using static TorchSharp.torch;

namespace Analysis.Networks;

/// <summary>One output of a network.</summary>
/// <param name="Name">Display name, for example <c>goldfish</c>.</param>
/// <param name="Identifier">Other identifier that folders may be named by, for example a WordNet id; empty where there is none.</param>
public sealed record NetworkClass(string Name, string Identifier = "");

/// <summary>
/// A trained image classifier in evaluation mode, split at any of its layers into backbone g (input → activation) and
/// head h (activation → logits). All calls are synchronous, keep the caller's dispose scope, and are for one thread at a time.
/// Batches are float32, N×C×H×W, already preprocessed, on <see cref="Device"/>.
/// </summary>
public interface INetwork : IDisposable
{
    /// <summary>Display name: the sidecar's name or the file's.</summary>
    string Name { get; }

    /// <summary>Recognised architecture, for example <c>cifar_resnet20</c>, or <c>torchscript</c>.</summary>
    string Architecture { get; }

    /// <summary>SHA-256 of the weights file, 64 hex digits.</summary>
    string Sha256 { get; }

    /// <summary>How images are prepared for it.</summary>
    Preprocessing Preprocessing { get; }

    /// <summary>Outputs in order; empty where the sidecar names none.</summary>
    IReadOnlyList<NetworkClass> Classes { get; }

    /// <summary>Number of logits K.</summary>
    int Outputs { get; }

    /// <summary>Layers in the order of the forward pass.</summary>
    IReadOnlyList<LayerInfo> Layers { get; }

    /// <summary>Assumptions that were made on loading, in words, for people; empty where the sidecar says everything.</summary>
    IReadOnlyList<string> Notes => [];

    /// <summary>Device that holds the weights.</summary>
    Device Device { get; }

    /// <summary>
    /// One forward pass without gradients. Returns the activations of the named layers (N×C×H×W; N×C where the layer has
    /// no spatial extent is returned as N×C×1×1) and the logits (N×K), all float32.
    /// </summary>
    /// <param name="batch">Preprocessed images, N×3×H×W.</param>
    /// <param name="layers">Layer names; unknown names throw <see cref="AnalysisException"/> listing the known ones.</param>
    (IReadOnlyList<Tensor> Activations, Tensor Logits) Forward(Tensor batch, IReadOnlyList<string> layers);

    /// <summary>
    /// The head h: logits (N×K) from an activation of the layer (N×C×H×W). Differentiable in the activation; the weights
    /// never require gradients.
    /// </summary>
    Tensor Head(string layer, Tensor activation);

    /// <summary>
    /// The backbone g: the activation of the layer (N×C×H×W, float32; N×C×1×1 without spatial extent) from preprocessed
    /// images. Differentiable in the batch, unlike <see cref="Forward"/>; the weights never require gradients.
    /// </summary>
    /// <param name="batch">Preprocessed images, N×3×H×W; not changed.</param>
    /// <param name="layer">Layer name.</param>
    /// <exception cref="AnalysisException">This kind of network cannot be differentiated; says which can.</exception>
    Tensor Backbone(Tensor batch, string layer) => throw new AnalysisException(
        $"The network {Name} ({Architecture}) cannot be differentiated down to its images.", "Use weights as safetensors or .pth with a supported architecture, or a whole TorchScript file.");

    /// <summary>
    /// Weights (K×C) and bias (K) of the linear map that follows global average pooling, where <see cref="LayerInfo.LinearHead"/>
    /// is true for the layer; null otherwise. Not owned by the caller.
    /// </summary>
    (Tensor Weight, Tensor Bias)? LinearHead(string layer);
}
