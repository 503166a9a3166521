using Analysis.Networks;

namespace Analysis.Outliers;

/// <summary>A layer whose activations the outlier detectors need, averaged over the cells of a square grid.</summary>
/// <param name="Layer">Layer name.</param>
/// <param name="Grid">Cells per side G: the activation is average-pooled (adaptively) to N×C×G×G.</param>
public sealed record OutlierDepth(string Layer, int Grid);

/// <summary>
/// Chooses the depths at which samples are compared. One layer cannot see every oddity: a small coloured mark is plain in
/// the first stage and invisible after the last pooling, while a foreign object differs from all classes mostly in the late ones.
/// </summary>
public static class OutlierDepths
{
    /// <summary>Cells per side where the layer has at least as many rows and columns.</summary>
    public const int FullGrid = 8;

    /// <summary>Largest number of values kept per sample and depth; wider layers get a coarser grid.</summary>
    public const int ValuesPerSample = 8192;

    /// <summary>
    /// The last layer of the first resolution stage and of the one after it, early to late. Stages of a single layer, such as
    /// a stem before a pooling, are passed over while there are others. A network that keeps one resolution throughout gives
    /// its first and its middle layer. Empty where no layer has a spatial extent. The late view is the pooled analysed layer.
    /// </summary>
    /// <param name="layers">All layers in the order of the forward pass.</param>
    public static IReadOnlyList<OutlierDepth> Choose(IReadOnlyList<LayerInfo> layers)
    {
        ArgumentNullException.ThrowIfNull(layers);
        var spatial = layers.Where(layer => layer.Height > 1 && layer.Width > 1).ToList();
        if (spatial.Count == 0)
            return [];

        var stages = new List<List<LayerInfo>>();
        foreach (var layer in spatial)
        {
            if (stages.Count == 0 || stages[^1][0].Height != layer.Height || stages[^1][0].Width != layer.Width)
                stages.Add([]);
            stages[^1].Add(layer);
        }

        List<LayerInfo> chosen;
        if (stages.Count == 1)
        {
            chosen = [spatial[0], spatial[spatial.Count / 2]];
        }
        else
        {
            // The stem sees edges and colours only; the first stage of several layers sees patterns and is still sharp.
            var first = stages.FindIndex(stage => stage.Count > 1 && Side(stage[0]) >= FullGrid);
            if (first < 0 || first == stages.Count - 1)
                first = 0;
            chosen = [stages[first][^1], stages[first + 1][^1]];
        }

        return chosen
            .DistinctBy(layer => layer.Name)
            .Select(layer => new OutlierDepth(layer.Name, GridOf(layer)))
            .ToList();
    }

    private static int Side(LayerInfo layer) => Math.Min(layer.Height, layer.Width);

    private static int GridOf(LayerInfo layer)
    {
        var grid = Math.Min(FullGrid, Side(layer));
        while (grid > 1 && (long)layer.Channels * grid * grid > ValuesPerSample)
            grid /= 2;
        return grid;
    }
}
