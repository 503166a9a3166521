using Analysis.Datasets;
using Analysis.Imaging;
using Analysis.Networks;
using static TorchSharp.torch;

namespace Analysis.Attribution;

/// <summary>Images as a network takes them.</summary>
internal static class NetworkInputs
{
    private const int Part = 64;

    /// <summary>Reads a few images into one tensor.</summary>
    /// <param name="network">The network.</param>
    /// <param name="dataset">Data set.</param>
    /// <param name="indices">Positions in it.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    /// <returns>n×3×H×W float32 on the CPU; belongs to the caller.</returns>
    /// <exception cref="AnalysisException">An image cannot be read any more.</exception>
    public static Tensor Load(GradientNetwork network, IDataset dataset, int[] indices, CancellationToken cancellation)
    {
        var shape = network.Preprocessing;
        var values = new List<float>(indices.Length * 3 * shape.Height * shape.Width);
        var count = 0;
        foreach (var loaded in new BatchLoader(dataset, shape, new BatchLoaderOptions { Describe = false }).Load(indices, Part, cancellation))
        {
            using var batch = loaded;
            if (batch.Skipped.Count > 0)
            {
                throw new AnalysisException($"{batch.Skipped[0].Path} could be read when the analysis was made and cannot be now: {batch.Skipped[0].Reason}", "Put the file back.");
            }

            values.AddRange(batch.Values);
            count += batch.Rows.Count;
        }

        return tensor(values.ToArray(), [count, 3, shape.Height, shape.Width]);
    }
}
