using Analysis.Networks;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Networks;

public sealed class ComputeDeviceTests
{
    [Fact]
    public void TheProcessorIsAlwaysThere()
    {
        Assert.Equal(DeviceType.CPU, ComputeDevice.Choose("cpu").type);
        Assert.StartsWith("cpu (", ComputeDevice.Describe(CPU), StringComparison.Ordinal);
        Assert.Equal(cuda.is_available() ? DeviceType.CUDA : DeviceType.CPU, ComputeDevice.Choose(null).type);
    }

    [Fact]
    public void ADeviceThatIsAbsentOrUnknownIsRefusedWithARemedy()
    {
        Assert.Contains("cpu or cuda", Assert.Throws<AnalysisException>(() => ComputeDevice.Choose("tpu")).Message, StringComparison.Ordinal);
        if (cuda.is_available())
        {
            Assert.Throws<AnalysisException>(() => ComputeDevice.Choose("cuda:999"));
        }
        else
        {
            Assert.Contains("TorchBackend=cuda", Assert.Throws<AnalysisException>(() => ComputeDevice.Choose("cuda")).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void AFolderWithoutLibtorchIsRefused()
    {
        using var folder = new TemporaryFolder();
        Assert.Contains("torch_cpu", Assert.Throws<AnalysisException>(() => TorchRuntime.LoadFrom(folder.Path)).Message, StringComparison.Ordinal);
    }
}
