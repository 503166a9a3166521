using Analysis.Activations;
using Analysis.Networks.Files;

namespace Analysis.Runs;

/// <summary>
/// Records activations, logits and gradients at one or several layers in one pass and writes them into one file:
/// <c>activations.safetensors</c> with logits (N×K) and for every layer pooled/LAYER, gradient/LAYER (d of the predicted
/// output's logit, summed over positions) and gradient_input/LAYER (mean over positions of gradient × activation), each N×C;
/// <c>samples.csv</c> or Parquet with paths and predictions in the same order.
/// </summary>
/// <param name="storeFolder">Where shards are kept, so that an interrupted pass goes on.</param>
public sealed class ExtractionRunner(string storeFolder)
{
    private const int Part = 2048;

    /// <summary>Runs the pass.</summary>
    /// <param name="request">Data set, network, and layers separated by commas in <see cref="AnalysisRequest.Layer"/>.</param>
    /// <param name="outputFolder">Where to write.</param>
    /// <param name="observer">Receives progress.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    /// <returns>Number of images recorded.</returns>
    public int Run(AnalysisRequest request, string outputFolder, IRunObserver observer, CancellationToken cancellation)
    {
        var layers = request.Layer?.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        using var plan = RunPlan.Create(request with { Layer = layers?.FirstOrDefault() }, layers is { Length: > 0 } ? layers : null);
        var reporter = new RunReporter(observer, [("activations", "Reading images and recording activations", "images", 1), ("atlas", "Writing the result", "images", 0.05)])
        {
            Device = plan.Description.Device,
        };
        var spec = plan.Extraction with { Depths = [], KeepMaps = false };
        var folder = Path.Combine(storeFolder, ArtifactKey.Of("extract/1", plan.ActivationsKey));
        reporter.Begin("activations", plan.Samples.Count);
        var reused = ActivationExtractor.Run(
            plan.Dataset, plan.Samples, plan.Network, spec, folder, (done, skipped) =>
            {
                reporter.Skipped(skipped);
                reporter.Advance("activations", done);
            },
            cancellation);
        reporter.End("activations", reused);

        using var store = new ActivationStore(folder, ActivationExtractor.ShardCount(plan.Samples.Count, spec));
        reporter.Begin("atlas", store.Rows);
        AtomicFile.WriteText(Path.Combine(outputFolder, "README.txt"), "activations.safetensors: logits, and pooled/, gradient/, gradient_input/ of each layer. Rows follow samples.\n");
        ResultTables.Write(outputFolder, "samples", request.Tables, SampleTable.Create(plan, store, store.ScanIndices(), out _));
        Write(plan, store, spec, Path.Combine(outputFolder, "activations.safetensors"), done => reporter.Advance("atlas", done), cancellation);
        reporter.End("atlas");
        return store.Rows;
    }

    private static void Write(RunPlan plan, ActivationStore store, ExtractionSpec spec, string path, Action<int> progress, CancellationToken cancellation)
    {
        var tensors = new List<(string Name, string Source)> { ("logits", "logits") };
        foreach (var kind in new[] { "pooled", "gradient", "gradient_input" })
        {
            tensors.AddRange(spec.Layers.Select((layer, i) => ($"{kind}/{layer}", $"{kind}.{i}")));
        }

        try
        {
            using var writer = SafetensorsWriter.Create(
                path, [.. tensors.Select(t => (t.Name, new TensorHeader(ElementType.Float32, [store.Rows, .. store.RowShape(t.Source)])))],
                new Dictionary<string, string> { ["network"] = plan.Network.Name, ["sha256"] = plan.Network.Sha256, ["layers"] = string.Join(',', spec.Layers) });
            foreach (var (name, source) in tensors)
            {
                for (var start = 0; start < store.Rows; start += Part)
                {
                    cancellation.ThrowIfCancellationRequested();
                    var rows = Enumerable.Range(start, Math.Min(Part, store.Rows - start)).ToArray();
                    writer.Write<float>(name, store.Gather<float>(source, rows));
                    progress((start + rows.Length) * (tensors.IndexOf((name, source)) + 1) / tensors.Count);
                }
            }

            writer.Complete();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.Explain(path, failure);
        }
    }
}
