using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>Concept vectors that are non-negative mixtures of rows, with the mixtures.</summary>
public sealed class MixtureFactors : NonNegativeFactors
{
    /// <summary>Takes over the tensors.</summary>
    /// <param name="vectors">V, k×p, unit rows.</param>
    /// <param name="mixtures">W, k×m, at least 0: V = W A over the rows that were used.</param>
    /// <param name="rows">Indices of these among the fitted rows, length m int64.</param>
    /// <param name="iterations">Iterations that the fit took.</param>
    public MixtureFactors(Tensor vectors, Tensor mixtures, Tensor rows, int iterations = 0)
        : base(vectors, iterations)
    {
        Mixtures = mixtures.DetachFromDisposeScope();
        Rows = rows.DetachFromDisposeScope();
    }

    /// <summary>W, k×m, at least 0: V = W A over the rows that were used. Its largest entries name the rows that make a concept.</summary>
    public Tensor Mixtures { get; }

    /// <summary>Indices of the used rows among the fitted ones, length m int64.</summary>
    public Tensor Rows { get; }

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, Tensor> State() =>
        new Dictionary<string, Tensor>(base.State()) { ["mixtures"] = Mixtures, ["rows"] = Rows };

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
        {
            Mixtures.Dispose();
            Rows.Dispose();
        }
    }
}
