using Analysis.Activations;
using Analysis.Networks.Files;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Runs.Stages;

/// <summary>Streams the pooled activations through second moments and decomposes them (METHODS 1.1).</summary>
internal static class DirectionsStage
{
    private const int Part = 2048;

    /// <summary>Computes the directions, or reads them where they are there.</summary>
    /// <returns>Directions, mean m (C float64, CPU), and whether they were there.</returns>
    public static (SingularDirections Directions, Tensor Mean, bool Reused) Run(
        ActivationStore store, string path, Device device, Action<int> progress, CancellationToken cancellation)
    {
        var reused = File.Exists(path);
        if (!reused)
        {
            Compute(store, path, device, progress, cancellation);
        }

        using var file = SafetensorsFile.Open(path);
        using var moments = SecondMoments.Restore(
            file.Span<long>("count")[0], file.Load("sum").DetachFromDisposeScope(), file.Load("gram").DetachFromDisposeScope(), CPU);
        // Decomposing again from the stored moments costs milliseconds and spares a second form of the same thing.
        return (SingularDirections.FromSecondMoments(moments), (moments.Sum / Scalars.Of(moments.Count)).DetachFromDisposeScope(), reused);
    }

    private static void Compute(ActivationStore store, string path, Device device, Action<int> progress, CancellationToken cancellation)
    {
        using var moments = new SecondMoments((int)store.RowShape("pooled.0")[0], device);
        for (var start = 0; start < store.Rows; start += Part)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var count = Math.Min(Part, store.Rows - start);
            moments.Add(store.ReadTensor("pooled.0", start, count).to(device));
            progress(start + count);
        }

        using var outer = NewDisposeScope();
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        SafetensorsTensors.Save(path, [("count", tensor([moments.Count])), ("sum", moments.Sum.cpu()), ("gram", moments.Gram.cpu())]);
    }
}
