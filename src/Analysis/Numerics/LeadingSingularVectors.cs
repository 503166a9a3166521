using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Numerics;

/// <summary>Strongest right singular vectors of a matrix of rows, in float64: no randomness, no approximation.</summary>
internal static class LeadingSingularVectors
{
    private const double Epsilon = 2.220446049250313e-16;

    /// <summary>n p min(n, p) up to which a direct decomposition is quick: it keeps singular values that a Gram matrix loses.</summary>
    private const double MostForDirect = 2e7;

    /// <summary>Numbers of a part of the rows in float64: 16 MiB.</summary>
    private const int PartNumbers = 1 << 21;

    /// <summary>
    /// Thin SVD, directly where the matrix is small, else by the eigenvectors of the Gram matrix of the shorter side; singular values
    /// that this loses to rounding (below √(max(n, p) · 2.2e-16) of the first) are dropped, as the numerical rank demands.
    /// </summary>
    /// <param name="rows">A, n×p, float32 or float64, finite.</param>
    /// <param name="count">At most so many vectors.</param>
    /// <param name="mean">Subtracted from every row, length p float64; null for none.</param>
    /// <returns>Singular values (r, descending) and unit vectors (r×p), float64 on the rows' device, of arbitrary sign, r at most <paramref name="count"/>
    /// and possibly 0. Belong to the caller's dispose scope.</returns>
    public static (Tensor Values, Tensor Vectors) Of(Tensor rows, int count, Tensor? mean = null)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var a = rows.detach();
        var (n, p) = (a.shape[0], a.shape[1]);
        var direct = (double)n * p * Math.Min(n, p) <= MostForDirect;
        Tensor values, vectors;
        double cut;
        if (direct)
        {
            var x = a.to(ScalarType.Float64);
            var (_, s, vt) = torch.linalg.svd(mean is null ? x : x - mean, fullMatrices: false);
            (values, vectors) = (s, vt);
            cut = Math.Max(n, p) * Epsilon;
        }
        else
        {
            var wide = n < p;
            var gram = wide ? Outer(a, mean) : Gram(a);
            if (!wide && mean is not null)
            {
                gram = gram.addmm_(mean.unsqueeze(1), mean.unsqueeze(0), 1, -n);
            }

            var (ascending, columns) = torch.linalg.eigh(gram);
            var size = gram.shape[0];
            var kept = Math.Min(count, size);
            values = ascending.narrow(0, size - kept, kept).flip(0).clamp(min: Scalars.Of(0)).sqrt();
            vectors = columns.narrow(1, size - kept, kept).flip(1).t();
            cut = Math.Sqrt(Math.Max(n, p) * Epsilon);
            if (wide)
            {
                vectors = Project(a, mean, vectors) / values.clamp(min: Scalars.Of(double.Epsilon)).unsqueeze(1);
            }
        }

        var host = values.cpu().data<double>().ToArray();
        var rank = host.Take(count).TakeWhile(s => s > cut * host[0]).Count();

        // clone: a view of the square result would keep all of it alive.
        return (values.narrow(0, 0, rank).clone().MoveToOuterDisposeScope(), vectors.narrow(0, 0, rank).clone().MoveToOuterDisposeScope());
    }

    /// <summary>Signs that make the mean projection of the rows positive; where it vanishes, the entry of largest magnitude.</summary>
    /// <param name="vectors">r×p.</param>
    /// <param name="values">Singular values, r.</param>
    /// <param name="mean">Mean of the decomposed rows, p; null where it is zero.</param>
    /// <param name="rows">Number of decomposed rows.</param>
    /// <returns>r×p; belongs to the caller's dispose scope.</returns>
    public static Tensor Orient(Tensor vectors, Tensor values, Tensor? mean, long rows)
    {
        using var scope = torch.NewDisposeScope();
        var largest = vectors.gather(1, vectors.abs().argmax(1, keepdim: true)).squeeze(1).sign();
        var sign = largest;
        if (mean is not null)
        {
            var means = vectors.mv(mean);
            var deviation = ((values * values / Scalars.Of(rows)) - (means * means)).clamp(min: Scalars.Of(0)).sqrt();
            sign = torch.where(means.abs() <= deviation * Scalars.Of(1e-9), largest, means.sign());
        }

        return (vectors * torch.where(sign == Scalars.Of(0), torch.ones_like(sign), sign).unsqueeze(1)).MoveToOuterDisposeScope();
    }

    /// <summary>AᵀA in float64, from the blocks on and above the diagonal.</summary>
    /// <param name="rows">n×p.</param>
    /// <returns>p×p; belongs to the caller's dispose scope.</returns>
    public static Tensor Gram(Tensor rows)
    {
        using var scope = torch.NewDisposeScope();
        var (n, p) = (rows.shape[0], rows.shape[1]);
        var gram = torch.zeros([p, p], ScalarType.Float64, rows.device);

        // Half of a symmetric product is enough; blocks below 64 columns would leave the multiplier idle.
        var block = Math.Max(64, (p + 3) / 4);
        var part = Math.Max(256, PartNumbers / p);
        for (long start = 0; start < n; start += part)
        {
            using var inner = torch.NewDisposeScope();
            var x = rows.narrow(0, start, Math.Min(part, n - start)).to(ScalarType.Float64);
            for (long i = 0; i < p; i += block)
            {
                var size = Math.Min(block, p - i);
                gram.narrow(0, i, size).narrow(1, i, p - i).addmm_(x.narrow(1, i, size).t(), x.narrow(1, i, p - i));
            }
        }

        for (long i = block; i < p; i += block)
        {
            var size = Math.Min(block, p - i);
            gram.narrow(0, i, size).narrow(1, 0, i).copy_(gram.narrow(0, 0, i).narrow(1, i, size).t());
        }

        return gram.MoveToOuterDisposeScope();
    }

    private static Tensor Outer(Tensor a, Tensor? mean)
    {
        using var scope = torch.NewDisposeScope();
        var n = a.shape[0];
        var result = torch.zeros([n, n], ScalarType.Float64, a.device);
        var part = Math.Max(256, PartNumbers / n);
        for (long start = 0; start < a.shape[1]; start += part)
        {
            using var inner = torch.NewDisposeScope();
            var x = Columns(a, mean, start, Math.Min(part, a.shape[1] - start));
            result.addmm_(x, x.t());
        }

        return result.MoveToOuterDisposeScope();
    }

    /// <summary>L (A − mean) for left vectors L, r×n.</summary>
    private static Tensor Project(Tensor a, Tensor? mean, Tensor left)
    {
        using var scope = torch.NewDisposeScope();
        var result = torch.zeros([left.shape[0], a.shape[1]], ScalarType.Float64, a.device);
        var part = Math.Max(256, PartNumbers / a.shape[0]);
        for (long start = 0; start < a.shape[1]; start += part)
        {
            using var inner = torch.NewDisposeScope();
            var count = Math.Min(part, a.shape[1] - start);
            result.narrow(1, start, count).copy_(left.mm(Columns(a, mean, start, count)));
        }

        return result.MoveToOuterDisposeScope();
    }

    private static Tensor Columns(Tensor a, Tensor? mean, long start, long count)
    {
        var x = a.narrow(1, start, count).to(ScalarType.Float64);
        return mean is null ? x : x - mean.narrow(0, start, count);
    }
}
