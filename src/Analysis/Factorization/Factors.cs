using Analysis.Numerics;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>Fitted concept vectors with the method's way to encode rows by them. Owns its tensors.</summary>
public abstract class Factors : IDisposable
{
    /// <summary>Takes over the tensors.</summary>
    /// <param name="vectors">V, k×p; unit rows except where the method's scale means something.</param>
    /// <param name="offset">Added to every decoded row, length p; null for none.</param>
    /// <param name="iterations">Iterations that the fit took.</param>
    protected Factors(Tensor vectors, Tensor? offset = null, int iterations = 0)
    {
        Vectors = vectors.DetachFromDisposeScope();
        Offset = offset?.DetachFromDisposeScope();
        Iterations = iterations;
    }

    /// <summary>Concept vectors V, k×p, of the fitted rows' type and device.</summary>
    public Tensor Vectors { get; }

    /// <summary>Added to every decoded row (the mean, for methods that centre), length p; null for none.</summary>
    public Tensor? Offset { get; }

    /// <summary>Iterations that the fit took; 0 for direct methods and restored factors.</summary>
    public int Iterations { get; }

    /// <summary>Number of concept vectors k.</summary>
    public int Components => (int)Vectors.shape[0];

    /// <summary>Coefficients of any rows, by the method's own rule (projection, non-negative least squares, lasso, encoder, nearest centroid).</summary>
    /// <param name="rows">m×p, of the type and device of <see cref="Vectors"/>.</param>
    /// <returns>U, m×k; belongs to the caller's dispose scope.</returns>
    public abstract Tensor Encode(Tensor rows);

    /// <summary>Rows from coefficients: U V + offset.</summary>
    /// <param name="codes">U, m×k.</param>
    /// <returns>m×p; belongs to the caller's dispose scope.</returns>
    public virtual Tensor Decode(Tensor codes)
    {
        var rows = codes.mm(Vectors);
        return Offset is null ? rows : rows.add_(Offset, Scalars.One);
    }

    /// <summary>Tensors that restore it, by name; they stay this object's.</summary>
    public virtual IReadOnlyDictionary<string, Tensor> State() =>
        Offset is null ? new Dictionary<string, Tensor> { ["vectors"] = Vectors } : new Dictionary<string, Tensor> { ["vectors"] = Vectors, ["offset"] = Offset };

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees the tensors; derived classes free theirs as well.</summary>
    /// <param name="disposing">True where called by <see cref="Dispose()"/>.</param>
    protected virtual void Dispose(bool disposing)
    {
        if (disposing)
        {
            Vectors.Dispose();
            Offset?.Dispose();
        }
    }
}
