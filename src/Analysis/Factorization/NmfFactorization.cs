using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>Non-negative matrix factorisation by accelerated HALS.</summary>
public sealed class NmfFactorization : IFactorizationMethod, IBatchedFactorization
{
    private const int DefaultIterations = 200;

    /// <summary>Rows from which on the start comes from a part of them.</summary>
    private const int LeastForPart = 10_000;
    private const int PartRows = 3_500;
    private const double PartTolerance = 1e-5;
    private const int Starts = 6;

    /// <summary>How many starts survive each round on the part, and its iterations.</summary>
    private static readonly (int Survivors, int Iterations)[] Rounds = [(3, 12), (2, 25)];

    /// <inheritdoc/>
    public MethodInfo Info { get; } = new()
    {
        Name = "nmf",
        Title = "NMF",
        Summary = "Parts that add up: each image is a sum of concepts, none is subtracted. The usual choice for layers after a ReLU (CRAFT).",
        CodesConstraint = "at least 0",
        VectorsConstraint = "at least 0, unit length",
        Cost = "time n p k per iteration, 30 to 100 iterations; memory beside the rows 4 k (n + p) numbers",
        Source = "Cichocki and Phan 2009; Gillis and Glineur 2012; Ang and Gillis 2019",
        NeedsNonNegative = true,
        AllowsOvercomplete = true,
        Parameters = NmfParameters.All,
    };

    /// <inheritdoc/>
    public Factors Fit(Tensor rows, FactorizationOptions options, Action<double>? progress = null, CancellationToken cancellation = default)
    {
        FactorizationInput.Check(rows, options, Info);
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var a = rows.detach().contiguous();
        var settings = Settings(options, a.shape[0], a.shape[1]);
        var (u, v) = a.shape[0] >= LeastForPart && options.Components <= a.shape[1] && settings.CodesPenalty == 0 && options.Value(Info, NmfParameters.RandomStart) == 0
            ? FromPart(a.unsqueeze(0), options, settings, cancellation)
            : Batch(NmfParameters.Start(a, options, Info));
        var (_, found, iterations) = Hals.Run(a.unsqueeze(0), u, v, settings, progress, cancellation);
        progress?.Invoke(1);
        return new NonNegativeFactors(NonNegativeFactors.UnitRows(found[0]), iterations);
    }

    /// <inheritdoc/>
    public IReadOnlyList<Factors> FitBatch(
        IReadOnlyList<Tensor> rows, FactorizationOptions options, Action<double>? progress = null, CancellationToken cancellation = default) =>
        BatchedFits.Pays(rows) && options.Value(Info, NmfParameters.Alpha) == 0
            ? Batched(rows, options, progress, cancellation)
            : BatchedFits.OneByOne(this, rows, options, progress, cancellation);

    /// <inheritdoc/>
    public Factors Restore(IReadOnlyDictionary<string, Tensor> state) => new NonNegativeFactors(state.Required("vectors"));

    /// <summary>The batched way on any device.</summary>
    internal IReadOnlyList<Factors> Batched(IReadOnlyList<Tensor> rows, FactorizationOptions options, Action<double>? progress, CancellationToken cancellation)
    {
        foreach (var matrix in rows)
        {
            FactorizationInput.Check(matrix, options, Info);
        }

        var k = options.Components;
        var extra = 6.0 * k * (rows.Max(r => r.shape[0]) + rows[0].shape[1]);
        return BatchedFits.InGroups(rows, extra, group => Group(group, options, cancellation), progress, cancellation);
    }

    private static (Tensor U, Tensor V) Batch((Tensor U, Tensor V) single) => (single.U.unsqueeze(0), single.V.unsqueeze(0));

    /// <summary>
    /// Vectors fitted to a part of the rows, the best of several starts there, and all rows' codes by them. It costs less than the
    /// singular vectors of all rows, and what is left for the whole is a few iterations; the problem has many local optima that
    /// differ little, of which several starts find a good one.
    /// </summary>
    private static (Tensor U, Tensor V) FromPart(Tensor a, FactorizationOptions options, HalsSettings settings, CancellationToken cancellation)
    {
        using var scope = torch.NewDisposeScope();
        var random = new SplitMix64(unchecked((ulong)options.Seed));
        var drawn = new long[PartRows];
        for (var i = 0; i < drawn.Length; i++)
        {
            // One row of each of as many equal stretches.
            drawn[i] = (long)((i + random.NextDouble()) * a.shape[1] / drawn.Length);
        }

        var part = a.index_select(1, torch.tensor(drawn, device: a.device));
        var candidates = new List<(Tensor U, Tensor V, double Error)>();
        for (var start = 0; start < Starts; start++)
        {
            var (u, v) = Batch(start == 0
                ? NonNegativeStart.Nndsvda(part[0], options.Components, options.Seed)
                : NonNegativeStart.Random(part[0], options.Components, unchecked(options.Seed + start)));
            candidates.Add((u, v, 0));
        }

        // A start that is behind after some iterations seldom wins: the better half goes on.
        foreach (var (survivors, iterations) in Rounds)
        {
            var quick = settings with { Iterations = Math.Min(settings.Iterations, iterations), Tolerance = Math.Min(settings.Tolerance, PartTolerance) };
            for (var i = 0; i < candidates.Count; i++)
            {
                var (u, v, _) = Hals.Run(part, candidates[i].U, candidates[i].V, quick, null, cancellation);
                candidates[i] = (u, v, Hals.SquaredError(part, u, v));
            }

            candidates = [.. candidates.OrderBy(c => c.Error).Take(survivors)];
        }

        // The rows of the part are few: all of them decide between the last.
        var (best, codes, least) = (part, part, double.PositiveInfinity);
        foreach (var (_, v, _) in candidates)
        {
            var u = Hals.Codes(a, v);
            var error = Hals.SquaredError(a, u, v);
            if (error < least)
            {
                (best, codes, least) = (v, u, error);
            }
        }

        return (codes.MoveToOuterDisposeScope(), best.MoveToOuterDisposeScope());
    }

    private List<Factors> Group(IReadOnlyList<Tensor> rows, FactorizationOptions options, CancellationToken cancellation)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var a = BatchedFits.Padded(rows, rows[0].dtype);
        var (n, p, k) = (a.shape[1], a.shape[2], options.Components);
        var u = torch.zeros([rows.Count, k, n], a.dtype, a.device);
        var v = torch.zeros([rows.Count, k, p], a.dtype, a.device);
        for (var i = 0; i < rows.Count; i++)
        {
            using var inner = torch.NewDisposeScope();
            var (own, vectors) = NmfParameters.Start(rows[i].detach(), options, Info);
            u[i].narrow(1, 0, rows[i].shape[0]).copy_(own);
            v[i].copy_(vectors);
        }

        var (_, found, iterations) = Hals.Run(a, u, v, Settings(options, n, p), null, cancellation);
        var results = new List<Factors>();
        for (var i = 0; i < rows.Count; i++)
        {
            results.Add(new NonNegativeFactors(NonNegativeFactors.UnitRows(found[i]), iterations));
        }

        return results;
    }

    private HalsSettings Settings(FactorizationOptions options, long n, long p)
    {
        var alpha = options.Value(Info, NmfParameters.Alpha);
        return new HalsSettings
        {
            Iterations = options.MaximumIterations > 0 ? options.MaximumIterations : DefaultIterations,
            Tolerance = options.Value(Info, NmfParameters.Tolerance),
            Sweeps = 8,
            Extrapolate = true,
            CodesPenalty = alpha * p,
            VectorsPenalty = alpha * n,
        };
    }
}
