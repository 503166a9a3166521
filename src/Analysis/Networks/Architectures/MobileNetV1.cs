using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Analysis.Networks.Architectures;

/// <summary>
/// MobileNet version 1 (Howard et al. 2017, arXiv 1704.04861, table 1) as TensorFlow computes it: padding "SAME" (the odd
/// zero goes to the right and the bottom), ReLU6 after every batch norm, ε = 0.001. Names: <c>conv1</c>, <c>conv_dw_i</c>,
/// <c>conv_pw_i</c>, each with <c>_bn</c>, and <c>fc</c>. The width multiplier follows from <c>conv1.weight</c>.
/// </summary>
internal static class MobileNetV1
{
    public const string Name = "mobilenet_v1";

    private static readonly (int Channels, int Stride)[] Pairs =
    [
        (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
        (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
    ];

    public static bool Recognise(TensorShapes shapes) =>
        shapes.Has("conv1.weight") && shapes.Has("conv_dw_1.weight") && shapes.Has("fc.weight");

    public static Blueprint Build(TensorShapes shapes, int height, int width)
    {
        var builder = new BlueprintBuilder(height, width);
        var first = shapes.Size("conv1.weight", 0, 32, 1024);
        builder.Convolution("conv1", "conv1_bn", first, 3, 3);
        AddStep(builder, "conv1", first, 3, 2, 1);
        for (var i = 0; i < Pairs.Length; i++)
        {
            var input = builder.Channels;
            var output = Math.Max(1, Pairs[i].Channels * first / 32);
            builder.Convolution($"conv_dw_{i + 1}", $"conv_dw_{i + 1}_bn", input, 1, 3);
            AddStep(builder, $"conv_dw_{i + 1}", input, 3, Pairs[i].Stride, input);
            builder.Convolution($"conv_pw_{i + 1}", $"conv_pw_{i + 1}_bn", output, input, 1);
            AddStep(builder, $"conv_pw_{i + 1}", output, 1, 1, 1);
        }

        return builder.Finish(Name, "global_average_pool", "fc", shapes.Size("fc.weight", 0, 1000, 1 << 20), 1e-3);
    }

    private static void AddStep(BlueprintBuilder builder, string name, int output, int kernel, int stride, int groups)
    {
        builder.Channels = output;
        builder.Height = (builder.Height + stride - 1) / stride;
        builder.Width = (builder.Width + stride - 1) / stride;
        builder.Step(name, (weights, x) =>
        {
            var (top, bottom) = Same(x.shape[2], kernel, stride);
            var (left, right) = Same(x.shape[3], kernel, stride);
            if (top == bottom && left == right && top == left)
            {
                return functional.relu6(weights.Convolve(name, x, stride, top, groups), inplace: true);
            }

            using var padded = functional.pad(x, [left, right, top, bottom]);
            return functional.relu6(weights.Convolve(name, padded, stride, 0, groups), inplace: true);
        });
    }

    /// <summary>Zeros before and after n positions so that the result has ⌈n/stride⌉ positions.</summary>
    private static (long Before, long After) Same(long n, int kernel, int stride)
    {
        var total = Math.Max((((n + stride - 1) / stride) - 1) * stride + kernel - n, 0);
        return (total / 2, total - (total / 2));
    }
}
