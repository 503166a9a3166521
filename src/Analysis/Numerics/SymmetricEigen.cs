namespace Analysis.Numerics;

/// <summary>Eigenvalues of small symmetric matrices by Jacobi rotations: deterministic and exact to working precision.</summary>
public static class SymmetricEigen
{
    /// <summary>Decomposes a symmetric matrix.</summary>
    /// <param name="matrix">n×n; the upper triangle is read.</param>
    /// <returns>Eigenvalues, descending, and unit eigenvectors as rows, the entry of largest magnitude positive.</returns>
    public static (double[] Values, DenseMatrix Vectors) Decompose(DenseMatrix matrix)
    {
        var n = matrix.Rows;
        var a = matrix.Clone();
        var v = new DenseMatrix(n, n);
        for (var i = 0; i < n; i++)
        {
            v[i, i] = 1;
            for (var j = 0; j < i; j++)
            {
                a[i, j] = a[j, i];
            }
        }

        for (var sweep = 0; sweep < 60; sweep++)
        {
            double off = 0, total = 0;
            for (var i = 0; i < n; i++)
            {
                for (var j = 0; j < n; j++)
                {
                    total += a[i, j] * a[i, j];
                    off += i == j ? 0 : a[i, j] * a[i, j];
                }
            }

            if (off <= total * 1e-30)
            {
                break;
            }

            for (var p = 0; p < n; p++)
            {
                for (var q = p + 1; q < n; q++)
                {
                    Rotate(a, v, p, q);
                }
            }
        }

        var diagonal = new double[n];
        for (var i = 0; i < n; i++)
        {
            diagonal[i] = a[i, i];
        }

        var order = Ranks.Descending(diagonal);
        var vectors = v.Take(order);
        for (var i = 0; i < n; i++)
        {
            var row = vectors.Row(i);
            var largest = 0;
            for (var j = 1; j < n; j++)
            {
                // Nearly equal magnitudes: the first one decides, so that rounding does not choose the sign.
                if (Math.Abs(row[j]) > Math.Abs(row[largest]) * (1 + 1e-9))
                {
                    largest = j;
                }
            }

            if (row[largest] < 0)
            {
                Vectors.Scale(row, -1);
            }
        }

        return (Array.ConvertAll(order, i => diagonal[i]), vectors);
    }

    private static void Rotate(DenseMatrix a, DenseMatrix v, int p, int q)
    {
        var apq = a[p, q];
        if (apq == 0)
        {
            return;
        }

        var theta = (a[q, q] - a[p, p]) / (2 * apq);
        var t = (theta >= 0 ? 1 : -1) / (Math.Abs(theta) + Math.Sqrt((theta * theta) + 1));
        var c = 1 / Math.Sqrt((t * t) + 1);
        var s = t * c;
        for (var k = 0; k < a.Rows; k++)
        {
            var akp = a[k, p];
            var akq = a[k, q];
            a[k, p] = (c * akp) - (s * akq);
            a[k, q] = (s * akp) + (c * akq);
        }

        for (var k = 0; k < a.Rows; k++)
        {
            var apk = a[p, k];
            var aqk = a[q, k];
            a[p, k] = (c * apk) - (s * aqk);
            a[q, k] = (s * apk) + (c * aqk);
            var vpk = v[p, k];
            var vqk = v[q, k];
            v[p, k] = (c * vpk) - (s * vqk);
            v[q, k] = (s * vpk) + (c * vqk);
        }
    }
}

/// <summary>Classical multidimensional scaling (Torgerson 1952).</summary>
public static class ClassicalScaling
{
    /// <summary>Places points so that their distances match the given ones as well as a projection can.</summary>
    /// <param name="distances">n×n symmetric, zero diagonal. For vectors compare by √(2 − 2cos), or 1 − cos as a dissimilarity.</param>
    /// <param name="dimensions">Columns of the result.</param>
    /// <returns>n×dimensions; each axis oriented so that its entry of largest magnitude is positive, so the same input gives the same map.</returns>
    public static DenseMatrix Embed(DenseMatrix distances, int dimensions = 2)
    {
        var n = distances.Rows;
        var result = new DenseMatrix(n, dimensions);
        if (n < 2)
        {
            return result;
        }

        var squared = new DenseMatrix(n, n);
        for (var i = 0; i < n * n; i++)
        {
            squared.Values[i] = distances.Values[i] * distances.Values[i];
        }

        var mean = squared.ColumnMeans();
        var total = RobustStatistics.Mean(mean);
        var b = new DenseMatrix(n, n);
        for (var i = 0; i < n; i++)
        {
            for (var j = 0; j < n; j++)
            {
                b[i, j] = -0.5 * (squared[i, j] - mean[i] - mean[j] + total);
            }
        }

        var (values, vectors) = SymmetricEigen.Decompose(b);
        for (var d = 0; d < Math.Min(dimensions, n); d++)
        {
            // Below this an axis is rounding error, and its direction would differ between machines.
            if (values[d] <= 1e-12 * Math.Abs(values[0]))
            {
                break;
            }

            var scale = Math.Sqrt(values[d]);
            for (var i = 0; i < n; i++)
            {
                result[i, d] = vectors[d, i] * scale;
            }
        }

        return result;
    }
}
