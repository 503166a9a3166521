using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>k-means: every row belongs to one concept (ACE).</summary>
public sealed class KMeansFactorization : IFactorizationMethod, IBatchedFactorization
{
    private const string Restarts = "restarts";
    private const string Tolerance = "tolerance";
    private const int DefaultIterations = 300;

    /// <inheritdoc/>
    public MethodInfo Info { get; } = new()
    {
        Name = "kmeans",
        Title = "k-means",
        Summary = "Each image or position belongs to exactly one concept, the centre of a group of similar ones; easy to read, but it cannot say that two concepts are present at once.",
        CodesConstraint = "one-hot",
        VectorsConstraint = "centroids of the rows",
        AllowsOvercomplete = true,
        Cost = "time n p k for the first step, then n p times the few distances that bounds leave open; memory n k float32 numbers",
        Source = "Lloyd 1982; Arthur and Vassilvitskii 2007 (start); Elkan 2003 (bounds); as concepts: Ghorbani et al. 2019",
        Parameters =
        [
            new(Restarts, 3, 1, 100, "Number of starts, of which the best counts; more cost more time and find better groups."),
            new(Tolerance, 1e-4, 0, 1, "Stops when the centroids move by less than this share of the variance; 0 runs to a fixed point."),
        ],
    };

    /// <inheritdoc/>
    public Factors Fit(Tensor rows, FactorizationOptions options, Action<double>? progress = null, CancellationToken cancellation = default)
    {
        var k = Check(rows, options);
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var x = rows.detach().contiguous();
        var iterations = options.MaximumIterations > 0 ? options.MaximumIterations : DefaultIterations;
        var restarts = k == 1 ? 1 : (int)options.Value(Info, Restarts);
        var tolerance = options.Value(Info, Tolerance);
        var random = new SplitMix64(unchecked((ulong)options.Seed));
        KMeansResult? best = null;
        for (var start = 0; start < restarts; start++)
        {
            var done = start;
            Action<double>? part = progress is null ? null : share => progress((done + share) / restarts);
            var initial = PlusPlus(x, k, ref random);
            var result = Lloyd(x, initial, iterations, tolerance, part, cancellation);
            best = best is null || result.Inertia < best.Inertia ? result : best;
        }

        progress?.Invoke(1);
        return new CentroidFactors(best!.Centroids.ToTensor(x.device).to(x.dtype), best.Iterations, best.Inertia);
    }

    /// <inheritdoc/>
    public IReadOnlyList<Factors> FitBatch(
        IReadOnlyList<Tensor> rows, FactorizationOptions options, Action<double>? progress = null, CancellationToken cancellation = default) =>
        BatchedFits.OneByOne(this, rows, options, progress, cancellation);

    /// <inheritdoc/>
    public Factors Restore(IReadOnlyDictionary<string, Tensor> state) => new CentroidFactors(state.Required("vectors"));

    /// <summary>Lloyd's algorithm from given centroids: with bounds on the CPU, by whole products on other devices.</summary>
    /// <param name="rows">n×p, contiguous.</param>
    /// <param name="initial">k×p.</param>
    /// <param name="iterations">At most so many steps.</param>
    /// <param name="tolerance">As in <see cref="KMeans.Lloyd(DenseMatrix, DenseMatrix, int, double)"/>.</param>
    /// <param name="progress">Null for none.</param>
    /// <param name="cancellation">Honoured between steps.</param>
    public static unsafe KMeansResult Lloyd(
        Tensor rows, DenseMatrix initial, int iterations = DefaultIterations, double tolerance = 1e-4, Action<double>? progress = null, CancellationToken cancellation = default)
    {
        var n = checked((int)rows.shape[0]);
        if (rows.device.type != DeviceType.CPU)
        {
            return LloydOnDevice(rows, initial, iterations, tolerance, progress, cancellation);
        }

        return rows.dtype == ScalarType.Float32
            ? KMeans.Lloyd(NativeData.Pointer<float>(rows), n, initial, iterations, tolerance, progress, cancellation)
            : KMeans.Lloyd(NativeData.Pointer<double>(rows), n, initial, iterations, tolerance, progress, cancellation);
    }

    /// <summary>The plain algorithm by tensor operations.</summary>
    internal static KMeansResult LloydOnDevice(
        Tensor rows, DenseMatrix initial, int iterations, double tolerance, Action<double>? progress, CancellationToken cancellation)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var (n, k) = (rows.shape[0], initial.Rows);
        var threshold = tolerance <= 0 ? 0 : tolerance * rows.var(0, unbiased: false).to(ScalarType.Float64).mean().item<double>();
        var centroids = initial.ToTensor(rows.device);
        var labels = torch.full([n], Scalars.Of(-1), ScalarType.Int64, rows.device);
        Tensor squared;
        var taken = 0;
        while (taken < iterations)
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = torch.NewDisposeScope();
            taken++;
            var next = CentroidFactors.Nearest(rows, centroids, out squared);
            var moved = Means(rows, next, squared, k);
            var shift = (moved - centroids).pow(Scalars.Of(2)).sum().item<double>();
            var settled = next.eq(labels).all().item<bool>();
            centroids.copy_(moved);
            labels.copy_(next);
            progress?.Invoke((double)taken / iterations);
            if (settled || shift <= threshold)
            {
                break;
            }
        }

        var final = CentroidFactors.Nearest(rows, centroids, out squared);
        var distances = squared.cpu().data<double>().ToArray();
        return new KMeansResult(
            DenseMatrix.FromTensor(centroids), Array.ConvertAll(final.cpu().data<long>().ToArray(), l => (int)l), distances, distances.Sum(), taken);
    }

    /// <summary>k×p float64; empty clusters take the farthest rows of clusters that have others.</summary>
    private static Tensor Means(Tensor rows, Tensor labels, Tensor squared, int k)
    {
        using var scope = torch.NewDisposeScope();
        var sums = torch.zeros([k, rows.shape[1]], ScalarType.Float64, rows.device);
        const int Part = 8192;
        var clusters = torch.arange(Scalars.Of(0), Scalars.Of(k), Scalars.One, device: rows.device).unsqueeze(1);
        for (long start = 0; start < rows.shape[0]; start += Part)
        {
            using var inner = torch.NewDisposeScope();
            var count = Math.Min(Part, rows.shape[0] - start);

            // A product with indicators has one order of summation; scattered additions on a GPU have none.
            var indicator = (clusters == labels.narrow(0, start, count).unsqueeze(0)).to(ScalarType.Float64);
            sums.addmm_(indicator, rows.narrow(0, start, count).to(ScalarType.Float64));
        }

        var size = torch.bincount(labels, minlength: k).cpu().data<long>().ToArray();
        if (size.Contains(0))
        {
            var own = labels.cpu().data<long>().ToArray();
            var farthest = Ranks.Descending(squared.cpu().data<double>().ToArray());
            var taken = 0;
            for (var c = 0; c < k; c++)
            {
                while (size[c] == 0 && taken < farthest.Length)
                {
                    var point = farthest[taken++];
                    var from = own[point];
                    if (size[from] > 1)
                    {
                        var row = rows[point].to(ScalarType.Float64);
                        sums[from].sub_(row);
                        sums[c].copy_(row);
                        (size[from], size[c]) = (size[from] - 1, 1);
                    }
                }
            }
        }

        var counts = torch.tensor(Array.ConvertAll(size, s => (double)Math.Max(1, s)), ScalarType.Float64, rows.device);
        return (sums / counts.unsqueeze(1)).MoveToOuterDisposeScope();
    }

    /// <summary>k-means++ starts: rows drawn by their squared distance to those drawn before.</summary>
    internal static DenseMatrix PlusPlus(Tensor rows, int k, ref SplitMix64 random)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var n = (int)rows.shape[0];
        var chosen = new long[k];
        chosen[0] = random.NextInt(n);
        var nearest = torch.full([n], Scalars.Of(double.PositiveInfinity), ScalarType.Float64, rows.device);
        var lengths = rows.pow(Scalars.Of(2)).sum([1L], type: ScalarType.Float64);
        for (var c = 1; c < k; c++)
        {
            using var inner = torch.NewDisposeScope();
            var last = rows[chosen[c - 1]];
            var distance = (lengths - (rows.mv(last).to(ScalarType.Float64) * Scalars.Of(2))).add_(lengths[chosen[c - 1]], Scalars.One).clamp_(min: Scalars.Of(0));
            nearest.copy_(torch.minimum(nearest, distance));
            nearest[chosen[c - 1]] = 0;
            var cumulative = nearest.cumsum(0);
            var total = cumulative[n - 1].item<double>();
            var draw = random.NextDouble() * total;

            // All rows equal a centroid already: any of them will do.
            chosen[c] = total > 0
                ? Math.Min(n - 1, (cumulative <= Scalars.Of(draw)).sum().item<long>())
                : random.NextInt(n);
        }

        return DenseMatrix.FromTensor(rows.index_select(0, torch.tensor(chosen, device: rows.device)));
    }

    private int Check(Tensor rows, FactorizationOptions options)
    {
        FactorizationInput.Check(rows, options, Info);
        return options.Components <= rows.shape[0]
            ? options.Components
            : throw new AnalysisException(
                $"{options.Components} groups cannot be made of {rows.shape[0]} rows.", $"Ask for at most {rows.shape[0]} concepts, or give more rows.");
    }
}
