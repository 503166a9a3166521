using System.Globalization;
using Analysis.Networks.Files;

namespace Analysis.Networks.Architectures;

/// <summary>Finds the built-in architecture by name or by the tensors, and checks a file against it.</summary>
internal static class ArchitectureCatalogue
{
    private const string KnownNames = "cifar_resnet20 (or any depth 6n+2), resnet18, resnet34, resnet50, resnet101, resnet152, vgg11, vgg13, vgg16, vgg19 (with or without _bn), mobilenet_v1, mobilenet_v2, vit_b_16 and other vision transformers of torchvision";

    /// <summary>Canonical name of what was asked for, without or with a depth; null for an unknown one.</summary>
    public static (string Family, int? Depth)? Parse(string name, int? depth)
    {
        var text = name.Trim().ToLowerInvariant().Replace('-', '_');
        if (text is MobileNetV1.Name or "mobilenetv1" or "mobilenet")
        {
            return (MobileNetV1.Name, null);
        }

        if (text is MobileNetV2.Name or "mobilenetv2")
        {
            return (MobileNetV2.Name, null);
        }

        if (text.StartsWith(VisionTransformer.Prefix, StringComparison.Ordinal))
        {
            return (VisionTransformer.Prefix, null);
        }

        if (text.StartsWith(TorchvisionVgg.Prefix, StringComparison.Ordinal))
        {
            var plain = text[TorchvisionVgg.Prefix.Length..];
            plain = plain.EndsWith("_bn", StringComparison.Ordinal) ? plain[..^3] : plain;
            return Depth(plain, depth) is (true, var layers) && (layers is null || TorchvisionVgg.Depths.Contains(layers.Value)) ? (TorchvisionVgg.Prefix, layers) : null;
        }

        if (text.StartsWith(CifarResNet.Prefix, StringComparison.Ordinal))
        {
            return Depth(text[CifarResNet.Prefix.Length..], depth) is var (valid, d) && valid && (d is null || IsCifarDepth(d.Value))
                ? (CifarResNet.Prefix, d)
                : null;
        }

        if (!text.StartsWith(TorchvisionResNet.Prefix, StringComparison.Ordinal)
            || Depth(text[TorchvisionResNet.Prefix.Length..], depth) is not (true, var number))
        {
            return null;
        }

        return number is null || TorchvisionResNet.Depths.Contains(number.Value)
            ? (TorchvisionResNet.Prefix, number)
            : IsCifarDepth(number.Value) ? (CifarResNet.Prefix, number) : null;
    }

    /// <summary>The architecture that the names belong to; null where none fits.</summary>
    public static (string Family, int? Depth)? Recognise(TensorShapes shapes)
    {
        if (MobileNetV1.Recognise(shapes))
        {
            return (MobileNetV1.Name, null);
        }

        if (MobileNetV2.Recognise(shapes))
        {
            return (MobileNetV2.Name, null);
        }

        if (VisionTransformer.Recognise(shapes))
        {
            return (VisionTransformer.Prefix, null);
        }

        if (TorchvisionVgg.Recognise(shapes) is { } layers)
        {
            return (TorchvisionVgg.Prefix, layers);
        }

        if (TorchvisionResNet.Recognise(shapes) is { } depth)
        {
            return (TorchvisionResNet.Prefix, depth);
        }

        return CifarResNet.Recognise(shapes) ? (CifarResNet.Prefix, null) : null;
    }

    /// <summary>Blueprint of an architecture for a file and an input size.</summary>
    public static Blueprint Build((string Family, int? Depth) architecture, TensorShapes shapes, int height, int width, int? heads = null)
    {
        var (family, depth) = architecture;
        return family switch
        {
            MobileNetV1.Name => MobileNetV1.Build(shapes, height, width),
            MobileNetV2.Name => MobileNetV2.Build(shapes, height, width),
            VisionTransformer.Prefix => VisionTransformer.Build(shapes, heads, height, width),
            TorchvisionVgg.Prefix => TorchvisionVgg.Build(
                shapes,
                depth ?? TorchvisionVgg.Recognise(shapes) ?? throw new AnalysisException(
                    $"The tensors belong to no VGG of depth {string.Join(", ", TorchvisionVgg.Depths)}.", "State the architecture with its depth."),
                height,
                width),
            CifarResNet.Prefix => CifarResNet.Build(shapes, depth, height, width),
            _ => TorchvisionResNet.Build(
                shapes,
                depth ?? TorchvisionResNet.Recognise(shapes) ?? throw new AnalysisException(
                    $"The tensors belong to no ResNet of depth {string.Join(", ", TorchvisionResNet.Depths)}.", "State the architecture with its depth."),
                height,
                width),
        };
    }

    /// <summary>Refuses a name that <see cref="Parse"/> does not know.</summary>
    public static AnalysisException Unknown(string name) =>
        new($"The architecture '{FileFault.Short(name)}' is not known.", $"Known are {KnownNames}; any other network can be given as a TorchScript file.");

    /// <summary>Refuses a file whose tensors belong to no architecture.</summary>
    public static AnalysisException Unrecognised(ITensorFile file) =>
        new($"{file.FileName} holds {FileFault.List(file.Headers.Keys)}, which belong to no architecture known here.",
            $"Known are {KnownNames}; any other network can be given as a TorchScript file.");

    /// <summary>Requires every tensor of the blueprint with its shape, and no other.</summary>
    /// <exception cref="AnalysisException">Names the tensors that are missing, too many or of another shape.</exception>
    public static void Check(ITensorFile file, Blueprint blueprint)
    {
        var faults = Faults(file.Headers, blueprint);
        if (faults.Count > 0)
        {
            throw new AnalysisException(
                $"{file.FileName} does not fit {blueprint.Architecture}: {string.Join("; ", faults)}.", "Use the weights of this architecture, or state another.");
        }
    }

    /// <summary>What keeps tensors from fitting a blueprint, in words; empty where they fit.</summary>
    public static List<string> Faults(IReadOnlyDictionary<string, TensorHeader> headers, Blueprint blueprint)
    {
        var missing = new List<string>();
        var shapes = new List<string>();
        var expected = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (name, shape) in blueprint.Tensors)
        {
            expected.Add(name);
            if (!headers.TryGetValue(name, out var header))
            {
                missing.Add(name);
            }
            else if (!header.Shape.SequenceEqual(shape))
            {
                shapes.Add($"tensor '{name}' has shape {header.ShapeText} instead of {TensorHeader.Text(shape)}");
            }
        }

        // PyTorch counts batches beside the running statistics; evaluation does not use the count.
        var extra = headers.Keys.Where(n => !expected.Contains(n) && !n.EndsWith(".num_batches_tracked", StringComparison.Ordinal)).ToList();
        var faults = new List<string>();
        if (missing.Count > 0)
        {
            faults.Add($"missing {FileFault.List(missing)}");
        }

        if (extra.Count > 0)
        {
            faults.Add($"not expected {FileFault.List(extra)}");
        }

        faults.AddRange(shapes.Take(5));
        if (shapes.Count > 5)
        {
            faults.Add($"{shapes.Count - 5} more of another shape");
        }

        return faults;
    }

    private static bool IsCifarDepth(int depth) => depth >= 8 && depth <= 2000 && (depth - 2) % 6 == 0;

    private static (bool Valid, int? Depth) Depth(string suffix, int? depth) => suffix.TrimStart('_') switch
    {
        "" => (true, depth),
        var digits when int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number) => (true, number),
        _ => (false, null),
    };
}
