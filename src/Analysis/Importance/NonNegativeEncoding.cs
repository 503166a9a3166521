using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Importance;

/// <summary>Activations as non-negative combinations of concept vectors.</summary>
/// <param name="Codes">Coefficients u, n×k, at least 0.</param>
/// <param name="Residual">||a − uV|| / ||a|| of each row; NaN for a row of zeros. Length n.</param>
public sealed record EncodingResult(DenseMatrix Codes, double[] Residual);

/// <summary>
/// Non-negative least squares for fixed concept vectors, row by row and exact (<see cref="NonNegativeLeastSquares"/>), with a
/// ridge that refined vectors need: they are far from orthogonal.
/// </summary>
public static class NonNegativeEncoding
{
    /// <summary>Ridge that keeps the coefficients of nearly parallel concept vectors determined.</summary>
    public const double DefaultRidge = 1e-3;

    /// <summary>u = argmin over u ≥ 0 of ||a − uV||² + λ||u||² for each row a.</summary>
    /// <param name="activations">n×C, float32 or float64; the products run on its device in float64.</param>
    /// <param name="vectors">k×C concept vectors.</param>
    /// <param name="ridge">λ as a share of the mean diagonal of VVᵀ; 0 for plain least squares.</param>
    public static EncodingResult Encode(Tensor activations, Tensor vectors, double ridge = DefaultRidge)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var v = vectors.to(ScalarType.Float64).to(activations.device);
        var n = (int)activations.shape[0];
        var k = (int)v.shape[0];
        var gram = DenseMatrix.FromTensor(v.mm(v.t()));
        double mean = 0;
        for (var i = 0; i < k; i++)
        {
            mean += gram[i, i] / k;
        }

        for (var i = 0; i < k; i++)
        {
            gram[i, i] += ridge * mean;
        }

        var codes = new DenseMatrix(n, k);
        var residual = new double[n];
        const int Chunk = 4096;
        for (var start = 0; start < n; start += Chunk)
        {
            using var inner = torch.NewDisposeScope();
            var a = activations.narrow(0, start, Math.Min(Chunk, n - start)).to(ScalarType.Float64);
            var right = DenseMatrix.FromTensor(a.mm(v.t()));
            var part = Solve(gram, right);
            part.Values.CopyTo(codes.Values, start * k);
            var norm = a.pow(Scalars.Of(2)).sum(1).sqrt();
            var left = (a - part.ToTensor(a.device).mm(v)).pow(Scalars.Of(2)).sum(1).sqrt();
            (left / norm).cpu().data<double>().CopyTo(residual.AsSpan(start));
        }

        return new EncodingResult(codes, residual);
    }

    /// <summary>Minimises ½ uGuᵀ − u·h over u ≥ 0 for each row h.</summary>
    /// <param name="gram">k×k, symmetric positive semidefinite.</param>
    /// <param name="right">n×k.</param>
    /// <returns>n×k.</returns>
    public static DenseMatrix Solve(DenseMatrix gram, DenseMatrix right) => NonNegativeLeastSquares.Solve(gram, right);
}
