using Analysis.Networks.Files;
using Analysis.Numerics;
using FsCheck;
using FsCheck.Fluent;
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
            ("bytes", arange(Scalars.Of(0), Scalars.Of(5), Scalars.One, ScalarType.Byte)),
            ("small", arange(Scalars.Of(0), Scalars.Of(5), Scalars.One, ScalarType.Int8)),
            ("short", arange(Scalars.Of(0), Scalars.Of(3), Scalars.One, ScalarType.Int16)),
            ("int", arange(Scalars.Of(0), Scalars.Of(3), Scalars.One, ScalarType.Int32)),
            ("long", arange(Scalars.Of(0), Scalars.Of(3), Scalars.One, ScalarType.Int64)),
            ("truth", tensor(new[] { true, false, true })),
            ("scalar", tensor(4f)),
            ("empty", zeros(0, 4)),
            ("row of a larger one", arange(Scalars.Of(0), Scalars.Of(12), Scalars.One, ScalarType.Float32).view(3, 4)[1]),
            ("transposed", arange(Scalars.Of(0), Scalars.Of(12), Scalars.One, ScalarType.Float32).view(3, 4).t()),
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

    [Fact]
    public void AnyDeclarationsSurviveTheRoundTripWithTheSameBytes()
    {
        using var folder = new TemporaryFolder();
        var tensor =
            from type in Gen.Elements(Enum.GetValues<ElementType>())
            from rank in Gen.Choose(0, 4)
            from shape in Gen.ArrayOf(Gen.Choose(0, 5), rank)
            from seed in Gen.Choose(0, int.MaxValue)
            select (Header: new TensorHeader(type, [.. shape.Select(s => (long)s)]), Seed: seed);
        var tensors = from count in Gen.Choose(0, 6) from list in Gen.ArrayOf(tensor, count) select list;
        Check.One(Config.QuickThrowOnFailure.WithMaxTest(100).WithReplay(7, 297), Prop.ForAll(tensors.ToArbitrary(), list =>
        {
            var values = list.Select(t => Bytes(t.Header, t.Seed)).ToList();
            foreach (var name in (string[])["a", "b"])
            {
                using var writer = SafetensorsWriter.Create(folder[name], [.. list.Select((t, i) => ($"tensor \"{i}\" ü", t.Header))]);
                for (var i = 0; i < list.Length; i++)
                {
                    var half = values[i].Length / 2;
                    writer.Write<byte>($"tensor \"{i}\" ü", values[i].AsSpan(0, half));
                    writer.Write<byte>($"tensor \"{i}\" ü", values[i].AsSpan(half));
                }

                writer.Complete();
            }

            Assert.Equal(File.ReadAllBytes(folder["a"]), File.ReadAllBytes(folder["b"]));
            using var file = SafetensorsFile.Open(folder["a"]);
            Assert.Equal(list.Length, file.Entries.Count);
            for (var i = 0; i < list.Length; i++)
            {
                var entry = file.Entry($"tensor \"{i}\" ü");
                Assert.Equal(list[i].Header.Type, entry.Type);
                Assert.Equal(list[i].Header.Shape, entry.Shape);
                Assert.Equal(values[i], file.Bytes(entry.Name).ToArray());
            }
        }));
    }

    /// <summary>Whatever bytes are changed, reading ends with tensors inside the file or with a message.</summary>
    [Fact]
    public void AnyDamageEndsInTensorsOrAMessage()
    {
        using var folder = new TemporaryFolder();
        var path = folder["x.safetensors"];
        using (var writer = SafetensorsWriter.Create(path, [("a", new(ElementType.Float32, [2, 3])), ("b", new(ElementType.Int8, [4]))], new Dictionary<string, string> { ["k"] = "v" }))
        {
            writer.Write<float>("a", [1, 2, 3, 4, 5, 6]);
            writer.Write<sbyte>("b", [1, 2, 3, 4]);
            writer.Complete();
        }

        var valid = File.ReadAllBytes(path);
        var refused = 0;
        Mutations.Check(3000, mutation =>
        {
            File.WriteAllBytes(path, mutation.Apply(valid));
            try
            {
                using var file = SafetensorsFile.Open(path);
                foreach (var entry in file.Entries.Values)
                {
                    Assert.True(entry.Offset + entry.Length <= new FileInfo(path).Length);
                    file.ReadFloats(entry.Name);
                }
            }
            catch (AnalysisException fault)
            {
                refused++;
                Assert.Contains("x.safetensors", fault.Message, StringComparison.Ordinal);
            }
        });
        Assert.True(refused > 1000);
    }

    [Fact]
    public void AnIncompleteFileLeavesNothing()
    {
        using var folder = new TemporaryFolder();
        using (var writer = SafetensorsWriter.Create(folder["x"], [("a", new(ElementType.Float32, [2]))]))
        {
            writer.Write<float>("a", [1]);
            Assert.Throws<InvalidOperationException>(writer.Complete);
            Assert.Throws<InvalidOperationException>(() => writer.Write<double>("a", [1]));
            Assert.Throws<InvalidOperationException>(() => writer.Write<float>("a", [1, 2]));
            Assert.Throws<InvalidOperationException>(() => writer.Write<float>("b", [1]));
        }

        Assert.Empty(Directory.GetFileSystemEntries(folder.Path));
    }

    private static byte[] Bytes(TensorHeader header, int seed)
    {
        var bytes = new byte[header.Shape.Aggregate((long)header.Type.Size(), (product, size) => product * size)];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
