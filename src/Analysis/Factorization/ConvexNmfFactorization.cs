using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>Convex NMF: concept vectors that are non-negative mixtures of real rows.</summary>
public sealed class ConvexNmfFactorization : IFactorizationMethod
{
    private const string MostRows = "most-rows";
    private const int DefaultIterations = 300;

    /// <inheritdoc/>
    public MethodInfo Info { get; } = new()
    {
        Name = "convex-nmf",
        Title = "Convex NMF",
        Summary = "Each concept is a blend of real images or positions, which names its own examples; for activations of any sign, at a somewhat larger error.",
        CodesConstraint = "at least 0",
        VectorsConstraint = "non-negative mixtures of rows, unit length",
        Cost = "time m² p once and m² k per iteration over m rows (at most 2,000 by default, drawn at random); memory m² numbers",
        Source = "Ding, Li and Jordan 2010, section 4",
        AllowsOvercomplete = true,
        Parameters =
        [
            new(NmfParameters.Tolerance, 1e-5, 0, 1, "Stops when the squared error falls by less than this share of itself over ten iterations; larger values stop earlier."),
            new(MostRows, 2000, 10, 20000, "Rows that may take part; with more rows a random part is drawn. Memory and time grow with the square."),
        ],
    };

    /// <inheritdoc/>
    public Factors Fit(Tensor rows, FactorizationOptions options, Action<double>? progress = null, CancellationToken cancellation = default)
    {
        FactorizationInput.Check(rows, options, Info);
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var used = Drawn((int)rows.shape[0], (int)options.Value(Info, MostRows), options.Seed);
        var index = torch.tensor(used, device: rows.device);
        var a = used.Length == rows.shape[0] ? rows.detach().contiguous() : rows.detach().index_select(0, index);
        var u = ClusteredStart.Codes(a, options.Components, options.Seed, cancellation);

        // Means of the groups, as in the paper: W = D⁻¹ Uᵀ.
        var w = u / u.sum(1, keepdim: true);
        var limit = options.MaximumIterations > 0 ? options.MaximumIterations : DefaultIterations;
        var (_, found, iterations) = Run(a, u, w, limit, options.Value(Info, NmfParameters.Tolerance), progress, cancellation);
        var v = found.mm(a);
        var length = v.pow(Scalars.Of(2)).sum(1, keepdim: true).sqrt();
        var scale = torch.where(length > Scalars.Of(0), length, torch.ones_like(length));
        progress?.Invoke(1);
        return new MixtureFactors(v / scale, found / scale, index, iterations);
    }

    /// <inheritdoc/>
    public Factors Restore(IReadOnlyDictionary<string, Tensor> state) =>
        new MixtureFactors(state.Required("vectors"), state.Required("mixtures"), state.Required("rows"));

    /// <summary>
    /// U ← U ∘ √((K⁺Wᵀ + U W K⁻Wᵀ) / (K⁻Wᵀ + U W K⁺Wᵀ)), then W ← W ∘ √((UᵀK⁺ + UᵀU W K⁻) / (UᵀK⁻ + UᵀU W K⁺)), K = AAᵀ
    /// (Ding et al. 2010, equations 23 and 24). The error never rises.
    /// </summary>
    /// <param name="a">m×p.</param>
    /// <param name="u">Start of Uᵀ, k×m.</param>
    /// <param name="w">Start of W, k×m.</param>
    /// <param name="limit">Most iterations.</param>
    /// <param name="tolerance">Judged every ten iterations; 0 for all iterations.</param>
    /// <param name="progress">Null for none.</param>
    /// <param name="cancellation">Honoured between iterations.</param>
    /// <returns>Uᵀ, W and the iterations; belong to the caller's dispose scope.</returns>
    internal static (Tensor U, Tensor W, int Iterations) Run(
        Tensor a, Tensor u, Tensor w, int limit, double tolerance, Action<double>? progress, CancellationToken cancellation)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        (u, w) = (u.clone(), w.clone());
        var kernel = a.mm(a.t());
        var positive = kernel.clamp(min: Scalars.Of(0));

        // Nothing of sign to split after a ReLU: half of the products vanish.
        var negative = kernel.min().to(ScalarType.Float64).item<double>() < 0 ? (-kernel).clamp_(min: Scalars.Of(0)) : null;
        var norm = kernel.diagonal().sum(ScalarType.Float64).item<double>();
        var (error, iteration) = (double.PositiveInfinity, 0);
        while (iteration < limit)
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = torch.NewDisposeScope();
            var wp = w.mm(positive);
            var wn = negative is null ? null : w.mm(negative);
            u.mul_(Root(wp, wn, With(wp.mm(w.t()), u), wn is null ? null : With(wn.mm(w.t()), u)));
            var gram = u.mm(u.t());
            var up = u.mm(positive);
            var un = negative is null ? null : u.mm(negative);
            w.mul_(Root(up, un, gram.mm(wp), wn is null ? null : gram.mm(wn)));
            iteration++;
            progress?.Invoke((double)iteration / limit);
            if (tolerance > 0 && iteration % 10 == 0)
            {
                var wk = w.mm(kernel).to(ScalarType.Float64);
                var now = norm - (2 * (u.to(ScalarType.Float64) * wk).sum().item<double>())
                    + (gram.to(ScalarType.Float64) * wk.mm(w.to(ScalarType.Float64).t())).sum().item<double>();
                if (double.IsFinite(error) && error - now <= tolerance * error)
                {
                    break;
                }

                error = now;
            }
        }

        return (u.MoveToOuterDisposeScope(), w.MoveToOuterDisposeScope(), iteration);

        // W K Wᵀ is symmetric, so that no transposition is needed.
        static Tensor With(Tensor square, Tensor x) => square.mm(x);
    }

    /// <summary>√((plus + crossMinus) / (minus + crossPlus)); 1 where both vanish.</summary>
    private static Tensor Root(Tensor plus, Tensor? minus, Tensor crossPlus, Tensor? crossMinus)
    {
        var upper = crossMinus is null ? plus : plus.add(crossMinus, Scalars.One);
        var lower = minus is null ? crossPlus : minus.add(crossPlus, Scalars.One);
        var guard = plus.dtype == ScalarType.Float32 ? 1e-20 : 1e-150;
        return (upper.add(Scalars.Of(guard), Scalars.One) / lower.add(Scalars.Of(guard), Scalars.One)).sqrt_();
    }

    private static long[] Drawn(int n, int most, int seed)
    {
        var all = Enumerable.Range(0, n).ToArray();
        if (n > most)
        {
            var random = new SplitMix64(unchecked((ulong)seed));
            random.Shuffle(all);
            all = all[..most];
            Array.Sort(all);
        }

        return Array.ConvertAll(all, i => (long)i);
    }
}
