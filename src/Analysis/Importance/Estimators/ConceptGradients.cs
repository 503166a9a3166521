using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Importance.Estimators;

/// <summary>Gradients of the logit in coefficient space, batched over images and points of a path or cloud.</summary>
internal static class ConceptGradients
{
    /// <summary>
    /// Weighted mean of the gradients at several points of each image: Σ_j weights[j] · ∇f(at(u, j)).
    /// </summary>
    /// <param name="model">f.</param>
    /// <param name="codes">u, n×k or n×P×k float64.</param>
    /// <param name="weights">One weight a point. Length q.</param>
    /// <param name="at">From codes b×… and the range of points to codes b×points×….</param>
    /// <param name="batchRows">Rows given to the head at once.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    /// <returns>Of the codes' shape; belongs to the caller's dispose scope.</returns>
    public static Tensor Mean(
        IConceptModel model, Tensor codes, double[] weights, Func<Tensor, Range, Tensor> at, int batchRows, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        var n = codes.shape[0];
        var points = Math.Min(weights.Length, Math.Max(1, batchRows));
        var images = Math.Max(1, batchRows / weights.Length);
        var parts = new List<Tensor>();
        for (var start = 0L; start < n; start += images)
        {
            var count = Math.Min(images, n - start);
            var part = codes.narrow(0, start, count);
            Tensor? sum = null;
            for (var first = 0; first < weights.Length; first += points)
            {
                cancellation.ThrowIfCancellationRequested();
                using var inner = NewDisposeScope();
                var last = Math.Min(weights.Length, first + points);
                var rows = at(part, first..last);
                var index = arange(Scalars.Of(start), Scalars.Of(start + count), Scalars.One, ScalarType.Int64, codes.device).repeat_interleave(last - first);
                var gradient = At(model, rows.flatten(0, 1), index).reshape(rows.shape);
                long[] shape = [1, last - first, .. Enumerable.Repeat(1L, (int)rows.dim() - 2)];
                var weighted = (gradient * tensor(weights[first..last], shape, ScalarType.Float64, codes.device)).sum([1L]);
                sum = (sum is null ? weighted : sum.add(weighted, Scalars.One)).MoveToOuterDisposeScope();
            }

            parts.Add(sum!);
        }

        return (parts.Count == 0 ? zeros_like(codes) : cat(parts, 0)).MoveToOuterDisposeScope();
    }

    /// <summary>∇f at the rows themselves.</summary>
    /// <param name="model">f.</param>
    /// <param name="codes">m×k or m×P×k float64.</param>
    /// <param name="images">Image of each row, m int64.</param>
    public static Tensor At(IConceptModel model, Tensor codes, Tensor images)
    {
        using var scope = NewDisposeScope();
        using var grad = enable_grad();
        var leaf = codes.detach().clone().requires_grad_(true);
        var sum = model.Evaluate(leaf, images).sum();

        // autograd.grad would abort the process on an error; backward with a named input throws and leaves the weights alone.
        autograd.backward([sum], inputs: [leaf]);
        return leaf.grad!.detach().MoveToOuterDisposeScope();
    }

    /// <summary>Sum over positions: the effect on all of them at once. Codes of pooled activations stay as they are.</summary>
    public static Tensor OverPositions(Tensor values) => values.dim() == 3 ? values.sum([1L]) : values.alias();
}
