using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Probes.Backpropagation;

/// <summary>How the smallest change is looked for.</summary>
public sealed record ChangeSearchOptions
{
    /// <summary>λ for all wishes; null to look for the largest that still fulfils the wish.</summary>
    public double? Lambda { get; init; }

    /// <summary>Starts a wish: the first at δ = 0, the others near it at random.</summary>
    public int Starts { get; init; } = 5;

    /// <summary>Ratio of the smallest λ that fails to the largest that succeeds, at which the search ends.</summary>
    public double Precision { get; init; } = 1.15;

    /// <summary>Most values of λ that are tried.</summary>
    public int Rounds { get; init; } = 16;

    /// <summary>
    /// Times that the search is done again with magnitudes costing less where the last change is concentrated (reweighted l1,
    /// Candès, Wakin and Boyd 2008, with the neighbourhood's mean in the place of the single value). For pixels.
    /// </summary>
    public int Concentrations { get; init; }

    /// <summary>Seed of the random starts.</summary>
    public int Seed { get; init; }

    /// <summary>Problems that the network sees as one batch at most.</summary>
    public int Batch { get; init; } = 32;
}

/// <summary>What became of a wish.</summary>
public enum ChangeOutcome
{
    /// <summary>The probe says what was wished after the change.</summary>
    Changed,

    /// <summary>The probe said so already: nothing is changed.</summary>
    Already,

    /// <summary>Not even without any cost did a change make the probe say so.</summary>
    Unreachable,
}

/// <summary>The smallest change for a wish.</summary>
/// <param name="Outcome">What became of it.</param>
/// <param name="Lambda">The largest λ that still fulfils the wish; 0 where none above 0 was found.</param>
/// <param name="Start">Which start it came from.</param>
/// <param name="Solution">The change; the one that came closest where the wish cannot be fulfilled.</param>
/// <param name="Steps">Steps of the optimiser in all.</param>
/// <param name="Costs">Factors of the magnitudes that the change was found with; null for 1 everywhere.</param>
public sealed record FoundChange(ChangeOutcome Outcome, double Lambda, int Start, ChangeSolution Solution, int Steps, Tensor? Costs) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose()
    {
        Solution.Dispose();
        Costs?.Dispose();
    }
}

/// <summary>State of a search, for who watches.</summary>
/// <param name="Round">Value of λ that is being tried, from 1.</param>
/// <param name="Step">Step of the optimiser.</param>
/// <param name="Lambda">λ of the first wish.</param>
/// <param name="Logit">Its logit now.</param>
/// <param name="Change">Its variable now, one row; belongs to the search.</param>
public sealed record ChangeProgress(int Round, int Step, double Lambda, double Logit, Tensor Change);

/// <summary>
/// The smallest change: the largest λ whose optimum still makes the probe say what is wished, by bracketing and bisection of
/// log λ (METHODS 3.2). Whether it can be reached at all is tried first, with λ = 0.
/// </summary>
/// <param name="space">What is varied.</param>
/// <param name="pooled">Pooled activations N×C of inputs, differentiable.</param>
/// <param name="regulariser">What a change costs.</param>
/// <param name="solving">When the optimiser stops.</param>
/// <param name="options">How λ is looked for.</param>
public sealed class ChangeSearch(ChangeSpace space, Func<Tensor, Tensor> pooled, ChangeRegulariser regulariser, ChangeSolverOptions solving, ChangeSearchOptions options)
{
    private const double Stride = 4;

    private readonly ChangeSolver _solver = new(space, pooled, regulariser, solving);

    /// <summary>Looks for the smallest change for each wish.</summary>
    /// <param name="inputs">Unchanged inputs.</param>
    /// <param name="wishes">The wishes; only those of the first <paramref name="primary"/> get more than one start.</param>
    /// <param name="primary">Number of wishes that get all starts.</param>
    /// <param name="watch">Called after every step with the state of the first wish that is still at work.</param>
    /// <param name="cancellation">Honoured between steps.</param>
    public FoundChange[] Find(Tensor inputs, IReadOnlyList<ChangeWish> wishes, int primary, Action<ChangeProgress>? watch, CancellationToken cancellation)
    {
        var work = wishes.Select((w, i) => new Work(w, i < primary ? Math.Max(1, options.Starts) : 1)).ToArray();
        try
        {
            Reach(inputs, work, watch, cancellation);
            if (options.Lambda is { } fixedLambda)
            {
                foreach (var item in work.Where(w => w.Outcome == ChangeOutcome.Changed))
                {
                    (item.Lambda, item.Open) = (fixedLambda, true);
                }

                Round(inputs, [.. work.Where(w => w.Open)], 1, watch, keepFailures: true, cancellation);
            }
            else
            {
                Guess(inputs, [.. work.Where(w => w.Outcome == ChangeOutcome.Changed)]);
                for (var pass = 0; pass <= options.Concentrations; pass++)
                {
                    for (var round = 1; round <= options.Rounds && work.Any(w => w.Open); round++)
                    {
                        Round(inputs, [.. work.Where(w => w.Open)], round, watch, keepFailures: false, cancellation);
                    }

                    if (pass < options.Concentrations)
                    {
                        foreach (var item in work.Where(w => w.Outcome == ChangeOutcome.Changed))
                        {
                            item.Concentrate();
                        }
                    }
                }
            }

            return [.. work.Select(w => w.Finish())];
        }
        finally
        {
            foreach (var item in work)
            {
                item.Dispose();
            }
        }
    }

    /// <summary>The optima for one wish at several λ, from δ = 0: how the change grows as it becomes cheaper.</summary>
    /// <param name="inputs">Unchanged inputs.</param>
    /// <param name="wish">The wish.</param>
    /// <param name="lambdas">Values of λ.</param>
    /// <param name="costs">Factors of the magnitudes of the change that was found (<see cref="FoundChange.Costs"/>); null for 1.</param>
    /// <param name="cancellation">Honoured between steps.</param>
    public ChangeSolution[] Path(Tensor inputs, ChangeWish wish, IReadOnlyList<double> lambdas, Tensor? costs, CancellationToken cancellation)
    {
        using var repeated = costs is null ? null : cat([.. lambdas.Select(_ => costs)], 0);
        return Solve(inputs, [.. lambdas.Select(_ => wish)], lambdas, null, repeated, null, cancellation);
    }

    private void Reach(Tensor inputs, Work[] work, Action<ChangeProgress>? watch, CancellationToken cancellation)
    {
        for (var start = 0; start < options.Starts; start++)
        {
            // From δ = 0 for all; from elsewhere for those that did not get there.
            Work[] open = [.. work.Where(w => w.Outcome is null or ChangeOutcome.Unreachable && start < w.Starts)];
            if (open.Length == 0)
            {
                return;
            }

            using var starts = start == 0 ? null : Starts(inputs, open.Length, start);
            var found = Solve(inputs, [.. open.Select(w => w.Wish)], new double[open.Length], starts, null, Watch(watch, 0, 0), cancellation);
            for (var i = 0; i < open.Length; i++)
            {
                open[i].Reached(found[i], start);
            }
        }
    }

    /// <summary>The λ at which a linear probe would end at the threshold exactly (METHODS 3.4).</summary>
    private void Guess(Tensor inputs, Work[] work)
    {
        if (work.Length == 0)
        {
            return;
        }

        using var scope = NewDisposeScope();
        for (var first = 0; first < work.Length; first += options.Batch)
        {
            var part = work[first..Math.Min(work.Length, first + options.Batch)];
            var rows = inputs.index_select(0, tensor(part.Select(w => (long)w.Wish.Input).ToArray(), device: inputs.device));
            using var grad = enable_grad();
            var leaf = zeros([part.Length, .. space.RowShape(inputs)], inputs.dtype, inputs.device).requires_grad_(true);
            var weights = tensor(part.SelectMany(w => w.Wish.Weights).ToArray(), [part.Length, part[0].Wish.Weights.Length]).to(inputs.dtype).to(inputs.device);
            var logits = (pooled(space.Changed(leaf, rows)) * weights).sum([1L]);
            autograd.backward([logits.sum()], inputs: [leaf]);
            using var quiet = no_grad();
            var gradient = leaf.grad!.flatten(1);
            var largest = Values(gradient.abs().amax([1L]));
            var squares = Values((gradient * gradient).sum([1L], type: ScalarType.Float64));
            var values = Values(logits);
            for (var i = 0; i < part.Length; i++)
            {
                var wish = part[i].Wish;
                var logit = values[i] + wish.Bias;
                // Slope of the loss, and the way to go, at the threshold.
                var slope = wish.Continuous ? 2 * (1 - wish.Threshold) * Math.Abs(wish.Start - wish.Goal) : 1 - wish.Threshold;
                var way = wish.Continuous
                    ? wish.Threshold * Math.Abs(wish.Start - wish.Goal)
                    : Math.Log(wish.Threshold / (1 - wish.Threshold)) - (wish.Goal > 0.5 ? logit : -logit);
                var guess = double.PositiveInfinity;
                if (regulariser.L1 + regulariser.TotalVariation > 0)
                {
                    guess = slope * largest[i] / (regulariser.L1 + regulariser.TotalVariation);
                }

                if (regulariser.L2 > 0 && way > 0)
                {
                    guess = Math.Min(guess, slope * squares[i] / (2 * way * regulariser.L2));
                }

                part[i].Lambda = double.IsFinite(guess) && guess > 0 ? guess : 1e-3;
                part[i].Open = true;
            }
        }
    }

    private void Round(Tensor inputs, Work[] work, int round, Action<ChangeProgress>? watch, bool keepFailures, CancellationToken cancellation)
    {
        var wishes = new List<ChangeWish>();
        var lambdas = new List<double>();
        var owners = new List<(Work Work, int Start)>();
        foreach (var item in work)
        {
            for (var start = 0; start < item.Starts; start++)
            {
                wishes.Add(item.Wish);
                lambdas.Add(item.Lambda);
                owners.Add((item, start));
            }
        }

        if (wishes.Count == 0)
        {
            return;
        }

        using var starts = Starts(inputs, wishes.Count, 0);
        using (no_grad())
        {
            for (var i = 0; i < owners.Count; i++)
            {
                using var row = starts[i];
                if (owners[i].Start == 0)
                {
                    row.zero_();
                }
            }
        }

        using var costs = work.Any(w => w.Costs is not null) ? cat([.. owners.Select(o => o.Work.Costs!)], 0) : null;
        var found = Solve(inputs, wishes, lambdas, starts, costs, Watch(watch, round, lambdas[0]), cancellation);
        for (var i = 0; i < found.Length; i++)
        {
            owners[i].Work.Offer(found[i], owners[i].Start, keepFailures);
        }

        foreach (var item in work)
        {
            item.Next(Stride, options.Precision, once: keepFailures);
        }
    }

    private Tensor Starts(Tensor inputs, int count, int turn)
    {
        using var random = new Generator((ulong)((options.Seed * 1009) + turn + 1), CPU);
        using var scope = NewDisposeScope();
        using var quiet = no_grad();
        return (randn([count, .. space.RowShape(inputs)], generator: random) * Scalars.Of(space.StartSpread)).MoveToOuterDisposeScope();
    }

    private ChangeSolution[] Solve(
        Tensor inputs, IReadOnlyList<ChangeWish> wishes, IReadOnlyList<double> lambdas, Tensor? starts, Tensor? costs, Action<int, Tensor, double[]>? observe, CancellationToken cancellation)
    {
        var all = new List<ChangeSolution>(wishes.Count);
        for (var first = 0; first < wishes.Count; first += options.Batch)
        {
            var count = Math.Min(options.Batch, wishes.Count - first);
            using var part = starts?.narrow(0, first, count);
            using var cost = costs?.narrow(0, first, count);
            all.AddRange(_solver.Solve(
                inputs, [.. wishes.Skip(first).Take(count)], [.. lambdas.Skip(first).Take(count)], part, cost, first == 0 ? observe : null, cancellation));
        }

        return [.. all];
    }

    private static Action<int, Tensor, double[]>? Watch(Action<ChangeProgress>? watch, int round, double lambda) => watch is null
        ? null
        : (step, variables, logits) =>
        {
            using var row = variables.narrow(0, 0, 1);
            watch(new ChangeProgress(round, step, lambda, logits[0], row));
        };

    private static double[] Values(Tensor tensor)
    {
        using var host = tensor.to(ScalarType.Float64).cpu().contiguous();
        return host.data<double>().ToArray();
    }

    /// <summary>A wish while it is worked on.</summary>
    private sealed class Work(ChangeWish wish, int starts) : IDisposable
    {
        /// <summary>The neighbourhood reaches a sixteenth of the picture to each side.</summary>
        private const long Reach = 16;

        /// <summary>Share of the largest neighbourhood's mean that is added to all: magnitudes elsewhere cost at most 1 + 1/share times as much.</summary>
        private const double Floor = 0.1;

        private ChangeSolution? _best;
        private ChangeSolution? _offered;
        private int _bestStart;
        private int _offeredStart;
        private double _bestLambda;
        private double? _low;
        private double? _high;
        private int _steps;

        public ChangeWish Wish => wish;

        public int Starts => starts;

        public ChangeOutcome? Outcome { get; private set; }

        public bool Open { get; set; }

        public double Lambda { get; set; }

        public Tensor? Costs { get; private set; }

        /// <summary>Makes magnitudes cheap where the change is now, and opens the search again.</summary>
        public void Concentrate()
        {
            using var scope = NewDisposeScope();
            using var quiet = no_grad();
            var magnitude = _best!.Change.abs().sum([1L], keepdim: true);
            var reach = (2 * Math.Max(1L, magnitude.shape[2] / Reach)) + 1;
            var mass = magnitude;
            for (var i = 0; i < 2; i++)
            {
                mass = nn.functional.avg_pool2d(mass, reach, 1, reach / 2);
            }

            var most = mass.max().to(ScalarType.Float64).item<double>();
            if (most > 0)
            {
                var least = Scalars.Of(Floor * most);
                Costs?.Dispose();
                Costs = full_like(mass, Scalars.Of((1 + Floor) * most)).div(mass.add(ones_like(mass), least)).DetachFromDisposeScope();
            }
            else
            {
                Costs ??= ones_like(mass).DetachFromDisposeScope();
            }

            (_low, _high, Lambda, Open) = (null, null, _bestLambda > 0 ? _bestLambda : Lambda, true);
        }

        public void Reached(ChangeSolution solution, int start)
        {
            _steps += solution.Steps;
            if (_best is null || Better(solution, _best))
            {
                _best?.Dispose();
                (_best, _bestStart) = (solution, start);
            }
            else
            {
                solution.Dispose();
            }

            Outcome = !_best.Fulfilled ? ChangeOutcome.Unreachable : _steps == 0 && start == 0 ? ChangeOutcome.Already : ChangeOutcome.Changed;
        }

        public void Offer(ChangeSolution solution, int start, bool keepFailures)
        {
            _steps += solution.Steps;
            if ((solution.Fulfilled || keepFailures) && (_offered is null || solution.Objective < _offered.Objective))
            {
                _offered?.Dispose();
                (_offered, _offeredStart) = (solution, start);
            }
            else
            {
                solution.Dispose();
            }
        }

        /// <summary>Takes the best of a round and chooses the next λ.</summary>
        public void Next(double stride, double precision, bool once)
        {
            if (_offered is not null)
            {
                _best!.Dispose();
                (_best, _bestStart, _bestLambda, _offered) = (_offered, _offeredStart, Lambda, null);
                _low = Lambda;
            }
            else
            {
                _high = Lambda;
            }

            if (once || (_low is { } low && _high is { } high && high / low <= precision))
            {
                Open = false;
                return;
            }

            Lambda = (_low, _high) switch
            {
                ({ } l, { } h) => Math.Sqrt(l * h),
                ({ } l, null) => l * stride,
                _ => _high!.Value / stride,
            };
        }

        public FoundChange Finish()
        {
            var result = new FoundChange(Outcome!.Value, _bestLambda, _bestStart, _best!, _steps, Costs);
            (_best, Costs) = (null, null);
            return result;
        }

        public void Dispose()
        {
            _best?.Dispose();
            _offered?.Dispose();
            Costs?.Dispose();
        }

        private bool Better(ChangeSolution left, ChangeSolution right) =>
            left.Fulfilled != right.Fulfilled ? left.Fulfilled : Math.Abs(Wish.Answer(left.Logit) - Wish.Goal) < Math.Abs(Wish.Answer(right.Logit) - Wish.Goal);
    }
}
