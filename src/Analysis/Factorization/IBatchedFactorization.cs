using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>
/// A method that can fit many small matrices at once (one per class): the same products, padded to one size, so that a GPU is not
/// kept waiting by the start of thousands of small operations. On the CPU the matrices are fitted one after another.
/// </summary>
public interface IBatchedFactorization
{
    /// <summary>Fits each matrix; equal to single fits but for rounding. Keeps the caller's dispose scope; the results belong to the caller.</summary>
    /// <param name="rows">Matrices nᵢ×p of one type and device; their nᵢ may differ.</param>
    /// <param name="options">For all of them.</param>
    /// <param name="progress">Called with the share of the work that is done; null for none.</param>
    /// <param name="cancellation">Honoured between iterations.</param>
    /// <exception cref="AnalysisException">One of the matrices cannot be factorised in this way.</exception>
    IReadOnlyList<Factors> FitBatch(
        IReadOnlyList<Tensor> rows, FactorizationOptions options, Action<double>? progress = null, CancellationToken cancellation = default);
}
