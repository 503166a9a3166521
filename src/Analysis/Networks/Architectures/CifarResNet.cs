using Analysis.Numerics;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Analysis.Networks.Architectures;

/// <summary>
/// ResNets for small images (He et al. 2016, arXiv 1512.03385, §4.2): three stages of n basic blocks, depth 6n+2, widths
/// w, 2w, 4w (w = 16 in the paper). Shortcuts across stages are of kind A (every second position, channels padded with
/// zeros in equal parts before and after) or, where the file holds <c>layer2.0.shortcut.0.weight</c>, of kind B (1×1
/// convolution). Any input size, because the pooling is global.
/// </summary>
internal static class CifarResNet
{
    public const string Prefix = "cifar_resnet";

    /// <summary>True for files with the names <c>layer3.0.conv1.weight</c> and <c>linear.weight</c>, without a fourth stage.</summary>
    public static bool Recognise(TensorShapes shapes) =>
        shapes.Has("conv1.weight") && shapes.Has("linear.weight") && shapes.Blocks(3) > 0 && shapes.Blocks(4) == 0;

    public static Blueprint Build(TensorShapes shapes, int? depth, int height, int width)
    {
        var blocks = depth is { } d ? (d - 2) / 6 : Math.Max(shapes.Blocks(1), Math.Max(shapes.Blocks(2), shapes.Blocks(3)));
        var first = shapes.Size("conv1.weight", 0, 16, 2048);
        var outputs = shapes.Size("linear.weight", 0, 10, 1 << 20);
        var projected = shapes.Has("layer2.0.shortcut.0.weight") || shapes.Has("layer3.0.shortcut.0.weight");

        var builder = new BlueprintBuilder(height, width);
        builder.Convolution("conv1", "bn1", first, 3, 3);
        builder.Channels = first;
        builder.Step("conv1", static (weights, x) => weights.Convolve("conv1", x, 1, 1).relu_());
        for (var stage = 1; stage <= 3; stage++)
        {
            for (var block = 0; block < blocks; block++)
            {
                AddBlock(builder, stage, block, blocks, first << (stage - 1), projected);
            }
        }

        return builder.Finish($"{Prefix}{(6 * blocks) + 2}", "avgpool", "linear", outputs, 1e-5);
    }

    private static void AddBlock(BlueprintBuilder builder, int stage, int block, int blocks, int output, bool projected)
    {
        var name = $"layer{stage}.{block}";
        var input = builder.Channels;
        var stride = stage > 1 && block == 0 ? 2 : 1;
        builder.Convolution($"{name}.conv1", $"{name}.bn1", output, input, 3);
        builder.Convolution($"{name}.conv2", $"{name}.bn2", output, output, 3);
        var project = projected && (stride != 1 || input != output);
        if (project)
        {
            builder.Convolution($"{name}.shortcut.0", $"{name}.shortcut.1", output, input, 1);
        }

        builder.Height = BlueprintBuilder.Windowed(builder.Height, 3, stride, 1);
        builder.Width = BlueprintBuilder.Windowed(builder.Width, 3, stride, 1);
        builder.Channels = output;
        var pad = (output - input) / 2;
        builder.Step(
            name,
            (weights, x) =>
            {
                using var first = weights.Convolve($"{name}.conv1", x, stride, 1).relu_();
                var second = weights.Convolve($"{name}.conv2", first, 1, 1);
                if (stride == 1 && !project)
                {
                    return second.add_(x, Scalars.One).relu_();
                }

                using var shortcut = project ? weights.Convolve($"{name}.shortcut.0", x, stride, 0) : Subsample(x, pad);
                return second.add_(shortcut, Scalars.One).relu_();
            },
            block == blocks - 1 ? $"layer{stage}" : "");
    }

    private static Tensor Subsample(Tensor x, int pad)
    {
        using var rows = x.slice(2, 0, x.shape[2], 2);
        using var grid = rows.slice(3, 0, x.shape[3], 2);
        return functional.pad(grid, [0, 0, 0, 0, pad, pad]);
    }
}
