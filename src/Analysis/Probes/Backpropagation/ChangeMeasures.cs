using Analysis.Imaging;
using Analysis.Numerics;
using Analysis.Runs.Tasks;
using static TorchSharp.torch;

namespace Analysis.Probes.Backpropagation;

/// <summary>Size and place of changes.</summary>
/// <param name="context">The analysis.</param>
/// <param name="request">The wish.</param>
/// <param name="columnScale">Standard deviation of each column; empty for pictures.</param>
internal sealed class ChangeMeasures(TaskContext context, BackpropagationRequest request, double[] columnScale)
{
    private const int MostColumns = 100;

    private bool Columns => columnScale.Length > 0;

    /// <summary>Size of a change; columns are measured in their deviations.</summary>
    /// <param name="difference">x′ − x, flattened.</param>
    public ChangeSize Size(double[] difference)
    {
        double l1 = 0, l2 = 0, largest = 0;
        if (Columns)
        {
            difference = [.. difference.Zip(columnScale, (d, s) => d / s)];
        }

        foreach (var value in difference)
        {
            l1 += Math.Abs(value);
            l2 += value * value;
            largest = Math.Max(largest, Math.Abs(value));
        }

        double share;
        if (Columns)
        {
            share = difference.Count(d => Math.Abs(d) > 1e-9) / (double)difference.Length;
        }
        else
        {
            var plane = difference.Length / 3;
            share = Enumerable.Range(0, plane).Count(i => Math.Max(Math.Abs(difference[i]), Math.Max(Math.Abs(difference[i + plane]), Math.Abs(difference[i + (2 * plane)]))) > 0.5 / 255) / (double)plane;
        }

        return new ChangeSize(Rounding.Significant(l1), Rounding.Significant(Math.Sqrt(l2)), Rounding.Significant(largest), Rounding.Significant(l1 / difference.Length), Rounding.Significant(share));
    }

    /// <summary>Pixels inside the region as the network sees the image; null without a region or a picture.</summary>
    public (bool[] Mask, BackpropagationRegion? Shown)? Mask(string path, int row)
    {
        if (Columns)
        {
            return null;
        }

        var regions = request.Region is { } given
            ? [given]
            : request.Concept.Regions.Where(r => r.Path == path).Select(r => new BackpropagationRegion(r.Left, r.Top, r.Width, r.Height)).ToList();
        if (regions.Count == 0)
        {
            return null;
        }

        var preparation = context.Plan.Network.Preprocessing;
        var places = PlaceMask.Seen(regions.Select(r => new RelativeRectangle(r.Left, r.Top, r.Width, r.Height)), PlaceMask.Visible(context, row));
        var mask = PlaceMask.Inside(places, preparation.Width, preparation.Height);
        BackpropagationRegion[] seen = [.. places.Select(p => new BackpropagationRegion(p.Left, p.Top, p.Width, p.Height))];
        return mask.Any(m => m) ? (mask, seen.Length == 1 ? seen[0] : null) : null;
    }

    /// <summary>Share of Σ|x′ − x| that lies inside a mask; null where nothing changed.</summary>
    /// <param name="difference">x′ − x, channels × pixels.</param>
    /// <param name="mask">The pixels inside.</param>
    public static double? InsideShare(double[] difference, bool[] mask)
    {
        double inside = 0, all = 0;
        for (var i = 0; i < difference.Length; i++)
        {
            all += Math.Abs(difference[i]);
            inside += mask[i % mask.Length] ? Math.Abs(difference[i]) : 0;
        }

        return all > 0 ? Rounding.Significant(inside / all) : null;
    }

    /// <summary>The columns of one sample that changed, the largest change first.</summary>
    /// <param name="inputs">Inputs.</param>
    /// <param name="changed">Changed inputs.</param>
    /// <param name="sample">Row of the sample in both.</param>
    public List<ColumnChange> ChangedColumns(Tensor inputs, Tensor changed, int sample)
    {
        var before = DenseMatrix.FromTensor(inputs.narrow(0, sample, 1)).Row(0).ToArray();
        var after = DenseMatrix.FromTensor(changed.narrow(0, sample, 1)).Row(0).ToArray();
        return [.. Enumerable.Range(0, before.Length)
            .Select(c => new ColumnChange(c, Rounding.Significant(before[c]), Rounding.Significant(after[c]), Rounding.Significant((after[c] - before[c]) / columnScale[c])))
            .Where(c => Math.Abs(c.Deviations) > 1e-9).OrderByDescending(c => Math.Abs(c.Deviations)).Take(MostColumns)];
    }
}
