using Analysis.Attribution;
using Analysis.Networks;
using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests.Attribution;

/// <summary>Per-sample gradients and TRAK scores against the references.</summary>
public sealed class AttributionGoldenTests
{
    public static TheoryData<string> Gradients => GoldenFiles.Rows("per_sample_grads*.npz");

    public static TheoryData<string> Trak => GoldenFiles.Rows("trak_softmax*.npz");

    [Theory]
    [MemberData(nameof(Gradients))]
    public void GoldenPerSampleGradients(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = NewDisposeScope();
        using var tape = new ParameterTape();
        var x = golden.Tensor("x");
        var first = tape.Convolution("0", x, golden.Tensor("param_0_weight"), golden.Tensor("param_0_bias"), 2, 1, 1, 1).relu_();
        var second = tape.Convolution("2", first, golden.Tensor("param_2_weight"), golden.Tensor("param_2_bias"), 1, 1, 1, 2).relu_();
        var logits = tape.Linear("6.weight", "6.bias", second.mean([2, 3]), golden.Tensor("param_6_weight"), golden.Tensor("param_6_bias"));
        Close.Absolute(golden.Doubles("logits"), Close.Values(logits.flatten()), 1e-9, "logits");
        var margin = ModelOutputs.Margin(logits, golden.Tensor("y"));
        Close.Absolute(golden.Doubles("margin"), Close.Values(margin), 1e-9, "margin");
        tape.Backward(margin);
        var (gradients, parameters) = PerSampleGradients.Concatenate(tape);
        Assert.Equal(["0.weight", "0.bias", "2.weight", "2.bias", "6.weight", "6.bias"], parameters.Select(p => p.Name));
        Close.Absolute(golden.Doubles("per_sample_grads"), Close.Values(gradients.flatten()), 1e-9, "gradient");
    }

    [Theory]
    [MemberData(nameof(Trak))]
    public void GoldenTrakScores(string file)
    {
        if (!GoldenFiles.TryOpen(file, out var golden))
        {
            return;
        }

        using var scope = NewDisposeScope();
        var models = new List<TrakModel>();
        var (weights, biases, projections) = (golden.Tensor("weights").to(ScalarType.Float64), golden.Tensor("biases").to(ScalarType.Float64), golden.Tensor("P").to(ScalarType.Float64));
        for (var m = 0; m < weights.shape[0]; m++)
        {
            var (train, margins, gradients) = Features(golden.Tensor("X"), golden.Tensor("y"), weights[m], biases[m], projections[m]);
            var (targets, _, _) = Features(golden.Tensor("X_target"), golden.Tensor("y_target"), weights[m], biases[m], projections[m]);
            var left = Close.Values(ModelOutputs.OneMinusP(margins));
            models.Add(new TrakModel(new TensorRows(train), left, targets));
            if (m == 0)
            {
                Close.Absolute(golden.Doubles("margin_grads_model0"), Close.Values(gradients.flatten()), 1e-6, "gradient");
                Close.Absolute(golden.Doubles("features_model0"), Close.Values(train.flatten()), 1e-6, "feature");
                Close.Relative(golden.Doubles("one_minus_p_model0"), left, 1e-6, "1 - p", 1e-9);
            }
        }

        foreach (var (name, lambda) in new[] { ("lam0", 0.0), ("lam005", 0.05) })
        {
            Close.Relative(golden.Doubles($"scores_paper_{name}"), TrakScores.Compute(models, TrakScores.Absolute(lambda)).Values, 1e-6, $"paper {name}");
            Close.Relative(golden.Doubles($"scores_code_{name}"), TrakScores.Compute(models, TrakScores.Absolute(lambda), divideByKernel: true).Values, 1e-6, $"code {name}");
        }
    }

    private static (Tensor Features, Tensor Margins, Tensor Gradients) Features(Tensor x, Tensor y, Tensor weight, Tensor bias, Tensor projection)
    {
        using var tape = new ParameterTape();
        var margins = ModelOutputs.Margin(tape.Linear("w", "b", x.to(ScalarType.Float64), weight, bias), y.to(ScalarType.Int64));
        tape.Backward(margins);
        var (gradients, _) = PerSampleGradients.Concatenate(tape);
        return (gradients.mm(projection) * Scalars.Of(1 / Math.Sqrt(projection.shape[0])), margins.detach(), gradients);
    }
}
