using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Numerics;

/// <summary>
/// Right singular vectors of an uncentred matrix of rows, strongest first, cut at the numerical rank and oriented so that the
/// mean projection of the rows is positive: the sign that LAPACK returns is arbitrary and differs between machines.
/// </summary>
public sealed class SingularDirections : IDisposable
{
    private const double Epsilon = 2.220446049250313e-16;
    private const double DegenerateGap = 1e-6;

    private SingularDirections(Tensor values, Tensor vectors, long count)
    {
        Values = values.DetachFromDisposeScope();
        Vectors = vectors.DetachFromDisposeScope();
        Count = count;
        Rank = (int)values.shape[0];
        var s = values.cpu().data<double>().ToArray();
        var near = new bool[Rank];
        for (var j = 0; j + 1 < Rank; j++)
        {
            if (s[j] - s[j + 1] < DegenerateGap * s[j])
            {
                near[j] = true;
                near[j + 1] = true;
            }
        }

        NearDegenerate = near;
    }

    /// <summary>Singular values, descending, r float64.</summary>
    public Tensor Values { get; }

    /// <summary>Unit directions as rows, r×C float64.</summary>
    public Tensor Vectors { get; }

    /// <summary>Rows of the decomposed matrix.</summary>
    public long Count { get; }

    /// <summary>Number of directions r.</summary>
    public int Rank { get; }

    /// <summary>
    /// Directions whose singular value equals a neighbour's within 1e-6: only the span of the group is determined, not the
    /// single vector. Length r.
    /// </summary>
    public IReadOnlyList<bool> NearDegenerate { get; }

    /// <summary>
    /// Decomposes from streamed moments. Singular values below about √(max(N, C) · 2.2e-16) of the first are lost to rounding
    /// and dropped.
    /// </summary>
    /// <param name="moments">At least one row.</param>
    /// <param name="maximum">Keep at most so many directions; null for all.</param>
    /// <exception cref="AnalysisException">All activations are zero, or there are none.</exception>
    public static SingularDirections FromSecondMoments(SecondMoments moments, int? maximum = null)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var (ascending, columns) = torch.linalg.eigh(moments.Gram);
        var eigenvalues = ascending.flip(0);
        var vectors = columns.t().flip(0);
        var host = eigenvalues.cpu().data<double>().ToArray();
        var cut = host.Length == 0 ? 0 : host[0] * Math.Max(moments.Count, moments.Channels) * Epsilon;
        var limit = (int)Math.Min(Math.Min(moments.Count, moments.Channels), maximum ?? int.MaxValue);
        var rank = host.Take(limit).TakeWhile(v => v > cut).Count();
        RequireRank(rank);
        vectors = vectors.narrow(0, 0, rank).contiguous();
        var values = eigenvalues.narrow(0, 0, rank).sqrt();
        var means = vectors.mv(moments.Sum) / Scalars.Of(moments.Count);
        return new SingularDirections(values, Orient(vectors, means, values, moments.Count), moments.Count);
    }

    /// <summary>Decomposes a matrix directly by a thin SVD: exact to working precision, also for fewer rows than columns.</summary>
    /// <param name="rows">N×C, float32 or float64; computed in float64.</param>
    /// <param name="maximum">Keep at most so many directions; null for all.</param>
    /// <exception cref="AnalysisException">All activations are zero, none, or not finite.</exception>
    public static SingularDirections FromMatrix(Tensor rows, int? maximum = null)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var x = rows.detach().to(ScalarType.Float64);
        if (x.numel() == 0 || !x.isfinite().all().item<bool>())
        {
            throw new AnalysisException(
                "The activations of the layer are empty or contain values that are not finite.",
                "Check the weights and the normalisation, or choose an earlier layer.");
        }

        var (_, s, vt) = torch.linalg.svd(x, fullMatrices: false);
        var host = s.cpu().data<double>().ToArray();
        var cut = host[0] * Math.Max(x.shape[0], x.shape[1]) * Epsilon;
        var rank = host.Take(maximum ?? int.MaxValue).TakeWhile(v => v > cut).Count();
        RequireRank(rank);
        var vectors = vt.narrow(0, 0, rank).contiguous();
        var values = s.narrow(0, 0, rank).clone();
        var means = vectors.mv(x.mean([0L]));
        return new SingularDirections(values, Orient(vectors, means, values, x.shape[0]), x.shape[0]);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Values.Dispose();
        Vectors.Dispose();
    }

    private static void RequireRank(int rank)
    {
        if (rank == 0)
        {
            throw new AnalysisException("All activations of the layer are zero.", "Choose another layer.");
        }
    }

    private static Tensor Orient(Tensor vectors, Tensor means, Tensor values, long count)
    {
        // Var = S²/N − mean² needs no second pass over the rows.
        var deviation = ((values * values / Scalars.Of(count)) - (means * means)).clamp(min: Scalars.Of(0)).sqrt();
        var largest = vectors.gather(1, vectors.abs().argmax(1, keepdim: true)).squeeze(1);
        var sign = torch.where(means.abs() < deviation * Scalars.Of(1e-9), largest.sign(), means.sign());
        return vectors * torch.where(sign == Scalars.Of(0), torch.ones_like(sign), sign).unsqueeze(1);
    }
}
