using Analysis.Atlas;
using Analysis.Concepts;
using Analysis.Numerics;

namespace Analysis.Visualization;

/// <summary>
/// Chooses the images that show a concept in four bands: the strongest, the typical ones (around the median of the images in
/// which it is active), the weakest in which it still counts, and images of the class without it.
/// </summary>
public static class ExemplarChooser
{
    private const int Strongest = 12;
    private const int Others = 6;

    /// <summary>Chooses the exemplars of one concept.</summary>
    /// <param name="projections">Activation (a − m)·v of each image of the class; orders the images without the concept. Length n.</param>
    /// <param name="coefficients">
    /// Coefficient u of each image. Length n. It orders the images with the concept, since it is what the concept alone
    /// explains: an image full of another concept projects far on similar ones too.
    /// </param>
    /// <param name="rows">Rows of the images.</param>
    /// <param name="maps">Concept maps, for the crops.</param>
    /// <param name="concept">Number of the concept in the maps.</param>
    /// <param name="crops">Crops that the concept was found on, of which the strongest is shown; null to crop around the map's peak.</param>
    public static IReadOnlyList<Exemplar> Choose(double[] projections, double[] coefficients, int[] rows, ConceptMapSet maps, int concept, CropCodes? crops = null)
    {
        var order = Ranks.Descending(coefficients).Where(i => coefficients[i] > 0).ToArray();
        var used = new HashSet<int>();
        var result = new List<Exemplar>();
        Take("top", order.Length > 0 ? order.Take(Strongest) : Ranks.Descending(projections).Take(Strongest));

        var active = order.Where(i => !used.Contains(i)).ToArray();
        Take("median", active.Skip(Math.Max(0, (active.Length - Others) / 2)).Take(Others));
        Take("edge", active.Where(i => !used.Contains(i)).TakeLast(Others));
        Take("counter", Ranks.Ascending(projections).Where(i => coefficients[i] <= 0 && !used.Contains(i)).Take(Others));
        return result;

        void Take(string band, IEnumerable<int> images)
        {
            foreach (var image in images.ToArray())
            {
                if (used.Add(image))
                {
                    var (left, top, width, height) = crops?.Rectangle(image, concept) ?? Crop(maps, image, concept);
                    result.Add(new Exemplar(rows[image], Rounding.Significant(coefficients[image]), left, top, width, height, band));
                }
            }
        }
    }

    /// <summary>A window of about a third of the picture around the map's peak, inside the picture; the whole where there is no map.</summary>
    private static (double Left, double Top, double Width, double Height) Crop(ConceptMapSet maps, int image, int concept)
    {
        if (maps.Height < 3 || maps.Width < 3)
        {
            return (0, 0, 1, 1);
        }

        const double Side = 0.45;
        var (row, column) = maps.Peak(image, concept);
        return (Place(column, maps.Width), Place(row, maps.Height), Side, Side);

        static double Place(int cell, int cells) => Math.Clamp(((cell + 0.5) / cells) - (Side / 2), 0, 1 - Side);
    }
}
