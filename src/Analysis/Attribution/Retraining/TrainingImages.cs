using Analysis.Datasets;
using Analysis.Imaging;
using Analysis.Numerics;
using static TorchSharp.torch;

namespace Analysis.Attribution.Retraining;

/// <summary>
/// The images of a data set at the network's input size, kept in memory as bytes, with the output that each should give.
/// Networks are trained and measured on rows of it.
/// </summary>
public sealed class TrainingImages
{
    private const long MostBytes = 6L << 30;
    private readonly byte[]?[] _pixels;
    private readonly Preprocessing _preprocessing;

    /// <summary>Takes images that are prepared already.</summary>
    /// <param name="pixels">RGB, height × width × 3 bytes each; null for an image that cannot be used.</param>
    /// <param name="labels">Index of the output of each; −1 for none.</param>
    /// <param name="preprocessing">Size and normalisation.</param>
    /// <exception cref="ArgumentException">An image has another size, or the counts differ.</exception>
    public TrainingImages(byte[]?[] pixels, int[] labels, Preprocessing preprocessing)
    {
        if (pixels.Length != labels.Length || pixels.Any(p => p is not null && p.Length != 3 * preprocessing.Height * preprocessing.Width))
        {
            throw new ArgumentException($"Expected {labels.Length} images of {preprocessing.Height}×{preprocessing.Width}×3 bytes.", nameof(pixels));
        }

        _pixels = pixels;
        _preprocessing = preprocessing;
        Labels = labels;
    }

    /// <summary>Number of images N.</summary>
    public int Count => _pixels.Length;

    /// <summary>Index of the output that each image should give; −1 for none.</summary>
    public IReadOnlyList<int> Labels { get; }

    /// <summary>How the images are prepared.</summary>
    public Preprocessing Preprocessing => _preprocessing;

    /// <summary>False for an image that could not be read.</summary>
    public bool Readable(int row) => _pixels[row] is not null;

    /// <summary>Reads and prepares images.</summary>
    /// <param name="dataset">Where they are.</param>
    /// <param name="samples">Indices into the data set's samples; row i is the image <c>samples[i]</c>.</param>
    /// <param name="labels">Output of each row; −1 for none.</param>
    /// <param name="preprocessing">Size and normalisation.</param>
    /// <param name="progress">Receives the number of images that were read.</param>
    /// <param name="cancellation">Ends the reading between two images.</param>
    /// <exception cref="AnalysisException">They would need more than 6 GiB.</exception>
    public static TrainingImages Load(
        IDataset dataset, IReadOnlyList<int> samples, int[] labels, Preprocessing preprocessing, Action<int>? progress = null, CancellationToken cancellation = default)
    {
        var bytes = 3L * preprocessing.Height * preprocessing.Width * samples.Count;
        if (bytes > MostBytes)
        {
            throw new AnalysisException(
                $"The {samples.Count} training images of {preprocessing.Height}×{preprocessing.Width} pixels would take {bytes >> 20} MiB of memory; at most {MostBytes >> 20} MiB are used.",
                "Start an analysis of fewer images (a limit, or some classes) and retrain on that.");
        }

        var pixels = new byte[]?[samples.Count];
        var done = 0;
        Parallel.For(0, samples.Count, new ParallelOptions { CancellationToken = cancellation, MaxDegreeOfParallelism = Environment.ProcessorCount }, i =>
        {
            try
            {
                pixels[i] = ImagePreparation.Prepare(dataset.Read(samples[i]), preprocessing).Pixels;
            }
            catch (AnalysisException)
            {
                // The analysis lists it among the images that were left out.
                pixels[i] = null;
            }

            var count = Interlocked.Increment(ref done);
            if (count % 64 == 0)
            {
                progress?.Invoke(count);
            }
        });
        return new TrainingImages(pixels, labels, preprocessing);
    }

    /// <summary>A batch as the network sees it, N×3×H×W float32, owned by the caller's scope.</summary>
    /// <param name="rows">Rows that can be read.</param>
    /// <param name="device">Where it shall be.</param>
    public Tensor Batch(ReadOnlySpan<int> rows, Device device) => Batch(rows, device, flip: false, shift: 0, default);

    internal Tensor Batch(ReadOnlySpan<int> rows, Device device, bool flip, int shift, SplitMix64 random)
    {
        var (height, width) = (_preprocessing.Height, _preprocessing.Width);
        var length = 3 * height * width;
        var values = new float[rows.Length * length];
        for (var i = 0; i < rows.Length; i++)
        {
            var image = _pixels[rows[i]] ?? throw new ArgumentException($"Row {rows[i]} could not be read.", nameof(rows));
            if (flip || shift > 0)
            {
                image = Move(image, flip && (random.Next() & 1) == 1, shift > 0 ? random.NextInt((2 * shift) + 1) - shift : 0, shift > 0 ? random.NextInt((2 * shift) + 1) - shift : 0);
            }

            ImagePreparation.Normalise(new RgbImage(width, height, image), _preprocessing, values.AsSpan(i * length, length));
        }

        return tensor(values, [rows.Length, 3, height, width], device: device);
    }

    private byte[] Move(byte[] image, bool mirrored, int right, int down)
    {
        if (!mirrored && right == 0 && down == 0)
        {
            return image;
        }

        var (height, width) = (_preprocessing.Height, _preprocessing.Width);
        var moved = new byte[image.Length];
        Span<byte> fill = stackalloc byte[3];
        for (var c = 0; c < 3; c++)
        {
            fill[c] = (byte)Math.Clamp(Math.Round(_preprocessing.Mean[c] * 255), 0, 255);
        }

        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
            {
                var (fromX, fromY) = ((mirrored ? width - 1 - x : x) - right, y - down);
                var target = moved.AsSpan(((y * width) + x) * 3, 3);
                if (fromX < 0 || fromX >= width || fromY < 0 || fromY >= height)
                {
                    fill.CopyTo(target);
                }
                else
                {
                    image.AsSpan(((fromY * width) + fromX) * 3, 3).CopyTo(target);
                }
            }
        }

        return moved;
    }
}
