using Analysis.Networks;
using static TorchSharp.torch;

namespace Analysis.Attribution.Retraining;

/// <summary>Pooled activations of images in memory.</summary>
internal static class PooledActivations
{
    private const int BatchSize = 100;

    /// <summary>One forward pass over rows.</summary>
    /// <returns>For each layer rows×C float64 on the CPU; owned by the caller.</returns>
    public static Tensor[] Read(INetwork network, TrainingImages images, IReadOnlyList<int> rows, IReadOnlyList<string> layers, CancellationToken cancellation, Action<int, Tensor>? logits = null)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var parts = layers.Select(_ => new List<Tensor>()).ToArray();
        for (var first = 0; first < rows.Count; first += BatchSize)
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = NewDisposeScope();
            int[] part = [.. rows.Skip(first).Take(BatchSize)];
            var (activations, answers) = network.Forward(images.Batch(part, network.Device), layers);
            for (var l = 0; l < parts.Length; l++)
            {
                parts[l].Add(activations[l].mean([2, 3]).to(ScalarType.Float64).cpu().MoveToOuterDisposeScope());
            }

            logits?.Invoke(first, answers.cpu());
        }

        return [.. parts.Select(p => cat(p, 0).DetachFromDisposeScope())];
    }
}
