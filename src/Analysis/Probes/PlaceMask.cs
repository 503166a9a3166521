using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Runs.Tasks;

namespace Analysis.Probes;

/// <summary>Where marked places lie on a grid over what the network sees of an image.</summary>
internal static class PlaceMask
{
    /// <summary>The part of an image that the network sees.</summary>
    /// <param name="context">The analysis.</param>
    /// <param name="row">Row of the image.</param>
    public static RelativeRectangle Visible(TaskContext context, int row)
    {
        var preparation = context.Plan.Network.Preprocessing;
        if (preparation.Resize == ResizeMode.Stretch)
        {
            return RelativeRectangle.All;
        }

        var image = ImageDecoder.Decode(context.Plan.Dataset.Read(context.Plan.Samples[context.Store.ScanIndices()[row]]));
        return ImagePreparation.VisiblePart(image.Width, image.Height, preparation);
    }

    /// <summary>Places in shares of what the network sees.</summary>
    /// <param name="places">Places in shares of the image.</param>
    /// <param name="visible">The part that the network sees.</param>
    public static RelativeRectangle[] Seen(IEnumerable<RelativeRectangle> places, RelativeRectangle visible) =>
        [.. places.Select(p => new RelativeRectangle((p.Left - visible.Left) / visible.Width, (p.Top - visible.Top) / visible.Height, p.Width / visible.Width, p.Height / visible.Height))];

    /// <summary>True for the cells whose centre lies in a place, row by row.</summary>
    /// <param name="places">Places in shares of what the network sees.</param>
    /// <param name="width">Columns of the grid.</param>
    /// <param name="height">Rows of the grid.</param>
    public static bool[] Inside(IReadOnlyList<RelativeRectangle> places, int width, int height) => Cells(places, width, height, 0);

    /// <summary>True for the cells that a place touches at all, row by row.</summary>
    /// <param name="places">Places in shares of what the network sees.</param>
    /// <param name="width">Columns of the grid.</param>
    /// <param name="height">Rows of the grid.</param>
    public static bool[] Touched(IReadOnlyList<RelativeRectangle> places, int width, int height) => Cells(places, width, height, 0.5);

    private static bool[] Cells(IReadOnlyList<RelativeRectangle> places, int width, int height, double reach)
    {
        var mask = new bool[width * height];
        var (dx, dy) = (reach / width, reach / height);
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
            {
                var (u, v) = ((x + 0.5) / width, (y + 0.5) / height);
                mask[(y * width) + x] = places.Any(p => u >= p.Left - dx && u <= p.Left + p.Width + dx && v >= p.Top - dy && v <= p.Top + p.Height + dy);
            }
        }

        return mask;
    }
}
