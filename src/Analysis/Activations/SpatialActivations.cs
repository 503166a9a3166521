using Analysis.Datasets;
using Analysis.Datasets.Recorded;
using Analysis.Imaging;
using Analysis.Networks;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Activations;

/// <summary>
/// Spatial activations A (n×C×H×W, float32) of any rows at the analysed layer: from the store where they were kept, else by
/// running the backbone again over just these images.
/// </summary>
/// <param name="store">Recorded activations.</param>
/// <param name="dataset">The data set.</param>
/// <param name="network">The network.</param>
/// <param name="layer">Analysed layer.</param>
/// <param name="samples">Index into <see cref="IDataset.Samples"/> of each row.</param>
public sealed class SpatialActivations(ActivationStore store, IDataset dataset, INetwork network, string layer, IReadOnlyList<int> samples) : ISpatialActivations
{
    /// <inheritdoc/>
    public IEnumerable<(int Start, Tensor Activation)> Read(int[] rows, int part, CancellationToken cancellation)
    {
        if (store.Has("maps"))
        {
            for (var start = 0; start < rows.Length; start += part)
            {
                cancellation.ThrowIfCancellationRequested();
                using var kept = store.GatherTensor("maps", rows.AsSpan(start, Math.Min(part, rows.Length - start)));
                yield return (start, kept.to(network.Device).alias());
            }

            yield break;
        }

        if (dataset is IRecordedActivations recorded)
        {
            for (var start = 0; start < rows.Length; start += part)
            {
                cancellation.ThrowIfCancellationRequested();
                using var values = recorded.Activations([.. rows.Skip(start).Take(part).Select(r => samples[r])]);
                yield return (start, values.to(network.Device).alias());
            }

            yield break;
        }

        var loader = new BatchLoader(dataset, network.Preprocessing, new BatchLoaderOptions { Describe = false });
        foreach (var loaded in loader.Load([.. rows.Select(r => samples[r])], part, cancellation))
        {
            using var batch = loaded;
            if (batch.Skipped.Count > 0)
            {
                throw new AnalysisException(
                    $"{batch.Skipped[0].Path} could be read at first and cannot any more: {batch.Skipped[0].Reason}",
                    "Leave the data set unchanged while an analysis runs, then start it again.");
            }

            yield return (batch.First, Forward(batch));
        }
    }

    private Tensor Forward(ImageBatch batch)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var shape = network.Preprocessing;
        var input = tensor(batch.Values.ToArray(), [batch.Rows.Count, 3, shape.Height, shape.Width]).to(network.Device);
        return network.Forward(input, [layer]).Activations[0].MoveToOuterDisposeScope();
    }
}
