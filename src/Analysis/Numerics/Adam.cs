using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Numerics;

/// <summary>
/// Adam (Kingma and Ba 2015, arXiv 1412.6980) for gradients that are computed by hand, with the gradients' common norm clipped.
/// Changes the parameters in place; owns its moments.
/// </summary>
public sealed class Adam : IDisposable
{
    private const double Beta1 = 0.9;
    private const double Beta2 = 0.999;
    private const double Epsilon = 1e-8;
    private readonly Tensor[] _parameters;
    private readonly Tensor[] _first;
    private readonly Tensor[] _second;
    private int _steps;

    /// <summary>Starts with moments of zero.</summary>
    /// <param name="parameters">Changed by every step; stay the caller's.</param>
    public Adam(IEnumerable<Tensor> parameters)
    {
        _parameters = [.. parameters];
        _first = [.. _parameters.Select(p => torch.zeros_like(p).DetachFromDisposeScope())];
        _second = [.. _parameters.Select(p => torch.zeros_like(p).DetachFromDisposeScope())];
    }

    /// <summary>The moments, first ones before second ones: with the parameters and <see cref="Steps"/>, all that a checkpoint needs.</summary>
    public IEnumerable<Tensor> Moments => _first.Concat(_second);

    /// <summary>Steps that were made; set when moments are put back.</summary>
    public int Steps
    {
        get => _steps;
        set => _steps = value;
    }

    /// <summary>One step against the gradient.</summary>
    /// <param name="gradients">In the order of the parameters; overwritten.</param>
    /// <param name="rate">Learning rate.</param>
    /// <param name="clip">Largest norm of all gradients together; longer ones are shortened to it.</param>
    public void Step(IReadOnlyList<Tensor> gradients, double rate, double clip = double.PositiveInfinity)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        _steps++;
        var factor = 1.0;
        if (double.IsFinite(clip))
        {
            var norm = Math.Sqrt(gradients.Sum(g => g.pow(Scalars.Of(2)).sum(ScalarType.Float64).item<double>()));
            factor = norm > clip ? clip / norm : 1;
        }

        var step = rate / (1 - Math.Pow(Beta1, _steps));
        var root = Math.Sqrt(1 - Math.Pow(Beta2, _steps));
        for (var i = 0; i < _parameters.Length; i++)
        {
            using var inner = torch.NewDisposeScope();
            var gradient = factor < 1 ? gradients[i].mul_(Scalars.Of(factor)) : gradients[i];
            _first[i].mul_(Scalars.Of(Beta1)).add_(gradient, alpha: Scalars.Of(1 - Beta1));
            _second[i].mul_(Scalars.Of(Beta2)).addcmul_(gradient, gradient, value: Scalars.Of(1 - Beta2));
            _parameters[i].addcdiv_(_first[i], _second[i].sqrt().div_(Scalars.Of(root)).add_(Scalars.Of(Epsilon), Scalars.One), value: Scalars.Of(-step));
        }
    }

    /// <summary>Forgets the moments of some rows of every parameter.</summary>
    /// <param name="rows">Indices along the first dimension.</param>
    public void Forget(Tensor rows)
    {
        foreach (var moment in _first.Concat(_second))
        {
            moment.index_fill_(0, rows, Scalars.Of(0));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var moment in _first.Concat(_second))
        {
            moment.Dispose();
        }
    }
}
