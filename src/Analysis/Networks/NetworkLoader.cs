using System.Security.Cryptography;
using Analysis.Imaging;
using Analysis.Networks.Architectures;
using Analysis.Networks.Files;
using static TorchSharp.torch;

namespace Analysis.Networks;

/// <summary>Opens networks that users bring: safetensors, PyTorch checkpoints and TorchScript, with their sidecars.</summary>
public static class NetworkLoader
{
    private static readonly float[] ImageNetMean = [0.485f, 0.456f, 0.406f];
    private static readonly float[] ImageNetStd = [0.229f, 0.224f, 0.225f];
    private static readonly float[] Half = [0.5f, 0.5f, 0.5f];

    /// <summary>Describes a network without loading libtorch and without reading the weights' values.</summary>
    /// <param name="path">Weights file.</param>
    /// <param name="architecture">Architecture; null to take the sidecar's or to recognise it from the tensors.</param>
    /// <exception cref="AnalysisException">The file, its sidecar or the architecture do not fit; says what and what to do.</exception>
    public static NetworkDescription Inspect(string path, string? architecture = null)
    {
        if (SplitScriptNetwork.IsPart(path))
        {
            return DescribeSplit(path, architecture);
        }

        using var file = OpenTensors(path);
        return Describe(path, file, architecture).Description;
    }

    /// <summary>Loads a network in evaluation mode.</summary>
    /// <param name="path">Weights file.</param>
    /// <param name="architecture">Architecture; null to take the sidecar's or to recognise it from the tensors.</param>
    /// <param name="device">Where it shall run.</param>
    /// <returns>Owned by the caller.</returns>
    /// <exception cref="AnalysisException">The file, its sidecar or the architecture do not fit, or weights are not finite; says what and what to do.</exception>
    public static INetwork Load(string path, string? architecture, Device device)
    {
        TorchRuntime.Prepare();
        if (SplitScriptNetwork.IsPart(path))
        {
            return SplitScriptNetwork.Load(path, DescribeSplit(path, architecture), device);
        }

        using var file = OpenTensors(path);
        var (description, blueprint, epsilon) = Describe(path, file, architecture);
        return blueprint is null
            ? ScriptNetwork.Load(path, description, device)
            : new NativeNetwork(description, blueprint, NetworkWeights.Load(file, blueprint, epsilon, device), device);
    }

    /// <summary>What a weights file describes, with the blueprint to build (null for a TorchScript file that runs as it is) and the epsilon of its batch norms.</summary>
    internal static (NetworkDescription Description, Blueprint? Blueprint, double Epsilon) Describe(string path, string? architecture)
    {
        if (SplitScriptNetwork.IsPart(path))
        {
            return (DescribeSplit(path, architecture), null, 0);
        }

        using var file = OpenTensors(path);
        return Describe(path, file, architecture);
    }

    /// <summary>Loads a network whose parameters can be differentiated; see <see cref="GradientNetwork.Load"/>.</summary>
    internal static GradientNetwork LoadForGradients(string path, string? architecture, Device device)
    {
        TorchRuntime.Prepare();
        const string Remedy = "Use its weights as safetensors or .pth with a supported architecture.";
        if (SplitScriptNetwork.IsPart(path))
        {
            throw new AnalysisException($"{Path.GetFileName(path)} is a TorchScript program: gradients with respect to its single parameters cannot be found.", Remedy);
        }

        using var file = OpenTensors(path);
        var (description, blueprint, epsilon) = Describe(path, file, architecture);
        return blueprint is null
            ? throw new AnalysisException($"{file.FileName} is a TorchScript program of no built-in architecture: gradients with respect to its single parameters cannot be found.", Remedy)
            : new GradientNetwork(description, blueprint, NetworkWeights.Load(file, blueprint, epsilon, device, fold: false), device);
    }

    private static ITensorFile OpenTensors(string path) => path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase)
        ? SafetensorsFile.Open(path)
        : PyTorchCheckpoint.Open(path);

    /// <summary>What can be said about a network in two TorchScript files.</summary>
    private static NetworkDescription DescribeSplit(string path, string? requested)
    {
        if (!string.IsNullOrWhiteSpace(requested) && !requested.Trim().StartsWith(ScriptNetwork.ArchitectureName, StringComparison.OrdinalIgnoreCase))
        {
            throw new AnalysisException($"{Path.GetFileName(path)} is one half of a TorchScript network, which runs as it is.", "Leave the architecture out, or give the weights of this architecture.");
        }

        var (backbone, head) = SplitScriptNetwork.Files(path);
        foreach (var part in new[] { backbone, head })
        {
            using var file = PyTorchCheckpoint.Open(part);
            if (!file.IsScript)
            {
                throw new AnalysisException($"{file.FileName} is not a TorchScript file.", "Export it with torch.jit.script or torch.jit.trace and save it.");
            }
        }

        var sidecar = NetworkSidecar.Find(path);
        var notes = new List<string>(sidecar?.Notes ?? []);
        return new NetworkDescription
        {
            Name = NameOf(path, sidecar),
            Architecture = SplitScriptNetwork.ArchitectureName,
            Sha256 = SplitScriptNetwork.Hash(path),
            Preprocessing = PreprocessingFor("", new TensorShapes(new Dictionary<string, TensorHeader>()), sidecar, notes),
            Classes = sidecar?.Classes ?? [],
            Accuracy = sidecar?.Accuracy,
            Notes = notes,
        };
    }

    /// <summary>A description, and the blueprint to build; null where a TorchScript file is to be run as it is.</summary>
    private static (NetworkDescription Description, Blueprint? Blueprint, double Epsilon) Describe(string path, ITensorFile file, string? requested)
    {
        var sidecar = NetworkSidecar.Find(path);
        var notes = new List<string>(sidecar?.Notes ?? []);
        var isScript = file is PyTorchCheckpoint { IsScript: true };
        var asIs = string.Equals(requested?.Trim(), ScriptNetwork.ArchitectureName, StringComparison.OrdinalIgnoreCase);
        if (asIs && !isScript)
        {
            throw new AnalysisException($"{file.FileName} is not a TorchScript file.", "Leave the architecture out, or state that of the weights.");
        }

        var blueprint = asIs ? null : BlueprintFor(file, sidecar, requested, isScript, notes);
        var preprocessing = PreprocessingFor(blueprint?.Architecture ?? "", new TensorShapes(file.Headers), sidecar, notes);
        if (blueprint is not null && isScript)
        {
            notes.Add($"The weights were taken from the TorchScript file into the built-in {blueprint.Architecture}; its code is not run. Choose the architecture {ScriptNetwork.ArchitectureName} to run it as it is.");
        }

        var classes = sidecar?.Classes ?? [];
        if (classes.Count == 0)
        {
            notes.Add("No sidecar names the outputs; they are numbered.");
        }
        else if (blueprint is not null && classes.Count != blueprint.Outputs)
        {
            throw new AnalysisException(
                $"{sidecar!.FileName} names {classes.Count} classes but {file.FileName} has {blueprint.Outputs} outputs.", "Correct the sidecar's class list.");
        }

        var description = new NetworkDescription
        {
            Name = NameOf(path, sidecar),
            Architecture = blueprint?.Architecture ?? ScriptNetwork.ArchitectureName,
            Sha256 = Hash(path),
            Preprocessing = preprocessing,
            Classes = classes,
            Outputs = blueprint?.Outputs ?? 0,
            Layers = blueprint?.Layers() ?? [],
            Parameters = blueprint?.Tensors
                .Where(t => !t.Name.EndsWith(".running_mean", StringComparison.Ordinal) && !t.Name.EndsWith(".running_var", StringComparison.Ordinal))
                .Sum(t => t.Shape.Aggregate(1L, (product, size) => product * size)) ?? 0,
            Accuracy = sidecar?.Accuracy,
            Notes = notes,
        };
        return (description, blueprint, sidecar?.Epsilon ?? blueprint?.DefaultEpsilon ?? 0);
    }

    private static Blueprint? BlueprintFor(ITensorFile file, NetworkSidecar? sidecar, string? requested, bool isScript, List<string> notes)
    {
        var shapes = new TensorShapes(file.Headers);
        var architecture = Resolve(file, shapes, sidecar, requested, isScript, notes);
        if (architecture is null)
        {
            return null;
        }

        var (height, width) = InputSize(architecture.Value.Family, shapes, sidecar);
        var blueprint = ArchitectureCatalogue.Build(architecture.Value, shapes, height, width, sidecar?.Heads);
        if (isScript && string.IsNullOrWhiteSpace(requested) && ArchitectureCatalogue.Faults(file.Headers, blueprint).Count > 0)
        {
            return null;
        }

        ArchitectureCatalogue.Check(file, blueprint);
        if (blueprint.SuggestedStep is { Height: < 1 } or { Width: < 1 })
        {
            throw new AnalysisException(
                $"An input of {height}×{width} is too small for {blueprint.Architecture} ({file.FileName}).", "State a larger input size in the sidecar.");
        }

        return blueprint;
    }

    private static (string Family, int? Depth)? Resolve(
        ITensorFile file, TensorShapes shapes, NetworkSidecar? sidecar, string? requested, bool isScript, List<string> notes)
    {
        if (!string.IsNullOrWhiteSpace(requested))
        {
            return ArchitectureCatalogue.Parse(requested, null) ?? throw ArchitectureCatalogue.Unknown(requested);
        }

        if (sidecar?.Architecture is { } stated)
        {
            if (ArchitectureCatalogue.Parse(stated, sidecar.Depth) is { } known)
            {
                return known;
            }

            notes.Add($"The sidecar's architecture '{FileFault.Short(stated)}' is not known here; the tensors' names were used instead.");
        }

        return ArchitectureCatalogue.Recognise(shapes) ?? (isScript ? null : throw ArchitectureCatalogue.Unrecognised(file));
    }

    private static (int Height, int Width) InputSize(string family, TensorShapes shapes, NetworkSidecar? sidecar)
    {
        var side = family.StartsWith(CifarResNet.Prefix, StringComparison.Ordinal) ? 32
            : family.StartsWith(VisionTransformer.Prefix, StringComparison.Ordinal) ? VisionTransformer.InputSide(shapes) ?? 224 : 224;
        return sidecar?.Size ?? (side, side);
    }

    private static Preprocessing PreprocessingFor(string family, TensorShapes shapes, NetworkSidecar? sidecar, List<string> notes)
    {
        var small = family.StartsWith(CifarResNet.Prefix, StringComparison.Ordinal);
        var mobile = family == MobileNetV1.Name;
        var (height, width) = InputSize(family, shapes, sidecar);
        if (sidecar?.Size is null)
        {
            notes.Add($"No sidecar states the input size; {height}×{width} is assumed.");
        }

        if (sidecar?.Mean is null || sidecar.Std is null)
        {
            notes.Add(mobile
                ? "No sidecar states mean and standard deviation; 0.5 is assumed for both, as TensorFlow's MobileNets expect."
                : "No sidecar states mean and standard deviation; those of ImageNet are assumed.");
        }

        // Without word on resizing: 7/8 of the shorter side, as the ImageNet networks were evaluated (256 to 224).
        var mode = sidecar?.Resize ?? (small ? ResizeMode.Stretch : ResizeMode.ShorterSideCentreCrop);
        var to = sidecar?.Resize is not null ? sidecar.ResizeTo : small ? 0 : Math.Max(height, width) * 8 / 7;
        if (mode == ResizeMode.ShorterSideCentreCrop && to != 0 && to < Math.Max(height, width))
        {
            throw new AnalysisException(
                $"{sidecar!.FileName} resizes the shorter side to {to} pixels, less than the input of {height}×{width}.", "Correct input.resize.");
        }

        return new Preprocessing(height, width, sidecar?.Mean ?? (mobile ? Half : ImageNetMean), sidecar?.Std ?? (mobile ? Half : ImageNetStd), mode, to);
    }

    private static string NameOf(string path, NetworkSidecar? sidecar) => sidecar is { Name.Length: > 0 }
        ? sidecar.Name
        : Path.GetFileNameWithoutExtension(NetworkSidecar.PathFor(path));

    private static string Hash(string path)
    {
        using var stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }
}
