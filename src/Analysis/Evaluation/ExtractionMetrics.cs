using Analysis.Factorization;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Evaluation;

/// <summary>What <see cref="ExtractionMetrics.Score"/> computes beside errors and sparsity.</summary>
public sealed record ScoreOptions
{
    /// <summary>Fréchet distance: O(n p² + p³).</summary>
    public bool Frechet { get; init; } = true;

    /// <summary>Out-of-distribution score: at most <see cref="MaximumQueries"/> × <see cref="MaximumReferences"/> distances.</summary>
    public bool OutOfDistribution { get; init; } = true;

    /// <summary>Rows whose reconstruction is compared with the real rows, spread evenly.</summary>
    public int MaximumQueries { get; init; } = 1000;

    /// <summary>Real rows that they are compared with, spread evenly.</summary>
    public int MaximumReferences { get; init; } = 10_000;

    /// <summary>Rows that are encoded at a time.</summary>
    public int PartRows { get; init; } = 2048;
}

/// <summary>
/// Measures of a factorisation A ≈ Â = U V (+ offset) (Fel et al. 2023, arXiv 2306.07304, section 4.1). All in float64; rows are
/// encoded and compared in parts, so memory stays at one part and p² numbers.
/// </summary>
public static class ExtractionMetrics
{
    /// <summary>A coefficient of smaller magnitude counts as not used.</summary>
    public const double ActiveThreshold = 1e-6;

    /// <summary>Which nearest row the out-of-distribution score looks at.</summary>
    public const int OutOfDistributionNeighbour = 5;

    private const double RelativeFloor = 1e-6;
    private const int HoldOut = 5;

    /// <summary>Encodes, decodes and scores rows. Stability is not among it (<see cref="DictionaryStability"/>): it needs more fits.</summary>
    /// <param name="rows">A, n×p, float32 or float64, any device; read only.</param>
    /// <param name="factors">Fitted to p columns.</param>
    /// <param name="options">What to compute; null for all.</param>
    /// <param name="reference">Of the same rows, to be used for several factors; null to make one.</param>
    /// <param name="cancellation">Honoured between parts.</param>
    /// <exception cref="ArgumentException">No rows, or of another width.</exception>
    public static ExtractionScores Score(
        Tensor rows, Factors factors, ScoreOptions? options = null, FrechetReference? reference = null, CancellationToken cancellation = default)
    {
        options ??= new ScoreOptions();
        if (rows.dim() != 2 || rows.shape[0] == 0 || rows.shape[1] != factors.Vectors.shape[1])
        {
            throw new ArgumentException($"Rows of {factors.Vectors.shape[1]} columns are expected, not a tensor of shape ({string.Join(", ", rows.shape)}).", nameof(rows));
        }

        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var device = factors.Vectors.device;
        var mean = Mean(rows, options.PartRows, cancellation).to(device);
        using var tally = new ExtractionTally(mean, factors.Components);
        using var real = options.Frechet && reference is null ? new RowMoments(mean) : null;
        using var reconstructed = options.Frechet ? new RowMoments(mean) : null;
        foreach (var (start, count) in Parts(rows.shape[0], options.PartRows))
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = torch.NewDisposeScope();
            var x = rows.narrow(0, start, count).to(device);
            var codes = factors.Encode(x.to(factors.Vectors.dtype));
            var decoded = factors.Decode(codes);
            tally.Add(x, codes, decoded);
            real?.Add(x);
            reconstructed?.Add(decoded);
        }

        var frechet = double.NaN;
        if (options.Frechet && rows.shape[0] > 1 && tally.Finite)
        {
            cancellation.ThrowIfCancellationRequested();
            using var made = reference is null ? new FrechetReference(real!) : null;
            frechet = (reference ?? made!).Distance(reconstructed!);
        }

        var scores = tally.Scores();
        return scores with
        {
            Frechet = frechet,
            OutOfDistribution = options.OutOfDistribution && tally.Finite ? OutOfDistribution(rows, factors, options, cancellation) : double.NaN,
        };
    }

    /// <summary>Makes the fixed side of the Fréchet distance from rows, to be used for several factors.</summary>
    /// <param name="rows">n×p, n at least 2.</param>
    /// <param name="device">Where to keep it: that of the factors; null for that of the rows.</param>
    /// <param name="cancellation">Honoured between parts.</param>
    public static FrechetReference Reference(Tensor rows, Device? device = null, CancellationToken cancellation = default)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var part = new ScoreOptions().PartRows;
        using var moments = new RowMoments(Mean(rows, part, cancellation).to(device ?? rows.device));
        foreach (var (start, count) in Parts(rows.shape[0], part))
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = torch.NewDisposeScope();
            moments.Add(rows.narrow(0, start, count).to(device ?? rows.device));
        }

        return new FrechetReference(moments);
    }

    /// <summary>
    /// 1 − Σ(a − â)² / Σ(a − mean)². With one mean over all entries it is flattered where columns have different means.
    /// </summary>
    /// <param name="rows">n×p.</param>
    /// <param name="reconstruction">n×p, same device.</param>
    /// <param name="globalMean">One mean over all entries, and 1e-6 added to the variance, as in some published code.</param>
    /// <returns>At most 1; NaN where the rows do not vary.</returns>
    public static double RSquared(Tensor rows, Tensor reconstruction, bool globalMean = false)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var a = rows.to(ScalarType.Float64);
        var residual = (a - reconstruction.to(ScalarType.Float64)).pow(Scalars.Of(2)).sum().item<double>();
        var mean = globalMean ? a.mean() : a.mean([0L]);
        var total = (a - mean).pow(Scalars.Of(2)).sum().item<double>();
        return globalMean ? 1 - (residual / (total + (1e-6 * a.numel()))) : Explained(residual, total, a.numel(), a.mean().item<double>());
    }

    /// <summary>||a − â|| / (||a|| + 1e-6) of each row (Euclidean); NaN for a row of zeros. Belongs to the caller's dispose scope.</summary>
    /// <param name="rows">n×p.</param>
    /// <param name="reconstruction">n×p, same device.</param>
    public static Tensor RelativeErrors(Tensor rows, Tensor reconstruction)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var a = rows.to(ScalarType.Float64);
        var norm = a.norm(1);
        var error = (a - reconstruction.to(ScalarType.Float64)).norm(1) / norm.add(Scalars.Of(RelativeFloor), Scalars.One);
        return error.masked_fill_(norm == Scalars.Of(0), Scalars.Of(double.NaN)).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Hoyer sparsity (√k − ||u||₁/||u||₂) / (√k − 1) of each row (Hoyer 2004), 0 to 1; NaN for zeros and for k = 1. Belongs to
    /// the caller's dispose scope.
    /// </summary>
    /// <param name="codes">U, n×k.</param>
    /// <param name="stabiliser">Added to ||u||₂, as some published code does; it makes the value depend on the scale.</param>
    public static Tensor Hoyer(Tensor codes, double stabiliser = 0)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var u = codes.to(ScalarType.Float64);
        var root = Math.Sqrt(u.shape[1]);
        var norm = u.norm(1);
        var ratio = u.abs().sum(1) / norm.add(Scalars.Of(stabiliser), Scalars.One);
        var value = u.shape[1] == 1 ? torch.full_like(norm, Scalars.Of(double.NaN)) : (Scalars.Of(root) - ratio) / Scalars.Of(root - 1);
        return value.masked_fill_(norm == Scalars.Of(0), Scalars.Of(double.NaN)).MoveToOuterDisposeScope();
    }

    /// <summary>Σu⁴ / (Σu²)² of each row, 1/k to 1; NaN for zeros. Belongs to the caller's dispose scope.</summary>
    /// <param name="codes">U, n×k.</param>
    /// <param name="stabiliser">Added to the denominator, as some published code does; it makes the value depend on the scale.</param>
    public static Tensor Kappa4(Tensor codes, double stabiliser = 0)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var u = codes.to(ScalarType.Float64);

        // By the largest entry, so that fourth powers neither overflow nor vanish.
        var largest = stabiliser == 0 ? u.abs().amax([1L], keepdim: true) : torch.ones([u.shape[0], 1], ScalarType.Float64, u.device);
        var squares = (u / largest).pow(Scalars.Of(2));
        var value = squares.pow(Scalars.Of(2)).sum(1) / squares.sum(1).pow(Scalars.Of(2)).add(Scalars.Of(stabiliser), Scalars.One);
        return value.masked_fill_(u.norm(1) == Scalars.Of(0), Scalars.Of(double.NaN)).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Distance of each row, scaled to unit length, to its k-th nearest reference row of unit length, 0 to 2 (deep nearest
    /// neighbours, Sun et al. 2022, arXiv 2204.06507). Rows of zeros have no direction: NaN, and no reference.
    /// </summary>
    /// <param name="rows">m×p.</param>
    /// <param name="references">n×p real rows, same device.</param>
    /// <param name="neighbour">Which one; clipped to the number of references.</param>
    public static double[] NeighbourDistances(Tensor rows, Tensor references, int neighbour = OutOfDistributionNeighbour)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var (queries, at) = Directions(rows);
        var (real, _) = Directions(references);
        var result = new double[rows.shape[0]];
        Array.Fill(result, double.NaN);
        if (at.Length == 0 || real.shape[0] == 0)
        {
            return result;
        }

        var table = NearestNeighbours.Between(queries, real, neighbour);
        for (var i = 0; i < at.Length; i++)
        {
            result[at[i]] = table.DistancesOf(i)[^1];
        }

        return result;
    }

    internal static double Explained(double residual, double total, double entries, double mean)
    {
        var spread = Math.Sqrt(total / entries);
        return spread <= 1e-12 * Math.Max(1, Math.Abs(mean)) ? double.NaN : 1 - (residual / total);
    }

    internal static IEnumerable<(long Start, long Count)> Parts(long rows, int size)
    {
        for (long start = 0; start < rows; start += size)
        {
            yield return (start, Math.Min(size, rows - start));
        }
    }

    // Every fifth row is kept back: it and its reconstruction are both compared with the others, so the two are on one footing.
    private static double OutOfDistribution(Tensor rows, Factors factors, ScoreOptions options, CancellationToken cancellation)
    {
        var n = rows.shape[0];
        if (n <= HoldOut)
        {
            return double.NaN;
        }

        using var scope = torch.NewDisposeScope();
        var device = factors.Vectors.device;
        var held = Enumerable.Range(0, (int)(n / HoldOut)).Select(i => ((long)i * HoldOut) + HoldOut - 1).ToArray();
        var isHeld = held.ToHashSet();
        var others = Enumerable.Range(0, (int)n).Select(i => (long)i).Where(i => !isHeld.Contains(i)).ToArray();
        var queries = Take(rows, Spread(held, options.MaximumQueries)).to(device);
        var references = Take(rows, Spread(others, options.MaximumReferences)).to(device);
        var decoded = torch.cat([.. Parts(queries.shape[0], options.PartRows).Select(part =>
        {
            cancellation.ThrowIfCancellationRequested();
            return factors.Decode(factors.Encode(queries.narrow(0, part.Start, part.Count).to(factors.Vectors.dtype)));
        })]);
        cancellation.ThrowIfCancellationRequested();
        var made = Average(NeighbourDistances(decoded, references));
        cancellation.ThrowIfCancellationRequested();
        var real = Average(NeighbourDistances(queries, references));

        // Distances of unit vectors: below this the real rows all have one direction, up to rounding.
        return real <= 1e-7 ? double.NaN : made / real;
    }

    private static double Average(double[] distances)
    {
        var defined = distances.Where(d => !double.IsNaN(d)).ToArray();
        return defined.Length == 0 ? double.NaN : defined.Average();
    }

    private static long[] Spread(long[] indices, int most) =>
        indices.Length <= most ? indices : [.. Enumerable.Range(0, most).Select(i => indices[(long)i * indices.Length / most])];

    private static Tensor Take(Tensor rows, long[] indices)
    {
        using var scope = torch.NewDisposeScope();
        return rows.index_select(0, torch.tensor(indices, device: rows.device)).to(ScalarType.Float64).MoveToOuterDisposeScope();
    }

    private static (Tensor Unit, int[] At) Directions(Tensor rows)
    {
        var x = rows.to(ScalarType.Float64);
        var norm = x.norm(1);
        var at = norm.nonzero().squeeze(1);
        var unit = x.index_select(0, at) / norm.index_select(0, at).unsqueeze(1);
        return (unit, at.to(ScalarType.Int32).cpu().data<int>().ToArray());
    }

    private static Tensor Mean(Tensor rows, int size, CancellationToken cancellation)
    {
        using var scope = torch.NewDisposeScope();
        var sum = torch.zeros([rows.shape[1]], ScalarType.Float64, rows.device);
        foreach (var (start, count) in Parts(rows.shape[0], size))
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = torch.NewDisposeScope();
            sum.add_(rows.narrow(0, start, count).to(ScalarType.Float64).sum([0L]), Scalars.One);
        }

        return (sum / Scalars.Of(rows.shape[0])).MoveToOuterDisposeScope();
    }
}
