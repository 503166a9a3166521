using System.Buffers;
using System.Numerics.Tensors;
using Analysis.Numerics;

namespace Analysis.Concepts;

/// <summary>Two concepts of different analyses of one class that are held to be the same.</summary>
/// <param name="First">Row in the first analysis.</param>
/// <param name="Second">Row in the second.</param>
/// <param name="Similarity">How alike they are, signed, in [−1, 1].</param>
public sealed record ConceptCounterpart(int First, int Second, double Similarity);

/// <summary>
/// Finds the concepts of one analysis again in another one of the same class: by the direction they point in where both lie in
/// the same activations, else by what they respond to (Li, Yosinski, Clune, Lipson and Hopcroft 2016, section 3: units of
/// different networks are matched one to one by the correlation of their activations). Managed code only.
/// </summary>
public static class ConceptCorrespondence
{
    /// <summary>Fewest samples for a correlation.</summary>
    public const int FewestSamples = 5;

    /// <summary>Pearson correlations between all columns of two sets of coefficients of the same samples.</summary>
    /// <param name="first">n×k, one row a sample.</param>
    /// <param name="second">n×m, the same samples in the same order.</param>
    /// <returns>k×m in [−1, 1]; 0 where a column is constant. O(n k m).</returns>
    /// <exception cref="ArgumentException">The numbers of rows differ.</exception>
    public static DenseMatrix Correlations(DenseMatrix first, DenseMatrix second)
    {
        if (first.Rows != second.Rows)
        {
            throw new ArgumentException($"Coefficients of {first.Rows} and {second.Rows} samples cannot be compared.", nameof(second));
        }

        // The correlation of two columns is the cosine of the centred ones: as rows they lie together in memory.
        return ConceptMatching.Cosines(CentredColumns(first), CentredColumns(second));
    }

    /// <summary>The same of coefficients as files hold them, without a copy of them: for thousands of classes.</summary>
    /// <param name="first">Coefficients row by row, k a row.</param>
    /// <param name="firstColumns">k.</param>
    /// <param name="firstRows">Row of each of n samples in <paramref name="first"/>.</param>
    /// <param name="second">Coefficients row by row, m a row.</param>
    /// <param name="secondColumns">m.</param>
    /// <param name="secondRows">Row of the same samples in <paramref name="second"/>.</param>
    /// <returns>k×m in [−1, 1]; 0 where a column is constant. O(n k m).</returns>
    /// <exception cref="ArgumentException">The numbers of samples differ.</exception>
    public static DenseMatrix Correlations(
        ReadOnlySpan<float> first, int firstColumns, ReadOnlySpan<int> firstRows, ReadOnlySpan<float> second, int secondColumns, ReadOnlySpan<int> secondRows)
    {
        if (firstRows.Length != secondRows.Length)
        {
            throw new ArgumentException($"Coefficients of {firstRows.Length} and {secondRows.Length} samples cannot be compared.", nameof(secondRows));
        }

        var n = firstRows.Length;
        var result = new DenseMatrix(firstColumns, secondColumns);
        var (left, right) = (ArrayPool<double>.Shared.Rent(n * firstColumns), ArrayPool<double>.Shared.Rent(n * secondColumns));
        try
        {
            UnitColumns(first, firstColumns, firstRows, left);
            UnitColumns(second, secondColumns, secondRows, right);
            for (var i = 0; i < firstColumns; i++)
            {
                for (var j = 0; j < secondColumns; j++)
                {
                    result[i, j] = Math.Clamp(TensorPrimitives.Dot<double>(left.AsSpan(i * n, n), right.AsSpan(j * n, n)), -1, 1);
                }
            }

            return result;
        }
        finally
        {
            ArrayPool<double>.Shared.Return(left);
            ArrayPool<double>.Shared.Return(right);
        }
    }

    /// <summary>
    /// One-to-one matching with the largest sum of similarities, of which only those that reach <paramref name="least"/> count:
    /// a pair that is not alike never takes a concept from one that is. O(max(k, m)³).
    /// </summary>
    /// <param name="similarity">k×m in [−1, 1].</param>
    /// <param name="least">Least similarity of a pair, above 0.</param>
    /// <param name="ignoreSign">Take |similarity|, for methods whose sign is arbitrary.</param>
    /// <returns>The pairs, by rising row; empty where nothing is alike.</returns>
    public static IReadOnlyList<ConceptCounterpart> Match(DenseMatrix similarity, double least, bool ignoreSign = false)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(least);
        // The matching wants the smaller side as rows.
        var swapped = similarity.Rows > similarity.Columns;
        var cost = swapped ? new DenseMatrix(similarity.Columns, similarity.Rows) : new DenseMatrix(similarity.Rows, similarity.Columns);
        for (var i = 0; i < similarity.Rows; i++)
        {
            for (var j = 0; j < similarity.Columns; j++)
            {
                var value = ignoreSign ? Math.Abs(similarity[i, j]) : similarity[i, j];
                value = value >= least ? value : 0;
                if (swapped)
                {
                    cost[j, i] = -value;
                }
                else
                {
                    cost[i, j] = -value;
                }
            }
        }

        var column = Assignment.Minimize(cost);
        return
        [
            .. column.Select((other, row) => (First: swapped ? other : row, Second: swapped ? row : other, Counts: cost[row, other] < 0))
                .Where(pair => pair.Counts)
                .OrderBy(pair => pair.First)
                .Select(pair => new ConceptCounterpart(pair.First, pair.Second, similarity[pair.First, pair.Second])),
        ];
    }

    /// <summary>
    /// The least |correlation| of n samples that is not put down to chance among so many pairs: two-sided Student t test at 5%,
    /// divided by the number of pairs (Bonferroni).
    /// </summary>
    /// <param name="samples">Number of samples n.</param>
    /// <param name="pairs">Number of pairs that are looked at.</param>
    /// <returns>In (0, 1]; 1 where there are fewer than <see cref="FewestSamples"/>.</returns>
    public static double LeastCorrelation(int samples, int pairs)
    {
        if (samples < FewestSamples)
        {
            return 1;
        }

        double degrees = samples - 2, low = 0, high = 1;
        var allowed = 0.05 / Math.Max(1, pairs);
        for (var step = 0; step < 50; step++)
        {
            var middle = (low + high) / 2;
            var t = middle * Math.Sqrt(degrees / (1 - (middle * middle)));
            (low, high) = TailProbability.StudentT(t, degrees) > allowed ? (middle, high) : (low, middle);
        }

        return high;
    }

    /// <summary>How many of the samples with the largest values are the same in two columns; of equal values the earlier sample counts first.</summary>
    /// <param name="first">Coefficients of the samples.</param>
    /// <param name="second">The other concept's, of the same samples.</param>
    /// <param name="top">Number of samples that are looked at, at most all.</param>
    public static int SharedTop(ReadOnlySpan<double> first, ReadOnlySpan<double> second, int top) =>
        Ranks.Descending(first).Take(top).Intersect(Ranks.Descending(second).Take(top)).Count();

    /// <summary>
    /// Share of the importance that lies elsewhere: half the sum of |p − q| over matched concepts, and of |p| and |q| over those
    /// without a counterpart, where p and q are the importances of an analysis over the sum of their magnitudes. It is the total
    /// variation distance where none is negative.
    /// </summary>
    /// <param name="first">Importance of each concept of the first analysis, signed.</param>
    /// <param name="second">Importance of each concept of the second.</param>
    /// <param name="pairs">Which of them are the same.</param>
    /// <returns>0 for the same importance of the same concepts, 1 where nothing is in common; null where one side has no importance at all.</returns>
    public static double? ImportanceShift(IReadOnlyList<double> first, IReadOnlyList<double> second, IReadOnlyList<ConceptCounterpart> pairs)
    {
        double all = first.Sum(Math.Abs), other = second.Sum(Math.Abs);
        if (!(all > 0) || !(other > 0))
        {
            return null;
        }

        double sum = 2;
        foreach (var pair in pairs)
        {
            double p = first[pair.First] / all, q = second[pair.Second] / other;
            sum += Math.Abs(p - q) - Math.Abs(p) - Math.Abs(q);
        }

        return Math.Clamp(sum / 2, 0, 1);
    }

    /// <summary>The columns, less their means and brought to unit length, one after the other; zeros where one is constant.</summary>
    private static void UnitColumns(ReadOnlySpan<float> values, int columns, ReadOnlySpan<int> rows, double[] result)
    {
        var n = rows.Length;
        for (var i = 0; i < n; i++)
        {
            var row = values.Slice(rows[i] * columns, columns);
            for (var j = 0; j < columns; j++)
            {
                result[(j * n) + i] = row[j];
            }
        }

        for (var j = 0; j < columns; j++)
        {
            var column = result.AsSpan(j * n, n);
            TensorPrimitives.Subtract(column, TensorPrimitives.Sum<double>(column) / n, column);
            var length = TensorPrimitives.Norm<double>(column);
            if (length > 0)
            {
                TensorPrimitives.Divide(column, length, column);
            }
        }
    }

    /// <summary>The columns, less their means, as rows.</summary>
    private static DenseMatrix CentredColumns(DenseMatrix values)
    {
        var mean = values.ColumnMeans();
        var result = new DenseMatrix(values.Columns, values.Rows);
        for (var i = 0; i < values.Rows; i++)
        {
            for (var j = 0; j < values.Columns; j++)
            {
                result[j, i] = values[i, j] - mean[j];
            }
        }

        return result;
    }
}
