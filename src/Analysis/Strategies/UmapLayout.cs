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
/// components. One sequence of updates on one thread: the same points and seed give the same bytes however many threads there are.
/// </summary>
public static class UmapLayout
{
    private const int ManyPoints = 10_000;
    private const float Clip = 4;

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
        Descend(graph, layout, options, ref random, cancel);
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

    private static void Descend(UmapGraph graph, float[] y, UmapOptions options, ref SplitMix64 random, CancellationToken cancel)
    {
        var epochs = options.Epochs ?? (graph.Points < ManyPoints ? 500 : 200);
        var (a, b) = UmapGraph.FitCurve(options.Spread, options.MinimumDistance);
        var pull = new ForceTable(d => -2 * a * b * Math.Pow(d, b - 1) / (1 + (a * Math.Pow(d, b))));
        var push = new ForceTable(d => 2 * b / ((0.001 + d) * (1 + (a * Math.Pow(d, b)))));
        var strongest = graph.Weight.Length == 0 ? 0 : graph.Weight.Max();

        // Edges too weak to be used once are dropped.
        var used = Enumerable.Range(0, graph.Weight.Length).Where(e => graph.Weight[e] >= strongest / epochs).ToArray();
        var head = Array.ConvertAll(used, e => 2 * graph.Row[e]);
        var tail = Array.ConvertAll(used, e => 2 * graph.Column[e]);
        var period = Array.ConvertAll(used, e => (float)(strongest / graph.Weight[e]));
        var next = (float[])period.Clone();
        var n = graph.Points;
        for (var epoch = 1; epoch <= epochs; epoch++)
        {
            cancel.ThrowIfCancellationRequested();
            var rate = (float)(1 - ((double)(epoch - 1) / epochs));
            for (var e = 0; e < head.Length; e++)
            {
                if (next[e] > epoch)
                {
                    continue;
                }

                next[e] += period[e];
                var i = head[e];
                var j = tail[e];
                var x0 = y[i];
                var x1 = y[i + 1];
                var d0 = x0 - y[j];
                var d1 = x1 - y[j + 1];
                var squared = (d0 * d0) + (d1 * d1);
                if (squared > 0)
                {
                    var force = pull.At(squared);
                    var g0 = Math.Clamp(force * d0, -Clip, Clip) * rate;
                    var g1 = Math.Clamp(force * d1, -Clip, Clip) * rate;
                    x0 += g0;
                    x1 += g1;
                    y[j] -= g0;
                    y[j + 1] -= g1;
                }

                for (var s = 0; s < options.NegativeSamples; s++)
                {
                    var other = 2 * random.NextInt(n);
                    if (other == i)
                    {
                        continue;
                    }

                    d0 = x0 - y[other];
                    d1 = x1 - y[other + 1];
                    squared = (d0 * d0) + (d1 * d1);
                    if (squared > 0)
                    {
                        var force = push.At(squared);
                        x0 += Math.Clamp(force * d0, -Clip, Clip) * rate;
                        x1 += Math.Clamp(force * d1, -Clip, Clip) * rate;
                    }
                }

                y[i] = x0;
                y[i + 1] = x1;
            }
        }
    }

    /// <summary>
    /// A function of the squared distance, tabulated at 64 points per power of two and interpolated: the powers in the forces
    /// would otherwise take most of the time. Error below 1e-4 of the value.
    /// </summary>
    private sealed class ForceTable
    {
        private const int FractionBits = 6;
        private const int Shift = 23 - FractionBits;
        private const float Step = 1f / (1 << Shift);
        private static readonly int First = BitConverter.SingleToInt32Bits(1e-12f) >> Shift;
        private static readonly int Last = BitConverter.SingleToInt32Bits(1e9f) >> Shift;
        private readonly float[] _values = new float[Last - First + 2];

        public ForceTable(Func<double, double> function)
        {
            for (var i = 0; i < _values.Length; i++)
            {
                _values[i] = (float)function(BitConverter.Int32BitsToSingle((First + i) << Shift));
            }
        }

        public float At(float squared)
        {
            var bits = BitConverter.SingleToInt32Bits(squared);
            var index = (bits >> Shift) - First;
            if (index < 0)
            {
                return _values[0];
            }

            if (index >= _values.Length - 1)
            {
                return _values[^1];
            }

            var share = (bits & ((1 << Shift) - 1)) * Step;
            var low = _values[index];
            return low + ((_values[index + 1] - low) * share);
        }
    }
}
