using Analysis.Numerics;
using static TorchSharp.torch;

namespace Analysis.Attribution.Retraining;

/// <summary>The optimiser that a recipe names, with its state for checkpoints.</summary>
internal abstract class Optimiser : IDisposable
{
    /// <summary>Tensors that belong to a checkpoint, in a fixed order.</summary>
    public abstract IEnumerable<Tensor> State { get; }

    public static Optimiser Create(IReadOnlyList<Tensor> parameters, TrainingRecipe recipe) => recipe.Optimizer == "adamw"
        ? new DecoupledAdam(parameters, recipe.Decay)
        : new Momentum(parameters, recipe);

    /// <summary>One step; the gradients are overwritten.</summary>
    public abstract void Step(IReadOnlyList<Tensor> gradients, double rate);

    /// <summary>Tells how many steps the state has behind it.</summary>
    public abstract void Resume(int steps);

    public abstract void Dispose();

    private sealed class Momentum(IReadOnlyList<Tensor> parameters, TrainingRecipe recipe) : Optimiser
    {
        private readonly Sgd _sgd = new(parameters, recipe.Momentum, recipe.Decay);

        public override IEnumerable<Tensor> State => _sgd.Velocities;

        public override void Step(IReadOnlyList<Tensor> gradients, double rate) => _sgd.Step(gradients, rate);

        public override void Resume(int steps)
        {
        }

        public override void Dispose() => _sgd.Dispose();
    }

    /// <summary>AdamW: parameters shrink by rate × decay before each step of Adam.</summary>
    private sealed class DecoupledAdam(IReadOnlyList<Tensor> parameters, double decay) : Optimiser
    {
        private readonly Adam _adam = new(parameters);

        public override IEnumerable<Tensor> State => _adam.Moments;

        public override void Step(IReadOnlyList<Tensor> gradients, double rate)
        {
            using var quiet = no_grad();
            foreach (var parameter in parameters)
            {
                parameter.mul_(Scalars.Of(1 - (rate * decay)));
            }

            _adam.Step(gradients, rate);
        }

        public override void Resume(int steps) => _adam.Steps = steps;

        public override void Dispose() => _adam.Dispose();
    }
}
