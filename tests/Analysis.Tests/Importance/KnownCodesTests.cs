using Analysis.Activations;
using Analysis.Concepts;
using Analysis.Factorization;
using Analysis.Importance;
using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Importance;

/// <summary>Coefficients that are known are not computed again, and lead to the same contributions.</summary>
public sealed class KnownCodesTests
{
    [Fact]
    public void KnownCoefficientsGiveTheSameContributionsWithoutEncoding()
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        const int n = 12, channels = 6, components = 9;
        using var factors = new CountingFactors(rand(components, channels, dtype: ScalarType.Float64));
        int[] kept = [7, 2, 5];
        using var all = FactorEncoder.Create(factors, byPositions: false);
        using var encoder = FactorEncoder.Create(factors, byPositions: false, kept);
        var pooled = rand(n, channels, dtype: ScalarType.Float64);
        var (weight, bias) = (randn(4, channels, dtype: ScalarType.Float64), randn(4, dtype: ScalarType.Float64));
        int[] rows = [.. Enumerable.Range(0, n)];
        var outputs = ImageOutputs.From(rows, DenseMatrix.FromTensor(pooled.mm(weight.t()).add(bias.unsqueeze(0), Scalars.One)), null);
        using var empty = zeros(n, channels, 1, 1);
        var contributions = new LinearContributions(weight, bias, new GivenActivations(empty));
        var cancellation = TestContext.Current.CancellationToken;

        var everything = contributions.Compute(pooled, all, rows, outputs, cancellation).Coefficients;
        var fresh = contributions.Compute(pooled, encoder, rows, outputs, cancellation);
        Assert.Equal(2 * n, factors.Encoded);
        var known = new DenseMatrix(n, kept.Length);
        for (var i = 0; i < n; i++)
        {
            for (var j = 0; j < kept.Length; j++)
            {
                known[i, j] = everything[i, kept[j]];
            }
        }

        var again = contributions.Compute(pooled, encoder, rows, outputs, cancellation, known.ToTensor(pooled.device));
        Assert.Equal(2 * n, factors.Encoded);
        Assert.Equal(fresh.Coefficients.Values, again.Coefficients.Values);
        Assert.Equal(fresh.Contributions.Values, again.Contributions.Values);
        Assert.Equal(fresh.Residual, again.Residual);
    }

    /// <summary>Projections, counted.</summary>
    private sealed class CountingFactors(Tensor vectors) : Factors(vectors)
    {
        public long Encoded { get; private set; }

        public override Tensor Encode(Tensor rows)
        {
            Encoded += rows.shape[0];
            return rows.mm(Vectors.t()).clamp_min(Scalars.Of(0));
        }
    }
}
