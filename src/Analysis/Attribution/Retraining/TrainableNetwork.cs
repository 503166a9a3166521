using System.Security.Cryptography;
using Analysis.Imaging;
using Analysis.Networks;
using Analysis.Networks.Architectures;
using Analysis.Networks.Files;
using static TorchSharp.torch;

namespace Analysis.Attribution.Retraining;

/// <summary>
/// A built-in architecture with fresh weights that can be trained. Batch norms are not folded; dropout, which some published
/// architectures train with, is not used.
/// </summary>
public sealed class TrainableNetwork : IDisposable
{
    private readonly Blueprint _blueprint;
    private readonly double _epsilon;
    private readonly NetworkDescription _description;

    private TrainableNetwork(NetworkDescription description, Blueprint blueprint, double epsilon, int seed, Device device)
    {
        _description = description;
        _blueprint = blueprint;
        _epsilon = epsilon;
        Device = device;
        Weights = TrainableWeights.Create(blueprint, epsilon, seed, device);
    }

    /// <summary>Device that holds the weights.</summary>
    public Device Device { get; }

    /// <summary>Architecture, for example <c>cifar_resnet20</c>.</summary>
    public string Architecture => _blueprint.Architecture;

    /// <summary>Number of logits K.</summary>
    public int Outputs => _blueprint.Outputs;

    /// <summary>Number of values that are learnt.</summary>
    public long Parameters => Weights.Learnt.Sum(t => t.numel());

    internal TrainableWeights Weights { get; }

    /// <summary>A network of the same architecture and size as a file, with weights drawn from the seed.</summary>
    /// <param name="path">Weights file, of which only names, shapes and sidecar count.</param>
    /// <param name="architecture">Architecture; null to take the sidecar's or to recognise it.</param>
    /// <param name="seed">Equal seeds give equal weights.</param>
    /// <param name="device">Where it shall run.</param>
    /// <exception cref="AnalysisException">The file is a TorchScript network that runs as it is, or cannot be used.</exception>
    public static TrainableNetwork Like(string path, string? architecture, int seed, Device device)
    {
        TorchRuntime.Prepare();
        var (description, blueprint, epsilon) = NetworkLoader.Describe(path, architecture);
        return blueprint is null ? throw Untrainable(description.Name, description.Architecture) : new TrainableNetwork(description, blueprint, epsilon, seed, device);
    }

    /// <summary>A CIFAR ResNet (He et al. 2016, arXiv 1512.03385, §4.2) with shortcuts of kind A and weights drawn from the seed.</summary>
    /// <param name="depth">6n + 2.</param>
    /// <param name="outputs">Logits K.</param>
    /// <param name="width">Channels of the first stage; the others have twice and four times as many.</param>
    /// <param name="preprocessing">Input size and normalisation.</param>
    /// <param name="seed">Equal seeds give equal weights.</param>
    /// <param name="device">Where it shall run.</param>
    /// <exception cref="AnalysisException">The depth is not 6n + 2.</exception>
    public static TrainableNetwork CifarResNet(int depth, int outputs, int width, Preprocessing preprocessing, int seed, Device device)
    {
        TorchRuntime.Prepare();
        if (ArchitectureCatalogue.Parse(Networks.Architectures.CifarResNet.Prefix, depth) is not { } architecture)
        {
            throw new AnalysisException($"There is no CIFAR ResNet of depth {depth}.", "Choose a depth of 6n + 2: 8, 14, 20, 32, 44, 56.");
        }

        var shapes = new TensorShapes(new Dictionary<string, TensorHeader>(StringComparer.Ordinal)
        {
            ["conv1.weight"] = new(ElementType.Float32, [width, 3, 3, 3]),
            ["linear.weight"] = new(ElementType.Float32, [outputs, 4 * width]),
        });
        var blueprint = ArchitectureCatalogue.Build(architecture, shapes, preprocessing.Height, preprocessing.Width);
        var description = new NetworkDescription
        {
            Name = blueprint.Architecture,
            Architecture = blueprint.Architecture,
            Sha256 = "",
            Preprocessing = preprocessing,
            Classes = [],
            Outputs = outputs,
            Layers = blueprint.Layers(),
            Notes = [],
        };
        return new TrainableNetwork(description, blueprint, blueprint.DefaultEpsilon, seed, device);
    }

    /// <summary>Logits (N×K), differentiable in the weights.</summary>
    /// <param name="batch">Preprocessed images, N×3×H×W.</param>
    /// <param name="training">True for batch norms that use and update the statistics of the batch.</param>
    public Tensor Logits(Tensor batch, bool training)
    {
        Weights.Training = training;
        var current = batch;
        foreach (var step in _blueprint.Steps)
        {
            current = step.Run(Weights, current);
        }

        return current.flatten(1);
    }

    /// <summary>
    /// The network as it stands, for evaluation: batch norms folded into the convolutions, layers that can be read and fed.
    /// A copy, owned by the caller; its <see cref="INetwork.Sha256"/> is that of the values.
    /// </summary>
    /// <exception cref="AnalysisException">Training went astray: a weight is not finite.</exception>
    public INetwork Freeze()
    {
        using var values = new TensorValues(_description.Name, Weights.Tensors);
        return new NativeNetwork(_description with { Sha256 = values.Hash() }, _blueprint, NetworkWeights.Load(values, _blueprint, _epsilon, Device), Device);
    }

    /// <summary>Writes all tensors as safetensors, in the architecture's names and order.</summary>
    public void Save(string path) => SafetensorsTensors.Save(path, [.. _blueprint.Tensors.Select(t => (t.Name, Weights.Tensors[t.Name]))]);

    /// <inheritdoc/>
    public void Dispose() => Weights.Dispose();

    internal static AnalysisException Untrainable(string name, string architecture) => new(
        $"The network {name} ({architecture}) cannot be trained here: its code belongs to the file.",
        "Use the weights of a supported architecture (safetensors or .pth): the sample network, CIFAR ResNets, ResNets, VGG, MobileNets.");

    /// <summary>Tensors in memory where a weights file is expected.</summary>
    private sealed class TensorValues(string name, IReadOnlyDictionary<string, Tensor> tensors) : ITensorFile
    {
        public string FileName => name;

        public IReadOnlyDictionary<string, TensorHeader> Headers { get; } = tensors.ToDictionary(t => t.Key, t => SafetensorsTensors.Header(t.Value), StringComparer.Ordinal);

        public float[] ReadFloats(string tensorName)
        {
            using var scope = NewDisposeScope();
            return tensors[tensorName].detach().cpu().contiguous().data<float>().ToArray();
        }

        public string Hash()
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            foreach (var tensor in tensors.Keys)
            {
                hash.AppendData(System.Runtime.InteropServices.MemoryMarshal.AsBytes<float>(ReadFloats(tensor)));
            }

            return Convert.ToHexStringLower(hash.GetHashAndReset());
        }

        public void Dispose()
        {
        }
    }
}
