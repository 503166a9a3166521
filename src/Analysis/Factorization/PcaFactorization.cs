using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>Principal components: the leading right singular vectors of the centred rows.</summary>
public sealed class PcaFactorization : IFactorizationMethod, IBatchedFactorization
{
    /// <inheritdoc/>
    public MethodInfo Info { get; } = new()
    {
        Name = "pca",
        Title = "PCA",
        Summary = "Orthogonal directions along which the activations differ most from their mean; the smallest error of all for a given number, but with positive and negative ends that mean different things.",
        CodesConstraint = "none (projections of the centred row)",
        VectorsConstraint = "orthonormal rows",
        Cost = "time n p min(n, p), once; memory p² (or n² where n < p) float64 numbers",
        Source = "Pearson 1901; Hotelling 1933",
        SignIsArbitrary = true,
    };

    /// <inheritdoc/>
    public Factors Fit(Tensor rows, FactorizationOptions options, Action<double>? progress = null, CancellationToken cancellation = default)
    {
        FactorizationInput.Check(rows, options, Info);
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var mean = rows.detach().mean([0L], type: ScalarType.Float64);
        var (values, vectors) = LeadingSingularVectors.Of(rows, options.Components, mean);
        RequireSpread(values);
        vectors = LeadingSingularVectors.Orient(vectors, values, null, rows.shape[0]);
        progress?.Invoke(1);
        return new ProjectionFactors(vectors.to(rows.dtype), values.to(rows.dtype), mean.to(rows.dtype));
    }

    /// <inheritdoc/>
    public IReadOnlyList<Factors> FitBatch(
        IReadOnlyList<Tensor> rows, FactorizationOptions options, Action<double>? progress = null, CancellationToken cancellation = default) =>
        BatchedSpectra.Fit(rows, options, Info, centred: true, progress, cancellation);

    /// <inheritdoc/>
    public Factors Restore(IReadOnlyDictionary<string, Tensor> state) => ProjectionFactors.Restored(state);

    internal static void RequireSpread(Tensor values)
    {
        if (values.shape[0] == 0)
        {
            throw new AnalysisException("All rows of activations are equal, so that they have no principal component.", "Give more rows, or another layer.");
        }
    }
}
