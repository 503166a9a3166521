using Analysis.Activations;
using Analysis.Networks.Files;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Concepts;

/// <summary>A unique concept vector found on the whole data set.</summary>
/// <param name="Direction">Singular direction.</param>
/// <param name="End">+1 for the images that project furthest on the direction, −1 for those that project furthest against it.</param>
/// <param name="Cluster">Number of the cluster on that end; <see cref="ConceptBank.WholeEnd"/> for all its images, <see cref="ConceptBank.DirectionItself"/> for the direction.</param>
/// <param name="Vector">Unit contrast of the cluster's mean with the mean of the data set. Length C.</param>
/// <param name="Stability">Cosine between the contrasts of two random halves of the cluster; NaN for fewer than 10 images.</param>
public sealed record BankVector(int Direction, int End, int Cluster, double[] Vector, double Stability);

/// <summary>
/// Unique concept vectors of a data set (Graziani et al. 2023, METHODS 1.3): for each end of a direction the images of the
/// whole data set that project furthest are clustered, and each cluster gives a vector. Found once for all classes, so that
/// classes which rely on the same pattern share the very same concept. The direction itself and the whole end stay beside
/// the clusters: a pattern that several classes show (stripes, say) is one direction, whose clusters are already single
/// classes. A vector is the contrast with the mean of the data
/// set: plain cluster means share the strong common component (cosines around 0.95) and would all look alike.
/// </summary>
public static class ConceptBank
{
    /// <summary>Cluster number of the vector of all images on an end, where the end was split.</summary>
    public const int WholeEnd = -1;

    /// <summary>Cluster number of the direction itself, oriented to the end.</summary>
    public const int DirectionItself = -2;

    private const int Part = 2048;
    private const int FewestForStability = 10;

    /// <summary>Finds the vectors.</summary>
    /// <param name="store">Recorded activations.</param>
    /// <param name="directions">Singular directions of the data set.</param>
    /// <param name="chosen">Directions to refine, ascending.</param>
    /// <param name="mean">Mean pooled activation, C float64 on the CPU.</param>
    /// <param name="device">Device for the projections.</param>
    /// <param name="seed">Seed of clustering and halves.</param>
    /// <param name="parallel">Ends refined at the same time.</param>
    /// <param name="progress">Called with the number of refined ends.</param>
    /// <param name="cancellation">Honoured between parts and directions.</param>
    public static IReadOnlyList<BankVector> Build(
        ActivationStore store, SingularDirections directions, IReadOnlyList<int> chosen, Tensor mean, Device device, int seed, int parallel, Action<int> progress, CancellationToken cancellation)
    {
        using var outer = NewDisposeScope();
        using var guard = no_grad();
        var top = Math.Min(store.Rows, Math.Clamp(store.Rows / 20, 20, 100));
        var vectors = directions.Vectors.index_select(0, tensor(chosen.ToArray())).to(device);
        var bank = new List<BankVector>();
        var ends = 0;
        Lock gate = new();
        foreach (var end in new[] { 1, -1 })
        {
            var rows = Furthest(store, vectors * Scalars.Of(end), top, cancellation);
            Parallel.For(0, chosen.Count, new ParallelOptions { MaxDegreeOfParallelism = parallel, CancellationToken = cancellation }, j =>
            {
                var found = Refine(store, directions.Vectors, chosen[j], end, rows.AsSpan(j * top, top), mean, seed);
                lock (gate)
                {
                    bank.AddRange(found);
                    progress(++ends);
                }
            });
        }

        return [.. bank.OrderBy(b => b.Direction).ThenByDescending(b => b.End).ThenBy(b => b.Cluster)];
    }

    /// <summary>Refines one end of one direction.</summary>
    private static List<BankVector> Refine(ActivationStore store, Tensor vectors, int direction, int end, ReadOnlySpan<int> images, Tensor mean, int seed)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var pooled = store.GatherTensor("pooled.0", images).to(ScalarType.Float64);
        var oriented = vectors[direction] * Scalars.Of(end);
        var refined = ConceptRefinement.Refine(pooled, oriented, new RefinementOptions { Top = images.Length, Seed = seed });
        var found = new List<BankVector>();
        foreach (var concept in refined.Concepts)
        {
            if (Contrast.Of(pooled, concept.Members, mean) is { } vector)
            {
                found.Add(new BankVector(direction, end, concept.Cluster, vector, Stability(pooled, concept.Members, mean, seed)));
            }
        }

        int[] all = [.. Enumerable.Range(0, images.Length)];
        if (refined.Concepts.Count > 1 && Contrast.Of(pooled, all, mean) is { } whole)
        {
            found.Add(new BankVector(direction, end, WholeEnd, whole, Stability(pooled, all, mean, seed)));
        }

        found.Add(new BankVector(direction, end, DirectionItself, DenseMatrix.FromTensor(oriented.unsqueeze(0)).Row(0).ToArray(), double.NaN));
        return found;
    }

    /// <summary>Split-half stability of a cluster's contrast.</summary>
    /// <param name="pooled">Activations.</param>
    /// <param name="members">Rows of the cluster.</param>
    /// <param name="mean">Mean of the data set.</param>
    /// <param name="seed">Seed of the halves.</param>
    public static double Stability(Tensor pooled, int[] members, Tensor mean, int seed)
    {
        if (members.Length < FewestForStability)
        {
            return double.NaN;
        }

        var shuffled = (int[])members.Clone();
        new Random(seed).Shuffle(shuffled);
        var half = shuffled.Length / 2;
        return Contrast.Of(pooled, shuffled[..half], mean) is { } a && Contrast.Of(pooled, shuffled[half..], mean) is { } b ? Vectors.Dot(a, b) : double.NaN;
    }

    /// <summary>Writes the bank.</summary>
    public static void Save(string path, IReadOnlyList<BankVector> bank, int channels)
    {
        using var scope = NewDisposeScope();
        SafetensorsTensors.Save(path,
        [
            ("direction", tensor(bank.Select(b => b.Direction).ToArray())),
            ("end", tensor(bank.Select(b => b.End).ToArray())),
            ("cluster", tensor(bank.Select(b => b.Cluster).ToArray())),
            ("stability", tensor(bank.Select(b => b.Stability).ToArray())),
            ("vectors", tensor(bank.SelectMany(b => b.Vector).ToArray(), [bank.Count, channels])),
        ]);
    }

    /// <summary>Reads the bank.</summary>
    public static IReadOnlyList<BankVector> Read(string path)
    {
        using var file = SafetensorsFile.Open(path);
        var (count, channels) = ((int)file.Entry("vectors").Shape[0], (int)file.Entry("vectors").Shape[1]);
        var result = new List<BankVector>(count);
        for (var i = 0; i < count; i++)
        {
            result.Add(new BankVector(
                file.Span<int>("direction")[i],
                file.Span<int>("end")[i],
                file.Span<int>("cluster")[i],
                file.Span<double>("vectors").Slice(i * channels, channels).ToArray(),
                file.Span<double>("stability")[i]));
        }

        return result;
    }

    /// <summary>Rows with the largest projection on each direction, descending, streamed: J×top row by row.</summary>
    private static int[] Furthest(ActivationStore store, Tensor vectors, int top, CancellationToken cancellation)
    {
        using var outer = NewDisposeScope();
        var transposed = vectors.t();
        Tensor? best = null;
        Tensor? index = null;
        for (var start = 0; start < store.Rows; start += Part)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var count = Math.Min(Part, store.Rows - start);
            var values = store.ReadTensor("pooled.0", start, count).to(vectors.device).to(ScalarType.Float64).mm(transposed);
            var rows = arange(Scalars.Of(start), Scalars.Of(start + count), Scalars.One, ScalarType.Int64, vectors.device).unsqueeze(1).expand(count, vectors.shape[0]);
            var allValues = best is null ? values : cat([best, values], 0);
            var allRows = index is null ? rows : cat([index, rows], 0);
            var (kept, places) = allValues.topk((int)Math.Min(top, allValues.shape[0]), 0);
            var keptRows = allRows.gather(0, places);
            best?.Dispose();
            index?.Dispose();
            (best, index) = (kept.DetachFromDisposeScope(), keptRows.DetachFromDisposeScope());
        }

        using (best)
        using (index)
        {
            return Array.ConvertAll(index!.t().contiguous().cpu().data<long>().ToArray(), v => (int)v);
        }
    }
}

/// <summary>The contrast of a group of images with the whole data set.</summary>
public static class Contrast
{
    /// <summary>Unit vector from the mean of the data set to the mean of the group; null where the two are equal.</summary>
    /// <param name="pooled">Activations, n×C float64.</param>
    /// <param name="members">Rows of the group.</param>
    /// <param name="mean">Mean of the data set, C float64 on the CPU.</param>
    public static double[]? Of(Tensor pooled, int[] members, Tensor mean)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var group = pooled.index_select(0, tensor(members, device: pooled.device)).mean([0L]).cpu();
        var difference = DenseMatrix.FromTensor((group - mean).unsqueeze(0)).Row(0).ToArray();
        return RobustStatistics.IsDegenerate(Vectors.Norm(difference), group.norm().item<double>()) ? null : Vectors.Unit(difference);
    }
}
