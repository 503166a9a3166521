using Analysis.Factorization;
using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Factorization;

public sealed class DictionaryFactorizationTests
{
    private readonly DictionaryFactorization _method = new();

    public DictionaryFactorizationTests() => torch.set_num_threads(1);

    [Theory]
    [InlineData(1200, false, 0)]
    [InlineData(5000, false, 0)]
    [InlineData(1200, true, 0)]
    [InlineData(1200, true, 3)]
    public void PlantedDictionaryIsFound(int n, bool signed, int active)
    {
        using var scope = torch.NewDisposeScope();

        // More atoms than columns: no orthogonal method can find them.
        var planted = MadeRows.Vectors(24, 16, seed: 1);
        var rows = MadeRows.SparseCodes(n, 24, 3, seed: 2, signed).mm(planted).add(Scalars.Of(0.01) * MadeRows.Normal(n, 16, seed: 3), Scalars.One).to(ScalarType.Float32);
        using var factors = _method.Fit(rows, Options(24, ("positive", signed ? 0 : 1), ("active", active)));
        var found = MadeRows.Found(planted, factors.Vectors.to(ScalarType.Float64), ignoreSign: signed);
        Assert.True(found > 0.95, $"mean matched cosine {found}");
        MadeRows.Equal(torch.ones([24], ScalarType.Float64), factors.Vectors.to(ScalarType.Float64).norm(1), 1e-6);
        var codes = factors.Encode(rows);
        Assert.True(signed || codes.min().item<float>() >= 0);
        Assert.InRange((codes != Scalars.Of(0)).to(ScalarType.Float64).mean().item<double>(), 0.05, 0.35);
        Assert.True(MadeRows.RelativeError(rows, factors.Decode(codes)) < 0.35);
    }

    [Fact]
    public void EqualSeedsGiveEqualResultsAndStateRestores()
    {
        using var scope = torch.NewDisposeScope();
        var rows = MadeRows.SparseCodes(3000, 12, 2, seed: 1).mm(MadeRows.Vectors(12, 10, seed: 2)).to(ScalarType.Float32);
        var options = Options(12) with { MaximumIterations = 3 };
        using var first = _method.Fit(rows, options);
        using var second = _method.Fit(rows, options);
        MadeRows.Equal(first.Vectors, second.Vectors);
        using var other = _method.Fit(rows, options with { Seed = 5 });
        Assert.True(MadeRows.Found(first.Vectors, other.Vectors) < 0.9999999);
        using var restored = _method.Restore(first.State().ToDictionary(s => s.Key, s => s.Value.clone()));
        MadeRows.Equal(first.Encode(rows), restored.Encode(rows));
        Assert.Equal(3, first.Iterations);
    }

    [Fact]
    public void MoreSparsityMeansFewerConceptsAndMoreError()
    {
        using var scope = torch.NewDisposeScope();
        var rows = MadeRows.SparseCodes(600, 12, 3, seed: 1).mm(MadeRows.Vectors(12, 10, seed: 2));
        using var little = _method.Fit(rows, Options(12, ("alpha", 0.02)));
        using var much = _method.Fit(rows, Options(12, ("alpha", 0.3)));
        var (few, many) = (much.Encode(rows), little.Encode(rows));
        Assert.True((few != Scalars.Of(0)).sum().item<long>() < (many != Scalars.Of(0)).sum().item<long>());
        Assert.True(MadeRows.RelativeError(rows, little.Decode(many)) < MadeRows.RelativeError(rows, much.Decode(few)));
    }

    [Fact]
    public void FewerRowsThanAtomsAndRowsOfZerosAreFine()
    {
        using var scope = torch.NewDisposeScope();
        var rows = torch.cat([MadeRows.Normal(6, 5, seed: 1), torch.zeros([2, 5], ScalarType.Float64)]);
        using var factors = _method.Fit(rows, Options(10, ("positive", 0)) with { MaximumIterations = 20 });
        var codes = factors.Encode(rows);
        Assert.True(factors.Vectors.isfinite().all().item<bool>());
        Assert.Equal(0, codes.narrow(0, 6, 2).abs().max().item<double>());
        Assert.Equal(10, factors.Components);
    }

    [Fact]
    public void CancelledBetweenParts()
    {
        using var scope = torch.NewDisposeScope();
        using var source = new CancellationTokenSource();
        var rows = MadeRows.Normal(300, 5, seed: 1);
        Assert.Throws<OperationCanceledException>(() => _method.Fit(rows, Options(4), _ => source.Cancel(), source.Token));
    }

    private static FactorizationOptions Options(int k, params (string Name, double Value)[] parameters) =>
        new() { Components = k, Seed = 1, Parameters = parameters.ToDictionary(p => p.Name, p => p.Value) };
}
