using Analysis.Factorization;
using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Factorization;

public sealed class AutoencoderTests
{
    public AutoencoderTests() => torch.set_num_threads(1);

    public static TheoryData<string> Golden => GoldenFiles.Rows("sae_step*.npz");

    public static TheoryData<string> Names => new("sae", "sae-topk", "sae-batchtopk", "sae-jumprelu");

    [Theory]
    [MemberData(nameof(Golden))]
    public void Golden_AutoencoderStep(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = torch.NewDisposeScope();
        var x = golden.Tensor("x");
        var weights = new AutoencoderWeights(golden.Tensor("enc_weight"), golden.Tensor("enc_bias"), golden.Tensor("dictionary"));
        var active = (int)golden.Scalar("topk_k");
        Check("vanilla", new AutoencoderLoss { Activation = SparseActivation.Relu, L1 = 0.05 }, weights);
        Check("topk", new AutoencoderLoss { Activation = SparseActivation.TopK, Active = active, Auxiliary = 0.1 }, weights);
        var pass = Check("batchtopk", new AutoencoderLoss { Activation = SparseActivation.BatchTopK, Active = active, L1 = 0.05 }, weights);
        Close.Relative([golden.Scalar("batchtopk_threshold")], [pass.Threshold], 1e-9, "threshold");
        var jump = Check(
            "jump",
            new AutoencoderLoss { Activation = SparseActivation.JumpRelu, L1 = 0.05, Bandwidth = golden.Scalar("jump_bandwidth") },
            weights with { LogThreshold = golden.Tensor("jump_log_threshold") });
        Close.Absolute(golden.Doubles("jump_grad_log_threshold"), Close.Values(jump.Gradients[3]), 1e-6, "gradient by the threshold");

        AutoencoderPass Check(string name, AutoencoderLoss loss, AutoencoderWeights own)
        {
            var result = SparseAutoencoder.Run(x, own, loss);
            Close.Relative(golden.Doubles(name + "_codes"), Close.Values(result.Codes), 1e-6, name + " codes");
            Close.Relative(golden.Doubles(name + "_xhat"), Close.Values(result.Reconstruction), 1e-6, name + " reconstruction");
            Close.Relative([golden.Scalar(name + "_loss")], [result.Loss], 1e-6, name + " loss");
            Close.Relative(golden.Doubles(name + "_grad_enc_weight"), Close.Values(result.Gradients[0]), 1e-6, name + " gradient by the encoder");
            Close.Relative(golden.Doubles(name + "_grad_enc_bias"), Close.Values(result.Gradients[1]), 1e-6, name + " gradient by the bias");
            Close.Relative(golden.Doubles(name + "_grad_dict"), Close.Values(result.Gradients[2]), 1e-6, name + " gradient by the dictionary");
            return result;
        }
    }

    [Fact]
    public void ReanimationLiftsUnitsWithoutCodes()
    {
        using var scope = torch.NewDisposeScope();
        var x = MadeRows.Normal(6, 4, seed: 1);
        var weights = new AutoencoderWeights(MadeRows.Normal(3, 4, seed: 2), torch.tensor([0.0, -100, 0]), MadeRows.Vectors(3, 4, seed: 3));
        var without = SparseAutoencoder.Run(x, weights, new AutoencoderLoss { Activation = SparseActivation.Relu });
        var with = SparseAutoencoder.Run(x, weights, new AutoencoderLoss { Activation = SparseActivation.Relu, Reanimation = 0.3 });
        MadeRows.Equal(torch.tensor([0.0, -0.3 / 3, 0]), with.Gradients[1] - without.Gradients[1], 1e-12);
        var pre = (x.mv(weights.Encoder[1]) - Scalars.Of(100)).mean().item<double>();
        Assert.Equal(without.Loss - (0.3 * pre / 3), with.Loss, 9);
    }

    [Fact]
    public void AdamFollowsItsDefinition()
    {
        using var scope = torch.NewDisposeScope();
        var parameter = torch.tensor([1.0, -2.0]);
        using var adam = new Adam([parameter]);

        // The first step has the length of the rate, whatever the gradient's size.
        adam.Step([torch.tensor([1e3, -1e-2])], 0.1);
        MadeRows.Equal(torch.tensor([0.9, -1.9]), parameter, 1e-6);
        double m = 0.1 * 1e3, v = 0.001 * 1e6;
        m = (0.9 * m) + (0.1 * 5);
        v = (0.999 * v) + (0.001 * 25);
        var expected = 0.9 - (0.1 * (m / (1 - 0.81)) / Math.Sqrt(v / (1 - (0.999 * 0.999))));
        adam.Step([torch.tensor([5.0, 0])], 0.1);
        Assert.Equal(expected, parameter[0].item<double>(), 9);

        // Clipped: all gradients are shortened together.
        var other = torch.tensor([0.0]);
        using var clipped = new Adam([other]);
        var gradient = torch.tensor([40.0]);
        clipped.Step([gradient], 0.1, clip: 1);
        Assert.Equal(1, gradient.item<double>(), 12);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void PlantedFeaturesAreFound(string name)
    {
        using var scope = torch.NewDisposeScope();

        // More features than columns, three at a time.
        var planted = MadeRows.Vectors(32, 24, seed: 1);
        var rows = MadeRows.SparseCodes(4000, 32, 3, seed: 2).mm(planted).add(Scalars.Of(0.02) * MadeRows.Normal(4000, 24, seed: 3), Scalars.One).add(Scalars.Of(0.5), Scalars.One).to(ScalarType.Float32);
        using var factors = (AutoencoderFactors)Method(name).Fit(rows, Options(name, 32));
        var found = MadeRows.Found(planted, factors.Vectors.to(ScalarType.Float64));
        var codes = factors.Encode(rows);
        var error = MadeRows.RelativeError(rows - factors.Offset!, factors.Decode(codes) - factors.Offset!);
        var used = (codes > Scalars.Of(0)).to(ScalarType.Float64).sum(1).mean().item<double>();
        var figures = $"cosine {found}, error {error}, used {used}, dead {factors.DeadShare}";
        Assert.True(found > 0.9, figures);
        Assert.True(error < 0.4 && used < 10 && factors.DeadShare < 0.1, figures);
        Assert.True(codes.min().item<float>() >= 0);
        MadeRows.Equal(torch.ones([32], ScalarType.Float32), factors.Vectors.norm(1), 1e-5);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void EqualSeedsGiveEqualResultsAndStateRestores(string name)
    {
        using var scope = torch.NewDisposeScope();
        var rows = MadeRows.SparseCodes(5000, 12, 2, seed: 1).mm(MadeRows.Vectors(12, 10, seed: 2)).to(ScalarType.Float32) * Scalars.Of(7);
        var options = Options(name, 12) with { MaximumIterations = 3 };
        using var first = Method(name).Fit(rows, options);
        using var second = Method(name).Fit(rows, options);
        MadeRows.Equal(first.Vectors, second.Vectors);
        using var other = Method(name).Fit(rows, options with { Seed = 9 });
        Assert.True(MadeRows.Found(first.Vectors, other.Vectors) < 0.999999);
        using var restored = Method(name).Restore(first.State().ToDictionary(s => s.Key, s => s.Value.clone()));
        MadeRows.Equal(first.Encode(rows), restored.Encode(rows));
        MadeRows.Equal(first.Decode(first.Encode(rows)), restored.Decode(restored.Encode(rows)));
        Assert.Equal(3, first.Iterations);

        // Rows and codes are in the same units.
        using var tenfold = Method(name).Fit(rows * Scalars.Of(8), options);
        MadeRows.Equal(first.Encode(rows) * Scalars.Of(8), tenfold.Encode(rows * Scalars.Of(8)), 0.02);
    }

    [Theory]
    [InlineData(SparseActivation.Relu, 0.4, 1.5, 1.9)]
    [InlineData(SparseActivation.TopK, 0, 1.5, 1.9)]
    [InlineData(SparseActivation.BatchTopK, 0, 0, 1.9)]
    [InlineData(SparseActivation.JumpRelu, 0, 1.5, 0)]
    public void EncodingKeepsWhatItsRuleKeeps(SparseActivation activation, double first, double second, double third)
    {
        using var scope = NewDisposeScope();
        var thresholds = activation == SparseActivation.JumpRelu ? tensor(new[] { 0.5, 1, 2 }).log() : null;
        using var factors = new AutoencoderFactors(
            new AutoencoderWeights(eye(3, dtype: ScalarType.Float64), zeros(3, ScalarType.Float64), eye(3, dtype: ScalarType.Float64), thresholds),
            zeros(3, ScalarType.Float64),
            activation,
            active: 2,
            threshold: 1.7);
        Close.Absolute([first, second, third], Close.Values(factors.Encode(tensor(new[] { 0.4, 1.5, 1.9 }, [1, 3]))), 0);
    }

    [Fact]
    public void TopKUsesNoMoreThanItMay()
    {
        using var scope = torch.NewDisposeScope();
        var rows = MadeRows.SparseCodes(500, 12, 4, seed: 1).mm(MadeRows.Vectors(12, 10, seed: 2));
        using var factors = Method("sae-topk").Fit(rows, Options("sae-topk", 16) with { MaximumIterations = 5 });
        Assert.True((factors.Encode(rows) > Scalars.Of(0)).sum(1).max().item<long>() <= 3);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void OddRowsAreFine(string name)
    {
        using var scope = torch.NewDisposeScope();
        var few = MadeRows.Normal(5, 6, seed: 1);
        using var factors = Method(name).Fit(few, Options(name, 9) with { MaximumIterations = 4 });
        Assert.True(factors.Vectors.isfinite().all().item<bool>());
        Assert.Equal(9, factors.Components);
        Assert.Throws<AnalysisException>(() => Method(name).Fit(torch.ones([10, 3]), Options(name, 2)));
        Assert.Throws<AnalysisException>(() => Method(name).Fit(few, new FactorizationOptions { Components = 3, Parameters = new Dictionary<string, double> { ["rate"] = -1 } }));
    }

    [Fact]
    public void CancelledBetweenBatches()
    {
        using var scope = torch.NewDisposeScope();
        using var source = new CancellationTokenSource();
        var rows = MadeRows.Normal(3000, 5, seed: 1);
        Assert.Throws<OperationCanceledException>(() => Method("sae-topk").Fit(rows, Options("sae-topk", 8), _ => source.Cancel(), source.Token));
    }

    private static AutoencoderFactorization Method(string name) => new(name switch
    {
        "sae" => SparseActivation.Relu,
        "sae-topk" => SparseActivation.TopK,
        "sae-batchtopk" => SparseActivation.BatchTopK,
        _ => SparseActivation.JumpRelu,
    });

    private static FactorizationOptions Options(string name, int k) => new()
    {
        Components = k,
        Seed = 1,
        Parameters = name is "sae-topk" or "sae-batchtopk" ? new Dictionary<string, double> { ["active"] = 3 } : new Dictionary<string, double>(),
    };
}
