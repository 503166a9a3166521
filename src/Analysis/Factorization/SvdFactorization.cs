using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>The leading right singular vectors of the uncentred rows.</summary>
public sealed class SvdFactorization : IFactorizationMethod, IBatchedFactorization
{
    /// <inheritdoc/>
    public MethodInfo Info { get; } = new()
    {
        Name = "svd",
        Title = "SVD",
        Summary = "Orthogonal directions that together explain most of the activations, the mean among them; a quick overview, but one direction often mixes several concepts.",
        CodesConstraint = "none (projections)",
        VectorsConstraint = "orthonormal rows",
        Cost = "time n p min(n, p), once; memory p² (or n² where n < p) float64 numbers",
        Source = "Eckart and Young 1936; as concept vectors: Graziani et al. 2023, arXiv 2307.06913",
        SignIsArbitrary = true,
    };

    /// <inheritdoc/>
    public Factors Fit(Tensor rows, FactorizationOptions options, Action<double>? progress = null, CancellationToken cancellation = default)
    {
        FactorizationInput.Check(rows, options, Info);
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var (values, vectors) = LeadingSingularVectors.Of(rows, options.Components);
        vectors = LeadingSingularVectors.Orient(vectors, values, rows.detach().mean([0L], type: ScalarType.Float64), rows.shape[0]);
        progress?.Invoke(1);
        return new ProjectionFactors(vectors.to(rows.dtype), values.to(rows.dtype));
    }

    /// <inheritdoc/>
    public IReadOnlyList<Factors> FitBatch(
        IReadOnlyList<Tensor> rows, FactorizationOptions options, Action<double>? progress = null, CancellationToken cancellation = default) =>
        BatchedSpectra.Fit(rows, options, Info, centred: false, progress, cancellation);

    /// <inheritdoc/>
    public Factors Restore(IReadOnlyDictionary<string, Tensor> state) => ProjectionFactors.Restored(state);
}
