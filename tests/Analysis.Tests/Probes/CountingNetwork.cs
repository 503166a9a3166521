using Analysis.Imaging;
using Analysis.Networks;
using static TorchSharp.torch;

namespace Analysis.Tests.Probes;

/// <summary>Counts forward passes.</summary>
internal sealed class CountingNetwork(INetwork inner, Action forward) : INetwork
{
    public string Name => inner.Name;

    public string Architecture => inner.Architecture;

    public string Sha256 => inner.Sha256;

    public Preprocessing Preprocessing => inner.Preprocessing;

    public IReadOnlyList<NetworkClass> Classes => inner.Classes;

    public int Outputs => inner.Outputs;

    public IReadOnlyList<LayerInfo> Layers => inner.Layers;

    public Device Device => inner.Device;

    public (IReadOnlyList<Tensor> Activations, Tensor Logits) Forward(Tensor batch, IReadOnlyList<string> layers)
    {
        forward();
        return inner.Forward(batch, layers);
    }

    public Tensor Head(string layer, Tensor activation) => inner.Head(layer, activation);

    public (Tensor Weight, Tensor Bias)? LinearHead(string layer) => inner.LinearHead(layer);

    public void Dispose() => inner.Dispose();
}
