using Analysis.Numerics;
using TorchSharp;
using static TorchSharp.torch;

namespace Analysis.Factorization;

/// <summary>What batched fits share: groups that fit into memory, padding, and the way of the CPU.</summary>
internal static class BatchedFits
{
    /// <summary>Bytes of padded rows that one group may take.</summary>
    private const double GroupBytes = 2e9;

    /// <summary>Single fits one after another; frees what is there where one fails.</summary>
    public static IReadOnlyList<Factors> OneByOne(
        IFactorizationMethod method, IReadOnlyList<Tensor> rows, FactorizationOptions options, Action<double>? progress, CancellationToken cancellation)
    {
        var results = new List<Factors>(rows.Count);
        try
        {
            foreach (var matrix in rows)
            {
                cancellation.ThrowIfCancellationRequested();
                results.Add(method.Fit(matrix, options, null, cancellation));
                progress?.Invoke((double)results.Count / rows.Count);
            }
        }
        catch
        {
            results.ForEach(f => f.Dispose());
            throw;
        }

        return results;
    }

    /// <summary>Fits groups of matrices whose padded form is of bounded size.</summary>
    /// <param name="rows">All matrices.</param>
    /// <param name="extraPerMatrix">Numbers beside the rows that a matrix takes while it is fitted, in float64.</param>
    /// <param name="fit">Fits the matrices of one group, given their indices.</param>
    /// <param name="progress">As of the whole.</param>
    /// <param name="cancellation">Honoured between groups.</param>
    public static IReadOnlyList<Factors> InGroups(
        IReadOnlyList<Tensor> rows, double extraPerMatrix, Func<IReadOnlyList<Tensor>, IReadOnlyList<Factors>> fit, Action<double>? progress, CancellationToken cancellation)
    {
        // Matrices of like length share a group: padding then costs little.
        var order = Enumerable.Range(0, rows.Count).OrderBy(i => rows[i].shape[0]).ToArray();
        var results = new Factors[rows.Count];
        try
        {
            for (var start = 0; start < order.Length;)
            {
                cancellation.ThrowIfCancellationRequested();
                var end = start + 1;
                while (end < order.Length && (end + 1 - start) * 8 * ((rows[order[end]].shape[0] * (double)rows[order[end]].shape[1]) + extraPerMatrix) <= GroupBytes)
                {
                    end++;
                }

                var fitted = fit([.. order[start..end].Select(i => rows[i])]);
                for (var i = start; i < end; i++)
                {
                    results[order[i]] = fitted[i - start];
                }

                start = end;
                progress?.Invoke((double)start / order.Length);
            }
        }
        catch
        {
            foreach (var factors in results)
            {
                factors?.Dispose();
            }

            throw;
        }

        return results;
    }

    /// <summary>b×n×p with rows of zeros behind the shorter matrices; belongs to the caller's dispose scope.</summary>
    public static Tensor Padded(IReadOnlyList<Tensor> rows, ScalarType type)
    {
        var result = torch.zeros([rows.Count, rows.Max(r => r.shape[0]), rows[0].shape[1]], type, rows[0].device);
        for (var i = 0; i < rows.Count; i++)
        {
            using var inner = torch.NewDisposeScope();
            result[i].narrow(0, 0, rows[i].shape[0]).copy_(rows[i].detach());
        }

        return result;
    }

    /// <summary>Whether batching pays: on a GPU, and with more than one matrix of the same width.</summary>
    public static bool Pays(IReadOnlyList<Tensor> rows) =>
        rows.Count > 1 && rows[0].device.type == DeviceType.CUDA && rows.All(r => r.dim() == 2 && r.shape[1] == rows[0].shape[1] && r.dtype == rows[0].dtype);
}

/// <summary>SVD and PCA of many matrices: batched eigenvectors of the Gram matrices of the shorter side.</summary>
internal static class BatchedSpectra
{
    /// <summary>Batched where it pays, else one by one.</summary>
    public static IReadOnlyList<Factors> Fit(
        IReadOnlyList<Tensor> rows, FactorizationOptions options, MethodInfo info, bool centred, Action<double>? progress, CancellationToken cancellation) =>
        BatchedFits.Pays(rows)
            ? Batched(rows, options, info, centred, progress, cancellation)
            : BatchedFits.OneByOne(centred ? new PcaFactorization() : new SvdFactorization(), rows, options, progress, cancellation);

    /// <summary>The batched way on any device.</summary>
    public static IReadOnlyList<Factors> Batched(
        IReadOnlyList<Tensor> rows, FactorizationOptions options, MethodInfo info, bool centred, Action<double>? progress, CancellationToken cancellation)
    {
        foreach (var matrix in rows)
        {
            FactorizationInput.Check(matrix, options, info);
        }

        var side = Math.Min(rows.Max(r => r.shape[0]), rows[0].shape[1]);
        return BatchedFits.InGroups(rows, 3.0 * side * side, group => Group(group, options.Components, centred), progress, cancellation);
    }

    private static List<Factors> Group(IReadOnlyList<Tensor> rows, int count, bool centred)
    {
        using var scope = torch.NewDisposeScope();
        using var noGrad = torch.no_grad();
        var means = torch.stack([.. rows.Select(r => r.detach().mean([0L], type: ScalarType.Float64))]);
        var x = BatchedFits.Padded(rows, ScalarType.Float64);
        if (centred)
        {
            for (var i = 0; i < rows.Count; i++)
            {
                // The padding stays zero.
                x[i].narrow(0, 0, rows[i].shape[0]).sub_(means[i]);
            }
        }

        var wide = x.shape[1] < x.shape[2];
        var transposed = x.transpose(1, 2);
        var (ascending, columns) = torch.linalg.eigh(wide ? x.bmm(transposed) : transposed.bmm(x));
        var size = ascending.shape[1];
        var kept = Math.Min(count, size);
        var values = ascending.narrow(1, size - kept, kept).flip(1).clamp(min: Scalars.Of(0)).sqrt();
        var vectors = columns.narrow(2, size - kept, kept).flip(2).transpose(1, 2);
        if (wide)
        {
            vectors = vectors.bmm(x) / values.clamp(min: Scalars.Of(double.Epsilon)).unsqueeze(2);
        }

        var host = values.cpu();
        var results = new List<Factors>();
        for (var i = 0; i < rows.Count; i++)
        {
            var (n, p) = (rows[i].shape[0], rows[i].shape[1]);
            var own = host[i].data<double>().ToArray();
            var cut = own[0] * Math.Sqrt(Math.Max(n, p) * 2.220446049250313e-16);
            var rank = own.TakeWhile(s => s > cut).Count();
            var v = values[i].narrow(0, 0, rank);
            if (centred)
            {
                PcaFactorization.RequireSpread(v);
            }

            var oriented = LeadingSingularVectors.Orient(vectors[i].narrow(0, 0, rank), v, centred ? null : means[i], n);
            results.Add(new ProjectionFactors(
                oriented.to(rows[i].dtype, copy: true), v.to(rows[i].dtype, copy: true), centred ? means[i].to(rows[i].dtype, copy: true) : null));
        }

        return results;
    }
}
