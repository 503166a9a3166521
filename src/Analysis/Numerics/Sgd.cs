using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Numerics;

/// <summary>
/// Stochastic gradient descent with momentum and weight decay in PyTorch's form: g ← gradient + λ·p, v ← μ·v + g, p ← p − rate·v.
/// Changes the parameters in place; owns its velocities.
/// </summary>
public sealed class Sgd : IDisposable
{
    private readonly Tensor[] _parameters;
    private readonly Tensor[] _velocities;
    private readonly double _momentum;
    private readonly double _decay;

    /// <summary>Starts with velocities of zero.</summary>
    /// <param name="parameters">Changed by every step; stay the caller's.</param>
    /// <param name="momentum">μ in [0, 1).</param>
    /// <param name="decay">λ; applies to tensors of two and more dimensions, not to scales and biases.</param>
    public Sgd(IEnumerable<Tensor> parameters, double momentum, double decay)
    {
        _parameters = [.. parameters];
        _velocities = [.. _parameters.Select(p =>
        {
            using var value = p.detach();
            return torch.zeros_like(value).DetachFromDisposeScope();
        })];
        _momentum = momentum;
        _decay = decay;
    }

    /// <summary>The velocities in the order of the parameters: with the parameters, all that a checkpoint needs.</summary>
    public IReadOnlyList<Tensor> Velocities => _velocities;

    /// <summary>One step against the gradient.</summary>
    /// <param name="gradients">In the order of the parameters; overwritten.</param>
    /// <param name="rate">Learning rate.</param>
    public void Step(IReadOnlyList<Tensor> gradients, double rate)
    {
        using var scope = torch.NewDisposeScope();
        using var quiet = torch.no_grad();
        for (var i = 0; i < _parameters.Length; i++)
        {
            var gradient = gradients[i];
            if (_decay > 0 && _parameters[i].dim() > 1)
            {
                gradient.add_(_parameters[i], alpha: Scalars.Of(_decay));
            }

            _velocities[i].mul_(Scalars.Of(_momentum)).add_(gradient, Scalars.One);
            _parameters[i].add_(_velocities[i], alpha: Scalars.Of(-rate));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var velocity in _velocities)
        {
            velocity.Dispose();
        }
    }
}
