using Analysis.Numerics;
using TorchSharp;

namespace Analysis.Strategies;

/// <summary>
/// The weighted neighbour graph of UMAP (McInnes, Healy and Melville 2018): each point's distances are scaled so that its
/// neighbourhood has a fixed fuzzy size, and the directed memberships are joined by w + wᵀ − w∘wᵀ.
/// </summary>
/// <param name="Points">Number of points n.</param>
/// <param name="Rho">Distance to the nearest neighbour that is not a duplicate. Length n.</param>
/// <param name="Sigma">Scale of each point. Length n.</param>
/// <param name="Row">First end of each edge; edges are sorted by row, then column, and occur in both directions.</param>
/// <param name="Column">Second end of each edge.</param>
/// <param name="Weight">In (0, 1].</param>
public sealed record UmapGraph(int Points, double[] Rho, double[] Sigma, int[] Row, int[] Column, double[] Weight)
{
    private const double Tolerance = 1e-5;
    private const double SmallestScale = 1e-3;
    private const int Bisections = 64;

    /// <summary>Builds the graph from points.</summary>
    /// <param name="points">n×d, Euclidean.</param>
    /// <param name="neighbours">Neighbours of each point, itself included; clipped to n.</param>
    public static UmapGraph Build(DenseMatrix points, int neighbours = 15)
    {
        using var tensor = points.ToTensor();
        var table = NearestNeighbours.Within(tensor, neighbours - 1);
        var width = table.K + 1;
        var n = points.Rows;
        var indices = new int[n * width];
        var distances = new double[n * width];
        for (var i = 0; i < n; i++)
        {
            indices[i * width] = i;
            if (table.K > 0)
            {
                table.IndicesOf(i).CopyTo(indices.AsSpan((i * width) + 1));
                table.DistancesOf(i).CopyTo(distances.AsSpan((i * width) + 1));
            }
        }

        return FromNeighbours(new NeighbourTable(indices, distances, width));
    }

    /// <summary>Builds the graph from known neighbours.</summary>
    /// <param name="neighbours">k per point, ascending by distance, the point itself among them (usually first).</param>
    public static UmapGraph FromNeighbours(NeighbourTable neighbours)
    {
        var n = neighbours.Count;
        var k = neighbours.K;
        var rho = new double[n];
        var sigma = new double[n];
        var overall = RobustStatistics.Mean(neighbours.Distances);
        var target = Math.Log2(k);
        for (var i = 0; i < n; i++)
        {
            var d = neighbours.DistancesOf(i);
            foreach (var distance in d)
            {
                if (distance > 0)
                {
                    rho[i] = distance;
                    break;
                }
            }

            sigma[i] = Scale(d, rho[i], target);
            sigma[i] = Math.Max(sigma[i], SmallestScale * (rho[i] > 0 ? RobustStatistics.Mean(d) : overall));
        }

        return Join(n, rho, sigma, neighbours, (i, distance) =>
        {
            var beyond = distance - rho[i];
            return beyond <= 0 || sigma[i] == 0 ? 1 : Math.Exp(-beyond / sigma[i]);
        });
    }

    /// <summary>Joins each membership with the one in the other direction: rows of both are merged column by column.</summary>
    private static UmapGraph Join(int n, double[] rho, double[] sigma, NeighbourTable neighbours, Func<int, double, double> membership)
    {
        var k = neighbours.K;
        var (out0, column, weight) = (new int[n + 1], new int[n * k], new double[n * k]);
        var (order, place) = (new int[k], new int[k]);
        var in0 = new int[n + 1];
        var count = 0;
        for (var i = 0; i < n; i++)
        {
            var indices = neighbours.IndicesOf(i);
            var distances = neighbours.DistancesOf(i);
            indices.CopyTo(order);
            for (var j = 0; j < k; j++)
            {
                place[j] = j;
            }

            Array.Sort(order, place);
            for (var j = 0; j < k; j++)
            {
                var w = order[j] == i ? 0 : membership(i, distances[place[j]]);
                if (w > 0)
                {
                    (column[count], weight[count]) = (order[j], w);
                    in0[order[j] + 1]++;
                    count++;
                }
            }

            out0[i + 1] = count;
        }

        // The same edges by their second end; rows come in ascending order.
        for (var i = 0; i < n; i++)
        {
            in0[i + 1] += in0[i];
        }

        var (next, source, back) = (in0[..n], new int[count], new double[count]);
        for (var i = 0; i < n; i++)
        {
            for (var e = out0[i]; e < out0[i + 1]; e++)
            {
                var at = next[column[e]]++;
                (source[at], back[at]) = (i, weight[e]);
            }
        }

        var (rows, columns, joined) = (new List<int>(2 * count), new List<int>(2 * count), new List<double>(2 * count));
        for (var i = 0; i < n; i++)
        {
            var (e, f) = (out0[i], in0[i]);
            while (e < out0[i + 1] || f < in0[i + 1])
            {
                var forth = e < out0[i + 1] ? column[e] : int.MaxValue;
                var from = f < in0[i + 1] ? source[f] : int.MaxValue;
                var (a, b) = (forth <= from ? weight[e] : 0, from <= forth ? back[f] : 0);
                rows.Add(i);
                columns.Add(Math.Min(forth, from));
                joined.Add(a + b - (a * b));
                e += forth <= from ? 1 : 0;
                f += from <= forth ? 1 : 0;
            }
        }

        return new UmapGraph(n, rho, sigma, [.. rows], [.. columns], [.. joined]);
    }

    /// <summary>
    /// The curve 1 / (1 + a x^(2b)) nearest, by least squares on 300 points of [0, 3 × spread], to 1 below the minimal distance
    /// and exponential decay beyond.
    /// </summary>
    /// <param name="spread">Scale of the embedding.</param>
    /// <param name="minimumDistance">How close points may lie.</param>
    public static (double A, double B) FitCurve(double spread, double minimumDistance)
    {
        const int Samples = 300;
        double a = 1, b = 1, damping = 1e-3;
        var error = Residuals(a, b, spread, minimumDistance, out var normal, out var right);
        for (var iteration = 0; iteration < 500 && damping < 1e12; iteration++)
        {
            // Levenberg-Marquardt in two unknowns: the damped normal equations are solved by hand.
            var aa = normal[0] * (1 + damping);
            var bb = normal[2] * (1 + damping);
            var determinant = (aa * bb) - (normal[1] * normal[1]);
            var da = ((right[0] * bb) - (right[1] * normal[1])) / determinant;
            var db = ((right[1] * aa) - (right[0] * normal[1])) / determinant;
            if (a + da > 0 && b + db > 0
                && Residuals(a + da, b + db, spread, minimumDistance, out var nextNormal, out var nextRight) is var next && next <= error)
            {
                (a, b, error, normal, right) = (a + da, b + db, next, nextNormal, nextRight);
                damping = Math.Max(damping / 10, 1e-12);
                if (Math.Abs(da) < 1e-12 * a && Math.Abs(db) < 1e-12 * b)
                {
                    break;
                }
            }
            else
            {
                damping *= 10;
            }
        }

        return (a, b);

        static double Residuals(double a, double b, double spread, double minimumDistance, out double[] normal, out double[] right)
        {
            normal = new double[3];
            right = new double[2];
            double error = 0;
            for (var i = 0; i < Samples; i++)
            {
                var x = 3 * spread * i / (Samples - 1);
                var wanted = x < minimumDistance ? 1 : Math.Exp(-(x - minimumDistance) / spread);
                var power = x > 0 ? Math.Pow(x, 2 * b) : 0;
                var value = 1 / (1 + (a * power));
                var residual = wanted - value;
                var byA = -value * value * power;
                var byB = x > 0 ? -value * value * a * power * 2 * Math.Log(x) : 0;
                normal[0] += byA * byA;
                normal[1] += byA * byB;
                normal[2] += byB * byB;
                right[0] += byA * residual;
                right[1] += byB * residual;
                error += residual * residual;
            }

            return error;
        }
    }

    private static double Scale(ReadOnlySpan<double> distances, double rho, double target)
    {
        double low = 0, high = double.PositiveInfinity, middle = 1;
        for (var step = 0; step < Bisections; step++)
        {
            double size = 0;
            foreach (var distance in distances[1..])
            {
                size += distance > rho ? Math.Exp(-(distance - rho) / middle) : 1;
            }

            if (Math.Abs(size - target) < Tolerance)
            {
                break;
            }

            if (size > target)
            {
                high = middle;
                middle = (low + high) / 2;
            }
            else
            {
                low = middle;
                middle = double.IsPositiveInfinity(high) ? middle * 2 : (low + high) / 2;
            }
        }

        return middle;
    }
}
