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

    /// <summary>
    /// Where the positions of a layer lie in the image: leading tokens have no place, the rest goes row by row. Null where the layer
    /// has one position only, or a line of them whose order says nothing about rows and columns.
    /// </summary>
    /// <param name="layer">The layer.</param>
    public static TokenGrid? Grid(LayerInfo layer) => layer switch
    {
        { Tokens: { Height: > 1, Width: > 1 } tokens } => tokens,
        { Tokens: null, Height: > 1, Width: > 1 } => new TokenGrid(0, layer.Height, layer.Width),
        _ => null,
    };

    /// <summary>What to tell people where marked places cannot be used; null where they are, or where there are none.</summary>
    /// <param name="labels">What the images show.</param>
    /// <param name="layers">Layers that probes are fitted at.</param>
    public static string? Unused(ConceptLabels labels, IEnumerable<LayerInfo> layers)
    {
        string[] without = labels.Places is null ? [] : [.. layers.Where(l => Grid(l) is null).Select(l => l.Name)];
        return without.Length == 0
            ? null
            : $"The marked places are not used at {string.Join(", ", without)}, which {(without.Length == 1 ? "has" : "have")} no positions in the image: the probe there is fitted to whole images.";
    }

    /// <summary>Marked places in shares of what the network sees of each image, by row.</summary>
    /// <param name="context">The analysis.</param>
    /// <param name="labels">What the images show; with places.</param>
    /// <param name="rows">Rows that are looked up; others are left out.</param>
    /// <exception cref="AnalysisException">An image cannot be read any more.</exception>
    public static Dictionary<int, RelativeRectangle[]> Seen(TaskContext context, ConceptLabels labels, IEnumerable<int> rows) => rows.Where(labels.Places!.ContainsKey).ToDictionary(
        row => row, row => PlaceMask.Seen(labels.Places![row].Select(p => new RelativeRectangle(p.Left, p.Top, p.Width, p.Height)), PlaceMask.Visible(context, row)));

    /// <summary>Runs the network over the images, or reads what was recorded, and keeps a few positions of each.</summary>
    /// <param name="context">The analysis.</param>
    /// <param name="labels">What the images show; with places.</param>
    /// <param name="layers">Layers that have positions.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    /// <returns>By layer; the caller's to dispose.</returns>
    /// <exception cref="AnalysisException">An image cannot be read any more; no place lies in what the network sees.</exception>
    public static Dictionary<string, PlacedActivations> Read(TaskContext context, ConceptLabels labels, IReadOnlyList<LayerInfo> layers, CancellationToken cancellation)
    {
        // The store is opened before any scope begins.
        var scan = context.Store.ScanIndices();
        var seen = Seen(context, labels, Rows(labels));
        if (context.Plan.Dataset is IRecordedActivations recorded)
        {
            return Collect(labels, seen, layers, rows => [recorded.Activations(Array.ConvertAll(rows, r => context.Plan.Samples[scan[r]]))], cancellation);
        }

        var images = ClassConcepts.Images(context);
        string[] names = [.. layers.Select(l => l.Name)];
        return Collect(
            labels, seen, layers,
            rows =>
            {
                var (_, batch) = images.Images(rows, rows.Length, cancellation).Single();
                using (batch)
                {
                    return context.Plan.Network.Forward(batch, names).Activations;
                }
            },
            cancellation);
    }

    /// <summary>Keeps a few positions of each image, evenly chosen: six inside its places and twelve beside them, six of an image without.</summary>
    /// <param name="labels">What the images show.</param>
    /// <param name="seen">Places in shares of what the network sees, by row.</param>
    /// <param name="layers">Layers that have positions.</param>
    /// <param name="forward">Activations of rows at the layers, n×C×H×W each; called inside a scope that owns them.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    /// <returns>By layer; the caller's to dispose.</returns>
    /// <exception cref="AnalysisException">No place lies in what the network sees.</exception>
    public static Dictionary<string, PlacedActivations> Collect(
        ConceptLabels labels, IReadOnlyDictionary<int, RelativeRectangle[]> seen, IReadOnlyList<LayerInfo> layers, Func<int[], IReadOnlyList<Tensor>> forward, CancellationToken cancellation)
    {
        int[] rows = [.. Rows(labels).Order()];
        var grids = layers.Select(l => Grid(l)!).ToArray();
        var parts = layers.Select(_ => new List<Tensor>()).ToArray();
        var (samples, targets) = (layers.Select(_ => new List<int>()).ToArray(), layers.Select(_ => new List<double>()).ToArray());
        try
        {
            foreach (var part in rows.Chunk(Part))
            {
                cancellation.ThrowIfCancellationRequested();
                using var scope = NewDisposeScope();
                using var quiet = no_grad();
                var activations = forward(part);
                for (var l = 0; l < layers.Count; l++)
                {
                    var (leading, height, width) = grids[l];
                    var positions = activations[l].shape[2] * activations[l].shape[3];
                    var chosen = new List<long>();
                    for (var i = 0; i < part.Length; i++)
                    {
                        foreach (var (cell, target) in Choose(seen.GetValueOrDefault(part[i]), part[i], width, height))
                        {
                            chosen.Add((i * positions) + leading + cell);
                            samples[l].Add(part[i]);
                            targets[l].Add(target);
                        }
                    }

                    var flat = activations[l].permute(0, 2, 3, 1).reshape(-1, activations[l].shape[1]);
                    parts[l].Add(flat.index_select(0, tensor(chosen.ToArray(), device: flat.device)).cpu().DetachFromDisposeScope());
                }
            }

            if (targets[0].All(t => t == 0))
            {
                throw new AnalysisException("No marked place lies in what the network sees of the images.", "Mark places nearer to the middle of the images.");
            }

            return Enumerable.Range(0, layers.Count).ToDictionary(l => layers[l].Name, l => new PlacedActivations(cat(parts[l], 0), [.. samples[l]], [.. targets[l]]));
        }
        finally
        {
            foreach (var part in parts.SelectMany(p => p))
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
