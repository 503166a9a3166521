using Analysis.Factorization;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Factorization;

/// <summary>Reference values of multiplicative, semi- and convex NMF.</summary>
public sealed class SignedAndMultiplicativeGoldenTests
{
    public static TheoryData<string> NmfSklearn => GoldenFiles.Rows("nmf_sklearn*.npz");

    public static TheoryData<string> NmfOvercomplete => GoldenFiles.Rows("nmf_overcomplete*.npz");

    [Theory]
    [MemberData(nameof(NmfSklearn))]
    public void MultiplicativeUpdatesEqualTheReference(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = NewDisposeScope();
        var x = golden.Tensor("X");
        foreach (var (steps, tolerance) in new[] { (1, 1e-9), (10, 1e-7) })
        {
            var (u, v, _) = MultiplicativeNmfFactorization.Run(x, golden.Tensor("W0").t(), golden.Tensor("H0"), steps, 0, 0, null, default);
            Close.Absolute(golden.Doubles($"mu_W_{steps}"), Close.Values(u.t()), tolerance, $"mu_W_{steps}");
            Close.Absolute(golden.Doubles($"mu_H_{steps}"), Close.Values(v), tolerance, $"mu_H_{steps}");
        }

        var (ul, vl, _) = MultiplicativeNmfFactorization.Run(x, golden.Tensor("W0").t(), golden.Tensor("H0"), 200, 0, 0, null, default);
        Close.Relative(golden.Doubles("mu_err_200"), [Error(x, ul.t(), vl)], 1e-3, "mu_err_200");
        Close.Absolute(Close.Values(golden.Tensor("mu_W_200").mm(golden.Tensor("mu_H_200"))), Close.Values(ul.t().mm(vl)), 1e-3 * x.max().item<double>(), "WH");
    }

    [Theory]
    [MemberData(nameof(NmfOvercomplete))]
    public void MultiplicativeUpdatesOfOvercompleteAreMet(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = NewDisposeScope();
        var a = golden.Tensor("A");
        foreach (var (steps, tolerance) in new[] { (1, 1e-9), (10, 1e-6) })
        {
            var (u, v, _) = MultiplicativeNmfFactorization.Run(a, golden.Tensor("Z0").t(), golden.Tensor("D0"), steps, 0, 0, null, default);
            Close.Absolute(golden.Doubles($"mu_Z_{steps}"), Close.Values(u.t()), tolerance, $"mu_Z_{steps}");
            Close.Absolute(golden.Doubles($"mu_D_{steps}"), Close.Values(v), tolerance, $"mu_D_{steps}");
        }

        var (ul, vl, _) = MultiplicativeNmfFactorization.Run(a, golden.Tensor("Z0").t(), golden.Tensor("D0"), 100, 0, 0, null, default);
        Close.Relative(golden.Doubles("mu_err_100"), [Error(a, ul.t(), vl)], 1e-3, "mu_err_100");
    }

    [Theory]
    [MemberData(nameof(NmfOvercomplete))]
    public void SemiNmfEqualsTheReferenceAndDescentEndsLower(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = NewDisposeScope();
        var a = golden.Tensor("semi_A");
        var (u0, d0) = (golden.Tensor("Z0").t(), golden.Tensor("semi_D0"));
        foreach (var (steps, tolerance) in new[] { (1, 1e-9), (10, 1e-6) })
        {
            var (u, v, _) = SemiNmfFactorization.Run(a, u0, steps, 0, true, null, default, d0);
            Close.Absolute(golden.Doubles($"semi_Z_{steps}"), Close.Values(u.t()), tolerance, $"semi_Z_{steps}");
            Close.Absolute(golden.Doubles($"semi_D_{steps}"), Close.Values(v), tolerance, $"semi_D_{steps}");
        }

        var (ul, vl, _) = SemiNmfFactorization.Run(a, u0, 100, 0, true, null, default, d0);
        Close.Relative(golden.Doubles("semi_err_100"), [Error(a, ul.t(), vl)], 1e-3, "semi_err_100");
        var (uc, vc, _) = SemiNmfFactorization.Run(a, u0, 100, 0, false, null, default);
        Assert.True(Error(a, uc.t(), vc) <= golden.Scalar("semi_err_100"));
    }

    [Theory]
    [MemberData(nameof(NmfOvercomplete))]
    public void ConvexNmfEqualsTheCorrectedReferenceAndNeverRises(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = NewDisposeScope();
        var a = golden.Tensor("semi_A");
        var (u0, w0) = (golden.Tensor("Z0").t(), golden.Tensor("convex_W0"));
        var (u1, w1, _) = ConvexNmfFactorization.Run(a, u0, w0, 1, 0, null, default);
        Close.Absolute(golden.Doubles("convex_fixed_Z_1"), Close.Values(u1.t()), 1e-9, "convex_fixed_Z_1");
        Close.Absolute(golden.Doubles("convex_fixed_W_1"), Close.Values(w1), 1e-9, "convex_fixed_W_1");
        var expected = golden.Doubles("convex_fixed_err");
        var found = new double[expected.Length];
        var (u, w) = (u0, w0);
        for (var i = 0; i < expected.Length; i++)
        {
            (u, w, _) = ConvexNmfFactorization.Run(a, u, w, 1, 0, null, default);
            found[i] = Error(a, u.t(), w.mm(a));
            var before = i == 0 ? double.PositiveInfinity : found[i - 1];
            Assert.True(found[i] <= before * (1 + 1e-9), $"step {i}: {found[i]} after {before}");
        }

        Close.Relative(expected, found, 1e-3, "convex_fixed_err");
        Close.Absolute(Close.Values(golden.Tensor("convex_fixed_Z_100").mm(golden.Tensor("convex_fixed_W_100")).mm(a)), Close.Values(u.t().mm(w).mm(a)), 1e-3, "ZWA");
    }

    private static double Error(Tensor x, Tensor u, Tensor v) => (x - u.mm(v)).norm().item<double>();
}
