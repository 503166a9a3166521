using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Probes.Backpropagation;

/// <summary>One wish: what which probe shall say of which input.</summary>
/// <param name="Input">Row of the inputs.</param>
/// <param name="Weights">Weights on the pooled activation (<see cref="LinearProbe.Raw"/>), C.</param>
/// <param name="Bias">Its bias.</param>
/// <param name="Goal">1 or 0 for yes and no; the wanted value where <paramref name="Continuous"/>.</param>
/// <param name="Continuous">True where the probe answers a number.</param>
/// <param name="Threshold">
/// When the wish is fulfilled: the probe's share for the wanted answer, in (0.5, 1). Where <paramref name="Continuous"/>: the
/// share of the distance to the goal that must be covered.
/// </param>
/// <param name="Start">Value of the probe before, for <paramref name="Continuous"/>.</param>
public sealed record ChangeWish(int Input, double[] Weights, double Bias, double Goal, bool Continuous, double Threshold, double Start)
{
    /// <summary>The probe's answer to a logit: its logistic function, or the logit itself.</summary>
    public double Answer(double logit) => Continuous ? logit : LinearBackpropagation.Logistic(logit);

    /// <summary>Whether a logit fulfils the wish.</summary>
    public bool Fulfilled(double logit) => Continuous
        ? Math.Abs(logit - Goal) <= (1 - Threshold) * Math.Abs(Start - Goal)
        : LinearBackpropagation.Logistic(Goal > 0.5 ? logit : -logit) >= Threshold;
}

/// <summary>A change that was found.</summary>
/// <param name="Change">The variable, one row, on the CPU; belongs to whoever holds the solution.</param>
/// <param name="Logit">The probe's logit of the changed input.</param>
/// <param name="Objective">Loss + λ·R.</param>
/// <param name="Penalty">R.</param>
/// <param name="Steps">Steps of the optimiser.</param>
/// <param name="Fulfilled">Whether the probe says what was wished.</param>
public sealed record ChangeSolution(Tensor Change, double Logit, double Objective, double Penalty, int Steps, bool Fulfilled) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose() => Change.Dispose();
}

/// <summary>When the optimiser stops.</summary>
public sealed record ChangeSolverOptions
{
    /// <summary>Most steps.</summary>
    public int Steps { get; init; } = 500;

    /// <summary>Steps over which the objective is compared.</summary>
    public int Window { get; init; } = 20;

    /// <summary>Relative change of the objective below which a fulfilled wish is done.</summary>
    public double Tolerance { get; init; } = 1e-4;

    /// <summary>The same for a wish that is not fulfilled yet.</summary>
    public double OpenTolerance { get; init; } = 1e-6;
}

/// <summary>
/// Minimises loss(probe(x′)) + λ·R(δ) for many wishes at once: the network sees them as one batch, each row has a step length,
/// a λ and an end of its own. Proximal gradient with Barzilai and Borwein's step lengths (Wright, Nowak and Figueiredo 2009):
/// l1 and l2 by their proximal step, so that zeros are exact, the rest by its gradient, and the projection onto valid inputs
/// after every step. A step that does not lower the objective below the worst of the last few is halved.
/// </summary>
/// <param name="space">What is varied.</param>
/// <param name="pooled">Pooled activations N×C of inputs, differentiable.</param>
/// <param name="regulariser">What a change costs.</param>
/// <param name="options">When to stop.</param>
public sealed class ChangeSolver(ChangeSpace space, Func<Tensor, Tensor> pooled, ChangeRegulariser regulariser, ChangeSolverOptions options)
{
    private const int Memory = 5;
    private const double Decrease = 1e-4;
    private const double LeastStep = 1e-12;
    private const double MostStep = 1e12;

    private ChangeSpace Space => space;

    private ChangeRegulariser Regulariser => regulariser;

    private ChangeSolverOptions Options => options;

    /// <summary>Solves wishes; their inputs are rows of <paramref name="inputs"/>.</summary>
    /// <param name="inputs">Unchanged inputs.</param>
    /// <param name="wishes">The wishes.</param>
    /// <param name="lambdas">λ of each; at 0 the first change that fulfils the wish ends the search.</param>
    /// <param name="starts">First value of each variable; null for 0.</param>
    /// <param name="costs">Factors of the magnitudes in R, a row for each wish, broadcast to the variable; null for 1 everywhere.</param>
    /// <param name="observe">Called after every step with its number and the current variables and logits of all wishes; the tensor belongs to the solver.</param>
    /// <param name="cancellation">Honoured between steps.</param>
    /// <returns>One solution for each wish.</returns>
    public ChangeSolution[] Solve(
        Tensor inputs, IReadOnlyList<ChangeWish> wishes, IReadOnlyList<double> lambdas, Tensor? starts, Tensor? costs, Action<int, Tensor, double[]>? observe,
        CancellationToken cancellation)
    {
        using var outer = NewDisposeScope();
        var state = new State(this, inputs, wishes, lambdas, starts, costs);
        for (var step = 1; step <= options.Steps && state.Active.Count > 0; step++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            state.Advance();
            observe?.Invoke(step, state.Variables, state.Logits);
        }

        return state.Solutions();
    }

    /// <summary>Loss, logit, R and the gradient of the smooth part for some rows.</summary>
    private (Tensor Gradient, double[] Smooth, double[] Logits, double[] Penalty, double[] Rough) Evaluate(
        Tensor change, Tensor inputs, Tensor weights, Tensor bias, Tensor sign, Tensor goal, Tensor continuous, Tensor? costs, double[] lambdas)
    {
        using var scope = NewDisposeScope();
        using var grad = enable_grad();
        var leaf = change.detach().requires_grad_(true);
        var activation = pooled(space.Changed(leaf, inputs));
        var logit = (activation * weights).sum([1L]).add(bias, Scalars.One);
        var distance = logit - goal;
        var loss = where(continuous, distance * distance, nn.functional.logsigmoid(logit * sign).neg());
        var smooth = loss;
        Tensor? variation = null;
        if (regulariser.TotalVariation > 0 && space.Picture(leaf, inputs) is { } picture)
        {
            variation = ChangeRegulariser.Variation(picture);
            smooth = loss.add(variation * Column(lambdas, l => l * regulariser.TotalVariation, loss), Scalars.One);
        }

        autograd.backward([smooth.sum()], inputs: [leaf]);
        using var quiet = no_grad();
        var flat = change.flatten(1);
        var l1 = Values((costs is null ? flat.abs() : (change.abs() * costs).flatten(1)).sum([1L], type: ScalarType.Float64));
        var l2 = Values((flat * flat).sum([1L], type: ScalarType.Float64));
        var tv = variation is null ? new double[l1.Length] : Values(variation.detach());
        var rough = new double[l1.Length];
        var penalty = new double[l1.Length];
        for (var i = 0; i < rough.Length; i++)
        {
            rough[i] = lambdas[i] * ((regulariser.L1 * l1[i]) + (regulariser.L2 * l2[i]));
            penalty[i] = (regulariser.L1 * l1[i]) + (regulariser.L2 * l2[i]) + (regulariser.TotalVariation * tv[i]);
        }

        return (leaf.grad!.detach().MoveToOuterDisposeScope(), Values(smooth.detach()), Values(logit.detach()), penalty, rough);
    }

    private static double[] Values(Tensor tensor)
    {
        using var host = tensor.to(ScalarType.Float64).cpu().contiguous();
        return host.data<double>().ToArray();
    }

    private static Tensor Column(IReadOnlyList<double> values, Func<double, double> map, Tensor like) => tensor(values.Select(map).ToArray(), dtype: like.dtype, device: like.device);

    /// <summary>What is known of every row.</summary>
    private sealed class State
    {
        private readonly ChangeSolver _solver;
        private readonly Tensor _inputs;
        private readonly Tensor _weights;
        private readonly Tensor _bias;
        private readonly Tensor _sign;
        private readonly Tensor _goal;
        private readonly Tensor _continuous;
        private readonly Tensor? _costs;
        private readonly IReadOnlyList<ChangeWish> _wishes;
        private readonly double[] _lambdas;
        private readonly Tensor _variables;
        private readonly Tensor _gradients;
        private readonly double[] _objective;
        private readonly double[] _penalty;
        private readonly double[] _length;
        private readonly int[] _steps;
        private readonly List<double>[] _history;

        public State(ChangeSolver solver, Tensor inputs, IReadOnlyList<ChangeWish> wishes, IReadOnlyList<double> lambdas, Tensor? starts, Tensor? costs)
        {
            _solver = solver;
            _wishes = wishes;
            _lambdas = [.. lambdas];
            var rows = tensor(wishes.Select(w => (long)w.Input).ToArray(), device: inputs.device);
            _inputs = inputs.index_select(0, rows);
            _weights = tensor(wishes.SelectMany(w => w.Weights).ToArray(), [wishes.Count, wishes[0].Weights.Length]).to(inputs.dtype).to(inputs.device);
            _bias = Column([.. wishes.Select(w => w.Bias)], b => b, inputs);
            _sign = Column([.. wishes.Select(w => w.Goal > 0.5 ? 1.0 : -1.0)], s => s, inputs);
            _goal = Column([.. wishes.Select(w => w.Goal)], g => g, inputs);
            _continuous = tensor(wishes.Select(w => w.Continuous).ToArray(), device: inputs.device);
            _costs = costs?.to(inputs.dtype).to(inputs.device);
            using var quiet = no_grad();
            long[] shape = [wishes.Count, .. solver.Space.RowShape(inputs)];
            _variables = starts is null ? zeros(shape, inputs.dtype, inputs.device) : solver.Space.Project(starts.to(inputs.dtype).to(inputs.device), _inputs).clone();
            var first = solver.Evaluate(_variables, _inputs, _weights, _bias, _sign, _goal, _continuous, _costs, _lambdas);
            _gradients = first.Gradient;
            Logits = first.Logits;
            _penalty = first.Penalty;
            _objective = [.. first.Smooth.Zip(first.Rough, (s, r) => s + r)];
            _history = [.. _objective.Select(o => new List<double> { o })];
            _steps = new int[wishes.Count];
            _length = FirstLengths();
            Active = [.. Enumerable.Range(0, wishes.Count).Where(i => _lambdas[i] > 0 || !wishes[i].Fulfilled(Logits[i]))];
        }

        public List<int> Active { get; private set; }

        public Tensor Variables => _variables;

        public double[] Logits { get; }

        public void Advance()
        {
            using var quiet = no_grad();
            var index = tensor(Active.Select(i => (long)i).ToArray(), device: _inputs.device);
            var inputs = _inputs.index_select(0, index);
            var variables = _variables.index_select(0, index);
            var gradients = _gradients.index_select(0, index);
            double[] lambdas = [.. Active.Select(i => _lambdas[i])];
            double[] lengths = [.. Active.Select(i => _length[i])];
            long[] wide = [Active.Count, .. Enumerable.Repeat(1L, (int)variables.dim() - 1)];
            var length = Column(lengths, s => s, variables).view(wide);
            var cut = Column([.. lengths.Zip(lambdas, (s, l) => s * l * _solver.Regulariser.L1)], c => c, variables).view(wide);
            var costs = _costs?.index_select(0, index);
            cut = costs is null ? cut : cut * costs;
            var shrink = Column([.. lengths.Zip(lambdas, (s, l) => 1 / (1 + (2 * s * l * _solver.Regulariser.L2)))], c => c, variables).view(wide);
            var moved = variables - (gradients * length);
            var candidate = _solver.Space.Project((moved - moved.maximum(cut.neg()).minimum(cut)) * shrink, inputs);
            var found = _solver.Evaluate(
                candidate, inputs, _weights.index_select(0, index), _bias.index_select(0, index), _sign.index_select(0, index), _goal.index_select(0, index),
                _continuous.index_select(0, index), costs, lambdas);
            var step = (candidate - variables).flatten(1);
            var bend = (found.Gradient - gradients).flatten(1);
            var moves = Values((step * step).sum([1L], type: ScalarType.Float64));
            var curvature = Values((step * bend).sum([1L], type: ScalarType.Float64));

            var accepted = new List<int>();
            var staying = new List<int>();
            for (var k = 0; k < Active.Count; k++)
            {
                var row = Active[k];
                _steps[row]++;
                var objective = found.Smooth[k] + found.Rough[k];
                var history = _history[row];
                var worst = history.TakeLast(Memory).Max();
                if (moves[k] == 0)
                {
                    // The proximal step leads nowhere else: this is the optimum.
                    continue;
                }

                if (double.IsFinite(objective) && objective <= worst - (Decrease / (2 * _length[row]) * moves[k]))
                {
                    accepted.Add(k);
                    history.Add(objective);
                    (_objective[row], _penalty[row], Logits[row]) = (objective, found.Penalty[k], found.Logits[k]);
                    _length[row] = Math.Clamp(curvature[k] > 0 ? moves[k] / curvature[k] : 2 * _length[row], LeastStep, MostStep);
                    if (!Done(row))
                    {
                        staying.Add(row);
                    }
                }
                else
                {
                    _length[row] /= 2;
                    if (_length[row] > LeastStep)
                    {
                        staying.Add(row);
                    }
                }
            }

            if (accepted.Count > 0)
            {
                var from = tensor(accepted.Select(k => (long)k).ToArray(), device: _inputs.device);
                var to = tensor(accepted.Select(k => (long)Active[k]).ToArray(), device: _inputs.device);
                _variables.index_copy_(0, to, candidate.index_select(0, from));
                _gradients.index_copy_(0, to, found.Gradient.index_select(0, from));
            }

            Active = staying;
        }

        public ChangeSolution[] Solutions()
        {
            using var quiet = no_grad();
            return [.. Enumerable.Range(0, _wishes.Count).Select(i => new ChangeSolution(
                _variables.narrow(0, i, 1).cpu().clone().DetachFromDisposeScope(), Logits[i], _objective[i], _penalty[i], _steps[i], _wishes[i].Fulfilled(Logits[i])))];
        }

        private bool Done(int row)
        {
            var fulfilled = _wishes[row].Fulfilled(Logits[row]);
            if (fulfilled && _lambdas[row] == 0)
            {
                return true;
            }

            var history = _history[row];
            if (history.Count <= _solver.Options.Window)
            {
                return false;
            }

            var before = history[^(_solver.Options.Window + 1)];
            var tolerance = fulfilled ? _solver.Options.Tolerance : _solver.Options.OpenTolerance;
            return Math.Abs(before - history[^1]) <= tolerance * Math.Max(Math.Abs(history[^1]), 1e-9);
        }

        /// <summary>Lengths of the first steps: the way to the goal along the gradient, if the probe were linear.</summary>
        private double[] FirstLengths()
        {
            var flat = _gradients.flatten(1);
            var squares = Values((flat * flat).sum([1L], type: ScalarType.Float64));
            var lengths = new double[_wishes.Count];
            for (var i = 0; i < lengths.Length; i++)
            {
                var wish = _wishes[i];
                // The loss's slope at the logit, to get from its gradient to the probe's.
                var slope = wish.Continuous ? 2 * Math.Abs(Logits[i] - wish.Goal) : LinearBackpropagation.Logistic(wish.Goal > 0.5 ? -Logits[i] : Logits[i]);
                var way = wish.Continuous ? Math.Abs(Logits[i] - wish.Goal) : Math.Max(1, Math.Log(wish.Threshold / (1 - wish.Threshold)) - (wish.Goal > 0.5 ? Logits[i] : -Logits[i]));
                lengths[i] = squares[i] > 0 ? Math.Clamp(way * slope / squares[i], LeastStep, MostStep) : 1;
            }

            return lengths;
        }
    }
}
