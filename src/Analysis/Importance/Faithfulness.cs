using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Importance;

/// <summary>How the score falls or rises as concepts are removed or inserted.</summary>
/// <param name="Curves">Score after each step, n×(k+1).</param>
/// <param name="Area">Mean of the trapezoids of each image. Length n.</param>
public sealed record ConceptCurves(DenseMatrix Curves, double[] Area);

/// <summary>
/// Whether attributions tell which concepts a network really uses (Fel et al. 2023): concepts are zeroed in the code and the
/// score is read again. The score is a function of codes, m×k float64 → m, for example decode and run the rest of the network.
/// </summary>
public static class Faithfulness
{
    private const int BatchRows = 1 << 14;

    /// <summary>C-Deletion: concepts are removed by descending attribution. A small area is good.</summary>
    /// <param name="codes">n×k.</param>
    /// <param name="attribution">n×k; ties in the order of the concepts.</param>
    /// <param name="score">m×k float64 codes → m scores.</param>
    public static ConceptCurves Deletion(DenseMatrix codes, DenseMatrix attribution, Func<Tensor, Tensor> score) =>
        Curves(codes, attribution, score, insert: false);

    /// <summary>C-Insertion: concepts are added to nothing by descending attribution. A large area is good.</summary>
    /// <param name="codes">n×k.</param>
    /// <param name="attribution">n×k; ties in the order of the concepts.</param>
    /// <param name="score">m×k float64 codes → m scores.</param>
    public static ConceptCurves Insertion(DenseMatrix codes, DenseMatrix attribution, Func<Tensor, Tensor> score) =>
        Curves(codes, attribution, score, insert: true);

    /// <summary>Drop of the score when each subset of concepts is zeroed, n×s.</summary>
    /// <param name="codes">n×k.</param>
    /// <param name="subsets">s×k, non-zero where a concept belongs to the subset.</param>
    /// <param name="score">m×k float64 codes → m scores.</param>
    public static DenseMatrix Drops(DenseMatrix codes, DenseMatrix subsets, Func<Tensor, Tensor> score)
    {
        var n = codes.Rows;
        var s = subsets.Rows;
        var whole = Evaluate(codes, score);
        var masked = new DenseMatrix(checked(n * s), codes.Columns);
        for (var i = 0; i < n; i++)
        {
            for (var m = 0; m < s; m++)
            {
                for (var j = 0; j < codes.Columns; j++)
                {
                    masked[(i * s) + m, j] = subsets[m, j] != 0 ? 0 : codes[i, j];
                }
            }
        }

        var after = Evaluate(masked, score);
        var drops = new DenseMatrix(n, s);
        for (var i = 0; i < n * s; i++)
        {
            drops.Values[i] = whole[i / s] - after[i];
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

    private static ConceptCurves Curves(DenseMatrix codes, DenseMatrix attribution, Func<Tensor, Tensor> score, bool insert)
    {
        var n = codes.Rows;
        var k = codes.Columns;
        var states = new DenseMatrix(checked(n * (k + 1)), k);
        for (var i = 0; i < n; i++)
        {
            var order = Ranks.Descending(attribution.Row(i));
            var current = insert ? new double[k] : codes.Row(i).ToArray();
            current.CopyTo(states.Row(i * (k + 1)));
            for (var step = 0; step < k; step++)
            {
                current[order[step]] = insert ? codes[i, order[step]] : 0;
                current.CopyTo(states.Row((i * (k + 1)) + step + 1));
            }
        }

        var curves = new DenseMatrix(n, k + 1, Evaluate(states, score));
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

    private static double[] Evaluate(DenseMatrix codes, Func<Tensor, Tensor> score)
    {
        var result = new double[codes.Rows];
        for (var start = 0; start < codes.Rows; start += BatchRows)
        {
            using var scope = torch.NewDisposeScope();
            using var noGrad = torch.no_grad();
            var rows = Math.Min(BatchRows, codes.Rows - start);
            var part = new DenseMatrix(rows, codes.Columns, codes.Values.AsSpan(start * codes.Columns, rows * codes.Columns).ToArray());
            score(part.ToTensor()).to(ScalarType.Float64).cpu().contiguous().data<double>().CopyTo(result.AsSpan(start));
        }

        return result;
    }
}
