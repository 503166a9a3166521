using static TorchSharp.torch;

namespace Analysis.Networks.Architectures;

/// <summary>Collects the tensors and steps of an architecture and keeps track of channels and sizes.</summary>
internal sealed class BlueprintBuilder(int height, int width)
{
    private readonly List<(string, long[])> _tensors = [];
    private readonly List<ConvolutionNames> _convolutions = [];
    private readonly List<NetworkStep> _steps = [];
    private readonly List<string> _parameters = [];

    /// <summary>Channels after the last step.</summary>
    public int Channels { get; set; } = 3;

    /// <summary>Height after the last step.</summary>
    public int Height { get; set; } = height;

    /// <summary>Width after the last step.</summary>
    public int Width { get; set; } = width;

    /// <summary>Result length of a window of size k, stride s, padding p over n positions.</summary>
    public static int Windowed(int n, int k, int s, int p) => ((n + (2 * p) - k) / s) + 1;

    /// <summary>Index that the next step will have.</summary>
    public int NextStep => _steps.Count;

    /// <summary>Declares a convolution with its batch norm (empty for none).</summary>
    public void Convolution(string name, string batchNorm, int output, int inputPerGroup, int kernel, bool bias = false)
    {
        _tensors.Add(($"{name}.weight", [output, inputPerGroup, kernel, kernel]));
        if (bias)
        {
            _tensors.Add(($"{name}.bias", [output]));
        }

        _convolutions.Add(new ConvolutionNames(name, batchNorm, bias));
        if (batchNorm.Length == 0)
        {
            return;
        }

        foreach (var part in (ReadOnlySpan<string>)["weight", "bias", "running_mean", "running_var"])
        {
            _tensors.Add(($"{batchNorm}.{part}", [output]));
        }
    }

    /// <summary>Declares a parameter that is used as it stands.</summary>
    public void Parameter(string name, params long[] shape)
    {
        _tensors.Add((name, shape));
        _parameters.Add(name);
    }

    /// <summary>Declares weight and bias of a linear layer or, with one size, of a normalisation.</summary>
    public void Affine(string name, params long[] shape)
    {
        Parameter($"{name}.weight", shape);
        Parameter($"{name}.bias", shape[0]);
    }

    /// <summary>Adds a step that ends in a rectification.</summary>
    public void Step(string name, Func<NetworkWeights, Tensor, Tensor> run, string alias = "") =>
        _steps.Add(new NetworkStep(name, Channels, Height, Width, ActivationSign.NonNegative, run, alias));

    /// <summary>Adds a step whose result has values of both signs.</summary>
    public void SignedStep(string name, Func<NetworkWeights, Tensor, Tensor> run, TokenGrid? tokens = null) =>
        _steps.Add(new NetworkStep(name, Channels, Height, Width, ActivationSign.Signed, run, "", tokens));

    /// <summary>Adds global average pooling and the classifier, and closes the blueprint.</summary>
    public Blueprint Finish(string architecture, string pooling, string classifier, int outputs, double epsilon)
    {
        (Height, Width) = (1, 1);
        Step(pooling, static (_, x) => x.mean([2, 3], keepdim: true));
        return Classify(architecture, classifier, outputs, epsilon);
    }

    /// <summary>Adds the classifier behind a step without spatial extent, and closes the blueprint.</summary>
    public Blueprint Classify(string architecture, string classifier, int outputs, double epsilon)
    {
        _tensors.Add(($"{classifier}.weight", [outputs, Channels]));
        _tensors.Add(($"{classifier}.bias", [outputs]));
        Channels = outputs;
        _steps.Add(new NetworkStep(classifier, outputs, 1, 1, ActivationSign.Signed, (weights, x) =>
        {
            using var flat = x.flatten(1);
            using var logits = weights.Classify(flat);
            return logits.view(logits.shape[0], logits.shape[1], 1, 1);
        }));
        return new Blueprint
        {
            Architecture = architecture,
            Tensors = _tensors,
            Convolutions = _convolutions,
            Classifier = classifier,
            Steps = _steps,
            Parameters = _parameters,
            DefaultEpsilon = epsilon,
        };
    }
}
