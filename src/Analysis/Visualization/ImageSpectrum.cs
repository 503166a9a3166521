using Analysis.Datasets;
using Analysis.Imaging;
using Analysis.Networks.Files;
using Analysis.Numerics;
using Analysis.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Visualization;

/// <summary>The mean spectrum of a data set's images, kept in the store.</summary>
public static class ImageSpectrum
{
    /// <summary>Most images that are read: the mean of a spectrum settles quickly.</summary>
    public const int MostImages = 256;

    private const int Batch = 32;

    /// <summary>Reads it from the store, or computes and keeps it.</summary>
    /// <param name="dataset">The images.</param>
    /// <param name="samples">Indices that the analysis used; images are taken from it at even distances.</param>
    /// <param name="preprocessing">How the network resizes images.</param>
    /// <param name="size">Side S in pixels.</param>
    /// <param name="storeFolder">Where artefacts are kept.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    /// <returns>Mean |rfft2| of the decorrelated channels, 3×S×(S/2+1) float32 on the CPU.</returns>
    /// <exception cref="AnalysisException">No image can be read.</exception>
    public static Tensor Of(IDataset dataset, IReadOnlyList<int> samples, Preprocessing preprocessing, int size, string storeFolder, CancellationToken cancellation)
    {
        var count = Math.Min(samples.Count, MostImages);
        int[] chosen = [.. Enumerable.Range(0, count).Select(i => samples[(int)((long)i * samples.Count / count)])];
        var key = ArtifactKey.Of("spectrum/1", dataset.Fingerprint, size, preprocessing.Resize, string.Join(',', chosen));
        var path = Path.Combine(storeFolder, key, "spectrum.safetensors");
        if (File.Exists(path))
        {
            using var file = SafetensorsFile.Open(path);
            return file.Load("magnitude");
        }

        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var plain = new Preprocessing(size, size, [0, 0, 0], [1, 1, 1], preprocessing.Resize);
        var sum = zeros([3, size, (size / 2) + 1], ScalarType.Float64);
        var read = 0;
        foreach (var batch in new BatchLoader(dataset, plain, new BatchLoaderOptions { Describe = false }).Load(chosen, Batch, cancellation))
        {
            using (batch)
            using (var inner = NewDisposeScope())
            {
                if (batch.Rows.Count > 0)
                {
                    sum.add_(ImageParametrization.SpectrumSum(tensor(batch.Values.ToArray(), [batch.Rows.Count, 3, size, size])), Scalars.One);
                    read += batch.Rows.Count;
                }
            }
        }

        if (read == 0)
        {
            throw new AnalysisException($"None of {count} images of {dataset.Name} can be read.", "Check that the images are where they were, or use the method 'fourier', which needs none.");
        }

        var magnitude = (sum / Scalars.Of(read)).to(ScalarType.Float32);
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.Explain(path, failure);
        }

        SafetensorsTensors.Save(path, [("magnitude", magnitude)]);
        return magnitude.MoveToOuterDisposeScope();
    }
}
