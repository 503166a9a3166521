using Analysis.Networks.Files;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Networks;

public sealed class SafetensorsTests
{
    [Fact]
    public void TensorsOfEveryTypeSurviveTheRoundTrip()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        var tensors = new List<(string, Tensor)>
        {
            ("half", randn(3, 5).to_type(ScalarType.Float16)),
            ("brain", randn(7).to_type(ScalarType.BFloat16)),
            ("float", randn(2, 3, 4)),
            ("double", randn(3).to_type(ScalarType.Float64)),
            ("bytes", arange(5, ScalarType.Byte)),
            ("small", arange(5, ScalarType.Int8)),
            ("short", arange(3, ScalarType.Int16)),
            ("int", arange(3, ScalarType.Int32)),
            ("long", arange(3, ScalarType.Int64)),
            ("truth", tensor(new[] { true, false, true })),
            ("scalar", tensor(4f)),
            ("empty", zeros(0, 4)),
            ("row of a larger one", arange(12, ScalarType.Float32).view(3, 4)[1]),
            ("transposed", arange(12, ScalarType.Float32).view(3, 4).t()),
        };
        var path = folder["x.safetensors"];
        SafetensorsTensors.Save(path, tensors, new Dictionary<string, string> { ["b"] = "2", ["a"] = "ü" });

        using var file = SafetensorsFile.Open(path);
        Assert.Equal(0, file.DataOffset % 8);
        Assert.Equal(["a", "b"], file.Metadata.Keys.Order());
        Assert.Equal(tensors.Count, file.Entries.Count);
        foreach (var (name, expected) in tensors)
        {
            using var actual = file.Load(name);
            Assert.Equal(expected.dtype, actual.dtype);
            Assert.Equal(expected.shape, actual.shape);
            Assert.True(expected.NumberOfElements == 0 || expected.equal(actual).all().item<bool>(), name);
        }

        using var rows = file.LoadRows("transposed", 1, 2);
        Assert.Equal([1f, 5f, 9f, 2f, 6f, 10f], rows.data<float>().ToArray());
        Assert.Equal([1f, 5f, 9f], file.Rows<float>("transposed", 1, 1).ToArray());
        Assert.Equal([4f, 5f, 6f, 7f], file.ReadFloats("row of a larger one"));
    }
}
