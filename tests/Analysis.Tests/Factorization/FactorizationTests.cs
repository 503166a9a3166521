using Analysis.Factorization;
using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Factorization;

/// <summary>Planted truths and edge cases of the linear factorisations.</summary>
public sealed class FactorizationTests
{
    public FactorizationTests() => set_num_threads(1);

    public static TheoryData<string> Methods => [.. FactorizationCatalogue.All.Select(m => m.Info.Name)];

    public static TheoryData<string> NonNegative => [.. FactorizationCatalogue.All.Where(m => m.Info.NeedsNonNegative).Select(m => m.Info.Name)];

    public static TheoryData<string, ScalarType> NonNegativeTypes()
    {
        var data = new TheoryData<string, ScalarType>();
        foreach (var name in FactorizationCatalogue.All.Where(m => m.Info.NeedsNonNegative).Select(m => m.Info.Name))
        {
            data.Add(name, ScalarType.Float32);
            data.Add(name, ScalarType.Float64);
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(NonNegativeTypes))]
    public void PartsThatAddUpAreFound(string method, ScalarType type)
    {
        using var scope = NewDisposeScope();
        var (a, planted) = Parts(300, 40, 6, type);
        using var factors = FactorizationCatalogue.Get(method).Fit(a, new FactorizationOptions { Components = 6, MaximumIterations = 2000, Parameters = Tight(method) });
        var cosine = Assignment.MeanMatchedCosine(DenseMatrix.FromTensor(planted), DenseMatrix.FromTensor(factors.Vectors));
        Assert.True(cosine > 0.98, $"cosine {cosine}");
        Assert.True(factors.Vectors.min().to(ScalarType.Float64).item<double>() >= 0);
        Close.Absolute([.. Enumerable.Repeat(1.0, 6)], Close.Values(factors.Vectors.pow(Scalars.Of(2)).sum(1).sqrt()), 1e-5, "length");
        var codes = factors.Encode(a);
        Assert.Equal(type, codes.dtype);
        Assert.True(codes.min().to(ScalarType.Float64).item<double>() >= 0);
        Assert.True(RelativeError(a, factors) < 0.02);
    }

    [Theory]
    [InlineData("semi-nmf", 0)]
    [InlineData("semi-nmf", 1)]
    [InlineData("convex-nmf", 0)]
    public void ConceptsThatAddUpAreFoundAmongSignedActivations(string method, double multiplicative)
    {
        using var scope = NewDisposeScope();
        var (a, planted) = Mixed(240, 30, 4);
        var parameters = new Dictionary<string, double> { ["tolerance"] = 1e-9 };
        if (method == "semi-nmf")
        {
            parameters["multiplicative"] = multiplicative;
        }

        using var factors = FactorizationCatalogue.Get(method).Fit(a, new FactorizationOptions { Components = 4, MaximumIterations = 1500, Seed = 3, Parameters = parameters });
        var cosine = Assignment.MeanMatchedCosine(DenseMatrix.FromTensor(planted), DenseMatrix.FromTensor(factors.Vectors));
        Assert.True(cosine > 0.98, $"cosine {cosine}");
        Assert.True(factors.Encode(a).min().item<double>() >= 0);
        var error = RelativeError(a, factors);
        Assert.True(error < 0.05, $"error {error} after {factors.Iterations} iterations, cosine {cosine}");
        if (factors is MixtureFactors mixture)
        {
            Assert.True(mixture.Mixtures.min().item<double>() >= 0);
            Close.Absolute(Close.Values(factors.Vectors), Close.Values(mixture.Mixtures.mm(a.index_select(0, mixture.Rows))), 1e-8, "V = WA");
        }
    }

    [Fact]
    public void NmfOfManyRowsStartsFromAPartAndEndsNoHigherThanFromTheWhole()
    {
        using var scope = NewDisposeScope();
        var (a, planted) = Parts(12_000, 30, 5, ScalarType.Float32);
        using var factors = FactorizationCatalogue.Get("nmf").Fit(a, new FactorizationOptions { Components = 5 });
        var cosine = Assignment.MeanMatchedCosine(DenseMatrix.FromTensor(planted), DenseMatrix.FromTensor(factors.Vectors));
        Assert.True(cosine > 0.98, $"cosine {cosine}");
        var (u, v) = NonNegativeStart.Nndsvda(a, 5, 0);
        var settings = new HalsSettings { Iterations = 200, Tolerance = 2e-5, Sweeps = 8, Extrapolate = true };
        var whole = Hals.Run(a.unsqueeze(0), u.unsqueeze(0), v.unsqueeze(0), settings, null, default);
        using var reference = new NonNegativeFactors(NonNegativeFactors.UnitRows(whole.V[0]));
        Assert.True(RelativeError(a, factors) <= RelativeError(a, reference) * 1.02);
    }

    [Fact]
    public void ConvexNmfOfManyRowsUsesAPartOfThem()
    {
        using var scope = NewDisposeScope();
        var (a, planted) = Mixed(900, 25, 4);
        var options = new FactorizationOptions { Components = 4, Parameters = new Dictionary<string, double> { ["most-rows"] = 200 } };
        using var factors = (MixtureFactors)FactorizationCatalogue.Get("convex-nmf").Fit(a, options);
        Assert.Equal([4, 200], factors.Mixtures.shape);
        Assert.Equal(200, factors.Rows.unique(true).output.numel());
        var cosine = Assignment.MeanMatchedCosine(DenseMatrix.FromTensor(planted), DenseMatrix.FromTensor(factors.Vectors));
        Assert.True(cosine > 0.95, $"cosine {cosine}");
    }

    [Theory]
    [InlineData("svd")]
    [InlineData("pca")]
    public void OrthogonalDirectionsAreFound(string method)
    {
        using var scope = NewDisposeScope();
        using var random = new Generator(3);
        var (basis, _) = linalg.qr(randn([30, 4], ScalarType.Float64, generator: random));
        var strength = tensor(new[] { 8.0, 5, 3, 2 });
        var offset = method == "pca" ? randn([30], ScalarType.Float64, generator: random) * Scalars.Of(10) : zeros([30], ScalarType.Float64);
        var a = ((randn([500, 4], ScalarType.Float64, generator: random) * strength).mm(basis.t()).add(randn([500, 30], ScalarType.Float64, generator: random) * Scalars.Of(0.05), Scalars.One)).add(offset, Scalars.One);
        using var factors = FactorizationCatalogue.Get(method).Fit(a, new FactorizationOptions { Components = 4 });
        var span = basis.t().mm(factors.Vectors.t());
        Assert.True((span.mm(span.t()) - eye(4, 4, ScalarType.Float64)).abs().max().item<double>() < 1e-3);
        var cosine = Assignment.MeanMatchedCosine(DenseMatrix.FromTensor(basis.t()), DenseMatrix.FromTensor(factors.Vectors), ignoreSign: true);
        Assert.True(cosine > 0.98, $"cosine {cosine}");
        Assert.True(RelativeError(a, factors) < 0.05);
        Assert.Equal(method == "pca", factors.Offset is not null);
    }

    [Fact]
    public void LargeMatricesGiveTheSameSingularVectorsAsADirectDecomposition()
    {
        using var scope = NewDisposeScope();
        using var random = new Generator(5);
        foreach (var (n, p) in new[] { (1200L, 300L), (300L, 1200L) })
        {
            // Singular values that fall by a tenth each keep every vector determined.
            var decay = pow(0.9, arange(Scalars.Of(0), Scalars.Of(60), Scalars.One, ScalarType.Float64));
            var a = (randn([n, 60], ScalarType.Float64, generator: random) * decay).mm(randn([60, p], ScalarType.Float64, generator: random));
            a = a.add(randn([n, p], ScalarType.Float64, generator: random) * Scalars.Of(1e-3), Scalars.One).add(Scalars.Of(0.2), Scalars.One);
            foreach (var centred in new[] { false, true })
            {
                var mean = a.mean([0L]);
                var (_, s, vt) = linalg.svd(centred ? a - mean : a, fullMatrices: false);
                using var factors = (ProjectionFactors)FactorizationCatalogue.Get(centred ? "pca" : "svd").Fit(a, new FactorizationOptions { Components = 20 });
                Close.Relative(Close.Values(s.narrow(0, 0, 20)), Close.Values(factors.SingularValues), 1e-9, "s");
                var cosine = (factors.Vectors * vt.narrow(0, 0, 20)).sum(1).abs();
                Assert.True(cosine.min().item<double>() > 1 - 1e-10, $"{cosine.min().item<double>():R}");
            }
        }
    }

    [Theory]
    [InlineData(ScalarType.Float32, 1)]
    [InlineData(ScalarType.Float64, 2)]
    public void BoundsDoNotChangeTheLabels(ScalarType type, int threads)
    {
        set_num_threads(threads);
        using var scope = NewDisposeScope();
        using var random = new Generator(7);

        // Overlapping groups and duplicated rows: many close decisions and exact ties.
        var a = randn([6000, 37], ScalarType.Float64, generator: random).add((randn([12, 37], ScalarType.Float64, generator: random).index_select(0, arange(Scalars.Of(0), Scalars.Of(6000), Scalars.One) % Scalars.Of(12)) * Scalars.Of(0.7)), Scalars.One);
        a = cat([a, a.narrow(0, 0, 500)]).to(type).contiguous();
        var initial = DenseMatrix.FromTensor(a.narrow(0, 100, 20));
        var expected = PlainLloyd(DenseMatrix.FromTensor(a), initial, 25);
        var result = KMeansFactorization.Lloyd(a, initial, 25, 0);
        Assert.Equal(expected.Labels, result.Labels);
        Close.Relative(expected.Centroids.Values, result.Centroids.Values, 1e-9, "centroids");
        Close.Relative([expected.Inertia], [result.Inertia], 1e-9, "inertia");
        Assert.Equal(result.Labels, KMeansFactorization.LloydOnDevice(a, initial, 25, 0, null, default).Labels);
    }

    [Fact]
    public unsafe void BoundsSpareMostDistancesAlsoWhereGroupsShareThem()
    {
        using var scope = NewDisposeScope();
        var (a, _) = Groups(4000, 16, 10);
        var rows = DenseMatrix.FromTensor(a);
        var initial = rows.Take([.. Enumerable.Range(0, 10).Select(i => i * 7)]);
        fixed (double* x = rows.Values)
        {
            foreach (var groups in new[] { 10, 3, 1 })
            {
                var lloyd = new BoundedLloyd<double>(x, rows.Rows, initial, groups);
                for (var i = 0; i < 15; i++)
                {
                    lloyd.Assign();
                    lloyd.Update();
                }

                lloyd.Assign();
                Assert.Equal(PlainLloyd(rows, initial, 15).Labels, lloyd.Labels);
                Assert.True(lloyd.Distances < 16L * rows.Rows * 10 * 0.6, $"{groups} groups: {lloyd.Distances} distances");
            }
        }
    }

    [Fact]
    public void GroupsAreFound()
    {
        using var scope = NewDisposeScope();
        var (a, centres) = Groups(600, 12, 8);
        using var factors = FactorizationCatalogue.Get("kmeans").Fit(a, new FactorizationOptions { Components = 8, Seed = 1 });
        var cosine = Assignment.MeanMatchedCosine(DenseMatrix.FromTensor(centres), DenseMatrix.FromTensor(factors.Vectors));
        Assert.True(cosine > 0.98, $"cosine {cosine}");
        var codes = factors.Encode(a);
        Assert.Equal(1, codes.sum(1).min().item<double>());
        Assert.Equal(600, codes.count_nonzero().item<long>());
        var planted = arange(Scalars.Of(0), Scalars.Of(600), Scalars.One) % Scalars.Of(8);
        var found = codes.argmax(1);
        for (var g = 0; g < 8; g++)
        {
            Assert.Equal(1, found.masked_select(planted == Scalars.Of(g)).unique(true).output.numel());
        }

        Assert.Equal(((CentroidFactors)factors).Inertia, (a - factors.Decode(codes)).pow(Scalars.Of(2)).sum().item<double>(), 1e-6);
    }

    [Theory]
    [MemberData(nameof(Methods))]
    public void TheSameSeedGivesTheSameVectorsAndTheStateRestoresThem(string method)
    {
        using var scope = NewDisposeScope();
        var (a, _) = Parts(80, 20, 4, ScalarType.Float32);
        var options = new FactorizationOptions { Components = 4, Seed = 9, MaximumIterations = 20 };
        var fit = FactorizationCatalogue.Get(method);
        var before = a.clone();
        using var one = fit.Fit(a, options);
        using var two = fit.Fit(a, options);
        Assert.Equal(Close.Values(before), Close.Values(a));
        Assert.Equal(Close.Values(one.Vectors), Close.Values(two.Vectors));
        Assert.Equal(ScalarType.Float32, one.Vectors.dtype);
        var state = one.State().ToDictionary(e => e.Key, e => e.Value.clone());
        using var restored = fit.Restore(state);
        Assert.Equal(one.GetType(), restored.GetType());
        Assert.Equal(Close.Values(one.Encode(a)), Close.Values(restored.Encode(a)));
        Assert.Equal(Close.Values(one.Decode(one.Encode(a))), Close.Values(restored.Decode(restored.Encode(a))));
    }

    [Theory]
    [MemberData(nameof(Methods))]
    public void NumbersThatAreNotFiniteAreRefused(string method)
    {
        using var scope = NewDisposeScope();
        var a = rand([20, 6]);
        a[3, 2] = float.NaN;
        var failure = Assert.Throws<AnalysisException>(() => FactorizationCatalogue.Get(method).Fit(a, new FactorizationOptions { Components = 2 }));
        Assert.Contains("not finite", failure.Message);
        Assert.Throws<AnalysisException>(() => FactorizationCatalogue.Get(method).Fit(zeros(20, 6), new FactorizationOptions { Components = 2 }));
        Assert.Throws<AnalysisException>(() => FactorizationCatalogue.Get(method).Fit(rand(20, 6), new FactorizationOptions { Components = 0 }));
    }

    [Theory]
    [MemberData(nameof(NonNegative))]
    public void NegativeEntriesAreRefusedAndNeverClipped(string method)
    {
        using var scope = NewDisposeScope();
        var a = rand(20, 6);
        a[3, 2] = -0.25f;
        var failure = Assert.Throws<AnalysisException>(() => FactorizationCatalogue.Get(method).Fit(a, new FactorizationOptions { Components = 2 }));
        Assert.Contains("-0.25", failure.Message);
    }

    [Fact]
    public void MoreGroupsThanChannelsAreFound()
    {
        // Twelve corners of a plane, five rows near each: more groups than the three channels.
        using var scope = NewDisposeScope();
        var centres = MadeRows.Normal(12, 3, 11) * Scalars.Of(40);
        var rows = centres.repeat_interleave(5, 0).add(MadeRows.Normal(60, 3, 12), Scalars.Of(0.01));
        var method = FactorizationCatalogue.Get("kmeans");
        Assert.True(method.Info.AllowsOvercomplete);
        using var factors = method.Fit(rows, new FactorizationOptions { Components = 12, Seed = 3, Parameters = new Dictionary<string, double> { ["restarts"] = 20 } });
        var codes = factors.Encode(rows);
        Assert.Equal(12, factors.Components);
        Assert.All(codes.sum([0L]).data<double>().ToArray(), size => Assert.Equal(5, size));
    }

    [Theory]
    [InlineData("svd")]
    [InlineData("pca")]
    [InlineData("kmeans")]
    public void MoreConceptsThanTheDataAllowAreRefused(string method)
    {
        using var scope = NewDisposeScope();
        var failure = Assert.Throws<AnalysisException>(() => FactorizationCatalogue.Get(method).Fit(rand(5, 20), new FactorizationOptions { Components = 6 }));
        Assert.Contains("5", failure.Remedy);
    }

    [Theory]
    [MemberData(nameof(NonNegative))]
    public void MoreConceptsThanColumnsStartFromRandomNumbers(string method)
    {
        using var scope = NewDisposeScope();
        var (a, _) = Parts(40, 5, 3, ScalarType.Float32);
        using var factors = FactorizationCatalogue.Get(method).Fit(a, new FactorizationOptions { Components = 9, Seed = 2 });
        Assert.Equal(9, factors.Components);
        Assert.True(factors.Vectors.isfinite().all().item<bool>());
        Assert.True(RelativeError(a, factors) < 0.1);
    }

    [Theory]
    [MemberData(nameof(NonNegative))]
    public void RowsOfZerosHaveNoCodesAndConceptsWithoutRowsAreKept(string method)
    {
        using var scope = NewDisposeScope();

        // Two patterns only, four concepts asked for.
        var patterns = tensor(new float[,] { { 1, 1, 0, 0, 0, 0 }, { 0, 0, 1, 2, 0, 0 } });
        var codes = rand(30, 2);
        codes[4].zero_();
        var a = codes.mm(patterns);
        using var factors = FactorizationCatalogue.Get(method).Fit(a, new FactorizationOptions { Components = 4 });
        Assert.Equal(4, factors.Components);
        Assert.True(factors.Vectors.isfinite().all().item<bool>());
        var found = factors.Encode(a);
        Assert.Equal(0, found[4].abs().sum().item<float>());
        Assert.True(RelativeError(a, factors) < 0.02);
    }

    [Fact]
    public void ParametersThatDoNotExistOrAreOutOfRangeAreRefused()
    {
        using var scope = NewDisposeScope();
        var unknown = new FactorizationOptions { Components = 2, Parameters = new Dictionary<string, double> { ["beta"] = 1 } };
        Assert.Contains("alpha", Assert.Throws<AnalysisException>(() => new NmfFactorization().Fit(rand(9, 4), unknown)).Remedy);
        var large = new FactorizationOptions { Components = 2, Parameters = new Dictionary<string, double> { ["alpha"] = -1 } };
        Assert.Throws<AnalysisException>(() => new NmfFactorization().Fit(rand(9, 4), large));
    }

    [Fact]
    public void ManyMatricesAtOnceAreFittedLikeEachAlone()
    {
        using var scope = NewDisposeScope();
        var rows = new[] { 60, 45, 80, 18 }.Select((n, i) => Parts(n, 24, 3, ScalarType.Float64, seed: i).A).ToArray();
        var options = new FactorizationOptions { Components = 3, Seed = 4 };
        var nmf = new NmfFactorization();
        var pairs = new (IReadOnlyList<Factors> Batch, IFactorizationMethod Method, double Tolerance)[]
        {
            (BatchedSpectra.Batched(rows, options, new SvdFactorization().Info, false, null, default), new SvdFactorization(), 1e-6),
            (BatchedSpectra.Batched(rows, options, new PcaFactorization().Info, true, null, default), new PcaFactorization(), 1e-6),
            (nmf.Batched(rows, options, null, default), nmf, 1e-3),
        };
        foreach (var (batch, method, tolerance) in pairs)
        {
            for (var i = 0; i < rows.Length; i++)
            {
                using var alone = method.Fit(rows[i], options);
                using var together = batch[i];
                Close.Absolute(Close.Values(alone.Vectors), Close.Values(together.Vectors), tolerance, $"{method.Info.Name} {i}");
            }
        }
    }

    [Fact]
    public void SweepsOnADeviceEqualThoseOfTheVectorUnit()
    {
        using var scope = NewDisposeScope();
        using var random = new Generator(1);
        var v = rand([7, 30], ScalarType.Float64, generator: random);
        var right = v.mm(rand([30, 101], ScalarType.Float64, generator: random));
        var gram = v.mm(v.t());
        var (one, two) = (rand([7, 101], ScalarType.Float64, generator: random), zeros([1, 7, 101], ScalarType.Float64));
        two[0].copy_(one);
        unsafe
        {
            CoordinateDescent.Sweep(NativeData.Pointer<double>(one), NativeData.Pointer<double>(right), NativeData.Pointer<double>(gram), 7, 101, 3, 0);
        }

        Hals.SweepOnDevice(two, right.unsqueeze(0), gram.unsqueeze(0), 3);
        Close.Absolute(Close.Values(one), Close.Values(two[0]), 1e-10, "sweep");
    }

    [Fact]
    public void CancellationStopsAFit()
    {
        using var scope = NewDisposeScope();
        using var source = new CancellationTokenSource();
        var share = 0.0;
        Assert.Throws<OperationCanceledException>(() => new NmfFactorization().Fit(
            Parts(60, 20, 3, ScalarType.Float32).A,
            new FactorizationOptions { Components = 3, Parameters = new Dictionary<string, double> { ["tolerance"] = 0 } },
            progress: done =>
            {
                share = done;
                source.Cancel();
            },
            source.Token));
        Assert.InRange(share, 0.001, 0.1);
    }

    /// <summary>Sparse non-negative codes times sparse non-negative unit vectors, and the vectors.</summary>
    internal static (Tensor A, Tensor Vectors) Parts(int n, int p, int k, ScalarType type, int seed = 0, double noise = 0.002)
    {
        using var scope = NewDisposeScope();
        using var random = new Generator((ulong)(100 + seed));
        var v = rand([k, p], ScalarType.Float64, generator: random) * (rand([k, p], ScalarType.Float64, generator: random) < Scalars.Of(0.3)).to(ScalarType.Float64);
        for (var j = 0; j < k; j++)
        {
            v[j, j % p] = 1;
        }

        v = NonNegativeFactors.UnitRows(v);
        var u = rand([n, k], ScalarType.Float64, generator: random) * (rand([n, k], ScalarType.Float64, generator: random) < Scalars.Of(0.4)).to(ScalarType.Float64);
        var a = u.mm(v).add(rand([n, p], ScalarType.Float64, generator: random) * Scalars.Of(noise), Scalars.One);
        return (a.to(type).MoveToOuterDisposeScope(), v.to(type).MoveToOuterDisposeScope());
    }

    /// <summary>Signed rows in which one unit vector leads and others are mixed in, and the vectors: what semi-NMF can find, as its answer is not unique otherwise.</summary>
    private static (Tensor A, Tensor Vectors) Mixed(int n, int p, int k)
    {
        using var scope = NewDisposeScope();
        using var random = new Generator(21);
        var v = NonNegativeFactors.UnitRows(randn([k, p], ScalarType.Float64, generator: random));
        var lead = eye(k, k, ScalarType.Float64).index_select(0, arange(Scalars.Of(0), Scalars.Of(n), Scalars.One) % Scalars.Of(k)) * rand([n, 1], ScalarType.Float64, generator: random).add(Scalars.Of(0.5), Scalars.One);
        var other = rand([n, k], ScalarType.Float64, generator: random) * (rand([n, k], ScalarType.Float64, generator: random) < Scalars.Of(0.25)).to(ScalarType.Float64);
        var a = lead.add(other * Scalars.Of(0.5), Scalars.One).mm(v).add(randn([n, p], ScalarType.Float64, generator: random) * Scalars.Of(0.002), Scalars.One);
        return (a.MoveToOuterDisposeScope(), v.MoveToOuterDisposeScope());
    }

    private static Dictionary<string, double> Tight(string method) =>
        FactorizationCatalogue.Get(method).Info.Parameters.Any(p => p.Name == "tolerance") ? new() { ["tolerance"] = 1e-7 } : [];

    private static (Tensor A, Tensor Centres) Groups(int n, int p, int k)
    {
        using var scope = NewDisposeScope();
        using var random = new Generator(11);
        var centres = randn([k, p], ScalarType.Float64, generator: random) * Scalars.Of(4);
        var a = centres.index_select(0, arange(Scalars.Of(0), Scalars.Of(n), Scalars.One) % Scalars.Of(k)).add(randn([n, p], ScalarType.Float64, generator: random), Scalars.One);
        return (a.MoveToOuterDisposeScope(), centres.MoveToOuterDisposeScope());
    }

    private static double RelativeError(Tensor a, Factors factors) => ((a - factors.Decode(factors.Encode(a))).norm() / a.norm()).to(ScalarType.Float64).item<double>();

    /// <summary>The definition, distance by distance.</summary>
    private static KMeansResult PlainLloyd(DenseMatrix rows, DenseMatrix initial, int iterations)
    {
        var centroids = initial.Clone();
        var labels = new int[rows.Rows];
        var squared = new double[rows.Rows];
        for (var step = 0; step < iterations; step++)
        {
            KMeans.Assign(rows, centroids, labels, squared);
            var size = new int[centroids.Rows];
            var next = new DenseMatrix(centroids.Rows, rows.Columns);
            for (var i = 0; i < rows.Rows; i++)
            {
                Vectors.Add(next.Row(labels[i]), rows.Row(i));
                size[labels[i]]++;
            }

            for (var c = 0; c < size.Length; c++)
            {
                Vectors.Scale(next.Row(c), 1.0 / size[c]);
            }

            centroids = next;
        }

        KMeans.Assign(rows, centroids, labels, squared);
        return new KMeansResult(centroids, labels, squared, squared.Sum(), iterations);
    }
}

