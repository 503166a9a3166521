using System.IO.Compression;
using Analysis.Networks.Files;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Analysis.Tests.Networks;

public sealed class CheckpointTests
{
    private static readonly float[] Row = [0, 1, 2, 3, 4, 5];
    private static readonly float[] Transposed = [1, 4, 2, 5, 3, 6];

    [Fact]
    public void BothContainersGiveTheTensorsOfTheStateDictionary()
    {
        using var folder = new TemporaryFolder();
        var small = CheckpointBuilder.Small();
        foreach (var bytes in (byte[][])[small.Zip(), small.Zip(compression: CompressionLevel.Optimal), small.Legacy()])
        {
            using var file = PyTorchCheckpoint.Open(folder.Write("x.pth", bytes));
            Assert.Equal(["a", "b", "c"], file.Headers.Keys.Order());
            Assert.False(file.IsScript);
            Assert.Equal([3L, 2L], file.Headers["b"].Shape);
            Assert.Equal(Row, file.ReadFloats("a"));
            Assert.Equal(Transposed, file.ReadFloats("b"));
            Assert.Equal([7.5f], file.ReadFloats("c"));
        }
    }

    [Theory]
    [InlineData("builtins", "eval")]
    [InlineData("os", "system")]
    [InlineData("torch", "load")]
    [InlineData("torch.serialization", "load")]
    [InlineData("__torch__", "Net")]
    [InlineData("collections", "defaultdict")]
    public void EveryOtherFunctionIsRefusedByName(string module, string name)
    {
        var pickle = new CheckpointBuilder().Op(0x80, 2).Global(module, name).Text("x").Op(0x85).Op('R', '.');
        AssertRefused(pickle.Zip(), $"{module}.{name}");
        var stacked = new CheckpointBuilder().Op(0x80, 4).Text(module).Text(name).Op(0x93).Text("x").Op(0x85).Op('R', '.');
        AssertRefused(stacked.Zip(), $"{module}.{name}");
    }

    [Fact]
    public void ATensorThatLeavesItsStorageIsRefused()
    {
        AssertRefused(One([1, 2, 3], 0, [4], [1]).Zip(), "leaves its storage");
        AssertRefused(One([1, 2, 3], 2, [2], [1]).Zip(), "leaves its storage");
        AssertRefused(One([1, 2, 3], 0, [2], [3]).Zip(), "leaves its storage");
        AssertRefused(One([1, 2, 3], 0, [1000, 1000], [0, 0]).Zip(), "leaves its storage");
        AssertRefused(One([1, 2, 3], 0, [int.MaxValue, int.MaxValue, int.MaxValue], [1, 1, 1]).Zip(), "leaves its storage");
        AssertRefused(One([1, 2, 3], -1, [1], [1]).Zip(), "leaves its storage");
        AssertRefused(One([1, 2, 3], 0, [-1], [1]).Zip(), "size");
        AssertRefused(One([1, 2, 3], 0, [3], [1], stated: 4).Zip(), "instead of 16");
        AssertRefused(One([1, 2, 3], 0, [3], [1], stated: int.MaxValue).Legacy(), "announced");
    }

    [Fact]
    public void AnEntryThatUnpacksToFarMoreIsRefused()
    {
        var zeros = new float[32 << 20];
        AssertRefused(One(zeros, 0, [zeros.Length], [1]).Zip(compression: CompressionLevel.Optimal), "unpack");
    }

    [Fact]
    public void DamagedDataAreNoticedByTheirChecksum()
    {
        using var folder = new TemporaryFolder();
        var bytes = CheckpointBuilder.Small().Zip();
        var value = BitConverter.GetBytes(7.5f);
        bytes[bytes.AsSpan().IndexOf(value) + 1] ^= 1;
        using var file = PyTorchCheckpoint.Open(folder.Write("x.pth", bytes));
        var fault = Assert.Throws<AnalysisException>(() => file.ReadFloats("c"));
        Assert.Contains("checksum", fault.Message, StringComparison.Ordinal);
    }

    /// <summary>Whatever bytes are changed, reading ends with tensors or with a message, and within bounded memory.</summary>
    [Fact]
    public void AnyDamageEndsInTensorsOrAMessage()
    {
        var small = CheckpointBuilder.Small();
        var pickle = small.Pickle();
        var (zip, legacy) = (small.Zip(), small.Legacy());
        using var folder = new TemporaryFolder();
        var path = folder["x.pth"];
        var refused = 0;
        Mutations.Check(600, mutation =>
        {
            foreach (var bytes in (byte[][])[mutation.Apply(zip), mutation.Apply(legacy), small.Zip(mutation.Apply(pickle)), small.Legacy(mutation.Apply(pickle))])
            {
                File.WriteAllBytes(path, bytes);
                try
                {
                    using var file = PyTorchCheckpoint.Open(path);
                    foreach (var name in file.Headers.Keys)
                    {
                        file.ReadFloats(name);
                    }
                }
                catch (AnalysisException fault)
                {
                    refused++;
                    Assert.Contains("x.pth", fault.Message, StringComparison.Ordinal);
                }
            }
        });
        Assert.True(refused > 100);
    }

    private static CheckpointBuilder One(float[] storage, int offset, int[] shape, int[] strides, int? stated = null) =>
        new CheckpointBuilder().Op(0x80, 2).Op('}').Text("a").Tensor(storage, offset, shape, strides, stated).Op('s', '.');

    private static void AssertRefused(byte[] bytes, string word)
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("x.pth", bytes);
        var fault = Assert.Throws<AnalysisException>(() => PyTorchCheckpoint.Open(path).Dispose());
        Assert.Contains(word, fault.Message, StringComparison.Ordinal);
    }
}
