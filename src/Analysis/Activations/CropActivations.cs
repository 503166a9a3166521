using System.Globalization;
using Analysis.Concepts;
using Analysis.Datasets;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Networks.Files;
using Analysis.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Activations;

/// <summary>
/// Pooled activations of crops: every patch goes through the network by itself. Written a file a class, which is a checkpoint;
/// costs as many passes as an image has crops.
/// </summary>
/// <param name="dataset">The data set.</param>
/// <param name="network">The network.</param>
/// <param name="layer">Analysed layer.</param>
/// <param name="samples">Index into <see cref="IDataset.Samples"/> of each row.</param>
/// <param name="folder">The artefact's folder.</param>
public sealed class CropActivations(IDataset dataset, INetwork network, string layer, IReadOnlyList<int> samples, string folder)
{
    /// <summary>Where the crops are.</summary>
    public CropGeometry Geometry { get; } = CropGeometry.For(network.Preprocessing.Height, network.Preprocessing.Width);

    /// <summary>Records a class's crops where they are not there yet.</summary>
    /// <param name="index">Index of the class.</param>
    /// <param name="rows">Rows of its images.</param>
    /// <param name="batch">Crops given to the network at a time.</param>
    /// <param name="progress">Called with the number of images done.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    /// <returns>True where they were there.</returns>
    public bool Record(int index, int[] rows, int batch, Action<int> progress, CancellationToken cancellation)
    {
        var path = PathOf(index);
        if (File.Exists(path))
        {
            progress(rows.Length);
            return true;
        }

        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var parts = new List<Tensor>();
        foreach (var (done, images) in Images(rows, Math.Max(1, batch / Geometry.Count), cancellation))
        {
            using var inner = NewDisposeScope();
            using (images)
            {
                parts.Add(Pooled(images).MoveToOuterDisposeScope());
            }

            progress(done);
        }

        try
        {
            Directory.CreateDirectory(folder);
            SafetensorsTensors.Save(path, [("pooled", parts.Count == 0 ? zeros([0, 1]) : cat(parts, 0))]);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.Explain(path, failure);
        }

        return false;
    }

    /// <summary>The recorded crops of a class, (n · P)×C float32 on the network's device; belongs to the caller's dispose scope.</summary>
    public Tensor Read(int index)
    {
        using var file = SafetensorsFile.Open(PathOf(index));
        return file.Load("pooled").to(network.Device);
    }

    /// <summary>Pooled activations of the crops of images.</summary>
    /// <param name="images">n×3×H×W, prepared for the network, on its device.</param>
    /// <returns>(n · P)×C float32 on the CPU.</returns>
    public Tensor Pooled(Tensor images)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        return network.Forward(Geometry.Cut(images), [layer]).Activations[0].mean([2L, 3L]).cpu().MoveToOuterDisposeScope();
    }

    /// <summary>Images prepared for the network, n×3×H×W on its device; each tensor belongs to the caller.</summary>
    /// <param name="rows">Rows of the images.</param>
    /// <param name="part">Images at a time.</param>
    /// <param name="cancellation">Honoured between parts.</param>
    /// <exception cref="AnalysisException">An image that was readable before is not any more.</exception>
    public IEnumerable<(int Done, Tensor Images)> Images(int[] rows, int part, CancellationToken cancellation)
    {
        var shape = network.Preprocessing;
        var loader = new BatchLoader(dataset, shape, new BatchLoaderOptions { Describe = false });
        foreach (var loaded in loader.Load([.. rows.Select(r => samples[r])], part, cancellation))
        {
            using var batch = loaded;
            cancellation.ThrowIfCancellationRequested();
            if (batch.Skipped.Count > 0)
            {
                throw new AnalysisException(
                    $"{batch.Skipped[0].Path} could be read at first and cannot any more: {batch.Skipped[0].Reason}",
                    "Leave the data set unchanged while an analysis runs, then start it again.");
            }

            yield return (batch.First + batch.Count, tensor(batch.Values.ToArray(), [batch.Rows.Count, 3, shape.Height, shape.Width]).to(network.Device).alias());
        }
    }

    private string PathOf(int index) => Path.Combine(folder, index.ToString("0000", CultureInfo.InvariantCulture) + ".safetensors");
}
