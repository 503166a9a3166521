using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>Non-negative matrix factorisation by multiplicative updates: slow, and here to compare with what others report.</summary>
public sealed class MultiplicativeNmfFactorization : IFactorizationMethod
{
    private const int DefaultIterations = 400;

    /// <summary>Stands for a denominator of zero: the machine epsilon of float32, as in the reference.</summary>
    private const double ZeroDenominator = 1.1920929e-7;

    /// <inheritdoc/>
    public MethodInfo Info { get; } = new()
    {
        Name = "nmf-mu",
        Title = "NMF (multiplicative updates)",
        Summary = "The same parts that add up, found by the classical update; needs many more iterations than nmf and stops at a larger error. Choose it only to compare with published results.",
        CodesConstraint = "at least 0",
        VectorsConstraint = "at least 0, unit length",
        Cost = "time n p k per iteration, hundreds of iterations; memory beside the rows 3 k (n + p) numbers",
        Source = "Lee and Seung 2001",
        NeedsNonNegative = true,
        AllowsOvercomplete = true,
        Parameters = NmfParameters.All,
    };

    /// <inheritdoc/>
    public Factors Fit(Tensor rows, FactorizationOptions options, Action<double>? progress = null, CancellationToken cancellation = default)
    {
        FactorizationInput.Check(rows, options, Info);
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var a = rows.detach().contiguous();
        var (u, v) = NmfParameters.Start(a, options, Info);
        var alpha = options.Value(Info, NmfParameters.Alpha);
        var (_, found, iterations) = Run(
            a,
            u,
            v,
            options.MaximumIterations > 0 ? options.MaximumIterations : DefaultIterations,
            options.Value(Info, NmfParameters.Tolerance),
            alpha,
            progress,
            cancellation);
        progress?.Invoke(1);
        return new NonNegativeFactors(NonNegativeFactors.UnitRows(found), iterations);
    }

    /// <inheritdoc/>
    public Factors Restore(IReadOnlyDictionary<string, Tensor> state) => new NonNegativeFactors(state.Required("vectors"));

    /// <summary>U ← U ∘ AVᵀ / UVVᵀ, then V ← V ∘ UᵀA / UᵀUV (Lee and Seung 2001, theorem 1), the penalties in the denominators.</summary>
    /// <param name="a">n×p, at least 0.</param>
    /// <param name="u">Start of Uᵀ, k×n.</param>
    /// <param name="v">Start of V, k×p.</param>
    /// <param name="limit">Most iterations.</param>
    /// <param name="tolerance">Stops when the squared error has fallen by less than this share of itself over ten iterations; 0 for all iterations.</param>
    /// <param name="alpha">As <c>alpha_W</c> of scikit-learn: α p ||U||² + α n ||V||² beside the squared error.</param>
    /// <param name="progress">Null for none.</param>
    /// <param name="cancellation">Honoured between iterations.</param>
    /// <returns>Uᵀ, V and the iterations; belong to the caller's dispose scope.</returns>
    internal static (Tensor U, Tensor V, int Iterations) Run(
        Tensor a, Tensor u, Tensor v, int limit, double tolerance, double alpha, Action<double>? progress, CancellationToken cancellation)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        (u, v) = (u.clone(), v.clone());
        var norm = a.pow(Scalars.Of(2)).sum([1L], type: ScalarType.Float64).sum().item<double>();
        var (n, p) = (a.shape[0], a.shape[1]);
        var (error, iteration) = (double.PositiveInfinity, 0);
        while (iteration < limit)
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = torch.NewDisposeScope();
            u.mul_(Quotient(v.mm(a.t()), v.mm(v.t()).mm(u), alpha * p, u));
            var gram = u.mm(u.t());
            var product = u.mm(a);
            v.mul_(Quotient(product, gram.mm(v), alpha * n, v));
            iteration++;
            progress?.Invoke((double)iteration / limit);
            if (tolerance > 0 && iteration % 10 == 0)
            {
                var v64 = v.to(ScalarType.Float64);
                var now = norm - (2 * (product.to(ScalarType.Float64) * v64).sum().item<double>())
                    + (gram.to(ScalarType.Float64) * v64.mm(v64.t())).sum().item<double>();
                if (double.IsFinite(error) && error - now <= tolerance * error)
                {
                    break;
                }

                error = now;
            }
        }

        return (u.MoveToOuterDisposeScope(), v.MoveToOuterDisposeScope(), iteration);
    }

    private static Tensor Quotient(Tensor numerator, Tensor denominator, double penalty, Tensor x)
    {
        if (penalty > 0)
        {
            denominator.add_(x, alpha: Scalars.Of(penalty));
        }

        return numerator.div(denominator.masked_fill_(denominator == Scalars.Of(0), Scalars.Of(ZeroDenominator)));
    }
}
