using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Numerics;

public sealed class NpzArchiveTests
{
    [Theory]
    [InlineData("<f8", 8)]
    [InlineData("<f4", 4)]
    [InlineData("<i8", 8)]
    [InlineData("<u2", 2)]
    [InlineData("|i1", 1)]
    public void ReadsEveryWidthInShape(string type, int size)
    {
        var data = new byte[6 * size];
        for (var i = 0; i < 6; i++)
        {
            var item = data.AsSpan(i * size, size);
            switch (type)
            {
                case "<f8": BinaryPrimitives.WriteDoubleLittleEndian(item, i); break;
                case "<f4": BinaryPrimitives.WriteSingleLittleEndian(item, i); break;
                default: item[0] = (byte)i; break;
            }
        }

        var array = Read(Npy(type, "(2, 3)", data));
        Assert.Equal([2L, 3L], array.Shape);
        Assert.Equal([0.0, 1, 2, 3, 4, 5], array.ToDoubles());
        using var tensor = array.ToTensor();
        Assert.Equal([2L, 3L], tensor.shape);
        Assert.Equal(5.0, tensor.to(ScalarType.Float64)[1, 2].item<double>());
    }

    [Fact]
    public void ReordersFortranArrays()
    {
        var array = Read(Npy("|u1", "(2, 3)", [0, 3, 1, 4, 2, 5], fortran: true));
        Assert.Equal([0.0, 1, 2, 3, 4, 5], array.ToDoubles());
    }

    [Fact]
    public void ReadsText()
    {
        Assert.Equal(["né", "b"], Read(Npy("<U2", "(2,)", Encoding.UTF32.GetBytes("néb\0"))).ToStrings());
    }

    [Fact]
    public void RefusesPythonObjects()
    {
        var error = Assert.Throws<AnalysisException>(() => Read(Npy("|O", "(1,)", [0], size: "8")));
        Assert.Contains("Python objects", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("(99999999999,)", "more than")]
    [InlineData("(4294967296, 4294967296, 4294967296)", "more than")]
    [InlineData("(-4,)", "extent")]
    [InlineData("(100000,)", "ends after")]
    [InlineData("(x,)", "extent")]
    public void RefusesShapesThatTheFileDoesNotHold(string shape, string reason)
    {
        var error = Assert.Throws<AnalysisException>(() => Read(Npy("<f8", shape, new byte[16])));
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void RefusesEveryTruncation()
    {
        var whole = Npy("<f8", "(2,)", new byte[16]);
        for (var length = 0; length < whole.Length; length++)
        {
            var part = whole[..length];
            Assert.Throws<AnalysisException>(() => Read(part));
        }
    }

    [Fact]
    public void ReadsArchivesAndNamesWhatIsMissing()
    {
        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName() + ".npz");
        try
        {
            using (var zip = ZipFile.Open(path, ZipArchiveMode.Create))
            {
                using var entry = zip.CreateEntry("weights.npy").Open();
                entry.Write(Npy("|u1", "(3,)", [7, 8, 9]));
            }

            var archive = NpzArchive.Open(path);
            Assert.Equal(["weights"], archive.Names);
            Assert.Equal([7.0, 8, 9], archive["weights"].ToDoubles());
            Assert.Contains("'bias'", Assert.Throws<AnalysisException>(() => archive["bias"]).Message, StringComparison.Ordinal);
            Assert.Throws<AnalysisException>(() => NpzArchive.Open(path, maximumBytes: 2));
            File.WriteAllBytes(path, [1, 2, 3]);
            Assert.Throws<AnalysisException>(() => NpzArchive.Open(path));
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static NpyArray Read(byte[] bytes)
    {
        using var stream = new MemoryStream(bytes);
        return NpyArray.Read(stream, "test");
    }

    private static byte[] Npy(string type, string shape, byte[] data, bool fortran = false, string size = "")
    {
        var header = Encoding.ASCII.GetBytes($"{{'descr': '{type}{size}', 'fortran_order': {(fortran ? "True" : "False")}, 'shape': {shape}, }}\n");
        return [0x93, .. "NUMPY"u8, 1, 0, (byte)header.Length, (byte)(header.Length >> 8), .. header, .. data];
    }
}
