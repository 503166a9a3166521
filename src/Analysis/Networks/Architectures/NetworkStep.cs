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
/// <param name="Tokens">Where the positions are tokens: which have a place in the image.</param>
internal sealed record NetworkStep(
    string Name, int Channels, int Height, int Width, ActivationSign Sign, Func<NetworkWeights, Tensor, Tensor> Run, string Alias = "", TokenGrid? Tokens = null);

/// <summary>
/// What an architecture needs and does, derived from the names and shapes of a weights file without loading libtorch.
/// The last step is the linear classifier.
/// </summary>
internal sealed record Blueprint
{
    /// <summary>Name with its size, for example <c>cifar_resnet20</c>.</summary>
    public required string Architecture { get; init; }

    /// <summary>Every tensor that must be there, with its shape.</summary>
    public required IReadOnlyList<(string Name, long[] Shape)> Tensors { get; init; }

    /// <summary>Convolutions, with their batch norms folded in on loading.</summary>
    public required IReadOnlyList<ConvolutionNames> Convolutions { get; init; }

    /// <summary>Name of the linear classifier, for example <c>fc</c>.</summary>
    public required string Classifier { get; init; }

    /// <summary>The forward pass.</summary>
    public required IReadOnlyList<NetworkStep> Steps { get; init; }

    /// <summary>Epsilon of the batch norms where the sidecar states none.</summary>
    public required double DefaultEpsilon { get; init; }

    /// <summary>Parameters that are used as they stand, for example of normalisations and of linear layers before the last.</summary>
    public IReadOnlyList<string> Parameters { get; init; } = [];

    /// <summary>First step behind which only an average over positions and the classifier follow; null for the third from the end.</summary>
    public int? LinearFrom { get; init; }

    /// <summary>Step that is suggested; null for the third from the end.</summary>
    public int? Suggested { get; init; }

    /// <summary>Why it is suggested; null for the usual reason.</summary>
    public string? SuggestedNote { get; init; }

    /// <summary>Step whose activations are suggested.</summary>
    public NetworkStep SuggestedStep => Steps[Suggested ?? Steps.Count - 3];

    /// <summary>True where the activation of a step is pooled and classified by one linear map.</summary>
    public bool IsLinear(int step) => step >= (LinearFrom ?? Steps.Count - 3) && step < Steps.Count - 1;

    /// <summary>Number of logits.</summary>
    public int Outputs => Steps[^1].Channels;

    /// <summary>The layers as the user sees them; the last step with spatial extent before the linear head is suggested.</summary>
    public IReadOnlyList<LayerInfo> Layers()
    {
        var layers = new List<LayerInfo>();
        var chosen = Suggested ?? Steps.Count - 3;
        for (var i = 0; i < Steps.Count; i++)
        {
            var step = Steps[i];
            var linear = IsLinear(i);
            var note = i == chosen
                ? SuggestedNote ?? $"Suggested: the last layer with spatial extent ({step.Height}×{step.Width}); only global average pooling and one linear map follow, so importance has a closed form."
                : i == Steps.Count - 1 ? "The logits."
                : step.Tokens is { } tokens ? $"{tokens.Leading + (tokens.Height * tokens.Width)} tokens: the class token and {tokens.Height}×{tokens.Width} patches."
                : step is { Height: 1, Width: 1 } ? "Has no spatial extent: concepts cannot be located in the image." : "";
            var layer = new LayerInfo(step.Name, step.Channels, step.Height, step.Width, step.Sign, linear, i == chosen, note, step.Tokens);
            if (step.Alias.Length == 0)
            {
                layers.Add(layer);
                continue;
            }

            layers.Add(layer with { Suggested = false, Note = $"The same as {step.Alias}." });
            layers.Add(layer with { Name = step.Alias, Note = note.Length > 0 ? note : $"End of the stage, {step.Name}." });
        }

        return layers;
    }
}

/// <summary>Names of a convolution and of the batch norm behind it.</summary>
/// <param name="Name">The convolution, for example <c>layer1.0.conv1</c>.</param>
/// <param name="BatchNorm">Its batch norm, for example <c>layer1.0.bn1</c>; empty for none.</param>
/// <param name="Bias">True where the convolution has a bias of its own.</param>
internal readonly record struct ConvolutionNames(string Name, string BatchNorm, bool Bias = false);
