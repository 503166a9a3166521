using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>Starts of the factorisations of signed rows: the partition by k-means, softened (Ding, Li and Jordan 2010, section 3.2).</summary>
internal static class ClusteredStart
{
    /// <summary>Added to the indicators so that no coefficient starts at zero, where multiplicative updates would leave it.</summary>
    private const double Softening = 0.2;
    private const int Steps = 30;
    private const int Starts = 5;

    /// <summary>Uᵀ, k×n: 1.2 for the row's group, 0.2 elsewhere. With more concepts than rows the others start from random numbers.</summary>
    public static Tensor Codes(Tensor a, int k, int seed, CancellationToken cancellation)
    {
        using var scope = torch.NewDisposeScope();
        var n = (int)a.shape[0];
        var random = new SplitMix64(unchecked((ulong)seed));
        var groups = Math.Min(k, n);
        KMeansResult? fit = null;
        for (var start = 0; start < Starts; start++)
        {
            var found = KMeansFactorization.Lloyd(a, KMeansFactorization.PlusPlus(a, groups, ref random), Steps, 1e-4, null, cancellation);
            fit = fit is null || found.Inertia < fit.Inertia ? found : fit;
        }

        var labels = torch.tensor(Array.ConvertAll(fit!.Labels, l => (long)l), device: a.device).unsqueeze(0);
        var u = torch.full([k, n], Scalars.Of(Softening), a.dtype, a.device);
        u.scatter_add_(0, labels, torch.ones([1, n], a.dtype, a.device));
        for (var j = groups; j < k; j++)
        {
            // Equal rows of the start would stay equal for ever.
            var extra = new double[n];
            for (var i = 0; i < n; i++)
            {
                extra[i] = random.NextDouble();
            }

            u[j].copy_(torch.tensor(extra, ScalarType.Float64));
        }

        return u.MoveToOuterDisposeScope();
    }
}
