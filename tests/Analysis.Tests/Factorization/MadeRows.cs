using Analysis.Evaluation;
using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Factorization;

/// <summary>Rows with planted concept vectors.</summary>
internal static class MadeRows
{
    /// <summary>Unit vectors in random directions, k×p float64.</summary>
    public static Tensor Vectors(int k, int p, ulong seed)
    {
        var v = Normal(k, p, seed);
        return v / v.norm(1, keepdim: true);
    }

    public static Tensor Normal(int n, int p, ulong seed)
    {
        var random = new SplitMix64(seed);
        var values = new double[n * p];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = random.NextNormal();
        }

        return torch.tensor(values, [n, p]);
    }

    /// <summary>Codes with a few entries in [1, 2] a row, n×k.</summary>
    public static Tensor SparseCodes(int n, int k, int active, ulong seed, bool signed = false)
    {
        var random = new SplitMix64(seed);
        var values = new double[n * k];
        for (var i = 0; i < n; i++)
        {
            for (var a = 0; a < active; a++)
            {
                values[(i * k) + random.NextInt(k)] = (1 + random.NextDouble()) * (signed && random.NextDouble() < 0.5 ? -1 : 1);
            }
        }

        return torch.tensor(values, [n, k]);
    }

    /// <summary>Mean cosine of planted and found vectors, matched one to one.</summary>
    public static double Found(Tensor planted, Tensor found, bool ignoreSign = false) =>
        DictionaryStability.Match(planted, found, ignoreSign).Cosines.Average();

    public static double RelativeError(Tensor rows, Tensor made) =>
        ((rows.to(ScalarType.Float64) - made.to(ScalarType.Float64)).norm() / rows.to(ScalarType.Float64).norm()).item<double>();

    public static void Equal(Tensor expected, Tensor actual, double tolerance = 0)
    {
        Assert.Equal(expected.shape, actual.shape);
        Close.Absolute(Close.Values(expected), Close.Values(actual), tolerance);
    }
}
