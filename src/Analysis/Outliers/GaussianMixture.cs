using Analysis.Factorization;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Outliers;

/// <summary>
/// A mixture of Gaussians with full covariances fitted by expectation maximisation (Dempster, Laird and Rubin 1977): the
/// prototypes of a class. The score of a sample is minus its log density.
/// </summary>
/// <param name="Weights">Share of each component. Length g.</param>
/// <param name="Means">g×d.</param>
/// <param name="Covariances">d×d each.</param>
/// <param name="Iterations">Steps taken.</param>
public sealed record GaussianMixture(double[] Weights, DenseMatrix Means, IReadOnlyList<DenseMatrix> Covariances, int Iterations)
{
    /// <summary>Fits from given means, with identity covariances and equal weights at the start.</summary>
    /// <param name="rows">n×d.</param>
    /// <param name="means">g×d start.</param>
    /// <param name="regularization">Added to the diagonal of every covariance.</param>
    /// <param name="tolerance">Stops when the mean log density changes by less.</param>
    /// <param name="maximumIterations">Limit of steps.</param>
    public static GaussianMixture Fit(
        DenseMatrix rows, DenseMatrix means, double regularization = 1e-3, double tolerance = 1e-8, int maximumIterations = 1000)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var x = rows.ToTensor();
        var g = means.Rows;
        var d = rows.Columns;
        var identity = torch.eye(d, dtype: ScalarType.Float64);
        var weight = Enumerable.Repeat(1.0 / g, g).ToArray();
        var centre = means.ToTensor();
        var covariance = Enumerable.Repeat(identity, g).ToArray();
        var previous = double.NegativeInfinity;
        var iterations = 0;
        while (iterations < maximumIterations)
        {
            iterations++;
            using var step = torch.NewDisposeScope();
            var joint = Joint(x, weight, centre, covariance);
            var density = joint.logsumexp(1, keepdim: true);
            var responsibility = (joint - density).exp();
            var bound = density.mean().item<double>();

            // A component may lose all its samples; the constant keeps the division defined.
            var mass = responsibility.sum([0L]).add(Scalars.Of(10 * 2.220446049250313e-16), Scalars.One);
            centre = (responsibility.t().mm(x) / mass.unsqueeze(1)).MoveToOuterDisposeScope();
            for (var c = 0; c < g; c++)
            {
                var y = x - centre[c].unsqueeze(0);
                var spread = (responsibility.select(1, c).unsqueeze(1) * y).t().mm(y) / mass[c];
                covariance[c] = spread.add(identity * Scalars.Of(regularization), Scalars.One).MoveToOuterDisposeScope();
            }

            weight = (mass / mass.sum()).data<double>().ToArray();
            if (Math.Abs(bound - previous) < tolerance)
            {
                break;
            }

            previous = bound;
        }

        return new GaussianMixture(weight, DenseMatrix.FromTensor(centre), [.. covariance.Select(DenseMatrix.FromTensor)], iterations);
    }

    /// <summary>Fits 1 to <paramref name="maximumComponents"/> components from k-means starts and keeps the best by Bayes' information criterion.</summary>
    /// <param name="rows">n×d.</param>
    /// <param name="maximumComponents">Most components; each must have at least 2d samples on average.</param>
    /// <param name="seed">Seed of k-means.</param>
    /// <param name="regularization">Added to the diagonal of every covariance.</param>
    public static GaussianMixture Select(DenseMatrix rows, int maximumComponents, int seed = 0, double regularization = 1e-3)
    {
        GaussianMixture? best = null;
        var bestCriterion = double.PositiveInfinity;
        var d = rows.Columns;
        for (var g = 1; g <= Math.Max(1, Math.Min(maximumComponents, rows.Rows / (2 * d))); g++)
        {
            var fit = Fit(rows, KMeans.Fit(rows, g, seed).Centroids, regularization, 1e-6, 200);
            var parameters = (g * (d + (d * (d + 1) / 2.0))) + g - 1;
            var criterion = (parameters * Math.Log(rows.Rows)) - (2 * fit.LogDensity(rows).Sum());
            if (criterion < bestCriterion)
            {
                (best, bestCriterion) = (fit, criterion);
            }
        }

        return best!;
    }

    /// <summary>Log density of each row.</summary>
    /// <param name="rows">n×d.</param>
    public double[] LogDensity(DenseMatrix rows)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var joint = Joint(rows.ToTensor(), Weights, Means.ToTensor(), [.. Covariances.Select(c => c.ToTensor())]);
        return joint.logsumexp(1).data<double>().ToArray();
    }

    /// <summary>Log of weight × density of each component, n×g.</summary>
    private static Tensor Joint(Tensor x, double[] weight, Tensor means, IReadOnlyList<Tensor> covariances)
    {
        var d = x.shape[1];
        var columns = new List<Tensor>();
        for (var c = 0; c < weight.Length; c++)
        {
            var factor = torch.linalg.cholesky(covariances[c]);
            var y = torch.linalg.solve(factor, (x - means[c].unsqueeze(0)).t());
            var determinant = factor.diagonal().log().sum().item<double>();
            columns.Add((y.pow(Scalars.Of(2)).sum([0L]) * Scalars.Of(-0.5)).add(Scalars.Of(Math.Log(weight[c]) - determinant - (0.5 * d * Math.Log(2 * Math.PI))), Scalars.One));
        }

        return torch.stack(columns, 1);
    }
}
