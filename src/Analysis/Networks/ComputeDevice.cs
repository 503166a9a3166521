using System.Globalization;
using System.Runtime.InteropServices;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Networks;

/// <summary>The device that a run computes on.</summary>
public static class ComputeDevice
{
    /// <summary>Chooses a device and makes sure that it computes.</summary>
    /// <param name="requested"><c>cpu</c>, <c>cuda</c>, <c>cuda:1</c>, or null for CUDA where it is available.</param>
    /// <exception cref="AnalysisException">The device is unknown or absent, or libtorch does not work.</exception>
    public static Device Choose(string? requested)
    {
        TorchRuntime.Prepare();
        try
        {
            var device = Parse(requested?.Trim().ToLowerInvariant());
            if (device.type == DeviceType.CUDA)
            {
                InitializeDeviceType(DeviceType.CUDA);
            }

            SelfTest(device);
            return device;
        }
        catch (Exception exception) when (exception is ExternalException or TypeInitializationException or DllNotFoundException or NotSupportedException or InvalidOperationException)
        {
            throw new AnalysisException(
                $"libtorch does not work on {requested ?? "this machine"}.",
                $"Check that the libtorch in use fits this program (version 2.10) and the driver; {TorchRuntime.Variable} names an external one.",
                exception);
        }
    }

    /// <summary>Words for people: <c>cpu (2 threads)</c> or <c>cuda:0</c>.</summary>
    public static string Describe(Device device) => device.type == DeviceType.CUDA
        ? $"cuda:{Math.Max(device.index, 0)}"
        : string.Create(CultureInfo.InvariantCulture, $"cpu ({get_num_threads()} thread{(get_num_threads() == 1 ? "" : "s")})");

    private static Device Parse(string? requested)
    {
        switch (requested)
        {
            case null or "" or "auto":
                return cuda.is_available() ? new Device(DeviceType.CUDA, 0) : CPU;
            case "cpu":
                return CPU;
        }

        var index = 0;
        if (requested != "cuda" && !(requested.StartsWith("cuda:", StringComparison.Ordinal)
            && int.TryParse(requested.AsSpan(5), NumberStyles.None, CultureInfo.InvariantCulture, out index)))
        {
            throw new AnalysisException($"The device '{Files.FileFault.Short(requested)}' is not known.", "Choose cpu or cuda.");
        }

        if (!cuda.is_available())
        {
            throw new AnalysisException(
                "The device cuda was asked for, but this build or this machine has none.",
                "Build with -p:TorchBackend=cuda on a machine with an NVIDIA driver, or choose cpu.");
        }

        return index < cuda.device_count()
            ? new Device(DeviceType.CUDA, index)
            : throw new AnalysisException($"The device {requested} was asked for, but there are only {cuda.device_count()}.", "Choose a lower number.");
    }

    /// <summary>
    /// Computes what is known: symbol checks do not cover the memory layouts that the native bridge shares with libtorch, so
    /// a foreign version could load and still be wrong.
    /// </summary>
    private static void SelfTest(Device device)
    {
        using var scope = NewDisposeScope();
        using var gradients = enable_grad();
        var diagonal = diag(tensor(new[] { 3f, 2f, 1f }, device: device));
        var (_, singular, _) = linalg.svd(diagonal);
        var image = arange(Scalars.Of(0), Scalars.Of(16), Scalars.One, ScalarType.Float32, device: device).view(1, 1, 4, 4).requires_grad_();
        var kernel = ones(1, 1, 3, 3, device: device);
        var sum = nn.functional.conv2d(image, kernel).sum();
        sum.backward();
        var right = Math.Abs(singular.sum().cpu().item<float>() - 6) < 1e-4
            && Math.Abs(sum.cpu().item<float>() - 270) < 1e-3
            && Math.Abs(image.grad!.sum().cpu().item<float>() - 36) < 1e-4;
        if (!right)
        {
            throw new AnalysisException(
                $"libtorch computes wrongly on {device}: a small test of known result failed.",
                $"Use the libtorch that this program was built for (version 2.10); {TorchRuntime.Variable} names an external one.");
        }
    }
}
