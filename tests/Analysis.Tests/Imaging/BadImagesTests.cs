using System.Diagnostics;
using Analysis.Datasets;
using Analysis.Imaging;
using Xunit;

namespace Analysis.Tests.Imaging;

/// <summary>Every hostile or broken image has its stated outcome.</summary>
public sealed class BadImagesTests
{
    private static readonly Preprocessing To32 = new(32, 32, [0.5f, 0.5f, 0.5f], [0.5f, 0.5f, 0.5f], ResizeMode.ShorterSideCentreCrop);

    [Theory]
    [InlineData("truncated.jpg")]
    [InlineData("truncated_header.jpg")]
    [InlineData("zero_byte.jpg")]
    [InlineData("text_renamed.jpg")]
    [InlineData("html_renamed.png")]
    [InlineData("vector.svg")]
    [InlineData("png_bad_crc.png")]
    public void Unreadable_files_are_refused(string name)
    {
        var failure = Assert.Throws<AnalysisException>(() => Decode(name));
        Assert.NotEmpty(failure.Message);
    }

    [Theory]
    [InlineData("png_named.jpg", 96, 64)]
    [InlineData("one_pixel.png", 1, 1)]
    [InlineData("one_by_600.jpg", 1, 600)]
    [InlineData("cmyk.jpg", 96, 64)]
    [InlineData("cmyk_expected.png", 96, 64)]
    [InlineData("gray16.png", 96, 64)]
    [InlineData("rgb16.png", 96, 64)]
    [InlineData("gray8.png", 96, 64)]
    [InlineData("gray8.jpg", 96, 64)]
    [InlineData("palette_alpha.png", 96, 64)]
    [InlineData("rgba_gradient.png", 96, 64)]
    [InlineData("animated.gif", 48, 48)]
    [InlineData("exif_rotated.jpg", 96, 64)]
    [InlineData("progressive.jpg", 64, 64)]
    [InlineData("webp.webp", 96, 64)]
    [InlineData("tiff.tif", 96, 64)]
    [InlineData("bmp.bmp", 96, 64)]
    [InlineData("good_control.jpg", 32, 32)]
    [InlineData("good_duplicate.jpg", 32, 32)]
    public void Readable_files_decode_and_reach_the_input_size(string name, int width, int height)
    {
        var image = Decode(name);
        Assert.Equal((width, height), (image.Width, image.Height));
        Assert.Equal(width * height * 3, image.Pixels.Length);
        var prepared = ImagePreparation.Resize(image, To32);
        Assert.Equal((32, 32), (prepared.Width, prepared.Height));
    }

    [Fact]
    public void Every_image_of_the_folder_has_an_outcome_here()
    {
        var listed = typeof(BadImagesTests).GetMethods()
            .SelectMany(static m => m.GetCustomAttributes(typeof(InlineDataAttribute), false).Cast<InlineDataAttribute>())
            .Select(static d => (string)d.Data[0]!)
            .ToHashSet();
        Assert.All(Directory.EnumerateFiles(TestData.Require("bad", "images")), path => Assert.Contains(Path.GetFileName(path), listed));
    }

    [Fact]
    public void Cmyk_is_close_to_its_rgb_original()
    {
        var (cmyk, expected) = (Decode("cmyk.jpg"), Decode("cmyk_expected.png"));
        var mean = cmyk.Pixels.Zip(expected.Pixels, static (a, b) => Math.Abs(a - b)).Average();
        Assert.InRange(mean, 0, 6);
    }

    [Fact]
    public void Sixteen_bit_colour_equals_the_eight_bit_control() =>
        Assert.InRange(TestImages.LargestDifference(Decode("rgb16.png"), Decode("cmyk_expected.png")), 0, 1);

    [Fact]
    public void Sixteen_bit_grey_becomes_a_full_ramp()
    {
        var image = Decode("gray16.png");
        Assert.Equal(0, image.Pixels[0]);
        Assert.Equal(255, image.Pixels[^1]);
        Assert.True(image.Pixels.Distinct().Count() > 120);
        for (var i = 3; i < image.Width * 3; i += 3)
        {
            Assert.InRange(image.Pixels[i] - image.Pixels[i - 3], 0, 4);
        }
    }

    [Fact]
    public void Grey_is_replicated()
    {
        var image = Decode("gray8.jpg");
        for (var i = 0; i < image.Pixels.Length; i += 3)
        {
            Assert.True(image.Pixels[i] == image.Pixels[i + 1] && image.Pixels[i] == image.Pixels[i + 2]);
        }
    }

    [Fact]
    public void The_first_frame_counts()
    {
        var image = Decode("animated.gif");
        Assert.True(image.Pixels[0] > 200 && image.Pixels[1] < 60 && image.Pixels[2] < 60);
    }

    [Fact]
    public void Orientation_tags_are_ignored_for_the_network_and_for_thumbnails()
    {
        var image = Decode("exif_rotated.jpg");
        Assert.True(image.Pixels[(32 * 96 * 3) + 6] > 150, "the red band stays at the stored left");
        var thumbnail = ImageDecoder.Decode(ThumbnailMaker.Fit(Read("exif_rotated.jpg"), 96));
        Assert.Equal((96, 64), (thumbnail.Width, thumbnail.Height));
    }

    [Theory]
    [InlineData("palette_alpha.png")]
    [InlineData("rgba_gradient.png")]
    public void Transparency_is_dropped_in_thumbnails_as_for_the_network(string name)
    {
        var image = Decode(name);
        var thumbnail = ImageDecoder.Decode(ThumbnailMaker.Fit(Read(name), 96));
        Assert.InRange(image.Pixels.Zip(thumbnail.Pixels, static (a, b) => Math.Abs(a - b)).Average(), 0, 8);
    }

    [Theory]
    [InlineData("header_50000x50000.png")]
    [InlineData("full_50000x50000_1bit.png")]
    [InlineData("jpeg_65500x65500.jpg")]
    public void Bombs_are_refused_from_the_header(string name)
    {
        var bytes = File.ReadAllBytes(TestData.Require("bad", "bombs", name));
        ImageDecoder.Decode(TestImages.Png(TestImages.Pattern(4, 4)));
        var before = Process.GetCurrentProcess().PeakWorkingSet64;
        var clock = Stopwatch.StartNew();
        var failure = Assert.Throws<AnalysisException>(() => ImageDecoder.Decode(bytes));
        Assert.Contains("megapixels", failure.Message, StringComparison.Ordinal);
        Assert.InRange(Process.GetCurrentProcess().PeakWorkingSet64 - before, 0, 100L << 20);
        Assert.InRange(clock.Elapsed.TotalSeconds, 0, 5);
    }

    [Fact]
    public void The_folder_loads_with_its_bad_files_listed()
    {
        var dataset = DatasetLoader.Open(TestData.Require("bad", "images"), TestContext.Current.CancellationToken);
        Assert.Equal("flat folder", dataset.Format);
        Assert.Contains(dataset.Skipped, static s => s.Path == "vector.svg");
        Assert.Contains(dataset.Skipped, static s => s.Path == "zero_byte.jpg");
        var loader = new BatchLoader(dataset, To32, new BatchLoaderOptions { Parallelism = 2 });
        var skipped = new List<string>();
        var hashes = new Dictionary<string, string>();
        int[] all = [.. Enumerable.Range(0, dataset.Samples.Count)];
        foreach (var batch in loader.Load(all, 7, TestContext.Current.CancellationToken))
        {
            using (batch)
            {
                skipped.AddRange(batch.Skipped.Select(static s => s.Path));
                for (var i = 0; i < batch.Rows.Count; i++)
                {
                    hashes[dataset.Samples[batch.Rows[i]].Path] = batch.ContentHash[i];
                }
            }
        }

        Assert.Equal(["html_renamed.png", "png_bad_crc.png", "text_renamed.jpg", "truncated.jpg", "truncated_header.jpg"], skipped);
        Assert.Equal(hashes["good_control.jpg"], hashes["good_duplicate.jpg"]);
        Assert.Equal(hashes["png_named.jpg"], hashes["cmyk_expected.png"]);
    }

    private static RawImage Read(string name) => new(File.ReadAllBytes(TestData.Require("bad", "images", name)), Encoded: true);

    private static RgbImage Decode(string name) => ImageDecoder.Decode(Read(name));
}
