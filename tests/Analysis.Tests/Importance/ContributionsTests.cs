using Analysis.Activations;
using Analysis.Concepts;
using Analysis.Factorization;
using Analysis.Importance;
using Analysis.Networks;
using Analysis.Numerics;
using Analysis.Tests.Numerics;
using Analysis.Tests.Runs;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Importance;

/// <summary>From activations to contributions, by the sample network's own head.</summary>
public sealed class ContributionsTests
{
    private const int Images = 5;
    private const int Concepts = 3;

    /// <summary>
    /// Activations that are made of three concepts exactly, so that what a run computes from activations and what the estimator
    /// computes from coefficients have to agree: concept by concept, not only in their sum.
    /// </summary>
    [Fact]
    public void Behind_a_bent_head_contributions_are_gradient_times_input_for_the_target_and_for_the_runner_up()
    {
        torch.set_num_threads(1);
        using var scope = torch.NewDisposeScope();
        using var network = NetworkLoader.Load(SampleRun.Network, null, torch.CPU);
        var layer = network.Layers.Last(l => !l.LinearHead);
        var positions = layer.Height * layer.Width;

        // Each concept has channels of its own, and each image another amount of each at every position.
        var of = arange(Scalars.Of(0), Scalars.Of(layer.Channels), Scalars.One, ScalarType.Float64).remainder(Scalars.Of(Concepts)).unsqueeze(0);
        var vectors = (of == arange(Scalars.Of(0), Scalars.Of(Concepts), Scalars.One, ScalarType.Float64).unsqueeze(1)).to(ScalarType.Float64);
        vectors = vectors / vectors.norm(1, keepdim: true);
        var codes = Planted.Normal(11, Images * positions, Concepts).ToTensor().abs();
        var activation = codes.mm(vectors).reshape(Images, layer.Height, layer.Width, layer.Channels).permute(0, 3, 1, 2).contiguous().to(ScalarType.Float32);
        var pooled = activation.to(ScalarType.Float64).mean([2L, 3L]);
        int[] rows = [.. Enumerable.Range(0, Images)];
        var outputs = ImageOutputs.From(rows, DenseMatrix.FromTensor(network.Head(layer.Name, activation)), label: null);
        Assert.All(rows, i => Assert.NotEqual(outputs.Target[i], outputs.RunnerUp[i]));

        using var encoder = FactorEncoder.Create(new NonNegativeFactors(vectors.clone()), byPositions: true, owns: true);
        ContributionResult Weigh(string importance) => Contributions
            .Create(network, layer.Name, new GivenActivations(activation), importance)
            .Compute(pooled, encoder, rows, outputs, TestContext.Current.CancellationToken);
        var (run, estimated) = (Weigh(Contributions.Automatic), Weigh("gradient-input"));
        var scale = estimated.Contributions.Values.Max(Math.Abs);
        Close.Absolute(DenseMatrix.FromTensor(codes.reshape(Images, positions, Concepts).mean([1L])).Values, run.Coefficients.Values, 1e-5, "coefficients");
        Close.Absolute(estimated.Contributions.Values, run.Contributions.Values, 1e-4 * scale, "to the target");
        Close.Absolute(estimated.Against.Values, run.Against.Values, 1e-4 * scale, "to the runner-up");
        for (var i = 0; i < Images; i++)
        {
            Assert.Equal(outputs.Logits[i, outputs.Target[i]], run.Contributions.Row(i).ToArray().Sum(), 1e-4 * scale);
            Assert.Equal(outputs.Logits[i, outputs.RunnerUp[i]], run.Against.Row(i).ToArray().Sum(), 1e-4 * scale);
        }
    }
}
