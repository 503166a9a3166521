using Analysis.Importance;
using Analysis.Numerics;
using Analysis.Tests.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Importance;

public sealed class NonNegativeEncodingTests
{
    public NonNegativeEncodingTests() => torch.set_num_threads(1);

    [Theory]
    [InlineData(4, 9, 0)]
    [InlineData(12, 20, 1e-3)]
    [InlineData(10, 5, 1e-3)]
    [InlineData(25, 64, 0)]
    public void SolutionsMeetTheConditionsOfTheOptimum(int k, int channels, double ridge)
    {
        using var scope = torch.NewDisposeScope();
        var v = Planted.Normal(k, k, channels);
        for (var i = 0; i < k; i++)
        {
            // Strongly correlated vectors, as unique concept vectors of one direction are.
            v[i, 0] += 4;
        }

        var a = Planted.Normal(k + 1, 200, channels);
        var gram = new DenseMatrix(k, k);
        for (var i = 0; i < k; i++)
        {
            for (var j = 0; j < k; j++)
            {
                gram[i, j] = Vectors.Dot(v.Row(i), v.Row(j));
            }
        }

        var shift = ridge * Enumerable.Range(0, k).Average(i => gram[i, i]);
        var result = NonNegativeEncoding.Encode(a.ToTensor(), v.ToTensor(), ridge);
        for (var n = 0; n < a.Rows; n++)
        {
            var u = result.Codes.Row(n).ToArray();
            for (var i = 0; i < k; i++)
            {
                // Gradient 0 where active, not downhill where at the bound.
                var slope = Vectors.Dot(a.Row(n), v.Row(i)) - Vectors.Dot(gram.Row(i), u) - (shift * u[i]);
                Assert.True(u[i] >= 0);
                Assert.True(u[i] > 0 ? Math.Abs(slope) < 1e-9 : slope < 1e-9, $"row {n}, concept {i}: u {u[i]}, slope {slope}");
            }

            var left = a.Row(n).ToArray();
            for (var i = 0; i < k; i++)
            {
                for (var c = 0; c < channels; c++)
                {
                    left[c] -= u[i] * v[i, c];
                }
            }

            Assert.Equal(Vectors.Norm(left) / Vectors.Norm(a.Row(n)), result.Residual[n], 1e-9);
        }
    }

    [Fact]
    public void SolutionsEqualTheBestOverAllActiveSets()
    {
        const int K = 4;
        var v = Planted.Normal(20, K, 6);
        var a = Planted.Normal(21, 60, 6);
        using var scope = torch.NewDisposeScope();
        var found = NonNegativeEncoding.Encode(a.ToTensor(), v.ToTensor(), ridge: 0).Codes;
        for (var n = 0; n < a.Rows; n++)
        {
            // The optimum is the least-squares solution on some subset of the concepts.
            var best = Vectors.Dot(a.Row(n), a.Row(n));
            for (var set = 1; set < 1 << K; set++)
            {
                var columns = Enumerable.Range(0, K).Where(i => (set >> i & 1) == 1).ToArray();
                var sub = v.Take(columns).ToTensor();
                var row = a.Take([n]).ToTensor();
                var u = DenseMatrix.FromTensor(row.mm(torch.linalg.pinv(sub)));
                if (u.Values.All(x => x >= 0))
                {
                    best = Math.Min(best, (row - u.ToTensor().mm(sub)).pow(Scalars.Of(2)).sum().item<double>());
                }
            }

            var residual = (a.Take([n]).ToTensor() - found.Take([n]).ToTensor().mm(v.ToTensor())).pow(Scalars.Of(2)).sum().item<double>();
            Assert.Equal(best, residual, 1e-9);
        }
    }

    [Fact]
    public void PlantedCoefficientsAreRecovered()
    {
        using var scope = torch.NewDisposeScope();
        var v = Planted.Normal(30, 6, 40);
        var u = Planted.Normal(31, 50, 6);
        for (var i = 0; i < u.Values.Length; i++)
        {
            u.Values[i] = Math.Max(0, u.Values[i]);
        }

        var result = NonNegativeEncoding.Encode(u.ToTensor().mm(v.ToTensor()), v.ToTensor(), ridge: 0);
        Close.Absolute(u.Values, result.Codes.Values, 1e-9);
    }

    [Fact]
    public void DuplicateConceptsAndEmptyRowsAreHarmless()
    {
        using var scope = torch.NewDisposeScope();
        var v = new DenseMatrix(2, 3, [1, 2, 0, 1, 2, 0]);
        var a = new DenseMatrix(2, 3, [2, 4, 0, 0, 0, 0]);
        var result = NonNegativeEncoding.Encode(a.ToTensor(), v.ToTensor(), ridge: 0);
        Assert.Equal(2, result.Codes[0, 0] + result.Codes[0, 1], 1e-9);
        Assert.Equal([0.0, 0], result.Codes.Row(1).ToArray());
        Assert.True(double.IsNaN(result.Residual[1]));
    }

    [Fact]
    public void ContributionsAndTheUnexplainedPartSumToTheLogit()
    {
        using var scope = torch.NewDisposeScope();
        var a = Planted.Normal(40, 30, 10).ToTensor().abs();
        var v = Planted.Normal(41, 4, 10).ToTensor().abs();
        var w = Planted.Normal(42, 3, 10).ToTensor();
        var output = Enumerable.Range(0, 30).Select(i => i % 3).ToArray();
        var codes = NonNegativeEncoding.Encode(a, v).Codes;
        var logits = DenseMatrix.FromTensor(a.mm(w.t()));
        var contributions = LinearHeadImportance.Contributions(codes, LinearHeadImportance.Reliability(v, w), logits, new double[3], output);
        for (var i = 0; i < 30; i++)
        {
            Assert.Equal(logits[i, output[i]], contributions.Row(i).ToArray().Sum(), 1e-9);
        }
    }

    [Fact]
    public void TheDerivativeIsThatOfCoefficientsWithARidge()
    {
        const double Ridge = 0.5;
        using var scope = torch.NewDisposeScope();
        var v = Planted.Normal(3, 5, 8).ToTensor();
        var (a, move) = (Planted.Normal(4, 6, 8), Planted.Normal(5, 6, 8));
        var codes = NonNegativeLeastSquares.Encode(a.ToTensor(), v, Ridge);
        Assert.Contains(DenseMatrix.FromTensor(codes).Values, c => c > 0);
        Assert.Contains(DenseMatrix.FromTensor(codes).Values, c => c == 0);
        var jacobian = NonNegativeLeastSquares.Jacobian(codes, v, Ridge);
        var (above, below) = (Moved(1e-6), Moved(-1e-6));
        var expected = DenseMatrix.FromTensor(einsum("nkp,np->nk", jacobian, move.ToTensor())).Values;
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], (above[i] - below[i]) / 2e-6, 1e-5);
        }

        var weights = Planted.Normal(6, 6, 5).ToTensor();
        var product = DenseMatrix.FromTensor(NonNegativeLeastSquares.VectorJacobian(codes, v, weights, Ridge)).Values;
        var direct = DenseMatrix.FromTensor(einsum("nk,nkp->np", weights, jacobian)).Values;
        for (var i = 0; i < product.Length; i++)
        {
            Assert.Equal(direct[i], product[i], 1e-12);
        }

        double[] Moved(double step)
        {
            var moved = new DenseMatrix(a.Rows, a.Columns, [.. a.Values.Zip(move.Values, (x, m) => x + (step * m))]);
            return DenseMatrix.FromTensor(NonNegativeLeastSquares.Encode(moved.ToTensor(), v, Ridge)).Values;
        }
    }

    [Fact]
    public void SubsetsHaveOneSizeAndRepeat()
    {
        var subsets = Faithfulness.Subsets(10, 50, seed: 3);
        for (var i = 0; i < 50; i++)
        {
            Assert.Equal(3, subsets.Row(i).ToArray().Sum());
        }

        Assert.Equal(subsets.Values, Faithfulness.Subsets(10, 50, seed: 3).Values);
    }
}
