using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Numerics;

/// <summary>Euclidean distances.</summary>
public static class Distances
{
    /// <summary>All distances between rows, n×n, computed entry by entry: exact zeros for equal rows.</summary>
    /// <param name="rows">n×d.</param>
    public static DenseMatrix Pairwise(DenseMatrix rows)
    {
        var result = new DenseMatrix(rows.Rows, rows.Rows);
        for (var i = 0; i < rows.Rows; i++)
        {
            for (var j = i + 1; j < rows.Rows; j++)
            {
                var d = Math.Sqrt(Vectors.SquaredDistance(rows.Row(i), rows.Row(j)));
                result[i, j] = d;
                result[j, i] = d;
            }
        }

        return result;
    }

    /// <summary>
    /// Squared distances between two sets by one matrix product, m×n in the dtype of the inputs; small ones carry the rounding
    /// error of the norms, so refine where zeros matter.
    /// </summary>
    /// <param name="a">m×d.</param>
    /// <param name="b">n×d, same dtype and device.</param>
    public static Tensor Squared(Tensor a, Tensor b)
    {
        using var scope = torch.NewDisposeScope();
        var aa = (a * a).sum(1, keepdim: true);
        var bb = (b * b).sum(1).unsqueeze(0);
        return (aa.add(bb, Scalars.One)).addmm_(a, b.t(), beta: 1, alpha: -2).clamp_min_(Scalars.Of(0)).MoveToOuterDisposeScope();
    }
}

/// <summary>The k nearest rows of each query, nearest first; equal distances in the order of the index.</summary>
/// <param name="Indices">n×k, rows of the reference set.</param>
/// <param name="Distances">n×k, Euclidean.</param>
/// <param name="K">Neighbours a row.</param>
public sealed record NeighbourTable(int[] Indices, double[] Distances, int K)
{
    /// <summary>Number of queries.</summary>
    public int Count => K == 0 ? 0 : Indices.Length / K;

    /// <summary>Neighbours of one query.</summary>
    public ReadOnlySpan<int> IndicesOf(int row) => Indices.AsSpan(row * K, K);

    /// <summary>Distances of one query's neighbours, ascending.</summary>
    public ReadOnlySpan<double> DistancesOf(int row) => Distances.AsSpan(row * K, K);
}

/// <summary>Exact nearest neighbours by brute force, chunked so that memory stays bounded.</summary>
public static class NearestNeighbours
{
    // 4 MiB of float64: the temporaries of a part, about six times as much, stay small beside the rest of a run.
    private const long ChunkElements = 1 << 19;

    /// <summary>Neighbours within one set, each row itself left out (by position: equal rows are neighbours at distance 0).</summary>
    /// <param name="rows">n×d; float64 for exact ties, float32 for speed.</param>
    /// <param name="k">Clipped to n − 1.</param>
    /// <param name="refine">
    /// Recompute the chosen distances from differences, so that equal rows are at exactly 0; costs n·k·d. Default: up to k = 64.
    /// </param>
    public static NeighbourTable Within(Tensor rows, int k, bool? refine = null) => Find(rows, rows, k, excludeSelf: true, refine);

    /// <summary>Neighbours of each query among the references.</summary>
    /// <param name="queries">m×d.</param>
    /// <param name="references">n×d, same dtype and device.</param>
    /// <param name="k">Clipped to n.</param>
    /// <param name="refine">As in <see cref="Within"/>.</param>
    public static NeighbourTable Between(Tensor queries, Tensor references, int k, bool? refine = null) =>
        Find(queries, references, k, excludeSelf: false, refine);

    /// <summary>On the processor: candidates by float32 differences, and where asked for their distances again in float64.</summary>
    private static NeighbourTable FindInMemory(Tensor queries, Tensor references, int k, bool excludeSelf, bool exact)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var (m, n, width) = ((int)queries.shape[0], (int)references.shape[0], (int)queries.shape[1]);
        var candidates = exact ? Math.Min(excludeSelf ? n - 1 : n, k + 8) : k;
        var centre = references.mean([0L], keepdim: true);

        // A power of two brings the values near 1 without changing their digits: squares neither overflow nor vanish.
        var largest = n == 0 || width == 0 ? 0 : (references - centre).abs().nan_to_num(0, 0, 0).max().to(ScalarType.Float64).item<double>();
        var scale = largest > 0 ? Math.ScaleB(1, -Math.ILogB(largest)) : 1;
        var near = Host<float>(references - centre, scale, ScalarType.Float32);
        var (index, squared) = NearestRows.Find(
            ReferenceEquals(queries, references) ? near : Host<float>(queries - centre, scale, ScalarType.Float32), near, width, candidates, excludeSelf, torch.get_num_threads());
        var distances = new double[(long)m * k];
        if (!exact)
        {
            for (var i = 0; i < distances.Length; i++)
            {
                distances[i] = Math.Sqrt(squared[i]) / scale;
            }

            return new NeighbourTable(index, distances, k);
        }

        var b = Host<double>(references, 1, ScalarType.Float64);
        var a = ReferenceEquals(queries, references) ? b : Host<double>(queries, 1, ScalarType.Float64);
        var indices = new int[(long)m * k];
        Parallel.For(0, (m + 255) / 256, new ParallelOptions { MaxDegreeOfParallelism = torch.get_num_threads() }, part =>
        {
            Span<double> own = stackalloc double[candidates];
            for (var i = part * 256; i < Math.Min(m, (part + 1) * 256); i++)
            {
                var which = index.AsSpan(i * candidates, candidates);
                for (var j = 0; j < candidates; j++)
                {
                    own[j] = Vectors.SquaredDistance(a.AsSpan(i * width, width), b.AsSpan(which[j] * width, width));
                }

                // By distance, then by index: insertion, since the candidates are nearly in order.
                for (var j = 1; j < candidates; j++)
                {
                    var (distance, row, at) = (own[j], which[j], j);
                    while (at > 0 && (own[at - 1] > distance || (own[at - 1] == distance && which[at - 1] > row)))
                    {
                        (own[at], which[at]) = (own[at - 1], which[at - 1]);
                        at--;
                    }

                    (own[at], which[at]) = (distance, row);
                }

                which[..k].CopyTo(indices.AsSpan(i * k));
                for (var j = 0; j < k; j++)
                {
                    distances[(i * k) + j] = Math.Sqrt(own[j]);
                }
            }
        });
        return new NeighbourTable(indices, distances, k);

        static T[] Host<T>(Tensor rows, double scale, ScalarType type)
            where T : unmanaged
        {
            using var host = (scale == 1 ? rows : rows * Scalars.Of(scale)).to(type).contiguous();
            return host.data<T>().ToArray();
        }
    }

    private static NeighbourTable Find(Tensor queries, Tensor references, int k, bool excludeSelf, bool? refine)
    {
        var m = (int)queries.shape[0];
        var n = (int)references.shape[0];
        k = Math.Min(k, excludeSelf ? n - 1 : n);
        if (k <= 0 || m == 0)
        {
            return new NeighbourTable([], [], 0);
        }

        var exact = refine ?? k <= 64;
        if (queries.device.type == DeviceType.CPU)
        {
            return FindInMemory(queries, references, k, excludeSelf, exact);
        }

        // A few more candidates than asked for, because rounding may swap neighbours at the edge.
        var candidates = exact ? Math.Min(n, k + 8 + (excludeSelf ? 1 : 0)) : Math.Min(n, k + (excludeSelf ? 1 : 0));
        var width = queries.shape[1];
        var chunk = (int)Math.Clamp(ChunkElements / Math.Max(n, exact ? candidates * width : 1), 1, m);
        var indices = new int[(long)m * k];
        var distances = new double[(long)m * k];
        using var noGrad = torch.no_grad();

        // The product is computed around the mean: distances are the same, rounding is smaller.
        using var centre = references.mean([0L], keepdim: true);
        using var b = references - centre;
        for (var start = 0; start < m; start += chunk)
        {
            using var scope = torch.NewDisposeScope();
            var rows = Math.Min(chunk, m - start);
            var q = queries.narrow(0, start, rows);
            var squared = Distances.Squared(q - centre, b);
            if (excludeSelf)
            {
                squared.diagonal(start).fill_(Scalars.Of(double.PositiveInfinity));
            }

            var (near, index) = squared.topk(candidates, 1, largest: false, sorted: true);
            if (exact)
            {
                var flat = references.index_select(0, index.reshape(-1)).view(rows, candidates, width);
                var infinite = near.isinf();
                near = (flat - q.unsqueeze(1)).pow(Scalars.Of(2)).sum(2);
                near.masked_fill_(infinite, Scalars.Of(double.PositiveInfinity));
            }

            // By distance, then by index: two stable sorts from the least significant key.
            var byIndex = index.argsort(1);
            index = index.gather(1, byIndex);
            near = near.gather(1, byIndex);
            var (sorted, order) = near.sort(1, descending: false, stable: true);
            index = index.gather(1, order).narrow(1, 0, k);
            sorted = sorted.narrow(1, 0, k).sqrt();
            var hostIndex = index.to(ScalarType.Int32).cpu().contiguous().data<int>().ToArray();
            var hostDistance = sorted.to(ScalarType.Float64).cpu().contiguous().data<double>().ToArray();
            hostIndex.CopyTo(indices, (long)start * k);
            hostDistance.CopyTo(distances, (long)start * k);
        }

        return new NeighbourTable(indices, distances, k);
    }
}
