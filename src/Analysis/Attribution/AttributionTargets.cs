using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Probes;
using Analysis.Runs.Tasks;
using static TorchSharp.torch;

namespace Analysis.Attribution;

/// <summary>The images of the analysis that stand for what is attributed.</summary>
/// <param name="context">The analysis.</param>
/// <param name="wish">The wish.</param>
/// <param name="notes">Receives doubts and assumptions, in words.</param>
internal sealed class AttributionTargets(TaskContext context, AttributionRequest wish, List<string> notes)
{
    private const int Fewest = 10;

    /// <summary>What is attributed, for people.</summary>
    public string Name => wish.Target switch
    {
        "concept" => wish.Concept!.Name,
        "class" => context.Classes[wish.Class!.Value].Description.DisplayName,
        _ => context.Samples[wish.Sample!.Value].Path,
    };

    /// <summary>Rows of the images that stand for the target, before those that are training images are left out.</summary>
    public int[] Rows(ConceptLabels? labels)
    {
        int[] rows;
        switch (wish.Target)
        {
            case "sample":
                return [wish.Sample!.Value];
            case "class":
                rows = context.Classes[wish.Class!.Value].Rows;
                break;
            default:
                // Of a continuous concept the images that show most of it.
                var held = Enumerable.Range(0, labels!.Targets.Length).Where(i => labels.HeldOut[i] && !double.IsNaN(labels.Targets[i])).ToArray();
                rows = labels.Continuous
                    ? [.. held.OrderByDescending(i => labels.Targets[i]).Take(Math.Max(1, held.Length / 10)).Order()]
                    : [.. held.Where(i => labels.Targets[i] == 1)];
                break;
        }

        if (rows.Length == 0)
        {
            throw new AnalysisException($"No image shows {Name}.", "Choose another target.");
        }

        var order = (int[])rows.Clone();
        new SplitMix64((ulong)(uint)wish.Seed ^ 0x7A26_0000_0000UL).Shuffle(order);
        return [.. order.Take(wish.Targets).Order()];
    }

    /// <summary>Targets that are training images are left out where enough others remain; else each is left out of its own score only.</summary>
    public int[] WithoutTraining(int[] rows, string[] trainingHashes)
    {
        var known = trainingHashes.ToHashSet(StringComparer.Ordinal);
        var hashes = Hashes(context, rows);
        int[] others = [.. Enumerable.Range(0, rows.Length).Where(i => !known.Contains(hashes[i])).Select(i => rows[i])];
        if (others.Length == rows.Length)
        {
            return rows;
        }

        if (others.Length >= Fewest)
        {
            notes.Add($"{rows.Length - others.Length:N0} of the {rows.Length:N0} target images are training images and are left out: an image speaks most for itself.");
            return others;
        }

        notes.Add(wish.Target == "sample"
            ? "The image is a training image itself; it gets no score, because an image speaks most for itself."
            : "The target images are training images. An image that is among them is scored against the others only, because it speaks most for itself.");
        return rows;
    }

    /// <summary>Hashes of the content of rows of an analysis.</summary>
    public static string[] Hashes(TaskContext context, int[] rows)
    {
        var bytes = context.Store.Gather<byte>("hash", rows);
        return [.. Enumerable.Range(0, rows.Length).Select(i => Convert.ToHexStringLower(bytes.AsSpan(i * 8, 8)))];
    }

    /// <summary>Projected gradients of what is attributed.</summary>
    /// <param name="network">The network.</param>
    /// <param name="rows">Rows of the images.</param>
    /// <param name="probe">Probe whose logit is differentiated; null for the margin of an output.</param>
    /// <param name="options">How gradients are projected.</param>
    /// <param name="cancellation">Honoured while images are read.</param>
    /// <returns>rows×k; belongs to the caller.</returns>
    public Tensor Features(GradientNetwork network, int[] rows, LinearProbe? probe, FeatureOptions options, CancellationToken cancellation)
    {
        var scan = context.Store.ScanIndices();
        var indices = Array.ConvertAll(rows, r => context.Plan.Samples[scan[r]]);
        using var images = NetworkInputs.Load(network, context.Plan.Dataset, indices, cancellation);
        if (probe is not null)
        {
            return GradientFeatures.Of(network, images, (activation, _) => ModelOutputs.ProbeLogit(activation, probe), probe.Layer, options).Features;
        }

        var outputs = tensor(Array.ConvertAll(rows, r => (long)OutputOf(r)), device: network.Device);
        using (outputs)
        {
            return GradientFeatures.Of(
                network,
                images,
                (logits, index) =>
                {
                    using var chosen = outputs.index_select(0, index);
                    using var own = where(chosen.lt(Scalars.Of(0)), logits.argmax(1), chosen);
                    return ModelOutputs.Margin(logits, own);
                },
                null,
                options).Features;
        }
    }

    private int OutputOf(int row)
    {
        if (wish.Target == "class")
        {
            return context.Classes[wish.Class!.Value].Description.Label
                ?? throw new AnalysisException($"The class {Name} is no output of the network.", "Choose a class that the network knows.");
        }

        return wish.Output == "label"
            ? context.Samples[row].Label ?? throw new AnalysisException($"The class of {context.Samples[row].Path} is no output of the network.", "Choose the predicted output.")
            : context.Samples[row].Predicted;
    }
}
