using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>Where non-negative factorisations start.</summary>
internal static class NonNegativeStart
{
    /// <summary>
    /// NNDSVDa (Boutsidis and Gallopoulos 2008): of each singular pair the positive or the negative parts, whichever carry more, with
    /// the zeros filled by the mean of A. Where A has fewer singular pairs than k, the rest is random.
    /// </summary>
    /// <param name="a">n×p, at least 0.</param>
    /// <param name="k">At most min(n, p).</param>
    /// <param name="seed">Of the random rest.</param>
    /// <returns>Uᵀ (k×n) and V (k×p) of A's type and device; belong to the caller's dispose scope.</returns>
    public static (Tensor U, Tensor V) Nndsvda(Tensor a, int k, int seed)
    {
        using var scope = torch.NewDisposeScope();
        var (values, vectors) = LeadingSingularVectors.Of(a, k);
        var u = FromSpectrum(a, values, vectors, k, seed, out var v);
        return (u.MoveToOuterDisposeScope(), v.MoveToOuterDisposeScope());
    }

    /// <summary>The same from singular vectors that are known.</summary>
    internal static Tensor FromSpectrum(Tensor a, Tensor values, Tensor vectors, int k, int seed, out Tensor v)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var rank = (int)values.shape[0];
        var right = vectors.to(a.dtype);
        var s = values.to(a.dtype).unsqueeze(1);
        var left = right.mm(a.t()) / s;

        // The first pair has one sign throughout (Perron); the others are split.
        var (up, un) = (left.clamp(min: Scalars.Of(0)), (-left).clamp(min: Scalars.Of(0)));
        var (vp, vn) = (right.clamp(min: Scalars.Of(0)), (-right).clamp(min: Scalars.Of(0)));
        var (upn, unn, vpn, vnn) = (Length(up), Length(un), Length(vp), Length(vn));
        var (positive, negative) = (upn * vpn, unn * vnn);
        var first = torch.arange(Scalars.Of(0), Scalars.Of(rank), Scalars.One, device: a.device).unsqueeze(1) == Scalars.Of(0);
        var takePositive = positive > negative;
        var strength = (s * torch.where(takePositive, positive, negative)).sqrt();
        var lu = torch.where(takePositive, up / upn.clamp(min: Scalars.Of(float.Epsilon)), un / unn.clamp(min: Scalars.Of(float.Epsilon))) * strength;
        var lv = torch.where(takePositive, vp / vpn.clamp(min: Scalars.Of(float.Epsilon)), vn / vnn.clamp(min: Scalars.Of(float.Epsilon))) * strength;
        lu = torch.where(first, left.abs() * s.sqrt(), lu);
        lv = torch.where(first, right.abs() * s.sqrt(), lv);
        var mean = a.mean();
        lu = torch.where(lu < Scalars.Of(Negligible), mean, lu);
        lv = torch.where(lv < Scalars.Of(Negligible), mean, lv);
        if (rank < k)
        {
            var (ru, rv) = Random(a, k, seed);
            lu = torch.cat([lu, ru.narrow(0, rank, k - rank)]);
            lv = torch.cat([lv, rv.narrow(0, rank, k - rank)]);
        }

        v = lv.MoveToOuterDisposeScope();
        return lu.MoveToOuterDisposeScope();
    }

    /// <summary>|N(0, 1)| √(mean(A)/k).</summary>
    /// <param name="a">n×p, at least 0.</param>
    /// <param name="k">Any number.</param>
    /// <param name="seed">Equal seeds give equal starts on every device.</param>
    /// <returns>Uᵀ (k×n) and V (k×p) of A's type and device; belong to the caller's dispose scope.</returns>
    public static (Tensor U, Tensor V) Random(Tensor a, int k, int seed)
    {
        using var scope = torch.NewDisposeScope();
        using var generator = new Generator((ulong)(uint)seed);
        var scale = Math.Sqrt(a.mean([0L, 1L], type: ScalarType.Float64).item<double>() / k);
        var u = (torch.randn([k, a.shape[0]], ScalarType.Float64, generator: generator).abs() * Scalars.Of(scale)).to(a.dtype).to(a.device);
        var v = (torch.randn([k, a.shape[1]], ScalarType.Float64, generator: generator).abs() * Scalars.Of(scale)).to(a.dtype).to(a.device);
        return (u.MoveToOuterDisposeScope(), v.MoveToOuterDisposeScope());
    }

    private const double Negligible = 1e-6;

    private static Tensor Length(Tensor x) => x.pow(Scalars.Of(2)).sum(1, keepdim: true).sqrt();
}
