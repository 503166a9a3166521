using static TorchSharp.torch.nn;

namespace Analysis.Networks.Architectures;

/// <summary>
/// VGG 11, 13, 16, 19 (Simonyan and Zisserman 2015, arXiv 1409.1556, table 1), with or without batch norm, and torchvision's
/// parameter names: <c>features.N</c> counts convolutions, norms, rectifications and poolings; <c>classifier.0/3/6</c>. A
/// layer is named by the rectification that ends it. Widths follow from the file.
/// </summary>
internal static class TorchvisionVgg
{
    public const string Prefix = "vgg";

    private const int PooledSide = 7;
    private const string Classifier = "classifier.6";

    // Convolutions before each of the five poolings.
    private static readonly (int Depth, int[] Stages)[] Known =
    [
        (11, [1, 1, 2, 2, 2]), (13, [2, 2, 2, 2, 2]), (16, [2, 2, 3, 3, 3]), (19, [2, 2, 4, 4, 4]),
    ];

    /// <summary>Depths that are known.</summary>
    public static IEnumerable<int> Depths => Known.Select(k => k.Depth);

    /// <summary>Depth of the network that the names belong to; null for none.</summary>
    public static int? Recognise(TensorShapes shapes)
    {
        if (!shapes.Has($"{Classifier}.weight") || shapes.Size("features.0.weight", 2, 0, 3) != 3)
        {
            return null;
        }

        foreach (var (depth, stages) in Known)
        {
            var places = Convolutions(stages, Normalised(shapes)).ToList();
            // Convolutions have four dimensions, the norms between them one.
            var there = shapes.Names.Count(n => n.StartsWith("features.", StringComparison.Ordinal) && n.EndsWith(".weight", StringComparison.Ordinal) && shapes.Size(n, 3, 0, 3) == 3);
            if (there == places.Count && places.TrueForAll(i => shapes.Size($"features.{i}.weight", 3, 0, 3) == 3))
            {
                return depth;
            }
        }

        return null;
    }

    public static Blueprint Build(TensorShapes shapes, int depth, int height, int width)
    {
        var stages = Known.First(k => k.Depth == depth).Stages;
        var normalised = Normalised(shapes);
        var builder = new BlueprintBuilder(height, width);
        var index = 0;
        var suggested = 0;
        foreach (var count in stages)
        {
            for (var i = 0; i < count; i++)
            {
                var name = $"features.{index}";
                var output = shapes.Size($"{name}.weight", 0, 64, 1 << 16);
                builder.Convolution(name, normalised ? $"features.{index + 1}" : "", output, builder.Channels, 3, bias: true);
                builder.Channels = output;
                index += normalised ? 3 : 2;
                suggested = builder.NextStep;
                builder.Step($"features.{index - 1}", (weights, x) => weights.Convolve(name, x, 1, 1).relu_());
            }

            builder.Height /= 2;
            builder.Width /= 2;
            builder.Step($"features.{index++}", static (_, x) => functional.max_pool2d(x, 2, stride: 2));
        }

        var (lastHeight, lastWidth) = (builder.Height, builder.Width);
        (builder.Height, builder.Width) = (PooledSide, PooledSide);
        builder.Step("avgpool", static (_, x) => functional.adaptive_avg_pool2d(x, [PooledSide, PooledSide]));
        (builder.Height, builder.Width) = (1, 1);
        foreach (var (linear, rectified) in new[] { ("classifier.0", "classifier.1"), ("classifier.3", "classifier.4") })
        {
            var input = builder.Channels * (linear == "classifier.0" ? PooledSide * PooledSide : 1);
            var output = shapes.Size($"{linear}.weight", 0, 4096, 1 << 16);
            builder.Affine(linear, output, input);
            builder.Channels = output;
            builder.Step(rectified, (weights, x) =>
            {
                using var flat = x.flatten(1);
                using var hidden = weights.Linear($"{linear}.weight", $"{linear}.bias", flat).relu_();
                return hidden.view(hidden.shape[0], hidden.shape[1], 1, 1);
            });
        }

        var blueprint = builder.Classify($"{Prefix}{depth}{(normalised ? "_bn" : "")}", Classifier, shapes.Size($"{Classifier}.weight", 0, 1000, 1 << 20), 1e-5);
        return blueprint with
        {
            LinearFrom = blueprint.Steps.Count - 2,
            // A size of zero tells that the input is too small.
            Suggested = lastHeight < 1 || lastWidth < 1 ? suggested + 1 : suggested,
            SuggestedNote = $"Suggested: the last convolution. Fully connected layers follow, so importance is found by gradients; {blueprint.Steps[^2].Name} has a closed form but no place in the image.",
        };
    }

    private static bool Normalised(TensorShapes shapes) => shapes.Has("features.1.running_mean");

    private static IEnumerable<int> Convolutions(int[] stages, bool normalised)
    {
        var index = 0;
        foreach (var count in stages)
        {
            for (var i = 0; i < count; i++)
            {
                yield return index;
                index += normalised ? 3 : 2;
            }

            index++;
        }
    }
}
