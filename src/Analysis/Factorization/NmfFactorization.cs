using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>Non-negative matrix factorisation by accelerated HALS.</summary>
public sealed class NmfFactorization : IFactorizationMethod, IBatchedFactorization
{
    private const int DefaultIterations = 200;

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
        var (u, v) = NmfParameters.Start(a, options, Info);
        var (_, found, iterations) = Hals.Run(
            a.unsqueeze(0), u.unsqueeze(0), v.unsqueeze(0), Settings(options, a.shape[0], a.shape[1]), progress, cancellation);
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
