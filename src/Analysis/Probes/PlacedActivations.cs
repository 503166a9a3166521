using Analysis.Datasets.Recorded;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Runs.Stages;
using Analysis.Runs.Tasks;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Probes;

/// <summary>
/// Activations at single positions of a layer, for a concept that is marked by places: positions inside a place show it, positions
/// that no place touches, and those of images that do not show it, do not.
/// </summary>
internal sealed class PlacedActivations : IDisposable
{
    private const int MostPositives = 300;
    private const int MostNegatives = 600;
    private const int Positions = 6;

    /// <summary>Beside a place lies what goes with the concept and is not it: positions there tell most.</summary>
    private const int Beside = 12;

    private const int Part = 16;

    private PlacedActivations(Tensor values, int[] samples, double[] targets) => (Values, Samples, Targets) = (values, samples, targets);

    /// <summary>Activations, n×C float32 on the CPU; owned by this object.</summary>
    public Tensor Values { get; }

    /// <summary>Row of the image of each position, n.</summary>
    public int[] Samples { get; }

    /// <summary>1 inside a place, 0 elsewhere, n.</summary>
    public double[] Targets { get; }

    /// <summary>Whether a layer has positions that places can be looked up at.</summary>
    public static bool Has(TaskContext context, LayerInfo layer) => layer.Tokens is null && layer.Height * layer.Width > 1 && context.Plan.Dataset is not IRecordedActivations;

    /// <summary>Runs the network over the images and keeps a few positions of each, evenly chosen: six inside its places and twelve beside them, six of an image without.</summary>
    /// <param name="context">The analysis.</param>
    /// <param name="labels">What the images show; with places.</param>
    /// <param name="layers">Layers that have positions.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    /// <returns>By layer; the caller's to dispose.</returns>
    /// <exception cref="AnalysisException">An image cannot be read any more; no place lies in what the network sees.</exception>
    public static Dictionary<string, PlacedActivations> Read(TaskContext context, ConceptLabels labels, IReadOnlyList<LayerInfo> layers, CancellationToken cancellation)
    {
        // The store is opened before any scope begins.
        var images = ClassConcepts.Images(context);
        int[] rows = [.. Rows(labels).Order()];
        var seen = rows.Where(labels.Places!.ContainsKey).ToDictionary(
            row => row, row => PlaceMask.Seen(labels.Places![row].Select(p => new RelativeRectangle(p.Left, p.Top, p.Width, p.Height)), PlaceMask.Visible(context, row)));
        var parts = layers.ToDictionary(l => l.Name, _ => new List<Tensor>());
        var (samples, targets) = (layers.ToDictionary(l => l.Name, _ => new List<int>()), layers.ToDictionary(l => l.Name, _ => new List<double>()));
        string[] names = [.. layers.Select(l => l.Name)];
        var first = 0;
        try
        {
            foreach (var (_, batch) in images.Images(rows, Part, cancellation))
            {
                using var owned = batch;
                using var scope = NewDisposeScope();
                using var quiet = no_grad();
                var activations = context.Plan.Network.Forward(batch, names).Activations;
                var count = (int)batch.shape[0];
                for (var l = 0; l < layers.Count; l++)
                {
                    var (height, width) = ((int)activations[l].shape[2], (int)activations[l].shape[3]);
                    var chosen = new List<long>();
                    for (var i = 0; i < count; i++)
                    {
                        var row = rows[first + i];
                        foreach (var (cell, target) in Choose(seen.GetValueOrDefault(row), row, width, height))
                        {
                            chosen.Add(((long)i * height * width) + cell);
                            samples[names[l]].Add(row);
                            targets[names[l]].Add(target);
                        }
                    }

                    var flat = activations[l].permute(0, 2, 3, 1).reshape(-1, activations[l].shape[1]);
                    parts[names[l]].Add(flat.index_select(0, tensor(chosen.ToArray(), device: flat.device)).cpu().DetachFromDisposeScope());
                }

                first += count;
            }

            if (targets[names[0]].All(t => t == 0))
            {
                throw new AnalysisException("No marked place lies in what the network sees of the images.", "Mark places nearer to the middle of the images.");
            }

            return names.ToDictionary(n => n, n => new PlacedActivations(cat(parts[n], 0), [.. samples[n]], [.. targets[n]]));
        }
        finally
        {
            foreach (var part in parts.Values.SelectMany(p => p))
            {
                part.Dispose();
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Values.Dispose();

    /// <summary>Images that are looked at: evenly chosen where there are many.</summary>
    private static IEnumerable<int> Rows(ConceptLabels labels)
    {
        int[] Of(double target) => [.. Enumerable.Range(0, labels.Targets.Length).Where(i => labels.Targets[i] == target)];
        return Spread(Of(1), MostPositives).Concat(Spread(Of(0), MostNegatives));
    }

    private static IEnumerable<(int Cell, double Target)> Choose(RelativeRectangle[]? places, int row, int width, int height)
    {
        if (places is null)
        {
            return Spread(Turned([.. Enumerable.Range(0, width * height)], row), Positions).Select(c => (c, 0.0));
        }

        var inside = PlaceMask.Inside(places, width, height);
        foreach (var place in places)
        {
            // A place smaller than a cell may miss all centres: the cell that holds its centre stands for it.
            var (u, v) = (place.Left + (place.Width / 2), place.Top + (place.Height / 2));
            if (u is >= 0 and < 1 && v is >= 0 and < 1)
            {
                inside[((int)(v * height) * width) + (int)(u * width)] = true;
            }
        }

        var touched = PlaceMask.Touched(places, width, height);
        int[] Cells(Func<int, bool> which) => [.. Enumerable.Range(0, width * height).Where(which)];
        return Spread(Cells(c => inside[c]), Positions).Select(c => (c, 1.0)).Concat(Spread(Turned(Cells(c => !inside[c] && !touched[c]), row), Beside).Select(c => (c, 0.0)));
    }

    /// <summary>Turned by the row, so that all parts of the grid occur over the images.</summary>
    private static int[] Turned(int[] cells, int row) => [.. cells.Select((_, i) => cells[(i + (row * 7)) % cells.Length])];

    private static int[] Spread(int[] of, int most) => of.Length <= most ? of : [.. Enumerable.Range(0, most).Select(i => of[(int)((long)i * of.Length / most)])];
}
