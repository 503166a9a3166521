using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Visualization;

/// <summary>
/// Pictures described by their spectrum, so that an optimiser moves waves rather than single pixels: MACO (Fel et al. 2023),
/// where the magnitudes are those of natural images and only the phase is free, and the Fourier parametrisation (Olah et al.
/// 2017), where both are free and low frequencies count more. All results are 3×S×S in [−1, 1], differentiable in the free
/// tensor; keep the caller's dispose scope.
/// </summary>
public static class ImageParametrization
{
    /// <summary>
    /// Correlation of colours in natural images, row by row: a buffer whose channels are independent, times this, has the
    /// colour statistics of photographs (the square root of the covariance of ImageNet's colours, Olah et al. 2017, transposed).
    /// </summary>
    public static readonly double[,] ColourMatrix =
    {
        { 0.56282854, 0.5844758, 0.5844758 },
        { 0.19482528, 0.0, -0.19482528 },
        { 0.0432945, -0.10823626, 0.06494176 },
    };

    private const double Tiny = 1e-5;

    /// <summary>MACO: magnitude · e^{i phase}, with the phase standardised over all entries.</summary>
    /// <param name="magnitude">3×S×(S/2+1) float32, of decorrelated colours (<see cref="Decorrelate"/>).</param>
    /// <param name="phase">3×S×(S/2+1) float32, free.</param>
    public static Tensor Maco(Tensor magnitude, Tensor phase)
    {
        var angle = Standardise(phase);
        var buffer = fft.irfft2(complex(magnitude * angle.cos(), magnitude * angle.sin()), [magnitude.shape[1], magnitude.shape[1]]);
        return (Correlate(Standardise(buffer)).sigmoid() * Scalars.Of(2)) - Scalars.Of(1);
    }

    /// <summary>Fourier: free coefficients times the scale of their frequency.</summary>
    /// <param name="coefficients">2×3×S×(S/2+1) float32, real and imaginary parts, free.</param>
    /// <param name="scale">S×(S/2+1) (<see cref="FrequencyScale"/>).</param>
    public static Tensor Fourier(Tensor coefficients, Tensor scale)
    {
        var scaled = coefficients * scale;
        var buffer = fft.irfft2(complex(scaled[0], scaled[1]), [scale.shape[0], scale.shape[0]]) / Scalars.Of(4);
        return (Correlate(buffer).sigmoid() * Scalars.Of(2)) - Scalars.Of(1);
    }

    /// <summary>Scale of each frequency: √(S·S) / max(frequency, 1/S)^decay.</summary>
    /// <param name="size">Side S in pixels.</param>
    /// <param name="decay">Exponent; 1 for the fall-off of natural images.</param>
    /// <param name="device">Where it is needed.</param>
    /// <returns>S×(S/2+1) float32.</returns>
    public static Tensor FrequencyScale(int size, double decay, Device device) =>
        (Scalars.Of(size) / Frequencies(size).clamp_min(Scalars.Of(1.0 / size)).pow(Scalars.Of(decay))).to(ScalarType.Float32).to(device);

    /// <summary>Radial frequency in cycles a pixel of the entries of a real spectrum, S×(S/2+1) float64.</summary>
    public static Tensor Frequencies(int size)
    {
        using var scope = NewDisposeScope();
        var rows = fft.fftfreq(size, dtype: ScalarType.Float64).unsqueeze(1);
        var columns = fft.rfftfreq(size, dtype: ScalarType.Float64).unsqueeze(0);
        return ((rows * rows).add(columns * columns, Scalars.One)).sqrt().MoveToOuterDisposeScope();
    }

    /// <summary>
    /// The buffers that the last steps of a parametrisation would turn into given pictures: logit, then the inverse of the
    /// colour matrix. Their spectra are the magnitudes that <see cref="Maco"/> needs.
    /// </summary>
    /// <param name="images">N×3×S×S in [0, 1]; values are limited to [1/512, 511/512], which 8 bits cannot tell apart.</param>
    public static Tensor Decorrelate(Tensor images)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var limited = images.clamp(Scalars.Of(1.0 / 512), Scalars.Of(511.0 / 512));
        var logits = (limited / (Scalars.Of(1) - limited)).log();
        var inverse = linalg.inv(Colours(ScalarType.Float64, CPU)).to(images.dtype).to(images.device);
        return einsum("nchw,cd->ndhw", logits, inverse).MoveToOuterDisposeScope();
    }

    /// <summary>Mean over images of |rfft2| of the decorrelated channels.</summary>
    /// <param name="images">N×3×S×S in [0, 1].</param>
    /// <returns>Sum over the images, 3×S×(S/2+1) float64: divide by their number.</returns>
    public static Tensor SpectrumSum(Tensor images)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        return fft.rfft2(Decorrelate(images)).abs().to(ScalarType.Float64).sum([0L]).MoveToOuterDisposeScope();
    }

    private static Tensor Correlate(Tensor buffer) => einsum("chw,cd->dhw", buffer, Colours(buffer.dtype, buffer.device));

    private static Tensor Colours(ScalarType type, Device device) => tensor(ColourMatrix).to(type).to(device);

    private static Tensor Standardise(Tensor values) => (values - values.mean()) / values.std(unbiased: false).add(Scalars.Of(Tiny), Scalars.One);
}
