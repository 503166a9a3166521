using Analysis.Factorization;
using Analysis.Importance;
using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Concepts;

/// <summary>
/// Concept vectors with the way to express activations by them: a ≈ o + uV. One interface for vectors of any origin, so that
/// contributions, maps and pages need not know it. Vectors have unit length; the scale is in the coefficients.
/// </summary>
public abstract class ConceptEncoder : IDisposable
{
    private protected ConceptEncoder(Tensor vectors, Tensor? offset, bool byPositions)
    {
        Vectors = vectors.DetachFromDisposeScope();
        Offset = offset?.DetachFromDisposeScope();
        ByPositions = byPositions;
    }

    /// <summary>V, k×C float64, unit rows.</summary>
    public Tensor Vectors { get; }

    /// <summary>o, C float64, added to every decoded row; null for none.</summary>
    public Tensor? Offset { get; }

    /// <summary>True where an image's coefficients are the mean of those of its positions, not those of its pooled activation.</summary>
    public bool ByPositions { get; }

    /// <summary>Coefficients of any rows.</summary>
    /// <param name="rows">m×C float64 on the device of <see cref="Vectors"/>.</param>
    /// <returns>U, m×k float64; belongs to the caller's dispose scope.</returns>
    public abstract Tensor Encode(Tensor rows);

    /// <summary>
    /// Derivative of one concept's coefficient with respect to the row it encodes. Encoders are linear in pieces (an active set,
    /// a gate, a nearest centroid): inside its piece the derivative is exact, and it jumps where the piece ends.
    /// </summary>
    /// <param name="rows">m×C float64.</param>
    /// <param name="concept">Place in <see cref="Vectors"/>.</param>
    /// <returns>m×C float64; belongs to the caller's dispose scope.</returns>
    public abstract Tensor Gradient(Tensor rows, int concept);

    /// <summary>a − o.</summary>
    /// <param name="rows">m×C float64.</param>
    public Tensor Centre(Tensor rows) => Offset is null ? rows : rows - Offset;

    /// <summary>Concept maps of spatial activations, for people to look at.</summary>
    /// <param name="activation">n×C×H×W.</param>
    /// <returns>n×k×H×W; belongs to the caller's dispose scope.</returns>
    public virtual Tensor Maps(Tensor activation) => ConceptMaps.Compute(activation, Vectors);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Frees the tensors; derived classes free theirs as well.</summary>
    /// <param name="disposing">True where called by <see cref="Dispose()"/>.</param>
    protected virtual void Dispose(bool disposing)
    {
        if (disposing)
        {
            Vectors.Dispose();
            Offset?.Dispose();
        }
    }
}

/// <summary>
/// Unique concept vectors: contrasts with the mean m of the data set. u ≥ 0 minimises ||(a − m) − uV||² with a small ridge, since
/// the vectors are not orthogonal (METHODS 2.1).
/// </summary>
/// <param name="vectors">V, k×C float64, unit rows; becomes the encoder's.</param>
/// <param name="mean">m, C float64; copied.</param>
public sealed class ContrastEncoder(Tensor vectors, Tensor mean) : ConceptEncoder(vectors, mean.to(vectors.device).clone(), byPositions: false)
{
    /// <inheritdoc/>
    public override Tensor Encode(Tensor rows) => NonNegativeEncoding.Encode(Centre(rows), Vectors).Codes.ToTensor(rows.device);

    /// <inheritdoc/>
    public override Tensor Gradient(Tensor rows, int concept)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var codes = Encode(rows);
        var weights = zeros_like(codes);
        weights.select(1, concept).fill_(Scalars.Of(1));
        // The encoding's ridge is a share of the mean diagonal of VVᵀ, which is 1 for unit vectors.
        return NonNegativeLeastSquares.VectorJacobian(codes, Vectors, weights, NonNegativeEncoding.DefaultRidge).MoveToOuterDisposeScope();
    }
}

/// <summary>Vectors of a factorisation, brought to unit length, with the method's own way to encode.</summary>
public sealed class FactorEncoder : ConceptEncoder
{
    /// <summary>With more components than this, maps are projections v·A(h, w): encoding every position by so many would take longer than the run.</summary>
    public const int MostForCodeMaps = 100;

    /// <summary>Rows that are encoded at a time.</summary>
    internal const int Part = 4096;

    private readonly Factors _factors;
    private readonly Tensor _kept;
    private readonly Tensor _lengths;
    private readonly bool _owns;

    private FactorEncoder(Factors factors, Tensor vectors, Tensor? offset, Tensor kept, Tensor lengths, bool byPositions, bool owns)
        : base(vectors, offset, byPositions)
    {
        _factors = factors;
        _kept = kept.DetachFromDisposeScope();
        _lengths = lengths.DetachFromDisposeScope();
        _owns = owns;
        Kept = Array.ConvertAll(kept.cpu().data<long>().ToArray(), i => (int)i);
    }

    /// <summary>Components of the factorisation that the rows of V are, in order.</summary>
    public IReadOnlyList<int> Kept { get; }

    /// <summary>Wraps a factorisation.</summary>
    /// <param name="factors">Concept vectors.</param>
    /// <param name="byPositions">True where an image's coefficients are the mean of those of its positions.</param>
    /// <param name="kept">Components to use, in this order; null for all that are not zero (dead).</param>
    /// <param name="owns">True where disposing the encoder disposes the factors.</param>
    public static FactorEncoder Create(Factors factors, bool byPositions, IReadOnlyList<int>? kept = null, bool owns = false)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var vectors = factors.Vectors.to(ScalarType.Float64);
        var lengths = vectors.pow(Scalars.Of(2)).sum([1L]).sqrt();
        var places = kept is null
            ? (lengths > Scalars.Of(0)).nonzero().reshape(-1)
            : tensor(kept.Select(i => (long)i).ToArray(), ScalarType.Int64, vectors.device);
        var chosen = lengths.index_select(0, places);
        return new FactorEncoder(
            factors,
            vectors.index_select(0, places) / chosen.unsqueeze(1),
            factors.Offset?.to(ScalarType.Float64).clone(),
            places,
            chosen,
            byPositions,
            owns);
    }

    /// <inheritdoc/>
    public override Tensor Encode(Tensor rows)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var parts = new List<Tensor>();
        for (var start = 0L; start < rows.shape[0]; start += Part)
        {
            using var inner = NewDisposeScope();
            var part = rows.narrow(0, start, Math.Min(Part, rows.shape[0] - start)).to(_factors.Vectors.dtype);
            parts.Add((_factors.Encode(part).index_select(1, _kept).to(ScalarType.Float64) * _lengths).MoveToOuterDisposeScope());
        }

        return (parts.Count == 0 ? zeros([0, _kept.shape[0]], ScalarType.Float64, rows.device) : cat(parts, 0)).MoveToOuterDisposeScope();
    }

    /// <summary>By the implicit function theorem for non-negative least squares; by differences within a piece for other encoders.</summary>
    /// <param name="rows">m×C float64.</param>
    /// <param name="concept">Place in <see cref="ConceptEncoder.Vectors"/>.</param>
    public override Tensor Gradient(Tensor rows, int concept)
    {
        using var scope = NewDisposeScope();
        using var guard = no_grad();
        if (_factors.GetType() == typeof(NonNegativeFactors))
        {
            var codes = _factors.Encode(rows.to(_factors.Vectors.dtype)).to(ScalarType.Float64);
            var weights = zeros_like(codes);
            weights.select(1, Kept[concept]).copy_(_lengths[concept]);
            return NonNegativeLeastSquares.VectorJacobian(codes, _factors.Vectors.to(ScalarType.Float64), weights).MoveToOuterDisposeScope();
        }

        var (m, c) = (rows.shape[0], rows.shape[1]);
        var step = rows.abs().max().item<double>() * 1e-3;
        if (step == 0)
        {
            return zeros_like(rows).MoveToOuterDisposeScope();
        }

        var moves = eye(c, dtype: ScalarType.Float64, device: rows.device) * Scalars.Of(step);
        var result = new List<Tensor>();
        for (var row = 0L; row < m; row++)
        {
            using var inner = NewDisposeScope();
            var place = rows.narrow(0, row, 1);
            var difference = Encode(place.add(moves, Scalars.One)).select(1, concept) - Encode(place - moves).select(1, concept);
            result.Add((difference / Scalars.Of(2 * step)).MoveToOuterDisposeScope());
        }

        return stack(result).MoveToOuterDisposeScope();
    }

    /// <summary>Coefficients at every position (METHODS 2.8, fast maps); projections for large dictionaries.</summary>
    /// <param name="activation">n×C×H×W.</param>
    public override Tensor Maps(Tensor activation)
    {
        if (_factors.Components > MostForCodeMaps)
        {
            return base.Maps(activation);
        }

        using var scope = NewDisposeScope();
        using var guard = no_grad();
        var (n, c, h, w) = (activation.shape[0], activation.shape[1], activation.shape[2], activation.shape[3]);
        var codes = Encode(activation.permute(0, 2, 3, 1).reshape(-1, c).to(ScalarType.Float64));
        return codes.reshape(n, h, w, -1).permute(0, 3, 1, 2).contiguous().MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
        {
            _kept.Dispose();
            _lengths.Dispose();
            if (_owns)
            {
                _factors.Dispose();
            }
        }
    }
}
