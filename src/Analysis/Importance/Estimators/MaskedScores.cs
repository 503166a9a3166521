using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Importance.Estimators;

/// <summary>The logit under masks on the concepts: f(u ∘ m), a mask entry acting at all positions, in batches of bounded size.</summary>
public static class MaskedScores
{
    /// <summary>The same masks for every image.</summary>
    /// <param name="model">f.</param>
    /// <param name="codes">u, n×k or n×P×k.</param>
    /// <param name="masks">M×k.</param>
    /// <param name="batchRows">Rows given to the head at once.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    /// <returns>n×M.</returns>
    public static DenseMatrix Shared(IConceptModel model, Tensor codes, DenseMatrix masks, int batchRows, CancellationToken cancellation = default) =>
        Evaluate(model, codes, 0, (int)codes.shape[0], masks, masks.Rows, shared: true, batchRows, cancellation);

    /// <summary>Masks of its own for each of some consecutive images.</summary>
    /// <param name="model">f.</param>
    /// <param name="codes">u of all images, n×k or n×P×k.</param>
    /// <param name="first">First of the images.</param>
    /// <param name="images">Number of the images, m.</param>
    /// <param name="masks">(m·s)×k, the s masks of the first image first.</param>
    /// <param name="batchRows">Rows given to the head at once.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    /// <returns>m×s.</returns>
    public static DenseMatrix Own(
        IConceptModel model, Tensor codes, int first, int images, DenseMatrix masks, int batchRows, CancellationToken cancellation = default) =>
        Evaluate(model, codes, first, images, masks, images == 0 ? 0 : masks.Rows / images, shared: false, batchRows, cancellation);

    private static DenseMatrix Evaluate(
        IConceptModel model, Tensor codes, int first, int n, DenseMatrix masks, int each, bool shared, int batchRows, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var result = new DenseMatrix(n, each);
        var wide = codes.to(ScalarType.Float64);
        var all = masks.ToTensor(codes.device);
        var total = (long)n * each;
        for (var start = 0L; start < total; start += batchRows)
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = NewDisposeScope();
            var count = (int)Math.Min(batchRows, total - start);
            var flat = arange(Scalars.Of(start), Scalars.Of(start + count), Scalars.One, ScalarType.Int64, codes.device);
            var image = flat.floor_divide(Scalars.Of(each));
            var mask = shared ? all.index_select(0, flat - (image * Scalars.Of(each))) : all.narrow(0, start, count);
            var place = image.add(Scalars.Of(first), Scalars.One);
            var rows = wide.index_select(0, place) * (wide.dim() == 3 ? mask.unsqueeze(1) : mask);
            var scores = model.Evaluate(rows, place).to(ScalarType.Float64).cpu().contiguous();
            scores.data<double>().CopyTo(result.Values.AsSpan((int)start, count));
        }

        return result;
    }
}
