using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Concepts;

/// <summary>
/// How much each direction of a layer matters for each image, from the layer's activation and the gradient at it
/// (Graziani et al. 2023). <see cref="ClassScore"/> turns these numbers into class relevance.
/// </summary>
public static class DirectionRelevance
{
    private const long ChunkElements = 1 << 22;

    /// <summary>
    /// The default: mean over positions of (gradient · v)(activation · v). Independent of the sign of v; over an orthonormal
    /// basis the directions sum to the total gradient × input.
    /// </summary>
    /// <param name="activations">n×C×H×W, or n×C.</param>
    /// <param name="gradients">d logit of the class / d activation, same shape.</param>
    /// <param name="directions">J×C float64, same device.</param>
    /// <returns>n×J float64.</returns>
    public static Tensor Directional(Tensor activations, Tensor gradients, Tensor directions)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var n = activations.shape[0];
        var positions = Positions(activations);
        var j = directions.shape[0];
        var chunk = Math.Clamp(ChunkElements / Math.Max(1, Math.Max(j, directions.shape[1]) * positions), 1, Math.Max(1, n));
        var result = torch.empty([n, j], ScalarType.Float64, activations.device);
        for (long start = 0; start < n; start += chunk)
        {
            using var inner = torch.NewDisposeScope();
            var rows = Math.Min(chunk, n - start);
            var a = Flat(activations.narrow(0, start, rows));
            var g = Flat(gradients.narrow(0, start, rows));
            var av = torch.einsum("jc,ncp->njp", directions, a);
            var gv = torch.einsum("jc,ncp->njp", directions, g);
            result.narrow(0, start, rows).copy_((av * gv).mean([2L]));
        }

        return result.MoveToOuterDisposeScope();
    }

    /// <summary>Gradient × input, averaged over positions and projected on each direction: Rₙ · v. Needs oriented directions.</summary>
    /// <param name="activations">n×C×H×W, or n×C.</param>
    /// <param name="gradients">d logit of the class / d activation, same shape.</param>
    /// <param name="directions">J×C float64.</param>
    /// <returns>n×J float64.</returns>
    public static Tensor Projected(Tensor activations, Tensor gradients, Tensor directions)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        return PooledProduct(activations, gradients, rectify: false).mm(directions.t()).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// What the published code computes, for reproduction: mean over positions of ReLU(loss gradient) × activation, times the
    /// matrix of directions. Its product mixes the components of different directions; <paramref name="transposed"/> mends
    /// that and projects on the directions instead.
    /// </summary>
    /// <param name="activations">n×C×H×W, or n×C.</param>
    /// <param name="lossGradients">d batch-mean cross entropy / d activation, same shape.</param>
    /// <param name="directions">Right singular vectors as rows; C×C unless <paramref name="transposed"/>.</param>
    /// <param name="transposed">Project on the rows of <paramref name="directions"/>.</param>
    /// <returns>n×J float64.</returns>
    public static Tensor Official(Tensor activations, Tensor lossGradients, Tensor directions, bool transposed = false)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var pooled = PooledProduct(activations, lossGradients, rectify: true);
        if (!transposed && directions.shape[0] != directions.shape[1])
        {
            throw new ArgumentException("The published product needs as many directions as channels.", nameof(directions));
        }

        return pooled.mm(transposed ? directions.t() : directions).MoveToOuterDisposeScope();
    }

    /// <summary>Mean over positions of activation × gradient, n×C float64.</summary>
    /// <param name="activations">n×C×H×W, or n×C.</param>
    /// <param name="gradients">Same shape.</param>
    /// <param name="rectify">Set negative gradients to 0 first.</param>
    public static Tensor PooledProduct(Tensor activations, Tensor gradients, bool rectify)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var g = Flat(gradients);
        return (Flat(activations) * (rectify ? g.clamp_min(Scalars.Of(0)) : g)).mean([2L]).MoveToOuterDisposeScope();
    }

    /// <summary>Directions by descending score: stable, undefined ones last.</summary>
    public static int[] Ranking(ReadOnlySpan<double> scores) => Ranks.Descending(scores);

    private static long Positions(Tensor x) => x.dim() == 2 ? 1 : x.shape[2] * x.shape[3];

    private static Tensor Flat(Tensor x) => x.dim() switch
    {
        2 => x.to(ScalarType.Float64).unsqueeze(2),
        4 => x.to(ScalarType.Float64).flatten(2),
        _ => throw new ArgumentException($"Activations are n×C or n×C×H×W, not of {x.dim()} dimensions."),
    };
}

/// <summary>
/// Streams per-image relevances of directions and scores each class against the rest:
/// z = (mean in the class − mean outside) / standard deviation outside. Memory 2·K·J numbers. Means and squared deviations are
/// merged batch by batch (Chan, Golub and LeVeque 1979), since sums of squares would lose the digits that the guard against a
/// zero spread needs.
/// </summary>
public sealed class ClassScore
{
    /// <summary>Fewer images than this inside or outside a class leave its scores without meaning.</summary>
    public const int FewestImages = 3;

    private readonly long[] _count;
    private readonly DenseMatrix _mean;
    private readonly DenseMatrix _squares;

    /// <summary>Starts without images.</summary>
    /// <param name="classes">Number of groups K.</param>
    /// <param name="directions">Number of directions J.</param>
    public ClassScore(int classes, int directions)
    {
        _count = new long[classes];
        _mean = new DenseMatrix(classes, directions);
        _squares = new DenseMatrix(classes, directions);
    }

    /// <summary>Images of each class so far. Length K.</summary>
    public IReadOnlyList<long> Counts => _count;

    /// <summary>Mean relevance of each direction in each class so far, K×J; zeros for a class without images.</summary>
    public DenseMatrix Means => _mean.Clone();

    /// <summary>Adds a batch.</summary>
    /// <param name="relevance">n×J.</param>
    /// <param name="group">Class of each image; −1 leaves an image out.</param>
    public void Add(Tensor relevance, ReadOnlySpan<int> group)
    {
        if (relevance.dim() != 2 || relevance.shape[0] != group.Length || relevance.shape[1] != _mean.Columns)
        {
            throw new ArgumentException(
                $"Relevances of shape {group.Length}×{_mean.Columns} are expected, not ({string.Join(", ", relevance.shape)}).", nameof(relevance));
        }

        Add(DenseMatrix.FromTensor(relevance), group);
    }

    /// <summary>Adds a batch.</summary>
    /// <param name="relevance">n×J.</param>
    /// <param name="group">Class of each image; −1 leaves an image out.</param>
    public void Add(DenseMatrix relevance, ReadOnlySpan<int> group)
    {
        // Sorted by class, so that a batch's own mean is taken before its deviations.
        var members = new SortedDictionary<int, List<int>>();
        for (var i = 0; i < group.Length; i++)
        {
            if (group[i] >= 0)
            {
                if (!members.TryGetValue(group[i], out var list))
                {
                    members.Add(group[i], list = []);
                }

                list.Add(i);
            }
        }

        var squares = new double[_mean.Columns];
        foreach (var (k, rows) in members)
        {
            var batch = relevance.Take(rows.ToArray());
            var mean = batch.ColumnMeans();
            Array.Clear(squares);
            for (var i = 0; i < batch.Rows; i++)
            {
                var row = batch.Row(i);
                for (var j = 0; j < row.Length; j++)
                {
                    squares[j] += (row[j] - mean[j]) * (row[j] - mean[j]);
                }
            }

            _count[k] = Merge(_count[k], _mean.Row(k), _squares.Row(k), batch.Rows, mean, squares);
        }
    }

    /// <summary>Adds what another accumulator has seen.</summary>
    public void Merge(ClassScore other)
    {
        for (var k = 0; k < _count.Length; k++)
        {
            _count[k] = Merge(_count[k], _mean.Row(k), _squares.Row(k), other._count[k], other._mean.Row(k), other._squares.Row(k));
        }
    }

    /// <summary>Scores so far, K×J; NaN where a class or its rest has no images or the rest has no spread.</summary>
    /// <param name="fewest">Fewer images than this inside or outside give NaN; 1 to score whatever can be.</param>
    public DenseMatrix ZScores(int fewest = 1)
    {
        var classes = _count.Length;
        var width = _mean.Columns;
        var result = new DenseMatrix(classes, width);
        result.Values.AsSpan().Fill(double.NaN);

        // The rest of class k is everything before it merged with everything after it.
        var afterCount = new long[classes + 1];
        var afterMean = new DenseMatrix(classes + 1, width);
        var afterSquares = new DenseMatrix(classes + 1, width);
        for (var k = classes - 1; k >= 0; k--)
        {
            afterMean.Row(k + 1).CopyTo(afterMean.Row(k));
            afterSquares.Row(k + 1).CopyTo(afterSquares.Row(k));
            afterCount[k] = Merge(afterCount[k + 1], afterMean.Row(k), afterSquares.Row(k), _count[k], _mean.Row(k), _squares.Row(k));
        }

        long beforeCount = 0;
        var beforeMean = new double[width];
        var beforeSquares = new double[width];
        for (var k = 0; k < classes; k++)
        {
            var restMean = (double[])beforeMean.Clone();
            var restSquares = (double[])beforeSquares.Clone();
            var rest = Merge(beforeCount, restMean, restSquares, afterCount[k + 1], afterMean.Row(k + 1), afterSquares.Row(k + 1));
            if (_count[k] >= Math.Max(1, fewest) && rest >= Math.Max(1, fewest))
            {
                var row = result.Row(k);
                for (var j = 0; j < width; j++)
                {
                    var spread = Math.Sqrt(restSquares[j] / rest);
                    row[j] = RobustStatistics.IsDegenerate(spread, restMean[j]) ? double.NaN : (_mean[k, j] - restMean[j]) / spread;
                }
            }

            beforeCount = Merge(beforeCount, beforeMean, beforeSquares, _count[k], _mean.Row(k), _squares.Row(k));
        }

        return result;
    }

    private static long Merge(
        long countA, Span<double> meanA, Span<double> squaresA, long countB, ReadOnlySpan<double> meanB, ReadOnlySpan<double> squaresB)
    {
        if (countB == 0)
        {
            return countA;
        }

        var total = countA + countB;
        var share = (double)countB / total;
        for (var j = 0; j < meanA.Length; j++)
        {
            var delta = meanB[j] - meanA[j];
            squaresA[j] += squaresB[j] + (delta * delta * countA * share);
            meanA[j] = countA == 0 ? meanB[j] : meanA[j] + (delta * share);
        }

        return total;
    }
}
