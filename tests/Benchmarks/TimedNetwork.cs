using System.Diagnostics;
using Analysis.Imaging;
using Analysis.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace Benchmarks;

/// <summary>Measures how long a network itself computes: its forward passes and the forward part of its heads.</summary>
internal sealed class TimedNetwork(INetwork inner) : INetwork
{
    private readonly Stopwatch _clock = new();

    /// <summary>Seconds inside the network.</summary>
    public double Seconds => _clock.Elapsed.TotalSeconds;

    public string Name => inner.Name;

    public string Architecture => inner.Architecture;

    public string Sha256 => inner.Sha256;

    public Preprocessing Preprocessing => inner.Preprocessing;

    public IReadOnlyList<NetworkClass> Classes => inner.Classes;

    public int Outputs => inner.Outputs;

    public IReadOnlyList<LayerInfo> Layers => inner.Layers;

    public IReadOnlyList<string> Notes => inner.Notes;

    public Device Device => inner.Device;

    public (IReadOnlyList<Tensor> Activations, Tensor Logits) Forward(Tensor batch, IReadOnlyList<string> layers) => Timed(() => inner.Forward(batch, layers));

    public Tensor Head(string layer, Tensor activation) => Timed(() => inner.Head(layer, activation));

    public (Tensor Weight, Tensor Bias)? LinearHead(string layer) => inner.LinearHead(layer);

    public void Dispose() => inner.Dispose();

    private T Timed<T>(Func<T> work)
    {
        _clock.Start();
        try
        {
            var result = work();
            if (Device.type == DeviceType.CUDA)
            {
                // Kernels run on after the call returns.
                cuda.synchronize();
            }

            return result;
        }
        finally
        {
            _clock.Stop();
        }
    }
}
