using Analysis.Imaging;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace Analysis.Tests.Imaging;

/// <summary>Whatever happens to a file, decoding gives a whole image or an <see cref="AnalysisException"/>.</summary>
public sealed class DecoderMutationTests
{
    private static readonly byte[][] Seeds =
    [
        TestImages.Jpeg(TestImages.Pattern(24, 17)),
        TestImages.Png(TestImages.Pattern(24, 17)),
        ThumbnailMaker.Encode(TestImages.Pattern(24, 17)),
        Bitmap(),
    ];

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Changed_bytes_never_crash(int seed)
    {
        var mutation = (from at in Gen.Choose(0, Seeds[seed].Length - 1) from value in Gen.Choose(0, 255) select (at, value)).ListOf(4).ToArbitrary();
        Prop.ForAll(mutation, changes =>
        {
            var bytes = Seeds[seed].ToArray();
            foreach (var (at, value) in changes)
            {
                bytes[at] = (byte)value;
            }

            return DecodesOrRefuses(bytes);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(400));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Every_truncation_is_refused(int seed)
    {
        // The last bytes of a JPEG are its end marker, without which the picture is whole all the same.
        for (var length = 0; length < Seeds[seed].Length - 3; length += 7)
        {
            Assert.Throws<AnalysisException>(() => ImageDecoder.Decode(Seeds[seed][..length]));
        }
    }

    [Fact]
    public void Random_bytes_behind_a_signature_never_crash()
    {
        byte[][] signatures =
        [
            [0xFF, 0xD8, 0xFF, 0xE0], [0x89, (byte)'P', (byte)'N', (byte)'G', 13, 10, 26, 10], [.. "GIF89a"u8], [(byte)'I', (byte)'I', 42, 0],
            [(byte)'M', (byte)'M', 0, 42], [.. "RIFF    WEBPVP8 "u8], [.. "BM"u8],
        ];
        var files = (from signature in Gen.Elements(signatures) from rest in Gen.Choose(0, 255).ListOf(200) select (byte[])[.. signature, .. rest.Select(static b => (byte)b)]).ToArbitrary();
        Prop.ForAll(files, DecodesOrRefuses).Check(Config.QuickThrowOnFailure.WithMaxTest(500));
    }

    [Fact]
    public void The_seeds_themselves_decode()
    {
        var expected = TestImages.Pattern(24, 17);
        Assert.Equal(expected.Pixels, ImageDecoder.Decode(Seeds[1]).Pixels);
        Assert.Equal(expected.Pixels, ImageDecoder.Decode(Seeds[3]).Pixels);
        Assert.All(Seeds, static s => Assert.Equal(24, ImageDecoder.Decode(s).Width));
    }

    private static bool DecodesOrRefuses(byte[] bytes)
    {
        try
        {
            var image = ImageDecoder.Decode(bytes);
            return image.Pixels.LongLength == 3L * image.Width * image.Height && image.Width > 0;
        }
        catch (AnalysisException)
        {
            return true;
        }
    }

    private static byte[] Bitmap()
    {
        var image = TestImages.Pattern(24, 17);
        var bytes = new byte[54 + (72 * 17)];
        "BM"u8.CopyTo(bytes);
        BitConverter.TryWriteBytes(bytes.AsSpan(10), 54);
        BitConverter.TryWriteBytes(bytes.AsSpan(14), 40);
        BitConverter.TryWriteBytes(bytes.AsSpan(18), 24);
        BitConverter.TryWriteBytes(bytes.AsSpan(22), 17);
        BitConverter.TryWriteBytes(bytes.AsSpan(26), (short)1);
        BitConverter.TryWriteBytes(bytes.AsSpan(28), (short)24);
        for (var y = 0; y < 17; y++)
        {
            for (var x = 0; x < 24; x++)
            {
                var (from, to) = (((y * 24) + x) * 3, 54 + ((16 - y) * 72) + (x * 3));
                (bytes[to], bytes[to + 1], bytes[to + 2]) = (image.Pixels[from + 2], image.Pixels[from + 1], image.Pixels[from]);
            }
        }

        return bytes;
    }
}
