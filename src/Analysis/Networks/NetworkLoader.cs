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
        using var file = OpenTensors(path);
        var (description, blueprint, epsilon) = Describe(path, file, architecture);
        return new NativeNetwork(description, blueprint, NetworkWeights.Load(file, blueprint, epsilon, device), device);
    }

    private static ITensorFile OpenTensors(string path) => SafetensorsFile.Open(path);

    private static (NetworkDescription Description, Blueprint Blueprint, double Epsilon) Describe(string path, ITensorFile file, string? requested)
    {
        var sidecar = NetworkSidecar.Find(path);
        var notes = new List<string>(sidecar?.Notes ?? []);
        var shapes = new TensorShapes(file.Headers);
        var architecture = Resolve(file, shapes, sidecar, requested, notes);
        var preprocessing = PreprocessingFor(architecture.Family, sidecar, notes);
        var blueprint = ArchitectureCatalogue.Build(architecture, shapes, preprocessing.Height, preprocessing.Width);
        ArchitectureCatalogue.Check(file, blueprint);
        CheckSize(blueprint, preprocessing, file);
        var classes = sidecar?.Classes ?? [];
        if (classes.Count == 0)
        {
            notes.Add("No sidecar names the outputs; they are numbered.");
        }
        else if (classes.Count != blueprint.Outputs)
        {
            throw new AnalysisException(
                $"{sidecar!.FileName} names {classes.Count} classes but {file.FileName} has {blueprint.Outputs} outputs.", "Correct the sidecar's class list.");
        }

        var description = new NetworkDescription
        {
            Name = NameOf(path, sidecar),
            Architecture = blueprint.Architecture,
            Sha256 = Hash(path),
            Preprocessing = preprocessing,
            Classes = classes,
            Outputs = blueprint.Outputs,
            Layers = blueprint.Layers(),
            Parameters = blueprint.Tensors
                .Where(t => !t.Name.EndsWith(".running_mean", StringComparison.Ordinal) && !t.Name.EndsWith(".running_var", StringComparison.Ordinal))
                .Sum(t => t.Shape.Aggregate(1L, (product, size) => product * size)),
            Accuracy = sidecar?.Accuracy,
            Notes = notes,
        };
        return (description, blueprint, sidecar?.Epsilon ?? blueprint.DefaultEpsilon);
    }

    private static (string Family, int? Depth) Resolve(
        ITensorFile file, TensorShapes shapes, NetworkSidecar? sidecar, string? requested, List<string> notes)
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

        return ArchitectureCatalogue.Recognise(shapes) ?? throw ArchitectureCatalogue.Unrecognised(file);
    }

    private static Preprocessing PreprocessingFor(string family, NetworkSidecar? sidecar, List<string> notes)
    {
        var small = family == CifarResNet.Prefix;
        var mobile = family == MobileNetV1.Name;
        var side = small ? 32 : 224;
        var (height, width) = sidecar?.Size ?? (side, side);
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

    private static void CheckSize(Blueprint blueprint, Preprocessing preprocessing, ITensorFile file)
    {
        var last = blueprint.Steps[^3];
        if (last.Height < 1 || last.Width < 1)
        {
            throw new AnalysisException(
                $"An input of {preprocessing.Height}×{preprocessing.Width} is too small for {blueprint.Architecture} ({file.FileName}).", "State a larger input size in the sidecar.");
        }
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
