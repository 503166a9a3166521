using Analysis.Networks;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Importance;

/// <summary>
/// Makes the network behind the concepts: coefficients u of an image → logit of its target, for estimators of importance and
/// measures of faithfulness. The activation at the layer is u V + offset, at every position.
/// </summary>
public static class ConceptModels
{
    /// <summary>Largest decoded activation in one evaluation, in numbers; a head needs several times as much.</summary>
    private const long MostNumbers = 1 << 24;

    /// <summary>
    /// The closed form where the head is linear (use coefficients of the pooled activation, n×k), else the network's own head
    /// (use coefficients of every position, n×P×k with P = H·W row by row; n×k stands for the same activation everywhere).
    /// </summary>
    /// <param name="network">The network; used by <see cref="IConceptModel.Evaluate"/>, for one thread at a time.</param>
    /// <param name="layer">Layer of the concepts.</param>
    /// <param name="vectors">V, k×C; copied.</param>
    /// <param name="offset">Added to every decoded row, length C; null for none. Copied.</param>
    /// <param name="targets">Output of each image whose logit is explained, in [0, K). Length n.</param>
    /// <exception cref="AnalysisException">The network has no such layer.</exception>
    public static ConceptModel Create(INetwork network, string layer, Tensor vectors, Tensor? offset, IReadOnlyList<int> targets)
    {
        var info = network.Layers.FirstOrDefault(l => l.Name == layer);
        if (network.LinearHead(layer) is { } head)
        {
            return new LinearConceptModel(head.Weight, head.Bias, vectors, offset, targets);
        }

        return info is null
            ? throw new AnalysisException($"{network.Name} has no layer '{layer}'.", $"Choose one of: {string.Join(", ", network.Layers.Select(l => l.Name))}.")
            : new NetworkConceptModel(network, info, vectors, offset, targets);
    }

    /// <summary>
    /// Importance of each concept for each image by a named estimator: the whole way from coefficients to φ. The batch follows
    /// the size of the layer, so that memory stays bounded.
    /// </summary>
    /// <param name="estimator">Name in <see cref="ImportanceCatalogue"/>.</param>
    /// <param name="network">The network.</param>
    /// <param name="layer">Layer of the concepts.</param>
    /// <param name="vectors">V, k×C.</param>
    /// <param name="offset">Added to every decoded row, length C; null for none.</param>
    /// <param name="codes">Coefficients: n×k of the pooled activation behind a linear head, else n×P×k of every position.</param>
    /// <param name="targets">Output of each image. Length n.</param>
    /// <param name="seed">Seed of the stochastic estimators.</param>
    /// <param name="draws">Draws of the stochastic estimators; 0 for each one's own.</param>
    /// <param name="cancellation">Honoured between batches.</param>
    /// <returns>φ, n×k float64 on the codes' device; belongs to the caller's dispose scope.</returns>
    /// <exception cref="AnalysisException">The estimator is not known, or needs a linear head where there is none.</exception>
    public static Tensor Estimate(
        string estimator,
        INetwork network,
        string layer,
        Tensor vectors,
        Tensor? offset,
        Tensor codes,
        IReadOnlyList<int> targets,
        int seed = 0,
        int draws = 0,
        CancellationToken cancellation = default)
    {
        using var model = Create(network, layer, vectors, offset, targets);
        return ImportanceCatalogue.Get(estimator).Estimate(
            model, codes, new EstimatorOptions { Seed = seed, Draws = draws, BatchRows = BatchRows(network, layer) }, cancellation);
    }

    /// <summary>Rows to give the head at once: many for small layers, few for large ones.</summary>
    /// <param name="network">The network.</param>
    /// <param name="layer">Layer of the concepts.</param>
    public static int BatchRows(INetwork network, string layer)
    {
        var info = network.Layers.FirstOrDefault(l => l.Name == layer);
        var numbers = info is null || network.LinearHead(layer) is not null ? 1 : (long)info.Channels * info.Height * info.Width;
        return (int)Math.Clamp(MostNumbers / numbers, 1, 1 << 14);
    }
}

/// <summary>A concept model that owns tensors.</summary>
public abstract class ConceptModel : IConceptModel, IDisposable
{
    /// <summary>Takes copies of the concept vectors.</summary>
    private protected ConceptModel(Tensor vectors)
    {
        using var scope = NewDisposeScope();
        Vectors = vectors.detach().to(ScalarType.Float64).clone().MoveToOuterDisposeScope().DetachFromDisposeScope();
    }

    /// <inheritdoc/>
    public int Concepts => (int)Vectors.shape[0];

    /// <summary>Concept vectors V, k×C float64.</summary>
    public Tensor Vectors { get; }

    /// <inheritdoc/>
    public abstract Tensor Evaluate(Tensor codes, Tensor images);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees the tensors.</summary>
    /// <param name="disposing">True where called by <see cref="Dispose()"/>.</param>
    protected virtual void Dispose(bool disposing)
    {
        if (disposing)
        {
            Vectors.Dispose();
        }
    }
}

/// <summary>
/// f(u) = u · g + b₀ for global average pooling and one linear map W, b: g = V w, b₀ = offset · w + b. Coefficients of positions
/// count by their mean.
/// </summary>
public sealed class LinearConceptModel : ConceptModel
{
    /// <summary>Takes what it needs of the head.</summary>
    /// <param name="weight">W, K×C.</param>
    /// <param name="bias">b, K.</param>
    /// <param name="vectors">V, k×C.</param>
    /// <param name="offset">Added to every decoded row, length C; null for none.</param>
    /// <param name="targets">Output of each image. Length n.</param>
    public LinearConceptModel(Tensor weight, Tensor bias, Tensor vectors, Tensor? offset, IReadOnlyList<int> targets)
        : base(vectors)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var reliability = LinearHeadImportance.Reliability(vectors, weight);
        var outputs = targets as int[] ?? [.. targets];
        Effects = LinearHeadImportance.Effects(reliability, outputs).ToTensor(vectors.device).DetachFromDisposeScope();
        var index = tensor(outputs, ScalarType.Int64, vectors.device);
        var constant = bias.to(ScalarType.Float64).to(vectors.device);
        if (offset is not null)
        {
            constant = constant.add(weight.to(ScalarType.Float64).to(vectors.device).mv(offset.to(ScalarType.Float64).to(vectors.device)), Scalars.One);
        }

        Constant = constant.index_select(0, index).DetachFromDisposeScope();
    }

    /// <summary>Effect of one unit of each concept on each image's logit, g, n×k float64.</summary>
    public Tensor Effects { get; }

    /// <summary>Logit without any concept, b₀, length n float64.</summary>
    public Tensor Constant { get; }

    /// <inheritdoc/>
    public override Tensor Evaluate(Tensor codes, Tensor images)
    {
        using var scope = NewDisposeScope();
        return ((Pooled(codes) * Effects.index_select(0, images)).sum(1).add(Constant.index_select(0, images), Scalars.One)).MoveToOuterDisposeScope();
    }

    /// <summary>Coefficients of pooled activations, n×k float64: the mean over positions where there are any.</summary>
    /// <param name="codes">n×k or n×P×k.</param>
    public static Tensor Pooled(Tensor codes)
    {
        using var scope = NewDisposeScope();
        var wide = codes.to(ScalarType.Float64);
        return (wide.dim() == 3 ? wide.mean([1L]) : wide.alias()).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Effects.Dispose();
            Constant.Dispose();
        }

        base.Dispose(disposing);
    }
}

/// <summary>f(u) = logit of the network's own head at the layer, whose activation is u V + offset at every position.</summary>
public sealed class NetworkConceptModel : ConceptModel
{
    private readonly INetwork _network;
    private readonly LayerInfo _layer;
    private readonly Tensor? _offset;
    private readonly Tensor _targets;

    /// <summary>Keeps the network, which stays the caller's.</summary>
    /// <param name="network">The network.</param>
    /// <param name="layer">Layer of the concepts.</param>
    /// <param name="vectors">V, k×C.</param>
    /// <param name="offset">Added to every decoded row, length C; null for none.</param>
    /// <param name="targets">Output of each image. Length n.</param>
    public NetworkConceptModel(INetwork network, LayerInfo layer, Tensor vectors, Tensor? offset, IReadOnlyList<int> targets)
        : base(vectors)
    {
        using var scope = NewDisposeScope();
        _network = network;
        _layer = layer;
        _offset = offset?.detach().to(ScalarType.Float64).to(vectors.device).clone().DetachFromDisposeScope();
        _targets = tensor(targets as int[] ?? [.. targets], ScalarType.Int64, vectors.device).DetachFromDisposeScope();
    }

    /// <inheritdoc/>
    public override Tensor Evaluate(Tensor codes, Tensor images)
    {
        using var scope = NewDisposeScope();
        long m = codes.shape[0], c = Vectors.shape[1];
        var rows = codes.to(ScalarType.Float64).reshape(-1, Concepts).mm(Vectors);
        rows = _offset is null ? rows : rows.add(_offset, Scalars.One);
        var activation = codes.dim() == 3
            ? rows.reshape(m, _layer.Height, _layer.Width, c).permute(0, 3, 1, 2)
            : rows.reshape(m, c, 1, 1).expand(m, c, _layer.Height, _layer.Width);
        var logits = _network.Head(_layer.Name, activation.to(ScalarType.Float32).contiguous());
        return logits.gather(1, _targets.index_select(0, images).unsqueeze(1)).squeeze(1).to(ScalarType.Float64).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _offset?.Dispose();
            _targets.Dispose();
        }

        base.Dispose(disposing);
    }
}
