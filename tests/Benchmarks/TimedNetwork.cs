using System.Diagnostics;
using System.Runtime.InteropServices;
using Analysis.Imaging;
using Analysis.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace Benchmarks;

/// <summary>
/// Measures how long a network itself computes: its forward passes and the forward part of its heads. The processor time of the
/// calling thread is measured too: with a single thread for tensors it is all that the network uses, and unlike the wall time
/// it does not depend on what else the machine does.
/// </summary>
internal sealed class TimedNetwork(INetwork inner) : INetwork
{
    private readonly Stopwatch _clock = new();

    /// <summary>Seconds inside the network.</summary>
    public double Seconds => _clock.Elapsed.TotalSeconds;

    /// <summary>Processor seconds of the calling thread inside the network.</summary>
    public double ThreadSeconds { get; private set; }

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

    public Tensor Backbone(Tensor batch, string layer) => Timed(() => inner.Backbone(batch, layer));

    public (Tensor Weight, Tensor Bias)? LinearHead(string layer) => inner.LinearHead(layer);

    public void Dispose() => inner.Dispose();

    private T Timed<T>(Func<T> work)
    {
        var started = ThreadClock.Seconds;
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
            ThreadSeconds += ThreadClock.Seconds - started;
        }
    }
}

/// <summary>Processor time of the calling thread.</summary>
internal static partial class ThreadClock
{
    private const int ThreadProcessorTime = 3;

    /// <summary>Seconds; NaN where the system does not tell.</summary>
    public static double Seconds => OperatingSystem.IsLinux() && Read(ThreadProcessorTime, out var time) == 0 ? time.Seconds + (time.Nanoseconds * 1e-9) : double.NaN;

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    private static partial int Read(int clock, out Time time);

    private readonly struct Time
    {
        public readonly long Seconds;
        public readonly long Nanoseconds;
    }
}
