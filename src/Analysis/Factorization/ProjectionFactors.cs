using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>Orthonormal concept vectors; the coefficients are projections: U = (A − offset) Vᵀ.</summary>
public sealed class ProjectionFactors : Factors
{
    /// <summary>Takes over the tensors.</summary>
    /// <param name="vectors">V, k×p, orthonormal rows.</param>
    /// <param name="singularValues">Of the fitted (for PCA: centred) rows, descending, length k.</param>
    /// <param name="offset">Mean of the fitted rows, length p; null for none.</param>
    public ProjectionFactors(Tensor vectors, Tensor singularValues, Tensor? offset = null)
        : base(vectors, offset) => SingularValues = singularValues.DetachFromDisposeScope();

    /// <summary>Singular values of the fitted rows, descending, length k. A PCA's variances are their squares by n − 1.</summary>
    public Tensor SingularValues { get; }

    /// <inheritdoc/>
    public override Tensor Encode(Tensor rows)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var codes = rows.mm(Vectors.t());

        // (a − m) Vᵀ = a Vᵀ − m Vᵀ: k numbers instead of a copy of the rows.
        return (Offset is null ? codes : codes.sub_(Vectors.mv(Offset))).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, Tensor> State() =>
        new Dictionary<string, Tensor>(base.State()) { ["singularValues"] = SingularValues };

    internal static ProjectionFactors Restored(IReadOnlyDictionary<string, Tensor> state) =>
        new(state.Required("vectors"), state.Required("singularValues"), state.GetValueOrDefault("offset"));

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
        {
            SingularValues.Dispose();
        }
    }
}
