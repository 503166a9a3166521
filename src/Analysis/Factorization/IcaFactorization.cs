using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>
/// Independent components: U = (A − mean) Bᵀ of unit variance (ddof 0), B (k×p) the unmixing matrix. The concept vectors are the
/// columns of the mixing matrix B⁺ as rows; they carry the scale of the activations.
/// </summary>
public sealed class IcaFactors : Factors
{
    /// <summary>Takes over the tensors.</summary>
    /// <param name="vectors">Columns of the mixing matrix as rows, k×p.</param>
    /// <param name="unmixing">B, k×p.</param>
    /// <param name="mean">Of the fitted rows, length p.</param>
    /// <param name="iterations">Iterations that the fit took.</param>
    public IcaFactors(Tensor vectors, Tensor unmixing, Tensor mean, int iterations = 0)
        : base(vectors, mean, iterations) => Unmixing = unmixing.DetachFromDisposeScope();

    /// <summary>B, k×p: what a row is multiplied with to give its sources.</summary>
    public Tensor Unmixing { get; }

    /// <inheritdoc/>
    public override Tensor Encode(Tensor rows)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        return rows.mm(Unmixing.t()).sub_(Unmixing.mv(Offset!)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, Tensor> State() => new Dictionary<string, Tensor>(base.State()) { ["unmixing"] = Unmixing };

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
        {
            Unmixing.Dispose();
        }
    }
}

/// <summary>
/// Independent component analysis by the parallel form of FastICA with the contrast log cosh (Hyvärinen 1999): whitening,
/// fixed-point steps, symmetric decorrelation.
/// </summary>
public sealed class IcaFactorization : IFactorizationMethod
{
    private const int DefaultIterations = 200;

    // Whitened rows beyond this many numbers are kept in the type of the input rather than in float64.
    private const long MostFloat64 = 1 << 25;

    /// <inheritdoc/>
    public MethodInfo Info { get; } = new()
    {
        Name = "ica",
        Title = "ICA",
        Summary = "Directions whose strengths vary independently of each other over the images; choose it to separate causes that occur together, and read both ends of each.",
        CodesConstraint = "independent, mean 0, variance 1",
        VectorsConstraint = "columns of the mixing matrix, of free length",
        Cost = "time n p² + p³ once, then n k² an iteration; memory p² float64 numbers and n k",
        Source = "Hyvärinen 1999, Fast and robust fixed-point algorithms for independent component analysis",
        SignIsArbitrary = true,
        Parameters =
        [
            new MethodParameter("tolerance", 1e-4, 1e-12, 0.1, "Stops when no direction turns by more than about this (1 − |cosine|); larger stops earlier."),
        ],
    };

    /// <inheritdoc/>
    /// <remarks>
    /// Components come by falling length of their vector (the variance they account for), each turned so that its sources have a
    /// longer tail at the positive end. Where it has not settled after the last iteration the result is what was reached.
    /// </remarks>
    public Factors Fit(Tensor rows, FactorizationOptions options, Action<double>? progress = null, CancellationToken cancellation = default)
    {
        FactorizationInput.Check(rows, options, Info);
        var random = new SplitMix64(unchecked((ulong)options.Seed));
        var start = new double[options.Components * options.Components];
        for (var i = 0; i < start.Length; i++)
        {
            start[i] = random.NextNormal();
        }

        using var initial = torch.tensor(start, [options.Components, options.Components]);
        return Fit(
            rows, initial, options.Value(Info, "tolerance"), options.MaximumIterations > 0 ? options.MaximumIterations : DefaultIterations, progress, cancellation);
    }

    /// <inheritdoc/>
    public Factors Restore(IReadOnlyDictionary<string, Tensor> state) =>
        new IcaFactors(state.Required("vectors"), state.Required("unmixing"), state.Required("offset"));

    /// <summary>Fits from a given start.</summary>
    /// <param name="rows">n×p, checked.</param>
    /// <param name="start">k×k; made orthogonal before use.</param>
    /// <param name="tolerance">Of max |1 − |wᵢ·wᵢ old||.</param>
    /// <param name="iterations">Limit.</param>
    /// <param name="progress">Share of the limit.</param>
    /// <param name="cancellation">Honoured between parts.</param>
    internal static IcaFactors Fit(
        Tensor rows, Tensor start, double tolerance, int iterations, Action<double>? progress = null, CancellationToken cancellation = default)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var n = rows.shape[0];
        var mean = RowParts.Mean(rows);
        var (values, directions) = Principal(rows, mean, (int)start.shape[0], cancellation);
        var deviation = values.sqrt().unsqueeze(1);
        var whitened = Whiten(rows, mean, directions / deviation, cancellation);

        var w = Decorrelate(start.to(ScalarType.Float64).to(rows.device));
        var taken = 0;
        for (var settled = false; taken < iterations && !settled; taken++)
        {
            using var inner = torch.NewDisposeScope();
            var next = Decorrelate(Step(whitened, w, cancellation));
            var turned = ((next * w).sum(1).abs() - Scalars.Of(1)).abs().max().item<double>();
            w = next.MoveToOuterDisposeScope();
            settled = turned < tolerance;
            progress?.Invoke((taken + 1.0) / iterations);
        }

        var vectors = w.mm(directions * deviation);
        var unmixing = w.mm(directions / deviation);

        // The third moment tells the ends apart; where it says nothing the largest entry of the vector does.
        var cubes = torch.zeros([w.shape[0]], ScalarType.Float64, rows.device);
        foreach (var (first, count) in RowParts.Of(n))
        {
            using var inner = torch.NewDisposeScope();
            cubes.add_(whitened.narrow(0, first, count).mm(w.t().to(whitened.dtype)).pow(Scalars.Of(3)).sum([0L], type: ScalarType.Float64) / Scalars.Of(n), Scalars.One);
        }

        var largest = vectors.gather(1, vectors.abs().argmax(1, keepdim: true)).squeeze(1);
        var sign = torch.where(cubes.abs() < Scalars.Of(1e-9), largest.sign(), cubes.sign()).unsqueeze(1);
        var order = vectors.pow(Scalars.Of(2)).sum(1).argsort(0, descending: true);
        progress?.Invoke(1);
        return new IcaFactors(
            (vectors * sign).index_select(0, order).to(rows.dtype),
            (unmixing * sign).index_select(0, order).to(rows.dtype),
            mean.to(rows.dtype),
            taken);
    }

    /// <summary>W⁺ = E[g(Wx) xᵀ] − diag(E[g′(Wx)]) W with g = tanh, over whitened rows x.</summary>
    private static Tensor Step(Tensor whitened, Tensor w, CancellationToken cancellation)
    {
        using var scope = torch.NewDisposeScope();
        var n = whitened.shape[0];
        var product = torch.zeros_like(w);
        var slope = torch.zeros([w.shape[0]], ScalarType.Float64, w.device);
        var turn = w.t().to(whitened.dtype);
        foreach (var (start, count) in RowParts.Of(n))
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = torch.NewDisposeScope();
            var x = whitened.narrow(0, start, count);
            var g = x.mm(turn).tanh_();
            product.add_(g.t().mm(x).to(ScalarType.Float64), Scalars.One);
            slope.add_(Scalars.Of(count) - g.pow(Scalars.Of(2)).sum([0L], type: ScalarType.Float64), Scalars.One);
        }

        return ((product - (slope.unsqueeze(1) * w)) / Scalars.Of(n)).MoveToOuterDisposeScope();
    }

    /// <summary>(W Wᵀ)^−½ W: the nearest orthogonal matrix.</summary>
    private static Tensor Decorrelate(Tensor w)
    {
        using var scope = torch.NewDisposeScope();
        var (values, vectors) = torch.linalg.eigh(w.mm(w.t()));
        return (vectors / values.clamp_min(Scalars.Of(1e-300)).sqrt()).mm(vectors.t()).mm(w).MoveToOuterDisposeScope();
    }

    /// <summary>Variances (ddof 0), descending, and directions as rows of the k leading principal components.</summary>
    private static (Tensor Values, Tensor Directions) Principal(Tensor rows, Tensor mean, int k, CancellationToken cancellation)
    {
        using var scope = torch.NewDisposeScope();
        var p = rows.shape[1];
        var covariance = torch.zeros([p, p], ScalarType.Float64, rows.device);
        foreach (var (start, count) in RowParts.Of(rows.shape[0]))
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = torch.NewDisposeScope();
            var x = rows.narrow(0, start, count) - mean;
            covariance.addmm_(x.t(), x);
        }

        var (ascending, columns) = torch.linalg.eigh(covariance / Scalars.Of(rows.shape[0]));
        var values = ascending.flip(0);
        var host = values.cpu().data<double>().ToArray();

        // A covariance knows its eigenvalues to about max(n, p) ε of the largest: below, a direction is rounding error, and
        // whitening would blow it up to a source.
        var cut = host[0] * Math.Max(rows.shape[0], p) * 2.2e-16;
        var rank = host[0] > 0 ? host.TakeWhile(v => v > cut).Count() : 0;
        if (rank < k)
        {
            throw new AnalysisException(
                $"ICA cannot find {k} components: the activations vary in {rank} directions only.",
                rank == 0 ? "Give more rows, or choose another layer." : $"Ask for at most {rank}, or give more rows.");
        }

        return (values.narrow(0, 0, k).MoveToOuterDisposeScope(), columns.t().flip(0).narrow(0, 0, k).contiguous().MoveToOuterDisposeScope());
    }

    private static Tensor Whiten(Tensor rows, Tensor mean, Tensor whitening, CancellationToken cancellation)
    {
        using var scope = torch.NewDisposeScope();
        var (n, k) = (rows.shape[0], whitening.shape[0]);
        var whitened = torch.empty([n, k], n * k <= MostFloat64 ? ScalarType.Float64 : rows.dtype, rows.device);
        foreach (var (start, count) in RowParts.Of(n))
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = torch.NewDisposeScope();
            whitened.narrow(0, start, count).copy_((rows.narrow(0, start, count) - mean).mm(whitening.t()));
        }

        return whitened.MoveToOuterDisposeScope();
    }
}
