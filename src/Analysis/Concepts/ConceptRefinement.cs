using Analysis.Factorization;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Concepts;

/// <summary>How one direction is split into unique concept vectors.</summary>
public sealed record RefinementOptions
{
    /// <summary>Images with the largest projection that are clustered (T).</summary>
    public int Top { get; init; } = 100;

    /// <summary>
    /// Cut of the Ward tree in the units of the activations, as published (15 for Inception Mixed_7b); null for the
    /// scale-free choice of the number of clusters by silhouette.
    /// </summary>
    public double? CutHeight { get; init; }

    /// <summary>
    /// Images at least this squared distance from their centroid are dropped, as published; null for the scale-free rule
    /// median + 3 × 1.4826 × MAD inside each cluster.
    /// </summary>
    public double? OutlierSquaredDistance { get; init; }

    /// <summary>Smallest cluster kept; null for max(5, 5% of T).</summary>
    public int? MinimumSize { get; init; }

    /// <summary>Most clusters that the scale-free choice considers.</summary>
    public int MaximumClusters { get; init; } = 6;

    /// <summary>The direction stays whole unless some split reaches this mean silhouette.</summary>
    public double SilhouetteThreshold { get; init; } = 0.25;

    /// <summary>Starts of k-means.</summary>
    public int Restarts { get; init; } = 5;

    /// <summary>Seed of k-means.</summary>
    public int Seed { get; init; }

    /// <summary>The published constants, which belong to the scale of Inception's Mixed_7b.</summary>
    public static RefinementOptions Official { get; } = new() { CutHeight = 15, OutlierSquaredDistance = 15, MinimumSize = 5 };
}

/// <summary>One unique concept vector of a direction.</summary>
/// <param name="Cluster">Number of the cluster, by first appearance among the top images.</param>
/// <param name="Members">Rows of the images in it, strongest projection first.</param>
/// <param name="Vector">Mean activation of the members, unit length. Length C.</param>
/// <param name="Contrast">Mean activation of the members minus that of all top images, unit length; zeros where the two are equal. Length C.</param>
/// <param name="CosineToDirection">Cosine of <paramref name="Vector"/> with the direction.</param>
public sealed record RefinedConcept(int Cluster, int[] Members, double[] Vector, double[] Contrast, double CosineToDirection);

/// <summary>The refinement of one direction.</summary>
/// <param name="TopIndex">Rows with the largest projection, descending. Length T.</param>
/// <param name="WardHeights">Merge heights of the tree, in the units of the activations. Length T − 1.</param>
/// <param name="Clusters">Clusters before small ones are dropped.</param>
/// <param name="Silhouette">Mean silhouette of the chosen split; NaN where the direction stays whole or the cut is by height.</param>
/// <param name="SquaredDistances">Squared distance of each top image to its centroid, in the units of the activations. Length T.</param>
/// <param name="Labels">Cluster of each top image by first appearance; −1 where dropped. Length T.</param>
/// <param name="Concepts">What is left, in the order of the labels; may be empty.</param>
public sealed record RefinementResult(
    int[] TopIndex,
    IReadOnlyList<double> WardHeights,
    int Clusters,
    double Silhouette,
    double[] SquaredDistances,
    int[] Labels,
    IReadOnlyList<RefinedConcept> Concepts);

/// <summary>
/// Splits a direction into unique concept vectors (Graziani et al. 2023; O'Mahony et al. 2023): the images that project
/// furthest on it are clustered, stragglers and small clusters are dropped, and each remaining cluster's unit mean is a vector.
/// </summary>
public static class ConceptRefinement
{
    /// <summary>Refines one end of a direction.</summary>
    /// <param name="pooled">Pooled activations, N×C, float32 or float64; the rows that may be chosen (one class's, or all).</param>
    /// <param name="direction">Unit direction, C. Negate it to refine the other end.</param>
    /// <param name="options">Null for the scale-free defaults.</param>
    public static RefinementResult Refine(Tensor pooled, Tensor direction, RefinementOptions? options = null)
    {
        options ??= new RefinementOptions();
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var n = (int)pooled.shape[0];
        var top = Math.Min(options.Top, n);
        if (top == 0)
        {
            return new RefinementResult([], [], 0, double.NaN, [], [], []);
        }

        var v = direction.to(ScalarType.Float64).to(pooled.device);
        var projections = (pooled.dtype == ScalarType.Float64 ? pooled.mv(v) : pooled.mv(v.to(pooled.dtype)).to(ScalarType.Float64))
            .cpu().data<double>().ToArray();
        var order = Ranks.Descending(projections).AsSpan(0, top).ToArray();
        var index = torch.tensor(Array.ConvertAll(order, i => (long)i), ScalarType.Int64, device: pooled.device);
        var selected = pooled.index_select(0, index).to(ScalarType.Float64);
        var x = DenseMatrix.FromTensor(selected);
        return Cluster(x, order, DenseMatrix.FromTensor(v).Values, Coordinates(selected, x), options);
    }

    /// <summary>T points span at most T − 1 dimensions: fewer coordinates with the same distances make clustering cheap.</summary>
    private static DenseMatrix Coordinates(Tensor selected, DenseMatrix x)
    {
        if (selected.shape[1] <= selected.shape[0])
        {
            return x;
        }

        using var scope = torch.NewDisposeScope();
        var centred = selected - selected.mean([0L], keepdim: true);
        var (_, r) = torch.linalg.qr(centred.t());
        return DenseMatrix.FromTensor(r.t());
    }

    private static RefinementResult Cluster(DenseMatrix x, int[] order, double[] direction, DenseMatrix points, RefinementOptions options)
    {
        var top = x.Rows;
        var distances = Distances.Pairwise(points);
        var tree = WardTree.Build(distances);
        var (clusters, silhouette) = options.CutHeight is { } height
            ? (tree.CountAt(height), double.NaN)
            : ChooseBySilhouette(distances, tree, options);

        // The tree's own clusters are one more start beside the random ones.
        var fit = KMeans.Fit(points, clusters, options.Seed, options.Restarts, 1000);
        var fromTree = KMeans.Lloyd(points, GroupMeans(points, tree.Cut(clusters), clusters), 1000);
        if (fromTree.Inertia <= fit.Inertia)
        {
            fit = fromTree;
        }

        var keep = new bool[top];
        for (var c = 0; c < clusters; c++)
        {
            var members = Enumerable.Range(0, top).Where(i => fit.Labels[i] == c).ToArray();
            var limit = double.PositiveInfinity;
            if (options.OutlierSquaredDistance is null && members.Length > 0)
            {
                var own = Array.ConvertAll(members, i => Math.Sqrt(fit.SquaredDistances[i]));
                limit = RobustStatistics.Median(own) + (3 * RobustStatistics.NormalConsistency * RobustStatistics.MedianAbsoluteDeviation(own));
            }

            foreach (var i in members)
            {
                keep[i] = options.OutlierSquaredDistance is { } squared
                    ? fit.SquaredDistances[i] < squared
                    : Math.Sqrt(fit.SquaredDistances[i]) <= limit;
            }
        }

        var minimum = options.MinimumSize ?? Math.Max(5, (int)Math.Ceiling(0.05 * top));
        var size = new int[clusters];
        for (var i = 0; i < top; i++)
        {
            size[fit.Labels[i]] += keep[i] ? 1 : 0;
        }

        var labels = new int[top];
        var number = new Dictionary<int, int>();
        for (var i = 0; i < top; i++)
        {
            labels[i] = -1;
            if (keep[i] && size[fit.Labels[i]] >= minimum)
            {
                number.TryAdd(fit.Labels[i], number.Count);
                labels[i] = number[fit.Labels[i]];
            }
        }

        var overall = x.ColumnMeans();
        var concepts = new List<RefinedConcept>(number.Count);
        for (var c = 0; c < number.Count; c++)
        {
            var members = Enumerable.Range(0, top).Where(i => labels[i] == c).ToArray();
            var mean = x.Take(members).ColumnMeans();
            var contrast = new double[mean.Length];
            for (var d = 0; d < mean.Length; d++)
            {
                contrast[d] = mean[d] - overall[d];
            }

            // A cluster of all top images has no contrast; rounding must not be blown up to a unit vector.
            if (RobustStatistics.IsDegenerate(Vectors.Norm(contrast), Vectors.Norm(mean)))
            {
                Array.Clear(contrast);
            }

            var vector = Vectors.Unit(mean);
            concepts.Add(new RefinedConcept(
                c, Array.ConvertAll(members, i => order[i]), vector, Vectors.Unit(contrast), Vectors.Cosine(vector, direction)));
        }

        return new RefinementResult(order, tree.Heights, clusters, silhouette, fit.SquaredDistances, labels, concepts);
    }

    private static (int Clusters, double Silhouette) ChooseBySilhouette(DenseMatrix distances, WardTree tree, RefinementOptions options)
    {
        var best = 1;
        var bestValue = double.NaN;
        for (var q = 2; q <= Math.Min(options.MaximumClusters, distances.Rows - 1); q++)
        {
            var value = RobustStatistics.Mean(ClusterAgreement.Silhouette(distances, tree.Cut(q)));
            if (value >= options.SilhouetteThreshold && (double.IsNaN(bestValue) || value > bestValue))
            {
                (best, bestValue) = (q, value);
            }
        }

        return (best, bestValue);
    }

    private static DenseMatrix GroupMeans(DenseMatrix points, int[] labels, int clusters)
    {
        var means = new DenseMatrix(clusters, points.Columns);
        var size = new int[clusters];
        for (var i = 0; i < points.Rows; i++)
        {
            Vectors.Add(means.Row(labels[i]), points.Row(i));
            size[labels[i]]++;
        }

        for (var c = 0; c < clusters; c++)
        {
            Vectors.Scale(means.Row(c), 1.0 / size[c]);
        }

        return means;
    }
}
