using Analysis.Numerics;
using static TorchSharp.torch.nn;

namespace Analysis.Networks.Architectures;

/// <summary>
/// MobileNet version 2 (Sandler et al. 2018, arXiv 1801.04381, table 2) with torchvision's parameter names: inverted residuals
/// whose last convolution is linear, ReLU6 elsewhere. Widths follow from the file.
/// </summary>
internal static class MobileNetV2
{
    public const string Name = "mobilenet_v2";

    private const string Classifier = "classifier.1";
    private const int Last = 18;

    // Expanded or not, repetitions and first stride of each stage.
    private static readonly (bool Expanded, int Blocks, int Stride)[] Stages =
        [(false, 1, 1), (true, 2, 2), (true, 3, 2), (true, 4, 2), (true, 3, 1), (true, 3, 2), (true, 1, 1)];

    public static bool Recognise(TensorShapes shapes) =>
        shapes.Has("features.0.0.weight") && shapes.Has("features.1.conv.0.0.weight") && shapes.Has($"features.{Last}.0.weight") && shapes.Has($"{Classifier}.weight");

    public static Blueprint Build(TensorShapes shapes, int height, int width)
    {
        var builder = new BlueprintBuilder(height, width);
        Plain(builder, "features.0", shapes.Size("features.0.0.weight", 0, 32, 4096), 3, 2);
        var index = 1;
        foreach (var (expanded, blocks, stride) in Stages)
        {
            for (var block = 0; block < blocks; block++)
            {
                Inverted(builder, shapes, $"features.{index++}", expanded, block == 0 ? stride : 1);
            }
        }

        Plain(builder, $"features.{Last}", shapes.Size($"features.{Last}.0.weight", 0, 1280, 1 << 16), 1, 1);
        return builder.Finish(Name, "avgpool", Classifier, shapes.Size($"{Classifier}.weight", 0, 1000, 1 << 20), 1e-5);
    }

    private static void Plain(BlueprintBuilder builder, string name, int output, int kernel, int stride)
    {
        builder.Convolution($"{name}.0", $"{name}.1", output, builder.Channels, kernel);
        Resize(builder, output, kernel, stride);
        builder.Step(name, (weights, x) => functional.relu6(weights.Convolve($"{name}.0", x, stride, kernel / 2), inplace: true));
    }

    private static void Inverted(BlueprintBuilder builder, TensorShapes shapes, string name, bool expanded, int stride)
    {
        var input = builder.Channels;
        var place = 0;
        var hidden = input;
        var expand = $"{name}.conv.0.0";
        if (expanded)
        {
            hidden = shapes.Size($"{expand}.weight", 0, 6 * input, 1 << 16);
            builder.Convolution(expand, $"{name}.conv.0.1", hidden, input, 1);
            place = 1;
        }

        var depthwise = $"{name}.conv.{place}.0";
        var project = $"{name}.conv.{place + 1}";
        var output = shapes.Size($"{project}.weight", 0, input, 1 << 16);
        builder.Convolution(depthwise, $"{name}.conv.{place}.1", hidden, 1, 3);
        builder.Convolution(project, $"{name}.conv.{place + 2}", output, hidden, 1);
        Resize(builder, output, 3, stride);
        builder.SignedStep(name, (weights, x) =>
        {
            var wide = expanded ? functional.relu6(weights.Convolve(expand, x, 1, 0), inplace: true) : x;
            using var filtered = functional.relu6(weights.Convolve(depthwise, wide, stride, 1, hidden), inplace: true);
            if (expanded)
            {
                wide.Dispose();
            }

            var narrow = weights.Convolve(project, filtered, 1, 0);
            return stride == 1 && input == output ? narrow.add_(x, Scalars.One) : narrow;
        });
    }

    private static void Resize(BlueprintBuilder builder, int output, int kernel, int stride)
    {
        builder.Channels = output;
        builder.Height = BlueprintBuilder.Windowed(builder.Height, kernel, stride, kernel / 2);
        builder.Width = BlueprintBuilder.Windowed(builder.Width, kernel, stride, kernel / 2);
    }
}
