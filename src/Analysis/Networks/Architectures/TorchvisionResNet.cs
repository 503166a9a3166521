using Analysis.Numerics;
using static TorchSharp.torch.nn;

namespace Analysis.Networks.Architectures;

/// <summary>
/// ResNet 18, 34, 50, 101, 152 (He et al. 2016, arXiv 1512.03385) with torchvision's parameter names; bottlenecks carry
/// their stride in the 3×3 convolution, as torchvision's do.
/// </summary>
internal static class TorchvisionResNet
{
    public const string Prefix = "resnet";

    private static readonly (int Depth, bool Bottleneck, int[] Blocks)[] Known =
    [
        (18, false, [2, 2, 2, 2]),
        (34, false, [3, 4, 6, 3]),
        (50, true, [3, 4, 6, 3]),
        (101, true, [3, 4, 23, 3]),
        (152, true, [3, 8, 36, 3]),
    ];

    /// <summary>Depths that are known.</summary>
    public static IEnumerable<int> Depths => Known.Select(k => k.Depth);

    /// <summary>Depth of the network that the names and block counts belong to; null for none.</summary>
    public static int? Recognise(TensorShapes shapes)
    {
        if (!shapes.Has("conv1.weight") || !shapes.Has("fc.weight") || shapes.Blocks(4) == 0)
        {
            return null;
        }

        int[] blocks = [shapes.Blocks(1), shapes.Blocks(2), shapes.Blocks(3), shapes.Blocks(4)];
        var bottleneck = shapes.Names.Any(n => n.EndsWith(".conv3.weight", StringComparison.Ordinal));
        foreach (var known in Known)
        {
            if (known.Bottleneck == bottleneck && known.Blocks.SequenceEqual(blocks))
            {
                return known.Depth;
            }
        }

        return null;
    }

    public static Blueprint Build(TensorShapes shapes, int depth, int height, int width)
    {
        var (_, bottleneck, blocks) = Known.First(k => k.Depth == depth);
        var builder = new BlueprintBuilder(height, width);
        builder.Convolution("conv1", "bn1", 64, 3, 7);
        builder.Channels = 64;
        builder.Height = BlueprintBuilder.Windowed(height, 7, 2, 3);
        builder.Width = BlueprintBuilder.Windowed(width, 7, 2, 3);
        builder.Step("conv1", static (weights, x) => weights.Convolve("conv1", x, 2, 3).relu_());
        builder.Height = BlueprintBuilder.Windowed(builder.Height, 3, 2, 1);
        builder.Width = BlueprintBuilder.Windowed(builder.Width, 3, 2, 1);
        builder.Step("maxpool", static (_, x) => functional.max_pool2d(x, 3, stride: 2, padding: 1));
        for (var stage = 1; stage <= 4; stage++)
        {
            for (var block = 0; block < blocks[stage - 1]; block++)
            {
                AddBlock(builder, stage, block, block == blocks[stage - 1] - 1, 64 << (stage - 1), bottleneck);
            }
        }

        return builder.Finish($"{Prefix}{depth}", "avgpool", "fc", shapes.Size("fc.weight", 0, 1000, 1 << 20), 1e-5);
    }

    private static void AddBlock(BlueprintBuilder builder, int stage, int block, bool last, int planes, bool bottleneck)
    {
        var name = $"layer{stage}.{block}";
        var input = builder.Channels;
        var output = bottleneck ? planes * 4 : planes;
        var stride = stage > 1 && block == 0 ? 2 : 1;
        if (bottleneck)
        {
            builder.Convolution($"{name}.conv1", $"{name}.bn1", planes, input, 1);
            builder.Convolution($"{name}.conv2", $"{name}.bn2", planes, planes, 3);
            builder.Convolution($"{name}.conv3", $"{name}.bn3", output, planes, 1);
        }
        else
        {
            builder.Convolution($"{name}.conv1", $"{name}.bn1", output, input, 3);
            builder.Convolution($"{name}.conv2", $"{name}.bn2", output, output, 3);
        }

        var project = stride != 1 || input != output;
        if (project)
        {
            builder.Convolution($"{name}.downsample.0", $"{name}.downsample.1", output, input, 1);
        }

        builder.Channels = output;
        builder.Height = BlueprintBuilder.Windowed(builder.Height, 3, stride, 1);
        builder.Width = BlueprintBuilder.Windowed(builder.Width, 3, stride, 1);
        builder.Step(
            name,
            (weights, x) =>
            {
                using var first = (bottleneck ? weights.Convolve($"{name}.conv1", x, 1, 0) : weights.Convolve($"{name}.conv1", x, stride, 1)).relu_();
                var result = weights.Convolve($"{name}.conv2", first, bottleneck ? stride : 1, 1);
                if (bottleneck)
                {
                    using var second = result.relu_();
                    result = weights.Convolve($"{name}.conv3", second, 1, 0);
                }

                if (!project)
                {
                    return result.add_(x, Scalars.One).relu_();
                }

                using var shortcut = weights.Convolve($"{name}.downsample.0", x, stride, 0);
                return result.add_(shortcut, Scalars.One).relu_();
            },
            last ? $"layer{stage}" : "");
    }
}
