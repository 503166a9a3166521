using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Outliers;

/// <summary>Distances of samples from the distribution of their class; larger is more outlying.</summary>
public static class ClassDistances
{
    /// <summary>
    /// Squared Mahalanobis distance from the class mean with the covariance shrunk by Ledoit and Wolf (2004). Classes with
    /// fewer samples than <paramref name="smallestClass"/> use the covariance pooled over all classes; a class with fewer than
    /// 3 samples is undefined (NaN).
    /// </summary>
    /// <param name="rows">n×d.</param>
    /// <param name="labels">Class of each sample.</param>
    /// <param name="smallestClass">Null for 2d; 0 for a covariance per class whatever its size.</param>
    public static double[] SquaredMahalanobis(Tensor rows, IReadOnlyList<int> labels, int? smallestClass = null)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var x = rows.to(ScalarType.Float64);
        var smallest = smallestClass ?? (int)(2 * x.shape[1]);
        var result = new double[labels.Count];
        Array.Fill(result, double.NaN);
        var groups = ClassMembers.Of(labels).Where(g => g.Members.Length >= 3).ToArray();
        Tensor? pooled = null;
        if (groups.Any(g => g.Members.Length < smallest))
        {
            var centred = new List<Tensor>();
            foreach (var (_, members) in groups)
            {
                var own = Select(x, members);
                centred.Add(own - own.mean([0L], keepdim: true));
            }

            pooled = LedoitWolf(torch.cat(centred, 0)).Covariance;
        }

        foreach (var (_, members) in groups)
        {
            var own = Select(x, members);
            var y = own - own.mean([0L], keepdim: true);
            var covariance = members.Length < smallest ? pooled! : LedoitWolf(y).Covariance;
            var distances = Whitened(y, covariance).pow(Scalars.Of(2)).sum(1).cpu().data<double>().ToArray();
            for (var i = 0; i < members.Length; i++)
            {
                result[members[i]] = distances[i];
            }
        }

        return result;
    }

    /// <summary>Covariance shrunk towards a multiple of the identity by the share that minimises the expected squared error.</summary>
    /// <param name="centred">m×d float64, mean zero.</param>
    /// <returns>d×d covariance (divisor m) and the share of shrinkage in [0, 1].</returns>
    public static (Tensor Covariance, double Shrinkage) LedoitWolf(Tensor centred)
    {
        using var scope = torch.NewDisposeScope();
        var m = centred.shape[0];
        var d = centred.shape[1];
        var covariance = centred.t().mm(centred) / Scalars.Of(m);
        var mean = covariance.trace().item<double>() / d;
        var identity = torch.eye(d, dtype: ScalarType.Float64, device: centred.device);
        var dispersion = (covariance - (identity * Scalars.Of(mean))).pow(Scalars.Of(2)).sum().item<double>() / d;
        var squares = centred.pow(Scalars.Of(2));
        var error = ((squares.t().mm(squares) / Scalars.Of(m)) - covariance.pow(Scalars.Of(2))).sum().item<double>() / ((double)m * d);
        var shrinkage = dispersion > 0 ? Math.Clamp(error, 0, dispersion) / dispersion : 0;
        var shrunk = (covariance * Scalars.Of(1 - shrinkage)).add(identity * Scalars.Of(shrinkage * mean), Scalars.One);
        return (shrunk.MoveToOuterDisposeScope(), shrinkage);
    }

    /// <summary>
    /// √Σ ((z − median) / (1.4826 MAD))² with median and MAD of the class. A column whose MAD is 0 in the class takes the MAD
    /// over all samples around their class medians, and is left out where that is 0 too.
    /// </summary>
    /// <param name="rows">n×d.</param>
    /// <param name="labels">Class of each sample.</param>
    public static double[] Robust(DenseMatrix rows, IReadOnlyList<int> labels)
    {
        var result = new double[rows.Rows];
        var groups = ClassMembers.Of(labels).ToArray();
        var deviations = new double[rows.Rows];
        for (var column = 0; column < rows.Columns; column++)
        {
            var values = rows.Column(column);
            var spread = new double[groups.Length];
            for (var g = 0; g < groups.Length; g++)
            {
                var own = Array.ConvertAll(groups[g].Members, i => values[i]);
                var median = RobustStatistics.Median(own);
                spread[g] = RobustStatistics.MedianAbsoluteDeviation(own);
                foreach (var i in groups[g].Members)
                {
                    deviations[i] = values[i] - median;
                }
            }

            var pooled = RobustStatistics.Median(Array.ConvertAll(deviations, Math.Abs));
            for (var g = 0; g < groups.Length; g++)
            {
                var scale = RobustStatistics.NormalConsistency * (spread[g] > 0 ? spread[g] : pooled);
                foreach (var i in groups[g].Members)
                {
                    result[i] += scale > 0 ? Math.Pow(deviations[i] / scale, 2) : 0;
                }
            }
        }

        return Array.ConvertAll(result, Math.Sqrt);
    }

    /// <summary>Squared distance to the own class's mean minus that to the nearest other one: positive where another class is nearer. NaN for a single class.</summary>
    /// <param name="rows">n×d.</param>
    /// <param name="labels">Class of each sample.</param>
    public static double[] CentroidMargin(Tensor rows, IReadOnlyList<int> labels)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var x = rows.to(ScalarType.Float64);
        var groups = ClassMembers.Of(labels).ToArray();
        var result = new double[labels.Count];
        if (groups.Length < 2)
        {
            Array.Fill(result, double.NaN);
            return result;
        }

        var centroids = torch.stack(groups.Select(g => Select(x, g.Members).mean([0L])).ToArray());

        // Around the overall mean, so that the product's rounding is that of the spread and not of the offset.
        var centre = x.mean([0L], keepdim: true);
        var squared = DenseMatrix.FromTensor(Distances.Squared(x - centre, centroids - centre));
        for (var g = 0; g < groups.Length; g++)
        {
            foreach (var i in groups[g].Members)
            {
                var other = double.PositiveInfinity;
                for (var c = 0; c < groups.Length; c++)
                {
                    other = c == g ? other : Math.Min(other, squared[i, c]);
                }

                result[i] = squared[i, g] - other;
            }
        }

        return result;
    }

    /// <summary>y L⁻ᵀ for the covariance LLᵀ: rows whose squared length is the Mahalanobis distance.</summary>
    internal static Tensor Whitened(Tensor centred, Tensor covariance)
    {
        // A class of equal samples has no spread at all; a tiny ridge keeps the factor defined and all distances at 0.
        var ridge = Math.Max(covariance.trace().item<double>() / covariance.shape[0] * 1e-12, 1e-300);
        var factor = torch.linalg.cholesky(covariance.add(torch.eye(covariance.shape[0], dtype: ScalarType.Float64, device: covariance.device) * Scalars.Of(ridge), Scalars.One));
        return torch.linalg.solve(factor, centred.t()).t();
    }

    private static Tensor Select(Tensor x, int[] members)
    {
        using var index = torch.tensor(Array.ConvertAll(members, i => (long)i), ScalarType.Int64, device: x.device);
        return x.index_select(0, index);
    }
}
