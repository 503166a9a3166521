using Analysis.Networks;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Attribution;

/// <summary>How gradients are projected.</summary>
public enum ProjectionKind
{
    /// <summary>Every entry of the gradient has random numbers of its own: cost n·P·k.</summary>
    Dense,

    /// <summary>
    /// Weight matrices are projected from both sides, Aδ·(Bx)ᵀ, without ever being formed; the matrix is then the Kronecker product
    /// A⊗B. Much faster; not the same numbers.
    /// </summary>
    Factorised,
}

/// <summary>
/// Projects the per-sample gradients of some rows to features φ = Pᵀ∇f (rows×k, before the division by √P). Rows come in batches:
/// <see cref="Begin"/>, then <see cref="Add"/> for each batch, then <see cref="Finish"/>. For one thread.
/// </summary>
public abstract class GradientProjector
{
    /// <summary>Creates a projector.</summary>
    /// <param name="kind">How to project.</param>
    /// <param name="dimension">Number of features k.</param>
    /// <param name="entries">Entries of the random matrices.</param>
    /// <param name="seed">Seed.</param>
    public static GradientProjector Create(ProjectionKind kind, int dimension, ProjectionEntries entries, long seed) => kind == ProjectionKind.Dense
        ? new DenseProjector(new RandomProjection(seed, dimension, entries))
        : new FactorisedProjector(dimension, entries, seed);

    /// <summary>Number of features k.</summary>
    public abstract int Dimension { get; }

    /// <summary>True where gradients of all rows are held until <see cref="Finish"/>: memory is then rows × P numbers.</summary>
    public abstract bool HoldsGradients { get; }

    /// <summary>Begins with some rows.</summary>
    /// <param name="rows">Number of rows that will be added.</param>
    /// <param name="type">dtype of the gradients.</param>
    /// <param name="device">Device of the gradients.</param>
    public abstract void Begin(int rows, ScalarType type, Device device);

    /// <summary>Adds a batch.</summary>
    /// <param name="tape">After <see cref="ParameterTape.Backward"/>.</param>
    /// <param name="first">Row of its first sample.</param>
    public abstract void Add(ParameterTape tape, int first);

    /// <summary>The features, rows×k, on the device; belongs to the caller.</summary>
    public abstract Tensor Finish();
}

/// <summary>Gradients of all rows are kept, each parameter by itself, and multiplied with one block of the random matrix after the other.</summary>
internal sealed class DenseProjector(RandomProjection projection) : GradientProjector
{
    private readonly Dictionary<string, Tensor> _held = new(StringComparer.Ordinal);
    private int _rows;
    private ScalarType _type;
    private Device _device = CPU;

    public override int Dimension => projection.Dimension;

    public override bool HoldsGradients => true;

    public override void Begin(int rows, ScalarType type, Device device) => (_rows, _type, _device) = (rows, type, device);

    public override void Add(ParameterTape tape, int first)
    {
        using var quiet = no_grad();
        PerSampleGradients.Visit(tape, (name, gradient) =>
        {
            if (!_held.TryGetValue(name, out var held))
            {
                held = zeros([_rows, gradient.shape[1]], _type, _device).DetachFromDisposeScope();
                _held.Add(name, held);
            }

            using var part = held.narrow(0, first, gradient.shape[0]);
            part.add_(gradient, Scalars.One);
        });
    }

    public override Tensor Finish()
    {
        using var quiet = no_grad();
        var result = zeros([_rows, Dimension], _type, _device);
        foreach (var (name, held) in _held)
        {
            Project(projection, name, held, result);
            held.Dispose();
        }

        _held.Clear();
        return result;
    }

    /// <summary>Adds held·P of one parameter.</summary>
    internal static void Project(RandomProjection projection, string name, Tensor gradients, Tensor result)
    {
        var size = gradients.shape[1];
        for (var block = 0; block < RandomProjection.Blocks(size); block++)
        {
            var start = (long)block * RandomProjection.BlockRows;
            var rows = (int)Math.Min(RandomProjection.BlockRows, size - start);
            using var random = projection.Block(name, block, rows, result.dtype, result.device);
            using var part = gradients.narrow(1, start, rows);
            using var product = part.mm(random);
            result.add_(product, Scalars.One);
        }
    }
}

/// <summary>
/// Weights of linear maps and of convolutions without groups by A (k₁×out) and B (k₂×in·kh·kw): vec(A δxᵀ Bᵀ), k = k₁·k₂; Bx of a
/// convolution is itself a convolution, so that no patch is copied. The rest is small and projected densely.
/// </summary>
internal sealed class FactorisedProjector : GradientProjector
{
    private readonly RandomProjection _dense;
    private readonly RandomProjection _left;
    private readonly RandomProjection _right;
    private readonly int _leftSize;
    private readonly int _rightSize;
    private readonly Dictionary<(string, bool), Tensor> _factors = [];
    private Tensor? _result;

    public FactorisedProjector(int dimension, ProjectionEntries entries, long seed)
    {
        (_leftSize, _rightSize) = Sizes(dimension);
        Dimension = dimension;
        _dense = new RandomProjection(seed, dimension, entries);
        _left = new RandomProjection(unchecked(seed + 0x51ED2701), _leftSize, entries);
        _right = new RandomProjection(unchecked(seed + 0x2B5F1C33), _rightSize, entries);
    }

    public override int Dimension { get; }

    public override bool HoldsGradients => false;

    /// <summary>k₁ and k₂ with k₁·k₂ = k: as equal as they can be, k₁ the smaller one.</summary>
    public static (int Left, int Right) Sizes(int dimension)
    {
        for (var left = (int)Math.Sqrt(dimension); left > 1; left--)
        {
            if (dimension % left == 0)
            {
                return (left, dimension / left);
            }
        }

        return (1, dimension);
    }

    public override void Begin(int rows, ScalarType type, Device device) => _result = zeros([rows, Dimension], type, device).DetachFromDisposeScope();

    public override void Add(ParameterTape tape, int first)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        foreach (var use in tape.Uses)
        {
            using var inner = NewDisposeScope();
            var delta = PerSampleGradients.Delta(use);
            var target = _result!.narrow(0, first, delta.shape[0]);
            if (Factorisable(use))
            {
                target.add_(Weight(use, delta), Scalars.One);
            }
            else
            {
                DenseProjector.Project(_dense, use.Weight, PerSampleGradients.OfWeight(use, delta), target);
            }

            if (use.BiasSize > 0)
            {
                DenseProjector.Project(_dense, use.Bias, PerSampleGradients.OfBias(use, delta), target);
            }
        }
    }

    public override Tensor Finish()
    {
        foreach (var factor in _factors.Values)
        {
            factor.Dispose();
        }

        _factors.Clear();
        var result = _result!;
        _result = null;
        return result;
    }

    /// <summary>The factor A (out×k₁) or B (in×k₂) of a weight.</summary>
    internal Tensor Factor(string name, bool left, long rows, ScalarType type, Device device)
    {
        if (_factors.TryGetValue((name, left), out var known))
        {
            return known;
        }

        using var scope = NewDisposeScope();
        var blocks = Enumerable.Range(0, RandomProjection.Blocks(rows)).Select(b =>
            (left ? _left : _right).Block(name, b, (int)Math.Min(RandomProjection.BlockRows, rows - ((long)b * RandomProjection.BlockRows)), type, device)).ToList();
        var factor = cat(blocks, 0).DetachFromDisposeScope();
        _factors.Add((name, left), factor);
        return factor;
    }

    // Below that, forming the gradient costs less than two factors.
    private bool Factorisable(ParameterUse use) =>
        (use.Kind == ParameterUseKind.Linear || use is { Kind: ParameterUseKind.Convolution, Groups: 1 }) && use.Shape[0] > 1 && use.WeightSize > Dimension;

    private Tensor Weight(ParameterUse use, Tensor delta)
    {
        var inputs = use.WeightSize / use.Shape[0];
        var left = Factor(use.Weight, true, use.Shape[0], delta.dtype, delta.device);
        var right = Factor(use.Weight, false, inputs, delta.dtype, delta.device);
        var n = delta.shape[0];
        if (use.Kind == ParameterUseKind.Linear)
        {
            var outputs = delta.reshape(-1, delta.shape[^1]).mm(left).reshape(n, -1, _leftSize);
            var seen = use.Input!.reshape(-1, inputs).mm(right).reshape(n, -1, _rightSize);
            return outputs.transpose(1, 2).bmm(seen).reshape(n, -1);
        }

        var kernel = right.t().reshape(_rightSize, use.Shape[1], use.Shape[2], use.Shape[3]);
        var patches = nn.functional.conv2d(
            use.Input!, kernel, null, strides: [use.Stride, use.Stride], padding: [use.Padding, use.Padding], dilation: [use.Dilation, use.Dilation]).flatten(2);
        var mixed = nn.functional.conv2d(delta, left.t().reshape(_leftSize, use.Shape[0], 1, 1)).flatten(2);
        return mixed.bmm(patches.transpose(1, 2)).reshape(n, -1);
    }
}
