using System.IO.Compression;
using System.Text.Json;
using Analysis.Datasets;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Networks.Files;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Probes.Backpropagation;

/// <summary>
/// Finds and loads the autoencoder that a person put beside a network (docs/file-formats.md): <c>NAME.autoencoder.safetensors</c>
/// with linear layers, or <c>NAME.encoder.pt</c> and <c>NAME.decoder.pt</c> as TorchScript; settings in
/// <c>NAME.autoencoder.json</c>. NAME is the network's file without its ending.
/// </summary>
public static class AutoencoderLoader
{
    private const int MostLayers = 16;
    private const long MostValues = 1L << 28;
    private const int MostSettings = 1 << 20;
    private const string ScriptRemedy = "Export it with torch.jit.script or torch.jit.trace and save it.";
    private const string Remedy = "See the section on autoencoders in docs/file-formats.md.";

    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    /// <summary>Loads the autoencoder of a network.</summary>
    /// <param name="network">Path of the network's file.</param>
    /// <param name="preprocessing">Input size of the network.</param>
    /// <param name="device">Where it runs.</param>
    /// <exception cref="AnalysisException">There is none, or it cannot be used; says why and what to do.</exception>
    public static IAutoencoder Load(string network, Preprocessing preprocessing, Device device)
    {
        var stem = Stem(network);
        var settings = Settings(stem + ".autoencoder.json", network);
        if (Beside(stem + ".autoencoder.safetensors", network) is { } layers)
        {
            return LayeredAutoencoder.Load(layers, settings, preprocessing, device);
        }

        if (Beside(stem + ".encoder.pt", network) is { } encoder && Beside(stem + ".decoder.pt", network) is { } decoder)
        {
            return ScriptAutoencoder.Load(encoder, decoder, settings, preprocessing, device);
        }

        var name = Path.GetFileName(stem);
        throw new AnalysisException(
            $"No autoencoder lies beside the network {Path.GetFileName(network)}.", $"Put {name}.autoencoder.safetensors, or {name}.encoder.pt and {name}.decoder.pt, into its folder, or choose pixels or waves.");
    }

    /// <summary>True where a network has an autoencoder beside it.</summary>
    public static bool Exists(string network)
    {
        var stem = Stem(network);
        return Beside(stem + ".autoencoder.safetensors", network) is not null || (Beside(stem + ".encoder.pt", network) is not null && Beside(stem + ".decoder.pt", network) is not null);
    }

    private static string Stem(string network)
    {
        foreach (var ending in new[] { ".backbone.pt", ".head.pt", ".ts.pt" })
        {
            if (network.EndsWith(ending, StringComparison.OrdinalIgnoreCase))
            {
                return network[..^ending.Length];
            }
        }

        return Path.Combine(Path.GetDirectoryName(Path.GetFullPath(network))!, Path.GetFileNameWithoutExtension(network));
    }

    /// <summary>A file in the network's own folder; never one that a link leads out to.</summary>
    private static string? Beside(string path, string network) =>
        File.Exists(path) && RealPath.Of(path) is { } real && RealPath.Of(network) is { } own && Path.GetDirectoryName(real) == Path.GetDirectoryName(own) ? real : null;

    private static AutoencoderSettings Settings(string path, string network)
    {
        if (Beside(path, network) is not { } file)
        {
            return new AutoencoderSettings();
        }

        try
        {
            var settings = new FileInfo(file).Length <= MostSettings ? JsonSerializer.Deserialize<AutoencoderSettings>(File.ReadAllBytes(file), Json) : null;
            return settings is not null && Known(settings.Activation) && Known(settings.Code) && Known(settings.Output)
                ? settings
                : throw new AnalysisException($"{Path.GetFileName(file)} names an activation that is not known.", "activation, code and output are each one of: none, relu, tanh, sigmoid.");
        }
        catch (Exception fault) when (fault is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new AnalysisException($"{Path.GetFileName(file)} cannot be read: {fault.Message}", Remedy, fault);
        }

        static bool Known(string? name) => name is "none" or "relu" or "tanh" or "sigmoid";
    }

    /// <summary>What the settings file says.</summary>
    /// <param name="Activation">Between the layers.</param>
    /// <param name="Code">After the encoder's last layer; limits the code.</param>
    /// <param name="Output">After the decoder's last layer.</param>
    internal sealed record AutoencoderSettings(string Activation = "relu", string Code = "none", string Output = "none")
    {
        public (double Minimum, double Maximum) CodeRange => Code switch
        {
            "sigmoid" => (0, 1),
            "tanh" => (-1, 1),
            "relu" => (0, double.PositiveInfinity),
            _ => (double.NegativeInfinity, double.PositiveInfinity),
        };
    }

    private static Tensor Activate(Tensor values, string kind) => kind switch
    {
        "relu" => values.relu(),
        "tanh" => values.tanh(),
        "sigmoid" => values.sigmoid(),
        _ => values,
    };

    /// <summary>Linear layers with an activation between them.</summary>
    private sealed class LayeredAutoencoder : IAutoencoder
    {
        private readonly List<(Tensor Weight, Tensor Bias)> _encoder = [];
        private readonly List<(Tensor Weight, Tensor Bias)> _decoder = [];
        private readonly AutoencoderSettings _settings;
        private readonly long[] _shape;

        private LayeredAutoencoder(AutoencoderSettings settings, long[] shape) => (_settings, _shape) = (settings, shape);

        public (double Minimum, double Maximum) CodeRange => _settings.CodeRange;

        public static LayeredAutoencoder Load(string path, AutoencoderSettings settings, Preprocessing preprocessing, Device device)
        {
            using var file = SafetensorsFile.Open(path);
            var pixels = 3L * preprocessing.Height * preprocessing.Width;
            var result = new LayeredAutoencoder(settings, [3, preprocessing.Height, preprocessing.Width]);
            try
            {
                var width = Read(file, "encoder", pixels, result._encoder, device);
                var back = Read(file, "decoder", width, result._decoder, device);
                return back == pixels
                    ? result
                    : throw new AnalysisException(
                        $"The decoder of {file.FileName} gives {back} values; a picture for this network has 3 × {preprocessing.Height} × {preprocessing.Width} = {pixels}.", Remedy);
            }
            catch
            {
                result.Dispose();
                throw;
            }
        }

        public Tensor Encode(Tensor pictures) => Run(_encoder, pictures.flatten(1), _settings.Code);

        public Tensor Decode(Tensor codes) => Run(_decoder, codes, _settings.Output).view([-1, .. _shape]);

        public void Dispose()
        {
            foreach (var (weight, bias) in _encoder.Concat(_decoder))
            {
                weight.Dispose();
                bias.Dispose();
            }
        }

        private Tensor Run(List<(Tensor Weight, Tensor Bias)> layers, Tensor values, string last)
        {
            for (var i = 0; i < layers.Count; i++)
            {
                values = Activate(nn.functional.linear(values, layers[i].Weight, layers[i].Bias), i == layers.Count - 1 ? last : _settings.Activation);
            }

            return values;
        }

        /// <summary>Reads NAME.0.weight, NAME.0.bias, NAME.1.weight, …; sizes are checked before anything is read.</summary>
        private static long Read(SafetensorsFile file, string name, long inputs, List<(Tensor, Tensor)> layers, Device device)
        {
            var values = 0L;
            for (var i = 0; i < MostLayers && file.TryGet($"{name}.{i}.weight", out var weight); i++)
            {
                if (!file.TryGet($"{name}.{i}.bias", out var bias) || weight.Shape.Count != 2 || weight.Shape[1] != inputs || bias.Shape.Count != 1 || bias.Shape[0] != weight.Shape[0] || weight.Shape[0] < 1)
                {
                    throw new AnalysisException(
                        $"{name}.{i}.weight of {file.FileName} has shape {TensorHeader.Text(weight.Shape)}; the columns must be the {inputs} values before it, and {name}.{i}.bias must have as many values as it has rows.", Remedy);
                }

                values += weight.Shape[0] * weight.Shape[1];
                if (values > MostValues || weight.Type is not (ElementType.Float32 or ElementType.Float16 or ElementType.Float64))
                {
                    throw new AnalysisException($"{name}.{i}.weight of {file.FileName} is too large or not of floating-point numbers.", Remedy);
                }

                using var scope = NewDisposeScope();
                layers.Add((
                    file.Load($"{name}.{i}.weight").to(ScalarType.Float32).to(device).clone().DetachFromDisposeScope(), file.Load($"{name}.{i}.bias").to(ScalarType.Float32).to(device).clone().DetachFromDisposeScope()));
                inputs = weight.Shape[0];
            }

            return layers.Count > 0 ? inputs : throw new AnalysisException($"{file.FileName} has no {name}.0.weight.", Remedy);
        }
    }

    /// <summary>Two TorchScript files.</summary>
    private sealed class ScriptAutoencoder : IAutoencoder
    {
        private readonly jit.ScriptModule<Tensor, Tensor> _encoder;
        private readonly jit.ScriptModule<Tensor, Tensor> _decoder;
        private readonly AutoencoderSettings _settings;

        private ScriptAutoencoder(jit.ScriptModule<Tensor, Tensor> encoder, jit.ScriptModule<Tensor, Tensor> decoder, AutoencoderSettings settings) =>
            (_encoder, _decoder, _settings) = (encoder, decoder, settings);

        public (double Minimum, double Maximum) CodeRange => _settings.CodeRange;

        public static ScriptAutoencoder Load(string encoder, string decoder, AutoencoderSettings settings, Preprocessing preprocessing, Device device)
        {
            jit.ScriptModule<Tensor, Tensor>? first = null;
            jit.ScriptModule<Tensor, Tensor>? second = null;
            try
            {
                (first, second) = (Open(encoder, device), Open(decoder, device));
                Try(first, second, Path.GetFileName(encoder), Path.GetFileName(decoder), preprocessing, device);
                return new ScriptAutoencoder(first, second, settings);
            }
            catch (Exception fault)
            {
                first?.Dispose();
                second?.Dispose();
                throw fault as AnalysisException
                    ?? new AnalysisException($"{Path.GetFileName(encoder)} and {Path.GetFileName(decoder)} cannot be run one after the other: {FileFault.Short(fault.Message)}", Remedy, fault);
            }
        }

        public Tensor Encode(Tensor pictures) => _encoder.call(pictures);

        public Tensor Decode(Tensor codes) => _decoder.call(codes);

        public void Dispose()
        {
            _encoder.Dispose();
            _decoder.Dispose();
        }

        /// <summary>Two pictures, and one, to codes and back, and the gradient of the way back.</summary>
        private static void Try(
            jit.ScriptModule<Tensor, Tensor> encoder, jit.ScriptModule<Tensor, Tensor> decoder, string encoderName, string decoderName, Preprocessing preprocessing, Device device)
        {
            using var scope = NewDisposeScope();
            long[] shape = [2, 3, preprocessing.Height, preprocessing.Width];
            using var pictures = (linspace(0, 400, 2L * 3 * preprocessing.Height * preprocessing.Width, device: device).sin().view(shape) * Scalars.Of(0.4)).add(Scalars.Of(0.5), Scalars.One);
            Tensor code, single;
            using (no_grad())
            {
                code = Run(encoder, pictures, encoderName);
                if (code.dim() < 2 || code.shape[0] != 2 || code.dtype != ScalarType.Float32 || code.numel() is 0 or > MostValues)
                {
                    throw new AnalysisException(
                        $"{encoderName} gives {code.dtype} of shape [{string.Join(", ", code.shape)}] for two pictures; float32 with one code a picture, [2, …], is needed.", Remedy);
                }

                if (!code.isfinite().all().item<bool>())
                {
                    throw new AnalysisException($"{encoderName} gives a code of NaN or infinite values for a picture in [0, 1].", Remedy);
                }

                single = Run(encoder, pictures.narrow(0, 0, 1), encoderName);
            }

            if (!single.shape.SequenceEqual([1, .. code.shape[1..]]))
            {
                throw new AnalysisException($"{encoderName} gives shape [{string.Join(", ", single.shape)}] for one picture and [{string.Join(", ", code.shape)}] for two: each picture needs a code of its own.", Remedy);
            }

            using var gradients = enable_grad();
            var changed = code.detach().requires_grad_(true);
            var back = Run(decoder, changed, decoderName);
            if (!back.shape.SequenceEqual(shape) || back.dtype != ScalarType.Float32)
            {
                throw new AnalysisException(
                    $"{decoderName} gives {back.dtype} of shape [{string.Join(", ", back.shape)}] for two pictures; float32 of [{string.Join(", ", shape)}] is needed.", Remedy);
            }

            if (!back.requires_grad)
            {
                throw new AnalysisException($"No gradient flows through {decoderName}: how a picture follows its code cannot be found.", "Export the decoder without detach, rounding or no_grad.");
            }
        }

        private static Tensor Run(jit.ScriptModule<Tensor, Tensor> module, Tensor input, string name)
        {
            try
            {
                return module.call(input);
            }
            catch (InvalidCastException fault)
            {
                throw new AnalysisException($"{name} gives something else than one tensor.", "Export a part that takes one tensor and gives one; of a variational autoencoder, the mean.", fault);
            }
        }

        /// <summary>
        /// Looks at the table of contents only: a script may do without any parameter, so that it need not hold what a checkpoint does.
        /// </summary>
        private static void CheckScript(string file)
        {
            var name = Path.GetFileName(file);
            long bytes;
            bool script;
            try
            {
                using var archive = ZipFile.OpenRead(file);
                script = archive.Entries.Any(e => e.FullName.EndsWith("/constants.pkl", StringComparison.Ordinal)) && archive.Entries.Any(e => e.FullName.Contains("/code/", StringComparison.Ordinal));
                bytes = archive.Entries.Sum(e => e.Length);
            }
            catch (Exception fault) when (fault is InvalidDataException or IOException or UnauthorizedAccessException)
            {
                throw new AnalysisException($"{name} is not a TorchScript file, or it is damaged.", ScriptRemedy, fault);
            }

            if (!script || bytes > MostValues * sizeof(float))
            {
                throw new AnalysisException(script ? $"{name} holds {bytes >> 20} MiB; an autoencoder may have {(MostValues * sizeof(float)) >> 20}." : $"{name} is not a TorchScript file.", ScriptRemedy);
            }
        }

        private static jit.ScriptModule<Tensor, Tensor> Open(string file, Device device)
        {
            CheckScript(file);
            // Loaded onto the device: moving a script afterwards is not guarded against native errors.
            var module = jit.load<Tensor, Tensor>(file, device.type, device.index);
            module.eval();
            foreach (var parameter in module.parameters())
            {
                parameter.requires_grad = false;
            }

            return module;
        }
    }
}
