using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Probes.Backpropagation;

/// <summary>
/// What is varied: how a variable δ becomes a changed input x′, and which δ are allowed. All tensors have one row for each
/// problem; a row never looks at another. Implementations keep the caller's dispose scope.
/// </summary>
public abstract class ChangeSpace
{
    /// <summary>Shape of a row of the variable.</summary>
    /// <param name="inputs">Unchanged inputs, N×….</param>
    public abstract long[] RowShape(Tensor inputs);

    /// <summary>The changed inputs, differentiable in the variable.</summary>
    /// <param name="change">The variable δ.</param>
    /// <param name="inputs">Unchanged inputs x.</param>
    public abstract Tensor Changed(Tensor change, Tensor inputs);

    /// <summary>The nearest variable whose input is valid; the same where it is already.</summary>
    /// <param name="change">The variable.</param>
    /// <param name="inputs">Unchanged inputs.</param>
    public abstract Tensor Project(Tensor change, Tensor inputs);

    /// <summary>What the total variation is taken of, N×C×H×W, differentiable; null where there is no picture.</summary>
    /// <param name="change">The variable.</param>
    /// <param name="inputs">Unchanged inputs.</param>
    public virtual Tensor? Picture(Tensor change, Tensor inputs) => null;

    /// <summary>Spread of random starts in units of the variable.</summary>
    public virtual double StartSpread => 0.03;
}

/// <summary>Pixels themselves: x′ = x + δ, every value in [0, 1].</summary>
public sealed class PixelSpace : ChangeSpace
{
    /// <inheritdoc/>
    public override long[] RowShape(Tensor inputs) => inputs.shape[1..];

    /// <inheritdoc/>
    public override Tensor Changed(Tensor change, Tensor inputs) => inputs.add(change, Scalars.One);

    /// <inheritdoc/>
    public override Tensor Project(Tensor change, Tensor inputs) => inputs.add(change, Scalars.One).clamp(Scalars.Of(0.0), Scalars.Of(1.0)) - inputs;

    /// <inheritdoc/>
    public override Tensor Picture(Tensor change, Tensor inputs) => change;
}

/// <summary>
/// Waves: δ holds the real and imaginary parts of the change's spectrum, divided by a scale that falls with the frequency, so
/// that fine grain costs more than broad shapes (Olah et al. 2017). N×2×C×H×(W/2+1).
/// </summary>
/// <param name="decay">Exponent of the fall; 1 for that of natural images.</param>
public sealed class FourierSpace(double decay = 1) : ChangeSpace
{
    /// <inheritdoc/>
    public override double StartSpread => 0.01;

    /// <inheritdoc/>
    public override long[] RowShape(Tensor inputs) => [2, inputs.shape[1], inputs.shape[2], (inputs.shape[3] / 2) + 1];

    /// <inheritdoc/>
    public override Tensor Changed(Tensor change, Tensor inputs) => inputs.add(Picture(change, inputs), Scalars.One);

    /// <inheritdoc/>
    public override Tensor Picture(Tensor change, Tensor inputs)
    {
        var (height, width) = (inputs.shape[2], inputs.shape[3]);
        var scaled = change * Scale(height, width, change);
        return fft.irfft2(complex(scaled.select(1, 0).contiguous(), scaled.select(1, 1).contiguous()), [height, width], norm: FFTNormType.Ortho);
    }

    /// <inheritdoc/>
    public override Tensor Project(Tensor change, Tensor inputs)
    {
        var (height, width) = (inputs.shape[2], inputs.shape[3]);
        var changed = inputs.add(Picture(change, inputs), Scalars.One);
        var valid = changed.clamp(Scalars.Of(0.0), Scalars.Of(1.0));
        // Left as it is where nothing had to be limited: going through the spectrum would only add rounding.
        var outside = (valid - changed).abs().flatten(1).amax([1L]).gt(Scalars.Of(0.0)).view(-1, 1, 1, 1, 1);
        var spectrum = fft.rfft2(valid - inputs, norm: FFTNormType.Ortho);
        var back = stack([spectrum.real, spectrum.imag], 1) / Scale(height, width, change);
        return where(outside, back, change);
    }

    /// <summary>Scale of each frequency, 1 for the smallest that is not 0 and falling from there, H×(W/2+1).</summary>
    private Tensor Scale(long height, long width, Tensor like)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        var rows = fft.fftfreq(height, dtype: ScalarType.Float64).unsqueeze(1);
        var columns = fft.rfftfreq(width, dtype: ScalarType.Float64).unsqueeze(0);
        var least = 1.0 / Math.Max(height, width);
        var frequency = (rows * rows).add(columns * columns, Scalars.One).sqrt().clamp_min(Scalars.Of(least));
        return frequency.div(Scalars.Of(least)).pow(Scalars.Of(-decay)).to(like.dtype).to(like.device).MoveToOuterDisposeScope();
    }
}

/// <summary>The code of an autoencoder: x′ = dec(enc(x) + δ), pixels limited to [0, 1].</summary>
/// <param name="autoencoder">Encoder and decoder.</param>
public sealed class LatentSpace(IAutoencoder autoencoder) : ChangeSpace
{
    /// <inheritdoc/>
    public override double StartSpread => 0.1;

    /// <inheritdoc/>
    public override long[] RowShape(Tensor inputs)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        return autoencoder.Encode(inputs.narrow(0, 0, 1)).shape[1..];
    }

    /// <inheritdoc/>
    public override Tensor Changed(Tensor change, Tensor inputs) =>
        autoencoder.Decode(autoencoder.Encode(inputs).detach().add(change, Scalars.One)).clamp(Scalars.Of(0.0), Scalars.Of(1.0));

    /// <inheritdoc/>
    public override Tensor Project(Tensor change, Tensor inputs)
    {
        var (minimum, maximum) = autoencoder.CodeRange;
        if (double.IsNegativeInfinity(minimum) && double.IsPositiveInfinity(maximum))
        {
            return change.alias();
        }

        // A code that no picture can have would be drawn as something that the decoder never learnt.
        var code = autoencoder.Encode(inputs).detach();
        return code.add(change, Scalars.One).clamp(Scalars.Of(minimum), Scalars.Of(maximum)) - code;
    }

    /// <inheritdoc/>
    public override Tensor Picture(Tensor change, Tensor inputs) => Changed(change, inputs) - inputs;
}

/// <summary>A vector of measurements: x′ = x + scale·δ, each column inside its range, some not changed at all.</summary>
/// <param name="scale">Unit of each column, so that a change of 1 costs the same in all; above 0. Length D.</param>
/// <param name="minimum">Least value of each column.</param>
/// <param name="maximum">Largest value of each column.</param>
/// <param name="immutable">Columns that stay as they are.</param>
public sealed class ColumnSpace(double[] scale, double[] minimum, double[] maximum, bool[] immutable) : ChangeSpace
{
    /// <inheritdoc/>
    public override double StartSpread => 0.1;

    /// <inheritdoc/>
    public override long[] RowShape(Tensor inputs) => inputs.shape[1..];

    /// <inheritdoc/>
    public override Tensor Changed(Tensor change, Tensor inputs) => inputs.add(change * Row(scale, change), Scalars.One);

    /// <inheritdoc/>
    public override Tensor Project(Tensor change, Tensor inputs)
    {
        var unit = Row(scale, change);
        // A value that lies outside its range from the start need not be brought inside.
        var low = (Row(minimum, change) - inputs).clamp_max(Scalars.Of(0.0));
        var high = (Row(maximum, change) - inputs).clamp_min(Scalars.Of(0.0));
        var free = Row([.. immutable.Select(i => i ? 0.0 : 1.0)], change);
        return (change * unit).maximum(low).minimum(high) / unit * free;
    }

    private static Tensor Row(double[] values, Tensor like) => tensor(values, dtype: like.dtype, device: like.device).unsqueeze(0);
}

/// <summary>An autoencoder of pictures in [0, 1]; differentiable. Rows are pictures, N×C×H×W; codes are N×….</summary>
public interface IAutoencoder : IDisposable
{
    /// <summary>Values that codes can have.</summary>
    (double Minimum, double Maximum) CodeRange { get; }

    /// <summary>Codes of pictures.</summary>
    Tensor Encode(Tensor pictures);

    /// <summary>Pictures of codes.</summary>
    Tensor Decode(Tensor codes);
}
