using Analysis.Importance.Estimators;
using Analysis.Numerics;
using static TorchSharp.torch;

namespace Analysis.Importance;

/// <summary>How the score falls or rises as concepts are removed or inserted.</summary>
/// <param name="Curves">Score after each step, n×(k+1).</param>
/// <param name="Area">Mean of the trapezoids of each image. Length n.</param>
public sealed record ConceptCurves(DenseMatrix Curves, double[] Area);

/// <summary>
/// Whether attributions tell which concepts a network really uses (Fel et al. 2023, arXiv 2306.07304, section 4.2; METHODS 2.6):
/// concepts are zeroed in the code, at all positions, and the logit is read again. The score is the logit throughout.
/// </summary>
public static class Faithfulness
{
    /// <summary>Masks are made for as many images at a time as need this many numbers: an image needs the square of the concepts.</summary>
    private const int MostNumbers = 1 << 22;

    /// <summary>C-Deletion: concepts are removed by descending attribution. A small area is good.</summary>
    /// <param name="model">f.</param>
    /// <param name="codes">n×k or n×P×k.</param>
    /// <param name="attribution">n×k; ties in the order of the concepts.</param>
    /// <param name="batchRows">Rows given to the head at once.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    public static ConceptCurves Deletion(
        IConceptModel model, Tensor codes, DenseMatrix attribution, int batchRows = 1024, CancellationToken cancellation = default) =>
        Curves(model, codes, Orders(attribution), insert: false, batchRows, cancellation);

    /// <summary>C-Insertion: concepts are added to nothing by descending attribution. A large area is good.</summary>
    /// <param name="model">f.</param>
    /// <param name="codes">n×k or n×P×k.</param>
    /// <param name="attribution">n×k; ties in the order of the concepts.</param>
    /// <param name="batchRows">Rows given to the head at once.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    public static ConceptCurves Insertion(
        IConceptModel model, Tensor codes, DenseMatrix attribution, int batchRows = 1024, CancellationToken cancellation = default) =>
        Curves(model, codes, Orders(attribution), insert: true, batchRows, cancellation);

    /// <summary>
    /// The best order by looking: at each step the concept whose removal lowers the logit most (whose insertion raises it most).
    /// No attribution is needed. Optimal over all orders behind a linear head; elsewhere a good bound that few estimators reach.
    /// k(k + 1)/2 evaluations an image.
    /// </summary>
    /// <param name="model">f.</param>
    /// <param name="codes">n×k or n×P×k.</param>
    /// <param name="insert">Insertion; deletion otherwise.</param>
    /// <param name="batchRows">Rows given to the head at once.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    public static ConceptCurves Oracle(IConceptModel model, Tensor codes, bool insert, int batchRows = 1024, CancellationToken cancellation = default)
    {
        var (n, k) = ((int)codes.shape[0], model.Concepts);
        var orders = new int[n][];
        var left = new List<int>[n];
        var state = new DenseMatrix(n, k);
        Array.Fill(state.Values, insert ? 0 : 1);
        for (var i = 0; i < n; i++)
        {
            orders[i] = new int[k];
            left[i] = [.. Enumerable.Range(0, k)];
        }

        for (var step = 0; step < k; step++)
        {
            var each = k - step;
            foreach (var (first, count) in Parts(n, each, k))
            {
                var masks = new DenseMatrix(count * each, k);
                for (var i = 0; i < count; i++)
                {
                    for (var choice = 0; choice < each; choice++)
                    {
                        var row = masks.Row((i * each) + choice);
                        state.Row(first + i).CopyTo(row);
                        row[left[first + i][choice]] = insert ? 1 : 0;
                    }
                }

                var scores = MaskedScores.Own(model, codes, first, count, masks, batchRows, cancellation);
                for (var i = 0; i < count; i++)
                {
                    var image = first + i;
                    var row = scores.Row(i);
                    var best = insert ? Ranks.Descending(row)[0] : Ranks.Ascending(row)[0];
                    orders[image][step] = left[image][best];
                    state[image, left[image][best]] = insert ? 1 : 0;
                    left[image].RemoveAt(best);
                }
            }
        }

        return Curves(model, codes, orders, insert, batchRows, cancellation);
    }

    /// <summary>Curves of random orders, a new one for each image, averaged over several: what an order is worth that knows nothing.</summary>
    /// <param name="model">f.</param>
    /// <param name="codes">n×k or n×P×k.</param>
    /// <param name="insert">Insertion; deletion otherwise.</param>
    /// <param name="orders">Number of random orders for each image.</param>
    /// <param name="seed">Equal seeds give equal orders.</param>
    /// <param name="batchRows">Rows given to the head at once.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    public static ConceptCurves Random(
        IConceptModel model, Tensor codes, bool insert, int orders = 10, int seed = 0, int batchRows = 1024, CancellationToken cancellation = default)
    {
        var (n, k) = ((int)codes.shape[0], model.Concepts);
        var random = new SplitMix64(unchecked((ulong)seed));
        var curves = new DenseMatrix(n, k + 1);
        var area = new double[n];
        for (var repeat = 0; repeat < orders; repeat++)
        {
            var drawn = new int[n][];
            for (var i = 0; i < n; i++)
            {
                drawn[i] = [.. Enumerable.Range(0, k)];
                random.Shuffle(drawn[i]);
            }

            var one = Curves(model, codes, drawn, insert, batchRows, cancellation);
            Vectors.Add(curves.Values, one.Curves.Values);
            Vectors.Add(area, one.Area);
        }

        Vectors.Scale(curves.Values, 1.0 / orders);
        Vectors.Scale(area, 1.0 / orders);
        return new ConceptCurves(curves, area);
    }

    /// <summary>Drop of the logit when each subset of concepts is zeroed, n×s.</summary>
    /// <param name="model">f.</param>
    /// <param name="codes">n×k or n×P×k.</param>
    /// <param name="subsets">s×k, non-zero where a concept belongs to the subset.</param>
    /// <param name="batchRows">Rows given to the head at once.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    public static DenseMatrix Drops(
        IConceptModel model, Tensor codes, DenseMatrix subsets, int batchRows = 1024, CancellationToken cancellation = default)
    {
        var masks = new DenseMatrix(subsets.Rows + 1, subsets.Columns);
        for (var m = 0; m < masks.Rows; m++)
        {
            for (var j = 0; j < masks.Columns; j++)
            {
                masks[m, j] = m > 0 && subsets[m - 1, j] != 0 ? 0 : 1;
            }
        }

        var scores = MaskedScores.Shared(model, codes, masks, batchRows, cancellation);
        var drops = new DenseMatrix(scores.Rows, subsets.Rows);
        for (var i = 0; i < drops.Rows; i++)
        {
            for (var m = 0; m < drops.Columns; m++)
            {
                drops[i, m] = scores[i, 0] - scores[i, m + 1];
            }
        }

        return drops;
    }

    /// <summary>C-muFidelity: rank correlation, over subsets, of the drop with the summed attribution of the subset; 0 where one is constant.</summary>
    /// <param name="drops">n×s, from <see cref="Drops"/>.</param>
    /// <param name="attribution">n×k.</param>
    /// <param name="subsets">s×k.</param>
    /// <param name="ranked">Spearman's correlation; Pearson's otherwise.</param>
    public static double[] MuFidelity(DenseMatrix drops, DenseMatrix attribution, DenseMatrix subsets, bool ranked = true)
    {
        var result = new double[drops.Rows];
        var sums = new double[subsets.Rows];
        for (var i = 0; i < result.Length; i++)
        {
            for (var m = 0; m < sums.Length; m++)
            {
                sums[m] = 0;
                for (var j = 0; j < subsets.Columns; j++)
                {
                    sums[m] += subsets[m, j] != 0 ? attribution[i, j] : 0;
                }
            }

            result[i] = ranked ? Ranks.Spearman(drops.Row(i), sums) : Ranks.Pearson(drops.Row(i), sums);
        }

        return result;
    }

    /// <summary>Random subsets of one size: a size that varies would reward any attribution with an offset.</summary>
    /// <param name="concepts">k.</param>
    /// <param name="count">Number of subsets.</param>
    /// <param name="seed">Equal seeds give equal subsets.</param>
    /// <param name="size">Null for round(0.3k), at least 1.</param>
    public static DenseMatrix Subsets(int concepts, int count, int seed, int? size = null)
    {
        var random = new SplitMix64(unchecked((ulong)seed));
        var take = Math.Clamp(size ?? (int)Math.Round(0.3 * concepts), 1, concepts);
        var result = new DenseMatrix(count, concepts);
        var order = Enumerable.Range(0, concepts).ToArray();
        for (var i = 0; i < count; i++)
        {
            random.Shuffle(order);
            foreach (var j in order.AsSpan(0, take))
            {
                result[i, j] = 1;
            }
        }

        return result;
    }

    private static IEnumerable<(int First, int Count)> Parts(int images, int masks, int concepts)
    {
        var most = (int)Math.Max(1, MostNumbers / ((long)masks * concepts));
        for (var first = 0; first < images; first += most)
        {
            yield return (first, Math.Min(most, images - first));
        }
    }

    private static int[][] Orders(DenseMatrix attribution) =>
        [.. Enumerable.Range(0, attribution.Rows).Select(i => Ranks.Descending(attribution.Row(i)))];

    private static ConceptCurves Curves(
        IConceptModel model, Tensor codes, int[][] orders, bool insert, int batchRows, CancellationToken cancellation)
    {
        var (n, k) = (orders.Length, model.Concepts);
        var curves = new DenseMatrix(n, k + 1);
        foreach (var (first, count) in Parts(n, k + 1, k))
        {
            var masks = new DenseMatrix(count * (k + 1), k);
            for (var i = 0; i < count; i++)
            {
                masks.Row(i * (k + 1)).Fill(insert ? 0 : 1);
                for (var step = 0; step < k; step++)
                {
                    var row = masks.Row((i * (k + 1)) + step + 1);
                    masks.Row((i * (k + 1)) + step).CopyTo(row);
                    row[orders[first + i][step]] = insert ? 1 : 0;
                }
            }

            MaskedScores.Own(model, codes, first, count, masks, batchRows, cancellation).Values.CopyTo(curves.Values, first * (k + 1));
        }

        var area = new double[n];
        for (var i = 0; i < n; i++)
        {
            var curve = curves.Row(i);
            for (var step = 0; step < k; step++)
            {
                area[i] += (curve[step] + curve[step + 1]) / 2 / k;
            }
        }

        return new ConceptCurves(curves, area);
    }
}
