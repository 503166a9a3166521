using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Activations;

/// <summary>Spatial activations A (n×C×H×W, float32) of images at one layer.</summary>
public interface ISpatialActivations
{
    /// <summary>
    /// Yields the rows in parts of at most <paramref name="part"/>, in order. The tensors lie on the network's device and
    /// belong to the caller.
    /// </summary>
    /// <param name="rows">Rows of the images.</param>
    /// <param name="part">Images at a time.</param>
    /// <param name="cancellation">Honoured between parts.</param>
    /// <exception cref="AnalysisException">An image that was readable before is not any more.</exception>
    IEnumerable<(int Start, Tensor Activation)> Read(int[] rows, int part, CancellationToken cancellation);
}

/// <summary>Activations of images that belong to no data set.</summary>
/// <param name="activation">N×C×H×W float32 on the network's device; stays the caller's, and alive while it is read.</param>
public sealed class GivenActivations(Tensor activation) : ISpatialActivations
{
    /// <inheritdoc/>
    public IEnumerable<(int Start, Tensor Activation)> Read(int[] rows, int part, CancellationToken cancellation)
    {
        for (var start = 0; start < rows.Length; start += part)
        {
            cancellation.ThrowIfCancellationRequested();
            using var places = tensor(rows.Skip(start).Take(part).Select(row => (long)row).ToArray(), ScalarType.Int64, activation.device);
            yield return (start, activation.index_select(0, places));
        }
    }
}
