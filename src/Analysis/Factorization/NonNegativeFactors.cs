using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>Concept vectors with coefficients of at least 0: encoding is exact non-negative least squares, row by row.</summary>
public class NonNegativeFactors : Factors
{
    /// <summary>Takes over the tensor.</summary>
    /// <param name="vectors">V, k×p, unit rows; a row of zeros is a concept that no row uses.</param>
    /// <param name="iterations">Iterations that the fit took.</param>
    public NonNegativeFactors(Tensor vectors, int iterations = 0)
        : base(vectors, null, iterations)
    {
    }

    /// <inheritdoc/>
    public override Tensor Encode(Tensor rows) => NonNegativeLeastSquares.Encode(rows, Vectors);

    /// <summary>Rows scaled to unit length; rows of zeros stay zeros.</summary>
    internal static Tensor UnitRows(Tensor vectors)
    {
        using var scope = torch.NewDisposeScope();
        var length = vectors.pow(Scalars.Of(2)).sum(-1, keepdim: true).sqrt();
        return (vectors / torch.where(length > Scalars.Of(0), length, torch.ones_like(length))).MoveToOuterDisposeScope();
    }
}
