using Analysis.Networks;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Networks;

/// <summary>Every hostile or broken model file has its stated outcome and says what is wrong; nothing in it is executed.</summary>
public sealed class BadModelTests
{
    public BadModelTests() => set_num_threads(1);

    [Theory]
    [InlineData("header_length_huge.safetensors", "9223372036854775813")]
    [InlineData("header_length_past_end.safetensors", "1000000")]
    [InlineData("header_only_4_bytes.safetensors", "4 bytes")]
    [InlineData("header_not_json.safetensors", "JSON")]
    [InlineData("overlapping_offsets.safetensors", "'b'", "'a'", "8")]
    [InlineData("offsets_past_end.safetensors", "data_offsets", "cut off")]
    [InlineData("offsets_reversed.safetensors", "reversed")]
    [InlineData("shape_size_mismatch.safetensors", "[5]", "16 bytes")]
    [InlineData("shape_overflow.safetensors", "2147483648", "64 bits")]
    [InlineData("shape_negative.safetensors", "[-2, -2]")]
    [InlineData("unknown_dtype.safetensors", "Q3_K")]
    [InlineData("duplicate_key.safetensors", "'a'", "twice")]
    [InlineData("truncated.safetensors", "cut off")]
    [InlineData("nan_weights_resnet20.safetensors", "layer2.0.conv1.weight", "20 values")]
    [InlineData("inf_weights_resnet20.safetensors", "linear.weight", "infinite")]
    [InlineData("wrong_shape_resnet20.safetensors", "linear.weight", "[10, 65]", "[10, 64]")]
    [InlineData("missing_and_extra_resnet20.safetensors", "layer3.2.bn2.running_var", "extra.weight")]
    [InlineData("evil_raw_pickle.pth", "posix.system")]
    [InlineData("evil_zip.pth", "posix.system")]
    [InlineData("evil_legacy.pth", "posix.system")]
    [InlineData("zip_slip.pth", "points outside")]
    [InlineData("truncated.pth", "cut off")]
    [InlineData("truncated.ts.pt", "cut off")]
    [InlineData("text_renamed.pth", "not a PyTorch file")]
    public void IsRefusedWithItsReason(string file, params string[] words)
    {
        var path = TestData.Require("bad", "models", file);
        var fault = Assert.Throws<AnalysisException>(() => NetworkLoader.Load(path, null, CPU).Dispose());
        Assert.Contains(file, fault.Message, StringComparison.Ordinal);
        foreach (var word in words)
        {
            Assert.Contains(word, fault.Message, StringComparison.Ordinal);
        }

        Assert.False(File.Exists("/tmp/pwned"), "code of a model file ran");
    }

    [Theory]
    [InlineData("sidecar_bad_json.json", "line")]
    [InlineData("sidecar_hostile.json", "weights_file", "input.std[0]", "classes[1]")]
    public void ASidecarIsRefusedWithEveryFault(string file, params string[] words)
    {
        var fault = Assert.Throws<AnalysisException>(() => NetworkSidecar.Read(TestData.Require("bad", "models", file)));
        Assert.Contains(file, fault.Message, StringComparison.Ordinal);
        foreach (var word in words)
        {
            Assert.Contains(word, fault.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void EveryBadModelIsTested()
    {
        var tested = typeof(BadModelTests).GetMethods()
            .SelectMany(m => m.GetCustomAttributes(typeof(InlineDataAttribute), false).Cast<InlineDataAttribute>())
            .Select(a => (string)a.Data[0]!)
            .ToHashSet();
        var files = Directory.GetFiles(TestData.Require("bad", "models")).Select(Path.GetFileName);
        Assert.DoesNotContain(files, f => !tested.Contains(f!));
    }
}
