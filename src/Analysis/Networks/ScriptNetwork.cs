using System.Runtime.InteropServices;
using Analysis.Imaging;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Networks;

/// <summary>
/// A TorchScript file run as it is. Inside, a script is opaque; where running its top-level modules in their order gives the
/// output of the whole, their results are its layers. Otherwise the logits are the only layer, named <c>output</c>.
/// </summary>
internal sealed class ScriptNetwork : INetwork
{
    /// <summary>The architecture that stands for "run the file as it is".</summary>
    public const string ArchitectureName = "torchscript";

    private const string OutputLayer = "output";
    private const double Tolerance = 1e-4;

    private readonly jit.ScriptModule<Tensor, Tensor> _module;
    private readonly List<Part> _parts;

    private ScriptNetwork(NetworkDescription description, jit.ScriptModule<Tensor, Tensor> module, Probe probe, Device device)
    {
        _module = module;
        _parts = probe.Parts;
        Device = device;
        Name = description.Name;
        Sha256 = description.Sha256;
        Preprocessing = description.Preprocessing;
        Classes = description.Classes;
        Outputs = probe.Outputs;
        Layers = LayersOf(probe);
        Notes = [.. description.Notes, probe.Parts.Count > 0
            ? "The TorchScript file runs as it is; its top-level modules are its layers."
            : "The TorchScript file runs as it is and cannot be split into layers: running its top-level modules in their order does not give its output. Only the logits can be read."];
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

    /// <summary>Loads a script and tries it on one batch.</summary>
    /// <exception cref="AnalysisException">It cannot be loaded or run, or its output is not N×K.</exception>
    public static ScriptNetwork Load(string path, NetworkDescription description, Device device)
    {
        var fileName = Path.GetFileName(path);
        jit.ScriptModule<Tensor, Tensor>? module = null;
        try
        {
            // Loading onto the device, because moving a script afterwards is not guarded against native errors.
            module = jit.load<Tensor, Tensor>(path, device.type, device.index);
            module.eval();
            foreach (var parameter in module.parameters())
            {
                parameter.requires_grad = false;
            }

            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            var probe = Try(module, description.Preprocessing, device);
            return description.Classes.Count == 0 || description.Classes.Count == probe.Outputs
                ? new ScriptNetwork(description, module, probe, device)
                : throw new AnalysisException(
                    $"The sidecar names {description.Classes.Count} classes but {fileName} has {probe.Outputs} outputs.", "Correct the sidecar's class list.");
        }
        catch (Exception exception)
        {
            module?.Dispose();
            if (exception is AnalysisException)
            {
                throw;
            }

            throw new AnalysisException(
                $"{fileName} cannot be run as TorchScript for images of {description.Preprocessing.Height}×{description.Preprocessing.Width}.",
                "Check the input size in the sidecar, and export the network again in evaluation mode with one image batch as input and the logits as output.",
                exception);
        }
    }

    public (IReadOnlyList<Tensor> Activations, Tensor Logits) Forward(Tensor batch, IReadOnlyList<string> layers)
    {
        var wanted = layers.Select(PartOf).ToArray();
        using var quiet = no_grad();
        if (Array.TrueForAll(wanted, w => w == _parts.Count))
        {
            var output = _module.call(batch);
            return ([.. wanted.Select(_ => output.view(output.shape[0], output.shape[1], 1, 1))], output);
        }

        var activations = new Tensor[wanted.Length];
        var current = batch;
        var kept = true;
        for (var i = 0; i < _parts.Count; i++)
        {
            var next = _parts[i].Run(current);
            if (!kept)
            {
                current.Dispose();
            }

            (current, kept) = (next, false);
            for (var j = 0; j < wanted.Length; j++)
            {
                if (wanted[j] == i)
                {
                    activations[j] = kept ? current.alias() : current;
                    kept = true;
                }
            }
        }

        for (var j = 0; j < wanted.Length; j++)
        {
            if (wanted[j] == _parts.Count)
            {
                activations[j] = current.view(current.shape[0], current.shape[1], 1, 1);
            }
        }

        return (activations, kept ? current.alias() : current);
    }

    public Tensor Backbone(Tensor batch, string layer)
    {
        var last = PartOf(layer);
        if (last == _parts.Count)
        {
            var output = _module.call(batch);
            return output.view(output.shape[0], output.shape[1], 1, 1);
        }

        var current = batch;
        for (var i = 0; i <= last; i++)
        {
            var next = _parts[i].Run(current);
            if (!ReferenceEquals(current, batch))
            {
                current.Dispose();
            }

            current = next;
        }

        return current.dim() == 2 ? current.view(current.shape[0], current.shape[1], 1, 1) : current;
    }

    public Tensor Head(string layer, Tensor activation)
    {
        var current = activation;
        for (var i = PartOf(layer) + 1; i < _parts.Count; i++)
        {
            var next = _parts[i].Run(current);
            if (!ReferenceEquals(current, activation))
            {
                current.Dispose();
            }

            current = next;
        }

        return ReferenceEquals(current, activation) ? activation.flatten(1) : current;
    }

    public (Tensor Weight, Tensor Bias)? LinearHead(string layer)
    {
        PartOf(layer);
        return null;
    }

    public void Dispose()
    {
        foreach (var part in _parts)
        {
            part.Module.Dispose();
        }

        _module.Dispose();
    }

    private static Probe Try(jit.ScriptModule<Tensor, Tensor> module, Preprocessing preprocessing, Device device)
    {
        long count = 2L * 3 * preprocessing.Height * preprocessing.Width;
        var batch = linspace(0, 400, count, device: device).sin().view(2, 3, preprocessing.Height, preprocessing.Width);
        var output = module.call(batch);
        if (output.dim() != 2 || output.shape[0] != 2 || output.dtype != ScalarType.Float32)
        {
            throw new AnalysisException(
                $"The TorchScript file gives {output.dtype} of shape [{string.Join(", ", output.shape)}] for two images; one row of float32 logits an image is needed.", "Export the classifier itself.");
        }

        var parts = new List<Part>();
        var layers = new List<LayerInfo>();
        try
        {
            var current = batch;
            foreach (var (name, child) in module.named_children())
            {
                if (child is not jit.ScriptModule script)
                {
                    break;
                }

                var flatten = false;
                Tensor next;
                try
                {
                    next = (Tensor)script.forward(current);
                }
                catch (ExternalException) when (current.dim() == 4)
                {
                    // Between the pooling and the classifier scripts flatten outside any module.
                    flatten = true;
                    next = (Tensor)script.forward(current.flatten(1));
                }

                parts.Add(new Part(script, flatten));
                if (next.dim() == 4)
                {
                    var sign = next.min().cpu().item<float>() >= 0 ? ActivationSign.NonNegative : ActivationSign.Signed;
                    layers.Add(new LayerInfo(name, (int)next.shape[1], (int)next.shape[2], (int)next.shape[3], sign, false, false, "Its sign is that seen on a probe."));
                }
                else
                {
                    layers.Add(new LayerInfo(name, (int)next.shape[1], 1, 1, ActivationSign.Signed, false));
                }

                current = next;
            }

            if (parts.Count > 0 && current.shape.SequenceEqual(output.shape)
                && (current - output).abs().max().cpu().item<float>() <= Tolerance * (1 + output.abs().max().cpu().item<float>()))
            {
                return new Probe(parts, layers, (int)output.shape[1]);
            }
        }
        catch (Exception exception) when (exception is ExternalException or InvalidOperationException or ArgumentException or InvalidCastException or IndexOutOfRangeException)
        {
            // The modules do not run one after the other; the script is used whole.
        }

        foreach (var part in parts)
        {
            part.Module.Dispose();
        }

        return new Probe([], [], (int)output.shape[1]);
    }

    private static List<LayerInfo> LayersOf(Probe probe)
    {
        var layers = new List<LayerInfo>(probe.Layers);
        var best = layers.FindLastIndex(l => l.Height > 1 && l.Width > 1);
        if (best >= 0)
        {
            layers[best] = layers[best] with { Suggested = true, Note = "Suggested: the last layer with spatial extent. " + layers[best].Note };
        }

        layers.Add(new LayerInfo(OutputLayer, probe.Outputs, 1, 1, ActivationSign.Signed, false, best < 0, best < 0
            ? "The logits, the only layer that can be read from this script. For concepts with a place in the image, give weights of a built-in architecture."
            : "The logits."));
        return layers;
    }

    /// <summary>Index of the module behind a layer; the number of modules for the output.</summary>
    private int PartOf(string layer)
    {
        if (layer == OutputLayer)
        {
            return _parts.Count;
        }

        for (var i = 0; i < _parts.Count; i++)
        {
            if (Layers[i].Name == layer)
            {
                return i;
            }
        }

        throw NativeNetwork.UnknownLayer(layer, Layers);
    }

    private sealed record Part(jit.ScriptModule Module, bool Flatten)
    {
        public Tensor Run(Tensor input)
        {
            if (!Flatten)
            {
                return (Tensor)Module.forward(input);
            }

            using var flat = input.flatten(1);
            return (Tensor)Module.forward(flat);
        }
    }

    private sealed record Probe(List<Part> Parts, List<LayerInfo> Layers, int Outputs);
}
