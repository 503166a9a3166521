using Analysis.Numerics;
using static TorchSharp.torch;

namespace Analysis.Visualization;

/// <summary>
/// Adam with Nesterov momentum (Dozat 2016) for one tensor, upwards. Tensor arithmetic only, so that nothing depends on the
/// native optimisers of the tensor library.
/// </summary>
/// <param name="rate">Step size.</param>
internal sealed class Nadam(double rate) : IDisposable
{
    private const double Beta1 = 0.9;
    private const double Beta2 = 0.999;
    private const double Epsilon = 1e-7;
    private const double MomentumDecay = 0.004;

    private Tensor? _first;
    private Tensor? _second;
    private double _product = 1;
    private int _step;

    /// <summary>Moves a tensor along its gradient, in place.</summary>
    /// <param name="values">What is optimised; requires gradients or not.</param>
    /// <param name="gradient">Of the objective that is to rise.</param>
    public void Ascend(Tensor values, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        _step++;
        var now = Momentum(_step);
        var next = Momentum(_step + 1);
        _product *= now;
        _first ??= zeros_like(gradient).DetachFromDisposeScope();
        _second ??= zeros_like(gradient).DetachFromDisposeScope();
        _first.mul_(Scalars.Of(Beta1)).add_(gradient, alpha: Scalars.Of(1 - Beta1));
        _second.mul_(Scalars.Of(Beta2)).addcmul_(gradient, gradient, Scalars.Of(1 - Beta2));
        var direction = (_first * Scalars.Of(next / (1 - (_product * next)))).add(gradient * Scalars.Of((1 - now) / (1 - _product)), Scalars.One);
        var scale = (_second / Scalars.Of(1 - Math.Pow(Beta2, _step))).sqrt().add(Scalars.Of(Epsilon), Scalars.One);
        values.add_(direction / scale, alpha: Scalars.Of(rate));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _first?.Dispose();
        _second?.Dispose();
    }

    private static double Momentum(int step) => Beta1 * (1 - (0.5 * Math.Pow(0.96, step * MomentumDecay)));
}
