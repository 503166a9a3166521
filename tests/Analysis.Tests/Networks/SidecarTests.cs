using System.Text;
using Analysis.Imaging;
using Analysis.Networks;
using Xunit;

namespace Analysis.Tests.Networks;

public sealed class SidecarTests
{
    [Theory]
    [InlineData("a/x.safetensors")]
    [InlineData("a/x.pth")]
    [InlineData("a/x.pt")]
    [InlineData("a/x.ts.pt")]
    public void BelongsToTheWeightsOfTheSameName(string weights) => Assert.Equal("a/x.json", NetworkSidecar.PathFor(weights));

    [Fact]
    public void PublishedSidecarsAreUnderstood()
    {
        var cifar = NetworkSidecar.Read(TestData.Require("cifar10", "models", "resnet56.json"));
        Assert.Equal((32, 32), cifar.Size);
        Assert.Equal(ResizeMode.Stretch, cifar.Resize);
        Assert.Equal(56, cifar.Depth);
        Assert.Equal(10, cifar.Classes.Count);
        Assert.Empty(cifar.Notes);

        var mobile = NetworkSidecar.Read(TestData.Require("mobilenet_v1_tiny200", "mobilenet_v1_tiny200.json"));
        Assert.Equal(((128, 128), ResizeMode.ShorterSideCentreCrop, 128), (mobile.Size, mobile.Resize, mobile.ResizeTo));
        Assert.Equal(0.001, mobile.Epsilon);
        Assert.Equal(200, mobile.Classes.Count);
        Assert.Empty(mobile.Notes);
    }

    [Fact]
    public void ResizingCanBeStatedInFields()
    {
        var sidecar = Parse("""{"input":{"size":[224,224],"resize":{"mode":"shorter_side_centre_crop","to":256}}}""");
        Assert.Equal((ResizeMode.ShorterSideCentreCrop, 256), (sidecar.Resize, sidecar.ResizeTo));
        Assert.Equal(ResizeMode.Stretch, Parse("""{"input":{"resize":{"mode":"stretch"}}}""").Resize);
        Assert.Single(Parse("""{"input":{"resize":"as you like"}}""").Notes);
    }

    [Theory]
    [InlineData("""[]""", "object")]
    [InlineData("""{"a":1,"a":2}""", "JSON")]
    [InlineData("""{"name":"x" """, "line 1")]
    [InlineData("""{"input":{"size":[0,32]}}""", "input.size")]
    [InlineData("""{"input":{"size":[1000000,32]}}""", "input.size")]
    [InlineData("""{"input":{"mean":[1,2]}}""", "input.mean")]
    [InlineData("""{"input":{"std":[1,1e-30,1]}}""", "input.std[1]")]
    [InlineData("""{"input":{"std":[1,-1,1]}}""", "input.std[1]")]
    [InlineData("""{"input":{"channels":"BGR"}}""", "BGR")]
    [InlineData("""{"input":{"resize":{"mode":"zoom"}}}""", "input.resize.mode")]
    [InlineData("""{"weights_file":"/etc/passwd"}""", "weights_file")]
    [InlineData("""{"weights_file":"..\\x"}""", "weights_file")]
    [InlineData("""{"depth":"deep"}""", "depth")]
    [InlineData("""{"classes":["a",3]}""", "classes[1]")]
    [InlineData("""{"classes":[{"wnid":"n1","name":"a"},{"wnid":"n1","name":"b"}]}""", "repeats")]
    [InlineData("""{"classes":[{"index":1,"name":"a"}]}""", "classes[0].index")]
    public void FaultsAreNamed(string json, string word)
    {
        var fault = Assert.Throws<AnalysisException>(() => Parse(json));
        Assert.Contains("x.json", fault.Message, StringComparison.Ordinal);
        Assert.Contains(word, fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AnyDamageEndsInASidecarOrAMessage()
    {
        var valid = Encoding.UTF8.GetBytes("""{"name":"n","depth":20,"input":{"size":[32,32],"mean":[0.5,0.5,0.5],"std":[1,1,1],"resize":"shorter side to 40"},"classes":[{"wnid":"n1","name":"a"},"b"]}""");
        Mutations.Check(3000, mutation =>
        {
            try
            {
                NetworkSidecar.Parse("x.json", mutation.Apply(valid));
            }
            catch (AnalysisException)
            {
                return;
            }
        });
    }

    [Fact]
    public void FoldersMapToOutputsByNameOrIdentifierNeverByPosition()
    {
        NetworkClass[] classes = [new("goldfish", "n01443537"), new("European fire salamander", "n01629819"), new("crane", "n1"), new("crane", "n2"), new("truck")];
        Assert.Equal(
            [1, 0, 0, -1, 3, 4, -1, -1],
            ClassMapping.Map(["european_fire_salamander", "Goldfish", "N01443537", "crane", "n2", "truck", "0", "airplane"], classes));
        Assert.Equal([-1], ClassMapping.Map(["a"], []));
    }

    [Fact]
    public void WithoutASidecarDefaultsAreAssumedAndSaid()
    {
        using var folder = new TemporaryFolder();
        var copy = folder["plain.pth"];
        File.Copy(TestData.Require("cifar10", "models", "resnet20.pth"), copy);
        var description = NetworkLoader.Inspect(copy);
        Assert.Equal("plain", description.Name);
        Assert.Equal("cifar_resnet20", description.Architecture);
        Assert.Equal((32, 32), (description.Preprocessing.Height, description.Preprocessing.Width));
        Assert.Empty(description.Classes);
        Assert.Contains(description.Notes, n => n.Contains("ImageNet", StringComparison.Ordinal));
        var other = Assert.Throws<AnalysisException>(() => NetworkLoader.Inspect(copy, "cifar_resnet32"));
        Assert.Contains("layer1.3.conv1.weight", other.Message, StringComparison.Ordinal);
        Assert.Throws<AnalysisException>(() => NetworkLoader.Inspect(copy, "torchscript"));
        File.WriteAllText(folder["plain.json"], """{"classes":["a","b"]}""");
        Assert.Contains("2 classes", Assert.Throws<AnalysisException>(() => NetworkLoader.Inspect(copy)).Message, StringComparison.Ordinal);
    }

    private static NetworkSidecar Parse(string json) => NetworkSidecar.Parse("x.json", Encoding.UTF8.GetBytes(json));
}
