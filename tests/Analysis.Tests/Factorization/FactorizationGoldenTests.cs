using Analysis.Factorization;
using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Factorization;

/// <summary>Reference values of the linear factorisations; files of the same form in another folder are tried as well.</summary>
public sealed class FactorizationGoldenTests
{
    public static TheoryData<string> Svd => GoldenFiles.Rows("svd_*.npz");

    public static TheoryData<string> Pca => GoldenFiles.Rows("pca*.npz");

    public static TheoryData<string> NmfSklearn => GoldenFiles.Rows("nmf_sklearn*.npz");

    public static TheoryData<string> NmfOvercomplete => GoldenFiles.Rows("nmf_overcomplete*.npz");

    public static TheoryData<string> KMeansFiles => GoldenFiles.Rows("kmeans_*.npz");

    public static TheoryData<string> Jacobian => GoldenFiles.Rows("nnls_jacobian*.npz");

    [Theory]
    [MemberData(nameof(Svd))]
    public void LeadingSingularVectorsEqualTheReference(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = NewDisposeScope();
        var x = golden.Tensor("X");
        var expected = golden.Matrix("Vt");
        var s = golden.Doubles("S");
        var rank = s.Count(v => v > s[0] * Math.Max(x.shape[0], x.shape[1]) * 2.2e-16);
        using var factors = (ProjectionFactors)new SvdFactorization().Fit(x, new FactorizationOptions { Components = s.Length });
        Assert.Equal(rank, factors.Components);
        Close.Relative(s[..rank], Close.Values(factors.SingularValues), 1e-10, "S");
        var means = (x.mean([0L]).unsqueeze(0).mm(factors.Vectors.t())).data<double>().ToArray();
        var found = DenseMatrix.FromTensor(factors.Vectors);
        for (var j = 0; j < rank; j++)
        {
            Assert.True(means[j] > -1e-12);
            if ((j > 0 && s[j - 1] - s[j] < 1e-6 * s[j]) || (j + 1 < s.Length && s[j] - s[j + 1] < 1e-6 * s[j]))
            {
                continue;
            }

            var sign = Math.Sign(Vectors.Dot(expected.Row(j), found.Row(j)));
            Close.Absolute(expected.Row(j).ToArray(), Array.ConvertAll(found.Row(j).ToArray(), v => sign * v), 1e-8, $"v{j}");
        }

        if (golden.Names.Contains("row_space_projector"))
        {
            Close.Absolute(golden.Doubles("row_space_projector"), Close.Values(factors.Vectors.t().mm(factors.Vectors)), 1e-9, "projector");
            var two = factors.Vectors.narrow(0, 0, 2);
            Close.Absolute(golden.Doubles("top2_projector"), Close.Values(two.t().mm(two)), 1e-9, "top2_projector");
        }
    }

    [Theory]
    [MemberData(nameof(Pca))]
    public void PrincipalComponentsEqualTheReference(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = NewDisposeScope();
        var x = golden.Tensor("X");
        var expected = golden.Matrix("components");
        using var factors = (ProjectionFactors)new PcaFactorization().Fit(x, new FactorizationOptions { Components = expected.Rows });
        Close.Absolute(golden.Doubles("mean"), Close.Values(factors.Offset!), 1e-9, "mean");
        Close.Relative(golden.Doubles("singular_values"), Close.Values(factors.SingularValues), 1e-9, "singular_values");
        var variance = factors.SingularValues.pow(Scalars.Of(2)) / Scalars.Of(x.shape[0] - 1);
        Close.Relative(golden.Doubles("explained_variance"), Close.Values(variance), 1e-9, "explained_variance");
        var total = x.var(0).sum();
        Close.Relative(golden.Doubles("explained_variance_ratio"), Close.Values(variance / total), 1e-9, "explained_variance_ratio");
        var sign = (factors.Vectors * golden.Tensor("components")).sum(1).sign();
        Close.Absolute(expected.Values, Close.Values(factors.Vectors * sign.unsqueeze(1)), 1e-9, "components");
        var codes = factors.Encode(x);
        Close.Absolute(golden.Doubles("codes"), Close.Values(codes * sign), 1e-9, "codes");
        Close.Absolute(golden.Doubles("reconstruction"), Close.Values(factors.Decode(codes)), 1e-9, "reconstruction");
    }

    [Theory]
    [MemberData(nameof(NmfSklearn))]
    public void CoordinateDescentEqualsTheReference(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = NewDisposeScope();
        var x = golden.Tensor("X");
        foreach (var (steps, tolerance) in new[] { (1, 1e-9), (10, 1e-7) })
        {
            var (u, v) = Plain(x, golden.Tensor("W0"), golden.Tensor("H0"), steps);
            Close.Absolute(golden.Doubles($"cd_W_{steps}"), Close.Values(u), tolerance, $"cd_W_{steps}");
            Close.Absolute(golden.Doubles($"cd_H_{steps}"), Close.Values(v), tolerance, $"cd_H_{steps}");
        }

        var (u200, v200) = Plain(x, golden.Tensor("W0"), golden.Tensor("H0"), 200);
        Close.Relative(golden.Doubles("cd_err_200"), [Error(x, u200, v200)], 1e-3, "cd_err_200");
        Close.Absolute(
            Close.Values(golden.Tensor("cd_W_200").mm(golden.Tensor("cd_H_200"))), Close.Values(u200.mm(v200)), 1e-3 * x.max().item<double>(), "WH");

        var (ur, vr) = Plain(x, golden.Tensor("W0"), golden.Tensor("H0"), 5000, alpha: 0.01);
        Close.Absolute(
            Close.Values(golden.Tensor("cd_alphaW001_W").mm(golden.Tensor("cd_alphaW001_H"))), Close.Values(ur.mm(vr)), 0.02 * x.max().item<double>(), "alpha WH");
        Assert.True(Penalised(x, ur, vr, 0.01) <= Penalised(x, golden.Tensor("cd_alphaW001_W"), golden.Tensor("cd_alphaW001_H"), 0.01) * 1.0001);
    }

    [Theory]
    [MemberData(nameof(NmfSklearn))]
    public void AcceleratedNmfReachesTheReferencesError(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = NewDisposeScope();
        var x = golden.Tensor("X");
        var k = (int)golden.Tensor("H0").shape[0];
        var parameters = new Dictionary<string, double> { ["tolerance"] = 1e-6 };
        using var factors = new NmfFactorization().Fit(x, new FactorizationOptions { Components = k, Parameters = parameters });
        Assert.True(Error(x, factors.Encode(x), factors.Vectors) <= 1.02 * golden.Scalar("nndsvda_err"));
        using var fixedVectors = new NonNegativeFactors(golden.Tensor("transform_H").clone());
        Close.Absolute(golden.Doubles("transform_W"), Close.Values(fixedVectors.Encode(golden.Tensor("X_new"))), 1e-6, "transform_W");
    }

    [Theory]
    [MemberData(nameof(NmfOvercomplete))]
    public void HalsEqualsTheReference(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = NewDisposeScope();
        var a = golden.Tensor("A");
        foreach (var (steps, tolerance) in new[] { (1, 1e-9), (10, 1e-6) })
        {
            var (u, v) = Plain(a, golden.Tensor("Z0"), golden.Tensor("D0"), steps);
            Close.Absolute(golden.Doubles($"hals_Z_{steps}"), Close.Values(u), tolerance, $"hals_Z_{steps}");
            Close.Absolute(golden.Doubles($"hals_D_{steps}"), Close.Values(v), tolerance, $"hals_D_{steps}");
        }

        var (u100, v100) = Plain(a, golden.Tensor("Z0"), golden.Tensor("D0"), 100);
        Close.Relative(golden.Doubles("hals_err_100"), [Error(a, u100, v100)], 1e-3, "hals_err_100");
    }

    [Theory]
    [MemberData(nameof(KMeansFiles))]
    public void LloydOnTensorsEqualsTheReference(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = NewDisposeScope();
        var x = golden.Tensor("X").contiguous();
        foreach (var result in new[]
        {
            KMeansFactorization.Lloyd(x, golden.Matrix("init"), 10_000, 0),
            KMeansFactorization.LloydOnDevice(x, golden.Matrix("init"), 10_000, 0, null, default),
        })
        {
            Assert.Equal(golden.Ints("labels_strict"), result.Labels);
            Close.Absolute(golden.Doubles("centers_strict"), result.Centroids.Values, 1e-9, "centers_strict");
            Close.Relative(golden.Doubles("inertia_strict"), [result.Inertia], 1e-9, "inertia_strict");
        }

        Close.Absolute(golden.Doubles("centers_iter1"), KMeansFactorization.Lloyd(x, golden.Matrix("init"), 1).Centroids.Values, 1e-9, "centers_iter1");
    }

    [Theory]
    [MemberData(nameof(Jacobian))]
    public void CodesAndTheirDerivativeEqualTheReference(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = NewDisposeScope();
        var v = golden.Tensor("V");
        var u = NonNegativeLeastSquares.Encode(golden.Tensor("A"), v);
        Close.Absolute(golden.Doubles("U"), Close.Values(u), 1e-8, "U");
        Assert.Equal(golden.Bools("active"), (u > Scalars.Of(0)).data<bool>().ToArray());
        var jacobian = NonNegativeLeastSquares.Jacobian(u, v);
        Close.Absolute(golden.Doubles("jacobian"), Close.Values(jacobian), 1e-7, "jacobian");
        var weights = arange(Scalars.Of(0), Scalars.Of(u.numel()), Scalars.One, ScalarType.Float64).reshape(u.shape).sin();
        var product = einsum("nk,nkp->np", weights, golden.Tensor("jacobian"));
        Close.Absolute(Close.Values(product), Close.Values(NonNegativeLeastSquares.VectorJacobian(u, v, weights)), 1e-7, "vector-jacobian");
    }

    private static (Tensor U, Tensor V) Plain(Tensor x, Tensor u, Tensor v, int steps, double alpha = 0)
    {
        var settings = new HalsSettings { Iterations = steps, Tolerance = 0, CodesPenalty = alpha * x.shape[1], VectorsPenalty = alpha * x.shape[0] };
        var (ut, found, iterations) = Hals.Run(x.unsqueeze(0), u.t().unsqueeze(0), v.unsqueeze(0), settings, null, default);
        Assert.Equal(steps, iterations);
        return (ut[0].t(), found[0]);
    }

    private static double Error(Tensor x, Tensor u, Tensor v) => (x - u.mm(v)).norm().item<double>();

    private static double Penalised(Tensor x, Tensor u, Tensor v, double alpha) =>
        (x - u.mm(v)).pow(Scalars.Of(2)).sum().item<double>() + (alpha * x.shape[1] * u.pow(Scalars.Of(2)).sum().item<double>()) + (alpha * x.shape[0] * v.pow(Scalars.Of(2)).sum().item<double>());
}
