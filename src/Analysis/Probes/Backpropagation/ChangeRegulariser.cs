using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Probes.Backpropagation;

/// <summary>
/// What makes a change cost something: R(δ) = l1·‖δ‖₁ + l2·‖δ‖₂² + tv·TV(δ). The first two are of the variable that is
/// optimised, the total variation of the picture that it makes.
/// </summary>
/// <param name="L1">Weight of the sum of magnitudes: few places, exact zeros.</param>
/// <param name="L2">Weight of the sum of squares: small everywhere.</param>
/// <param name="TotalVariation">Weight of the differences of neighbouring pixels: patches instead of grains. For pictures only.</param>
public sealed record ChangeRegulariser(double L1, double L2, double TotalVariation)
{
    /// <summary>Differences far below this count as squares, so that the total variation has a gradient everywhere.</summary>
    private const double Rounded = 1e-2;

    /// <summary>Total variation per row of N×C×H×W: Σ over pixels of √(Σ over channels of squared differences to the next pixel in both directions + ε²) − ε; N, differentiable.</summary>
    public static Tensor Variation(Tensor picture)
    {
        var height = picture.shape[2];
        var width = picture.shape[3];
        var corner = picture.narrow(2, 0, height - 1).narrow(3, 0, width - 1);
        var down = picture.narrow(2, 1, height - 1).narrow(3, 0, width - 1) - corner;
        var right = picture.narrow(2, 0, height - 1).narrow(3, 1, width - 1) - corner;
        var square = (down * down).add(right * right, Scalars.One).sum([1L]);
        using var smoothing = tensor(Rounded, dtype: picture.dtype, device: picture.device);
        return (square.add(smoothing * smoothing, Scalars.One).sqrt() - smoothing).sum([1L, 2L]);
    }
}
