using Analysis;
using Analysis.Datasets;
using Analysis.Imaging;

namespace Benchmarks;

/// <summary>Time of reading images, on one thread: the batch loader runs as many of these as there are cores.</summary>
internal static class ImageBenchmarks
{
    private const int MostImages = 200;
    private const int Side = 224;

    /// <summary>Decodes images to RGB.</summary>
    public static BenchmarkReport Decode(BenchmarkOptions options)
    {
        var files = Files(options);
        var report = new BenchmarkReport("decode").With("images", files.Count);
        var pixels = report.Measure(options, () => files.Sum(f =>
        {
            var image = ImageDecoder.Decode(f);
            return (long)image.Width * image.Height;
        }));
        return report.With("megapixels", pixels / 1e6);
    }

    /// <summary>Resizes decoded images to 224×224 with the antialiased bilinear filter.</summary>
    public static BenchmarkReport Resize(BenchmarkOptions options)
    {
        var images = Files(options).ConvertAll(ImageDecoder.Decode);
        var report = new BenchmarkReport("resize").With("images", images.Count).With("megapixels", images.Sum(i => (long)i.Width * i.Height) / 1e6);
        report.Measure(options, () => images.Sum(i => AntialiasedBilinear.Resize(i, Side, Side).Pixels.Length));
        return report.With("side", Side);
    }

    private static List<RawImage> Files(BenchmarkOptions options)
    {
        var dataset = DatasetLoader.Open(Path.GetFullPath(options.Input ?? options.Dataset ?? RealData.Folder("imagenet_samples")));
        var files = Enumerable.Range(0, Math.Min(MostImages, dataset.Samples.Count)).Select(dataset.Read).ToList();
        return files.Count > 0 ? files : throw new AnalysisException($"{dataset.Root} has no images.", "Name a folder of images with --input.");
    }
}
