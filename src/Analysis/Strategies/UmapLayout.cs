using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Strategies;

/// <summary>How points are laid out.</summary>
public sealed record UmapOptions
{
    /// <summary>Neighbours of each point, itself included; clipped to the number of points.</summary>
    public int Neighbours { get; init; } = 15;

    /// <summary>How close points may lie in the layout.</summary>
    public double MinimumDistance { get; init; } = 0.1;

    /// <summary>Scale of the layout.</summary>
    public double Spread { get; init; } = 1;

    /// <summary>Passes; null for 500 below 10,000 points and 200 from there on.</summary>
    public int? Epochs { get; init; }

    /// <summary>Points pushed away for each pull.</summary>
    public int NegativeSamples { get; init; } = 5;

    /// <summary>Seed of the negative samples and of the small noise at the start.</summary>
    public int Seed { get; init; }
}

/// <summary>
/// Two-dimensional UMAP layout by stochastic gradient descent (McInnes, Healy and Melville 2018) from the first two principal
/// components. The same points and seed give the same bytes however many threads there are (<see cref="UmapDescent"/>).
/// </summary>
public static class UmapLayout
{
    private const int ManyPoints = 10_000;

    /// <summary>Lays out the rows of a matrix.</summary>
    /// <param name="points">n×d.</param>
    /// <param name="options">Null for the defaults.</param>
    /// <param name="cancel">Checked between passes.</param>
    /// <returns>x and y interleaved, length 2n.</returns>
    public static float[] Fit(DenseMatrix points, UmapOptions? options = null, CancellationToken cancel = default)
    {
        options ??= new UmapOptions();
        var random = new SplitMix64(unchecked((ulong)options.Seed));
        var layout = Initial(points, ref random);
        if (points.Rows < 4)
        {
            return layout;
        }

        var graph = UmapGraph.Build(points, Math.Min(options.Neighbours, points.Rows));
        var epochs = options.Epochs ?? (points.Rows < ManyPoints ? 500 : 200);
        new UmapDescent(graph, options, epochs, ref random).Run(layout, torch.get_num_threads(), cancel);
        return layout;
    }

    /// <summary>Principal components scaled to ±10, with a little noise that parts equal points.</summary>
    private static float[] Initial(DenseMatrix points, ref SplitMix64 random)
    {
        var n = points.Rows;
        var layout = new float[2 * n];
        var scores = PrincipalComponents(points);
        double largest = 0;
        foreach (var s in scores.Values)
        {
            largest = Math.Max(largest, Math.Abs(s));
        }

        for (var i = 0; i < 2 * n; i++)
        {
            layout[i] = (float)((largest > 0 ? scores.Values[i] / largest * 10 : 0) + (random.NextNormal() * 1e-4));
        }

        return layout;
    }

    private static DenseMatrix PrincipalComponents(DenseMatrix points)
    {
        const int SmallWidth = 64;
        var n = points.Rows;
        var result = new DenseMatrix(n, 2);
        if (n < 2)
        {
            return result;
        }

        var mean = points.ColumnMeans();
        var centred = points.Clone();
        for (var i = 0; i < n; i++)
        {
            var row = centred.Row(i);
            for (var j = 0; j < row.Length; j++)
            {
                row[j] -= mean[j];
            }
        }

        if (points.Columns > SmallWidth)
        {
            using var scope = torch.NewDisposeScope();
            using var noGrad = torch.no_grad();
            using var directions = torch.linalg.svd(centred.ToTensor(), fullMatrices: false).Vh;
            var kept = Math.Min(2, (int)directions.shape[0]);
            return Project(centred, Oriented(DenseMatrix.FromTensor(directions.narrow(0, 0, kept))), result);
        }

        var covariance = new DenseMatrix(points.Columns, points.Columns);
        for (var i = 0; i < n; i++)
        {
            var row = centred.Row(i);
            for (var a = 0; a < row.Length; a++)
            {
                var target = covariance.Row(a);
                for (var b = a; b < row.Length; b++)
                {
                    target[b] += row[a] * row[b];
                }
            }
        }

        return Project(centred, SymmetricEigen.Decompose(covariance).Vectors, result);
    }

    private static DenseMatrix Oriented(DenseMatrix directions)
    {
        for (var i = 0; i < directions.Rows; i++)
        {
            var row = directions.Row(i);
            var largest = 0;
            for (var j = 1; j < row.Length; j++)
            {
                largest = Math.Abs(row[j]) > Math.Abs(row[largest]) * (1 + 1e-9) ? j : largest;
            }

            Vectors.Scale(row, row[largest] < 0 ? -1 : 1);
        }

        return directions;
    }

    private static DenseMatrix Project(DenseMatrix centred, DenseMatrix directions, DenseMatrix result)
    {
        for (var i = 0; i < centred.Rows; i++)
        {
            for (var c = 0; c < Math.Min(2, directions.Rows); c++)
            {
                result[i, c] = Vectors.Dot(centred.Row(i), directions.Row(c));
            }
        }

        return result;
    }
}
