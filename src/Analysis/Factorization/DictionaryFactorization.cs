using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>A dictionary of unit atoms; codes are those of the lasso or of orthogonal matching pursuit.</summary>
public sealed class DictionaryFactors : Factors
{
    /// <summary>Takes over the tensor.</summary>
    /// <param name="vectors">Atoms, k×p, unit rows.</param>
    /// <param name="alpha">Weight of the l1 norm in activation units.</param>
    /// <param name="positive">Codes of at least 0.</param>
    /// <param name="active">Atoms a row by matching pursuit; 0 for the lasso.</param>
    /// <param name="iterations">Passes that the fit took.</param>
    public DictionaryFactors(Tensor vectors, double alpha, bool positive, int active, int iterations = 0)
        : base(vectors, null, iterations)
    {
        Alpha = alpha;
        Positive = positive;
        Active = active;
    }

    /// <summary>Weight of the l1 norm, in activation units.</summary>
    public double Alpha { get; }

    /// <summary>True where codes are at least 0.</summary>
    public bool Positive { get; }

    /// <summary>Atoms that matching pursuit takes for each row; 0 where codes are those of the lasso.</summary>
    public int Active { get; }

    /// <inheritdoc/>
    public override Tensor Encode(Tensor rows) =>
        Active > 0 ? SparseCoding.MatchingPursuit(rows, Vectors, Active) : SparseCoding.Lasso(rows, Vectors, Alpha, Positive);

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, Tensor> State() => new Dictionary<string, Tensor>(base.State()) { ["coding"] = Coding };

    // Kept as a tensor, so that its owner frees it with the rest.
    private Tensor Coding => _coding ??= torch.tensor([Alpha, Positive ? 1.0 : 0.0, Active]).DetachFromDisposeScope();

    private Tensor? _coding;

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        base.Dispose(disposing);
        if (disposing)
        {
            _coding?.Dispose();
        }
    }
}

/// <summary>
/// Sparse dictionary learning: min over unit rows of V of Σ ½||a − uV||² + α||u||₁, by sparse coding of one part of the rows
/// after the other and block coordinate descent on the dictionary (Mairal, Bach, Ponce and Sapiro 2010, online form).
/// </summary>
public sealed class DictionaryFactorization : IFactorizationMethod
{
    // Rows whose codes go into one update of the dictionary; more for large dictionaries, whose update costs k² p.
    private const int LeastPart = 2048;
    private const int SeedRows = 10_000;
    private const int MostPasses = 100;
    private const int LeastPasses = 5;

    // Coding to more than this while the dictionary still moves is wasted.
    private const double TrainingTolerance = 1e-5;

    /// <inheritdoc/>
    public MethodInfo Info { get; } = new()
    {
        Name = "dictionary",
        Title = "Sparse dictionary",
        Summary = "More concepts than usual of which each image uses only a few; choose it for fine concepts that can be read one by one.",
        CodesConstraint = "sparse: l1 penalty (and at least 0 unless switched off), or a fixed number of atoms a row",
        VectorsConstraint = "unit rows",
        Cost = "a pass: time n p k + n k × (active codes) + (n / part) k² p; memory k² + k p and one part of the codes",
        Source = "Olshausen and Field 1996; Mairal, Bach, Ponce and Sapiro 2010, arXiv 0908.0050",
        AllowsOvercomplete = true,
        Parameters =
        [
            new MethodParameter("alpha", 0.1, 0, 1, "Weight of sparsity as a share of the rows' root mean square length: larger means fewer concepts an image and a larger error."),
            new MethodParameter("positive", 1, 0, 1, "1 for coefficients of at least 0, 0 for any sign."),
            new MethodParameter("active", 0, 0, 1000, "Where above 0: so many concepts for each row, found by matching pursuit, in place of alpha and positive."),
            new MethodParameter("tolerance", 1e-5, 1e-12, 0.1, "Stops when no atom turned by more than this (1 − cosine) in a pass; larger stops earlier."),
        ],
    };

    /// <inheritdoc/>
    /// <remarks>
    /// Atoms come by falling energy of their codes. An atom that no row uses is replaced by what the worst reconstructed row still
    /// lacks, in the first half of the passes; one that is unused in the end has a vector but only zero codes.
    /// </remarks>
    public Factors Fit(Tensor rows, FactorizationOptions options, Action<double>? progress = null, CancellationToken cancellation = default)
    {
        FactorizationInput.Check(rows, options, Info);
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var (n, p, k) = (rows.shape[0], rows.shape[1], options.Components);
        var active = (int)options.Value(Info, "active");
        var positive = active == 0 && options.Value(Info, "positive") >= 0.5;
        var alpha = options.Value(Info, "alpha") * Length(rows);
        var tolerance = options.Value(Info, "tolerance");
        var random = new SplitMix64(unchecked((ulong)options.Seed));
        var dictionary = Start(rows, k, ref random, cancellation);

        var part = (int)Math.Min(n, Math.Max(LeastPart, 4L * k));
        var single = part >= n;
        var passes = options.MaximumIterations > 0
            ? options.MaximumIterations
            : (int)Math.Clamp(MostPasses * LeastPart / n, LeastPasses, MostPasses);
        var order = Enumerable.Range(0, (int)n).ToArray();
        var statistics = new Statistics(k, p, rows.device);
        Tensor? codes = null;
        var taken = 0;
        for (var settled = false; taken < passes && !settled; taken++)
        {
            using var pass = torch.NewDisposeScope();
            var before = dictionary.clone();
            if (!single)
            {
                random.Shuffle(order);
            }

            Tensor? lacking = null;
            foreach (var (start, count) in RowParts.Of(n, part))
            {
                cancellation.ThrowIfCancellationRequested();
                using var inner = torch.NewDisposeScope();
                var x = single ? rows : rows.index_select(0, torch.tensor(order.AsSpan((int)start, (int)count).ToArray(), ScalarType.Int64, rows.device));
                var u = Code(x, dictionary, alpha, positive, active, single ? codes : null, cancellation);
                if (single)
                {
                    codes?.Dispose();
                    codes = u.MoveToOuterDisposeScope().MoveToOuterDisposeScope();
                }

                // What was seen a pass ago is forgotten by now: its codes belong to an older dictionary.
                statistics.Add(x, u, forget: 1 - ((double)count / n));
                lacking = Worst(x, u, dictionary, k, lacking);
                statistics.Update(dictionary, cancellation);
                lacking.MoveToOuterDisposeScope();
                progress?.Invoke((taken + ((double)(start + count) / n)) / passes);
            }

            var revived = taken < passes / 2 && statistics.Revive(dictionary, lacking!);
            settled = !revived && (Scalars.Of(1) - (before * dictionary).sum(1)).abs().max().item<double>() < tolerance;
        }

        var energy = statistics.Energy;
        var byEnergy = energy.argsort(0, descending: true);
        var sign = positive ? torch.ones_like(energy) : torch.where(statistics.Sums < Scalars.Of(0), -1.0, 1.0);
        progress?.Invoke(1);
        return new DictionaryFactors(
            (dictionary * sign.unsqueeze(1)).index_select(0, byEnergy).to(rows.dtype), alpha, positive, active, taken);
    }

    /// <inheritdoc/>
    public Factors Restore(IReadOnlyDictionary<string, Tensor> state)
    {
        using var coding = state.Required("coding");
        var values = coding.to(ScalarType.Float64).cpu().data<double>().ToArray();
        return new DictionaryFactors(state.Required("vectors"), values[0], values[1] >= 0.5, (int)values[2]);
    }

    private static Tensor Code(
        Tensor x, Tensor dictionary, double alpha, bool positive, int active, Tensor? start, CancellationToken cancellation) =>
        active > 0
            ? SparseCoding.MatchingPursuit(x, dictionary, active, cancellation)
            : SparseCoding.Lasso(x, dictionary, alpha, positive, TrainingTolerance, start, cancellation);

    /// <summary>Root mean square length of the rows.</summary>
    private static double Length(Tensor rows)
    {
        using var scope = torch.NewDisposeScope();
        double sum = 0;
        foreach (var (start, count) in RowParts.Of(rows.shape[0]))
        {
            using var inner = torch.NewDisposeScope();
            sum += rows.narrow(0, start, count).to(ScalarType.Float64).pow(Scalars.Of(2)).sum().item<double>();
        }

        return Math.Sqrt(sum / rows.shape[0]);
    }

    /// <summary>Rows of different directions: each next one is drawn with the probability of its squared sine to the nearest taken one.</summary>
    private static Tensor Start(Tensor rows, int k, ref SplitMix64 random, CancellationToken cancellation)
    {
        using var scope = torch.NewDisposeScope();
        var n = (int)Math.Min(rows.shape[0], int.MaxValue);
        var order = Enumerable.Range(0, n).ToArray();
        random.Shuffle(order);
        var sample = rows.index_select(0, torch.tensor(order[..Math.Min(n, Math.Max(SeedRows, 4 * k))], ScalarType.Int64, rows.device)).to(ScalarType.Float64);
        var norm = sample.norm(1, keepdim: true);
        var unit = sample / norm.masked_fill(norm == Scalars.Of(0), Scalars.Of(1));
        var weight = torch.where(norm.squeeze(1) > Scalars.Of(0), 1.0, 0.0);
        var atoms = torch.zeros([k, rows.shape[1]], ScalarType.Float64, rows.device);
        for (var j = 0; j < k; j++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var inner = torch.NewDisposeScope();
            var cumulative = weight.cumsum(0);
            var total = cumulative[-1].item<double>();
            if (total > 1e-9)
            {
                var at = torch.searchsorted(cumulative, torch.tensor([random.NextDouble() * total], device: rows.device)).clamp_max(Scalars.Of(unit.shape[0] - 1));
                atoms[j].copy_(unit.index_select(0, at).squeeze(0));
            }
            else
            {
                // Fewer different rows than atoms.
                var noise = new double[rows.shape[1]];
                for (var i = 0; i < noise.Length; i++)
                {
                    noise[i] = random.NextNormal();
                }

                atoms[j].copy_(torch.tensor(noise));
                atoms[j].div_(atoms[j].norm());
            }

            var sine = (Scalars.Of(1) - unit.mv(atoms[j]).pow(Scalars.Of(2))).clamp_min(Scalars.Of(0));
            weight.copy_(torch.minimum(weight, sine));
        }

        return atoms.MoveToOuterDisposeScope();
    }

    /// <summary>Unit residuals of the rows that are reconstructed worst, at most <paramref name="most"/>, worst first.</summary>
    private static Tensor Worst(Tensor x, Tensor codes, Tensor dictionary, int most, Tensor? sofar)
    {
        using var scope = torch.NewDisposeScope();
        var residual = x.to(ScalarType.Float64) - codes.to(ScalarType.Float64).mm(dictionary);
        if (sofar is not null)
        {
            residual = torch.cat([residual, sofar]);
        }

        var (_, at) = residual.norm(1).topk((int)Math.Min(most, residual.shape[0]), sorted: true);
        return residual.index_select(0, at).MoveToOuterDisposeScope();
    }

    /// <summary>UᵀU, UᵀA and the sums of the codes, of about one pass.</summary>
    private sealed class Statistics(int k, long p, Device device)
    {
        private const double Unused = 1e-9;
        private readonly Tensor _codes = torch.zeros([k, k], ScalarType.Float64, device);
        private readonly Tensor _rows = torch.zeros([k, p], ScalarType.Float64, device);

        public Tensor Sums { get; } = torch.zeros([k], ScalarType.Float64, device);

        public Tensor Energy => _codes.diagonal();

        public void Add(Tensor x, Tensor codes, double forget)
        {
            using var scope = torch.NewDisposeScope();
            var u = codes.to(ScalarType.Float64);
            _codes.mul_(Scalars.Of(forget)).addmm_(u.t(), u);
            _rows.mul_(Scalars.Of(forget)).addmm_(u.t(), x.to(ScalarType.Float64));
            Sums.mul_(Scalars.Of(forget)).add_(u.sum([0L]), Scalars.One);
        }

        /// <summary>
        /// One round of block coordinate descent: each atom to its optimum for the others fixed, then to unit length. In plain
        /// memory: k small steps that each depend on the last, of which those of codes that never meet are left out.
        /// </summary>
        public void Update(Tensor dictionary, CancellationToken cancellation)
        {
            var atoms = DenseMatrix.FromTensor(dictionary);
            var codes = DenseMatrix.FromTensor(_codes);
            var rows = DenseMatrix.FromTensor(_rows);
            var least = Unused * Enumerable.Range(0, k).Max(j => codes[j, j]);
            var step = new double[p];
            for (var j = 0; j < k; j++)
            {
                cancellation.ThrowIfCancellationRequested();
                var energy = codes[j, j];
                if (energy <= least)
                {
                    continue;
                }

                rows.Row(j).CopyTo(step);
                for (var i = 0; i < k; i++)
                {
                    if (i != j && codes[j, i] != 0)
                    {
                        SparseCoding.Subtract(step, codes[j, i], atoms.Row(i));
                    }
                }

                // What remains is the optimum times the energy; its length is free, so the energy need not be divided out.
                var norm = Vectors.Norm(step);
                if (norm > 0)
                {
                    Vectors.Scale(step, 1 / norm);
                    step.CopyTo(atoms.Row(j));
                }
            }

            using var changed = atoms.ToTensor(dictionary.device);
            dictionary.copy_(changed);
        }

        /// <summary>Replaces atoms that no row uses.</summary>
        /// <returns>True where there were any.</returns>
        public bool Revive(Tensor dictionary, Tensor lacking)
        {
            using var scope = torch.NewDisposeScope();
            var energy = Energy.cpu().contiguous().data<double>().ToArray();
            var norms = lacking.norm(1).cpu().data<double>().ToArray();
            var least = Unused * energy.Max();
            var next = 0;
            for (var j = 0; j < k && next < norms.Length; j++)
            {
                if (energy[j] > least)
                {
                    continue;
                }

                if (norms[next] <= 1e-12)
                {
                    break;
                }

                dictionary[j].copy_(lacking[next] / Scalars.Of(norms[next]));
                _codes[j].zero_();
                _codes.select(1, j).zero_();
                _rows[j].zero_();
                next++;
            }

            return next > 0;
        }
    }
}
