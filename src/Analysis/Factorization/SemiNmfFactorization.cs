using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>Semi-NMF: coefficients of at least 0, concept vectors of any sign.</summary>
public sealed class SemiNmfFactorization : IFactorizationMethod
{
    private const string Multiplicative = "multiplicative";
    private const int DefaultIterations = 200;
    private const int MultiplicativeIterations = 400;

    /// <summary>Guards of the multiplicative update, as in the reference.</summary>
    private const double Guard = 1e-8;

    /// <inheritdoc/>
    public MethodInfo Info { get; } = new()
    {
        Name = "semi-nmf",
        Title = "Semi-NMF",
        Summary = "Concepts that add up as in NMF, for layers whose activations may be negative; a concept vector may lower channels as well as raise them.",
        CodesConstraint = "at least 0",
        VectorsConstraint = "unit length, any sign",
        Cost = "time n p k per iteration, 30 to 200 iterations; memory beside the rows 4 k (n + p) numbers",
        Source = "Ding, Li and Jordan 2010, section 3",
        AllowsOvercomplete = true,
        Parameters =
        [
            new(NmfParameters.Tolerance, 1e-4, 0, 1, "Stops when the squared error falls by less than this share of itself; larger values stop earlier."),
            new(Multiplicative, 0, 0, 1, "1 uses the multiplicative update of the paper, which needs many more iterations; 0 coordinate descent."),
        ],
    };

    /// <inheritdoc/>
    public Factors Fit(Tensor rows, FactorizationOptions options, Action<double>? progress = null, CancellationToken cancellation = default)
    {
        FactorizationInput.Check(rows, options, Info);
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var a = rows.detach().contiguous();
        var multiplicative = options.Value(Info, Multiplicative) > 0;
        var u = ClusteredStart.Codes(a, options.Components, options.Seed, cancellation);
        var limit = options.MaximumIterations > 0 ? options.MaximumIterations : multiplicative ? MultiplicativeIterations : DefaultIterations;
        var (_, v, iterations) = Run(a, u, limit, options.Value(Info, NmfParameters.Tolerance), multiplicative, progress, cancellation);
        progress?.Invoke(1);
        return new NonNegativeFactors(NonNegativeFactors.UnitRows(v), iterations);
    }

    /// <inheritdoc/>
    public Factors Restore(IReadOnlyDictionary<string, Tensor> state) => new NonNegativeFactors(state.Required("vectors"));

    /// <summary>
    /// Alternates: U by sweeps of coordinate descent (each column's exact optimum), or by
    /// U ← U ∘ √((AVᵀ⁺ + U (VVᵀ)⁻) / (AVᵀ⁻ + U (VVᵀ)⁺)) (Ding et al. 2010, equation 10); then
    /// V = (UᵀU)⁻¹ UᵀA.
    /// </summary>
    /// <param name="a">n×p.</param>
    /// <param name="u">Start of Uᵀ, k×n, at least 0.</param>
    /// <param name="limit">Most iterations.</param>
    /// <param name="tolerance">Stops when the squared error has fallen by less than this share of itself twice running; 0 for all iterations.</param>
    /// <param name="multiplicative">The paper's update of U.</param>
    /// <param name="progress">Null for none.</param>
    /// <param name="cancellation">Honoured between iterations.</param>
    /// <param name="start">V to start from, k×p; null for the least-squares answer to U.</param>
    /// <returns>Uᵀ, V and the iterations; belong to the caller's dispose scope.</returns>
    internal static (Tensor U, Tensor V, int Iterations) Run(
        Tensor a, Tensor u, int limit, double tolerance, bool multiplicative, Action<double>? progress, CancellationToken cancellation, Tensor? start = null)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var norm = a.pow(Scalars.Of(2)).sum([1L], type: ScalarType.Float64).sum().item<double>();
        u = u.clone();
        var v = start?.clone() ?? LeastSquares(u.mm(u.t()), u.mm(a));
        var (error, quiet, iteration) = (double.PositiveInfinity, 0, 0);
        while (iteration < limit && quiet < 2)
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = torch.NewDisposeScope();
            var cross = v.mm(a.t());
            var square = v.mm(v.t());
            u.copy_(multiplicative ? Step(u, cross, square) : Hals.Improve(u.unsqueeze(0), cross.unsqueeze(0), square.unsqueeze(0), 8)[0]);
            var gram = u.mm(u.t());
            var product = u.mm(a);
            v.copy_(LeastSquares(gram, product));
            iteration++;
            var v64 = v.to(ScalarType.Float64);
            var now = norm - (2 * (product.to(ScalarType.Float64) * v64).sum().item<double>())
                + (gram.to(ScalarType.Float64) * v64.mm(v64.t())).sum().item<double>();
            quiet = tolerance > 0 && double.IsFinite(error) && error - now <= tolerance * error ? quiet + 1 : 0;
            error = now;
            progress?.Invoke((double)iteration / limit);
        }

        return (u.MoveToOuterDisposeScope(), v.MoveToOuterDisposeScope(), iteration);
    }

    private static Tensor Step(Tensor u, Tensor cross, Tensor square)
    {
        // Uᵀ is k×n here: the products stand on the left.
        var upper = cross.clamp(min: Scalars.Of(0)).add((-square).clamp(min: Scalars.Of(0)).mm(u), Scalars.One);
        var lower = (-cross).clamp(min: Scalars.Of(0)).add(square.clamp(min: Scalars.Of(0)).mm(u), Scalars.One);
        return u * ((upper / lower.add(Scalars.Of(Guard), Scalars.One)).add(Scalars.Of(Guard), Scalars.One)).sqrt();
    }

    /// <summary>(UᵀU)⁻¹ UᵀA in float64, with a trace of ridge: a concept without rows gets a vector of zeros.</summary>
    private static Tensor LeastSquares(Tensor gram, Tensor product)
    {
        var square = gram.to(ScalarType.Float64);
        return torch.linalg.solve(square.add(torch.eye(square.shape[0], square.shape[0], ScalarType.Float64, square.device) * Scalars.Of(Guard), Scalars.One), product.to(ScalarType.Float64))
            .to(product.dtype);
    }
}
