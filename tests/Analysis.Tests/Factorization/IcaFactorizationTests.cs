using Analysis.Evaluation;
using Analysis.Factorization;
using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Factorization;

public sealed class IcaFactorizationTests
{
    private readonly IcaFactorization _method = new();

    public IcaFactorizationTests() => torch.set_num_threads(1);

    public static TheoryData<string> Golden => GoldenFiles.Rows("fastica*.npz");

    [Theory]
    [MemberData(nameof(Golden))]
    public void Golden_FastIca(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = torch.NewDisposeScope();
        var x = golden.Tensor("X");
        using var factors = IcaFactorization.Fit(x, golden.Tensor("w_init"), 1e-10, 1000);
        var sources = factors.Encode(x);
        var expected = golden.Tensor("S");
        var (match, cosines) = DictionaryStability.Match(expected.t(), sources.t(), ignoreSign: true);
        Close.Absolute([.. cosines.Select(_ => 1.0)], cosines, 1e-9, "|correlation| with S");
        for (var i = 0; i < match.Length; i++)
        {
            var ours = sources.select(1, match[i]);
            var theirs = expected.select(1, i);
            var sign = Math.Sign((ours * theirs).sum().item<double>());
            Close.Absolute(Close.Values(theirs), Close.Values(ours * Scalars.Of(sign)), 1e-5, "S");
            Close.Absolute(Close.Values(golden.Tensor("mixing").select(1, i)), Close.Values(factors.Vectors[match[i]] * Scalars.Of(sign)), 1e-5, "mixing");
            Close.Absolute(Close.Values(golden.Tensor("components")[i]), Close.Values(factors.Unmixing[match[i]] * Scalars.Of(sign)), 1e-5, "components");
        }

        Close.Absolute(golden.Doubles("mean"), Close.Values(factors.Offset!), 1e-12, "mean");
        var planted = golden.Tensor("sources");
        planted -= planted.mean([0L]);
        var correlation = (planted / planted.norm(0)).t().mm(sources / sources.norm(0)).abs();
        var wanted = golden.Tensor("corr_planted").abs();

        // Stored as components by sources; each source's best correlation does not depend on the order of the components.
        Close.Absolute(Close.Values(wanted.amax([0L])), Close.Values(correlation.amax([1L])), 1e-3, "correlation with the planted sources");
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void IndependentSourcesAreFound(ScalarType type)
    {
        using var scope = torch.NewDisposeScope();
        var random = new SplitMix64(3);
        const int N = 6000;
        var values = new double[N * 5];
        for (var i = 0; i < N; i++)
        {
            values[i * 5] = random.NextDouble() - 0.5;
            values[(i * 5) + 1] = -Math.Log(1 - random.NextDouble());
            values[(i * 5) + 2] = random.NextDouble() < 0.2 ? random.NextNormal() : 0;
            values[(i * 5) + 3] = Math.Sign(random.NextDouble() - 0.5) * Math.Log(1 - random.NextDouble());
            values[(i * 5) + 4] = random.NextDouble() < 0.1 ? 1 : 0;
        }

        // Correlated, unequal directions: nothing that only looks at variances can find them.
        var mixing = MadeRows.Vectors(5, 12, seed: 4).add(Scalars.Of(0.5) * MadeRows.Vectors(1, 12, seed: 5), Scalars.One);
        var rows = torch.tensor(values, [N, 5]).mm(mixing).add(Scalars.Of(3), Scalars.One).to(type);
        using var factors = (IcaFactors)_method.Fit(rows, new FactorizationOptions { Components = 5, Seed = 1 });
        var cosines = DictionaryStability.Match(mixing, factors.Vectors.to(ScalarType.Float64), ignoreSign: true).Cosines;
        Assert.All(cosines, c => Assert.True(c > 0.99, $"cosine {c}"));
        var codes = factors.Encode(rows);
        var covariance = codes.to(ScalarType.Float64).t().mm(codes.to(ScalarType.Float64)) / Scalars.Of(N);
        MadeRows.Equal(torch.eye(5, dtype: ScalarType.Float64), covariance, type == ScalarType.Float32 ? 1e-3 : 1e-9);
        Assert.True(MadeRows.RelativeError(rows, factors.Decode(codes)) < 1e-4);
        Assert.InRange(factors.Iterations, 2, 199);

        // Skewed sources point to their long tail: the exponential and the rare one are positive.
        var lengths = factors.Vectors.norm(1).to(ScalarType.Float64).data<double>().ToArray();
        Assert.Equal(lengths.OrderDescending(), lengths);
        var tails = codes.to(ScalarType.Float64).pow(Scalars.Of(3)).mean([0L]).data<double>().ToArray();
        Assert.All(tails, t => Assert.True(t > -1e-6));
    }

    [Fact]
    public void EqualSeedsGiveEqualResultsAndStateRestores()
    {
        using var scope = torch.NewDisposeScope();
        var rows = MadeRows.SparseCodes(500, 4, 1, seed: 1).mm(MadeRows.Vectors(4, 8, seed: 2)).to(ScalarType.Float32);
        var options = new FactorizationOptions { Components = 3, Seed = 7 };
        using var first = _method.Fit(rows, options);
        using var second = _method.Fit(rows, options);
        MadeRows.Equal(first.Vectors, second.Vectors);
        using var restored = _method.Restore(first.State().ToDictionary(s => s.Key, s => s.Value.clone()));
        MadeRows.Equal(first.Encode(rows), restored.Encode(rows));
        MadeRows.Equal(first.Decode(first.Encode(rows)), restored.Decode(restored.Encode(rows)));
    }

    [Fact]
    public void MoreComponentsThanDirectionsAreRefused()
    {
        using var scope = torch.NewDisposeScope();
        var flat = MadeRows.Normal(100, 2, seed: 1).mm(MadeRows.Vectors(2, 6, seed: 2));
        var failure = Assert.Throws<AnalysisException>(() => _method.Fit(flat, new FactorizationOptions { Components = 3 }));
        Assert.Contains("2 directions", failure.Message, StringComparison.Ordinal);
        Assert.Throws<AnalysisException>(() => _method.Fit(torch.ones([10, 3]), new FactorizationOptions { Components = 1 }));
    }

    [Fact]
    public void CancelledBetweenParts()
    {
        using var scope = torch.NewDisposeScope();
        using var source = new CancellationTokenSource();
        var rows = MadeRows.Normal(300, 5, seed: 1);
        Assert.Throws<OperationCanceledException>(() => _method.Fit(rows, new FactorizationOptions { Components = 4 }, _ => source.Cancel(), source.Token));
    }
}
