using static TorchSharp.torch;

namespace Analysis.Importance;

/// <summary>
/// The network behind the concepts as a function of coefficients alone: decode, run the head, take one logit
/// (f of METHODS 2.4; Fel et al. 2023, arXiv 2306.07304, section 3.2). Batched over any mix of images.
/// </summary>
public interface IConceptModel
{
    /// <summary>Number of concepts k.</summary>
    int Concepts { get; }

    /// <summary>
    /// Logit of each image's own target as a function of its coefficients. Differentiable in <paramref name="codes"/> under
    /// autograd; the weights never require gradients. Keeps the caller's dispose scope.
    /// </summary>
    /// <param name="codes">Coefficients, m×k (pooled) or m×P×k (one row a position), floating.</param>
    /// <param name="images">Image that each row belongs to (place in the batch of images the model was made for), m int64.</param>
    /// <returns>Logits, length m.</returns>
    Tensor Evaluate(Tensor codes, Tensor images);
}

/// <summary>What an estimator of importance is, for people who choose one.</summary>
/// <param name="Name">Lower-case name, as in <c>--importance</c>.</param>
/// <param name="Title">Name for display.</param>
/// <param name="Summary">One plain sentence: what it measures and when to choose it.</param>
/// <param name="Formula">The formula in one line.</param>
/// <param name="Signed">True where negative values mean evidence against.</param>
/// <param name="Cost">Head evaluations an image, in k and the number of draws.</param>
/// <param name="Source">Paper that defines it.</param>
/// <param name="InLogitUnits">True where values are parts of the logit, so that what they leave of it means something.</param>
public sealed record EstimatorInfo(string Name, string Title, string Summary, string Formula, bool Signed, string Cost, string Source, bool InLogitUnits);

/// <summary>How importances are estimated.</summary>
public sealed record EstimatorOptions
{
    /// <summary>Equal seeds give equal results.</summary>
    public int Seed { get; init; }

    /// <summary>Points, draws or masks an image; 0 for the estimator's own.</summary>
    public int Draws { get; init; }

    /// <summary>Rows given to the head at once; bounds memory.</summary>
    public int BatchRows { get; init; } = 1024;
}

/// <summary>A way to say how much each concept matters for each image. Stateless and safe for concurrent use.</summary>
public interface IImportanceEstimator
{
    /// <summary>Name, formula, cost.</summary>
    EstimatorInfo Info { get; }

    /// <summary>Importance φ of each concept for each image.</summary>
    /// <param name="model">f.</param>
    /// <param name="codes">Coefficients of the images, n×k or n×P×k.</param>
    /// <param name="options">Seed, draws, batch.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    /// <returns>φ, n×k float64 on the codes' device; belongs to the caller's dispose scope.</returns>
    Tensor Estimate(IConceptModel model, Tensor codes, EstimatorOptions options, CancellationToken cancellation = default);
}
