namespace Analysis.Numerics;

/// <summary>One-to-one matching of least total cost (Kuhn 1955; shortest augmenting paths with potentials).</summary>
public static class Assignment
{
    /// <summary>Matches every row with a different column.</summary>
    /// <param name="cost">m×n finite costs, m at most n.</param>
    /// <returns>The column of each row.</returns>
    /// <exception cref="ArgumentException">More rows than columns.</exception>
    public static int[] Minimize(DenseMatrix cost)
    {
        var m = cost.Rows;
        var n = cost.Columns;
        if (m > n)
        {
            throw new ArgumentException($"{m} rows cannot be matched with {n} columns; transpose.", nameof(cost));
        }

        var rowPotential = new double[m + 1];
        var columnPotential = new double[n + 1];
        var rowOf = new int[n + 1];
        var previous = new int[n + 1];
        for (var row = 1; row <= m; row++)
        {
            rowOf[0] = row;
            var column = 0;
            var best = new double[n + 1];
            Array.Fill(best, double.PositiveInfinity);
            var used = new bool[n + 1];
            do
            {
                used[column] = true;
                var r = rowOf[column];
                var delta = double.PositiveInfinity;
                var next = 0;
                for (var j = 1; j <= n; j++)
                {
                    if (used[j])
                    {
                        continue;
                    }

                    var reduced = cost[r - 1, j - 1] - rowPotential[r] - columnPotential[j];
                    if (reduced < best[j])
                    {
                        best[j] = reduced;
                        previous[j] = column;
                    }

                    if (best[j] < delta)
                    {
                        delta = best[j];
                        next = j;
                    }
                }

                for (var j = 0; j <= n; j++)
                {
                    if (used[j])
                    {
                        rowPotential[rowOf[j]] += delta;
                        columnPotential[j] -= delta;
                    }
                    else
                    {
                        best[j] -= delta;
                    }
                }

                column = next;
            }
            while (rowOf[column] != 0);

            while (column != 0)
            {
                var before = previous[column];
                rowOf[column] = rowOf[before];
                column = before;
            }
        }

        var result = new int[m];
        for (var j = 1; j <= n; j++)
        {
            if (rowOf[j] > 0)
            {
                result[rowOf[j] - 1] = j - 1;
            }
        }

        return result;
    }

    /// <summary>Mean cosine of the best one-to-one matching of the rows of two dictionaries.</summary>
    /// <param name="a">m×d; m at most the rows of <paramref name="b"/>.</param>
    /// <param name="b">n×d.</param>
    /// <param name="ignoreSign">Match by |cosine|, for methods whose sign is arbitrary.</param>
    public static double MeanMatchedCosine(DenseMatrix a, DenseMatrix b, bool ignoreSign = false)
    {
        var cost = new DenseMatrix(a.Rows, b.Rows);
        for (var i = 0; i < a.Rows; i++)
        {
            for (var j = 0; j < b.Rows; j++)
            {
                var cosine = Vectors.Cosine(a.Row(i), b.Row(j));
                cosine = double.IsNaN(cosine) ? 0 : cosine;
                cost[i, j] = 1 - (ignoreSign ? Math.Abs(cosine) : cosine);
            }
        }

        var match = Minimize(cost);
        double sum = 0;
        for (var i = 0; i < a.Rows; i++)
        {
            sum += 1 - cost[i, match[i]];
        }

        return sum / a.Rows;
    }
}
