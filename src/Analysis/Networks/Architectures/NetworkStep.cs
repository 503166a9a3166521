using static TorchSharp.torch;

namespace Analysis.Networks.Architectures;

/// <summary>One named step of a network: the activations after it can be read and fed back.</summary>
/// <param name="Name">Layer name.</param>
/// <param name="Channels">Channels of the result.</param>
/// <param name="Height">Height of the result; 1 without spatial extent.</param>
/// <param name="Width">Width of the result; 1 without spatial extent.</param>
/// <param name="Sign">Sign of the result.</param>
/// <param name="Run">Computes the result (N×C×H×W) from the result of the step before. The input stays untouched.</param>
/// <param name="Alias">Second name of the layer; empty where there is none.</param>
internal sealed record NetworkStep(
    string Name, int Channels, int Height, int Width, ActivationSign Sign, Func<NetworkWeights, Tensor, Tensor> Run, string Alias = "");

/// <summary>
/// What an architecture needs and does, derived from the names and shapes of a weights file without loading libtorch.
/// The last two steps are global average pooling and the linear classifier.
/// </summary>
internal sealed record Blueprint
{
    /// <summary>Name with its size, for example <c>cifar_resnet20</c>.</summary>
    public required string Architecture { get; init; }

    /// <summary>Every tensor that must be there, with its shape.</summary>
    public required IReadOnlyList<(string Name, long[] Shape)> Tensors { get; init; }

    /// <summary>Convolutions and their batch norms, folded into one on loading.</summary>
    public required IReadOnlyList<ConvolutionNames> Convolutions { get; init; }

    /// <summary>Name of the linear classifier, for example <c>fc</c>.</summary>
    public required string Classifier { get; init; }

    /// <summary>The forward pass.</summary>
    public required IReadOnlyList<NetworkStep> Steps { get; init; }

    /// <summary>Epsilon of the batch norms where the sidecar states none.</summary>
    public required double DefaultEpsilon { get; init; }

    /// <summary>Number of logits.</summary>
    public int Outputs => Steps[^1].Channels;

    /// <summary>The layers as the user sees them; the last step with spatial extent before the linear head is suggested.</summary>
    public IReadOnlyList<LayerInfo> Layers()
    {
        var layers = new List<LayerInfo>();
        var last = Steps.Count - 3;
        for (var i = 0; i < Steps.Count; i++)
        {
            var step = Steps[i];
            var linear = i == last || i == last + 1;
            var suggested = i == last;
            var note = suggested
                ? $"Suggested: the last layer with spatial extent ({step.Height}×{step.Width}); only global average pooling and one linear map follow, so importance has a closed form."
                : i == last + 1
                    ? "Has no spatial extent: concepts cannot be located in the image."
                    : i == last + 2 ? "The logits." : "";
            if (step.Alias.Length == 0)
            {
                layers.Add(new LayerInfo(step.Name, step.Channels, step.Height, step.Width, step.Sign, linear, suggested, note));
                continue;
            }

            layers.Add(new LayerInfo(step.Name, step.Channels, step.Height, step.Width, step.Sign, linear, false, $"The same as {step.Alias}."));
            layers.Add(new LayerInfo(
                step.Alias, step.Channels, step.Height, step.Width, step.Sign, linear, suggested, note.Length > 0 ? note : $"End of the stage, {step.Name}."));
        }

        return layers;
    }
}

/// <summary>Names of a convolution without bias and of the batch norm behind it.</summary>
/// <param name="Name">The convolution, for example <c>layer1.0.conv1</c>.</param>
/// <param name="BatchNorm">Its batch norm, for example <c>layer1.0.bn1</c>.</param>
internal readonly record struct ConvolutionNames(string Name, string BatchNorm);
