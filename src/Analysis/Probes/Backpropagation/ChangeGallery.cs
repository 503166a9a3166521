using Analysis.Imaging;
using Analysis.Numerics;
using Analysis.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Probes.Backpropagation;

/// <summary>Paints changes into the task's folder: original, changed and difference, the way from next to nothing to more than needed, the live preview.</summary>
/// <param name="network">The network with its layer.</param>
/// <param name="measures">Measures of changes.</param>
/// <param name="folder">The task's folder.</param>
internal sealed class ChangeGallery(ProbedNetwork network, ChangeMeasures measures, string folder)
{
    /// <summary>Name of the picture that is painted anew while the search is at work.</summary>
    public const string PreviewFile = "preview.png";

    /// <summary>λ of the frames in units of the chosen one: from hardly any change to more than needed.</summary>
    private static readonly double[] FrameFactors = [16, 8, 5.6, 4, 2.8, 2, 1.4, 1, 0.5, 0.25];

    /// <summary>Paints the state of the search.</summary>
    /// <param name="original">A picture, 1×3×H×W.</param>
    /// <param name="changed">The same changed.</param>
    public void Preview(Tensor original, Tensor changed) => Save(PreviewFile, ChangePainter.SideBySide(Pixels(original), Pixels(changed), network.Width, network.Height));

    /// <summary>Paints one sample.</summary>
    /// <param name="entry">What is known of it.</param>
    /// <param name="original">The picture, 3×H×W.</param>
    /// <param name="changed">The same changed.</param>
    /// <returns>The entry with the names of the pictures.</returns>
    public ChangedSample Paint(ChangedSample entry, Tensor original, Tensor changed)
    {
        var (before, after) = (Pixels(original), Pixels(changed));
        var scale = Math.Max(ChangePainter.Signed(before, after).Max(Math.Abs), 1.0 / 255);
        var stem = FormattableString.Invariant($"s{entry.Row}");
        Save($"{stem}-original.png", ChangePainter.Image(before, network.Width, network.Height));
        Save($"{stem}-changed.png", ChangePainter.Image(after, network.Width, network.Height));
        Save($"{stem}-difference.png", ChangePainter.Difference(before, after, network.Width, network.Height, scale));
        return entry with { Pictures = new ChangePictures($"{stem}-original.png", $"{stem}-changed.png", $"{stem}-difference.png", Rounding.Significant(scale), network.Width, network.Height) };
    }

    /// <summary>Paints changes of one sample for larger and smaller λ than the chosen one.</summary>
    /// <param name="entry">What is known of it, painted.</param>
    /// <param name="inputs">All inputs.</param>
    /// <param name="changed">The sample changed as chosen, 1×3×H×W.</param>
    /// <param name="space">What is varied.</param>
    /// <param name="search">The search.</param>
    /// <param name="wish">The wish of the sample.</param>
    /// <param name="costs">What the search weighed pixels by; null for equally.</param>
    /// <param name="probe">The probe.</param>
    /// <param name="cancellation">Honoured between frames.</param>
    /// <returns>The entry with its frames.</returns>
    public ChangedSample Frames(
        ChangedSample entry, Tensor inputs, Tensor changed, ChangeSpace space, ChangeSearch search, ChangeWish wish, Tensor? costs, FittedProbe probe, CancellationToken cancellation)
    {
        var path = search.Path(inputs, wish, [.. FrameFactors.Select(f => f * entry.Lambda)], costs, cancellation);
        var list = new List<ChangeFrame>();
        try
        {
            var stem = FormattableString.Invariant($"s{entry.Row}");
            var row = inputs.narrow(0, wish.Input, 1);
            var original = Pixels(row);
            // The chosen change itself takes the place of the one found anew at its λ.
            var pictures = cat([.. path.Select((p, i) => FrameFactors[i] == 1 ? changed : space.Changed(p.Change.to(inputs.device), row))], 0);
            var (answers, outputs) = network.Look(pictures, [probe]);
            for (var i = 0; i < path.Length; i++)
            {
                var pixels = Pixels(pictures[i]);
                var size = measures.Size(DenseMatrix.FromTensor((pictures[i] - inputs[wish.Input]).flatten().unsqueeze(0)).Row(0).ToArray());
                Save($"{stem}-{i}.png", ChangePainter.Image(pixels, network.Width, network.Height));
                Save($"{stem}-{i}-difference.png", ChangePainter.Difference(original, pixels, network.Width, network.Height, entry.Pictures!.Scale));
                list.Add(new ChangeFrame(
                    Rounding.Significant(FrameFactors[i] * entry.Lambda), Rounding.Significant(answers[i].Answers[0]), size.L1, size.L2, network.OutputNames[ChangeReporter.Largest(outputs.Row(i))],
                    $"{stem}-{i}.png", $"{stem}-{i}-difference.png", FrameFactors[i] == 1));
            }
        }
        finally
        {
            Array.ForEach(path, p => p.Dispose());
        }

        return entry with { Frames = list };
    }

    private void Save(string name, RgbImage image)
    {
        var bytes = ThumbnailMaker.EncodePng(image);
        AtomicFile.Write(Path.Combine(folder, name), stream => stream.Write(bytes));
    }

    private static float[] Pixels(Tensor image)
    {
        using var host = image.to(ScalarType.Float32).cpu().contiguous();
        return host.data<float>().ToArray();
    }
}
