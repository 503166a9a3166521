using System.Security.Cryptography;
using System.Text;
using Analysis.Imaging;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Networks;

/// <summary>
/// A network in two TorchScript files: <c>x.backbone.pt</c> (images → activation: N×C×H×W, N×C, or tokens N×T×C) and
/// <c>x.head.pt</c> (activation → logits), with the sidecar <c>x.json</c>. Its layers are the backbone's result and the logits.
/// Where the head proves to be an average over positions and one linear map, importance has its closed form.
/// </summary>
internal sealed class SplitScriptNetwork : INetwork
{
    /// <summary>Architecture shown for it.</summary>
    public const string ArchitectureName = "torchscript_split";

    private const string Backbone = ".backbone.pt";
    private const string HeadSuffix = ".head.pt";
    private const string BackboneLayer = "backbone";
    private const string OutputLayer = "output";
    private const float Tolerance = 1e-4f;

    private readonly jit.ScriptModule<Tensor, Tensor> _backbone;
    private readonly jit.ScriptModule<Tensor, Tensor> _head;
    private readonly int _dimensions;
    private readonly (Tensor Weight, Tensor Bias)? _linear;

    private SplitScriptNetwork(
        NetworkDescription description, jit.ScriptModule<Tensor, Tensor> backbone, jit.ScriptModule<Tensor, Tensor> head, Tensor activation, int outputs, (Tensor, Tensor)? linear, Device device)
    {
        (_backbone, _head, _linear) = (backbone, head, linear);
        _dimensions = (int)activation.dim();
        Device = device;
        Name = description.Name;
        Sha256 = description.Sha256;
        Preprocessing = description.Preprocessing;
        Classes = description.Classes;
        Outputs = outputs;
        var shape = AsPositions(activation).shape;
        var sign = activation.min().cpu().item<float>() >= 0 ? ActivationSign.NonNegative : ActivationSign.Signed;
        var spatial = shape[2] * shape[3] > 1;
        Layers =
        [
            new LayerInfo(
                BackboneLayer, (int)shape[1], (int)shape[2], (int)shape[3], sign, linear is not null, Suggested: true,
                (spatial ? "Suggested: where the two files meet." : "Suggested: where the two files meet. It has no spatial extent: concepts cannot be located in the image.") + " Its sign is that seen on a probe.",
                Tokens(_dimensions == 3 ? shape[3] : 0)),
            new LayerInfo(OutputLayer, outputs, 1, 1, ActivationSign.Signed, false, Note: "The logits."),
        ];
        Notes = [.. description.Notes, linear is null
            ? "The two TorchScript files run as they are; the head is not one linear map behind an average, so importance is found by gradients."
            : "The two TorchScript files run as they are; the head is an average over positions and one linear map."];
    }

    public string Name { get; }

    public string Architecture => ArchitectureName;

    public string Sha256 { get; }

    public Preprocessing Preprocessing { get; }

    public IReadOnlyList<NetworkClass> Classes { get; }

    public int Outputs { get; }

    public IReadOnlyList<LayerInfo> Layers { get; }

    public IReadOnlyList<string> Notes { get; }

    public Device Device { get; }

    /// <summary>True for the backbone's or the head's file of a split network.</summary>
    public static bool IsPart(string path) =>
        path.EndsWith(Backbone, StringComparison.OrdinalIgnoreCase) || path.EndsWith(HeadSuffix, StringComparison.OrdinalIgnoreCase);

    /// <summary>The two files that belong together.</summary>
    /// <exception cref="AnalysisException">One of them is missing.</exception>
    public static (string Backbone, string Head) Files(string path)
    {
        var stem = path[..^(path.EndsWith(Backbone, StringComparison.OrdinalIgnoreCase) ? Backbone.Length : HeadSuffix.Length)];
        foreach (var file in new[] { stem + Backbone, stem + HeadSuffix })
        {
            if (!File.Exists(file))
            {
                throw new AnalysisException($"{Path.GetFileName(path)} is one half of a network; {Path.GetFileName(file)} is missing.", "Put both files and their sidecar into one folder.");
            }
        }

        return (stem + Backbone, stem + HeadSuffix);
    }

    /// <summary>SHA-256 over the hashes of both files.</summary>
    public static string Hash(string path)
    {
        var (backbone, head) = Files(path);
        var both = string.Concat(new[] { backbone, head }.Select(file =>
        {
            using var stream = File.OpenRead(file);
            return Convert.ToHexStringLower(SHA256.HashData(stream));
        }));
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(both)));
    }

    /// <summary>Loads both files and tries them on one batch.</summary>
    /// <exception cref="AnalysisException">They cannot be loaded, do not fit together, or give no logits.</exception>
    public static SplitScriptNetwork Load(string path, NetworkDescription description, Device device)
    {
        var (backboneFile, headFile) = Files(path);
        jit.ScriptModule<Tensor, Tensor>? backbone = null;
        jit.ScriptModule<Tensor, Tensor>? head = null;
        try
        {
            backbone = Open(backboneFile, device);
            head = Open(headFile, device);
            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            var (height, width) = (description.Preprocessing.Height, description.Preprocessing.Width);
            var batch = linspace(0, 400, 2L * 3 * height * width, device: device).sin().view(2, 3, height, width);
            var activation = backbone.call(batch);
            if (activation.dim() is < 2 or > 4 || activation.shape[0] != 2 || activation.dtype != ScalarType.Float32)
            {
                throw new AnalysisException(
                    $"{Path.GetFileName(backboneFile)} gives {activation.dtype} of shape [{string.Join(", ", activation.shape)}] for two images; N×C, N×C×H×W or tokens N×T×C of float32 are needed.", "Export the backbone again.");
            }

            var logits = head.call(activation);
            if (logits.dim() != 2 || logits.shape[0] != 2 || logits.dtype != ScalarType.Float32)
            {
                throw new AnalysisException(
                    $"{Path.GetFileName(headFile)} gives {logits.dtype} of shape [{string.Join(", ", logits.shape)}] for two images; one row of float32 logits an image is needed.", "Export the head again.");
            }

            var outputs = (int)logits.shape[1];
            if (description.Classes.Count > 0 && description.Classes.Count != outputs)
            {
                throw new AnalysisException($"The sidecar names {description.Classes.Count} classes but {Path.GetFileName(headFile)} has {outputs} outputs.", "Correct the sidecar's class list.");
            }

            var linear = LinearIn(head, activation, logits);
            return new SplitScriptNetwork(
                description, backbone, head, activation, outputs, linear is { } map ? (map.Weight.DetachFromDisposeScope(), map.Bias.DetachFromDisposeScope()) : null, device);
        }
        catch (Exception exception)
        {
            backbone?.Dispose();
            head?.Dispose();
            if (exception is AnalysisException)
            {
                throw;
            }

            throw new AnalysisException(
                $"{Path.GetFileName(backboneFile)} and {Path.GetFileName(headFile)} cannot be run one after the other as TorchScript for images of {description.Preprocessing.Height}×{description.Preprocessing.Width}.",
                "Check the input size in the sidecar, and export both again in evaluation mode; the head takes exactly what the backbone gives.",
                exception);
        }
    }

    public (IReadOnlyList<Tensor> Activations, Tensor Logits) Forward(Tensor batch, IReadOnlyList<string> layers)
    {
        foreach (var layer in layers)
        {
            Require(layer);
        }

        using var quiet = no_grad();
        var raw = _backbone.call(batch);
        var logits = _head.call(raw);
        return ([.. layers.Select(l => l == BackboneLayer ? AsPositions(raw) : logits.view(logits.shape[0], logits.shape[1], 1, 1))], logits);
    }

    public Tensor Head(string layer, Tensor activation)
    {
        Require(layer);
        if (layer == OutputLayer)
        {
            return activation.flatten(1);
        }

        return _dimensions switch
        {
            2 => _head.call(activation.flatten(1)),
            3 => _head.call(activation.flatten(2).transpose(1, 2)),
            _ => _head.call(activation),
        };
    }

    public (Tensor Weight, Tensor Bias)? LinearHead(string layer)
    {
        Require(layer);
        return layer == BackboneLayer ? _linear : null;
    }

    public void Dispose()
    {
        _linear?.Weight.Dispose();
        _linear?.Bias.Dispose();
        _backbone.Dispose();
        _head.Dispose();
    }

    private static jit.ScriptModule<Tensor, Tensor> Open(string file, Device device)
    {
        // Loading onto the device, because moving a script afterwards is not guarded against native errors.
        var module = jit.load<Tensor, Tensor>(file, device.type, device.index);
        module.eval();
        foreach (var parameter in module.parameters())
        {
            parameter.requires_grad = false;
        }

        return module;
    }

    /// <summary>N×C×H×W; tokens become one row of positions.</summary>
    private static Tensor AsPositions(Tensor activation) => activation.dim() switch
    {
        2 => activation.view(activation.shape[0], activation.shape[1], 1, 1),
        3 => activation.transpose(1, 2).unsqueeze(2).contiguous(),
        _ => activation,
    };

    /// <summary>A square number of tokens, or one more, has patches in rows and columns.</summary>
    private static TokenGrid? Tokens(long tokens)
    {
        foreach (var leading in new[] { 0, 1 })
        {
            var side = (int)Math.Round(Math.Sqrt(Math.Max(0, tokens - leading)));
            if (side > 1 && (side * side) + leading == tokens)
            {
                return new TokenGrid(leading, side, side);
            }
        }

        return null;
    }

    /// <summary>The linear map of a head that has one matrix and at most one vector and does nothing else but average; null otherwise.</summary>
    private static (Tensor Weight, Tensor Bias)? LinearIn(jit.ScriptModule<Tensor, Tensor> head, Tensor activation, Tensor logits)
    {
        var parameters = head.parameters().ToList();
        var pooled = AsPositions(activation).mean([2, 3]);
        var weight = parameters.Find(p => p.dim() == 2 && p.shape[0] == logits.shape[1] && p.shape[1] == pooled.shape[1]);
        var bias = parameters.Find(p => p.dim() == 1 && p.shape[0] == logits.shape[1]);
        if (weight is null || parameters.Count > 2 || (parameters.Count == 2 && bias is null))
        {
            return null;
        }

        var shift = bias is null ? zeros(logits.shape[1], device: logits.device) : bias.detach().clone();
        var matrix = weight.detach().clone();

        // Also away from what the backbone gives, so that a rectification in the head does not go unnoticed.
        foreach (var factor in new[] { 1f, -2f })
        {
            using var scaled = activation * Scalars.Of(factor);
            using var expected = nn.functional.linear(pooled * Scalars.Of(factor), matrix, shift);
            using var actual = head.call(scaled);
            if ((expected - actual).abs().max().cpu().item<float>() > Tolerance * (1 + actual.abs().max().cpu().item<float>()))
            {
                return null;
            }
        }

        return (matrix, shift);
    }

    private void Require(string layer)
    {
        if (layer is not (BackboneLayer or OutputLayer))
        {
            throw NativeNetwork.UnknownLayer(layer, Layers);
        }
    }
}
